//! Commands that keep a node going: definitions, parameters, the application within the process, features, maintenance.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::process::Stdio;

use serde_json::Value;
use serde_json::json;

use crate::broker::eventually;
use crate::ctl::Rig;
use crate::wire::Wire;
use crate::wire::encode;
use crate::wire::encode::DURABLE;

const NOT_RUNNING: &str = "Error: this command requires the 'rabbit' app to be running on the target node. Start it with 'rabbitmqctl start_app'.\n";
const NOT_STOPPED: &str = "Error: this command requires the 'rabbit' app to be stopped on the target node. Stop it with 'rabbitmqctl stop_app'.\n";

#[test]
fn definitions_go_out_and_come_in() {
    let rig = Rig::start();
    let path = |name: &str| rig.home.path().join(name).to_str().unwrap().to_owned();
    let (file, empty, broken, many) = (path("d"), path("empty"), path("broken"), path("many"));
    let check = |line: &[&str], exit, printed: &str| rig.check(line, exit, printed);
    rig.ctl(&["add_user", "u", "p"]);
    check(
        &["export_definitions", &file],
        0,
        &format!("Exporting definitions in JSON to a file at \"{file}\" ...\n"),
    );
    let exported: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(exported["users"][1]["name"], "u");
    let printed = rig.run("rabbitmqctl", &["export_definitions", "-"]);
    assert_eq!(
        serde_json::from_str::<Value>(&printed.out).unwrap(),
        exported
    );
    rig.ctl(&["delete_user", "u"]);
    let taken = format!(
        "Importing definitions in JSON from a file at \"{file}\" ...\nSuccessfully started definition import. This process is asynchronous and can take some time.\n"
    );
    check(&["import_definitions", &file], 0, &taken);
    assert!(rig.ctl(&["list_users"]).contains("u\t[]\n"));

    // What was changed since stays changed when the document is the one of last time.
    let once = ["import_definitions", "--skip-if-unchanged", &file];
    rig.ctl(&once);
    rig.ctl(&["delete_user", "u"]);
    rig.ctl(&once);
    assert!(!rig.ctl(&["list_users"]).contains("u\t[]\n"));
    rig.ctl(&["import_definitions", &file]);
    assert!(rig.ctl(&["list_users"]).contains("u\t[]\n"));

    // More than a line of the local socket may have.
    let queues = (0..3000).map(|number| {
        let name = format!("a-queue-with-a-long-name-{number}");
        json!({"name": name, "vhost": "/", "durable": true, "auto_delete": false, "arguments": {}})
    });
    let document = json!({"queues": queues.collect::<Vec<_>>()}).to_string();
    assert!(document.len() > 256 * 1024);
    std::fs::write(&many, document).unwrap();
    rig.ctl(&["import_definitions", &many]);
    assert_eq!(rig.ctl(&["list_queues", "-s"]).lines().count(), 3000);

    std::fs::write(&empty, "").unwrap();
    std::fs::write(&broken, "{").unwrap();
    check(
        &["-q", "import_definitions", &empty],
        65,
        &format!("Error:\nFile {empty} is zero-sized\n"),
    );
    let failed = rig.run("rabbitmqctl", &["import_definitions", &broken]);
    assert_eq!(failed.exit, 65);
    let start = "Error:\nFailed to deserialise input (format: JSON) (error: ";
    assert!(failed.err.starts_with(start), "{}", failed.err);
    check(
        &["import_definitions", "/none/there"],
        65,
        "Error (argument validation): Bad argument: File /none/there does not exist\n",
    );
    check(
        &["export_definitions", "/none/there"],
        65,
        "Error (argument validation): Bad argument: Directory /none does not exist\n",
    );
    let directory = rig.home.path().to_str().unwrap();
    check(
        &["export_definitions", directory],
        65,
        &format!("Error:\nPath {directory} is a directory\n"),
    );
    check(
        &["export_definitions", "--format", "xml", &file],
        65,
        "Error (argument validation): Bad argument: Format should be either json or erlang\n",
    );
    std::fs::write(
        &broken,
        json!({"queues": [{"name": "q", "vhost": "nowhere", "durable": true, "auto_delete": false, "arguments": {}}]}).to_string(),
    )
    .unwrap();
    assert_eq!(
        rig.run("rabbitmqctl", &["import_definitions", &broken])
            .exit,
        65
    );
    rig.broker.stop();
}

#[test]
fn definitions_come_from_standard_input() {
    let rig = Rig::start();
    std::fs::write(
        rig.home.path().join("leveret.toml"),
        "cluster_name = \"rabbit@h\"",
    )
    .unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_leveret"))
        .arg0("rabbitmqctl")
        .args(["import_definitions", "--data-dir"])
        .arg(rig.home.path().join("data"))
        .env_clear()
        .env("LEVERET_CONFIG", rig.home.path().join("leveret.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input
        .write_all(br#"{"vhosts": [{"name": "from-stdin"}]}"#)
        .unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .starts_with("Importing definitions in JSON from standard input ...\n")
    );
    assert_eq!(rig.ctl(&["list_vhosts", "-s"]), "/\nfrom-stdin\n");
    rig.broker.stop();
}

#[test]
fn what_is_imported_has_a_bound_that_can_be_set() {
    let rig = Rig::with_settings("import_bytes_max = 2048");
    let file = |octets: usize| {
        let path = rig.home.path().join(octets.to_string());
        let definitions = r#"{"vhosts": [{"name": "v"}]}"#;
        std::fs::write(&path, format!("{definitions:octets$}")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let refused = rig.run("rabbitmqctl", &["import_definitions", &file(2049)]);
    let words = "no more than 2048 octets can be taken at once: see import_bytes_max";
    assert!(refused.err.contains(words), "{}", refused.err);
    assert_eq!(refused.exit, 65);
    rig.ctl(&["import_definitions", &file(2048)]);
    assert_eq!(rig.ctl(&["list_vhosts", "-s"]), "/\nv\n");
    rig.broker.stop();
}

#[test]
fn bodies_have_a_bound_and_keep_nobody_waiting_who_brings_none() {
    let rig = Rig::start();
    let connect = || UnixStream::connect(rig.home.path().join("data/leveret.sock")).unwrap();
    let line = |octets: u64| {
        let request = json!({
            "command": "operate", "operation": "import-definitions", "skip_if_unchanged": false,
            "body_bytes": octets,
        });
        format!("{request}\n")
    };
    let mut caller = connect();
    caller.write_all(line(1 << 40).as_bytes()).unwrap();
    let mut answer = String::new();
    BufReader::new(caller).read_line(&mut answer).unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["exit"], 65);
    let words = answer["error"].as_str().unwrap();
    assert!(
        words.starts_with("no more than 268435456 octets"),
        "{words}"
    );
    // One that is slow with its body.
    let mut slow = connect();
    slow.write_all(line(14).as_bytes()).unwrap();
    rig.check(&["-q", "ping"], 0, "Ping succeeded\n");
    slow.write_all(b"{\"queues\": []}").unwrap();
    let mut answer = String::new();
    BufReader::new(slow).read_line(&mut answer).unwrap();
    assert_eq!(answer, "{\"ok\":{\"unchanged\":false}}\n");
    rig.broker.stop();
}

#[test]
fn parameters_are_those_of_a_node_without_further_plugins() {
    let rig = Rig::start();
    let check = |line: &[&str], exit, printed: &str| rig.check(line, exit, printed);
    let limits = r#"{"max-queues":5}"#;
    check(
        &["set_parameter", "vhost-limits", "limits", limits],
        0,
        "Setting runtime parameter \"limits\" for component \"vhost-limits\" to \"{\"max-queues\":5}\" in vhost \"/\" ...\n",
    );
    check(
        &["list_parameters"],
        0,
        "Listing runtime parameters for vhost \"/\" ...\ncomponent\tname\tvalue\nvhost-limits\tlimits\t{\"max-queues\":5}\n",
    );
    // It replaces what was there, and does nothing when it is wrong.
    rig.ctl(&[
        "set_parameter",
        "vhost-limits",
        "limits",
        r#"{"max-connections":7}"#,
    ]);
    check(
        &[
            "-q",
            "set_parameter",
            "vhost-limits",
            "limits",
            r#"{"max-queue":5}"#,
        ],
        69,
        "Error:\nValidation failed\n\nUnrecognised terms [{<<\"max-queue\">>,5}] in limits\n\n",
    );
    assert_eq!(
        rig.ctl(&["list_vhost_limits", "-s"]),
        "{\"max-connections\":7}\n"
    );
    check(
        &["set_parameter", "federation", "x", "{}"],
        69,
        "Error:\nValidation failed\n\ncomponent federation not found\n\n",
    );
    check(
        &["set_parameter", "policy", "x", "{}"],
        69,
        "Error:\npolicies may not be set using this method\n",
    );
    let nowhere = "Virtual host 'nowhere' does not exist\n";
    check(
        &[
            "set_parameter",
            "-p",
            "nowhere",
            "vhost-limits",
            "limits",
            limits,
        ],
        65,
        nowhere,
    );
    check(&["list_parameters", "-p", "nowhere"], 65, nowhere);
    let policy = r#"{"pattern":"a","definition":{"max-length":1}}"#;
    check(
        &["set_parameter", "operator_policy", "x", policy],
        69,
        "Error:\nValidation failed\n\nKey \"priority\" not found in x\n\n",
    );
    let policy = r#"{"pattern":"a","definition":{"max-length":1},"priority":2}"#;
    rig.ctl(&["set_parameter", "operator_policy", "x", policy]);
    assert!(
        rig.ctl(&["list_operator_policies", "-s"])
            .starts_with("/\tx\ta\t")
    );
    for (component, name) in [("operator_policy", "x"), ("vhost-limits", "limits")] {
        rig.ctl(&["clear_parameter", component, name]);
        check(
            &["clear_parameter", component, name],
            69,
            "Error:\nParameter does not exist\n",
        );
    }
    assert_eq!(rig.ctl(&["list_parameters"]), "");
    rig.broker.stop();
}

#[test]
fn the_application_stops_and_starts_within_its_process() {
    let rig = Rig::start();
    let check = |line: &[&str], exit, printed: &str| rig.check(line, exit, printed);
    let mut wire = Wire::with_channel(rig.broker.amqp());
    wire.declare_queue("q", DURABLE);
    check(&["reset"], 64, NOT_STOPPED);
    check(&["force_boot"], 64, NOT_STOPPED);
    let pid = rig.ctl(&["status", "--formatter", "json"]);
    let pid = serde_json::from_str::<Value>(&pid).unwrap()["pid"].clone();
    std::thread::scope(|scope| {
        // Clients are told and close in their turn.
        scope.spawn(|| {
            let close = wire.expect_close(0);
            assert_eq!(
                (close.code, close.text.as_str()),
                (
                    320,
                    "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"
                )
            );
            wire.send(&encode::close_ok());
        });
        check(
            &["stop_app"],
            0,
            "Stopping rabbit application on node rabbit@h ...\n",
        );
    });
    assert!(TcpStream::connect(rig.broker.amqp()).is_err());
    assert!(TcpStream::connect(rig.broker.http()).is_err());
    rig.ctl(&["stop_app"]);
    check(&["list_queues"], 64, NOT_RUNNING);
    check(&["status"], 64, NOT_RUNNING);
    check(&["-q", "ping"], 0, "Ping succeeded\n");
    check(
        &["rabbitmq-diagnostics", "check_running"],
        69,
        "Error:\nRabbitMQ on node rabbit@h is not running or has not fully booted yet (check with is_booting)\n",
    );
    check(
        &["rabbitmq-diagnostics", "-q", "is_running"],
        0,
        "RabbitMQ on node rabbit@h is not running or has not fully booted yet (check with is_booting)\n",
    );
    check(&["start_app"], 0, "Starting node rabbit@h ...\n");
    check(&["await_startup"], 0, "");
    assert_eq!(rig.ctl(&["list_queues", "-s"]), "q\t0\n");
    let mut wire = Wire::with_channel(rig.broker.amqp());
    wire.declare_queue("q", DURABLE);
    drop(wire);
    rig.ctl(&["add_user", "u", "p"]);
    rig.ctl(&["stop_app"]);
    check(&["reset"], 0, "Resetting node rabbit@h ...\n");
    check(
        &["force_reset"],
        0,
        "Forcefully resetting node rabbit@h ...\n",
    );
    rig.ctl(&["start_app"]);
    assert_eq!(rig.ctl(&["list_queues", "-s"]), "");
    assert_eq!(rig.ctl(&["list_users", "-s"]), "guest\t[administrator]\n");
    let status = rig.ctl(&["status", "--formatter", "json"]);
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["pid"], pid, "the process is the same");
    Wire::with_channel(rig.broker.amqp()).close();
    rig.ctl(&["stop_app"]);
    // A process without application ends in order too.
    rig.ctl(&["stop"]);
    drop(rig);
}

#[test]
fn maintenance_closes_connections_and_takes_no_new_ones() {
    let rig = Rig::start();
    let check = |line: &[&str], exit, printed: &str| rig.check(line, exit, printed);
    let amqp = rig.broker.amqp();
    let kept = Wire::with_channel(amqp);
    check(
        &["suspend_listeners"],
        0,
        "Will suspend client connection listeners on node rabbit@h. The node will no longer accept client connections!\n",
    );
    eventually("nobody listens", || TcpStream::connect(amqp).is_err());
    assert_eq!(rig.ctl(&["list_connections", "-s"]).lines().count(), 1);
    check(
        &["resume_listeners"],
        0,
        "Will resume client connection listeners on node rabbit@h. The node will now accept client connections\n",
    );
    eventually("it listens", || TcpStream::connect(amqp).is_ok());
    check(
        &["rabbitmq-upgrade", "drain"],
        0,
        "Will put node rabbit@h into maintenance mode. The node will no longer serve any client traffic!\n",
    );
    let mut kept = kept;
    let close = kept.expect_close(0);
    assert_eq!(
        close.text,
        "CONNECTION_FORCED - Node was put into maintenance mode"
    );
    assert!(
        rig.ctl(&["status"])
            .contains("Is under maintenance?: true\n")
    );
    eventually("nobody listens", || TcpStream::connect(amqp).is_err());
    check(
        &["rabbitmq-upgrade", "revive"],
        0,
        "Will put node rabbit@h back into regular operating mode. The node will again serve client traffic and host primary queue replicas.\n",
    );
    eventually("it listens", || TcpStream::connect(amqp).is_ok());
    rig.broker.stop();
}

#[test]
fn the_log_says_more_or_less_when_told() {
    let rig = Rig::start();
    let check = |line: &[&str], exit, printed: &str| rig.check(line, exit, printed);
    check(
        &["set_log_level", "nonsense"],
        69,
        "Error:\nlevel nonsense is not supported. Try one of debug, info, warning, error, critical, none\n",
    );
    check(
        &["set_log_level", "none"],
        0,
        "Setting log level to \"none\" ...\n",
    );
    let mark = "asked to take AMQP connections or not";
    rig.ctl(&["suspend_listeners"]);
    rig.ctl(&["set_log_level", "info"]);
    assert!(!rig.broker.log().contains(mark));
    rig.ctl(&["resume_listeners"]);
    eventually("it is logged", || rig.broker.log().contains(mark));
    rig.broker.stop();
}

#[test]
fn features_are_there_and_deprecated_ones_are_told() {
    let rig = Rig::start();
    let check = |line: &[&str], exit, printed: &str| rig.check(line, exit, printed);
    let features = rig.ctl(&["list_feature_flags"]);
    assert!(features.starts_with("name\tstate\n"), "{features}");
    assert!(features.contains("stream_queue\tenabled\n"), "{features}");
    check(
        &["list_feature_flags", "nothing"],
        64,
        "Error (argument validation): Info key(s) nothing are not supported\n",
    );
    check(
        &["enable_feature_flag", "all"],
        0,
        "Enabling all feature flags ...\n",
    );
    check(
        &["enable_feature_flag", "quorum_queue"],
        0,
        "Enabling feature flag \"quorum_queue\" ...\n",
    );
    check(
        &["enable_feature_flag", "nothing"],
        64,
        "Error:\nThis feature flag is not supported by node rabbit@h\n",
    );
    let deprecated = rig.ctl(&["list_deprecated_features", "-s"]);
    assert!(
        deprecated.contains("global_qos\tpermitted_by_default\tpermitted\n"),
        "{deprecated}"
    );
    let check_name = "check_if_any_deprecated_features_are_used";
    check(
        &["rabbitmq-diagnostics", "-q", check_name],
        0,
        "Cluster reported no deprecated features in use\n",
    );
    let mut wire = Wire::with_channel(rig.broker.amqp());
    wire.declare_queue("transient", 0);
    assert_eq!(
        rig.ctl(&["list_deprecated_features", "--used", "-s", "name"]),
        "transient_nonexcl_queues\n"
    );
    check(
        &["rabbitmq-diagnostics", check_name],
        69,
        "Error:\ntransient_nonexcl_queues\n",
    );
    wire.close();
    rig.broker.stop();
}

#[test]
fn messages_are_shown_and_stay_as_they_are() {
    let rig = Rig::start();
    let mut wire = Wire::with_channel(rig.broker.amqp());
    wire.declare_queue("q", DURABLE);
    for body in ["one", "two", "three"] {
        wire.send(&encode::publish(
            1,
            ("", "q"),
            0,
            encode::PERSISTENT,
            body.as_bytes(),
        ));
    }
    eventually("they are there", || {
        rig.ctl(&["list_queues", "-s"]) == "q\t3\n"
    });
    let first = rig.run("rabbitmqctl", &["-q", "browse", "q", "--limit", "2"]);
    let lines: Vec<&str> = first.out.lines().collect();
    assert_eq!(lines.len(), 3, "{}", first.out);
    assert!(lines[0].starts_with("position\texchange\trouting_key\t"));
    assert!(lines[1].ends_with("\tone"), "{}", lines[1]);
    let next = first.err.trim().rsplit(' ').next().unwrap().to_owned();
    let rest = rig.ctl(&[
        "browse",
        "q",
        "--position",
        &next,
        "--formatter",
        "json",
        "--truncate",
        "2",
    ]);
    let rest: Value = serde_json::from_str(&rest).unwrap();
    assert_eq!(
        (&rest[0]["payload"], &rest[0]["payload_bytes"]),
        (&json!("th"), &json!(5))
    );
    let found = rig.ctl(&["browse", "q", "-s", "--body", "wo"]);
    assert!(
        found.ends_with("\ttwo\n") && found.lines().count() == 1,
        "{found}"
    );
    let young = rig.ctl(&["browse", "q", "-s", "--age", "1h"]);
    assert_eq!(young.lines().count(), 3, "{young}");
    rig.check(
        &["browse", "q", "--age", "1w"],
        65,
        "Error (argument validation): Bad argument: 1w is no age\n",
    );
    let both = rig.run(
        "rabbitmqctl",
        &["browse", "q", "--age", "1h", "--position", "1"],
    );
    assert_eq!(both.exit, 64, "{}", both.err);
    assert_eq!(rig.ctl(&["browse", "q", "--header", "a=b"]), "");
    rig.check(
        &["browse", "q", "--header", "a"],
        65,
        "Error (argument validation): Bad argument: a is no name=value of a header\n",
    );
    rig.check(&["browse", "none"], 69, "Error:\nnot_found\n");
    assert_eq!(rig.ctl(&["list_queues", "-s"]), "q\t3\n");
    wire.close();
    rig.broker.stop();
}

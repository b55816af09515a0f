//! RabbitMQ's command line tools as the binary answers to their names: exit codes and what is printed.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use tempfile::TempDir;

use crate::broker::Broker;
use crate::broker::Launch;
use crate::broker::eventually;
use crate::wire::Wire;
use crate::wire::encode;

/// A node and whoever operates it.
pub(crate) struct Rig {
    pub(crate) broker: Broker,
    pub(crate) home: TempDir,
}

pub(crate) struct Printed {
    pub(crate) exit: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn run(home: &Path, data: &Path, tool: &str, arguments: &[&str]) -> Printed {
    let settings = home.join("leveret.toml");
    std::fs::write(&settings, "cluster_name = \"rabbit@h\"").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_leveret"))
        .arg0(tool)
        .arg("--data-dir")
        .arg(data)
        .args(arguments)
        .env_clear()
        .env("LEVERET_CONFIG", settings)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Printed {
        exit: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Rig {
    pub(crate) fn start() -> Self {
        Self::with_settings("")
    }

    pub(crate) fn with_settings(settings: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let broker = Launch::serve()
            .settings(&format!("cluster_name = \"rabbit@h\"\n{settings}"))
            .data_dir(&home.path().join("data"))
            .start();
        Self { broker, home }
    }

    pub(crate) fn run(&self, tool: &str, arguments: &[&str]) -> Printed {
        let home = self.home.path();
        run(home, &home.join("data"), tool, arguments)
    }

    /// Runs a command that succeeds, without its banner.
    pub(crate) fn ctl(&self, line: &[&str]) -> String {
        let printed = self.run("rabbitmqctl", &[&["-q"], line].concat());
        assert_eq!(printed.exit, 0, "{line:?}: {}", printed.err);
        printed.out
    }

    /// A command's words, its exit code, and what is on standard output, or standard error if it fails.
    #[track_caller]
    pub(crate) fn check(&self, line: &[&str], exit: i32, printed: &str) {
        let (tool, line) = match line[0].starts_with("rabbitmq-") {
            true => (line[0], &line[1..]),
            false => ("rabbitmqctl", line),
        };
        let found = self.run(tool, line);
        let shown = if exit == 0 { &found.out } else { &found.err };
        // What was given and how it is used stands below.
        let reminder = shown.find("Arguments given:\n").unwrap_or(shown.len());
        assert_eq!(
            (found.exit, &shown[..reminder]),
            (exit, printed),
            "{line:?}"
        );
    }
}

#[test]
fn users_and_permissions() {
    let rig = Rig::start();
    let check = |line: &[&str], exit, printed: &str| rig.check(line, exit, printed);
    check(
        &["add_user", "u", "secret"],
        0,
        "Adding user \"u\" ...\nDone. Don't forget to grant the user permissions to some virtual hosts! See 'rabbitmqctl help set_permissions' to learn more.\n",
    );
    check(
        &["add_user", "u", "x"],
        70,
        "Error:\nUser \"u\" already exists\n",
    );
    check(
        &["add_user", "none"],
        65,
        "Error:\nPassword is not provided via argument or stdin\n",
    );
    check(
        &["set_user_tags", "u", "monitoring", "management"],
        0,
        "Setting tags for user \"u\" to [monitoring, management] ...\n",
    );
    check(
        &["list_users"],
        0,
        "Listing users ...\nuser\ttags\nguest\t[administrator]\nu\t[monitoring, management]\n",
    );
    check(
        &["list_users", "-s"],
        0,
        "guest\t[administrator]\nu\t[monitoring, management]\n",
    );
    check(
        &["--formatter=json", "list_users"],
        0,
        "[\n{\"user\":\"guest\",\"tags\":[\"administrator\"]}\n,{\"user\":\"u\",\"tags\":[\"monitoring\",\"management\"]}\n]\n",
    );
    check(
        &["list_users", "--formatter", "csv"],
        0,
        "\"user\",\"tags\"\n\"guest\",\"[administrator]\"\n\"u\",\"[monitoring, management]\"\n",
    );
    check(
        &["authenticate_user", "u", "secret"],
        0,
        "Authenticating user \"u\" ...\nSuccess\n",
    );
    check(
        &["authenticate_user", "u", "-wrong"],
        65,
        "Error:\nError: failed to authenticate user \"u\"\nuser 'u' - invalid credentials\n",
    );
    check(
        &["change_password", "u", "-new"],
        0,
        "Changing password for user \"u\" ...\n",
    );
    check(&["authenticate_user", "-q", "u", "-new"], 0, "Success\n");
    check(
        &["clear_password", "u"],
        0,
        "Clearing password for user \"u\" ...\n",
    );
    assert_eq!(
        rig.run("rabbitmqctl", &["authenticate_user", "u", "-new"])
            .exit,
        65
    );
    let no_user = "Error:\nUser \"nobody\" does not exist\n";
    let no_vhost = "Virtual host 'nowhere' does not exist\n";
    check(&["change_password", "nobody", "p"], 67, no_user);
    check(&["set_user_tags", "nobody"], 67, no_user);
    check(&["delete_user", "nobody"], 67, no_user);
    check(
        &["set_permissions", "-p", "/", "u", "^a", "", "^-b"],
        0,
        "Setting permissions for user \"u\" in vhost \"/\" ...\n",
    );
    check(&["set_permissions", "nobody", "", "", ""], 67, no_user);
    check(
        &["set_permissions", "-p", "nowhere", "u", "", "", ""],
        65,
        no_vhost,
    );
    check(
        &["list_permissions"],
        0,
        "Listing permissions for vhost \"/\" ...\nuser\tconfigure\twrite\tread\nguest\t.*\t.*\t.*\nu\t^a\t\t^-b\n",
    );
    check(&["list_permissions", "-p", "nowhere"], 65, no_vhost);
    check(
        &["list_user_permissions", "u"],
        0,
        "Listing permissions for user \"u\" ...\nvhost\tconfigure\twrite\tread\n/\t^a\t\t^-b\n",
    );
    check(&["list_user_permissions", "nobody"], 67, no_user);
    check(
        &["set_topic_permissions", "u", "amq.topic", "^w", "^r"],
        0,
        "Setting topic permissions on \"amq.topic\" for user \"u\" in vhost \"/\" ...\n",
    );
    check(
        &["list_topic_permissions"],
        0,
        "Listing topic permissions for vhost \"/\" ...\nuser\texchange\twrite\tread\nu\tamq.topic\t^w\t^r\n",
    );
    check(
        &["list_user_topic_permissions", "u"],
        0,
        "Listing topic permissions for user \"u\" ...\nvhost\texchange\twrite\tread\n/\tamq.topic\t^w\t^r\n",
    );
    check(
        &["clear_topic_permissions", "u"],
        0,
        "Clearing topic permissions for user \"u\" in vhost \"/\" ...\n",
    );
    assert_eq!(rig.ctl(&["list_topic_permissions"]), "");
    check(
        &["clear_permissions", "u"],
        0,
        "Clearing permissions for user \"u\" in vhost \"/\" ...\n",
    );
    check(
        &["set_permissions_globally", "u", ".*", ".*", ".*"],
        0,
        "Setting permissions for user \"u\" in all virtual hosts ...\n",
    );
    check(
        &["set_user_limits", "u", "{\"max-channels\":3}"],
        0,
        "Setting user limits to \"{\"max-channels\":3}\" for user \"u\" ...\n",
    );
    check(
        &["list_user_limits", "--user", "u"],
        0,
        "Listing limits for user \"u\" ...\n{\"max-channels\":3}\n",
    );
    check(
        &["clear_user_limits", "u", "all"],
        0,
        "Clearing all limits for user \"u\" ...\n",
    );
    assert_eq!(rig.ctl(&["list_user_limits", "--global"]), "");
    check(&["delete_user", "u"], 0, "Deleting user \"u\" ...\n");
    rig.broker.stop();
}

#[test]
fn virtual_hosts_policies_and_parameters() {
    let rig = Rig::start();
    let check = |line: &[&str], exit, printed: &str| rig.check(line, exit, printed);
    let add = &[
        "add_vhost",
        "v",
        "--description",
        "for tests",
        "--default_queue_type",
        "quorum",
    ];
    check(add, 0, "Adding vhost \"v\" ...\n");
    check(&["add_vhost", "v"], 0, "Adding vhost \"v\" ...\n");
    check(
        &[
            "list_vhosts",
            "name",
            "description",
            "default_queue_type",
            "tracing",
        ],
        0,
        "Listing vhosts ...\nname\tdescription\tdefault_queue_type\ttracing\n/\tDefault virtual host\tundefined\tfalse\nv\tfor tests\tquorum\tfalse\n",
    );
    check(
        &["set_vhost_tags", "v", "a", "b"],
        0,
        "Setting tags for virtual host \"v\" to [a, b] ...\n",
    );
    assert_eq!(rig.ctl(&["list_vhosts", "tags", "-s"]), "[]\n[a, b]\n");
    check(
        &["set_vhost_limits", "-p", "v", "{\"max-queues\":1}"],
        0,
        "Setting vhost limits to \"{\"max-queues\":1}\" for vhost \"v\" ...\n",
    );
    check(
        &["list_vhost_limits", "--global"],
        0,
        "Listing limits for all vhosts ...\nvhost\tlimits\nv\t{\"max-queues\":1}\n",
    );
    assert_eq!(
        rig.run("rabbitmqctl", &["set_vhost_limits", "{\"max\":1}"])
            .exit,
        69
    );
    check(
        &["clear_vhost_limits", "-p", "v"],
        0,
        "Clearing vhost \"v\" limits ...\n",
    );
    let definition = "{\"message-ttl\":1000}";
    check(
        &[
            "set_policy",
            "ttl",
            "^q",
            definition,
            "--apply-to",
            "queues",
            "--priority",
            "-3",
        ],
        0,
        "Setting policy \"ttl\" for pattern \"^q\" to \"{\"message-ttl\":1000}\" with priority \"-3\" for vhost \"/\" ...\n",
    );
    check(
        &["list_policies"],
        0,
        "Listing policies for vhost \"/\" ...\nvhost\tname\tpattern\tapply-to\tdefinition\tpriority\n/\tttl\t^q\tqueues\t{\"message-ttl\":1000}\t-3\n",
    );
    check(
        &["set_policy", "x", "^q", "{\"message-tl\":1}"],
        69,
        "Error:\nValidation failed\n\n[{<<\"message-tl\">>,1}] are not recognised policy settings\n\n",
    );
    assert_eq!(
        rig.run("rabbitmqctl", &["set_policy", "x", "^q", "{"]).exit,
        69
    );
    check(
        &["clear_policy", "ttl"],
        0,
        "Clearing policy \"ttl\" on vhost \"/\" ...\n",
    );
    check(
        &["clear_policy", "ttl"],
        69,
        "Error:\nParameter does not exist\n",
    );
    check(
        &["set_operator_policy", "o", ".*", definition],
        0,
        "Setting operator policy override \"o\" for pattern \".*\" to \"{\"message-ttl\":1000}\" with priority \"0\" for vhost \"/\" ...\n",
    );
    let operators = rig.ctl(&["list_operator_policies", "-s"]);
    assert_eq!(operators, "/\to\t.*\tall\t{\"message-ttl\":1000}\t0\n");
    rig.ctl(&["clear_operator_policy", "o"]);
    check(
        &["set_global_parameter", "p", "{\"a\":[1]}"],
        0,
        "Setting global runtime parameter \"p\" to \"{\"a\":[1]}\" ...\n",
    );
    let all = rig.ctl(&["list_global_parameters", "-s"]);
    assert!(all.contains("p\t{\"a\":[1]}\n"), "{all}");
    rig.ctl(&["clear_global_parameter", "p"]);
    check(
        &["clear_global_parameter", "p"],
        69,
        "Error:\nParameter does not exist\n",
    );
    check(
        &["set_cluster_name", "c"],
        0,
        "Setting cluster name to c ...\n",
    );
    check(
        &["trace_on"],
        0,
        "Starting tracing for vhost \"/\" ...\nTrace enabled for vhost /\n",
    );
    check(
        &["trace_off"],
        0,
        "Stopping tracing for vhost \"/\" ...\nTrace disabled for vhost /\n",
    );
    check(&["delete_vhost", "v"], 0, "Deleting vhost \"v\" ...\n");
    check(
        &["delete_vhost", "v"],
        65,
        "Virtual host 'v' does not exist\n",
    );
    rig.broker.stop();
}

#[test]
fn queues_connections_and_what_they_hold() {
    let rig = Rig::start();
    let check = |line: &[&str], exit, printed: &str| rig.check(line, exit, printed);
    let mut wire = Wire::with_channel(rig.broker.amqp());
    wire.declare_queue("q", encode::DURABLE);
    wire.call(&encode::queue_bind(1, "q", "amq.topic", "k", &[]), (50, 21));
    for _ in 0..3 {
        wire.send(&encode::publish(
            1,
            ("", "q"),
            0,
            encode::TRANSIENT,
            b"body",
        ));
    }
    eventually("they are there", || {
        rig.ctl(&["list_queues", "-s"]) == "q\t3\n"
    });
    check(
        &[
            "list_queues",
            "name",
            "messages_ready",
            "durable",
            "arguments",
            "type",
            "message_bytes",
        ],
        0,
        "Timeout: 60.0 seconds ...\nListing queues for vhost / ...\nname\tmessages_ready\tdurable\targuments\ttype\tmessage_bytes\nq\t3\ttrue\t[]\tclassic\t12\n",
    );
    check(&["list_queues", "-q", "--offline"], 0, "");
    check(
        &["list_queues", "bogus"],
        64,
        "Error (argument validation): Info key(s) bogus are not supported\n",
    );
    check(
        &["list_bindings"],
        0,
        "Listing bindings for vhost /...\nsource_name\tsource_kind\tdestination_name\tdestination_kind\trouting_key\targuments\n\texchange\tq\tqueue\tq\t[]\namq.topic\texchange\tq\tqueue\tk\t[]\n",
    );
    let exchanges = rig.ctl(&["list_exchanges"]);
    assert!(
        exchanges.starts_with("name\ttype\n\tdirect\namq.direct\tdirect\n"),
        "{exchanges}"
    );
    let port = wire.socket().local_addr().unwrap().port();
    check(
        &["list_connections"],
        0,
        &format!(
            "Listing connections ...\nuser\tpeer_host\tpeer_port\tstate\nguest\t127.0.0.1\t{port}\trunning\n"
        ),
    );
    let channels = rig.ctl(&[
        "list_channels",
        "-s",
        "connection",
        "number",
        "user",
        "confirm",
    ]);
    let pid = channels.split('\t').next().unwrap().to_owned();
    assert_eq!(channels, format!("{pid}\t1\tguest\tfalse\n"));
    wire.call(&encode::consume(1, "q", 0), (60, 21));
    wire.delivery(1);
    let consumers = rig.ctl(&[
        "list_consumers",
        "-s",
        "queue_name",
        "ack_required",
        "active",
    ]);
    assert_eq!(consumers, "q\ttrue\ttrue\n");
    check(
        &["delete_queue", "q", "-u"],
        64,
        "Error:\nThe queue is in use\n",
    );
    check(
        &["close_connection", "<none>", "because"],
        69,
        "Error:\nnot_found: no connection <none>\n",
    );
    check(
        &["close_connection", &pid, "because"],
        0,
        &format!("Closing connection {pid}, reason: because...\n"),
    );
    let close = loop {
        if let Some(frame) = wire.next_frame()
            && frame.channel == 0
        {
            break String::from_utf8_lossy(&frame.payload).into_owned();
        }
    };
    assert!(close.contains("because"), "{close}");
    drop(wire);
    eventually("it is gone", || {
        rig.ctl(&["list_connections", "-s"]).is_empty()
    });
    check(
        &["delete_queue", "q", "--if-empty"],
        64,
        "Error:\nThe queue is not empty\n",
    );
    check(
        &["purge_queue", "q"],
        0,
        "Purging queue 'q' in vhost '/' ...\n",
    );
    check(
        &["delete_queue", "q"],
        0,
        "Deleting queue 'q' on vhost '/' ...\nQueue was successfully deleted with 0 ready messages\n",
    );
    check(
        &["delete_queue", "q"],
        64,
        "Error:\nNo such queue was found\n",
    );
    assert_eq!(rig.run("rabbitmqctl", &["purge_queue", "q"]).exit, 69);
    check(
        &["close_all_connections", "enough"],
        0,
        "Closing all connections in vhost /, reason: enough...\nClosed 0 connections\n",
    );
    check(
        &["close_all_user_connections", "guest", "enough"],
        0,
        "Closing connections of user guest, reason: enough...\n",
    );
    rig.broker.stop();
}

#[test]
fn the_node_and_its_health() {
    let rig = Rig::start();
    let check = |line: &[&str], exit, printed: &str| rig.check(line, exit, printed);
    let amqp = rig.broker.amqp().port();
    let http = rig.broker.http().port();
    check(
        &["rabbitmq-diagnostics", "ping"],
        0,
        "Will ping rabbit@h. This only checks if the OS process is running and registered with epmd. Timeout: 60000 ms.\nPing succeeded\n",
    );
    check(
        &["rabbitmq-diagnostics", "-q", "ping"],
        0,
        "Ping succeeded\n",
    );
    check(
        &["rabbitmq-diagnostics", "check_running"],
        0,
        "Checking if RabbitMQ is running on node rabbit@h ...\nRabbitMQ on node rabbit@h is fully booted and running\n",
    );
    check(
        &["rabbitmq-diagnostics", "-q", "check_port_connectivity"],
        0,
        &format!(
            "Successfully connected to ports {amqp}, {http} on node rabbit@h (using node hostname resolution)\n"
        ),
    );
    check(
        &[
            "rabbitmq-diagnostics",
            "-q",
            "check_port_listener",
            &amqp.to_string(),
        ],
        0,
        &format!("A listener for port {amqp} is running on node rabbit@h.\n"),
    );
    check(
        &["rabbitmq-diagnostics", "check_port_listener", "1"],
        69,
        &format!(
            "No listener for port 1 is active on node rabbit@h. Found listeners that use the following ports: {amqp}, {http}\n"
        ),
    );
    check(
        &[
            "rabbitmq-diagnostics",
            "-q",
            "check_protocol_listener",
            "amqp",
        ],
        0,
        "A listener for protocol amqp is running on node rabbit@h.\n",
    );
    assert_eq!(
        rig.run("rabbitmq-diagnostics", &["check_protocol_listener", "mqtt"])
            .exit,
        69
    );
    check(
        &["rabbitmq-diagnostics", "-q", "check_virtual_hosts"],
        0,
        "Node rabbit@h reported all vhosts as running\n",
    );
    check(
        &["rabbitmq-queues", "-q", "check_if_node_is_quorum_critical"],
        0,
        "Node rabbit@h seems to be the only one in a single node cluster, the check does not apply\n",
    );
    check(&["rabbitmq-diagnostics", "-q", "node_health_check"], 0, "");
    check(
        &["rabbitmq-diagnostics", "-q", "listeners"],
        0,
        &format!(
            "Interface: 127.0.0.1, port: {amqp}, protocol: amqp, purpose: AMQP 0-9-1\nInterface: 127.0.0.1, port: {http}, protocol: http, purpose: HTTP API\n"
        ),
    );
    check(&["version"], 0, "3.13.7\n");
    check(
        &["rabbitmq-diagnostics", "-q", "server_version"],
        0,
        "3.13.7\n",
    );
    check(&["await_startup"], 0, "");
    check(&["-q", "await_online_nodes", "1"], 0, "");
    assert_eq!(
        rig.run("rabbitmqctl", &["await_online_nodes", "2", "-t", "0"])
            .exit,
        70
    );
    let status = rig.ctl(&["status", "--formatter", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["totals"]["virtual_host_count"], 1);
    let pid = status["pid"].to_string();
    check(
        &["wait", "-q", "--pid", &pid],
        0,
        "Applications 'rabbit_and_plugins' are running on node 'rabbit@h'\n",
    );
    let status = rig.ctl(&["status"]);
    for title in [
        "Runtime",
        "Alarms\n\n(none)",
        "Memory",
        "Totals",
        "Listeners",
    ] {
        assert!(status.contains(title), "{status}");
    }
    assert!(
        rig.ctl(&["cluster_status"])
            .contains("Running Nodes\n\nrabbit@h\n")
    );
    assert!(
        rig.ctl(&["environment"])
            .contains("default_pass = \"(hidden)\"\n")
    );
    check(
        &["join_cluster", "rabbit@other"],
        69,
        "Error:\njoin_cluster: the node is a cluster by itself: this version of Leveret joins no others\n",
    );
    check(
        &["-n", "rabbit@other", "status"],
        69,
        "Error: unable to perform an operation on node 'rabbit@other'. Please see diagnostics information and suggestions below.\n\nno such node: this machine's is rabbit@h\n",
    );
    rig.broker.stop();
}

#[test]
fn alarms_come_and_go_by_command() {
    let rig = Rig::start();
    let check = |line: &[&str], exit, printed: &str| rig.check(line, exit, printed);
    check(
        &["rabbitmq-diagnostics", "-q", "check_alarms"],
        0,
        "Node rabbit@h reported no alarms, local or clusterwide\n",
    );
    let mut wire = Wire::with_channel(rig.broker.amqp());
    wire.declare_queue("q", 0);
    check(
        &["set_vm_memory_high_watermark", "0"],
        0,
        "Setting memory threshold on rabbit@h to 0 ...\n",
    );
    check(
        &["set_disk_free_limit", "9999TB"],
        0,
        "Setting disk free limit on rabbit@h to 9999TB bytes ...\n",
    );
    let both = "Memory alarm on node rabbit@h\nFree disk space alarm on node rabbit@h\n";
    check(
        &["rabbitmq-diagnostics", "check_local_alarms"],
        69,
        &format!("Error:\n{both}"),
    );
    check(&["rabbitmq-diagnostics", "-q", "alarms"], 0, both);
    wire.send(&encode::publish(1, ("", "q"), 0, encode::TRANSIENT, b"a"));
    eventually("it is blocked", || {
        rig.ctl(&["list_connections", "-s", "state"]) == "blocked\n"
    });
    assert_eq!(rig.ctl(&["list_queues", "-s"]), "q\t0\n");
    rig.ctl(&["set_vm_memory_high_watermark", "absolute", "900GB"]);
    rig.ctl(&["set_disk_free_limit", "mem_relative", "0"]);
    eventually("it goes on", || rig.ctl(&["list_queues", "-s"]) == "q\t1\n");
    assert_eq!(
        rig.run("rabbitmqctl", &["set_vm_memory_high_watermark", "2"])
            .exit,
        65
    );
    wire.close();
    rig.broker.stop();
}

#[test]
fn plugins_are_built_in_or_missing() {
    let home = tempfile::tempdir().unwrap();
    // No node is needed, as in the making of images.
    let run = |line: &[&str]| {
        run(
            home.path(),
            &home.path().join("none"),
            "rabbitmq-plugins",
            line,
        )
    };
    let enabled = run(&["enable", "--offline", "rabbitmq_management"]);
    assert_eq!(enabled.exit, 0, "{}", enabled.err);
    assert!(
        enabled.out.ends_with("Plugin configuration unchanged.\n"),
        "{}",
        enabled.out
    );
    let unknown = run(&["enable", "rabbitmq_foo"]);
    assert_eq!(
        (unknown.exit, &*unknown.err),
        (70, "Error:\n{:plugins_not_found, [:rabbitmq_foo]}\n")
    );
    assert_eq!(run(&["enable", "rabbitmq_mqtt"]).exit, 69);
    assert_eq!(run(&["disable", "rabbitmq_management"]).exit, 69);
    assert_eq!(run(&["disable", "rabbitmq_mqtt"]).exit, 0);
    assert_eq!(run(&["is_enabled", "rabbitmq_management"]).exit, 0);
    assert_eq!(run(&["is_enabled", "rabbitmq_shovel"]).exit, 69);
    let listed = run(&["list", "-q", "-m", "-e", "prometheus"]);
    assert_eq!((listed.exit, &*listed.out), (0, "rabbitmq_prometheus\n"));
    assert!(run(&["list", "-q"]).out.contains("[  ] rabbitmq_mqtt "));
}

#[test]
fn wrong_usage_and_nodes_that_are_down() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("none");
    let run = |line: &[&str]| run(home.path(), &data, "rabbitmqctl", line);
    let unknown = run(&["list_user"]);
    assert_eq!(unknown.exit, 64);
    let said = "Command 'list_user' not found. \nDid you mean 'list_users'?";
    assert!(unknown.err.contains(said), "{}", unknown.err);
    for line in [
        &["add_vhost"][..],
        &["list_users", "extra"],
        &["list_users", "--bogus"],
        &["list_users", "--formatter", "xml"],
    ] {
        let wrong = run(line);
        assert_eq!(wrong.exit, 64, "{line:?}");
        assert!(
            wrong.err.starts_with("Error (argument validation): "),
            "{}",
            wrong.err
        );
    }
    for line in [
        &["status"][..],
        &["list_users"],
        &["ping"],
        &["check_running"],
        &["stop"],
    ] {
        assert_eq!(run(line).exit, 69, "{line:?}");
    }
    let down = run(&["list_users"]).err;
    assert!(
        down.starts_with("Error: unable to perform an operation on node 'rabbit@h'."),
        "{down}"
    );
    assert_eq!(run(&["await_startup", "-t", "0"]).exit, 75);
    assert_eq!(run(&["wait", "--pid", "4194304"]).exit, 69);
    assert_eq!(
        run(&["is_running", "-q"]).out,
        "RabbitMQ on node rabbit@h is not running or has not fully booted yet (check with is_booting)\n"
    );
    let help = run(&["set_permissions", "--help"]);
    assert!(
        help.exit == 0 && help.out.contains("Regular expression"),
        "{}",
        help.out
    );
}

#[test]
fn the_node_stops_when_it_is_told_to() {
    let mut rig = Rig::start();
    let stopped = rig.run("rabbitmqctl", &["stop"]);
    assert_eq!(
        (stopped.exit, &*stopped.out),
        (0, "Stopping and halting node rabbit@h ...\n")
    );
    eventually("it has ended", || rig.broker.has_ended());
}

/// Words of a line as a shell has them, as far as the document needs it.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for character in line.chars() {
        match (quote, character) {
            (Some(open), close) if open == close => quote = None,
            (None, '\'' | '"') => quote = Some(character),
            (None, ' ') => words.push(String::new()),
            (Some(_) | None, other) => words.last_mut().unwrap().push(other),
        }
    }
    words
}

#[test]
fn the_first_day_goes_as_the_document_says() {
    let mut rig = Rig::start();
    let document = include_str!("../../docs/operating.md");
    let lines = document.lines().filter_map(|line| line.strip_prefix("$ "));
    let mut ran = 0;
    for line in lines {
        let line = words(line);
        let arguments: Vec<&str> = line[1..].iter().map(String::as_str).collect();
        let printed = rig.run(&line[0], &arguments);
        assert_eq!(printed.exit, 0, "{line:?}: {}", printed.err);
        ran += 1;
    }
    assert!(ran > 20);
    eventually("it has stopped", || rig.broker.has_ended());
}

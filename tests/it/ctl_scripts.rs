//! What scripts, plugins of monitoring systems and tools such as Ansible, Puppet and Chef ask of RabbitMQ's tools, and how
//! they are misused.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::mpsc;

use crate::broker::Launch;
use crate::broker::eventually;
use crate::ctl::Rig;
use crate::wire::Wire;
use crate::wire::encode;

/// A tool that is talked to while it runs.
fn spawn(rig: &Rig, tool: &str, line: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_leveret"))
        .arg0(tool)
        .args(line)
        .arg("--data-dir")
        .arg(rig.home.path().join("data"))
        .env_clear()
        .env("LEVERET_CLUSTER_NAME", "rabbit@h")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Exit code, standard output and standard error of a command with this on standard input.
fn with_input(rig: &Rig, line: &[&str], input: &str) -> (i32, String, String) {
    let mut child = spawn(rig, "rabbitmqctl", line);
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    let exit = output.status.code().unwrap();
    (exit, text(output.stdout), text(output.stderr))
}

#[test]
fn passwords_are_read_from_standard_input() {
    let rig = Rig::start();
    let (exit, out, _) = with_input(&rig, &["add_user", "u"], "secret\n");
    assert_eq!(exit, 0);
    assert!(
        out.starts_with("Adding user \"u\" ...\nPassword: \nDone."),
        "{out}"
    );
    let quietly = |line: &[&str], input| with_input(&rig, &[&["-q"], line].concat(), input);
    let success = (0, "Success\n".to_owned(), String::new());
    assert_eq!(quietly(&["authenticate_user", "u"], "secret"), success);
    assert_eq!(quietly(&["change_password", "u"], "other\n").0, 0);
    assert_eq!(quietly(&["authenticate_user", "u"], "other"), success);
    assert_eq!(
        quietly(&["add_user", "v"], ""),
        (
            65,
            String::new(),
            "Error:\nPassword is not provided via argument or stdin\n".to_owned()
        )
    );
    assert_eq!(quietly(&["change_password", "u"], "").0, 70);
    let blank = rig.run("rabbitmqctl", &["authenticate_user", "u", ""]);
    assert_eq!(blank.exit, 65);
    assert!(
        blank
            .err
            .contains("user 'u' attempted to log in with a blank password"),
        "{}",
        blank.err
    );
    rig.broker.stop();
}

#[test]
fn puppet_is_told_whether_a_password_is_right() {
    let rig = Rig::start();
    let login = |name: &str, password: &str| {
        let expression = format!(
            "rabbit_access_control:check_user_pass_login(list_to_binary(\"{name}\"), list_to_binary(\"{password}\"))."
        );
        rig.ctl(&["eval", &expression])
    };
    assert_eq!(
        login("guest", "guest"),
        "{ok,{user,<<\"guest\">>,[administrator],[{rabbit_auth_backend_internal,none}]}}\n"
    );
    assert_eq!(
        login("guest", "wrong"),
        "{refused,<<\"guest\">>,\"user '~ts' - invalid credentials\",[<<\"guest\">>]}\n"
    );
    assert!(login("nobody", "x").starts_with("{refused,"));
    assert_eq!(rig.ctl(&["eval", "node()."]), "rabbit@h\n");
    rig.broker.stop();
}

/// Words with spaces between, of which the last two may be quoted; what is printed on standard output, whole.
const SCRIPTS: &[(&str, &str)] = &[
    // Ansible's community.rabbitmq
    (
        "rabbitmqctl -q list_users --formatter json",
        "[\n{\"user\":\"guest\",\"tags\":[\"administrator\"]}\n]\n",
    ),
    (
        "rabbitmqctl -q list_vhosts name tracing",
        "name\ttracing\n/\tfalse\n",
    ),
    ("rabbitmqctl -q -p / list_vhost_limits", "\n"),
    ("rabbitmqctl -q list_user_limits --user guest", "{}\n"),
    ("rabbitmqctl -q list_parameters -p /", ""),
    ("rabbitmq-plugins list -E -m -q", ""),
    (
        "rabbitmq-plugins -q enable --online rabbitmq_management",
        "The following plugins have been configured:\n  rabbitmq_management\nApplying plugin configuration to rabbit@h...\n\
         Plugin configuration unchanged.\n",
    ),
    ("rabbitmq-plugins list -E -m -q", "rabbitmq_management\n"),
    (
        "rabbitmq-plugins list -q rabbitmq_management",
        "[E*] rabbitmq_management       3.13.7\n[e*] rabbitmq_management_agent 3.13.7\n",
    ),
    (
        "rabbitmq-plugins -q set --offline rabbitmq_prometheus rabbitmq_event_exchange",
        "The following plugins have been configured:\n  rabbitmq_event_exchange\n  rabbitmq_prometheus\n\
         Applying plugin configuration to rabbit@h...\nset 2 plugins.\n",
    ),
    (
        "rabbitmq-plugins -q set",
        "All plugins have been disabled.\nApplying plugin configuration to rabbit@h...\nnothing to do.\n",
    ),
    // Puppet's rabbitmq
    (
        "rabbitmqctl list_users -q --no-table-headers",
        "guest\t[administrator]\n",
    ),
    (
        "rabbitmqctl list_vhosts -q --no-table-headers name,description,default_queue_type,tags -s",
        "/\tDefault virtual host\tundefined\t[]\n",
    ),
    (
        "rabbitmq-plugins list -e -m rabbitmq_prometheus",
        "Listing plugins with pattern \"rabbitmq_prometheus\" ...\nrabbitmq_prometheus\n",
    ),
    // Chef's rabbitmq
    (
        "rabbitmqctl -s list_user_permissions guest",
        "/\t.*\t.*\t.*\n",
    ),
    (
        "rabbitmqctl -q cluster_status --formatter erlang",
        "[{nodes,[{disc,[rabbit@h]}]},\n {running_nodes,[rabbit@h]},\n {cluster_name,<<\"rabbit@h\">>},\n {partitions,[]},\n \
         {alarms,[{rabbit@h,[]}]},\n {maintenance_status,[{rabbit@h,<<\"not under maintenance\">>}]}]\n",
    ),
    // Formatters that print terms
    (
        "rabbitmqctl -q list_users --formatter erlang",
        "[[{user,<<\"guest\">>},{tags,[administrator]}]]\n",
    ),
    (
        "rabbitmqctl -q list_users --formatter string",
        "[user: \"guest\", tags: [:administrator]]\n",
    ),
    ("rabbitmqctl -q list_queues --formatter erlang", "[]\n"),
    (
        "rabbitmqctl -q ping --formatter erlang",
        "<<\"Ping succeeded\">>\n",
    ),
    ("rabbitmqctl -q ping --formatter string", "Ping succeeded\n"),
    // The version that clients are told
    ("rabbitmqctl --version", "3.13.7\n"),
];

#[test]
fn scripts_read_what_rabbitmq_prints() {
    let rig = Rig::start();
    for (line, expected) in SCRIPTS {
        let words: Vec<&str> = line.split(' ').collect();
        let printed = rig.run(words[0], &words[1..]);
        assert_eq!(
            (printed.exit, printed.out.as_str(), printed.err.as_str()),
            (0, *expected, ""),
            "{line}"
        );
    }
    rig.broker.stop();
}

/// With `-q`: how it ends, and how standard error starts.
const MISUSE: &[(&str, i32, &str)] = &[
    (
        "add_user  p",
        65,
        "Error (argument validation): Bad argument: user cannot be an empty string\nArguments given:\n\t--data-dir ",
    ),
    (
        "wait",
        64,
        "Error (argument validation): \"No pid or pidfile specified\"\n",
    ),
    (
        "wait --pid 1 /x",
        64,
        "Error (argument validation): \"Cannot specify both pid and pidfile\"\n",
    ),
    (
        "list_users -t x",
        64,
        "Error (argument validation): Invalid options for this command:\n--timeout : x\n",
    ),
    (
        "list_users -t 0",
        75,
        "Error: operation list_users on node rabbit@h timed out. Timeout value used: 0\n",
    ),
    (
        "check_port_listener x",
        65,
        "Error (argument validation): Bad argument: Argument must be a positive integer\n",
    ),
    (
        "check_port_listener 70000",
        69,
        "No listener for port 70000 is active on node rabbit@h.",
    ),
    (
        "set_policy p . {",
        69,
        "Error:\nJSON decoding error. Reason: ",
    ),
    (
        "set_user_limits guest {\"max\":1}",
        69,
        "Error:\nUnrecognised terms [{<<\"max\">>,1}] in user-limits\n",
    ),
    (
        "rebalance stones",
        69,
        "Error:\ntype stones is not supported. Try one of all, quorum, stream.\n",
    ),
    (
        "enable --online --offline rabbitmq_management",
        65,
        "Error (argument validation): Bad argument: Cannot set both online and offline\n",
    ),
    (
        "status --formatter erlang",
        64,
        "Error (argument validation): status has no terms of Erlang",
    ),
    (
        "list_unresponsive_queues bogus",
        64,
        "Error (argument validation): Info key(s) bogus ",
    ),
    ("quorum_status nothing", 69, "Error:\nnot_found\n"),
    (
        "log_tail",
        69,
        "Error:\nNo log files configured on the node\n",
    ),
    (
        "-n rabbit@other ping",
        69,
        "Error: unable to perform an operation on node 'rabbit@other'.",
    ),
];

#[test]
fn misuse_is_told_as_rabbitmq_tells_it() {
    let rig = Rig::start();
    for (line, exit, start) in MISUSE {
        let words: Vec<&str> = line.split(' ').collect();
        let printed = rig.run("rabbitmqctl", &[&["-q"], &words[..]].concat());
        assert_eq!(printed.exit, *exit, "{line}: {}", printed.err);
        assert!(printed.err.starts_with(start), "{line}: {}", printed.err);
    }
    // Of a node that is not there nothing is announced.
    for line in [
        ["-n", "rabbit@other", "list_users"],
        ["-t", "0", "list_users"],
    ] {
        assert_eq!(rig.run("rabbitmqctl", &line).out, "");
    }
    // Names as long as they may be, of any letters, and such that look like options.
    let long = "ж".repeat(127) + "x";
    for name in [&*long, "-x", "--no_table_headers"] {
        rig.ctl(&["add_user", "--", name, "p"]);
        assert_eq!(
            rig.ctl(&["authenticate_user", "--", name, "p"]),
            "Success\n"
        );
        rig.ctl(&["delete_user", "--", name]);
    }
    assert_eq!(rig.run("rabbitmqctl", &[]).exit, 64);
    rig.broker.stop();
}

impl Rig {
    /// A node that logs into a file.
    fn start_with_log_file() -> Self {
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("node.log");
        let broker = Launch::serve()
            .settings("cluster_name = \"rabbit@h\"")
            .settings(&format!("log.file = \"{}\"", log.display()))
            .data_dir(&home.path().join("data"))
            .start();
        Self { broker, home }
    }
}

/// Runs a command that does not end, until doing something makes it print such a line.
fn follow(rig: &Rig, line: &[&str], act: impl Fn(), fits: impl Fn(&str) -> bool) {
    let mut child = spawn(rig, "rabbitmq-diagnostics", line);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (tell, told) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in lines {
            let _ = tell.send(line.unwrap());
        }
    });
    eventually("a line is shown", || {
        act();
        told.try_iter().any(|line| fits(&line))
    });
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap();
}

#[test]
fn events_are_shown_as_they_come() {
    let rig = Rig::start();
    let act = || {
        rig.ctl(&["add_vhost", "seen"]);
        rig.ctl(&["delete_vhost", "seen"]);
    };
    let is_creation = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["event"], "vhost.created", "{line}");
        event["name"] == "seen" && event["timestamp_in_ms"].is_u64()
    };
    let words = ["consume_event_stream", "--pattern", "^vhost.created"];
    follow(&rig, &words, act, is_creation);
    let ended = rig.run("rabbitmq-diagnostics", &["consume_event_stream", "-d", "0"]);
    assert_eq!((ended.exit, &*ended.out), (0, ""));
    rig.broker.stop();
}

#[test]
fn the_log_is_shown_from_its_end_and_as_it_grows() {
    let rig = Rig::start_with_log_file();
    let log = rig.home.path().join("node.log");
    let place = format!("{}\n", log.display());
    assert_eq!(rig.ctl(&["log_location"]), place);
    assert!(rig.ctl(&["log_location", "--all"]).contains(&place));
    let written = std::fs::read_to_string(&log).unwrap();
    let last = written.lines().last().unwrap();
    assert_eq!(rig.ctl(&["log_tail", "-N", "1"]), format!("{last}\n"));
    assert_eq!(rig.ctl(&["log_tail", "--number", "1000"]), written);

    follow(
        &rig,
        &["-q", "log_tail_stream"],
        || drop(rig.ctl(&["resume_listeners"])),
        |line| line.contains("AMQP connections"),
    );
    let ended = rig.run("rabbitmq-diagnostics", &["log_tail_stream", "-d", "0"]);
    assert_eq!(
        (ended.exit, &*ended.out),
        (0, "Streaming logs from node rabbit@h for 0 seconds ...\n")
    );
    rig.broker.stop();
}

#[test]
fn quorum_queues_have_one_member_which_leads() {
    let rig = Rig::start();
    let mut wire = Wire::with_channel(rig.broker.amqp());
    let quorum = encode::entry("x-queue-type", &encode::text_value("quorum"));
    let declare = encode::queue_declare(1, "quorum", encode::DURABLE, &quorum);
    wire.call(&declare, (50, 11));
    wire.declare_queue("classic", encode::DURABLE);
    let status = rig.ctl(&["quorum_status", "quorum", "--formatter", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let member = &status[0];
    assert_eq!(member["Node Name"], "rabbit@h");
    assert_eq!(member["Raft State"], "leader");
    assert!(member["Commit Index"].as_u64() <= member["Last Log Index"].as_u64());
    let table = rig.ctl(&["quorum_status", "quorum"]);
    assert!(
        table.contains("│ Node Name │ Raft State │ Membership │ Last Log Index │"),
        "{table}"
    );
    let classic = rig.run("rabbitmq-queues", &["quorum_status", "classic"]);
    assert_eq!(
        (classic.exit, &*classic.err),
        (69, "Error:\nCannot get quorum status of a classic queue\n")
    );
    let balanced = rig.ctl(&["rebalance", "all", "--queue-pattern", "^q"]);
    assert!(
        balanced.contains("│ rabbit@h  │ 1                       │\n"),
        "{balanced}"
    );
    assert_eq!(
        rig.ctl(&["rebalance", "all", "--vhost-pattern", "^other$"]),
        ""
    );
    assert_eq!(
        rig.ctl(&["list_queues", "-s", "name", "leader", "members", "online"]),
        "classic\t\t\t\nquorum\trabbit@h\t[rabbit@h]\t[rabbit@h]\n"
    );
    wire.close();
    rig.broker.stop();
}

#[test]
fn maintenance_is_told_and_is_not_the_same_as_suspended_listeners() {
    let rig = Rig::start();
    let told = |words: &str| {
        let line = format!("Node: rabbit@h, status: {words}\n");
        rig.ctl(&["cluster_status"]).contains(&line)
    };
    rig.ctl(&["suspend_listeners"]);
    assert!(told("not under maintenance"));
    rig.ctl(&["resume_listeners"]);
    rig.ctl(&["drain"]);
    assert!(told("marked for maintenance"));
    rig.ctl(&["revive"]);
    assert!(told("not under maintenance"));
    rig.broker.stop();
}

#[test]
fn a_node_that_hangs_is_waited_for_as_long_as_was_said() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("data")).unwrap();
    // Nobody accepts.
    let _hung = UnixListener::bind(home.path().join("data/leveret.sock")).unwrap();
    let printed = crate::ctl::run(
        home.path(),
        &home.path().join("data"),
        "rabbitmqctl",
        &["-q", "-t", "1", "list_users"],
    );
    assert_eq!(
        (printed.exit, &*printed.err),
        (
            75,
            "Error: operation list_users on node rabbit@h timed out. Timeout value used: 1000\n"
        )
    );
}

#[test]
fn the_node_is_waited_for_by_its_file() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("pid");
    let broker = Launch::serve()
        .settings("cluster_name = \"rabbit@h\"")
        .env("RABBITMQ_PID_FILE", file.to_str().unwrap())
        .data_dir(&home.path().join("data"))
        .start();
    let rig = Rig { broker, home };
    let status = rig.ctl(&["status", "--formatter", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let pid = std::fs::read_to_string(&file).unwrap();
    assert_eq!(status["pid"].to_string(), pid);
    let waited = rig.run("rabbitmqctl", &["wait", file.to_str().unwrap()]);
    let shown = file.display();
    let told =
        format!("Waiting for pid file '{shown}' to appear\npid is {pid}\nWaiting for erlang");
    assert!(
        waited.exit == 0 && waited.out.starts_with(&told),
        "{}",
        waited.out
    );
    rig.broker.stop();
    assert!(!file.exists());
}

#[test]
fn nobody_need_read_what_is_printed() {
    let rig = Rig::start();
    for line in [
        &["list_exchanges"][..],
        &["status"],
        &["report"],
        &["log_tail_stream", "-d", "0"],
    ] {
        let mut child = spawn(&rig, "rabbitmqctl", line);
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code().is_some() && !err.contains("panicked"),
            "{line:?}: {err}"
        );
    }
    rig.broker.stop();
}

//! `rabbitmqadmin` in both syntaxes, against a node of ours.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::process::Stdio;

use crate::broker::Broker;
use crate::broker::Launch;

struct Rig {
    broker: Broker,
    home: tempfile::TempDir,
}

fn run(address: SocketAddr, line: &[&str], input: &str) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_leveret"))
        .arg0("rabbitmqadmin")
        .args(["-H", &address.ip().to_string()])
        .args(["-P", &address.port().to_string()])
        .args(line)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who does not read may be gone.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

impl Rig {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let broker = Launch::serve().data_dir(&home.path().join("data")).start();
        Self { broker, home }
    }

    /// Words with spaces between, the exit code, and what is on standard output, or standard error if it fails.
    #[track_caller]
    fn check(&self, line: &str, exit: i32, printed: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let (code, out, err) = run(self.broker.http(), &words, "");
        let shown = if exit == 0 { &out } else { &err };
        assert_eq!((code, shown.as_str()), (exit, printed), "{line}: {err}");
    }
}

#[test]
fn the_older_syntax() {
    let rig = Rig::start();
    let check = |line: &str, exit, printed: &str| rig.check(line, exit, printed);
    check("list queues", 0, "No items\n");
    check("-q list queues", 0, "");
    check("declare queue name=q", 0, "queue declared\n");
    check(
        "declare queue name=q durable=false",
        1,
        "*** inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but current is 'true'\n\n",
    );
    check("publish routing_key=q payload=hi", 0, "Message published\n");
    check(
        "publish routing_key=nowhere payload=hi",
        0,
        "Message published but NOT routed\n",
    );
    check(
        "get queue=q",
        0,
        "+-------------+----------+---------------+---------+---------------+------------------+-------------+\n\
         | routing_key | exchange | message_count | payload | payload_bytes | payload_encoding | redelivered |\n\
         +-------------+----------+---------------+---------+---------------+------------------+-------------+\n\
         | q           |          | 0             | hi      | 2             | string           | False       |\n\
         +-------------+----------+---------------+---------+---------------+------------------+-------------+\n",
    );
    let (_, out, _) = run(rig.broker.http(), &["publish", "routing_key=q"], "piped");
    assert_eq!(out, "Message published\n");
    let payload = rig.home.path().join("payload");
    let into = format!("payload_file={}", payload.display());
    let line = ["get", "queue=q", "ackmode=reject_requeue_false", &into];
    let (code, out, err) = run(rig.broker.http(), &line, "");
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("| routing_key | exchange | message_count | payload_bytes | redelivered |"),
        "{out}"
    );
    assert_eq!(std::fs::read_to_string(&payload).unwrap(), "hi");
    check(
        "-f tsv list queues name durable",
        0,
        "name\tdurable\nq\tTrue\n",
    );
    check("purge queue name=q", 0, "queue purged\n");
    check("get queue=q", 0, "No items\n");
    check(
        "declare exchange name=e type=topic",
        0,
        "exchange declared\n",
    );
    check(
        "declare binding source=e destination=q routing_key=a.#",
        0,
        "binding declared\n",
    );
    check(
        "list bindings source destination routing_key -f kvp",
        0,
        "source=\"\" destination=\"q\" routing_key=\"q\"\nsource=\"e\" destination=\"q\" routing_key=\"a.#\"\n",
    );
    check(
        "delete binding source=e destination=q destination_type=queue properties_key=a.%23",
        0,
        "binding deleted\n",
    );
    check(
        "declare policy name=p pattern=^q definition={\"max-length\":1}",
        0,
        "policy declared\n",
    );
    check(
        "-f kvp list policies name definition",
        0,
        "name=\"p\" definition=\"{\"max-length\": 1}\"\n",
    );
    check(
        "declare user name=u password=p tags=management",
        0,
        "user declared\n",
    );
    check(
        "declare permission vhost=/ user=u configure=.* write=.* read=.*",
        0,
        "permission declared\n",
    );
    check(
        "-u u -p p list users",
        1,
        "*** Access refused: /api/users\n\n",
    );
    check(
        "-u u -p wrong list vhosts",
        1,
        "*** Access refused: /api/vhosts?columns=name,messages\n\n",
    );
    check("delete user name=u", 0, "user deleted\n");
    check(
        "delete queue name=gone",
        1,
        "*** Not found: /api/queues/%2F/gone\n\n",
    );
    check(
        "-f bash list exchanges",
        0,
        " amq.direct amq.fanout amq.headers amq.match amq.rabbitmq.event amq.rabbitmq.trace amq.topic e\n",
    );
    let file = rig.home.path().join("d.json");
    let file = file.to_str().unwrap();
    let host = rig.broker.http().ip();
    check(
        &format!("export {file}"),
        0,
        &format!("Exported definitions for {host} to \"{file}\"\n"),
    );
    check("delete queue name=q", 0, "queue deleted\n");
    check(
        &format!("import {file}"),
        0,
        &format!(
            "Uploaded definitions from \"{host}\" to {file}. The import process may take some time. Consult server logs to track progress.\n"
        ),
    );
    check("-q -f tsv list queues name", 0, "q\n");
    check(
        "-f tsv show overview rabbitmq_version object_totals.queues",
        0,
        "rabbitmq_version\tobject_totals.queues\n3.13.7\t1\n",
    );
    let usage = |text: &str| format!("\nERROR: {text}\n\nrabbitmqadmin --help for help\n\n");
    check("list nothing", 1, &usage("Don't know how to list nothing"));
    check("declare nothing", 1, &usage("Type nothing not recognised"));
    check(
        "declare queue",
        1,
        &usage("mandatory argument \"name\" is required"),
    );
    check(
        "declare user name=u tags=",
        1,
        &usage("one of mandatory arguments \"['password', 'password_hash']\" is required"),
    );
    check("nothing", 1, &usage("Action nothing not understood"));
    check(
        "--ssl list queues",
        1,
        &usage("TLS is not supported by this version of Leveret"),
    );
    rig.broker.stop();
}

#[test]
fn the_newer_syntax() {
    let rig = Rig::start();
    let check = |line: &str, exit, printed: &str| rig.check(line, exit, printed);
    check(
        "queues declare --name q --type quorum --durable true",
        0,
        "queue declared\n",
    );
    check("-f tsv -q list queues name type", 0, "q\tquorum\n");
    check(
        "vhosts declare --name v --default-queue-type quorum",
        0,
        "vhost declared\n",
    );
    check("--vhost v declare queue --name in-v", 0, "queue declared\n");
    check("-V v -f tsv -q list queues name vhost", 0, "in-v\tv\n");
    check("declare user --name u --password p", 0, "user declared\n");
    check(
        "declare permissions --user u --configure .* --write .* --read .*",
        0,
        "permission declared\n",
    );
    check(
        "publish message --routing-key q --payload hi",
        0,
        "Message published\n",
    );
    check(
        "get messages --queue q --ack-mode ack_requeue_false -f kvp",
        0,
        "routing_key=\"q\" exchange=\"\" message_count=\"0\" payload=\"hi\" payload_bytes=\"2\" payload_encoding=\"string\" redelivered=\"False\"\n",
    );
    check(
        "policies declare --name p --pattern ^q --apply-to queues --definition {\"max-length\":7}",
        0,
        "policy declared\n",
    );
    check(
        "vhost_limits declare --name max-queues --value 9",
        0,
        "vhost_limit declared\n",
    );
    check("queues purge --name q", 0, "queue purged\n");
    check("queues delete --name q", 0, "queue deleted\n");
    check(
        "queues delete --name q --idempotently",
        0,
        "queue deleted\n",
    );
    check(
        "queues delete --name q",
        1,
        "*** Not found: /api/queues/%2F/q\n\n",
    );
    check("health_check local_alarms", 0, "health check passed\n");
    let port = rig.broker.amqp().port();
    check(
        &format!("health_check port_listener --port {port}"),
        0,
        "health check passed\n",
    );
    let (code, _, err) = run(
        rig.broker.http(),
        &["health_check", "port_listener", "--port", "1"],
        "",
    );
    assert_eq!(code, 69, "{err}");
    rig.broker.stop();
}

#[test]
fn a_file_says_where_the_node_is() {
    let rig = Rig::start();
    let file = rig.home.path().join("conf");
    let http = rig.broker.http();
    std::fs::write(
        &file,
        format!(
            "[there]\nhostname = {}\nport = {}\n",
            http.ip(),
            http.port()
        ),
    )
    .unwrap();
    let run = |line: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_leveret"))
            .arg("admin")
            .args(line)
            .env_clear()
            .output()
            .unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let file = file.to_str().unwrap();
    let (code, out, err) = run(&["-c", file, "-N", "there", "-f", "bash", "list", "vhosts"]);
    assert_eq!((code, out.as_str()), (0, "/\n"), "{err}");
    let (code, _, err) = run(&["-c", file, "-N", "other", "list", "vhosts"]);
    assert_eq!(code, 1);
    assert!(err.contains("No section: 'other'"), "{err}");
    rig.broker.stop();
    let (code, _, err) = run(&["-c", file, "-N", "there", "list", "vhosts"]);
    assert_eq!(code, 1);
    assert_eq!(
        err,
        "*** Could not connect: [Errno 111] Connection refused\n\n"
    );
}

#[test]
fn shells_complete_what_is_there() {
    let run = |line: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_leveret"))
            .args(line)
            .output()
            .unwrap();
        let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    for (shell, marks) in [
        (
            "bash",
            ["complete -F _rabbitmqctl", "list_queues", "rabbitmqadmin"],
        ),
        (
            "zsh",
            ["#compdef rabbitmqctl", "list_queues", "rabbitmqadmin"],
        ),
        (
            "fish",
            ["complete -c rabbitmqctl", "list_queues", "rabbitmqadmin"],
        ),
    ] {
        let (code, out, err) = run(&["completions", shell]);
        assert_eq!(code, 0, "{err}");
        for mark in marks {
            assert!(out.contains(mark), "{shell}: {mark}");
        }
    }
    let (code, out, _) = run(&["completions", "bash", "rabbitmqadmin"]);
    assert_eq!(code, 0);
    assert!(out.contains("_rabbitmqadmin") && !out.contains("_rabbitmqctl"));
    let (code, _, err) = run(&["completions", "bash", "nonsense"]);
    assert_eq!(code, 1);
    assert!(err.contains("there is no tool nonsense"), "{err}");
}

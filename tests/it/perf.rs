//! `leveret perf` against a real broker: what it says was moved was moved.

use std::process::Command;

use serde_json::Value;

use crate::broker::Broker;

/// Runs it with `--json` and these options.
fn perf(broker: &Broker, options: &[&str]) -> Value {
    let uri = format!("amqp://guest:guest@{}", broker.amqp());
    let done = Command::new(env!("CARGO_BIN_EXE_leveret"))
        .args(["perf", "--json", "-h", &uri, "-u", "q"])
        .args(options)
        .output()
        .expect("the driver starts");
    let error = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{error}");
    serde_json::from_slice(&done.stdout).expect("JSON")
}

fn share(report: &Value) -> Vec<u64> {
    let shares = report["received_by"].as_array().expect("an array");
    shares.iter().filter_map(Value::as_u64).collect()
}

#[test]
fn consumers_get_what_is_published_and_confirmed() {
    let broker = Broker::start();
    let options = "-x 2 -y 3 -C 2000 -f persistent -c 100 -q 100 -A 10 -s 64";
    let report = perf(&broker, &options.split(' ').collect::<Vec<_>>());
    assert_eq!(report["sent"], 4000);
    assert_eq!(report["confirmed"], 4000);
    assert_eq!(report["received"], 4000);
    let shares = share(&report);
    assert_eq!((shares.len(), shares.iter().sum()), (3, 4000));
    assert!(report["total"]["latency"]["median"].is_u64());
}

#[test]
fn polling_consumers_ask_for_each_message() {
    for (size, more) in [("16", "-a"), ("0", "-A"), ("300000", "-a")] {
        let broker = Broker::start();
        let mut options = vec![
            "-x", "1", "-y", "2", "-C", "200", "-po", "-pi", "1", "-s", size, more,
        ];
        if more == "-A" {
            options.push("3");
        }
        if size == "0" {
            options.extend(["--polling-in-flight", "7"]);
        }
        let report = perf(&broker, &options);
        assert_eq!(report["received"], 200, "bodies of {size}");
        assert_eq!(share(&report).iter().sum::<u64>(), 200);
    }
}

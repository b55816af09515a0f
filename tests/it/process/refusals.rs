//! Starts that must fail: with exit code 1 and one line that says what to do.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use crate::broker::Broker;
use crate::broker::Launch;
use crate::wire::Wire;

/// The start fails, says nothing on standard output, and these things on standard error.
fn check(launch: Launch, told: &[&str]) {
    let (status, output, errors) = launch.run();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert_eq!(output, "");
    // Log lines may come before it; nothing comes after it.
    let from = if errors.starts_with("leveret: ") {
        0
    } else {
        errors.rfind("\nleveret: ").expect("an error") + 1
    };
    for told in told {
        let error = &errors[from..];
        assert!(error.contains(told), "{error:?} does not tell {told:?}");
    }
    assert!(!errors.contains("panicked"), "{errors}");
}

#[test]
fn a_directory_serves_one_broker() {
    let data = tempfile::tempdir().unwrap();
    let first = Launch::serve().data_dir(data.path()).start();
    let path = data.path().display().to_string();
    let told = [
        &*path,
        "is in use: another broker runs on this data directory",
    ];
    check(Launch::serve().data_dir(data.path()), &told);
    // Also when the first has just made it.
    Wire::open(first.amqp()).close();
    first.stop();
    Launch::serve().data_dir(data.path()).start().stop();
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let told = format!("port {} is in use", taken.local_addr().unwrap().port());
    let data = tempfile::tempdir().unwrap();
    Launch::serve().data_dir(data.path()).start().stop();

    let amqp = Launch::bare(&["--listen", &address, "--http-listen", "127.0.0.1:0"]);
    check(amqp.data_dir(data.path()), &[&told, &address]);
    let http = Launch::bare(&["--listen", "127.0.0.1:0", "--http-listen", &address]);
    check(http.data_dir(data.path()), &[&told, &address]);

    // Messages are not marked as delivered for a start that never was.
    let broker = Launch::serve().data_dir(data.path()).start();
    assert!(
        broker.log().contains("\"clean_stop\":true"),
        "{}",
        broker.log()
    );
}

#[test]
fn an_address_that_is_not_ours_is_named() {
    // Reserved for documentation: no machine has it.
    let launch = Launch::bare(&["--listen", "192.0.2.1:5672", "--http-listen", "127.0.0.1:0"]);
    check(launch, &["cannot listen on 192.0.2.1:5672"]);
}

#[test]
fn a_data_directory_must_be_one() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "not a directory").unwrap();
    let under_file = file.join("data");
    // Where not even root may write.
    let forbidden = Path::new("/proc/leveret-data");
    for path in [&*file, &*under_file, forbidden] {
        let told = path.display().to_string();
        check(Launch::serve().data_dir(path), &["data directory", &told]);
    }
}

#[test]
fn a_store_that_is_none_is_left_alone() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("leveret.redb");
    fs::write(&file, "precious").unwrap();
    let told = file.display().to_string();
    check(Launch::serve().data_dir(data.path()), &[&told]);
    assert_eq!(fs::read(&file).unwrap(), b"precious");
}

#[test]
fn an_unknown_setting_names_the_nearest() {
    check(
        Launch::serve().settings("hearbeat = 10"),
        &[
            "unknown setting hearbeat in ",
            "leveret.toml; the nearest known one is heartbeat",
        ],
    );
    check(
        Launch::serve().settings("[log]\nlevle = \"info\""),
        &[
            "unknown setting log.levle",
            "the nearest known one is log.default.level",
        ],
    );
    check(
        Launch::serve().env("LEVERET_FRAMEMAX", "4096"),
        &[
            "unknown setting LEVERET_FRAMEMAX in the environment",
            "is LEVERET_FRAME_MAX",
        ],
    );
}

#[test]
fn a_bad_value_says_what_is_allowed() {
    check(
        Launch::serve().settings("frame_max = 100"),
        &["frame_max = 100 in ", "leveret.toml: must be", "4096"],
    );
    check(
        Launch::serve().env("LEVERET_HEARTBEAT", "often"),
        &["heartbeat = \"often\" in environment variable LEVERET_HEARTBEAT: must be"],
    );
    check(
        Launch::bare(&["--listen", "nowhere"]),
        &["listen = \"nowhere\" in option --listen: must be"],
    );
    check(
        Launch::serve().env("LEVERET_LOG__DEFAULT__LEVEL", "loud,,="),
        &["log.default.level"],
    );
}

#[test]
fn a_settings_file_must_be_there_and_be_toml() {
    let missing = Launch::bare(&["--config", "missing.toml"]);
    check(missing, &["cannot read settings from missing.toml"]);
    check(
        Launch::serve().settings("heartbeat = = 1"),
        &["cannot read settings from "],
    );
}

#[test]
fn a_secret_is_not_told() {
    let (status, _, errors) = Launch::serve()
        .env("LEVERET_DEFAULT_PASS", "")
        .settings("default_pass = \"tops3cret\"\nfoo = 1")
        .run();
    assert_eq!(status.code(), Some(1));
    assert!(!errors.contains("tops3cret"), "{errors}");
}

#[test]
fn wrong_usage_is_another_exit_code() {
    for arguments in [
        &["--no-such-option"][..],
        &["no-such-command"],
        &["serve", "--listen"],
    ] {
        let (status, output, errors) = Launch::bare(arguments).run();
        assert_eq!(status.code(), Some(2), "{arguments:?}: {errors}");
        assert_eq!(output, "");
        assert!(errors.contains("--help"), "{errors}");
    }
    let (status, output, _) = Launch::bare(&["--version"]).run();
    assert_eq!(status.code(), Some(0));
    assert_eq!(
        output.trim(),
        concat!("leveret ", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn a_refused_start_disturbs_nobody() {
    let first = Broker::start();
    let address = first.amqp().to_string();
    let mut wire = Wire::with_channel(first.amqp());
    check(
        Launch::bare(&["--listen", &address, "--http-listen", "127.0.0.1:0"]),
        &["is in use"],
    );
    wire.declare_queue("q", 0);
}

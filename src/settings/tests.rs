//! Settings as a whole: precedence, errors, and that code, rules and `conf/leveret.toml` tell the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use crate::logs::Formatter;
use crate::logs::Level;
use crate::settings::Colours;
use crate::settings::Override;
use crate::settings::OwnLevel;
use crate::settings::Settings;
use crate::settings::Sources;
use crate::settings::rule::Rule;
use crate::settings::rules::RULES;

const SHIPPED: &str = include_str!("../../conf/leveret.toml");

/// Sources with a file of `text` in `dir`.
fn file(dir: &Path, text: &str) -> Sources {
    let path = dir.join("leveret.toml");
    std::fs::write(&path, text).expect("written");
    Sources {
        file: Some(path),
        host_name: "hare.example".to_owned(),
        ..Sources::default()
    }
}

fn environment(variables: &[(&str, &str)]) -> Sources {
    Sources {
        environment: variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..Sources::default()
    }
}

fn option(key: &str, values: &[&str]) -> Override {
    Override {
        option: format!("--{}", key.replace('_', "-")),
        key: key.to_owned(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    }
}

#[track_caller]
fn check_refusal(sources: &Sources, parts: &[&str]) {
    let text = Settings::load(sources).expect_err("refused").to_string();
    for part in parts {
        assert!(text.contains(part), "{text:?} says {part:?}");
    }
}

/// Dotted keys with values as JSON.
fn flat(settings: &Settings) -> BTreeMap<String, serde_json::Value> {
    let mut flat = BTreeMap::new();
    let top = serde_json::to_value(settings).expect("serializable");
    for (key, value) in top.as_object().expect("a struct") {
        match value.as_object() {
            Some(section) => flat.extend(
                section
                    .iter()
                    .map(|(rest, value)| (format!("{key}.{rest}"), value.clone())),
            ),
            None => {
                flat.insert(key.clone(), value.clone());
            }
        }
    }
    flat
}

/// A line of the shipped file that is a setting commented out.
fn setting(line: &str) -> Option<&str> {
    line.strip_prefix('#')
        .filter(|rest| rest.starts_with(|first: char| first.is_ascii_lowercase()))
}

#[test]
fn without_sources_the_defaults_hold() {
    let settings = Settings::load(&Sources::default()).expect("loaded");
    let expected = Settings {
        cluster_name: "rabbit@localhost".to_owned(),
        ..Settings::default()
    };
    assert_eq!(settings, expected);
}

#[test]
fn every_field_has_a_rule_that_takes_its_default() {
    let fields: Vec<String> = flat(&Settings::default()).into_keys().collect();
    let mut keys: Vec<&str> = RULES.iter().map(|(key, _)| *key).collect();
    keys.sort_unstable();
    assert_eq!(fields, keys);
}

#[test]
fn every_number_fits_its_field_at_both_bounds() {
    for (key, rule) in RULES {
        if let Rule::Number { min, max, .. } = rule {
            for bound in [min, max] {
                let sources = Sources {
                    overrides: vec![option(key, &[&bound.to_string()])],
                    ..Sources::default()
                };
                let settings = Settings::load(&sources).expect("loaded");
                assert_eq!(flat(&settings)[*key], *bound, "{key}");
            }
        }
    }
}

#[test]
fn the_shipped_file_has_every_key_with_its_default() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut keys: Vec<&str> = SHIPPED
        .lines()
        .filter_map(setting)
        .filter_map(|line| line.split_once(" = "))
        .map(|(key, _)| key)
        .collect();
    keys.sort_unstable();
    let mut known: Vec<&str> = RULES.iter().map(|(key, _)| *key).collect();
    known.sort_unstable();
    assert_eq!(keys, known);

    let uncommented: Vec<&str> = SHIPPED
        .lines()
        .map(|line| setting(line).unwrap_or(line))
        .collect();
    let mut sources = file(dir.path(), &uncommented.join("\n"));
    sources.host_name = String::new();
    let settings = Settings::load(&sources).expect("loaded");
    assert_eq!(
        settings,
        Settings::load(&Sources::default()).expect("loaded")
    );

    sources = file(dir.path(), SHIPPED);
    sources.host_name = String::new();
    assert_eq!(Settings::load(&sources).expect("loaded"), settings);
}

#[test]
fn the_shipped_file_tells_every_bound() {
    for (key, rule) in RULES {
        let line = SHIPPED
            .lines()
            .position(|line| {
                setting(line).is_some_and(|line| line.starts_with(&format!("{key} =")))
            })
            .expect("the key is there");
        let above: Vec<&str> = SHIPPED.lines().take(line).collect();
        let paragraph = above
            .rsplit(|line| line.is_empty())
            .next()
            .expect("text above")
            .join(" ")
            .replace("# ", "");
        let bounds = match rule {
            Rule::Number { min, max, unit: "" } => format!("rom {min} to {max}."),
            Rule::Number { min, max, unit } => format!("rom {min} to {max} ({unit})."),
            Rule::Text { bytes_max } => format!("of 1 to {bytes_max} bytes"),
            Rule::OptionalText { bytes_max } => format!("of up to {bytes_max} bytes"),
            Rule::Secret => "not empty".to_owned(),
            Rule::Names => "of 1 to 255 bytes".to_owned(),
            Rule::Word(words) | Rule::Words(words) => {
                for word in *words {
                    assert!(paragraph.contains(word), "{key}: {word}");
                }
                continue;
            }
            Rule::Addresses { .. } => "ddresses with port".to_owned(),
            Rule::OptionalFile => "of up to 4095 bytes".to_owned(),
            Rule::Moments => "`$D23` at 23:00 each day, `$H30`".to_owned(),
            Rule::Flag => "true or false".to_owned(),
            Rule::UrlPath => "letters, digits and -._~".to_owned(),
            Rule::AbsolutePath => "letters, digits and -._~".to_owned(),
            Rule::Size => "bytes, with or without a unit (kB, KiB, MB, MiB, GB, GiB)".to_owned(),
            Rule::Ratio { max, .. } => format!("rom 0 to {max}."),
        };
        assert!(
            paragraph.contains(&bounds),
            "{key}: {bounds:?} in {paragraph:?}"
        );
    }
}

#[test]
fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = "heartbeat = 1\nchannel_max = 1\nframe_max = 8192\nlog.default.level = \"warning\"\n\
                [store]\ncache_bytes = 2097152\n";
    let mut sources = file(dir.path(), text);
    sources.environment = environment(&[
        ("LEVERET_HEARTBEAT", "2"),
        ("LEVERET_CHANNEL_MAX", "2"),
        ("LEVERET_LOG__CONSOLE__FORMATTER", "json"),
        ("LEVERET_LISTEN", "127.0.0.1:1,[::1]:2"),
        ("LEVERET_DEFAULT_PASS", "12345"),
        ("LEVERET_VERSION", ""),
        ("HEARTBEAT", "9"),
        ("PATH", "/bin"),
    ])
    .environment;
    sources.overrides = vec![
        option("heartbeat", &["3"]),
        option("http_listen", &["127.0.0.1:3", "127.0.0.1:4"]),
        option("handshake_timeout", &["200"]),
    ];
    let settings = Settings::load(&sources).expect("loaded");
    assert_eq!(settings.heartbeat, 3);
    assert_eq!(settings.channel_max, 2);
    assert_eq!(settings.frame_max, 8192);
    assert_eq!(
        (settings.log.default_level, settings.log.console_formatter),
        (Level::Warning, Formatter::Json)
    );
    assert_eq!(settings.store.cache_bytes, 2_097_152);
    assert_eq!(
        settings.listen,
        ["127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()]
    );
    assert_eq!(settings.http_listen.len(), 2);
    assert_eq!(settings.handshake_timeout, Duration::from_millis(200));
    assert_eq!(
        settings.default_pass.reveal(),
        "12345",
        "digits are text where text is wanted"
    );
    assert_eq!(settings.version, "3.13.7", "empty variables are not set");
    assert_eq!(settings.cluster_name, "rabbit@hare");
}

#[test]
fn the_file_is_the_one_named_or_the_systems() {
    let dir = tempfile::tempdir().expect("a directory");
    let system = dir.path().join("system.toml");
    let named = dir.path().join("named.toml");
    std::fs::write(&named, "heartbeat = 1").expect("written");
    let heartbeat = |sources: &Sources| Settings::load(sources).expect("loaded").heartbeat;

    let mut sources = Sources {
        system_file: Some(system.clone()),
        ..Sources::default()
    };
    assert_eq!(heartbeat(&sources), 60, "the system's file may be missing");
    std::fs::write(&system, "heartbeat = 2").expect("written");
    assert_eq!(heartbeat(&sources), 2);
    sources.environment = vec![("LEVERET_CONFIG".to_owned(), named.display().to_string())];
    assert_eq!(heartbeat(&sources), 1);
    sources.file = Some(system);
    assert_eq!(heartbeat(&sources), 2);

    let missing = dir.path().join("missing.toml");
    sources.file = Some(missing.clone());
    check_refusal(
        &sources,
        &["cannot read settings from", &missing.display().to_string()],
    );
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_known_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let sources = file(dir.path(), "heartbeet = 60");
    let path = sources.file.as_ref().expect("a file").display().to_string();
    check_refusal(
        &sources,
        &[
            "unknown setting heartbeet in",
            &path,
            "known one is heartbeat",
        ],
    );
    let sources = file(dir.path(), "[log]\nlvl = \"info\"");
    check_refusal(
        &sources,
        &["unknown setting log.lvl", "known one is log.default.level"],
    );
    let sources = file(dir.path(), "log = \"info\"");
    check_refusal(&sources, &["unknown setting log in"]);
    let sources = environment(&[("LEVERET_HEARTBEET", "60")]);
    check_refusal(
        &sources,
        &[
            "unknown setting LEVERET_HEARTBEET in the environment",
            "known one is LEVERET_HEARTBEAT",
        ],
    );
    let sources = environment(&[("LEVERET_LOG_LEVEL", "info")]);
    check_refusal(
        &sources,
        &["LEVERET_LOG_LEVEL", "known one is LEVERET_LOG__"],
    );
}

#[test]
fn wrong_values_are_refused_with_key_value_bound_and_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let sources = file(dir.path(), "frame_max = 100");
    let path = sources.file.as_ref().expect("a file").display().to_string();
    let refusal = Settings::load(&sources).expect_err("refused").to_string();
    let bound = "must be a whole number from 4096 to 536870912 (bytes)";
    assert_eq!(refusal, format!("frame_max = 100 in {path}: {bound}"));
    for (text, expected) in [
        ("heartbeat = true", "heartbeat = true in"),
        ("heartbeat = 1.5", "heartbeat = 1.5 in"),
        ("heartbeat = [1]", "heartbeat = [1] in"),
        ("heartbeat = -1", "heartbeat = -1 in"),
        ("heartbeat = \"soon\"", "heartbeat = \"soon\" in"),
        ("default_user = 5", "must be a text of 1 to 255 bytes"),
        ("listen = []", "must be a list of one or more addresses"),
        ("listen = [\"here\"]", "listen = [\"here\"] in"),
        (
            "log.default.level = \"warn\"",
            "must be one of debug, info, notice, warning",
        ),
        (
            "log.console.formatter = \"xml\"",
            "must be one of auto, plaintext, json",
        ),
        (
            "log.file = true",
            "must be a file of up to 4095 bytes, or false",
        ),
        ("log.file.rotation.date = \"daily\"", "such as $D0, $H30"),
    ] {
        check_refusal(&file(dir.path(), text), &[expected]);
    }
    check_refusal(
        &environment(&[("LEVERET_LOOPS", "many")]),
        &["loops = \"many\" in environment variable LEVERET_LOOPS"],
    );
    let sources = Sources {
        overrides: vec![option("listen", &["1.2.3.4:5", "x"])],
        ..Sources::default()
    };
    check_refusal(
        &sources,
        &["listen = [\"1.2.3.4:5\", \"x\"] in option --listen"],
    );
}

#[test]
fn what_is_no_toml_is_refused_with_its_place() {
    let dir = tempfile::tempdir().expect("a directory");
    check_refusal(
        &file(dir.path(), "heartbeat 60"),
        &["cannot read settings from", "leveret.toml"],
    );
}

#[test]
fn passwords_appear_in_no_output() {
    let dir = tempfile::tempdir().expect("a directory");
    let sources = file(dir.path(), "default_pass = \"hunter2\"");
    let settings = Settings::load(&sources).expect("loaded");
    assert!(!format!("{settings:?}").contains("hunter2"));
    let sources = file(dir.path(), "default_pass = [\"hunter2\"]");
    let refusal = Settings::load(&sources).expect_err("refused");
    assert!(!format!("{refusal} {refusal:?}").contains("hunter2"));
    let sources = file(dir.path(), "heartbeat = 1\ndefault_pass = hunter2\n");
    let refusal = Settings::load(&sources).expect_err("no TOML");
    assert!(!format!("{refusal} {refusal:?}").contains("hunter2"));
}

#[test]
fn links_to_a_service_called_leveret_are_no_settings() {
    let sources = environment(&[
        ("LEVERET_SERVICE_HOST", "10.0.0.1"),
        ("LEVERET_SERVICE_PORT", "5672"),
        ("LEVERET_SERVICE_PORT_AMQP", "5672"),
        ("LEVERET_PORT", "tcp://10.0.0.1:5672"),
        ("LEVERET_PORT_5672_TCP", "tcp://10.0.0.1:5672"),
        ("LEVERET_PORT_5672_TCP_PROTO", "tcp"),
        ("LEVERET_NODES_SERVICE_HOST", "10.0.0.2"),
    ]);
    assert!(Settings::load(&sources).is_ok());
    check_refusal(&environment(&[("LEVERET_PORT", "5672")]), &["LEVERET_PORT"]);
}

#[test]
fn the_process_is_a_source() {
    let named = PathBuf::from("/nowhere/leveret.toml");
    let sources = Sources::of_process(Some(named.clone()), Vec::new());
    assert_eq!(sources.chosen_file(), Some(named));
    assert!(!sources.environment.is_empty());
}

#[test]
fn loops_leave_cores_for_the_rest() {
    let mut settings = Settings::default();
    for (cores, loops) in [(0, 1), (1, 1), (2, 1), (3, 1), (4, 2), (16, 8)] {
        assert_eq!(settings.loop_count(cores), loops, "{cores} cores");
    }
    settings.loops = 5;
    assert_eq!(settings.loop_count(2), 5);
}

#[test]
fn variables_of_rabbitmq_give_way_to_our_own() {
    let settings = Settings::load(&environment(&[
        ("RABBITMQ_LOGS", "-stderr"),
        ("RABBITMQ_LOG", "debug, queue=error,+color"),
        ("RABBITMQ_LOG_BASE", "/logs"),
        ("LEVERET_LOG__DIR", "/other"),
    ]));
    let log = settings.expect("loaded").log;
    assert!(log.console && log.file.as_os_str().is_empty());
    assert_eq!(log.default_level, Level::Debug);
    assert_eq!(log.queue_level, OwnLevel::Level(Level::Error));
    assert_eq!(log.console_use_colors, Colours::On);
    assert_eq!(log.dir, Path::new("/other"));
    let exchange = environment(&[("RABBITMQ_LOGS", "exchange:amq.rabbitmq.log")]);
    let log = Settings::load(&exchange).expect("loaded").log;
    assert!(log.exchange && !log.console);
    for (name, value, part) in [
        (
            "RABBITMQ_LOGS",
            "journald:",
            "unknown setting log.journald in",
        ),
        (
            "RABBITMQ_LOG",
            "cars=debug",
            "unknown setting log.cars.level in",
        ),
        ("RABBITMQ_LOG", "loud", "log.default.level = \"loud\" in"),
    ] {
        let place = format!("environment variable {name}");
        check_refusal(&environment(&[(name, value)]), &[part, &place]);
    }
}

//! Which keys exist and what each takes.
//!
//! One table, [`RULES`]; tests keep it equal to the fields of [`Settings`](super::Settings) and to
//! `conf/leveret.toml`.

use crate::model::limits::FRAME_SIZE_MIN;
use crate::model::limits::MESSAGE_BYTES_HARD_MAX;
use crate::model::names::NAME_BYTES_MAX;
use crate::settings::Profile;
use crate::settings::rule::Rule;

const MIB: u64 = 1024 * 1024;
const YEAR_MS: u64 = 365 * 24 * 3_600_000;

const fn count(min: u64, max: u64) -> Rule {
    Rule::Number { min, max, unit: "" }
}

const fn bytes(min: u64, max: u64) -> Rule {
    Rule::Number {
        min,
        max,
        unit: "bytes",
    }
}

const fn milliseconds(min: u64, max: u64) -> Rule {
    Rule::Number {
        min,
        max,
        unit: "milliseconds",
    }
}

const LEVELS: &[&str] = &[
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
    "none",
];

/// The first is that of someone else.
const OWN_LEVELS: &[&str] = &[
    "default",
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
    "none",
];

const FORMATTERS: &[&str] = &["auto", "plaintext", "json"];

const NAME: Rule = Rule::Text {
    bytes_max: NAME_BYTES_MAX,
};

/// All keys.
pub(super) const RULES: &[(&str, Rule)] = &[
    ("data_dir", Rule::Text { bytes_max: 4095 }),
    ("listen", Rule::Addresses { min: 1 }),
    ("http_listen", Rule::Addresses { min: 0 }),
    ("prometheus_listen", Rule::Addresses { min: 0 }),
    ("prometheus.path", Rule::AbsolutePath),
    ("prometheus.return_per_object_metrics", Rule::Flag),
    (
        "heartbeat",
        Rule::Number {
            min: 0,
            max: 65_535,
            unit: "seconds",
        },
    ),
    (
        "frame_max",
        bytes(FRAME_SIZE_MIN as u64, MESSAGE_BYTES_HARD_MAX),
    ),
    (
        "initial_frame_max",
        bytes(FRAME_SIZE_MIN as u64, MESSAGE_BYTES_HARD_MAX),
    ),
    ("channel_max", count(0, 65_535)),
    ("handshake_timeout", milliseconds(100, 3_600_000)),
    ("max_message_size", bytes(1, MESSAGE_BYTES_HARD_MAX)),
    ("connection_max", count(0, 4_294_967_295)),
    ("consumer_max_per_channel", count(0, 4_294_967_295)),
    ("consumer_timeout", milliseconds(0, YEAR_MS)),
    ("classic_consumer_timeout", milliseconds(0, YEAR_MS)),
    ("channel_tick_interval", milliseconds(100, 3_600_000)),
    ("quorum_delivery_limit", count(0, 4_294_967_295)),
    ("loopback_users", Rule::Names),
    ("default_user", NAME),
    ("default_pass", Rule::Secret),
    ("default_vhost", NAME),
    ("product", NAME),
    ("version", NAME),
    (
        "cluster_name",
        Rule::OptionalText {
            bytes_max: NAME_BYTES_MAX,
        },
    ),
    (
        "auth_mechanisms",
        Rule::Words(&["PLAIN", "AMQPLAIN", "ANONYMOUS"]),
    ),
    ("anonymous_login_user", NAME),
    ("anonymous_login_pass", Rule::Secret),
    ("loops", count(0, 1024)),
    ("moderate_reads", Rule::Flag),
    ("shutdown_timeout", milliseconds(0, 3_600_000)),
    ("outbox_bytes_max", bytes(65_536, 1024 * MIB)),
    ("compatibility.profile", Rule::Word(Profile::NAMES)),
    (
        "deprecated_features.permit.transient_nonexcl_queues",
        Rule::Flag,
    ),
    ("deprecated_features.permit.global_qos", Rule::Flag),
    (
        "deprecated_features.permit.queue_master_locator",
        Rule::Flag,
    ),
    (
        "deprecated_features.permit.classic_queue_mirroring",
        Rule::Flag,
    ),
    ("pid_file", Rule::OptionalText { bytes_max: 4095 }),
    ("load_definitions", Rule::OptionalText { bytes_max: 4095 }),
    (
        "management.load_definitions",
        Rule::OptionalText { bytes_max: 4095 },
    ),
    ("import_bytes_max", bytes(1024, 16 * 1024 * MIB)),
    ("management.path_prefix", Rule::UrlPath),
    ("management.cors.allow_origins", Rule::Names),
    (
        "management.cors.max_age",
        Rule::Number {
            min: 0,
            max: 4_294_967_295,
            unit: "seconds",
        },
    ),
    ("management.http.max_body_size", bytes(1024, 1024 * MIB)),
    ("management.disable_stats", Rule::Flag),
    ("management.login_session_timeout", count(0, 525_600)),
    ("management.enable_queue_totals", Rule::Flag),
    ("log.client_lines_per_second_max", count(0, 1_000_000)),
    ("log.waiting_bytes_max", bytes(65_536, 1024 * MIB)),
    ("log.flush_timeout", milliseconds(0, 60_000)),
    ("log.connection.level", Rule::Word(OWN_LEVELS)),
    ("log.channel.level", Rule::Word(OWN_LEVELS)),
    ("log.queue.level", Rule::Word(OWN_LEVELS)),
    ("log.mirroring.level", Rule::Word(OWN_LEVELS)),
    ("log.federation.level", Rule::Word(OWN_LEVELS)),
    ("log.upgrade.level", Rule::Word(OWN_LEVELS)),
    ("log.user.level", Rule::Word(OWN_LEVELS)),
    ("log.ra.level", Rule::Word(OWN_LEVELS)),
    ("log.console.enabled", Rule::Flag),
    ("log.console.stdio", Rule::Word(&["stderr", "stdout"])),
    ("log.console.level", Rule::Word(OWN_LEVELS)),
    ("log.console.formatter", Rule::Word(FORMATTERS)),
    ("log.console.use_colors", Rule::Word(&["auto", "on", "off"])),
    ("log.dir", Rule::Text { bytes_max: 4095 }),
    ("log.file.name", Rule::OptionalFile),
    ("log.file.level", Rule::Word(OWN_LEVELS)),
    ("log.file.formatter", Rule::Word(FORMATTERS)),
    ("log.file.rotation.date", Rule::Moments),
    ("log.file.rotation.size", bytes(0, 1024 * 1024 * MIB)),
    ("log.file.rotation.count", count(0, 10_000)),
    ("log.exchange.enabled", Rule::Flag),
    ("log.exchange.level", Rule::Word(OWN_LEVELS)),
    ("log.exchange.formatter", Rule::Word(FORMATTERS)),
    // Behind those that end alike: it is the one that is meant by `log.level`.
    ("log.default.level", Rule::Word(LEVELS)),
    ("queue_memory_bytes", bytes(MIB, 1024 * 1024 * MIB)),
    (
        "vm_memory_high_watermark.relative",
        Rule::Ratio {
            max: 1,
            optional: false,
        },
    ),
    ("vm_memory_high_watermark.absolute", Rule::Size),
    ("total_memory_available_override_value", Rule::Size),
    ("disk_free_limit.absolute", Rule::Size),
    (
        "disk_free_limit.relative",
        Rule::Ratio {
            max: 1000,
            optional: true,
        },
    ),
    ("store.pending_bytes_max", bytes(MIB, 1024 * 1024 * MIB)),
    ("store.cache_bytes", bytes(MIB, 1024 * 1024 * MIB)),
    ("store.ring_segment_bytes", bytes(MIB, 4096 * MIB)),
    ("store.ring_segments", count(2, 64)),
];

/// The rule for `key`.
pub(super) fn rule(key: &str) -> Option<Rule> {
    let known = RULES.iter().find(|(known, _)| *known == key);
    known.map(|(_, rule)| *rule)
}

/// The known key that is most like `key`.
pub(super) fn nearest(key: &str) -> &'static str {
    let likeness = |known: &str| {
        // `level` is as near to `log.level` as a typing mistake, whatever stands before it.
        let last = known.rsplit('.').next().unwrap_or(known);
        let ends = known
            .split_once('.')
            .map(|(first, _)| format!("{first}.{last}"));
        let by_ends = ends.map_or(0.0, |ends| strsim::jaro_winkler(&ends, key) - 0.01);
        let by_last = strsim::jaro_winkler(last, key) - 0.05;
        strsim::jaro_winkler(known, key).max(by_ends).max(by_last)
    };
    let (nearest, _) = RULES
        .iter()
        .max_by(|(left, _), (right, _)| likeness(left).total_cmp(&likeness(right)))
        .expect("there are keys");
    nearest
}

#[cfg(test)]
mod tests {
    use config::Value;
    use config::ValueKind;

    use super::*;

    #[track_caller]
    fn check(key: &str, taken: &[(&str, serde_json::Value)], refused: &[&str]) {
        let rule = rule(key).expect("a known key");
        let accept = |text: &str| rule.accept(&Value::new(None, ValueKind::from(text)));
        for (text, value) in taken {
            assert_eq!(accept(text).as_ref(), Some(value), "{key} = {text:?}");
        }
        for text in refused {
            assert_eq!(accept(text), None, "{key} = {text:?}");
        }
    }

    #[test]
    fn numbers_have_bounds() {
        check(
            "heartbeat",
            &[
                ("0", 0.into()),
                ("65535", 65_535.into()),
                (" 30 ", 30.into()),
            ],
            &["65536", "-1", "1.5", "60s", "", "true"],
        );
        check(
            "frame_max",
            &[("4096", 4096.into())],
            &["4095", "0", "536870913"],
        );
        check(
            "max_message_size",
            &[("536870912", 536_870_912.into())],
            &["536870913"],
        );
    }

    #[test]
    fn addresses_are_lists_of_address_and_port() {
        check(
            "listen",
            &[
                ("127.0.0.1:5672", ["127.0.0.1:5672"].as_slice().into()),
                ("5672", ["[::]:5672"].as_slice().into()),
                (
                    "0.0.0.0:0, [::1]:5673",
                    ["0.0.0.0:0", "[::1]:5673"].as_slice().into(),
                ),
            ],
            &[
                "",
                "none",
                "localhost",
                "127.0.0.1",
                "70000",
                "1.2.3.4:5672,",
                "1.2.3.4:70000",
            ],
        );
        check("http_listen", &[("none", serde_json::json!([]))], &[""]);
    }

    #[test]
    fn words_and_names_are_checked() {
        check(
            "log.console.formatter",
            &[("json", "json".into())],
            &["JSON", "", "xml", "text"],
        );
        check(
            "auth_mechanisms",
            &[("AMQPLAIN,PLAIN", ["AMQPLAIN", "PLAIN"].as_slice().into())],
            &["none", "EXTERNAL", "PLAIN AMQPLAIN"],
        );
        check(
            "loopback_users",
            &[
                ("none", serde_json::json!([])),
                ("a,b", ["a", "b"].as_slice().into()),
            ],
            &["a,,b"],
        );
        check(
            "default_user",
            &[("a", "a".into())],
            &["", &"u".repeat(256)],
        );
    }

    #[test]
    fn a_flag_is_true_or_false() {
        check(
            "log.exchange.enabled",
            &[("true", true.into()), (" false ", false.into())],
            &["yes", "1", "", "TRUE"],
        );
    }

    #[test]
    fn sizes_and_parts_may_be_none() {
        check(
            "disk_free_limit.absolute",
            &[
                ("50MB", 50_000_000.into()),
                ("7", 7.into()),
                ("none", serde_json::Value::Null),
            ],
            &["", "50 potatoes", "-1"],
        );
        check(
            "disk_free_limit.relative",
            &[("1.5", 1.5.into()), ("none", serde_json::Value::Null)],
            &["-1", "1001", "NaN", ""],
        );
        check(
            "vm_memory_high_watermark.relative",
            &[("0", 0.0.into()), ("1", 1.0.into())],
            &["1.1", "none"],
        );
    }

    #[test]
    fn a_path_is_absolute_and_plain() {
        check(
            "prometheus.path",
            &[("/metrics", "/metrics".into()), ("/a/b.c", "/a/b.c".into())],
            &["", "/", "metrics", "/metrics/", "/a//b", "/{a}", "/a b"],
        );
    }

    #[test]
    fn a_log_level_is_no_other_word() {
        check(
            "log.default.level",
            &[("info", "info".into()), ("none", "none".into())],
            &["warn", "WARNING", "", "default", "trace"],
        );
        check(
            "log.queue.level",
            &[("default", "default".into())],
            &["off"],
        );
    }

    #[test]
    fn a_log_file_has_a_name_or_is_none() {
        check(
            "log.file.name",
            &[
                ("false", "".into()),
                ("", "".into()),
                ("a.log", "a.log".into()),
            ],
            &["true"],
        );
        check(
            "log.file.rotation.date",
            &[("", "".into()), ("$D0", "$D0".into())],
            &["D0", "daily"],
        );
    }

    #[test]
    fn the_nearest_key_is_the_one_meant() {
        for (written, meant) in [
            ("heartbeet", "heartbeat"),
            ("heart_beat", "heartbeat"),
            ("listeners", "listen"),
            ("level", "log.default.level"),
            ("log.levle", "log.default.level"),
            ("log.defualt.level", "log.default.level"),
            ("log.cosnole.level", "log.console.level"),
            ("cache_bytes", "store.cache_bytes"),
            ("max_connections", "connection_max"),
            ("default_password", "default_pass"),
        ] {
            assert_eq!(nearest(written), meant, "{written}");
        }
    }
}

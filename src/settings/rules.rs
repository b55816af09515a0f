//! Which keys exist and what each takes.
//!
//! One table, [`RULES`]; tests keep it equal to the fields of [`Settings`](super::Settings) and to
//! `conf/leveret.toml`. A rule turns what was written (a number, or a text from the environment) into the JSON value
//! that the settings are read from, or says what it wanted instead.

use std::net::Ipv6Addr;
use std::net::SocketAddr;

use config::Value;
use config::ValueKind;

use crate::logs::Schedule;
use crate::model::limits::FRAME_SIZE_MIN;
use crate::model::limits::MESSAGE_BYTES_HARD_MAX;
use crate::model::names::NAME_BYTES_MAX;
use crate::settings::Profile;
use crate::settings::watermarks::bytes_of;

const MIB: u64 = 1024 * 1024;
const YEAR_MS: u64 = 365 * 24 * 3_600_000;

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    /// A whole number with inclusive bounds.
    Number {
        min: u64,
        max: u64,
        /// Empty for counts.
        unit: &'static str,
    },
    /// Text of 1 to so many bytes.
    Text { bytes_max: usize },
    /// The same, or nothing.
    OptionalText { bytes_max: usize },
    /// Text that no error repeats.
    Secret,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of these words, at least one.
    Words(&'static [&'static str]),
    /// A list of names of 1 to 255 bytes.
    Names,
    /// A list of addresses with ports, at least so many.
    Addresses { min: usize },
    /// A file, or `false`.
    OptionalFile,
    /// Moments at which a log file is exchanged.
    Moments,
    /// `true` or `false`.
    Flag,
    /// Segments of a path that need no encoding, or none.
    UrlPath,
    /// A path of a page, with a slash at its front alone and nothing that needs an encoding.
    AbsolutePath,
    /// A number of bytes, which may have a unit, or `none`.
    Size,
    /// A number from 0 to so much, or `none` where there may be none.
    Ratio { max: u32, optional: bool },
}

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
    ("management.enable_queue_totals", Rule::Flag),
    ("log.client_lines_per_second_max", count(0, 1_000_000)),
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

impl Rule {
    /// The value in its final form; `None` when the key does not take it.
    pub(super) fn accept(self, value: &Value) -> Option<serde_json::Value> {
        match self {
            Self::Number { min, max, .. } => whole_number(value)
                .filter(|number| (min..=max).contains(number))
                .map(serde_json::Value::from),
            Self::Text { bytes_max } => text(value)
                .filter(|text| (1..=bytes_max).contains(&text.len()))
                .map(serde_json::Value::from),
            Self::OptionalText { bytes_max } => text(value)
                .filter(|text| text.len() <= bytes_max)
                .map(serde_json::Value::from),
            Self::Secret => text(value)
                .filter(|text| !text.is_empty())
                .map(serde_json::Value::from),
            Self::Word(words) => text(value)
                .filter(|text| words.contains(text))
                .map(serde_json::Value::from),
            Self::Words(words) => list(value, 1, |item| {
                text(item)
                    .filter(|text| words.contains(text))
                    .map(str::to_owned)
            }),
            Self::Names => list(value, 0, |item| {
                text(item)
                    .filter(|text| (1..=NAME_BYTES_MAX).contains(&text.len()))
                    .map(str::to_owned)
            }),
            Self::Addresses { min } => list(value, min, address),
            Self::OptionalFile => match (flag(value), text(value)) {
                (Some(false), _) => Some("".into()),
                (Some(true), _) | (None, None) => None,
                (None, Some(text)) => (text.len() <= 4095).then(|| text.into()),
            },
            Self::Moments => text(value)
                .filter(|text| text.is_empty() || Schedule::parse(text).is_some())
                .map(serde_json::Value::from),
            Self::Flag => flag(value).map(serde_json::Value::from),
            Self::UrlPath => text(value)
                .filter(|text| is_url_path(text))
                .map(serde_json::Value::from),
            Self::AbsolutePath => text(value)
                .filter(|text| is_absolute_path(text))
                .map(serde_json::Value::from),
            Self::Size | Self::Ratio { optional: true, .. } if text(value) == Some("none") => {
                Some(serde_json::Value::Null)
            }
            Self::Size => whole_number(value)
                .or_else(|| bytes_of(text(value)?))
                .map(serde_json::Value::from),
            Self::Ratio { max, .. } => number(value)
                .filter(|number| (0.0..=f64::from(max)).contains(number))
                .map(serde_json::Value::from),
        }
    }

    /// What the key takes, in words that follow `must be`.
    pub(super) fn expected(self) -> String {
        match self {
            Self::Number { min, max, unit } => {
                let unit = if unit.is_empty() {
                    String::new()
                } else {
                    format!(" ({unit})")
                };
                format!("a whole number from {min} to {max}{unit}")
            }
            Self::Text { bytes_max } => format!("a text of 1 to {bytes_max} bytes"),
            Self::OptionalText { bytes_max } => format!("a text of up to {bytes_max} bytes"),
            Self::Secret => "a text that is not empty".to_owned(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Words(words) => format!("a list of one or more of {}", words.join(", ")),
            Self::Names => format!("a list of texts of 1 to {NAME_BYTES_MAX} bytes"),
            Self::Addresses { min: 0 } => "a list of addresses such as 0.0.0.0:5672".to_owned(),
            Self::Addresses { .. } => {
                "a list of one or more addresses such as 0.0.0.0:5672".to_owned()
            }
            Self::OptionalFile => "a file of up to 4095 bytes, or false".to_owned(),
            Self::Moments => "empty, or such as $D0, $H30, $W0D23 or $M1D0".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::UrlPath => {
                "a path of letters, digits and -._~ with slashes between, or empty".to_owned()
            }
            Self::AbsolutePath => {
                "a path such as /metrics, of letters, digits and -._~ with slashes between"
                    .to_owned()
            }
            Self::Size => "a number of bytes, a text such as 512MiB or 2GB, or none".to_owned(),
            Self::Ratio { max, optional } => {
                let none = if optional { ", or none" } else { "" };
                format!("a number from 0 to {max}{none}")
            }
        }
    }
}

fn is_url_path(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    text.len() <= NAME_BYTES_MAX && text.bytes().all(plain) && !text.contains("//")
}

fn text(value: &Value) -> Option<&str> {
    if let ValueKind::String(text) = &value.kind {
        Some(text)
    } else {
        None
    }
}

fn flag(value: &Value) -> Option<bool> {
    if let ValueKind::Boolean(flag) = value.kind {
        Some(flag)
    } else {
        text(value)?.trim().parse().ok()
    }
}

fn whole_number(value: &Value) -> Option<u64> {
    match &value.kind {
        ValueKind::I64(number) => u64::try_from(*number).ok(),
        ValueKind::I128(number) => u64::try_from(*number).ok(),
        ValueKind::U64(number) => Some(*number),
        ValueKind::U128(number) => u64::try_from(*number).ok(),
        ValueKind::String(text) => text.trim().parse().ok(),
        ValueKind::Nil
        | ValueKind::Boolean(_)
        | ValueKind::Float(_)
        | ValueKind::Table(_)
        | ValueKind::Array(_) => None,
    }
}

fn is_absolute_path(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let segments = text.strip_prefix('/').map(|rest| rest.split('/'));
    text.len() <= NAME_BYTES_MAX
        && segments.is_some_and(|mut segments| {
            segments.all(|segment| !segment.is_empty() && segment.bytes().all(plain))
        })
}

fn number(value: &Value) -> Option<f64> {
    match &value.kind {
        ValueKind::Float(number) => Some(*number),
        ValueKind::String(text) => text.trim().parse().ok(),
        ValueKind::I64(_)
        | ValueKind::I128(_)
        | ValueKind::U64(_)
        | ValueKind::U128(_)
        | ValueKind::Nil
        | ValueKind::Boolean(_)
        | ValueKind::Table(_)
        | ValueKind::Array(_) => whole_number(value).map(|number| number as f64),
    }
}

/// A list, or a text with commas as the environment has it; `none` is the empty list.
fn list(
    value: &Value,
    min: usize,
    item: impl Fn(&Value) -> Option<String>,
) -> Option<serde_json::Value> {
    let from_text: Vec<Value>;
    let items: &[Value] = match &value.kind {
        ValueKind::Array(items) => items,
        ValueKind::String(text) if text.trim() == "none" => &[],
        ValueKind::String(text) => {
            from_text = text
                .split(',')
                .map(|part| Value::new(None, ValueKind::String(part.trim().to_owned())))
                .collect();
            &from_text
        }
        ValueKind::Nil
        | ValueKind::Boolean(_)
        | ValueKind::I64(_)
        | ValueKind::I128(_)
        | ValueKind::U64(_)
        | ValueKind::U128(_)
        | ValueKind::Float(_)
        | ValueKind::Table(_) => return None,
    };
    if items.len() < min {
        return None;
    }
    items
        .iter()
        .map(|value| item(value).map(serde_json::Value::from))
        .collect()
}

/// An address with a port, or a port alone for all addresses.
fn address(value: &Value) -> Option<String> {
    let address = match text(value).map(str::parse::<SocketAddr>) {
        Some(Ok(address)) => address,
        _ => {
            let port = u16::try_from(whole_number(value)?).ok()?;
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))
        }
    };
    Some(address.to_string())
}

#[cfg(test)]
mod tests {
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

//! What a setting may be: a rule turns what was written (a number, or a text from the environment) into the JSON value
//! that the settings are read from, or says what it wanted instead.

use std::net::Ipv6Addr;
use std::net::SocketAddr;

use config::Value;
use config::ValueKind;

use crate::logs::Schedule;
use crate::model::names::NAME_BYTES_MAX;
use crate::settings::watermarks::bytes_of;

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

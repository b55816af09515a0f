//! One line: what was said and about what, as text for people or as JSON for collectors.
//!
//! Both are RabbitMQ's: `2026-01-01 00:00:00.000000+00:00 [info] <0.5.0> message`, each line of a message with the same beginning;
//! and an object with `time`, `level`, `msg`, `domain` and `pid`. What a line tells beyond its message follows as `key=value`, or as
//! further members.

use std::fmt;
use std::fmt::Write;

use jiff::ZonedDateTime;
use tracing::field::Field;
use tracing::field::Visit;

use crate::logs::Category;

/// What follows a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Formatter {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Plaintext,
    /// For collectors.
    Json,
}

/// The fields of an event or of a span.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) message: String,
    pub(super) others: Vec<(&'static str, Value)>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    /// A number or a truth value.
    Bare(String),
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::Text(text) | Value::Bare(text)) => self.message = text,
            (name, value) => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::Text(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::Text(value.to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::Bare(value.to_string()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Bare(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Bare(value.to_string()));
    }
}

/// The connection that a line was written for.
#[derive(Debug, Clone, Default)]
pub(super) struct About {
    pub(super) connection: u64,
    /// `,"name":value` of what is known about it.
    pub(super) members: String,
}

impl About {
    /// Notes fields of the span.
    pub(super) fn note(&mut self, fields: Fields) {
        for (name, value) in fields.others {
            match (name, value) {
                ("id", Value::Bare(id)) => self.connection = id.parse().unwrap_or(0),
                (name, value) => member(&mut self.members, name, &value),
            }
        }
    }
}

/// A line before it has a shape.
pub(super) struct Line<'a> {
    pub(super) time: &'a ZonedDateTime,
    pub(super) level: &'static str,
    pub(super) category: Category,
    pub(super) about: Option<&'a About>,
    pub(super) fields: &'a Fields,
}

impl Line<'_> {
    fn time(&self) -> impl fmt::Display {
        self.time.strftime("%Y-%m-%d %H:%M:%S%.6f%:z")
    }

    fn connection(&self) -> u64 {
        self.about.map_or(0, |about| about.connection)
    }

    /// For people; in RabbitMQ's colours where a terminal shows them.
    pub(super) fn text(&self, colours: bool) -> String {
        let mut message = self.fields.message.clone();
        for (name, value) in &self.fields.others {
            let _ = match value {
                Value::Text(text) if is_plain(text) => write!(message, " {name}={text}"),
                Value::Text(text) => write!(message, " {name}={text:?}"),
                Value::Bare(text) => write!(message, " {name}={text}"),
            };
        }
        let (begin, end) = match (colours, self.level) {
            (true, "debug") => ("\u{1b}[38;5;246m", "\u{1b}[0m"),
            (true, "warning") => ("\u{1b}[38;5;214m", "\u{1b}[0m"),
            (true, "error") => ("\u{1b}[38;5;160m", "\u{1b}[0m"),
            _ => ("", ""),
        };
        let head = format!(
            "{} [{}] <0.{}.0>",
            self.time(),
            self.level,
            self.connection()
        );
        let mut text = String::with_capacity(head.len() + message.len() + 16);
        for line in message.split('\n') {
            let _ = writeln!(text, "{begin}{head} {}{end}", line.trim_end());
        }
        text
    }

    /// For collectors.
    pub(super) fn json(&self) -> String {
        let mut text = format!(
            "{{\"time\":\"{}\",\"level\":\"{}\"",
            self.time(),
            self.level
        );
        quoted_member(&mut text, "msg", &self.fields.message);
        quoted_member(&mut text, "domain", self.category.domain());
        let _ = write!(text, ",\"pid\":\"<0.{}.0>\"", self.connection());
        for (name, value) in &self.fields.others {
            member(&mut text, name, value);
        }
        text.push_str(self.about.map_or("", |about| &about.members));
        text.push_str("}\n");
        text
    }
}

/// Needs no quotes to be told from what follows.
fn is_plain(text: &str) -> bool {
    let plain =
        |character: char| !character.is_whitespace() && !character.is_control() && character != '"';
    !text.is_empty() && text.chars().all(plain)
}

fn member(text: &mut String, name: &str, value: &Value) {
    match value {
        Value::Text(value) => quoted_member(text, name, value),
        Value::Bare(value) => {
            let _ = write!(text, ",\"{name}\":{value}");
        }
    }
}

fn quoted_member(text: &mut String, name: &str, value: &str) {
    let _ = write!(text, ",\"{name}\":{}", serde_json::Value::from(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: Fields, about: Option<&About>, text: &str, json: &str) {
        let time: ZonedDateTime = "2026-01-02T03:04:05.000006+01:00[Europe/Berlin]"
            .parse()
            .or_else(|_| "2026-01-02T03:04:05.000006+01:00[+01:00]".parse())
            .expect("a time");
        let line = Line {
            time: &time,
            level: "warning",
            category: Category::Connection,
            about,
            fields: &fields,
        };
        assert_eq!(line.text(false), text);
        assert_eq!(line.json(), json);
        let parsed: serde_json::Value = serde_json::from_str(json).expect("JSON");
        assert_eq!(parsed["msg"], fields.message);
    }

    #[test]
    fn fields_follow_the_message() {
        let fields = Fields {
            message: "no room".to_owned(),
            others: vec![
                ("queue", Value::Text("q 1\n".to_owned())),
                ("user", Value::Text("guest".to_owned())),
                ("depth", Value::Bare("3".to_owned())),
            ],
        };
        check(
            fields,
            None,
            "2026-01-02 03:04:05.000006+01:00 [warning] <0.0.0> no room queue=\"q 1\\n\" user=guest depth=3\n",
            "{\"time\":\"2026-01-02 03:04:05.000006+01:00\",\"level\":\"warning\",\"msg\":\"no room\",\
             \"domain\":\"rabbitmq.connection\",\"pid\":\"<0.0.0>\",\"queue\":\"q 1\\n\",\"user\":\"guest\",\"depth\":3}\n",
        );
    }

    #[test]
    fn each_line_of_a_message_has_the_same_beginning() {
        let mut about = About::default();
        about.note(Fields {
            message: String::new(),
            others: vec![
                ("id", Value::Bare("7".to_owned())),
                ("peer", Value::Text("127.0.0.1:5".to_owned())),
            ],
        });
        let fields = Fields {
            message: "closing:\nmissed heartbeats ".to_owned(),
            ..Fields::default()
        };
        check(
            fields,
            Some(&about),
            "2026-01-02 03:04:05.000006+01:00 [warning] <0.7.0> closing:\n\
             2026-01-02 03:04:05.000006+01:00 [warning] <0.7.0> missed heartbeats\n",
            "{\"time\":\"2026-01-02 03:04:05.000006+01:00\",\"level\":\"warning\",\
             \"msg\":\"closing:\\nmissed heartbeats \",\"domain\":\"rabbitmq.connection\",\"pid\":\"<0.7.0>\",\
             \"peer\":\"127.0.0.1:5\"}\n",
        );
    }
}

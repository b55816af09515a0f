//! The language of scripts: lines to steps. `compat-tests/oracle/README.md` describes it.
//!
//! A line is parsed twice: when the script is read, so that mistakes are found at once, and when it
//! is played, after its variables got the values of each broker.

use crate::layout::Kind;
use crate::layout::Method;
use crate::layout::PROPERTIES;
use crate::layout::by_name;
use crate::value::Cursor;
use crate::wire::Fields;
use std::path::Path;

/// Where a line sends: a connection's name and a channel's number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) connection: String,
    pub(crate) channel: u16,
}

#[derive(Debug)]
pub(crate) enum Step {
    /// Opens a connection with these settings.
    Connect {
        name: String,
        fields: Fields,
    },
    /// Opens a TCP connection and says nothing.
    Socket {
        name: String,
    },
    /// Closes the TCP connection without a word.
    Drop {
        name: String,
    },
    /// From now on the rig does not answer the broker's closes by itself.
    Manual {
        name: String,
    },
    Bytes {
        name: String,
        bytes: Vec<u8>,
    },
    Frame {
        place: Place,
        kind: u8,
        payload: Vec<u8>,
    },
    Header {
        place: Place,
        class: u16,
        weight: u16,
        size: u64,
        fields: Fields,
    },
    Body {
        place: Place,
        body: Vec<u8>,
    },
    Method(Box<MethodStep>),
    /// Until this many more of the method came, or the time is over.
    Wait {
        place: Place,
        what: String,
        count: usize,
        seconds: u64,
    },
    /// Until the queue has these numbers; none of them: until it is gone.
    AwaitQueue {
        queue: String,
        messages: Option<u64>,
        consumers: Option<u64>,
    },
    Pause {
        milliseconds: u64,
    },
    /// From now on these are opened again whenever they were closed.
    KeepOpen {
        places: Vec<Place>,
    },
    /// From now on, after each line, until the queues of both brokers hold equally much.
    KeepEven {
        queues: Vec<String>,
    },
    /// Takes all messages out of a queue, one after the other.
    Drain {
        place: Place,
        queue: String,
    },
    Http {
        method: String,
        path: String,
        body: String,
        pick: Vec<String>,
    },
}

#[derive(Debug)]
pub(crate) struct MethodStep {
    pub(crate) place: Place,
    pub(crate) method: &'static Method,
    pub(crate) fields: Fields,
    /// Of `basic.publish`; none sends the method alone.
    pub(crate) body: Option<Vec<u8>>,
    /// Nothing is opened before, nothing awaited after.
    pub(crate) bluntly: bool,
}

impl MethodStep {
    pub(crate) fn awaits_answer(&self) -> bool {
        let is_nowait = self.fields.number("nowait") == Some(1);
        !self.bluntly && !is_nowait && !self.method.answers.is_empty()
    }
}

/// A line to play.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// From 1.
    pub(crate) number: usize,
    pub(crate) text: String,
    pub(crate) times: u64,
}

#[derive(Debug, Clone)]
pub(crate) enum Item {
    One(Line),
    /// Sent without a wait in between.
    Together(Vec<Line>),
}

#[derive(Debug, Clone)]
pub(crate) struct Script {
    /// Path below `scripts`, without its ending.
    pub(crate) name: String,
    pub(crate) items: Vec<Item>,
}

const CONNECT: &[(&str, Kind)] = &[
    ("user", Kind::LongStr),
    ("password", Kind::LongStr),
    ("mechanism", Kind::ShortStr),
    ("response", Kind::LongStr),
    ("vhost", Kind::ShortStr),
    ("channel-max", Kind::Short),
    ("frame-max", Kind::Long),
    ("heartbeat", Kind::Short),
    ("properties", Kind::Table),
];
const CONTENT: &[(&str, Kind)] = &[
    ("body", Kind::LongStr),
    ("body-size", Kind::Long),
    ("bare", Kind::Bit),
];
const HEADER_FIELDS: &[(&str, Kind)] = &[
    ("class", Kind::Short),
    ("weight", Kind::Short),
    ("size", Kind::LongLong),
];
const AWAIT: &[(&str, Kind)] = &[("messages", Kind::Long), ("consumers", Kind::Long)];

/// The longest a `wait` waits unless it says otherwise.
const WAIT_SECONDS: u64 = 10;

/// Where a value of a variable is not known yet.
const UNKNOWN: &str = "0";

pub(crate) const VARIABLES: &[&str] = &["id", "queue", "ctag", "replyto", "n"];

impl Script {
    pub(crate) fn read(root: &Path, path: &Path) -> Result<Self, String> {
        let name = path.strip_prefix(root).unwrap_or(path).with_extension("");
        let name = name.to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
        Self::parse(&name, &text)
    }

    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut items = Vec::new();
        let mut together: Option<Vec<Line>> = None;
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match (line, &mut together) {
                ("together", None) => together = Some(Vec::new()),
                ("end", Some(_)) => items.extend(together.take().map(Item::Together)),
                (line, together) => {
                    let line = read_line(number, line)
                        .map_err(|reason| format!("{name}:{number}: {reason}"))?;
                    match together {
                        Some(lines) => lines.push(line),
                        None => items.push(Item::One(line)),
                    }
                }
            }
        }
        if together.is_some() {
            return Err(format!("{name}: `together` without `end`"));
        }
        Ok(Self {
            name: name.to_owned(),
            items,
        })
    }
}

fn read_line(number: usize, line: &str) -> Result<Line, String> {
    let (times, text) = match line.strip_prefix("repeat ") {
        Some(rest) => {
            let (times, text) = rest.trim().split_once(' ').ok_or("repeat what?")?;
            let times = times
                .parse()
                .map_err(|_| format!("{times:?}: how often?"))?;
            (times, text.trim())
        }
        None => (1, line),
    };
    let tried = VARIABLES.iter().fold(text.to_owned(), |text, name| {
        text.replace(&format!("${name}"), UNKNOWN)
    });
    Step::parse(&tried)?;
    Ok(Line {
        number,
        text: text.to_owned(),
        times,
    })
}

fn place(word: &str) -> Result<Place, String> {
    let digits = word
        .find(|c: char| c.is_ascii_digit())
        .unwrap_or(word.len());
    let (connection, channel) = word.split_at(digits);
    let is_name = !connection.is_empty() && connection.chars().all(|c| c.is_ascii_alphabetic());
    match channel.parse() {
        Ok(channel) if is_name => Ok(Place {
            connection: connection.to_owned(),
            channel,
        }),
        _ => Err(format!("{word:?}: neither a step nor a channel such as a1")),
    }
}

/// `41 4d 51` or `"text\x00"`.
fn octets(text: &str) -> Result<Vec<u8>, String> {
    let text = text.trim();
    if text.starts_with('"') {
        return Cursor::new(text).string(b"");
    }
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return Err(format!("{text:?}: no octets"));
    }
    (0..digits.len() / 2)
        .map(|at| {
            u8::from_str_radix(&digits[2 * at..2 * at + 2], 16)
                .map_err(|_| format!("{text:?}: no octets"))
        })
        .collect()
}

fn two(text: &str) -> (&str, &str) {
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    (first, rest.trim())
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

impl Step {
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let (word, rest) = two(line);
        let name = || {
            if !rest.is_empty() && rest.chars().all(|c| c.is_ascii_alphabetic()) {
                Ok(rest.to_owned())
            } else {
                Err(format!("{rest:?}: a connection's name has letters only"))
            }
        };
        Ok(match word {
            "connect" => {
                let (name, rest) = two(rest);
                Self::Connect {
                    name: name.to_owned(),
                    fields: Fields::parse(&mut Cursor::new(rest), &[CONNECT])?,
                }
            }
            "socket" => Self::Socket { name: name()? },
            "drop" => Self::Drop { name: name()? },
            "manual" => Self::Manual { name: name()? },
            "bytes" => {
                let (name, rest) = two(rest);
                Self::Bytes {
                    name: name.to_owned(),
                    bytes: octets(rest)?,
                }
            }
            "frame" => {
                let (at, rest) = two(rest);
                let (kind, rest) = two(rest);
                Self::Frame {
                    place: place(at)?,
                    kind: parsed(kind)?,
                    payload: octets(rest)?,
                }
            }
            "header" => {
                let (at, rest) = two(rest);
                let fields = Fields::parse(&mut Cursor::new(rest), &[HEADER_FIELDS, PROPERTIES])?;
                let short = |name| u16::try_from(fields.number(name).unwrap_or(0)).unwrap_or(0);
                Self::Header {
                    place: place(at)?,
                    class: fields.number("class").map_or(60, |_| short("class")),
                    weight: short("weight"),
                    size: fields.number("size").unwrap_or(0),
                    fields,
                }
            }
            "body" => {
                let (at, rest) = two(rest);
                Self::Body {
                    place: place(at)?,
                    body: octets(rest)?,
                }
            }
            "wait" => {
                let mut words = rest.split_whitespace();
                let at = place(words.next().unwrap_or_default())?;
                let what = words.next().ok_or("wait for what?")?.to_owned();
                if by_name(&what).is_none() && what != "end" {
                    return Err(format!("{what:?}: neither a method nor `end`"));
                }
                Self::Wait {
                    place: at,
                    what,
                    count: words.next().map_or(Ok(1), parsed)?,
                    seconds: words.next().map_or(Ok(WAIT_SECONDS), parsed)?,
                }
            }
            "await-queue" => {
                let (queue, rest) = two(rest);
                let gone = rest == "gone";
                let rest = if gone { "" } else { rest };
                let fields = Fields::parse(&mut Cursor::new(rest), &[AWAIT])?;
                let numbers = (fields.number("messages"), fields.number("consumers"));
                if !gone && numbers == (None, None) {
                    return Err("await-queue: messages=N, consumers=N or gone".to_owned());
                }
                Self::AwaitQueue {
                    queue: queue.to_owned(),
                    messages: numbers.0,
                    consumers: numbers.1,
                }
            }
            "pause" => Self::Pause {
                milliseconds: parsed(rest)?,
            },
            "keep-open" => Self::KeepOpen {
                places: rest
                    .split_whitespace()
                    .map(place)
                    .collect::<Result<_, _>>()?,
            },
            "keep-even" => Self::KeepEven {
                queues: rest.split_whitespace().map(str::to_owned).collect(),
            },
            "drain" => {
                let (at, queue) = two(rest);
                Self::Drain {
                    place: place(at)?,
                    queue: queue.to_owned(),
                }
            }
            "http" => http(rest)?,
            _ => Self::Method(Box::new(method(word, rest)?)),
        })
    }
}

fn http(rest: &str) -> Result<Step, String> {
    let (method, rest) = two(rest);
    let (path, rest) = two(rest);
    if !["GET", "PUT", "POST", "DELETE"].contains(&method) || !path.starts_with('/') {
        return Err("http METHOD /path [body or pick names]".to_owned());
    }
    let (body, pick) = match rest.strip_prefix("pick ") {
        Some(names) => ("", names.split_whitespace().map(str::to_owned).collect()),
        None => (rest, Vec::new()),
    };
    Ok(Step::Http {
        method: method.to_owned(),
        path: path.to_owned(),
        body: body.to_owned(),
        pick,
    })
}

fn method(word: &str, rest: &str) -> Result<MethodStep, String> {
    let (word, bluntly) = match word.strip_prefix('!') {
        Some(word) => (word, true),
        None => (word, false),
    };
    let place = place(word)?;
    let (name, rest) = two(rest);
    let method = by_name(name).ok_or_else(|| format!("unknown method {name:?}"))?;
    let mut cursor = Cursor::new(rest);
    let is_publish = name == "basic.publish";
    let fields = if is_publish {
        Fields::parse(&mut cursor, &[method.arguments, PROPERTIES, CONTENT])?
    } else {
        Fields::parse(&mut cursor, &[method.arguments])?
    };
    let body = if !is_publish || fields.number("bare") == Some(1) {
        None
    } else if let Some(size) = fields.number("body-size") {
        Some(vec![b'x'; usize::try_from(size).unwrap_or(0)])
    } else {
        Some(fields.bytes("body").unwrap_or_default().to_vec())
    };
    Ok(MethodStep {
        place,
        method,
        fields,
        body,
        bluntly,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_line_by_line() {
        let text = "# a comment\n\na1 queue.declare queue=q\ntogether\nrepeat 3 a1 basic.publish key=q body=\"m$n\"\nend\nwait a1 basic.deliver 2 5\n";
        let script = Script::parse("area/name", text).unwrap();
        assert_eq!(script.items.len(), 3);
        let Item::Together(lines) = &script.items[1] else {
            panic!("{:?}", script.items);
        };
        assert_eq!((lines[0].number, lines[0].times), (5, 3));
    }

    #[test]
    fn mistakes_are_found_when_a_script_is_read() {
        for text in [
            "a1 queue.declar queue=q",
            "a1 queue.declare que=q",
            "1a queue.declare",
            "together\na1 tx.select",
            "wait a1 basic.delivery",
            "await-queue q",
            "http FETCH /",
            "pause long",
            "a1 basic.qos count=many",
            "bytes a 4",
        ] {
            assert!(Script::parse("s", text).is_err(), "{text}");
        }
    }
}

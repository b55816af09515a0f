//! Where lines go.

use std::io;
use std::io::IsTerminal;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use jiff::ZonedDateTime;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use serde::Deserialize;
use serde::Serialize;

use crate::logs::Category;
use crate::logs::Formatter;
use crate::logs::Level;
use crate::logs::Lines;
use crate::logs::LogError;
use crate::logs::LogOptions;
use crate::logs::burst::Burst;
use crate::logs::exchange;
use crate::logs::exchange::Tap;
use crate::logs::file::LogFile;
use crate::logs::file::Rotation;
use crate::logs::levels::Levels;
use crate::logs::line::Fields;
use crate::logs::line::Line;
use crate::logs::writer::Sink;
use crate::logs::writer::Writer;

/// One of the process's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Lines on the console.
#[derive(Debug, Clone)]
pub struct Console {
    /// Where.
    pub stream: Stream,
    /// How much, unless a category says otherwise.
    pub level: Option<Level>,
    /// In which form.
    pub formatter: Formatter,
    /// In colours; `None`: on a terminal.
    pub colours: Option<bool>,
}

/// Lines in a file.
#[derive(Debug, Clone)]
pub struct FileOutput {
    /// Where.
    pub path: PathBuf,
    /// How much, unless a category says otherwise.
    pub level: Option<Level>,
    /// In which form.
    pub formatter: Formatter,
    /// When it is exchanged.
    pub rotation: Rotation,
}

/// Lines in messages.
#[derive(Debug, Clone)]
pub struct ExchangeOutput {
    /// How much, unless a category says otherwise.
    pub level: Option<Level>,
    /// In which form.
    pub formatter: Formatter,
}

/// The shape of an output's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Text { colours: bool },
    Json,
}

enum Place {
    Console(Stream, Writer),
    File(PathBuf, Writer),
    Exchange(Tap),
}

/// What the thread of an output writes to.
struct Ending<W> {
    place: W,
    shape: Shape,
    zone: TimeZone,
}

struct Output {
    levels: Levels,
    shape: Shape,
    place: Place,
    burst: Mutex<Burst>,
}

pub(super) struct Outputs {
    all: Vec<Output>,
    client_lines_per_second_max: u32,
}

impl Outputs {
    pub(super) fn open(
        options: &LogOptions,
        now: &ZonedDateTime,
    ) -> Result<(Self, Option<Lines>), LogError> {
        let levels = |own| Levels::new(own, &options.levels);
        let bytes_max = options.waiting_bytes_max;
        let mut outputs = Vec::new();
        if let Some(console) = &options.console {
            let terminal = match console.stream {
                Stream::Stdout => io::stdout().is_terminal(),
                Stream::Stderr => io::stderr().is_terminal(),
            };
            let colours = console.colours.unwrap_or(terminal);
            let shape = Shape::new(console.formatter, terminal, colours);
            let ending = Ending::new(console.stream, shape, now);
            let writer = Writer::start("console", bytes_max, ending).map_err(LogError::Thread)?;
            outputs.push(Output {
                levels: levels(console.level),
                shape,
                place: Place::Console(console.stream, writer),
                burst: Mutex::default(),
            });
        }
        if let Some(file) = &options.file {
            let opened = LogFile::open(&file.path, file.rotation, now);
            let opened = opened.map_err(|source| LogError::File {
                path: file.path.clone(),
                source,
            })?;
            let shape = Shape::new(file.formatter, false, false);
            let ending = Ending::new(opened, shape, now);
            let writer = Writer::start("file", bytes_max, ending).map_err(LogError::Thread)?;
            outputs.push(Output {
                levels: levels(file.level),
                shape,
                place: Place::File(file.path.clone(), writer),
                burst: Mutex::default(),
            });
        }
        let lines = options.exchange.as_ref().map(|output| {
            let (tap, lines) = exchange::tap();
            outputs.push(Output {
                levels: levels(output.level),
                shape: Shape::new(output.formatter, false, false),
                place: Place::Exchange(tap),
                burst: Mutex::default(),
            });
            lines
        });
        let outputs = Self {
            all: outputs,
            client_lines_per_second_max: options.client_lines_per_second_max,
        };
        Ok((outputs, lines))
    }

    pub(super) fn shows(&self, category: Category, severity: tracing::Level) -> bool {
        let mut outputs = self.all.iter();
        outputs.any(|output| output.levels.of(category).admits(severity))
    }

    pub(super) fn write(&self, line: &Line<'_>, severity: tracing::Level) {
        let mut last: Option<(Shape, String)> = None;
        for output in &self.all {
            if !output.levels.of(line.category).admits(severity) {
                continue;
            }
            if !self.bears(output, line) {
                continue;
            }
            let text = match last.take() {
                Some((shape, text)) if shape == output.shape => text,
                _ => output.shape.give(line),
            };
            output.place.write(line, &text);
            last = Some((output.shape, text));
        }
    }

    /// Whether it is not too much of what clients have a part in; tells what was, behind it.
    fn bears(&self, output: &Output, line: &Line<'_>) -> bool {
        if !matches!(line.category, Category::Connection | Category::Channel) {
            return true;
        }
        let second = line.time.timestamp().as_second();
        let max = self.client_lines_per_second_max;
        let Some(left_out) = output.burst.lock().admit(second, max) else {
            return false;
        };
        if left_out > 0 {
            let message = format!(
                "{left_out} lines about connections and channels were left out, for more than {max} came within a second; see which \
                 clients open so many connections or do so much wrong, or raise log.client_lines_per_second_max"
            );
            let told = Line {
                level: Level::Warning.name(),
                about: None,
                fields: &Fields {
                    message,
                    others: Vec::new(),
                },
                ..*line
            };
            output.place.write(&told, &output.shape.give(&told));
        }
        true
    }

    pub(super) fn set_level(&self, level: Level) {
        for output in &self.all {
            output.levels.set(level);
        }
    }

    pub(super) fn lowest(&self) -> Level {
        let levels = self.all.iter().map(|output| output.levels.lowest());
        levels.min().unwrap_or(Level::None)
    }

    pub(super) fn locations(&self) -> Vec<String> {
        let place = |output: &Output| match &output.place {
            Place::Console(Stream::Stdout, _) => "<stdout>".to_owned(),
            Place::Console(Stream::Stderr, _) => "<stderr>".to_owned(),
            Place::File(path, _) => path.display().to_string(),
            Place::Exchange(_) => "exchange:amq.rabbitmq.log".to_owned(),
        };
        self.all.iter().map(place).collect()
    }

    /// Waits for each output, so long at most, until what came is written; whether all is.
    pub(super) fn flush(&self, timeout: Duration) -> bool {
        let flush = |all, output: &Output| match &output.place {
            Place::Console(_, writer) | Place::File(_, writer) => writer.flush(timeout) && all,
            Place::Exchange(_) => all,
        };
        self.all.iter().fold(true, flush)
    }

    /// Lines that each output has lost.
    pub(super) fn lost(&self) -> Vec<(&'static str, u64)> {
        let lost = |output: &Output| match &output.place {
            Place::Console(_, writer) => ("console", writer.lost()),
            Place::File(_, writer) => ("file", writer.lost()),
            Place::Exchange(tap) => ("exchange", tap.lost()),
        };
        self.all.iter().map(lost).collect()
    }
}

impl Shape {
    fn new(formatter: Formatter, terminal: bool, colours: bool) -> Self {
        match formatter {
            Formatter::Json => Self::Json,
            Formatter::Auto if !terminal => Self::Json,
            Formatter::Auto | Formatter::Plaintext => Self::Text { colours },
        }
    }

    fn give(self, line: &Line<'_>) -> String {
        match self {
            Self::Json => line.json(),
            Self::Text { colours } => line.text(colours),
        }
    }
}

impl Place {
    fn write(&self, line: &Line<'_>, text: &str) {
        match self {
            Self::Console(_, writer) | Self::File(_, writer) => writer.put(text, line.time),
            Self::Exchange(tap) => tap.put(line.level, text),
        }
    }
}

impl<W> Ending<W> {
    fn new(place: W, shape: Shape, now: &ZonedDateTime) -> Self {
        let zone = now.time_zone().clone();
        Self { place, shape, zone }
    }

    fn notice(&self, lost: u64) -> (String, ZonedDateTime) {
        let time = super::now(&self.zone);
        let message = format!(
            "{lost} lines are missing here, for the log could not be written as fast as they came; see what reads it, or its disk, or raise \
             log.waiting_bytes_max"
        );
        let told = Line {
            time: &time,
            level: Level::Warning.name(),
            category: Category::Default,
            about: None,
            fields: &Fields {
                message,
                others: Vec::new(),
            },
        };
        (self.shape.give(&told), time)
    }
}

impl Sink for Ending<Stream> {
    fn write(&mut self, text: &[u8], _: &ZonedDateTime) -> io::Result<()> {
        match self.place {
            Stream::Stdout => io::stdout().lock().write_all(text),
            Stream::Stderr => io::stderr().lock().write_all(text),
        }
    }

    fn notice(&self, lost: u64) -> (String, ZonedDateTime) {
        self.notice(lost)
    }
}

impl Sink for Ending<LogFile> {
    fn write(&mut self, text: &[u8], time: &ZonedDateTime) -> io::Result<()> {
        self.place.write(text, time)
    }

    fn notice(&self, lost: u64) -> (String, ZonedDateTime) {
        self.notice(lost)
    }
}

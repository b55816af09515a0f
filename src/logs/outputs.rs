//! Where lines go.

use std::io;
use std::io::IsTerminal;
use std::io::Write;
use std::path::PathBuf;

use jiff::ZonedDateTime;
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
    Stream(Stream),
    File(Mutex<LogFile>),
    Exchange(Tap),
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
        let mut outputs = Vec::new();
        if let Some(console) = &options.console {
            let terminal = match console.stream {
                Stream::Stdout => io::stdout().is_terminal(),
                Stream::Stderr => io::stderr().is_terminal(),
            };
            outputs.push(Output {
                levels: levels(console.level),
                shape: Shape::new(
                    console.formatter,
                    terminal,
                    console.colours.unwrap_or(terminal),
                ),
                place: Place::Stream(console.stream),
                burst: Mutex::default(),
            });
        }
        if let Some(file) = &options.file {
            let opened = LogFile::open(&file.path, file.rotation, now);
            let opened = opened.map_err(|source| LogError::File {
                path: file.path.clone(),
                source,
            })?;
            outputs.push(Output {
                levels: levels(file.level),
                shape: Shape::new(file.formatter, false, false),
                place: Place::File(Mutex::new(opened)),
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
            Place::Stream(Stream::Stdout) => "<stdout>".to_owned(),
            Place::Stream(Stream::Stderr) => "<stderr>".to_owned(),
            Place::File(file) => file.lock().path().display().to_string(),
            Place::Exchange(_) => "exchange:amq.rabbitmq.log".to_owned(),
        };
        self.all.iter().map(place).collect()
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
    /// A line that cannot be written is lost.
    fn write(&self, line: &Line<'_>, text: &str) {
        let _ = match self {
            Self::Stream(Stream::Stdout) => io::stdout().lock().write_all(text.as_bytes()),
            Self::Stream(Stream::Stderr) => io::stderr().lock().write_all(text.as_bytes()),
            Self::File(file) => file.lock().write(text.as_bytes(), line.time),
            Self::Exchange(tap) => {
                tap.put(line.level, text);
                Ok(())
            }
        };
    }
}

//! Log lines: which are shown where, and what they look like.
//!
//! One layer of `tracing` gives each line to every output that shows its category at its level: the console, a file, the log
//! exchange. Who logs gives it its form and goes on; each output has a thread that writes what waits, and a bound of what may.
//! Nothing is logged for each message, so that this is no part of the hot path.
//!
//! A span named `connection` tells which connection a line is about.

mod burst;
mod category;
mod exchange;
mod file;
mod level;
mod levels;
mod line;
mod outputs;
mod printable;
mod schedule;
mod writer;

use std::backtrace::Backtrace;
use std::backtrace::BacktraceStatus;
use std::io;
use std::panic::PanicHookInfo;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use jiff::ZonedDateTime;
use jiff::tz::TimeZone;
use tracing::Event;
use tracing::Metadata;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::subscriber::Interest;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

pub use category::Category;
pub use exchange::Lines;
pub use exchange::PUBLISHER;
pub use exchange::Published;
pub use file::Rotation;
pub use level::Level;
pub use levels::CategoryLevels;
use line::About;
use line::Fields;
pub use line::Formatter;
use line::Line;
pub use outputs::Console;
pub use outputs::ExchangeOutput;
pub use outputs::FileOutput;
use outputs::Outputs;
pub use outputs::Stream;
pub use printable::Printable;
pub use schedule::Schedule;

/// The span whose lines are about a connection.
const CONNECTION: &str = "connection";

/// What is shown and where.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// How much.
    pub levels: CategoryLevels,
    /// Lines about connections and channels that an output shows in a second; 0: any number.
    pub client_lines_per_second_max: u32,
    /// Octets of lines that may wait for one output; what is more is lost.
    pub waiting_bytes_max: usize,
    /// How long an output that cannot be written may hold up the end of the process.
    pub flush_timeout: Duration,
    /// On standard output or standard error.
    pub console: Option<Console>,
    /// In a file.
    pub file: Option<FileOutput>,
    /// In messages.
    pub exchange: Option<ExchangeOutput>,
}

/// The log of this process, once it was started.
static LOGS: OnceLock<Arc<Logs>> = OnceLock::new();

struct Logs {
    outputs: Outputs,
    zone: TimeZone,
    flush_timeout: Duration,
}

/// How long a thread that panics waits at most until that is written, for it may be the end of the process.
const PANIC_FLUSH_TIMEOUT: Duration = Duration::from_millis(100);

/// Starts logging, once a process. Answers the lines for the log exchange, if there are to be any.
///
/// # Errors
/// The file cannot be opened, or logging was started before.
pub fn start(options: &LogOptions) -> Result<Option<Lines>, LogError> {
    let zone = TimeZone::system();
    let (outputs, lines) = Outputs::open(options, &now(&zone))?;
    let logs = Arc::new(Logs {
        outputs,
        zone,
        flush_timeout: options.flush_timeout,
    });
    LOGS.set(Arc::clone(&logs))
        .map_err(|_| LogError::StartedBefore)?;
    tracing_subscriber::registry()
        .with(Shown(Arc::clone(&logs)))
        .try_init()
        .map_err(|_| LogError::StartedBefore)?;
    // The usual hook would write to standard error itself, and wait for whoever should read it.
    std::panic::set_hook(Box::new(move |panic| logs.tell_panic(panic)));
    Ok(lines)
}

/// Waits until everything that was logged is written, or for as long as the settings allow. Whether it is.
pub fn flush() -> bool {
    LOGS.get()
        .is_none_or(|logs| logs.outputs.flush(logs.flush_timeout))
}

/// Lines that were lost so far, by output: for want of room or because they could not be written.
pub fn lost() -> Vec<(&'static str, u64)> {
    LOGS.get().map_or_else(Vec::new, |logs| logs.outputs.lost())
}

/// Shows lines of this level and above from now on, in all outputs and categories but those that are off (RabbitMQ's
/// `set_log_level`). Until the next start.
pub fn set_level(level: Level) {
    if let Some(logs) = LOGS.get() {
        logs.set_level(level);
    }
}

/// Where lines go: paths, `<stderr>`, `<stdout>`, `exchange:amq.rabbitmq.log` (RabbitMQ's `log_locations`).
pub fn locations() -> Vec<String> {
    LOGS.get()
        .map_or_else(Vec::new, |logs| logs.outputs.locations())
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be written.
    #[error("the log file {} cannot be opened: {source}; set log.dir and log.file.name to a place that can be written", path.display())]
    File {
        /// Where it would be.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// An output has a thread.
    #[error("no thread for the log can be started: {0}; raise the limit of processes")]
    Thread(#[source] io::Error),
    /// A process has one log.
    #[error("logging cannot be started twice")]
    StartedBefore,
}

fn now(zone: &TimeZone) -> ZonedDateTime {
    Timestamp::now().to_zoned_datetime(zone.clone())
}

impl Logs {
    fn set_level(&self, level: Level) {
        self.outputs.set_level(level);
        // What each place in the code logs is decided once, and anew now.
        tracing::callsite::rebuild_interest_cache();
    }

    fn tell_panic(&self, panic: &PanicHookInfo<'_>) {
        let thread = std::thread::current();
        let place = panic.location().map(ToString::to_string);
        let mut message = format!(
            "thread '{}' panicked at {}:\n{}",
            thread.name().unwrap_or("<unnamed>"),
            place.unwrap_or_default(),
            panic.payload_as_str().unwrap_or("no text")
        );
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            message.push_str(&format!("\n{backtrace}"));
        }
        let line = Line {
            time: &now(&self.zone),
            level: Level::Error.name(),
            category: Category::Default,
            about: None,
            fields: &Fields {
                message,
                others: Vec::new(),
            },
        };
        self.outputs.write(&line, tracing::Level::ERROR);
        self.outputs.flush(PANIC_FLUSH_TIMEOUT);
    }
}

/// Gives lines to the outputs as they come.
struct Shown(Arc<Logs>);

impl Shown {
    fn shows(&self, line: &Metadata<'_>) -> bool {
        // Spans tell what lines are about, whatever is shown of their own category.
        line.is_span() || self.0.outputs.shows(Category::of(line), *line.level())
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Shown {
    fn register_callsite(&self, line: &'static Metadata<'static>) -> Interest {
        if self.shows(line) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, line: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.shows(line)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // Spans are at `info`.
        let all = self.0.outputs.lowest() == Level::Debug;
        Some(if all {
            LevelFilter::DEBUG
        } else {
            LevelFilter::INFO
        })
    }

    fn on_new_span(
        &self,
        attributes: &span::Attributes<'_>,
        id: &span::Id,
        context: Context<'_, S>,
    ) {
        if attributes.metadata().name() != CONNECTION {
            return;
        }
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let mut about = About::default();
        about.note(fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(about);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        // Before the lock: values are told by code of others.
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(about) = span.extensions_mut().get_mut::<About>() {
            about.note(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(level) = Level::of(*event.metadata().level()) else {
            return;
        };
        let mut fields = Fields::default();
        event.record(&mut fields);
        let about = context
            .event_span(event)
            .and_then(|span| span.extensions().get::<About>().cloned());
        let line = Line {
            time: &now(&self.0.zone),
            level: level.name(),
            category: Category::of(event.metadata()),
            about: about.as_ref(),
            fields: &fields,
        };
        self.0.outputs.write(&line, *event.metadata().level());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_files_change_while_it_runs() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.log");
        let options = LogOptions {
            levels: CategoryLevels {
                default: Level::Warning,
                own: vec![(Category::Queue, Level::None)],
            },
            client_lines_per_second_max: 2,
            waiting_bytes_max: 64 * 1024 * 1024,
            flush_timeout: Duration::from_secs(30),
            console: None,
            file: Some(FileOutput {
                path: path.clone(),
                level: None,
                formatter: Formatter::Auto,
                rotation: Rotation {
                    kept: 1,
                    ..Rotation::default()
                },
            }),
            exchange: None,
        };
        let (outputs, lines) = Outputs::open(&options, &now(&TimeZone::UTC)).expect("open");
        assert!(lines.is_none());
        assert_eq!(outputs.locations(), [path.display().to_string()]);
        let logs = Arc::new(Logs {
            outputs,
            zone: TimeZone::UTC,
            flush_timeout: options.flush_timeout,
        });
        let subscriber = tracing_subscriber::registry().with(Shown(Arc::clone(&logs)));
        let say = || {
            tracing::debug!("a debug line");
            tracing::info!("an info line");
            tracing::error!(target: "queue", "never");
            tracing::error!("an error line");
        };
        let written = |ending: &str| -> Vec<String> {
            assert!(logs.outputs.flush(logs.flush_timeout));
            let text = std::fs::read_to_string(dir.path().join(format!("a.log{ending}")));
            let text = text.expect("a file");
            let words = text.lines().map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
                line["level"].as_str().expect("a level").to_owned()
            });
            words.collect()
        };
        tracing::subscriber::with_default(subscriber, || {
            say();
            assert_eq!(written(""), ["error"]);
            logs.set_level(Level::Debug);
            // As `logrotate` does it.
            assert!(written("").len() == 1);
            std::fs::rename(&path, dir.path().join("a.log.0")).expect("moved");
            say();
            assert_eq!(written(""), ["debug", "info", "error"]);
            assert_eq!(written(".0"), ["error"]);
            logs.set_level(Level::Critical);
            say();
            assert_eq!(written("").len(), 3);
            // However the seconds fall, ten thousand lines take less than a few thousand of them.
            logs.set_level(Level::Info);
            for _ in 0..10_000 {
                tracing::info!(target: "connection", "again");
            }
            assert!(written("").len() < 5_000);
        });
    }
}

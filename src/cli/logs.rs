//! Where log lines go and what they look like. Standard error, so that the start line alone is on standard output; and the
//! log exchange, when it is asked for.

use std::io::IsTerminal;
use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use crate::admin::SetLogLevel;
use crate::cli::log_exchange;
use crate::cli::log_exchange::Lines;
use crate::settings::LogFormat;
use crate::settings::LogSettings;

/// A log that is written.
pub(super) struct Log {
    /// For the log exchange, if there is to be one.
    pub(super) lines: Option<Lines>,
    /// Replaces the filter by one of RabbitMQ's levels.
    pub(super) set_level: SetLogLevel,
}

/// RabbitMQ's levels; `critical` is what we call an error.
const LEVELS: [(&str, &str); 6] = [
    ("debug", "debug"),
    ("info", "info"),
    ("warning", "warn"),
    ("error", "error"),
    ("critical", "error"),
    ("none", "off"),
];

/// Starts logging. The settings have checked the filter.
pub(super) fn start(settings: &LogSettings) -> Result<Log, String> {
    let filter = EnvFilter::try_new(&settings.level)
        .map_err(|error| format!("log.level '{}' is no filter: {error}", settings.level))?;
    let terminal = std::io::stderr().is_terminal();
    let json = match settings.format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let shown = fmt::layer().with_writer(std::io::stderr);
    let shown = if json {
        shown
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .boxed()
    } else {
        shown.with_ansi(terminal).boxed()
    };
    let (tap, lines) = settings.exchange.then(log_exchange::tap).unzip();
    let published = tap.map(|tap| fmt::layer().with_ansi(false).with_writer(tap));
    let (filter, handle) = reload::Layer::new(filter);
    tracing_subscriber::registry()
        .with(filter)
        .with(shown)
        .with(published)
        .try_init()
        .map_err(|error| format!("logging cannot start: {error}"))?;
    let set_level = move |level: &str| {
        let known = LEVELS.iter().find(|(name, _)| *name == level);
        let Some((_, filter)) = known else {
            let names = LEVELS.map(|(name, _)| name).join(", ");
            return Err(format!(
                "level {level} is not supported. Try one of {names}"
            ));
        };
        let set = handle.reload(EnvFilter::new(filter));
        set.map_err(|error| error.to_string())
    };
    Ok(Log {
        lines,
        set_level: Arc::new(set_level),
    })
}

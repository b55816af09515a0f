//! Where log lines go and what they look like. Standard error, so that the start line alone is on standard output; and the
//! log exchange, when it is asked for.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::log_exchange;
use crate::cli::log_exchange::Lines;
use crate::settings::LogFormat;
use crate::settings::LogSettings;

/// Starts logging. The settings have checked the filter. Answers the lines for the log exchange, if there is to be one.
pub(super) fn start(settings: &LogSettings) -> Result<Option<Lines>, String> {
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
    tracing_subscriber::registry()
        .with(filter)
        .with(shown)
        .with(published)
        .try_init()
        .map_err(|error| format!("logging cannot start: {error}"))?;
    Ok(lines)
}

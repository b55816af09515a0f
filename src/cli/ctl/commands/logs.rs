//! The log.

use clap::Args;

use crate::admin::Operation;
use crate::cli::ctl::Failure;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::UNAVAILABLE;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::output;
use crate::cli::ctl::tool::Tool;

/// Change what is logged, until the node stops: set_log_level debug.
#[derive(Args)]
pub(super) struct SetLogLevel {
    /// debug, info, warning, error, critical or none
    level: String,
}

impl Run for SetLogLevel {
    fn run(self, tool: &Tool) -> Outcome {
        let level = self.level;
        let banner = format!("Setting log level to \"{level}\" ...");
        // The words come after, for a level that there is not has none.
        tool.call(Operation::SetLogLevel { level })?;
        tool.banner(&banner);
        tool.done("");
        Ok(())
    }
}

/// Does nothing, as in RabbitMQ.
#[derive(Args)]
pub(super) struct RotateLogs;

impl Run for RotateLogs {
    fn run(self, _: &Tool) -> Outcome {
        let text = "This command does not rotate logs anymore [deprecated]";
        Err(Failure::new(UNAVAILABLE, text))
    }
}

/// Where the log goes.
#[derive(Args)]
pub(super) struct LogLocation;

impl Run for LogLocation {
    fn run(self, tool: &Tool) -> Outcome {
        let banner = format!("Log file location(s) on node {} ...", tool.node());
        tool.banner(&banner);
        let status = tool.call(Operation::Status)?;
        for file in output::items(&status["log_files"]) {
            tool.done(file.as_str().unwrap_or_default());
        }
        Ok(())
    }
}

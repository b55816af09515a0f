//! Events of the node as they come.

use std::io;
use std::io::Write;
use std::time::Duration;

use clap::Args;
use fancy_regex::Regex;

use crate::admin::Operation;
use crate::cli::ctl::DATA;
use crate::cli::ctl::Failure;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::output::items;
use crate::cli::ctl::tool::Tool;
use crate::server::Clock;

/// Between two looks; the node keeps events for much longer.
const PAUSE: Duration = Duration::from_millis(100);

/// What changes on the node, as JSON, an object a line: consume_event_stream --pattern '^queue'.
#[derive(Args)]
pub(super) struct ConsumeEventStream {
    /// For so many seconds [default: until it is interrupted]
    #[arg(short, long)]
    duration: Option<u64>,
    /// Regular expression of events' names
    #[arg(long, default_value = ".*")]
    pattern: String,
}

impl Run for ConsumeEventStream {
    /// Without a banner, for it is for programs.
    fn run(self, tool: &Tool) -> Outcome {
        let pattern = Regex::new(&self.pattern)
            .map_err(|error| Failure::new(DATA, format!("invalid pattern: {error}")))?;
        let clock = Clock::start();
        let end = self
            .duration
            .map(|seconds| clock.now() + Duration::from_secs(seconds));
        let mut from = None;
        loop {
            let looked = tool.call(Operation::WatchEvents { from })?;
            let events = items(&looked["events"]).iter();
            let chosen = events.filter(|event| {
                let name = event["event"].as_str().unwrap_or_default();
                pattern.is_match(name).unwrap_or(false)
            });
            let lines: String = chosen.map(|event| format!("{event}\n")).collect();
            // Whoever reads may have stopped reading.
            let mut out = io::stdout().lock();
            if out
                .write_all(lines.as_bytes())
                .and_then(|()| out.flush())
                .is_err()
            {
                return Ok(());
            }
            if end.is_some_and(|end| clock.now() >= end) {
                return Ok(());
            }
            from = looked["next"].as_u64();
            std::thread::sleep(PAUSE);
        }
    }
}

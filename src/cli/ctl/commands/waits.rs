//! Waiting for the node.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::admin::Operation;
use crate::cli::ctl::Failure;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::SOFTWARE;
use crate::cli::ctl::UNAVAILABLE;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::commands::refused;
use crate::cli::ctl::tool::Tool;
use crate::server::Clock;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) const STARTUP_SECONDS: u64 = 300;
const WAIT_SECONDS: u64 = 10;

/// Whether there is such a process, and not only what is left of one for its parent to see.
pub(super) fn process_runs(pid: &str) -> bool {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    // The name before the state may hold anything.
    let state = status.map(|text| text.rsplit(") ").next().unwrap_or_default().chars().next());
    state.is_ok_and(|state| !matches!(state, Some('Z' | 'X')))
}

/// Tries until `ready` has an answer.
pub(super) fn until<T>(
    tool: &Tool,
    seconds: u64,
    mut ready: impl FnMut() -> Option<T>,
) -> Result<T, Failure> {
    tool.flush();
    let clock = Clock::start();
    let seconds = tool.seconds(seconds);
    let end = clock.now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = ready() {
            return Ok(found);
        }
        if clock.now() >= end {
            return Err(tool.timed_out(seconds));
        }
        std::thread::sleep(PAUSE);
    }
}

fn is_up(tool: &Tool) -> bool {
    tool.call(Operation::Status).is_ok()
}

/// Wait until the node is up.
#[derive(Args)]
pub(super) struct AwaitStartup;

impl Run for AwaitStartup {
    /// Silent when the node is up.
    fn run(self, tool: &Tool) -> Outcome {
        until(tool, STARTUP_SECONDS, || is_up(tool).then_some(()))
    }
}

/// Wait until so many nodes are up; there is one.
#[derive(Args)]
pub(super) struct AwaitOnlineNodes {
    /// Number
    count: u32,
}

impl Run for AwaitOnlineNodes {
    fn run(self, tool: &Tool) -> Outcome {
        let (node, count) = (tool.node(), self.count);
        let seconds = tool.seconds(STARTUP_SECONDS);
        tool.banner(&format!(
            "Will wait for at least {count} nodes to join the cluster of {node}. Timeout: {seconds} seconds."
        ));
        until(tool, STARTUP_SECONDS, || {
            (is_up(tool) && count <= 1).then_some(())
        })
        .map_err(|_| {
            let text = format!(
                "Error: timed out while waiting. Not enough nodes joined {node}'s cluster."
            );
            Failure::new(SOFTWARE, text)
        })
    }
}

/// Wait until the process is there and the node up.
#[derive(Args)]
pub(super) struct Wait {
    /// File with the process's number
    pidfile: Option<PathBuf>,
    /// The process's number
    #[arg(short = 'P', long)]
    pid: Option<u32>,
}

impl Run for Wait {
    fn run(self, tool: &Tool) -> Outcome {
        let node = tool.node();
        let pid = match (self.pidfile, self.pid) {
            (Some(_), Some(_)) => return Err(refused("Cannot specify both pid and pidfile")),
            (None, Some(pid)) => pid,
            (Some(file), None) => {
                tool.banner(&format!(
                    "Waiting for pid file '{}' to appear",
                    file.display()
                ));
                let pid = until(tool, WAIT_SECONDS, || {
                    std::fs::read_to_string(&file).ok()?.trim().parse().ok()
                })?;
                tool.banner(&format!("pid is {pid}"));
                pid
            }
            (None, None) => return Err(refused("No pid or pidfile specified")),
        };
        tool.banner(&format!(
            "Waiting for erlang distribution on node '{node}' while OS process '{pid}' is running"
        ));
        let not_running = || Failure::new(UNAVAILABLE, "process_not_running");
        if !process_runs(&pid.to_string()) {
            return Err(not_running());
        }
        tool.banner(&format!(
            "Waiting for applications 'rabbit_and_plugins' to start on node '{node}'"
        ));
        let up = until(tool, WAIT_SECONDS, || {
            match (process_runs(&pid.to_string()), is_up(tool)) {
                (false, _) => Some(false),
                (true, true) => Some(true),
                (true, false) => None,
            }
        })?;
        if !up {
            return Err(not_running());
        }
        tool.done(&format!(
            "Applications 'rabbit_and_plugins' are running on node '{node}'"
        ));
        Ok(())
    }
}

//! Starting and stopping: the process, the application in it, and what listens.

use std::path::PathBuf;

use clap::Args;

use crate::admin::Operation;
use crate::cli::ctl::Failure;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::USAGE;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::commands::waits::STARTUP_SECONDS;
use crate::cli::ctl::commands::waits::process_runs;
use crate::cli::ctl::commands::waits::until;
use crate::cli::ctl::tool::Tool;

fn check_stopped(tool: &Tool) -> Outcome {
    if tool.call(Operation::Ping)?["running"] == true {
        let text = "Error: this command requires the 'rabbit' app to be stopped on the target node. Stop it with 'rabbitmqctl stop_app'.";
        return Err(Failure::new(USAGE, text));
    }
    Ok(())
}

/// The process that runs the node.
fn pid(tool: &Tool) -> Result<String, Failure> {
    Ok(tool.call(Operation::Ping)?["pid"].to_string())
}

fn await_end(tool: &Tool, pid: &str) -> Outcome {
    until(tool, STARTUP_SECONDS, || (!process_runs(pid)).then_some(()))
}

/// Stop the node.
#[derive(Args)]
pub(super) struct Stop {
    /// Wait until this file's process is gone
    pidfile: Option<PathBuf>,
}

impl Run for Stop {
    fn run(self, tool: &Tool) -> Outcome {
        let banner = format!("Stopping and halting node {} ...", tool.node());
        tool.banner(&banner);
        let pid = pid(tool)?;
        tool.call(Operation::Stop)?;
        let named = self
            .pidfile
            .and_then(|file| std::fs::read_to_string(file).ok());
        let named = named.map(|pid| pid.trim().to_owned());
        await_end(tool, &named.unwrap_or(pid))?;
        tool.done("");
        Ok(())
    }
}

/// Stop the node, and wait until its process is gone.
#[derive(Args)]
pub(super) struct Shutdown {
    /// What is done anyway
    #[arg(long, conflicts_with = "no_wait")]
    wait: bool,
    /// Do not wait
    #[arg(long)]
    no_wait: bool,
}

impl Run for Shutdown {
    fn run(self, tool: &Tool) -> Outcome {
        if self.no_wait {
            return tool.answer(Operation::Stop, "");
        }
        let pid = pid(tool)?;
        let node = format!("RabbitMQ node {} running at PID {pid}", tool.node());
        tool.done(&format!("Shutting down {node}"));
        tool.call(Operation::Stop)?;
        tool.done(&format!("Waiting for PID {pid} to terminate"));
        await_end(tool, &pid)?;
        tool.done(&format!("{node} successfully shut down"));
        Ok(())
    }
}

/// Close all connections and listeners, and the store; the process stays, and with it its local socket.
#[derive(Args)]
pub(super) struct StopApp;

impl Run for StopApp {
    fn run(self, tool: &Tool) -> Outcome {
        let banner = format!("Stopping rabbit application on node {} ...", tool.node());
        tool.act(&banner, Operation::StopApplication)
    }
}

/// Start again after stop_app.
#[derive(Args)]
pub(super) struct StartApp;

impl Run for StartApp {
    fn run(self, tool: &Tool) -> Outcome {
        let banner = format!("Starting node {} ...", tool.node());
        tool.act(&banner, Operation::StartApplication)
    }
}

/// Throw away users, virtual hosts, queues, messages: all that is in the store. After stop_app.
#[derive(Args)]
pub(super) struct Reset;

impl Run for Reset {
    fn run(self, tool: &Tool) -> Outcome {
        check_stopped(tool)?;
        let banner = format!("Resetting node {} ...", tool.node());
        tool.act(&banner, Operation::Reset)
    }
}

/// The same as reset.
#[derive(Args)]
pub(super) struct ForceReset;

impl Run for ForceReset {
    fn run(self, tool: &Tool) -> Outcome {
        check_stopped(tool)?;
        let banner = format!("Forcefully resetting node {} ...", tool.node());
        tool.act(&banner, Operation::Reset)
    }
}

/// Does nothing on a node that is a cluster by itself. After stop_app.
#[derive(Args)]
pub(super) struct ForceBoot;

impl Run for ForceBoot {
    fn run(self, tool: &Tool) -> Outcome {
        check_stopped(tool)?;
        tool.done("");
        Ok(())
    }
}

/// Take no new AMQP connections.
#[derive(Args)]
pub(super) struct SuspendListeners;

impl Run for SuspendListeners {
    fn run(self, tool: &Tool) -> Outcome {
        let banner = format!(
            "Will suspend client connection listeners on node {}. The node will no longer accept client connections!",
            tool.node()
        );
        tool.act(&banner, Operation::Suspend { drain: false })
    }
}

/// Take AMQP connections again.
#[derive(Args)]
pub(super) struct ResumeListeners;

impl Run for ResumeListeners {
    fn run(self, tool: &Tool) -> Outcome {
        let banner = format!(
            "Will resume client connection listeners on node {}. The node will now accept client connections",
            tool.node()
        );
        tool.act(&banner, Operation::Resume { revive: false })
    }
}

/// Put the node into maintenance: no new AMQP connections, and those that are open are closed.
#[derive(Args)]
pub(super) struct Drain;

impl Run for Drain {
    fn run(self, tool: &Tool) -> Outcome {
        let banner = format!(
            "Will put node {} into maintenance mode. The node will no longer serve any client traffic!",
            tool.node()
        );
        tool.act(&banner, Operation::Suspend { drain: true })
    }
}

/// Take the node out of maintenance.
#[derive(Args)]
pub(super) struct Revive;

impl Run for Revive {
    fn run(self, tool: &Tool) -> Outcome {
        let banner = format!(
            "Will put node {} back into regular operating mode. The node will again serve client traffic and host primary queue replicas.",
            tool.node()
        );
        tool.act(&banner, Operation::Resume { revive: true })
    }
}

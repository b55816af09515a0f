//! `leveret store …`: looks at a data directory that no broker uses. Changes nothing.
//!
//! Exit codes: 0 all is sound, 1 something is damaged, 2 nothing can be read.

mod check;
mod dump;
mod time;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::Subcommand;

use crate::store::StoreError;
use crate::store::offline::Damaged;

/// Something is damaged.
const DAMAGED: u8 = 1;

/// Nothing can be read, as with wrong usage.
const UNREADABLE: u8 = 2;

#[derive(Debug, Args)]
pub(super) struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Check everything in the data directory of a broker that does not run.
    ///
    /// Exit code 0: sound, 1: damaged, 2: cannot be read.
    Check {
        /// The data directory, or a backup
        dir: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the messages in the data directory of a broker that does not run.
    ///
    /// Exit code 0: all shown, 1: some are damaged and were left out, 2: cannot be read.
    Dump(DumpArgs),
}

#[derive(Debug, Args)]
struct DumpArgs {
    /// The data directory, or a backup
    dir: PathBuf,
    /// Only queues of this name
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// Only queues of this virtual host
    #[arg(long, value_name = "NAME")]
    vhost: Option<String>,
    /// At most so many messages in all
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Show bodies: text, or base64 when they are none
    #[arg(long)]
    bodies: bool,
    /// Print a line of JSON for each message
    #[arg(long)]
    json: bool,
}

/// Why a command could not end.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
    #[error("{0}")]
    NotFound(String),
}

pub(super) fn run(args: &StoreArgs) -> ExitCode {
    let done = match &args.command {
        StoreCommand::Check { dir, json } => check::check(dir, *json),
        StoreCommand::Dump(args) => dump::dump(args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(DAMAGED),
        // Who reads has enough, as `head` has.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("leveret: {error}");
            ExitCode::from(UNREADABLE)
        }
    }
}

/// One place that is damaged, in words.
pub(super) fn damaged_text(damaged: &Damaged) -> String {
    let mut text = damaged.file.clone();
    if let Some(offset) = damaged.offset {
        text += &format!(" at {offset}");
    }
    if let Some(queue) = damaged.queue {
        text += &format!(", queue id {}", queue.0);
    }
    if let Some(position) = damaged.position {
        text += &format!(", position {}", position.0);
    }
    text += &format!(": {}", damaged.why);
    if damaged.messages > 0 {
        text += &format!(" ({} messages)", damaged.messages);
    }
    text
}

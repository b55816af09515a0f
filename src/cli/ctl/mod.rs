//! RabbitMQ's command line tools, over the local socket of the node's data directory: whoever may write to it may do
//! everything.
//!
//! The binary is one of them when it is called by its name, and all of them together as `leveret ctl`. Banners, tables, exit
//! codes and the texts of errors are RabbitMQ's. What there is to do is in `commands`, a file for each subject.

mod absent;
mod commands;
mod output;
mod terms;
mod tool;
mod usage;

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::FromArgMatches;

use commands::Cli;
pub(super) use commands::built_in_count;
use tool::Tool;

/// The names by which it is these tools.
pub(super) const TOOLS: &[&str] = &[
    "rabbitmqctl",
    "rabbitmq-diagnostics",
    "rabbitmq-queues",
    "rabbitmq-streams",
    "rabbitmq-upgrade",
    "rabbitmq-plugins",
];

/// Exit codes, see `sysexits.h`.
const USAGE: u8 = 64;
const DATA: u8 = 65;
const UNAVAILABLE: u8 = 69;
const SOFTWARE: u8 = 70;
const TIMED_OUT: u8 = 75;
const CONFIGURATION: u8 = 78;

/// Why a command did not succeed.
#[derive(Debug, PartialEq, Eq)]
struct Failure {
    exit: u8,
    /// What follows `Error:`.
    text: String,
}

impl Failure {
    fn new(exit: u8, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { exit, text }
    }

    fn begins_with(&self, starts: &[&str]) -> bool {
        starts.iter().any(|start| self.text.starts_with(start))
    }

    /// What RabbitMQ finds out before it begins, of which it prints no banner.
    fn is_from_the_start(&self) -> bool {
        self.begins_with(&[
            "Error (",
            "Error: this command",
            "Error: unable",
            "Error: operation",
        ])
    }

    /// RabbitMQ's words are the whole of what is said.
    fn stands_alone(&self) -> bool {
        self.is_from_the_start() || self.begins_with(&["Virtual host '", "No listener for port"])
    }
}

type Outcome = Result<(), Failure>;

/// The tools as clap's tree.
pub(super) fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Runs a tool; the first argument is its name.
pub(super) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments = with_dashes(arguments);
    let parsed = command().try_get_matches_from(&arguments);
    let parsed = parsed.and_then(|matches| {
        let name = matches.subcommand_name().unwrap_or_default().to_owned();
        Ok((name, Cli::from_arg_matches(&matches)?))
    });
    let (name, cli) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return usage::refuse(&error, &arguments),
    };
    let (options, run) = cli.into_parts();
    let done = Tool::new(options, name.clone()).and_then(|tool| {
        tool.check_node()?;
        let done = run(&tool);
        if !done.as_ref().is_err_and(Failure::is_from_the_start) {
            tool.flush();
        }
        done
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let head = match failure.stands_alone() {
                true => "",
                false => "Error:\n",
            };
            let mut text = format!("{head}{}", failure.text);
            if text.starts_with("Error (argument validation)") {
                text += &usage::reminder(&name, &arguments);
            }
            let _ = writeln!(std::io::stderr(), "{text}");
            ExitCode::from(failure.exit)
        }
    }
}

/// `--apply_to` is `--apply-to`, where that is an option and not a value.
fn with_dashes(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let tree = command();
    let all = tree.get_subcommands().chain([&tree]);
    let options: HashSet<&str> = all
        .flat_map(|command| command.get_arguments())
        .flat_map(|option| option.get_long_and_visible_aliases().unwrap_or_default())
        .collect();
    let mut only_values = false;
    let dashed = arguments.map(|argument| {
        only_values |= argument == "--";
        let text = argument.to_str().filter(|_| !only_values);
        let Some(text) = text.and_then(|text| text.strip_prefix("--")) else {
            return argument;
        };
        let (name, value) = text.split_at(text.find('=').unwrap_or(text.len()));
        let name = name.replace('_', "-");
        match options.contains(&*name) {
            true => format!("--{name}{value}").into(),
            false => argument,
        }
    });
    dashed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn options_stand_before_and_after_with_dashes_or_underscores() {
        for line in [
            "ctl -q list_queues name --no_table_headers -p v",
            "ctl list_queues -p v --no-table-headers -q name",
        ] {
            let arguments = with_dashes(line.split(' ').map(Into::into));
            let Ok(Cli { options, .. }) = Cli::try_parse_from(arguments) else {
                panic!("{line}")
            };
            assert!(options.quiet && options.no_table_headers, "{line}");
            assert_eq!(options.vhost, "v");
        }
    }

    #[test]
    fn values_keep_their_underscores() {
        for line in [
            "ctl change_password u --a_b",
            "ctl add_user -- --no_table_headers p",
        ] {
            let arguments = with_dashes(line.split(' ').map(Into::into));
            let kept: Vec<_> = arguments.iter().map(|it| it.to_string_lossy()).collect();
            assert_eq!(kept.join(" "), line);
        }
    }
}

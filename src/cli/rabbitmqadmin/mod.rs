//! `rabbitmqadmin`: a client of the management API with the texts of RabbitMQ's tool. It takes the words of the older tool
//! (`declare queue name=q`) and those of the newer one (`queues declare --name q`), and prints as the older one.

mod client;
mod complete;
mod objects;
mod options;
mod output;
mod syntax;
mod verbs;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::CommandFactory;
use clap::Parser;

pub(super) use complete::command as completion_command;
use options::Given;
use options::Options;

/// The name by which the binary is this tool.
pub(super) const TOOL: &str = "rabbitmqadmin";

/// Exit code of what failed.
const FAILED: u8 = 1;
/// Exit code of a health check that does not pass.
const UNAVAILABLE: u8 = 69;

const MORE_HELP: &str = "\
More help:
  rabbitmqadmin help subcommands  # For a list of available subcommands
  rabbitmqadmin help config       # For help with the configuration file

Examples:
  rabbitmqadmin list queues name messages
  rabbitmqadmin declare queue name=orders durable=true
  rabbitmqadmin queues declare --name orders --type quorum
  rabbitmqadmin publish routing_key=orders payload=hello
  rabbitmqadmin get queue=orders count=10 ackmode=ack_requeue_true
  rabbitmqadmin -f tsv -q list connections name user
  rabbitmqadmin export definitions.json";

/// Why it does not end well.
#[derive(Debug, PartialEq, Eq)]
struct Failure {
    exit: u8,
    /// As it is printed.
    text: String,
}

impl Failure {
    /// The command line is wrong.
    fn usage(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            exit: FAILED,
            text: format!("\nERROR: {text}\n\n{TOOL} --help for help\n"),
        }
    }

    /// The node, or the way to it, says no.
    fn told(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            exit: FAILED,
            text: format!("*** {text}\n"),
        }
    }
}

/// Runs the tool with its arguments, without its name.
pub(super) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let line: Vec<String> = arguments
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    match run(&line) {
        Ok(text) => {
            // Whoever reads may have stopped reading.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "{}", failure.text);
            ExitCode::from(failure.exit)
        }
    }
}

fn run(line: &[String]) -> Result<String, Failure> {
    let (options, words) = options::divide(line, syntax::is_key);
    let given = match Given::try_parse_from(options) {
        Ok(given) => given,
        Err(error) if error.kind() == clap::error::ErrorKind::DisplayHelp => {
            return Ok(error.to_string());
        }
        Err(error) => {
            let text = error.to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            let first = text.lines().next().unwrap_or_default();
            return Err(Failure::usage(first));
        }
    };
    if given.version {
        return Ok(format!("{TOOL} {}\n", env!("CARGO_PKG_VERSION")));
    }
    if given.bash_completion {
        return Ok(complete::script(clap_complete::Shell::Bash));
    }
    let (verb, rest) = match syntax::normal(&words).split_first() {
        Some((verb, rest)) => (verb.clone(), rest.to_vec()),
        None => return Err(Failure::usage("Action not specified")),
    };
    if verb == "help" {
        return help(&rest);
    }
    verbs::run(&Options::decide(given)?, &verb, &rest)
}

fn help(topics: &[String]) -> Result<String, Failure> {
    match topics {
        [] => Ok(Given::command().render_help().to_string()),
        [topic] if topic == "subcommands" => Ok(syntax::subcommands()),
        [topic] if topic == "config" => Ok(CONFIG_HELP.to_owned()),
        [_] => Err(Failure::usage(
            "help topic must be one of:\n  subcommands\n  config",
        )),
        _ => Err(Failure::usage("Exactly one argument required")),
    }
}

const CONFIG_HELP: &str = "\
Usage
=====
rabbitmqadmin [options] subcommand

Configuration File
==================

  Hosts can be described in a configuration file and called from the command line.

Example
=======

  [host_normal]
  hostname = localhost
  port = 15672
  username = guest
  password = guest
  declare_vhost = / # Used as default for declare / delete only
  vhost = /         # Used as default for declare / delete / list

Use
===

  rabbitmqadmin -c rabbitmqadmin.conf -N host_normal ...
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Given::command().debug_assert();
        completion_command().debug_assert();
    }

    #[test]
    fn help_is_there_without_a_node() {
        let run = |line: &str| run(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert!(run("--help").unwrap().contains("rabbitmqadmin help config"));
        assert!(run("help subcommands").unwrap().contains("  declare queue name=... [auto_delete=... durable=... arguments=... node=... queue_type=...]\n"));
        assert!(run("help config").unwrap().contains("[host_normal]"));
        let wrong = run("nonsense").unwrap_err();
        assert_eq!(
            (wrong.exit, wrong.text.as_str()),
            (
                1,
                "\nERROR: Action nonsense not understood\n\nrabbitmqadmin --help for help\n"
            )
        );
    }
}

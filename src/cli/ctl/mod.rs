//! RabbitMQ's command line tools, over the local socket of the node's data directory: whoever may write to it may do
//! everything.
//!
//! The binary is one of them when it is called by its name, and all of them together as `leveret ctl`. Banners, tables, exit
//! codes and the texts of errors are RabbitMQ's.

mod absent;
mod columns;
mod commands;
mod definitions;
mod diagnose;
mod inform;
mod keep;
mod output;
mod plugins;
mod run;
mod upkeep;

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::Parser;
use clap::error::ErrorKind;
use serde_json::Value;
use serde_json::json;

use crate::admin;
use crate::admin::CallError;
use crate::admin::Operation;
use crate::admin::Request;
use crate::settings::Override;
use crate::settings::Settings;
use crate::settings::Sources;
use commands::Command;
use output::Formatter;
pub(super) use plugins::built_in_count;

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

/// One for each group of commands.
const EXAMPLES: &str = "\
Examples, by what they are about:
  users            add_user shop secret; set_user_tags shop monitoring; list_users
  permissions      set_permissions -p orders shop '^shop-' '^shop-' '^shop-'
  virtual hosts    add_vhost orders --default-queue-type quorum; set_vhost_limits -p orders '{\"max-queues\": 100}'
  policies         set_policy -p orders ttl '^tmp-' '{\"message-ttl\": 60000}' --apply-to queues
  parameters       set_parameter -p orders vhost-limits limits '{\"max-connections\": 50}'
  definitions      export_definitions /backup/definitions.json; import_definitions /backup/definitions.json
  queues           list_queues -p orders name messages consumers; browse orders --limit 10; purge_queue orders
  connections      list_connections user peer_host state; close_all_user_connections shop maintenance
  health           ping; check_running; check_alarms; check_port_connectivity; status --formatter json
  alarms           set_vm_memory_high_watermark 0.6; set_disk_free_limit 2GB
  the node         stop_app; reset; start_app; drain; revive; set_log_level debug; report; stop
  plugins          list; enable rabbitmq_management; is_enabled rabbitmq_management

`help COMMAND` tells about one command. Scripts: -q leaves banners out, -s column names too, --formatter json is for programs.";

/// Operate the broker that runs on this machine, with RabbitMQ's commands.
#[derive(Debug, Parser)]
#[command(
    name = "leveret ctl",
    version,
    subcommand_required = true,
    after_help = EXAMPLES
)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

/// Options of all commands, before or after their name. Dashes and underscores in them are the same.
#[derive(Debug, Clone, Args)]
struct Options {
    /// The node's name; any but the one that is set is refused [default: cluster_name in the settings]
    #[arg(short, long, global = true)]
    node: Option<String>,
    /// Print the result alone
    #[arg(short, long, global = true)]
    quiet: bool,
    /// The same without column names
    #[arg(short, long, global = true)]
    silent: bool,
    /// Virtual host
    #[arg(short = 'p', long, global = true, default_value = "/")]
    vhost: String,
    /// Seconds to wait for the node
    #[arg(short, long, global = true)]
    timeout: Option<u64>,
    /// How results are printed
    #[arg(long, global = true, default_value = "table")]
    formatter: Formatter,
    /// Leave column names out
    #[arg(long, global = true)]
    no_table_headers: bool,
    /// Settings file of the broker [default: $LEVERET_CONFIG, else /etc/leveret/leveret.toml if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The broker's data directory [default: the one in the settings]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
}

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
}

type Outcome = Result<(), Failure>;

/// What a command has at hand.
struct Tool {
    options: Options,
    settings: Settings,
    /// Banners that are not printed yet: before what was wrong from the start RabbitMQ prints none.
    banners: RefCell<String>,
}

impl Tool {
    fn new(options: Options) -> Result<Self, Failure> {
        let overrides = options.data_dir.iter().map(|dir| Override {
            option: "--data-dir".to_owned(),
            key: "data_dir".to_owned(),
            values: vec![dir.clone()],
        });
        let sources = Sources::of_process(options.config.clone(), overrides.collect());
        let settings = Settings::load(&sources)
            .map_err(|error| Failure::new(CONFIGURATION, error.to_string()))?;
        Ok(Self {
            options,
            settings,
            banners: RefCell::default(),
        })
    }

    fn node(&self) -> &str {
        &self.settings.cluster_name
    }

    /// Refuses the name of another node.
    fn check_node(&self) -> Outcome {
        match &self.options.node {
            Some(node) if node != self.node() && *node != self.short_node() => {
                Err(self.unreachable(node, "no such node: this machine's is ", self.node()))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Without the host.
    fn short_node(&self) -> &str {
        self.node().split('@').next().unwrap_or_default()
    }

    fn unreachable(&self, node: &str, why: &str, detail: &str) -> Failure {
        let text = format!(
            "Error: unable to perform an operation on node '{node}'. Please see diagnostics information and suggestions below.\n\n\
             {why}{detail}"
        );
        Failure::new(UNAVAILABLE, text)
    }

    /// A line before the result.
    fn banner(&self, text: &str) {
        let options = &self.options;
        if !options.quiet && !options.silent && !options.formatter.is_for_machines() {
            let mut banners = self.banners.borrow_mut();
            banners.push_str(text);
            banners.push('\n');
        }
    }

    /// Prints the banners that wait.
    fn flush(&self) {
        let banners = std::mem::take(&mut *self.banners.borrow_mut());
        let _ = std::io::stdout().write_all(banners.as_bytes());
    }

    /// Whoever reads may have stopped reading.
    fn print(&self, text: &str) {
        self.flush();
        let _ = std::io::stdout().write_all(text.as_bytes());
    }

    /// The same for another virtual host.
    fn within(&self, vhost: &str) -> Self {
        let vhost = vhost.to_owned();
        Self {
            options: Options {
                vhost,
                ..self.options.clone()
            },
            settings: self.settings.clone(),
            banners: RefCell::default(),
        }
    }

    fn call(&self, operation: Operation) -> Result<Value, Failure> {
        self.call_with_body(operation, &[])
    }

    fn call_with_body(&self, operation: Operation, body: &[u8]) -> Result<Value, Failure> {
        let request = Request::Operate(operation);
        let answer = admin::call_with_body(&self.settings.data_dir, &request, body);
        answer.map_err(|error| match error {
            CallError::Failed { text, exit } => Failure::new(exit, text),
            CallError::Refused(text) => Failure::new(UNAVAILABLE, text),
            CallError::NoBroker(_) | CallError::NotAllowed(_) | CallError::NoAnswer(_) => {
                self.unreachable(self.node(), "", &error.to_string())
            }
        })
    }

    /// Does something that has no result.
    fn act(&self, banner: &str, operation: Operation) -> Outcome {
        self.banner(banner);
        self.call(operation)?;
        self.done("");
        Ok(())
    }

    /// The end of something that went well: words for people, or JSON.
    fn done(&self, words: &str) {
        match self.options.formatter {
            Formatter::Json | Formatter::JsonStream => {
                let mut result = json!({"result": "ok", "node": self.node()});
                if !words.is_empty() {
                    result["message"] = words.into();
                }
                self.print(&format!("{result}\n"));
            }
            _ if words.is_empty() => {}
            Formatter::Table | Formatter::PrettyTable | Formatter::Csv => {
                self.print(&format!("{words}\n"));
            }
        }
    }

    /// Lists, with the columns asked for or those of the command.
    fn list(
        &self,
        banner: &[&str],
        operation: Operation,
        asked: &[String],
        usual: &[&str],
        known: &[&str],
    ) -> Outcome {
        let unknown: Vec<&String> = asked
            .iter()
            .filter(|column| !known.contains(&column.as_str()))
            .collect();
        if !unknown.is_empty() {
            let names: Vec<&str> = unknown.iter().map(|name| name.as_str()).collect();
            let text = format!(
                "Error (argument validation): Info key(s) {} are not supported",
                names.join(",")
            );
            return Err(Failure::new(USAGE, text));
        }
        for line in banner {
            self.banner(line);
        }
        let rows = self.call(operation)?;
        let rows = rows.as_array().map_or(&[][..], Vec::as_slice);
        let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
        let columns = if asked.is_empty() { usual } else { &asked };
        let headers = !self.options.silent && !self.options.no_table_headers;
        self.print(&output::rows(
            self.options.formatter,
            headers,
            columns,
            rows,
        ));
        Ok(())
    }
}

/// The tools as clap's tree.
pub(super) fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Runs a tool; the first argument is its name.
pub(super) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.map(with_dashes).collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, &arguments),
    };
    let command = cli.command;
    let done = Tool::new(cli.options).and_then(|tool| {
        tool.check_node()?;
        let done = tool.run(command);
        let from_the_start = |failure: &Failure| {
            failure.text.starts_with("Error (") || failure.text.starts_with("Error: this command")
        };
        if !done.as_ref().is_err_and(from_the_start) {
            tool.flush();
        }
        done
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Of these RabbitMQ's words are the whole of what is said.
            let by_itself = |text: &str| {
                text.starts_with("Error (")
                    || text.starts_with("Error: this command")
                    || text.starts_with("Error: unable")
                    || text.starts_with("Virtual host '")
                    || text.starts_with("No listener for port")
            };
            let head = if by_itself(&failure.text) {
                ""
            } else {
                "Error:\n"
            };
            let _ = writeln!(std::io::stderr(), "{head}{}", failure.text);
            ExitCode::from(failure.exit)
        }
    }
}

/// `--apply_to` is `--apply-to`.
fn with_dashes(argument: OsString) -> OsString {
    let Some(text) = argument.to_str().filter(|text| text.starts_with("--")) else {
        return argument;
    };
    match text.split_once('=') {
        Some((name, value)) => format!("{}={value}", name.replace('_', "-")).into(),
        None => text.replace('_', "-").into(),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all other kinds are wrong usage"
)]
fn refuse(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        ErrorKind::InvalidSubcommand => {
            let known = <Cli as clap::CommandFactory>::command();
            let names: Vec<String> = known
                .get_subcommands()
                .map(|command| command.get_name().to_owned())
                .collect();
            let written = error
                .get(clap::error::ContextKind::InvalidSubcommand)
                .map(ToString::to_string)
                .unwrap_or_default();
            if let Some(why) = absent::why(&written) {
                let _ = writeln!(std::io::stderr(), "Error:\n{written}: {why}");
                return ExitCode::from(UNAVAILABLE);
            }
            let likeness = |name: &&String| strsim::jaro_winkler(name, &written);
            let nearest = names
                .iter()
                .filter(|name| likeness(name) > 0.85)
                .max_by(|left, right| likeness(left).total_cmp(&likeness(right)));
            let mut text = format!("\nCommand '{written}' not found. \n");
            if let Some(nearest) = nearest {
                text += &format!("Did you mean '{nearest}'?\n");
            }
            let tool = arguments.first().map(|name| name.to_string_lossy());
            let tool = tool.unwrap_or_default();
            text += &format!(
                "\nUsage: {tool} [--node <node>] [--quiet] <command> [<options>]; {tool} help lists the commands"
            );
            let _ = writeln!(std::io::stderr(), "{text}");
        }
        ErrorKind::MissingRequiredArgument => {
            tell_usage("not enough arguments.", error, arguments);
        }
        ErrorKind::UnknownArgument => {
            let unknown = error.get(clap::error::ContextKind::InvalidArg);
            let unknown = unknown.map(ToString::to_string).unwrap_or_default();
            match unknown.starts_with('-') {
                true => {
                    let text = format!("Invalid options for this command:\n{unknown} : ");
                    tell_usage(&text, error, arguments);
                }
                false => tell_usage("too many arguments.", error, arguments),
            }
        }
        _ => {
            let text = error.to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            let _ = writeln!(std::io::stderr(), "Error (argument validation): {text}");
        }
    }
    ExitCode::from(USAGE)
}

/// What was wrong, what was given, what is right.
fn tell_usage(wrong: &str, error: &clap::Error, arguments: &[OsString]) {
    let given: Vec<_> = arguments.iter().map(|it| it.to_string_lossy()).collect();
    let given = given.get(1..).unwrap_or_default().join(" ");
    let usage = error.get(clap::error::ContextKind::Usage);
    let usage = usage.map(ToString::to_string).unwrap_or_default();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).to_owned();
    let _ = writeln!(
        std::io::stderr(),
        "Error (argument validation): {wrong}\nArguments given:\n\t{given}\n\nUsage\n\n{usage}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn options_stand_before_and_after_with_dashes_or_underscores() {
        for line in [
            "ctl -q list_queues name --no_table_headers -p v",
            "ctl list_queues -p v --no-table-headers -q name",
        ] {
            let arguments = line.split(' ').map(|part| with_dashes(part.into()));
            let cli = Cli::try_parse_from(arguments).expect("a command");
            assert!(cli.options.quiet && cli.options.no_table_headers, "{line}");
            assert_eq!(cli.options.vhost, "v");
            let Command::ListQueues { columns, .. } = cli.command else {
                panic!("another command")
            };
            assert_eq!(columns, ["name"]);
        }
    }
}

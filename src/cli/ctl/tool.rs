//! What commands have in common: the options, the way to the node, and how results are printed.

use std::cell::RefCell;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use serde_json::json;

use crate::admin;
use crate::admin::CallError;
use crate::admin::Operation;
use crate::admin::Request;
use crate::cli::ctl::CONFIGURATION;
use crate::cli::ctl::Failure;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::TIMED_OUT;
use crate::cli::ctl::UNAVAILABLE;
use crate::cli::ctl::USAGE;
use crate::cli::ctl::output;
use crate::cli::ctl::output::Formatter;
use crate::settings::Override;
use crate::settings::Settings;
use crate::settings::Sources;

/// Options of all commands, before or after their name. Dashes and underscores in them are the same.
#[derive(Clone, Args)]
pub(super) struct Options {
    /// The node's name; any but the one that is set is refused [default: cluster_name in the settings]
    #[arg(short, long, global = true)]
    node: Option<String>,
    /// Print the result alone
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// The same without column names
    #[arg(short, long, global = true)]
    silent: bool,
    /// Virtual host
    #[arg(short = 'p', long, global = true, default_value = "/")]
    pub(super) vhost: String,
    /// Seconds to wait for the node
    #[arg(short, long, global = true)]
    timeout: Option<u64>,
    /// How results are printed
    #[arg(long, global = true, default_value = "table")]
    formatter: Formatter,
    /// Leave column names out
    #[arg(long, global = true)]
    pub(super) no_table_headers: bool,
    /// Settings file of the broker [default: $LEVERET_CONFIG, else /etc/leveret/leveret.toml if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The broker's data directory [default: the one in the settings]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
}

/// What a command has at hand.
pub(super) struct Tool {
    options: Options,
    settings: Settings,
    /// The command's name.
    command: String,
    /// Banners that are not printed yet: before what was wrong from the start RabbitMQ prints none.
    banners: RefCell<String>,
}

impl Tool {
    pub(super) fn new(options: Options, command: String) -> Result<Self, Failure> {
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
            command,
            banners: RefCell::default(),
        })
    }

    pub(super) fn node(&self) -> &str {
        &self.settings.cluster_name
    }

    /// The virtual host of `-p`.
    pub(super) fn vhost(&self) -> String {
        self.options.vhost.clone()
    }

    /// How long to wait, if `-t` does not say.
    pub(super) fn seconds(&self, usual: u64) -> u64 {
        self.options.timeout.unwrap_or(usual)
    }

    /// Where the node keeps everything.
    pub(super) fn data_dir(&self) -> &Path {
        &self.settings.data_dir
    }

    /// The version that is presented to clients.
    pub(super) fn version(&self) -> &str {
        &self.settings.version
    }

    /// How results are printed.
    pub(super) fn formatter(&self) -> Formatter {
        self.options.formatter
    }

    /// Nothing but the result may be printed.
    pub(super) fn is_for_machines(&self) -> bool {
        self.options.formatter.is_for_machines()
    }

    /// Refuses the name of another node.
    pub(super) fn check_node(&self) -> Outcome {
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

    /// RabbitMQ's words where waiting ended without a result.
    pub(super) fn timed_out(&self, seconds: u64) -> Failure {
        let text = format!(
            "Error: operation {} on node {} timed out. Timeout value used: {}",
            self.command,
            self.node(),
            seconds * 1000
        );
        Failure::new(TIMED_OUT, text)
    }

    fn unreachable(&self, node: &str, why: &str, detail: &str) -> Failure {
        let text = format!(
            "Error: unable to perform an operation on node '{node}'. Please see diagnostics information and suggestions below.\n\n\
             {why}{detail}"
        );
        Failure::new(UNAVAILABLE, text)
    }

    /// A line before the result.
    pub(super) fn banner(&self, text: &str) {
        let options = &self.options;
        if !options.quiet && !options.silent && !options.formatter.is_for_machines() {
            let mut banners = self.banners.borrow_mut();
            banners.push_str(text);
            banners.push('\n');
        }
    }

    /// Prints the banners that wait.
    pub(super) fn flush(&self) {
        let banners = std::mem::take(&mut *self.banners.borrow_mut());
        let _ = std::io::stdout().write_all(banners.as_bytes());
    }

    /// Whoever reads may have stopped reading.
    pub(super) fn print(&self, text: &str) {
        self.flush();
        let _ = std::io::stdout().write_all(text.as_bytes());
    }

    /// The same for another virtual host.
    pub(super) fn within(&self, vhost: &str) -> Self {
        let vhost = vhost.to_owned();
        Self {
            options: Options {
                vhost,
                ..self.options.clone()
            },
            settings: self.settings.clone(),
            command: self.command.clone(),
            banners: RefCell::default(),
        }
    }

    pub(super) fn call(&self, operation: Operation) -> Result<Value, Failure> {
        self.call_with_body(operation, &[])
    }

    pub(super) fn call_with_body(
        &self,
        operation: Operation,
        body: &[u8],
    ) -> Result<Value, Failure> {
        let request = Request::Operate(operation);
        let patience = self.options.timeout.map(Duration::from_secs);
        let answer = admin::call_within(&self.settings.data_dir, &request, body, patience);
        answer.map_err(|error| match error {
            CallError::TimedOut => self.timed_out(self.seconds(0)),
            CallError::Failed { text, exit } => Failure::new(exit, text),
            CallError::Refused(text) => Failure::new(UNAVAILABLE, text),
            CallError::NoBroker(_) | CallError::NotAllowed(_) | CallError::NoAnswer(_) => {
                self.unreachable(self.node(), "", &error.to_string())
            }
        })
    }

    /// Does something that has no result.
    pub(super) fn act(&self, banner: &str, operation: Operation) -> Outcome {
        self.banner(banner);
        self.answer(operation, "")
    }

    /// Asks for something whose result is words.
    pub(super) fn answer(&self, operation: Operation, words: &str) -> Outcome {
        self.call(operation)?;
        self.done(words);
        Ok(())
    }

    /// The end of something that went well: words for people, or JSON.
    pub(super) fn done(&self, words: &str) {
        match self.options.formatter {
            Formatter::Json | Formatter::JsonStream => {
                let mut result = json!({"result": "ok", "node": self.node()});
                if !words.is_empty() {
                    result["message"] = words.into();
                }
                self.print(&format!("{result}\n"));
            }
            _ if words.is_empty() => {}
            Formatter::Table
            | Formatter::PrettyTable
            | Formatter::Csv
            | Formatter::Erlang
            | Formatter::String
            | Formatter::Inspect => {
                let words = output::words(self.options.formatter, words);
                self.print(&format!("{words}\n"));
            }
        }
    }

    /// Lists, with the columns asked for or those of the command.
    pub(super) fn list(
        &self,
        banner: &[&str],
        operation: Operation,
        asked: &[String],
        usual: &[&str],
        known: &[&str],
    ) -> Outcome {
        // `name,messages` are two.
        let asked: Vec<&str> = asked
            .iter()
            .flat_map(|part| part.split(','))
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .collect();
        let unknown: Vec<&str> = asked
            .iter()
            .copied()
            .filter(|column| !known.contains(column))
            .collect();
        if !unknown.is_empty() {
            let text = format!(
                "Error (argument validation): Info key(s) {} are not supported",
                unknown.join(",")
            );
            return Err(Failure::new(USAGE, text));
        }
        for line in banner {
            self.banner(line);
        }
        let rows = self.call(operation)?;
        let rows = output::items(&rows);
        let columns = if asked.is_empty() { usual } else { &asked };
        self.rows(columns, rows);
        Ok(())
    }

    /// Lists, with columns that cannot be chosen.
    pub(super) fn table(&self, banner: &str, operation: Operation, columns: &[&str]) -> Outcome {
        self.list(&[banner], operation, &[], columns, columns)
    }

    /// Prints rows with these columns.
    pub(super) fn rows(&self, columns: &[&str], rows: &[Value]) {
        let headers = !self.options.silent && !self.options.no_table_headers;
        let formatter = self.options.formatter;
        self.print(&output::rows(formatter, headers, columns, rows));
    }

    /// The same, as a table with borders where nothing else is asked for.
    pub(super) fn pretty(&self, columns: &[&str], rows: &[Value]) {
        let mut formatter = self.options.formatter;
        if formatter == Formatter::Table {
            formatter = Formatter::PrettyTable;
        }
        self.print(&output::rows(formatter, true, columns, rows));
    }

    /// The names in a list.
    pub(super) fn names(&self, operation: Operation) -> Result<Vec<String>, Failure> {
        let rows = self.call(operation)?;
        let names = output::items(&rows).iter();
        let names = names.filter_map(|row| row["name"].as_str());
        Ok(names.map(str::to_owned).collect())
    }

    /// Prints a result that is one value, where it is asked for in the form for programs.
    pub(super) fn prints_json(&self, value: &Value) -> Result<bool, Failure> {
        self.check_no_terms()?;
        let machine = self.is_for_machines();
        if machine {
            self.print(&format!("{value}\n"));
        }
        Ok(machine)
    }

    /// Refuses what has no terms that would be RabbitMQ's.
    pub(super) fn check_no_terms(&self) -> Outcome {
        match self.options.formatter {
            Formatter::Erlang | Formatter::Inspect => {
                let text = format!(
                    "Error (argument validation): {} has no terms of Erlang; --formatter json is for programs",
                    self.command
                );
                Err(Failure::new(USAGE, text))
            }
            Formatter::Table
            | Formatter::PrettyTable
            | Formatter::Json
            | Formatter::JsonStream
            | Formatter::Csv
            | Formatter::String => Ok(()),
        }
    }
}

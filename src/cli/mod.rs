//! The command line: subcommands, exit codes, what a person sees.
//!
//! Errors go to standard error as one line that says what to do, and end with exit code 1; wrong usage with 2.

mod application;
mod backup;
mod completions;
mod ctl;
mod log_exchange;
mod options;
mod perf;
mod rabbitmqadmin;
mod serve;
mod store;
mod watch;

use std::error::Error;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::Parser;
use clap::Subcommand;

use crate::logs;
use crate::settings::Override;

/// An AMQP 0-9-1 broker that takes RabbitMQ's place.
#[derive(Debug, Parser)]
#[command(name = "leveret", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the broker (what `leveret` alone does too).
    Serve(ServeArgs),
    /// Operate the broker that runs on this machine, with the commands of rabbitmqctl and its kin: `leveret ctl help`.
    #[command(disable_help_flag = true)]
    Ctl {
        /// Command, options, arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
    /// Ask a node over HTTP, with the words of rabbitmqadmin: `leveret admin list queues name messages`.
    #[command(disable_help_flag = true)]
    Admin {
        /// Options, verb, object, key=value
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
    /// Print a script that makes a shell complete commands: `leveret completions bash > /etc/bash_completion.d/leveret`.
    Completions {
        /// bash, zsh or fish
        shell: clap_complete::Shell,
        /// Of this tool alone, such as rabbitmqctl [default: of all]
        tool: Option<String>,
    },
    /// Make a backup of the broker that runs on this machine, while it runs.
    Backup {
        /// Settings file of the broker [default: $LEVERET_CONFIG, else /etc/leveret/leveret.toml if it exists]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The broker's data directory [default: the one in the settings]
        #[arg(long, value_name = "DIR")]
        data_dir: Option<String>,
        /// Directory for the backup; empty or missing
        target: PathBuf,
    },
    /// Put a backup in place as a data directory, after checking it.
    Restore {
        /// The backup
        backup: PathBuf,
        /// The data directory; empty or missing
        dir: PathBuf,
    },
    /// Look at the data directory of a broker that does not run.
    Store(store::StoreArgs),
    /// Put load on a broker and tell how fast it is (options as in RabbitMQ's PerfTest).
    Perf(Box<perf::PerfArgs>),
}

/// Options of `serve`; each wins over the environment and the settings file.
#[derive(Debug, Args, Default)]
struct ServeArgs {
    /// Settings file [default: $LEVERET_CONFIG, else /etc/leveret/leveret.toml if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where everything durable is kept [default: ./data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Where to listen for AMQP; may be given several times [default: [::]:5672]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Vec<String>,
    /// Where to listen for HTTP; may be given several times [default: [::]:15672]
    #[arg(long, value_name = "ADDR:PORT")]
    http_listen: Vec<String>,
    /// Where to listen for Prometheus; may be given several times [default: nowhere]
    #[arg(long, value_name = "ADDR:PORT")]
    prometheus_listen: Vec<String>,
    /// How much is logged: debug, info, notice, warning, error, critical, alert, emergency or none [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Shape of log lines: auto, plaintext or json [default: auto: text on a terminal, else JSON]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

impl ServeArgs {
    fn overrides(&self) -> Vec<Override> {
        let one = |value: &Option<String>| value.iter().cloned().collect();
        let given = [
            ("--data-dir", "data_dir", one(&self.data_dir)),
            ("--listen", "listen", self.listen.clone()),
            ("--http-listen", "http_listen", self.http_listen.clone()),
            (
                "--prometheus-listen",
                "prometheus_listen",
                self.prometheus_listen.clone(),
            ),
            ("--log-level", "log.default.level", one(&self.log_level)),
            (
                "--log-format",
                "log.console.formatter",
                one(&self.log_format),
            ),
        ];
        given
            .into_iter()
            .filter(|(_, _, values): &(_, _, Vec<String>)| !values.is_empty())
            .map(|(option, key, values)| Override {
                option: option.to_owned(),
                key: key.to_owned(),
                values,
            })
            .collect()
    }
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let tool = Path::new(&name).file_name().unwrap_or_default().to_owned();
    if ctl::TOOLS.iter().any(|known| *known == tool) {
        return ctl::main([tool].into_iter().chain(arguments));
    }
    if tool == rabbitmqadmin::TOOL {
        return rabbitmqadmin::main(arguments);
    }
    let cli = Cli::parse_from(perf::with_long_options(std::env::args_os()));
    let done = match cli.command {
        Some(Command::Store(args)) => return store::run(&args),
        Some(Command::Ctl { arguments }) => {
            return ctl::main(["leveret ctl".into()].into_iter().chain(arguments));
        }
        Some(Command::Admin { arguments }) => return rabbitmqadmin::main(arguments.into_iter()),
        Some(Command::Completions { shell, tool }) => completions::print(shell, tool.as_deref()),
        Some(Command::Perf(args)) => perf::perf(*args),
        Some(Command::Backup {
            config,
            data_dir,
            target,
        }) => backup::backup(config, data_dir, &target),
        Some(Command::Restore { backup, dir }) => backup::restore(&backup, &dir),
        Some(Command::Serve(args)) => serve::serve(args.config.clone(), args.overrides()),
        None => serve::serve(cli.serve.config.clone(), cli.serve.overrides()),
    };
    end(done)
}

/// What is told at the end. Who does not read the log does not read this either, and must not be waited for.
fn end(done: Result<(), Box<dyn Error>>) -> ExitCode {
    let is_read = logs::flush();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if is_read {
                // Nobody may be there.
                let _ = writeln!(io::stderr(), "leveret: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_what_leveret_alone_does() {
        let args = [
            "--data-dir",
            "d",
            "--listen",
            "127.0.0.1:1",
            "--listen",
            "127.0.0.1:2",
        ];
        let alone = Cli::parse_from(["leveret"].iter().chain(&args)).serve;
        let named = Cli::parse_from(["leveret", "serve"].iter().chain(&args));
        let Some(Command::Serve(named)) = named.command else {
            panic!("not serve")
        };
        assert_eq!(alone.overrides(), named.overrides());
        assert_eq!(alone.overrides()[1].values, ["127.0.0.1:1", "127.0.0.1:2"]);
    }
}

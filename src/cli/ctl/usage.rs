//! What is said of a call that is not understood.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;

use crate::cli::ctl::UNAVAILABLE;
use crate::cli::ctl::USAGE;
use crate::cli::ctl::absent;
use crate::cli::ctl::commands::Cli;

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all other kinds are wrong usage"
)]
/// Tells what is wrong with the words of a call, and how it ends.
pub(super) fn refuse(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
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

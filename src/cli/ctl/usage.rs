//! What is said of a call that is not understood.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::error::ContextKind;
use clap::error::ErrorKind;

use crate::cli::ctl::UNAVAILABLE;
use crate::cli::ctl::USAGE;
use crate::cli::ctl::absent;
use crate::cli::ctl::commands::Cli;
use crate::settings::Settings;
use crate::settings::Sources;

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all other kinds are wrong usage"
)]
/// Tells what is wrong with the words of a call, and how it ends.
pub(super) fn refuse(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let context = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    match error.kind() {
        ErrorKind::DisplayHelp => {
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        // What `version` says; the binary's own is that of `leveret --version`.
        ErrorKind::DisplayVersion => {
            let settings = Settings::load(&Sources::of_process(None, Vec::new()));
            let version = settings.map_or_else(|_| Settings::default().version, |it| it.version);
            let _ = writeln!(std::io::stdout(), "{version}");
            return ExitCode::SUCCESS;
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = write!(std::io::stderr(), "{error}");
        }
        ErrorKind::InvalidSubcommand => {
            let known = <Cli as clap::CommandFactory>::command();
            let names: Vec<String> = known
                .get_subcommands()
                .map(|command| command.get_name().to_owned())
                .collect();
            let written = context(ContextKind::InvalidSubcommand);
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
            let unknown = context(ContextKind::InvalidArg);
            match unknown.starts_with('-') {
                true => {
                    let text = format!("Invalid options for this command:\n{unknown} : ");
                    tell_usage(&text, error, arguments);
                }
                false => tell_usage("too many arguments.", error, arguments),
            }
        }
        ErrorKind::ValueValidation | ErrorKind::InvalidValue
            if context(ContextKind::InvalidArg).starts_with('-') =>
        {
            let option = context(ContextKind::InvalidArg);
            let option = option.split(' ').next().unwrap_or_default().to_owned();
            let value = context(ContextKind::InvalidValue);
            let text = format!("Invalid options for this command:\n{option} : {value}");
            tell_usage(&text, error, arguments);
        }
        _ => {
            let text = error.to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            let _ = writeln!(std::io::stderr(), "Error (argument validation): {text}");
        }
    }
    ExitCode::from(USAGE)
}

/// What was given, what is right.
fn reminded(usage: &str, arguments: &[OsString]) -> String {
    let given: Vec<_> = arguments.iter().map(|it| it.to_string_lossy()).collect();
    let given = given.get(1..).unwrap_or_default().join(" ");
    let usage = usage.strip_prefix("Usage: ").unwrap_or(usage);
    format!("\nArguments given:\n\t{given}\n\nUsage\n\n{usage}")
}

/// The same about a command whose arguments were refused later.
pub(super) fn reminder(command: &str, arguments: &[OsString]) -> String {
    reminded(&usage_of(Some(command), arguments), arguments)
}

/// The command among the words of a call.
fn command_in(arguments: &[OsString]) -> Option<String> {
    let tree = <Cli as clap::CommandFactory>::command();
    let mut words = arguments.iter().skip(1).filter_map(|word| word.to_str());
    words
        .find(|word| tree.find_subcommand(word).is_some())
        .map(str::to_owned)
}

/// How a command is used, or the tool.
fn usage_of(command: Option<&str>, arguments: &[OsString]) -> String {
    let tool = arguments.first().map(|name| name.to_string_lossy());
    let tool = tool.unwrap_or_default().into_owned();
    let mut tree = <Cli as clap::CommandFactory>::command().bin_name(tool);
    tree.build();
    let found = command.and_then(|command| tree.find_subcommand_mut(command));
    let usage = found.map(|command| command.render_usage().to_string());
    usage.unwrap_or_else(|| tree.render_usage().to_string())
}

/// What was wrong, what was given, what is right.
fn tell_usage(wrong: &str, error: &clap::Error, arguments: &[OsString]) {
    let usage = match error.get(ContextKind::Usage) {
        Some(usage) => usage.to_string(),
        None => usage_of(command_in(arguments).as_deref(), arguments),
    };
    let reminded = reminded(&usage, arguments);
    let _ = writeln!(
        std::io::stderr(),
        "Error (argument validation): {wrong}{reminded}"
    );
}

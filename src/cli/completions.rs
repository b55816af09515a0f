//! `leveret completions`: scripts that make shells complete our commands, by whichever name the binary is called.

use std::io::Write;

use clap::Command;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::cli::ctl;
use crate::cli::rabbitmqadmin;

/// The script of one tool.
pub(super) fn script(shell: Shell, mut command: Command, name: &str) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Prints the script for one of the names, or those for all in a row.
pub(super) fn print(shell: Shell, name: Option<&str>) -> Result<(), Box<dyn std::error::Error>> {
    let mut all: Vec<(&str, Command)> = vec![("leveret", Cli::command())];
    all.extend(ctl::TOOLS.iter().map(|tool| (*tool, ctl::command())));
    all.push((rabbitmqadmin::TOOL, rabbitmqadmin::completion_command()));
    if let Some(name) = name {
        all.retain(|(tool, _)| *tool == name);
        if all.is_empty() {
            let tools = ctl::TOOLS.join(", ");
            let text = format!("there is no tool {name}: leveret, {tools}, rabbitmqadmin");
            return Err(text.into());
        }
    }
    for (name, command) in all {
        let _ = std::io::stdout().write_all(script(shell, command, name).as_bytes());
    }
    Ok(())
}

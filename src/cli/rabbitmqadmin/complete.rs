//! The tool as clap's tree, for completion scripts.

use clap::Arg;
use clap::Command;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::rabbitmqadmin::TOOL;
use crate::cli::rabbitmqadmin::objects::CLOSABLE;
use crate::cli::rabbitmqadmin::objects::DECLARABLE;
use crate::cli::rabbitmqadmin::objects::DELETABLE;
use crate::cli::rabbitmqadmin::objects::GET;
use crate::cli::rabbitmqadmin::objects::HEALTH;
use crate::cli::rabbitmqadmin::objects::LISTINGS;
use crate::cli::rabbitmqadmin::objects::OVERVIEW;
use crate::cli::rabbitmqadmin::objects::Object;
use crate::cli::rabbitmqadmin::objects::PUBLISH;
use crate::cli::rabbitmqadmin::objects::PURGABLE;
use crate::cli::rabbitmqadmin::objects::SHOWABLE;
use crate::cli::rabbitmqadmin::options::Given;

fn with_keys(object: &Object) -> Command {
    let mandatory = object.mandatory.iter().flat_map(|key| key.split('|'));
    let optional = object.optional.iter().map(|(key, _)| *key);
    let keys = mandatory.chain(optional);
    let keys = keys.map(|key| Arg::new(key).long(key.replace('_', "-")));
    Command::new(object.name).args(keys)
}

/// Verbs, what they can be done to, and keys.
pub(in crate::cli) fn command() -> Command {
    let verb = |name: &'static str, objects: &[Object]| {
        Command::new(name).subcommands(objects.iter().map(with_keys))
    };
    let listings = LISTINGS.iter().map(|listing| Command::new(listing.name));
    Given::command()
        .no_binary_name(false)
        .name(TOOL)
        .subcommand(Command::new("list").subcommands(listings))
        .subcommand(verb("show", SHOWABLE).subcommand(Command::new(OVERVIEW.name)))
        .subcommand(verb("declare", DECLARABLE))
        .subcommand(verb("delete", DELETABLE))
        .subcommand(verb("close", CLOSABLE))
        .subcommand(verb("purge", PURGABLE))
        .subcommand(verb("health_check", HEALTH))
        .subcommand(with_keys(&PUBLISH))
        .subcommand(with_keys(&GET))
        .subcommand(
            Command::new("export").arg(Arg::new("file").value_hint(clap::ValueHint::FilePath)),
        )
        .subcommand(
            Command::new("import").arg(Arg::new("file").value_hint(clap::ValueHint::FilePath)),
        )
}

/// The script for a shell.
pub(super) fn script(shell: Shell) -> String {
    crate::cli::completions::script(shell, command(), TOOL)
}

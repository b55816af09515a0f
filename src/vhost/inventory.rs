//! What stored definitions say of who owns which messages, without making anything of them. For the operator's tools.

use std::collections::BTreeMap;

use crate::model::QueueId;
use crate::store::Definition;
use crate::vhost::DefinitionError;
use crate::vhost::DefinitionKind;
use crate::vhost::definitions;

/// Whose messages the store has under one id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its virtual host.
    pub vhost: String,
    /// Its name.
    pub name: String,
    /// It is an exchange, and these are its delayed messages.
    pub delayed: bool,
}

/// Owners by id.
pub type Owners = BTreeMap<QueueId, Owner>;

/// The owners that definitions name, and why some definitions cannot be read.
pub fn owners(all: &[Definition]) -> (Owners, Vec<String>) {
    let mut owners = Owners::new();
    let mut unreadable = Vec::new();
    for definition in all {
        if let Err(error) = take(definition, &mut owners) {
            unreadable.push(error.to_string());
        }
    }
    (owners, unreadable)
}

fn take(definition: &Definition, owners: &mut Owners) -> Result<(), DefinitionError> {
    let is = |kind: DefinitionKind| definition.kind == kind as u8;
    let malformed = |part| DefinitionError::Part {
        kind: definition.kind,
        part,
    };
    if is(DefinitionKind::Queue) {
        let (vhost, id, spec) = definitions::read_queue(definition)?;
        let owner = Owner {
            vhost,
            name: spec.name.to_string(),
            delayed: false,
        };
        owners.insert(id, owner);
    } else if is(DefinitionKind::Exchange) {
        let (vhost, spec, belongings) = definitions::read_exchange(definition)?;
        if let Some(id) = belongings.delayed {
            let owner = Owner {
                vhost,
                name: spec.name.to_string(),
                delayed: true,
            };
            owners.insert(id, owner);
        }
    } else if is(DefinitionKind::Binding) {
        definitions::read_binding(definition)?;
    } else if is(DefinitionKind::Policy) || is(DefinitionKind::OperatorPolicy) {
        definitions::read_policy(definition)?;
    } else if is(DefinitionKind::Redelivered) {
        definitions::read_redelivered(definition).ok_or_else(|| malformed("list"))?;
    } else if is(DefinitionKind::Seen) {
        definitions::read_seen(definition).ok_or_else(|| malformed("page"))?;
    }
    Ok(())
}

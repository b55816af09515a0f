//! Rebuilds virtual hosts from what the store kept.

use std::collections::HashSet;
use std::sync::Arc;

use crate::model::QueueId;
use crate::queue::QueueArguments;
use crate::store::Definition;
use crate::store::StoreError;
use crate::vhost::Binding;
use crate::vhost::DefinitionKind;
use crate::vhost::Exchange;
use crate::vhost::Vhost;
use crate::vhost::definitions;

/// What was rebuilt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoveredTopology {
    /// Queues by id.
    pub queues: HashSet<QueueId>,
    /// Number of messages.
    pub messages: u64,
}

/// Rebuilds exchanges, queues with their messages, and bindings, in this order. `vhost` finds a virtual host by name.
/// A definition that cannot be read is reported and left out; everything else is served.
///
/// `redelivered`: messages may have been delivered before (the node did not stop cleanly).
pub fn recover(
    definitions: &[Definition],
    vhost: impl Fn(&str) -> Option<Arc<Vhost>>,
    redelivered: bool,
    now: u64,
) -> Result<RecoveredTopology, StoreError> {
    let of_kind = |kind: DefinitionKind| {
        definitions
            .iter()
            .filter(move |definition| definition.kind == kind as u8)
    };
    for definition in of_kind(DefinitionKind::Exchange) {
        match definitions::read_exchange(definition) {
            Ok((name, spec)) => {
                if let Some(vhost) = vhost(&name) {
                    let exchange = Exchange::new(vhost.shared.next_id(), spec);
                    vhost
                        .exchanges
                        .insert(exchange.name.clone(), Arc::new(exchange));
                }
            }
            Err(error) => tracing::error!(%error, "an exchange could not be recovered"),
        }
    }
    let mut recovered = RecoveredTopology::default();
    for definition in of_kind(DefinitionKind::Queue) {
        let (name, id, spec) = match definitions::read_queue(definition) {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(%error, "a queue could not be recovered");
                continue;
            }
        };
        let Some(vhost) = vhost(&name) else { continue };
        let resource = vhost.queue_resource(&spec.name);
        let arguments = QueueArguments::parse(&spec.arguments, &resource).unwrap_or_else(|error| {
            tracing::error!(%error, "arguments of a recovered queue are not obeyed");
            QueueArguments::default()
        });
        vhost.shared.seen_id(id.0);
        let stored = vhost.shared.store.load(id)?;
        let handle = vhost.add_queue(spec, arguments, id, stored.next, now);
        handle.enter(|queue, _| {
            for (first, run) in stored.runs {
                recovered.messages += run.len() as u64;
                queue.restore(first, run, redelivered, now);
            }
        });
        recovered.queues.insert(id);
    }
    for definition in of_kind(DefinitionKind::Binding) {
        match definitions::read_binding(definition) {
            Ok((name, binding)) => {
                if let Some(vhost) = vhost(&name) {
                    vhost.restore_binding(&binding);
                }
            }
            Err(error) => tracing::error!(%error, "a binding could not be recovered"),
        }
    }
    Ok(recovered)
}

impl Vhost {
    fn restore_binding(&self, binding: &Binding) {
        let source = self.exchange(&binding.source);
        let destination = self.destination(&binding.target);
        let (Some(source), Some(destination)) = (source, destination) else {
            return;
        };
        let bound =
            source
                .router
                .write()
                .bind(&binding.routing_key, &binding.arguments, destination);
        if let Err(error) = bound {
            tracing::error!(%error, source = %binding.source, "a binding could not be recovered");
        }
        self.changed();
    }
}

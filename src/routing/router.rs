//! One exchange's bindings and the look-up that its type asks for.
//!
//! It does not know its exchange's name or what a destination is. Not synchronised: whoever shares one guards it.

use std::hash::Hash;

use amq_protocol::types::FieldTable;

use crate::model::Arguments;
use crate::model::RoutingKey;
use crate::routing::Kind;
use crate::routing::RoutingError;
use crate::routing::direct::Direct;
use crate::routing::fanout::Fanout;
use crate::routing::headers;
use crate::routing::ledger::Binding;
use crate::routing::ledger::Ledger;
use crate::routing::topic::Topic;

/// What the type needs beside the bindings themselves.
#[derive(Debug, Clone)]
enum Index<D> {
    Direct(Direct<D>),
    Fanout(Fanout<D>),
    Topic(Topic<D>),
    /// Every binding is looked at.
    Headers,
}

/// The bindings of one exchange.
///
/// `D` is a destination: a queue or an exchange. It is cloned for each message that is routed to it, so it should be
/// a number or an `Arc`.
#[derive(Debug, Clone)]
pub struct Router<D> {
    ledger: Ledger<D>,
    index: Index<D>,
}

impl<D: Clone + Eq + Hash> Router<D> {
    /// An exchange of type `kind` without bindings.
    pub fn new(kind: Kind) -> Self {
        Self {
            ledger: Ledger::default(),
            index: match kind {
                Kind::Direct => Index::Direct(Direct::default()),
                Kind::Fanout => Index::Fanout(Fanout::default()),
                Kind::Topic => Index::Topic(Topic::default()),
                Kind::Headers => Index::Headers,
            },
        }
    }

    /// The exchange's type.
    pub fn kind(&self) -> Kind {
        match &self.index {
            Index::Direct(_) => Kind::Direct,
            Index::Fanout(_) => Kind::Fanout,
            Index::Topic(_) => Kind::Topic,
            Index::Headers => Kind::Headers,
        }
    }

    /// Adds a binding; `Ok(false)` when the same one (destination, key and arguments) is there already.
    ///
    /// # Errors
    /// When the type does not take such a binding; nothing has changed then.
    pub fn bind(
        &mut self,
        key: &RoutingKey,
        arguments: &Arguments,
        destination: D,
    ) -> Result<bool, RoutingError> {
        if let Index::Headers = self.index {
            headers::validate(arguments)?;
        }
        if !self.ledger.insert(key, arguments, destination.clone()) {
            return Ok(false);
        }
        match &mut self.index {
            Index::Direct(direct) => direct.insert(key, &destination),
            Index::Fanout(fanout) => fanout.insert(&destination),
            Index::Topic(topic) => topic.insert(key, &destination),
            Index::Headers => {}
        }
        Ok(true)
    }

    /// Removes a binding; `false` when there is none with that destination, key and arguments.
    pub fn unbind(&mut self, key: &str, arguments: &Arguments, destination: &D) -> bool {
        match self.ledger.remove(key, arguments, destination) {
            Some(binding) => {
                self.unindex(&binding);
                true
            }
            None => false,
        }
    }

    /// Removes all bindings that lead to `destination` and says how many there were.
    ///
    /// Its cost is that of those bindings, not of all.
    pub fn remove_destination(&mut self, destination: &D) -> usize {
        let removed = self.ledger.remove_destination(destination);
        for binding in &removed {
            self.unindex(binding);
        }
        removed.len()
    }

    /// Whether there are no bindings.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bindings there are.
    pub fn len(&self) -> usize {
        self.ledger.len()
    }

    /// All bindings, in no order.
    pub fn bindings(&self) -> impl Iterator<Item = (&RoutingKey, &Arguments, &D)> {
        self.ledger.iter().map(parts)
    }

    /// The bindings that lead to `destination`, in no order; the others cost nothing.
    pub fn bindings_to(
        &self,
        destination: &D,
    ) -> impl Iterator<Item = (&RoutingKey, &Arguments, &D)> {
        self.ledger.of_destination(destination).map(parts)
    }

    /// Pushes each destination that a message with `key` and `headers` goes to.
    ///
    /// Only a topic exchange may push one destination more than once (when several patterns match); it, like a
    /// message with several keys, leaves duplicates to the caller. `headers` (`None`: the message has none) is only
    /// looked at by types that say [`Kind::needs_headers`].
    pub fn route(&self, key: &str, headers: Option<&FieldTable>, out: &mut Vec<D>) {
        match &self.index {
            Index::Direct(direct) => direct.route(key, out),
            Index::Fanout(fanout) => fanout.route(out),
            Index::Topic(topic) => topic.route(key, out),
            Index::Headers => {
                let takes = |destination: &&D| {
                    self.ledger
                        .of_destination(destination)
                        .any(|binding| headers::matches(&binding.arguments, headers))
                };
                out.extend(self.ledger.destinations().filter(takes).cloned());
            }
        }
    }

    fn unindex(&mut self, binding: &Binding<D>) {
        match &mut self.index {
            Index::Direct(direct) => direct.remove(&binding.key, &binding.destination),
            Index::Fanout(fanout) => fanout.remove(&binding.destination),
            Index::Topic(topic) => topic.remove(&binding.key, &binding.destination),
            Index::Headers => {}
        }
    }
}

fn parts<D>(binding: &Binding<D>) -> (&RoutingKey, &Arguments, &D) {
    (&binding.key, &binding.arguments, &binding.destination)
}

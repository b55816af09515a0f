//! Rebuilds virtual hosts from what the store kept.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

use crate::model::Position;
use crate::model::QueueId;
use crate::model::Run;
use crate::queue::QueueArguments;
use crate::queue::Returned;
use crate::store::Definition;
use crate::store::Record;
use crate::store::Span;
use crate::store::StoreError;
use crate::store::StoredRun;
use crate::vhost::Binding;
use crate::vhost::DefinitionKind;
use crate::vhost::Exchange;
use crate::vhost::ExchangeSpec;
use crate::vhost::QueueHandle;
use crate::vhost::Vhost;
use crate::vhost::definitions;
use crate::vhost::definitions::Belongings;
use crate::vhost::exchange_type::ExchangeType;
use crate::vhost::exchange_type::deduplication::StoredPages;

/// What was rebuilt.
#[derive(Debug, Default)]
pub struct RecoveredTopology {
    /// Queues by id.
    pub queues: HashSet<QueueId>,
    /// Number of messages.
    pub messages: u64,
    /// Queues and exchanges that are there and could not be rebuilt. Their messages are not to be taken for leftovers.
    pub unreadable: u64,
    /// What to tell the store now that it was read.
    pub obsolete: Vec<Record>,
}

/// Before a clean stop, once no consumer holds anything: which of the queue's messages had been delivered before.
pub fn write_redelivered(queue: &QueueHandle) -> Option<Record> {
    let (ranges, _) = queue.enter(|state, _| state.redelivered());
    (queue.durable && !ranges.is_empty())
        .then(|| definitions::define_redelivered(queue.id, &ranges))
}

/// Cuts a run where it enters or leaves one of `ranges`, which ascend; tells how often each piece that is inside came
/// back.
fn split(first: Position, mut run: Run, ranges: &[Returned]) -> Vec<(Position, Run, Option<u32>)> {
    let mut pieces = Vec::new();
    let mut at = first.0;
    while !run.is_empty() {
        let end = at + run.len() as u64;
        let next = ranges.get(ranges.partition_point(|range| range.positions.end <= at));
        let (until, inside) = match next {
            Some(range) if range.positions.start <= at => {
                (range.positions.end.min(end), Some(range.returns))
            }
            Some(range) => (range.positions.start.min(end), None),
            None => (end, None),
        };
        pieces.push((Position(at), run.take_front((until - at) as usize), inside));
        at = until;
    }
    pieces
}

/// Rebuilds exchanges, queues with their messages, and bindings, in this order. `vhost` finds a virtual host by name.
/// A definition that cannot be read is reported and left out; everything else is served.
///
/// After an unclean stop every message may have been delivered before, and is marked so; after a clean one those are
/// that [`write_redelivered`] wrote down.
pub fn recover(
    definitions: &[Definition],
    vhost: impl Fn(&str) -> Option<Arc<Vhost>>,
    clean: bool,
    now: u64,
) -> Result<RecoveredTopology, StoreError> {
    let of_kind = |kind: DefinitionKind| {
        definitions
            .iter()
            .filter(move |definition| definition.kind == kind as u8)
    };
    // First, for they decide what queues and exchanges do.
    let operator = of_kind(DefinitionKind::OperatorPolicy);
    for definition in of_kind(DefinitionKind::Policy).chain(operator) {
        match definitions::read_policy(definition) {
            Ok((name, kind, policy)) => {
                if let Some(vhost) = vhost(&name) {
                    vhost.restore_policy(kind, policy);
                }
            }
            Err(error) => {
                tracing::error!(%error, "a policy could not be recovered and is not in effect; set it again")
            }
        }
    }
    let mut recovered = RecoveredTopology::default();
    let mut seen = StoredPages::of(of_kind(DefinitionKind::Seen));
    for definition in of_kind(DefinitionKind::Exchange) {
        match definitions::read_exchange(definition) {
            Ok((name, spec, belongings)) => {
                if let Some(vhost) = vhost(&name) {
                    vhost.restore_exchange(spec, belongings, &mut seen, &mut recovered, now)?;
                }
            }
            Err(error) => {
                tracing::error!(%error, "an exchange could not be recovered; declare it again, and its bindings");
                recovered.unreadable += 1;
            }
        }
    }
    if recovered.unreadable == 0 {
        recovered.obsolete.extend(seen.leftovers());
    }
    let marks: Vec<_> = of_kind(DefinitionKind::Redelivered).collect();
    let redelivered: HashMap<QueueId, Vec<Returned>> = marks
        .iter()
        .filter_map(|mark| definitions::read_redelivered(mark))
        .collect();
    let mut restored = Vec::new();
    for definition in of_kind(DefinitionKind::Queue) {
        let (name, id, spec) = match definitions::read_queue(definition) {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(%error, "a queue could not be recovered; its messages are kept in the store: run `leveret store check` on a stopped node, or restore a backup");
                recovered.unreadable += 1;
                continue;
            }
        };
        let Some(vhost) = vhost(&name) else {
            tracing::error!(queue = %spec.name, vhost = name, "a queue's virtual host is missing; its messages are kept in the store: add the virtual host and restart the node");
            recovered.unreadable += 1;
            continue;
        };
        let resource = vhost.queue_resource(&spec.name);
        let arguments = QueueArguments::parse(&spec.arguments, &resource).unwrap_or_else(|error| {
            tracing::error!(%error, "arguments of a recovered queue are not obeyed; delete the queue and declare it anew, or set a policy");
            QueueArguments::default()
        });
        vhost.shared.seen_id(id.0);
        let outline = vhost.shared.store.outline(id);
        let handle = vhost.make_queue(spec, arguments, id, outline.next, now);
        let delivered = match clean {
            true => redelivered.get(&id).map(Vec::as_slice).or(Some(&[])),
            false => None,
        };
        for span in outline.spans {
            recovered.messages += restore_span(&handle, span, delivered, now)?;
        }
        vhost.add_queue(&handle);
        restored.push(handle);
        recovered.queues.insert(id);
    }
    let marks = marks.into_iter();
    let marks = marks.map(definitions::undefine_redelivered);
    recovered.obsolete.extend(marks);
    for definition in of_kind(DefinitionKind::Binding) {
        match definitions::read_binding(definition) {
            Ok((name, binding)) => {
                if let Some(vhost) = vhost(&name) {
                    vhost.restore_binding(&binding);
                }
            }
            Err(error) => tracing::error!(%error, "a binding could not be recovered; bind again"),
        }
    }
    // Only now, for the dead need the bindings of their dead-letter exchange.
    for queue in restored {
        queue.enter(|state, records| state.restored(now, records));
    }
    Ok(recovered)
}

/// So much of a queue is read at once when it has to be read.
const READ_BYTES: u64 = 4 * 1024 * 1024;

/// Puts messages back, unread where that will do. Of `delivered` ones each was delivered before; `None`: all may have been.
/// Answers how many there are.
fn restore_span(
    handle: &QueueHandle,
    span: Span,
    delivered: Option<&[Returned]>,
    now: u64,
) -> Result<u64, StoreError> {
    let Span {
        positions,
        body_bytes,
        expiring,
    } = span;
    let alike = match delivered {
        Some(ranges) => !ranges.iter().any(|range| {
            range.positions.start < positions.end && positions.start < range.positions.end
        }),
        None => true,
    };
    let unread = body_bytes.filter(|_| alike && handle.enter(|queue, _| queue.restores_unread()).0);
    if let Some(body_bytes) = unread {
        let count = positions.end - positions.start;
        handle.enter(|queue, _| {
            queue.restore_away(positions, body_bytes, delivered.is_none(), expiring);
        });
        return Ok(count);
    }
    let mut count = 0;
    let mut at = positions.start;
    while at < positions.end {
        let store = &handle.shared.store;
        let page = store.read(handle.id, at..positions.end, READ_BYTES)?;
        at = page.until.max(at + 1);
        handle.enter(|queue, _| {
            for stored in page.runs {
                let StoredRun { first, run, .. } = stored;
                count += run.len() as u64;
                let enqueued_at = stored.enqueued_at.unwrap_or(now);
                match delivered {
                    None => queue.restore(first, run, true, enqueued_at),
                    Some(delivered) => {
                        for (first, run, returns) in split(first, run, delivered) {
                            queue.restore_returned(first, run, returns, enqueued_at);
                        }
                    }
                }
            }
        });
    }
    Ok(count)
}

impl Vhost {
    fn restore_exchange(
        &self,
        spec: ExchangeSpec,
        Belongings { delayed, seen }: Belongings,
        pages: &mut StoredPages<'_>,
        recovered: &mut RecoveredTopology,
        now: u64,
    ) -> Result<(), StoreError> {
        let resource = self.exchange_resource(&spec.name);
        let behaviour = ExchangeType::parse(spec.kind, &spec.arguments, &resource);
        let mut behaviour = behaviour.unwrap_or_else(|error| {
            tracing::error!(%error, "arguments of a recovered exchange are not obeyed; delete the exchange and declare it anew");
            ExchangeType::plain(spec.kind)
        });
        if let Some(id) = delayed {
            self.shared.seen_id(id.0);
            let outline = self.shared.store.outline(id);
            let line = self.make_delay_line(&spec, id, outline.next, now);
            for span in outline.spans {
                recovered.messages += restore_span(&line, span, Some(&[]), now)?;
            }
            recovered.queues.insert(id);
            behaviour.delayed = Some(line);
        }
        if let Some(id) = seen {
            self.shared.seen_id(id);
            behaviour.keep_seen(|| id, &self.shared.store);
        }
        let exchange = Arc::new(Exchange::new(self.shared.next_id(), spec, behaviour));
        self.add_exchange(Arc::clone(&exchange));
        // Only now, for a policy may give it more room.
        exchange.behaviour.restore_seen(pages, now);
        Ok(())
    }

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
            tracing::error!(%error, source = %binding.source, "a binding could not be recovered; bind again");
        }
        self.changed();
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use crate::model::ExchangeName;
    use crate::model::RunBuilder;
    use crate::model::message::Traits;
    use crate::model::message::route;

    #[track_caller]
    fn check_split(ranges: &[Range<u64>], expected: &[(u64, usize, bool)]) {
        let ranges: Vec<_> = ranges
            .iter()
            .map(|positions| Returned {
                positions: positions.clone(),
                returns: 3,
            })
            .collect();
        let mut builder = RunBuilder::default();
        for _ in 0..10 {
            builder.push(
                &route(&ExchangeName::known("x"), "k"),
                &[0, 0],
                b"",
                Traits::default(),
            );
        }
        let pieces: Vec<_> = split(Position(10), builder.finish(), &ranges)
            .iter()
            .map(|(first, run, inside)| (first.0, run.len(), *inside == Some(3)))
            .collect();
        assert_eq!(pieces, expected);
    }

    #[test]
    fn only_what_was_delivered_comes_back_as_redelivered() {
        check_split(&[], &[(10, 10, false)]);
        check_split(std::slice::from_ref(&(0..100)), &[(10, 10, true)]);
        check_split(
            &[0..12, 15..16, 19..30],
            &[
                (10, 2, true),
                (12, 3, false),
                (15, 1, true),
                (16, 3, false),
                (19, 1, true),
            ],
        );
        check_split(std::slice::from_ref(&(20..30)), &[(10, 10, false)]);
    }
}

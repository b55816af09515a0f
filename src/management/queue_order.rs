//! What lists of queues are sorted by: read from the queue, for the rows of very many queues take long to make.
//!
//! What is not known here is looked for in the row itself, if rows have it.

use std::cell::OnceCell;
use std::sync::Arc;

use crate::definitions::argument_json;
use crate::management::figures::QueueFigure;
use crate::management::figures::queue_values;
use crate::management::listing::SortBy;
use crate::management::listing::field;
use crate::management::queues::CLASSIC;
use crate::management::queues::Detail;
use crate::management::queues::MOMENT;
use crate::management::queues::Number;
use crate::management::queues::Queues;
use crate::management::queues::active_tag;
use crate::management::queues::exclusive_tag;
use crate::management::queues::row;
use crate::management::rates::Subject;
use crate::management::sort_key::SortKey;
use crate::queue::Queue;
use crate::queue::QueueType;
use crate::vhost::QueueHandle;

/// Whether a queue has what only some types have.
type HasIt = fn(&QueueHandle) -> bool;

/// Fields that queues of one type have alike.
const SAME_OF_A_TYPE: [&str; 11] = [
    "backing_queue_status",
    "garbage_collection",
    "head_message_timestamp",
    "leader",
    "members",
    "message_bytes_dlx",
    "message_bytes_paged_out",
    "messages_dlx",
    "online",
    "open_files",
    "storage_version",
];

/// Fields with parts that are not known here by themselves.
const OF_EACH: [&str; 5] = [
    "message_stats",
    "messages_details",
    "messages_ready_details",
    "messages_unacknowledged_details",
    "readers",
];

pub(super) fn sorted_by<'l>(list: &'l Queues, column: &'l str) -> SortBy<'l, Arc<QueueHandle>> {
    if let Some(read) = of_all_details(column) {
        return number(read, |_| true);
    }
    if let Some(figure) = QueueFigure::named(column) {
        return figured(list, figure);
    }
    if let Some(key) = declared(column) {
        return key;
    }
    let named = |table: &[(&str, Number)]| {
        let found = table.iter().find(|(name, _)| *name == column);
        found.map(|(_, read)| *read)
    };
    let classic: HasIt = |queue| queue.queue_type == QueueType::Classic;
    let no_stream: HasIt = |queue| queue.queue_type != QueueType::Stream;
    match column {
        // The same of all queues.
        "state" | "node" | "reductions" | "reductions_details.rate" => {
            Box::new(|_| SortKey::ABSENT)
        }
        _ if list.detail != Detail::Full => Box::new(|_| SortKey::ABSENT),
        "consumer_capacity" | "consumer_utilisation" => {
            let now = list.api.now();
            Box::new(move |queue| match no_stream(queue) {
                true => SortKey::Number(queue.look(|state| state.consumer_capacity(now))),
                false => SortKey::ABSENT,
            })
        }
        // Its text has the same order.
        "idle_since" => number(|_, state| state.used_at(), classic),
        "backing_queue_status.len" => number(|_, state| state.counts().ready, classic),
        "exclusive_consumer_tag" => text(exclusive_tag, classic),
        "single_active_consumer_ctag" => {
            text(active_tag, |queue| queue.queue_type == QueueType::Quorum)
        }
        "single_active_consumer_tag" => text(active_tag, no_stream),
        _ => match (named(&MOMENT), named(&CLASSIC)) {
            (Some(read), _) => number(read, no_stream),
            (None, Some(read)) => number(read, classic),
            (None, None) => otherwise(list, column),
        },
    }
}

/// What only the row itself tells.
fn otherwise<'l>(list: &'l Queues, column: &'l str) -> SortBy<'l, Arc<QueueHandle>> {
    let told = move |queue: &QueueHandle| {
        let row = row(&list.api, queue, list.detail, list.ranges).into();
        SortKey::of(field(&row, column))
    };
    let first = column.split('.').next().unwrap_or_default();
    if SAME_OF_A_TYPE.contains(&first) {
        let known: [OnceCell<SortKey>; 3] = Default::default();
        return Box::new(move |queue| {
            let known = &known[queue.queue_type as usize];
            known.get_or_init(|| told(queue)).clone()
        });
    }
    if OF_EACH.contains(&first) {
        return Box::new(move |queue| told(queue));
    }
    Box::new(|_| SortKey::ABSENT)
}

/// Numbers that are told by all that tell anything but what a queue was declared as.
fn of_all_details(column: &str) -> Option<Number> {
    let read: Number = match column {
        "messages" => |_, state| state.counts().ready + state.counts().unacked,
        "messages_ready" => |_, state| state.counts().ready,
        "messages_unacknowledged" => |_, state| state.counts().unacked,
        "consumers" => |_, state| state.counts().consumers,
        "memory" => |_, state| state.memory_bytes(),
        _ => return None,
    };
    Some(read)
}

fn number<'l>(read: Number, has_it: HasIt) -> SortBy<'l, Arc<QueueHandle>> {
    Box::new(move |queue| match has_it(queue) {
        true => SortKey::Number(queue.look(|state| read(queue, state)) as f64),
        false => SortKey::ABSENT,
    })
}

fn text<'l>(read: fn(&Queue) -> Option<String>, has_it: HasIt) -> SortBy<'l, Arc<QueueHandle>> {
    Box::new(move |queue| match has_it(queue) {
        true => queue.look(read).map_or(SortKey::ABSENT, SortKey::Text),
        false => SortKey::ABSENT,
    })
}

/// Counters and their rates.
fn figured(list: &Queues, figure: QueueFigure) -> SortBy<'_, Arc<QueueHandle>> {
    let now = list.api.now();
    Box::new(move |queue| {
        let values = queue.look(queue_values);
        let total: u64 = figure.of.iter().map(|index| values[*index]).sum();
        SortKey::Number(match figure.rate {
            false => total as f64,
            true => {
                let subject = Subject::Queue(queue.id);
                list.api.meters.rate(subject, now, &values, figure.of)
            }
        })
    })
}

/// What a queue was declared as, and which policies it has.
fn declared(column: &str) -> Option<SortBy<'_, Arc<QueueHandle>>> {
    let first = column.split('.').next().unwrap_or_default();
    let rest = column.get(first.len() + 1..).unwrap_or_default();
    Some(match (first, rest) {
        ("name", "") => Box::new(|queue| SortKey::text(Some(&queue.name))),
        ("vhost", "") => Box::new(|queue| SortKey::text(Some(&queue.vhost))),
        ("type", "") => Box::new(|queue| SortKey::text(Some(queue.queue_type.name()))),
        ("durable", "") => Box::new(|queue| SortKey::Word(queue.durable)),
        ("auto_delete", "") => Box::new(|queue| SortKey::Word(queue.auto_delete)),
        ("exclusive", "") => Box::new(|queue| SortKey::Word(queue.owner.is_some())),
        ("policy", "") => Box::new(|queue| {
            let applied = queue.applied();
            SortKey::text(applied.policy.as_ref().map(|policy| &*policy.name))
        }),
        ("operator_policy", "") => Box::new(|queue| {
            let applied = queue.applied();
            SortKey::text(applied.operator_policy.as_ref().map(|policy| &*policy.name))
        }),
        ("effective_policy_definition", _) => Box::new(move |queue| {
            let definition = queue.applied().definition().unwrap_or_default().into();
            SortKey::of(if rest.is_empty() {
                &definition
            } else {
                field(&definition, rest)
            })
        }),
        ("arguments", "") => Box::new(|_| SortKey::Table),
        ("arguments", _) => {
            let (argument, below) = rest.split_once('.').unwrap_or((rest, ""));
            Box::new(
                move |queue| match argument_json(&queue.arguments, argument) {
                    None => SortKey::ABSENT,
                    Some(value) if below.is_empty() => SortKey::of(&value),
                    Some(value) => SortKey::of(field(&value, below)),
                },
            )
        }
        _ => return None,
    })
}

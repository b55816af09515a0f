//! How exchanges, queues and bindings are written to the store and read back.
//!
//! Keys are length-prefixed names; values are JSON objects that ignore fields they do not know, so that an older version
//! can read what a newer one wrote. Argument tables keep their wire form, for JSON has no NaN and no integer widths.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Number;

use crate::model::Arguments;
use crate::model::ExchangeName;
use crate::model::Permitted;
use crate::model::QueueId;
use crate::model::QueueName;
use crate::model::RoutingKey;
use crate::model::VhostName;
use crate::protocol::encode;
use crate::protocol::table;
use crate::queue::Returned;
use crate::routing;
use crate::store::Definition;
use crate::store::Record;
use crate::vhost::Binding;
use crate::vhost::Exchange;
use crate::vhost::ExchangeSpec;
use crate::vhost::QueueHandle;
use crate::vhost::QueueSpec;
use crate::vhost::Target;
use crate::vhost::exchange_type::seen::Expiring;
use crate::vhost::policies;
use crate::vhost::policies::Policy;
use crate::vhost::policies::PolicyKind;
use crate::vhost::policies::PolicySpec;

/// Kinds of definition that virtual hosts store. Smaller numbers are the broker's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// An exchange.
    Exchange = 16,
    /// A queue.
    Queue = 17,
    /// A binding.
    Binding = 18,
    /// Which messages of a queue had been delivered when the node stopped cleanly.
    Redelivered = 19,
    /// A page of what a deduplication exchange has seen.
    Seen = 20,
    /// A policy.
    Policy = 32,
    /// An operator policy.
    OperatorPolicy = 33,
}

/// A stored definition that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// Not the JSON it should be.
    #[error("definition of kind {kind} is malformed: {source}")]
    Json {
        /// Its kind.
        kind: u8,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// A name, table or type in it is not valid.
    #[error("definition of kind {kind} has an invalid {part}")]
    Part {
        /// Its kind.
        kind: u8,
        /// What is wrong.
        part: &'static str,
    },
}

#[derive(Serialize, Deserialize)]
struct ExchangeRecord {
    vhost: String,
    name: String,
    kind: String,
    auto_delete: bool,
    internal: bool,
    arguments: String,
    /// Where its delayed messages lie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delayed: Option<u64>,
    /// Under which id the store has what it has seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct QueueRecord {
    vhost: String,
    name: String,
    id: u64,
    auto_delete: bool,
    arguments: String,
}

#[derive(Serialize, Deserialize)]
struct BindingRecord {
    vhost: String,
    source: String,
    queue: Option<String>,
    exchange: Option<String>,
    routing_key: String,
    arguments: String,
}

#[derive(Serialize, Deserialize)]
struct PolicyRecord {
    vhost: String,
    name: String,
    pattern: String,
    #[serde(rename = "apply-to")]
    apply_to: String,
    priority: Number,
    definition: policies::Definition,
}

fn key(parts: &[&str]) -> Vec<u8> {
    let mut key = Vec::new();
    for part in parts {
        key.extend_from_slice(&(part.len() as u32).to_be_bytes());
        key.extend_from_slice(part.as_bytes());
    }
    key
}

fn define(kind: Kind, key: Vec<u8>, record: &impl Serialize) -> Record {
    let value = serde_json::to_vec(record).expect("a struct of strings and numbers is JSON");
    Record::Define {
        kind: kind as u8,
        key,
        value,
    }
}

fn arguments_text(arguments: &Arguments) -> String {
    STANDARD.encode(encode::table(arguments.table()))
}

fn arguments_of(kind: u8, text: &str) -> Result<Arguments, DefinitionError> {
    let invalid = DefinitionError::Part {
        kind,
        part: "argument table",
    };
    let Ok(bytes) = STANDARD.decode(text) else {
        return Err(invalid);
    };
    table::decode(&bytes)
        .map(Arguments::from)
        .map_err(|_| invalid)
}

pub(super) fn define_exchange(vhost: &VhostName, exchange: &Exchange) -> Record {
    let record = ExchangeRecord {
        vhost: vhost.to_string(),
        name: exchange.name.to_string(),
        kind: exchange.kind.name().to_owned(),
        auto_delete: exchange.auto_delete,
        internal: exchange.internal,
        arguments: arguments_text(&exchange.arguments),
        delayed: exchange.behaviour.delayed.as_ref().map(|line| line.id.0),
        seen: exchange.behaviour.seen_kept_as(),
    };
    define(Kind::Exchange, key(&[vhost, &exchange.name]), &record)
}

pub(super) fn undefine_exchange(vhost: &VhostName, exchange: &ExchangeName) -> Record {
    Record::Undefine {
        kind: Kind::Exchange as u8,
        key: key(&[vhost, exchange]),
    }
}

pub(super) fn define_queue(queue: &QueueHandle) -> Record {
    let record = QueueRecord {
        vhost: queue.vhost.to_string(),
        name: queue.name.to_string(),
        id: queue.id.0,
        auto_delete: queue.auto_delete,
        arguments: arguments_text(&queue.arguments),
    };
    define(Kind::Queue, key(&[&queue.vhost, &queue.name]), &record)
}

pub(super) fn undefine_queue(queue: &QueueHandle) -> Record {
    Record::Undefine {
        kind: Kind::Queue as u8,
        key: key(&[&queue.vhost, &queue.name]),
    }
}

fn binding_key(vhost: &VhostName, binding: &Binding) -> Vec<u8> {
    let (kind, target) = match &binding.target {
        Target::Queue(name) => ("q", name.as_str()),
        Target::Exchange(name) => ("e", name.as_str()),
    };
    let mut key = key(&[vhost, &binding.source, kind, target, &binding.routing_key]);
    key.extend_from_slice(&encode::table(binding.arguments.table()));
    key
}

pub(super) fn define_binding(vhost: &VhostName, binding: &Binding) -> Record {
    let (queue, exchange) = match &binding.target {
        Target::Queue(name) => (Some(name.to_string()), None),
        Target::Exchange(name) => (None, Some(name.to_string())),
    };
    let record = BindingRecord {
        vhost: vhost.to_string(),
        source: binding.source.to_string(),
        queue,
        exchange,
        routing_key: binding.routing_key.to_string(),
        arguments: arguments_text(&binding.arguments),
    };
    define(Kind::Binding, binding_key(vhost, binding), &record)
}

pub(super) fn undefine_binding(vhost: &VhostName, binding: &Binding) -> Record {
    Record::Undefine {
        kind: Kind::Binding as u8,
        key: binding_key(vhost, binding),
    }
}

fn policy_definition(kind: PolicyKind) -> Kind {
    match kind {
        PolicyKind::Ordinary => Kind::Policy,
        PolicyKind::Operator => Kind::OperatorPolicy,
    }
}

pub(super) fn define_policy(vhost: &VhostName, kind: PolicyKind, policy: &Policy) -> Record {
    let record = PolicyRecord {
        vhost: vhost.to_string(),
        name: policy.name.clone(),
        pattern: policy.pattern.source().to_owned(),
        apply_to: policy.apply_to.name().to_owned(),
        priority: policy.priority.clone(),
        definition: policy.definition.clone(),
    };
    let key = key(&[vhost, &policy.name]);
    define(policy_definition(kind), key, &record)
}

pub(super) fn undefine_policy(vhost: &VhostName, kind: PolicyKind, name: &str) -> Record {
    Record::Undefine {
        kind: policy_definition(kind) as u8,
        key: key(&[vhost, name]),
    }
}

/// Reads a policy: its virtual host's name and what it was set as.
pub(super) fn read_policy(
    definition: &Definition,
) -> Result<(String, PolicyKind, Policy), DefinitionError> {
    let record: PolicyRecord = parse(definition)?;
    let kind = if definition.kind == Kind::Policy as u8 {
        PolicyKind::Ordinary
    } else {
        PolicyKind::Operator
    };
    let spec = PolicySpec {
        name: record.name,
        pattern: record.pattern.into(),
        definition: record.definition.into(),
        priority: Some(record.priority.into()),
        apply_to: Some(record.apply_to.into()),
    };
    // What was taken once stays: the settings may have changed since.
    let judged = Policy::judge(kind, spec, Permitted::default());
    let policy = part(definition.kind, "policy", judged)?;
    Ok((record.vhost, kind, policy))
}

/// Before the numbers of a definition that has counts too; no message has this position.
const WITH_COUNTS: u64 = u64::MAX;

pub(super) fn define_redelivered(queue: QueueId, returned: &[Returned]) -> Record {
    let numbers = returned.iter().flat_map(|returned| {
        let Range { start, end } = returned.positions;
        [start, end, returned.returns.into()]
    });
    let value = std::iter::once(WITH_COUNTS).chain(numbers);
    Record::Define {
        kind: Kind::Redelivered as u8,
        key: queue.0.to_be_bytes().to_vec(),
        value: value.flat_map(u64::to_le_bytes).collect(),
    }
}

/// Reads which messages of which queue had been delivered; `None` when it is malformed. Earlier versions wrote no counts.
pub(super) fn read_redelivered(definition: &Definition) -> Option<(QueueId, Vec<Returned>)> {
    let queue = QueueId(u64::from_be_bytes(
        definition.key.as_slice().try_into().ok()?,
    ));
    let (numbers, rest) = definition.value.as_chunks::<8>();
    let numbers: Vec<u64> = numbers.iter().map(|n| u64::from_le_bytes(*n)).collect();
    let returned = |start: u64, end: u64, returns: u64| Returned {
        positions: start..end,
        returns: u32::try_from(returns).unwrap_or(u32::MAX),
    };
    let (all, odd): (Vec<_>, &[u64]) = match numbers.split_first() {
        Some((&WITH_COUNTS, numbers)) => {
            let (triples, odd) = numbers.as_chunks::<3>();
            let all = triples
                .iter()
                .map(|[start, end, n]| returned(*start, *end, *n));
            (all.collect(), odd)
        }
        _ => {
            let (pairs, odd) = numbers.as_chunks::<2>();
            let all = pairs.iter().map(|[start, end]| returned(*start, *end, 0));
            (all.collect(), odd)
        }
    };
    (rest.is_empty() && odd.is_empty()).then_some((queue, all))
}

/// Forgets what [`define_redelivered`] wrote.
pub(super) fn undefine_redelivered(definition: &Definition) -> Record {
    Record::Undefine {
        kind: definition.kind,
        key: definition.key.clone(),
    }
}

fn key_of_seen(memory: u64, page: u64) -> Vec<u8> {
    [memory.to_be_bytes(), page.to_be_bytes()].concat()
}

/// A page: of each value when it expires ([`u64::MAX`]: never), its length, and the value itself.
pub(super) fn define_seen(memory: u64, page: u64, values: &[Expiring]) -> Record {
    let mut bytes = Vec::new();
    for Expiring { value, expires_at } in values {
        bytes.extend_from_slice(&expires_at.unwrap_or(u64::MAX).to_le_bytes());
        bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
        bytes.extend_from_slice(value);
    }
    Record::Define {
        kind: Kind::Seen as u8,
        key: key_of_seen(memory, page),
        value: bytes,
    }
}

pub(super) fn undefine_seen(memory: u64, page: u64) -> Record {
    Record::Undefine {
        kind: Kind::Seen as u8,
        key: key_of_seen(memory, page),
    }
}

/// Whose page it is, and its number.
pub(super) fn seen_key(definition: &Definition) -> Option<(u64, u64)> {
    let (memory, page) = definition.key.split_first_chunk::<8>()?;
    let page = page.try_into().ok()?;
    Some((u64::from_be_bytes(*memory), u64::from_be_bytes(page)))
}

/// What is on a page; `None` when it is malformed.
pub(super) fn read_seen(definition: &Definition) -> Option<Vec<Expiring>> {
    let mut values = Vec::new();
    let mut rest = &definition.value[..];
    while !rest.is_empty() {
        let (expires_at, after) = rest.split_first_chunk::<8>()?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let (value, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let expires_at = u64::from_le_bytes(*expires_at);
        values.push(Expiring {
            value: value.into(),
            expires_at: (expires_at != u64::MAX).then_some(expires_at),
        });
        rest = after;
    }
    Some(values)
}

fn parse<'a, T: Deserialize<'a>>(definition: &'a Definition) -> Result<T, DefinitionError> {
    serde_json::from_slice(&definition.value).map_err(|source| DefinitionError::Json {
        kind: definition.kind,
        source,
    })
}

fn part<T, E>(kind: u8, part: &'static str, value: Result<T, E>) -> Result<T, DefinitionError> {
    value.map_err(|_| DefinitionError::Part { kind, part })
}

/// What belongs to an exchange and lies elsewhere in the store.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Belongings {
    /// Its delayed messages.
    pub(super) delayed: Option<QueueId>,
    /// What it has seen.
    pub(super) seen: Option<u64>,
}

/// Reads an exchange: its virtual host's name, what it was declared as, and what belongs to it.
pub(super) fn read_exchange(
    definition: &Definition,
) -> Result<(String, ExchangeSpec, Belongings), DefinitionError> {
    let record: ExchangeRecord = parse(definition)?;
    let kind = routing::Kind::from_name(&record.kind).ok_or(DefinitionError::Part {
        kind: definition.kind,
        part: "exchange type",
    })?;
    let spec = ExchangeSpec {
        name: part(definition.kind, "name", ExchangeName::new(&record.name))?,
        kind,
        durable: true,
        auto_delete: record.auto_delete,
        internal: record.internal,
        arguments: arguments_of(definition.kind, &record.arguments)?,
    };
    let belongings = Belongings {
        delayed: record.delayed.map(QueueId),
        seen: record.seen,
    };
    Ok((record.vhost, spec, belongings))
}

/// Reads a queue: its virtual host's name, its id and what it was declared as.
pub(super) fn read_queue(
    definition: &Definition,
) -> Result<(String, QueueId, QueueSpec), DefinitionError> {
    let record: QueueRecord = parse(definition)?;
    let spec = QueueSpec {
        name: part(definition.kind, "name", QueueName::new(&record.name))?,
        durable: true,
        auto_delete: record.auto_delete,
        owner: None,
        arguments: arguments_of(definition.kind, &record.arguments)?,
    };
    Ok((record.vhost, QueueId(record.id), spec))
}

/// Reads a binding: its virtual host's name and the binding.
pub(super) fn read_binding(definition: &Definition) -> Result<(String, Binding), DefinitionError> {
    let record: BindingRecord = parse(definition)?;
    let kind = definition.kind;
    let target = match (&record.queue, &record.exchange) {
        (Some(queue), None) => Target::Queue(part(kind, "queue name", QueueName::new(queue))?),
        (None, Some(exchange)) => {
            Target::Exchange(part(kind, "exchange name", ExchangeName::new(exchange))?)
        }
        _ => {
            return Err(DefinitionError::Part {
                kind,
                part: "destination",
            });
        }
    };
    let binding = Binding {
        source: part(kind, "source", ExchangeName::new(&record.source))?,
        target,
        routing_key: part(kind, "routing key", RoutingKey::new(&record.routing_key))?,
        arguments: arguments_of(kind, &record.arguments)?,
    };
    Ok((record.vhost, binding))
}

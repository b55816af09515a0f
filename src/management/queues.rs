//! `/api/queues`: listed, declared, deleted, purged.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::connection::host::QueueDeclare;
use crate::definitions::arguments_json;
use crate::management::Api;
use crate::management::ApiError;
use crate::management::auth::Caller;
use crate::management::body::Body;
use crate::management::by_vhost::ByVhost;
use crate::management::commit::put_status;
use crate::management::consumers;
use crate::management::figures::QueueValues;
use crate::management::figures::Ranges;
use crate::management::figures::put_lengths;
use crate::management::figures::queue_message_stats;
use crate::management::figures::queue_values;
use crate::management::listing;
use crate::management::listing::Key;
use crate::management::listing::Listed;
use crate::management::listing::SortBy;
use crate::management::path::Names;
use crate::management::query::Query;
use crate::management::queue_order;
use crate::management::rates::Subject;
use crate::management::tallies;
use crate::management::time::rfc3339;
use crate::model::QueueName;
use crate::model::names::stripped;
use crate::queue::Activity;
use crate::queue::Queue;
use crate::queue::QueueType;
use crate::vhost::QueueHandle;
use crate::vhost::Vhost;

type Answer = Result<Json<Value>, ApiError>;
type Item = Arc<QueueHandle>;

/// How much of a queue is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// What it was declared as.
    Bare,
    /// That, and how many messages it has.
    Totals,
    /// With figures.
    Full,
}

fn detail(query: &Query, api: &Api) -> Detail {
    let totals = query.flag("enable_queue_totals") || api.options.enable_queue_totals;
    match query.flag("disable_stats") || api.options.disable_stats {
        true if totals => Detail::Totals,
        true => Detail::Bare,
        false => Detail::Full,
    }
}

fn declared(queue: &QueueHandle, node: &str) -> Map<String, Value> {
    let applied = queue.applied();
    let row = json!({
        "name": queue.name.as_str(),
        "vhost": queue.vhost.as_str(),
        "type": queue.queue_type.name(),
        "durable": queue.durable,
        "auto_delete": queue.auto_delete,
        "exclusive": queue.owner.is_some(),
        "arguments": arguments_json(&queue.arguments),
        "node": node,
        "state": "running",
        "policy": applied.policy.as_ref().map(|policy| &policy.name),
        "operator_policy": applied.operator_policy.as_ref().map(|policy| &policy.name),
        "effective_policy_definition": applied.definition().unwrap_or_default(),
    });
    if let Value::Object(row) = row {
        row
    } else {
        Map::new()
    }
}

/// Reads one number of a queue.
pub(super) type Number = fn(&QueueHandle, &Queue) -> u64;

/// What is told of queues but streams.
pub(super) const MOMENT: [(&str, Number); 7] = [
    ("messages_persistent", |queue, state| {
        let counts = state.counts();
        u64::from(queue.durable) * (counts.ready + counts.unacked)
    }),
    ("messages_ram", |_, state| {
        state.ready_in_memory() + state.counts().unacked
    }),
    ("message_bytes", |_, state| {
        state.counts().ready_bytes + state.unacked_bytes()
    }),
    ("message_bytes_ready", |_, state| state.counts().ready_bytes),
    ("message_bytes_unacknowledged", |_, state| {
        state.unacked_bytes()
    }),
    ("message_bytes_persistent", |queue, state| {
        u64::from(queue.durable) * (state.counts().ready_bytes + state.unacked_bytes())
    }),
    ("message_bytes_ram", |_, state| state.memory_bytes()),
];

/// What is told of classic queues alone.
pub(super) const CLASSIC: [(&str, Number); 3] = [
    ("messages_ready_ram", |_, state| state.ready_in_memory()),
    ("messages_unacknowledged_ram", |_, state| {
        state.counts().unacked
    }),
    ("messages_paged_out", |_, state| {
        let ready = state.counts().ready;
        ready.saturating_sub(state.ready_in_memory())
    }),
];

/// The tag of the consumer that alone may consume because it said so.
pub(super) fn exclusive_tag(state: &Queue) -> Option<String> {
    let found = state.consumers().find(|consumer| consumer.exclusive);
    found.map(|consumer| consumer.tag.as_str().to_owned())
}

/// That of the consumer whose turn it is.
pub(super) fn active_tag(state: &Queue) -> Option<String> {
    let found = state
        .consumers()
        .find(|consumer| state.activity(consumer.id) == Activity::SingleActive);
    found.map(|consumer| consumer.tag.as_str().to_owned())
}

/// What is told of all types of queues in this moment, beside counters.
fn moment(row: &mut Map<String, Value>, queue: &QueueHandle, state: &Queue, now: u64) {
    let counts = state.counts();
    row.insert("consumers".to_owned(), json!(counts.consumers));
    row.insert("memory".to_owned(), json!(state.memory_bytes()));
    row.insert("reductions".to_owned(), json!(0));
    row.insert("reductions_details".to_owned(), json!({"rate": 0.0}));
    if queue.queue_type == QueueType::Stream {
        return;
    }
    let capacity = state.consumer_capacity(now);
    let fields = [
        ("consumer_capacity", json!(capacity)),
        ("consumer_utilisation", json!(capacity)),
        ("garbage_collection", consumers::garbage_collection()),
    ];
    row.extend(fields.map(|(key, value)| (key.to_owned(), value)));
    row.extend(MOMENT.map(|(key, read)| (key.to_owned(), json!(read(queue, state)))));
}

/// What only queues of its type have.
fn typed(row: &mut Map<String, Value>, queue: &QueueHandle, state: &Queue, node: &str) {
    let counts = state.counts();
    let active = active_tag(state);
    let fields: Vec<(&str, Value)> = match queue.queue_type {
        QueueType::Classic => vec![
            ("exclusive_consumer_tag", json!(exclusive_tag(state))),
            ("single_active_consumer_tag", json!(active)),
            ("head_message_timestamp", Value::Null),
            ("idle_since", json!(rfc3339(state.used_at()))),
            ("message_bytes_paged_out", json!(0)),
            ("recoverable_slaves", Value::Null),
            ("storage_version", json!(2)),
            (
                "backing_queue_status",
                json!({"mode": "default", "version": 2, "len": counts.ready}),
            ),
        ],
        QueueType::Quorum => vec![
            ("leader", json!(node)),
            ("members", json!([node])),
            ("online", json!([node])),
            ("open_files", json!({ node: 0 })),
            ("messages_dlx", json!(0)),
            ("message_bytes_dlx", json!(0)),
            ("single_active_consumer_ctag", json!(active)),
            ("single_active_consumer_tag", json!(active)),
        ],
        QueueType::Stream => vec![
            ("leader", json!(node)),
            ("members", json!([node])),
            ("online", json!([node])),
            ("readers", json!({ node: counts.consumers })),
        ],
    };
    let fields = fields.into_iter();
    row.extend(fields.map(|(key, value)| (key.to_owned(), value)));
    if queue.queue_type == QueueType::Classic {
        row.extend(CLASSIC.map(|(key, read)| (key.to_owned(), json!(read(queue, state)))));
    }
}

pub(super) fn row(
    api: &Api,
    queue: &QueueHandle,
    detail: Detail,
    ranges: Ranges,
) -> Map<String, Value> {
    let node = &api.node.name;
    let mut row = declared(queue, node);
    match detail {
        Detail::Bare => {}
        Detail::Totals => {
            let counts = queue.look(|state| state.counts());
            row.insert("messages".to_owned(), json!(counts.ready + counts.unacked));
            row.insert("messages_ready".to_owned(), json!(counts.ready));
            row.insert("messages_unacknowledged".to_owned(), json!(counts.unacked));
        }
        Detail::Full => {
            let now = api.now();
            let values = queue.look(|state| {
                moment(&mut row, queue, state, now);
                typed(&mut row, queue, state, node);
                queue_values(state)
            });
            put_measured(&mut row, api, queue, values, ranges);
        }
    }
    row
}

fn put_measured(
    row: &mut Map<String, Value>,
    api: &Api,
    queue: &QueueHandle,
    values: QueueValues,
    ranges: Ranges,
) {
    let measured = api.measured(Subject::Queue(queue.id), values.to_vec(), ranges);
    put_lengths(row, &measured, true, ranges.lengths);
    if let Some(stats) = queue_message_stats(&measured, ranges.messages) {
        row.insert("message_stats".to_owned(), stats.into());
    }
}

/// Queues as lists show them.
pub(super) struct Queues {
    pub(super) api: Api,
    pub(super) detail: Detail,
    pub(super) ranges: Ranges,
}

impl Listed for Queues {
    type Item = Item;

    fn row(&self, queue: Item) -> Value {
        row(&self.api, &queue, self.detail, self.ranges).into()
    }

    fn key(&self, queue: &Item, key: &mut Key<'_>) {
        key.push(&queue.vhost);
        key.push(&queue.name);
    }

    fn name<'i>(&self, queue: &'i Item) -> Option<&'i str> {
        Some(&queue.name)
    }

    fn sorted_by<'l>(&'l self, column: &'l str) -> SortBy<'l, Item> {
        queue_order::sorted_by(self, column)
    }
}

impl ByVhost for Queues {
    fn wanted(api: Api, query: &Query) -> Result<Self, ApiError> {
        Ok(Self {
            detail: detail(query, &api),
            ranges: Ranges::of(query)?,
            api,
        })
    }

    fn items(&self, vhosts: &[Arc<Vhost>]) -> Vec<Item> {
        vhosts.iter().flat_map(|vhost| vhost.queues()).collect()
    }
}

/// The queue of that name in a virtual host that the caller may see.
pub(super) fn find(
    caller: &Caller,
    api: &Api,
    vhost: &str,
    name: &str,
) -> Result<(Arc<Vhost>, Item), ApiError> {
    let vhost = caller.vhost(api, vhost)?;
    let queue = vhost.queue(name).ok_or(ApiError::NotFound)?;
    Ok((vhost, queue))
}

pub(super) async fn queue(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, name)): Names<(String, String)>,
    query: Query,
) -> Answer {
    let (vhost, queue) = find(&caller, &api, &vhost, &name)?;
    let detail = detail(&query, &api);
    let ranges = Ranges::of(&query)?;
    let mut row = row(&api, &queue, detail, ranges);
    let connections = api.broker.connections();
    if let Some(owner) = queue.owner.and_then(|owner| connections.get(owner)) {
        let owner = consumers::connection_details(&owner);
        row.insert("owner_pid_details".to_owned(), owner);
    }
    if detail == Detail::Full {
        let consumers = consumers::of_queue(&api, &queue);
        row.insert("consumer_details".to_owned(), consumers.into());
        let deliveries = tallies::deliveries_of_queue(&api, &queue, ranges);
        row.insert("deliveries".to_owned(), deliveries.into());
        let incoming = tallies::incoming_of_queue(&api, &vhost, &queue, ranges);
        row.insert("incoming".to_owned(), incoming.into());
        row.entry("garbage_collection")
            .or_insert_with(consumers::garbage_collection);
    }
    Ok(Json(listing::with_columns(&query, row.into())))
}

pub(super) async fn put_queue(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, name)): Names<(String, String)>,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let vhost = caller.vhost_to_change(&api, &vhost)?;
    // In words of its own, unlike other names that are too long.
    let too_long = |bytes| format!("queue should be less than 255 bytes, actually was {bytes}\n");
    let name = stripped(&name);
    let queue = QueueName::new(&name).map_err(|_| ApiError::bad_request(too_long(name.len())))?;
    let declare = QueueDeclare {
        queue,
        durable: body.flag("durable")?.unwrap_or(false),
        exclusive: false,
        auto_delete: body.flag("auto_delete")?.unwrap_or(false),
        arguments: body.arguments("arguments")?,
    };
    body.check_node(&api)?;
    let existed = vhost.queue(&name).is_some();
    let declared = api.act(&caller, &vhost)?.declare_queue(declare);
    let lsn = declared.map_err(ApiError::declaring)?;
    api.committed(lsn).await;
    Ok(put_status(existed))
}

pub(super) async fn delete_queue(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, name)): Names<(String, String)>,
    query: Query,
) -> Result<StatusCode, ApiError> {
    let (vhost, queue) = find(&caller, &api, &vhost, &name)?;
    let (unused, empty) = (query.flag("if-unused"), query.flag("if-empty"));
    let deleted = api
        .act(&caller, &vhost)?
        .delete_queue(&queue.name, unused, empty);
    let lsn = deleted.map_err(ApiError::declaring)?;
    api.committed(lsn).await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn purge(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, name)): Names<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let (vhost, queue) = find(&caller, &api, &vhost, &name)?;
    let purged = api.act(&caller, &vhost)?.purge_queue(&queue.name);
    let lsn = purged.map_err(ApiError::declaring)?;
    api.committed(lsn).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Mirrors are copied by nobody: there are none. What RabbitMQ 3.13 lets operators ask for is done already.
pub(super) async fn act(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, name)): Names<(String, String)>,
    mut body: Body,
) -> Result<StatusCode, ApiError> {
    caller.check_administrator()?;
    find(&caller, &api, &vhost, &name)?;
    let [action] = body.take(["action"])?;
    match action.as_str() {
        Some("sync" | "cancel_sync")
            if api.broker.options().release == crate::model::Release::V3 =>
        {
            Ok(StatusCode::NO_CONTENT)
        }
        _ => Err(ApiError::BadRequest(json!(["unknown", action]))),
    }
}

/// Where the copies of a quorum queue are.
pub(super) async fn quorum_status(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, name)): Names<(String, String)>,
) -> Answer {
    let (_, queue) = find(&caller, &api, &vhost, &name)?;
    if queue.queue_type != QueueType::Quorum {
        return Err(ApiError::bad_request("classic_queue_not_supported"));
    }
    Ok(Json(json!([{
        "Node Name": api.node.name,
        "Raft State": "leader",
        "Membership": "voter",
    }])))
}

/// Queues that belong to a user's connections.
pub(super) async fn of_user(
    caller: Caller,
    State(api): State<Api>,
    Names(user): Names<String>,
    query: Query,
) -> Result<Response, ApiError> {
    caller.check_administrator()?;
    crate::management::permissions::check_user(&api, &user)?;
    let list = Queues {
        detail: Detail::Bare,
        ranges: Ranges::default(),
        api,
    };
    listing::answer(query, list, move |list| {
        let broker = &list.api.broker;
        let mut queues: Vec<Item> = broker.vhosts().iter().flat_map(|v| v.queues()).collect();
        queues.retain(|queue| {
            let owner = queue
                .owner
                .and_then(|owner| broker.connections().get(owner));
            owner.is_some_and(|owner| *owner.user == *user)
        });
        queues
    })
    .await
}

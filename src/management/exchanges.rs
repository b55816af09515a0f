//! `/api/exchanges`: listed, declared, deleted.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::connection::host::ExchangeDeclare;
use crate::definitions::arguments_json;
use crate::management::Api;
use crate::management::ApiError;
use crate::management::acting::name_of;
use crate::management::auth::Caller;
use crate::management::body::Body;
use crate::management::by_vhost::ByVhost;
use crate::management::commit::put_status;
use crate::management::figures::Ranges;
use crate::management::figures::exchange_values;
use crate::management::heavy::heavy;
use crate::management::listing;
use crate::management::listing::Key;
use crate::management::listing::Listed;
use crate::management::path::Names;
use crate::management::query::Query;
use crate::management::rates::Subject;
use crate::management::tallies;
use crate::model::ExchangeName;
use crate::model::names::stripped;
use crate::vhost::Exchange;
use crate::vhost::Vhost;

type Answer = Result<Json<Value>, ApiError>;

/// The name in a path: the default exchange has one there.
pub(super) fn named(name: &str) -> &str {
    if name == "amq.default" { "" } else { name }
}

fn row(
    api: &Api,
    vhost: &Vhost,
    exchange: &Exchange,
    stats: bool,
    ranges: Ranges,
) -> Map<String, Value> {
    let mut row = Map::new();
    let fields = [
        ("name", json!(exchange.name.as_str())),
        ("vhost", json!(vhost.name().as_str())),
        ("type", json!(exchange.kind.name())),
        ("durable", json!(exchange.durable)),
        ("auto_delete", json!(exchange.auto_delete)),
        ("internal", json!(exchange.internal)),
        ("arguments", arguments_json(&exchange.arguments)),
    ];
    row.extend(fields.map(|(key, value)| (key.to_owned(), value)));
    if exchange.name.is_empty() || exchange.name.starts_with("amq.") {
        row.insert(
            "user_who_performed_action".to_owned(),
            json!("rmq-internal"),
        );
    }
    if let Some(delayed) = exchange.messages_delayed() {
        row.insert("messages_delayed".to_owned(), json!(delayed));
    }
    // Unlike queues, exchanges without a policy have no such fields.
    if let Some(policy) = exchange.applied().policy {
        row.insert("policy".to_owned(), json!(policy.name));
    }
    if !stats {
        return row;
    }
    let subject = Subject::Exchange(vhost.name().clone(), exchange.name.clone());
    let measured = api.measured(subject, exchange_values(exchange), ranges);
    if measured.total(&[0, 1]) > 0 {
        let mut stats = Map::new();
        measured.put(&mut stats, "publish_in", &[0], ranges.messages);
        measured.put(&mut stats, "publish_out", &[1], ranges.messages);
        row.insert("message_stats".to_owned(), stats.into());
    }
    row
}

/// Exchanges as lists show them, with their virtual hosts.
pub(super) struct Exchanges {
    api: Api,
    stats: bool,
    ranges: Ranges,
}

impl Listed for Exchanges {
    type Item = (Arc<Vhost>, Arc<Exchange>);

    fn row(&self, (vhost, exchange): Self::Item) -> Value {
        row(&self.api, &vhost, &exchange, self.stats, self.ranges).into()
    }

    fn key(&self, (vhost, exchange): &Self::Item, key: &mut Key<'_>) {
        key.push(vhost.name());
        key.push(&exchange.name);
    }

    fn name<'i>(&self, (_, exchange): &'i Self::Item) -> Option<&'i str> {
        Some(&exchange.name)
    }
}

impl ByVhost for Exchanges {
    fn wanted(api: Api, query: &Query) -> Result<Self, ApiError> {
        Ok(Self {
            ranges: Ranges::of(query)?,
            stats: !(query.flag("disable_stats") || api.options.disable_stats),
            api,
        })
    }

    fn items(&self, vhosts: &[Arc<Vhost>]) -> Vec<Self::Item> {
        let of = |vhost: &Arc<Vhost>| {
            let vhost = Arc::clone(vhost);
            let exchanges = vhost.exchanges().into_iter();
            exchanges.map(move |exchange| (Arc::clone(&vhost), exchange))
        };
        vhosts.iter().flat_map(of).collect()
    }
}

pub(super) async fn exchange(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, name)): Names<(String, String)>,
    query: Query,
) -> Answer {
    let vhost = caller.vhost(&api, &vhost)?;
    let exchange = vhost.exchange(named(&name)).ok_or(ApiError::NotFound)?;
    let stats = !(query.flag("disable_stats") || api.options.disable_stats);
    let ranges = Ranges::of(&query)?;
    // All queues are looked at.
    let row = heavy(move || {
        let mut row = row(&api, &vhost, &exchange, stats, ranges);
        if stats {
            let incoming = tallies::incoming_of_exchange(&api, &vhost, &exchange, ranges);
            row.insert("incoming".to_owned(), incoming.into());
            let outgoing = tallies::outgoing_of_exchange(&api, &vhost, &exchange, ranges);
            row.insert("outgoing".to_owned(), outgoing.into());
        }
        row
    });
    Ok(Json(listing::with_columns(&query, row.await?.into())))
}

pub(super) async fn put_exchange(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, name)): Names<(String, String)>,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let vhost = caller.vhost_to_change(&api, &vhost)?;
    let kind = match body.0.get("type") {
        None | Some(Value::Null) => "direct".to_owned(),
        Some(Value::String(kind)) => kind.clone(),
        Some(_) => return Err(ApiError::bad_request("type is not a text")),
    };
    let flag = |key: &str| Ok::<bool, ApiError>(body.flag(key)?.unwrap_or(false));
    let declare = ExchangeDeclare {
        exchange: name_of(ExchangeName::new(&stripped(named(&name))))?,
        kind,
        durable: flag("durable")?,
        auto_delete: flag("auto_delete")?,
        internal: flag("internal")?,
        arguments: body.arguments("arguments")?,
    };
    let existed = vhost.exchange(&declare.exchange).is_some();
    let declared = api.act(&caller, &vhost)?.declare_exchange(declare);
    let lsn = declared.map_err(ApiError::declaring)?;
    api.committed(lsn).await;
    Ok(put_status(existed))
}

pub(super) async fn delete_exchange(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, name)): Names<(String, String)>,
    query: Query,
) -> Result<StatusCode, ApiError> {
    let vhost = caller.vhost(&api, &vhost)?;
    let exchange = vhost.exchange(named(&name)).ok_or(ApiError::NotFound)?;
    let mut acting = api.act(&caller, &vhost)?;
    let deleted = acting.delete_exchange(&exchange.name, query.flag("if-unused"));
    let lsn = deleted.map_err(ApiError::declaring)?;
    api.committed(lsn).await;
    Ok(StatusCode::NO_CONTENT)
}

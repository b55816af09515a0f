//! `/api/bindings`: listed, made, removed. A binding's place in a path is its `properties_key`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;

use crate::connection::host::Bind;
use crate::connection::host::BindTarget;
use crate::definitions::arguments_json;
use crate::management::Api;
use crate::management::ApiError;
use crate::management::acting::name_of;
use crate::management::auth::Caller;
use crate::management::body::Body;
use crate::management::by_vhost::ByVhost;
use crate::management::exchanges::named;
use crate::management::listing;
use crate::management::listing::Key;
use crate::management::listing::Listed;
use crate::management::path::Names;
use crate::management::query::Query;
use crate::management::query::decoded;
use crate::management::query::encoded;
use crate::model::Arguments;
use crate::model::ExchangeName;
use crate::model::QueueName;
use crate::model::RoutingKey;
use crate::protocol::encode;
use crate::vhost::Binding;
use crate::vhost::Exchange;
use crate::vhost::Target;
use crate::vhost::Vhost;

type Answer = Result<Json<Value>, ApiError>;

/// What tells bindings between the same two ends apart.
fn properties_key(routing_key: &str, arguments: &Arguments) -> String {
    let key = encoded(routing_key).replace('~', "%7E");
    if !arguments.is_empty() {
        // Any number that stays the same will do; tables are sorted.
        let hash = crc32c::crc32c(&encode::table(arguments.table()));
        return format!("{key}~{}", URL_SAFE_NO_PAD.encode(hash.to_be_bytes()));
    }
    if key.is_empty() { "~".to_owned() } else { key }
}

/// Where it leads to: the name and what that is.
fn destination(binding: &Binding) -> (&str, &'static str) {
    match &binding.target {
        Target::Queue(queue) => (queue, "queue"),
        Target::Exchange(exchange) => (exchange, "exchange"),
    }
}

fn row(vhost: &Vhost, binding: &Binding) -> Value {
    let (destination, kind) = destination(binding);
    json!({
        "source": binding.source.as_str(),
        "vhost": vhost.name().as_str(),
        "destination": destination,
        "destination_type": kind,
        "routing_key": binding.routing_key.as_str(),
        "arguments": arguments_json(&binding.arguments),
        "properties_key": properties_key(&binding.routing_key, &binding.arguments),
    })
}

/// Every queue is bound to the default exchange by its name.
fn implied(queue: &QueueName) -> Binding {
    Binding {
        source: ExchangeName::known(""),
        target: Target::Queue(queue.clone()),
        routing_key: RoutingKey::known(queue),
        arguments: Arguments::default(),
    }
}

fn all(vhost: &Vhost) -> Vec<Binding> {
    let implied = vhost.queues().into_iter().map(|queue| implied(&queue.name));
    let explicit = vhost.exchanges();
    implied
        .chain(explicit.iter().flat_map(|exchange| exchange.bindings()))
        .collect()
}

/// Those whose source is that exchange.
fn from(vhost: &Vhost, exchange: &Exchange) -> Vec<Binding> {
    if exchange.is_default() {
        let queues = vhost.queues().into_iter();
        return queues.map(|queue| implied(&queue.name)).collect();
    }
    exchange.bindings()
}

/// Bindings as lists show them, with their virtual hosts.
pub(super) struct Bindings;

impl Listed for Bindings {
    type Item = (Arc<Vhost>, Arc<Binding>);

    fn row(&self, (vhost, binding): Self::Item) -> Value {
        row(&vhost, &binding)
    }

    fn key(&self, (vhost, binding): &Self::Item, key: &mut Key<'_>) {
        let (destination, kind) = destination(binding);
        for part in [vhost.name().as_str(), &binding.source, kind, destination] {
            key.push(part);
        }
        key.push(&binding.routing_key);
        if !binding.arguments.is_empty() {
            key.push(&properties_key(&binding.routing_key, &binding.arguments));
        }
    }

    fn name<'i>(&self, _: &'i Self::Item) -> Option<&'i str> {
        None
    }
}

fn rows_of(vhost: &Arc<Vhost>, bindings: Vec<Binding>) -> Vec<(Arc<Vhost>, Arc<Binding>)> {
    let rows = bindings.into_iter();
    rows.map(|binding| (Arc::clone(vhost), Arc::new(binding)))
        .collect()
}

impl ByVhost for Bindings {
    fn wanted(_: Api, _: &Query) -> Result<Self, ApiError> {
        Ok(Self)
    }

    fn items(&self, vhosts: &[Arc<Vhost>]) -> Vec<Self::Item> {
        let of = |vhost: &Arc<Vhost>| rows_of(vhost, all(vhost));
        vhosts.iter().flat_map(of).collect()
    }
}

async fn list(
    query: Query,
    vhost: Arc<Vhost>,
    of: impl FnOnce(&Vhost) -> Vec<Binding> + Send + 'static,
) -> Result<Response, ApiError> {
    listing::answer(query, Bindings, move |_| rows_of(&vhost, of(&vhost))).await
}

pub(super) async fn of_source(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, name)): Names<(String, String)>,
    query: Query,
) -> Result<Response, ApiError> {
    let vhost = caller.vhost(&api, &vhost)?;
    let exchange = vhost.exchange(named(&name)).ok_or(ApiError::NotFound)?;
    list(query, vhost, move |vhost| from(vhost, &exchange)).await
}

fn to(vhost: &Vhost, target: &Target) -> Vec<Binding> {
    let implied = match target {
        Target::Queue(queue) => vhost.queue(queue).map(|queue| implied(&queue.name)),
        Target::Exchange(_) => None,
    };
    let explicit = vhost.exchanges();
    let explicit = explicit.iter();
    implied
        .into_iter()
        .chain(explicit.flat_map(|exchange| exchange.bindings_to(target)))
        .collect()
}

pub(super) async fn of_destination(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, name)): Names<(String, String)>,
    query: Query,
) -> Result<Response, ApiError> {
    let vhost = caller.vhost(&api, &vhost)?;
    let exchange = vhost.exchange(named(&name)).ok_or(ApiError::NotFound)?;
    let target = Target::Exchange(exchange.name.clone());
    list(query, vhost, move |vhost| to(vhost, &target)).await
}

pub(super) async fn of_queue(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, name)): Names<(String, String)>,
    query: Query,
) -> Result<Response, ApiError> {
    let (vhost, queue) = crate::management::queues::find(&caller, &api, &vhost, &name)?;
    let target = Target::Queue(queue.name.clone());
    list(query, vhost, move |vhost| to(vhost, &target)).await
}

/// The two ends that a path names.
struct Ends {
    vhost: Arc<Vhost>,
    source: String,
    target: BindTarget,
}

impl Ends {
    fn find(
        caller: &Caller,
        api: &Api,
        (vhost, source, kind, destination): (&str, &str, &str, &str),
    ) -> Result<Self, ApiError> {
        let vhost = caller.vhost(api, vhost)?;
        let target = match kind {
            "q" => BindTarget::Queue(name_of(QueueName::new(destination))?),
            "e" => BindTarget::Exchange(name_of(ExchangeName::new(named(destination)))?),
            _ => return Err(ApiError::NotFound),
        };
        Ok(Self {
            vhost,
            source: named(source).to_owned(),
            target,
        })
    }

    fn bindings(&self) -> Result<Vec<Binding>, ApiError> {
        let exchange = self.vhost.exchange(&self.source);
        let exchange = exchange.ok_or(ApiError::NotFound)?;
        let target = match &self.target {
            BindTarget::Queue(queue) => Target::Queue(queue.clone()),
            BindTarget::Exchange(exchange) => Target::Exchange(exchange.clone()),
        };
        if exchange.is_default() {
            let mut bindings = to(&self.vhost, &target);
            bindings.retain(|binding| binding.source.is_empty());
            return Ok(bindings);
        }
        Ok(exchange.bindings_to(&target))
    }

    /// Clients put the key into the path as it is, or encode it once more, with or without its pluses.
    fn binding(&self, key: &str) -> Result<Binding, ApiError> {
        let bindings = self.bindings()?;
        let own = |binding: &Binding| properties_key(&binding.routing_key, &binding.arguments);
        let find = |matches: &dyn Fn(String) -> bool| {
            let mut all = bindings.iter();
            all.find(|binding| matches(own(binding))).cloned()
        };
        find(&|own| own == key)
            .or_else(|| find(&|own| decoded(&own) == key))
            .or_else(|| find(&|own| decoded(&own) == decoded(key)))
            .ok_or(ApiError::NotFound)
    }

    fn bind(&self, routing_key: RoutingKey, arguments: Arguments) -> Result<Bind, ApiError> {
        Ok(Bind {
            source: name_of(ExchangeName::new(&self.source))?,
            target: self.target.clone(),
            routing_key,
            arguments,
        })
    }
}

pub(super) async fn between(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, source, kind, destination)): Names<(String, String, String, String)>,
    query: Query,
) -> Result<Response, ApiError> {
    let ends = Ends::find(&caller, &api, (&vhost, &source, &kind, &destination))?;
    let vhost = Arc::clone(&ends.vhost);
    list(query, vhost, move |_| ends.bindings().unwrap_or_default()).await
}

pub(super) async fn bind(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, source, kind, destination)): Names<(String, String, String, String)>,
    body: Body,
) -> Result<Response, ApiError> {
    let known = caller.vhost_to_change(&api, &vhost)?;
    let ends = Ends::find(&caller, &api, (&vhost, &source, &kind, &destination))?;
    let routing_key = match body.0.get("routing_key") {
        None => "",
        Some(Value::String(key)) => key,
        // So RabbitMQ reads it.
        Some(Value::Null) => "null",
        Some(_) => return Err(ApiError::bad_request("routing_key is not a text")),
    };
    let routing_key = name_of(RoutingKey::new(routing_key))?;
    let arguments = body.arguments("arguments")?;
    let properties = properties_key(&routing_key, &arguments);
    let bind = ends.bind(routing_key, arguments)?;
    let bound = api.act(&caller, &known)?.bind(bind);
    let lsn = bound.map_err(ApiError::declaring)?;
    api.committed(lsn).await;
    // The key is encoded once more, as any part of a path is.
    let location = format!("{}/{}", encoded(&destination), encoded(&properties));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)]).into_response())
}

pub(super) async fn binding(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, source, kind, destination, key)): Names<(String, String, String, String, String)>,
    query: Query,
) -> Answer {
    let ends = Ends::find(&caller, &api, (&vhost, &source, &kind, &destination))?;
    let row = row(&ends.vhost, &ends.binding(&key)?);
    Ok(Json(listing::with_columns(&query, row)))
}

pub(super) async fn unbind(
    caller: Caller,
    State(api): State<Api>,
    Names((vhost, source, kind, destination, key)): Names<(String, String, String, String, String)>,
) -> Result<StatusCode, ApiError> {
    let ends = Ends::find(&caller, &api, (&vhost, &source, &kind, &destination))?;
    let binding = ends.binding(&key)?;
    let bind = ends.bind(binding.routing_key, binding.arguments)?;
    let unbound = api.act(&caller, &ends.vhost)?.unbind(bind);
    let lsn = unbound.map_err(ApiError::declaring)?;
    api.committed(lsn).await;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::arguments_from_json;

    #[test]
    fn properties_keys_are_rabbitmqs() {
        let none = Arguments::default();
        for (key, expected) in [
            ("", "~"),
            ("q", "q"),
            ("a.#", "a.%23"),
            ("a b", "a+b"),
            ("~", "%7E"),
            ("ü/", "%C3%BC%2F"),
        ] {
            assert_eq!(properties_key(key, &none), expected);
        }
        let some = arguments_from_json(&json!({"z": 1})).unwrap();
        let with = properties_key("k", &some);
        assert!(with.starts_with("k~") && with.len() == 8, "{with}");
        assert_eq!(with, properties_key("k", &some));
        let other = arguments_from_json(&json!({"z": 2})).unwrap();
        assert_ne!(with, properties_key("k", &other));
        assert!(properties_key("", &some).starts_with('~'));
    }
}

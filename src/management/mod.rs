//! The HTTP front door: the part of RabbitMQ's management API that scripts, health checks and operators ask first.
//!
//! Router, authentication and error JSON are here; each resource has a file. The JSON shapes live here and nowhere else.
//! What is not there answers 404 as RabbitMQ does; docs/compatibility.md lists what is.

mod auth;
mod body;
mod commit;
mod error;
mod health;
mod listener;
mod objects;
mod overview;
mod path;
mod permissions;
mod policies;
mod topic_permissions;
mod users;
mod vhosts;

use std::io;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::routing::get;
use tokio::sync::watch;

use crate::broker::Broker;
pub use error::ApiError;
use listener::IDLE_TIME_MAX;
use listener::Peer;
use listener::WatchedListener;
pub use objects::arguments_json;

/// What every handler can see.
#[derive(Clone)]
pub struct Api {
    broker: Arc<Broker>,
    node: Arc<Node>,
    clock: Clock,
}

/// Milliseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Facts about the node that the API shows.
#[derive(Debug, Clone)]
pub struct Node {
    /// `rabbit@host`.
    pub name: String,
    /// Where AMQP listens.
    pub amqp: Vec<SocketAddr>,
    /// Where HTTP listens.
    pub http: Vec<SocketAddr>,
}

/// An HTTP front door that is open.
pub struct Management {
    thread: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

fn router(api: Api) -> Router {
    Router::new()
        .route("/api/overview", get(overview::overview))
        .route("/api/whoami", get(overview::whoami))
        .route("/api/version", get(overview::version))
        .route("/api/vhosts", get(vhosts::vhosts))
        .route(
            "/api/vhosts/{vhost}",
            get(vhosts::vhost)
                .put(vhosts::put_vhost)
                .delete(vhosts::delete_vhost),
        )
        .route(
            "/api/vhosts/{vhost}/permissions",
            get(permissions::of_vhost),
        )
        .route(
            "/api/vhosts/{vhost}/topic-permissions",
            get(topic_permissions::of_vhost),
        )
        .route("/api/users", get(users::users))
        .route(
            "/api/users/without-permissions",
            get(users::without_permissions),
        )
        .route(
            "/api/users/{user}",
            get(users::user)
                .put(users::put_user)
                .delete(users::delete_user),
        )
        .route("/api/users/{user}/permissions", get(permissions::of_user))
        .route(
            "/api/users/{user}/topic-permissions",
            get(topic_permissions::of_user),
        )
        .route("/api/permissions", get(permissions::permissions))
        .route(
            "/api/permissions/{vhost}/{user}",
            get(permissions::permission)
                .put(permissions::put_permission)
                .delete(permissions::delete_permission),
        )
        .route(
            "/api/topic-permissions",
            get(topic_permissions::topic_permissions),
        )
        .route(
            "/api/topic-permissions/{vhost}/{user}",
            get(topic_permissions::of_both)
                .put(topic_permissions::put_topic_permission)
                .delete(topic_permissions::delete_topic_permissions),
        )
        .route(
            "/api/topic-permissions/{vhost}/{user}/{exchange}",
            get(topic_permissions::of_exchange)
                .put(topic_permissions::put_topic_permission_of_exchange)
                .delete(topic_permissions::delete_topic_permission),
        )
        .route("/api/exchanges", get(objects::exchanges))
        .route("/api/exchanges/{vhost}", get(objects::exchanges_in))
        .route("/api/exchanges/{vhost}/{name}", get(objects::exchange))
        .route("/api/queues", get(objects::queues))
        .route("/api/queues/{vhost}", get(objects::queues_in))
        .route("/api/queues/{vhost}/{name}", get(objects::queue))
        .route("/api/bindings", get(objects::bindings))
        .route("/api/bindings/{vhost}", get(objects::bindings_in))
        .route("/api/connections", get(objects::connections))
        .route("/api/policies", get(policies::policies))
        .route("/api/policies/{vhost}", get(policies::policies_in))
        .route(
            "/api/policies/{vhost}/{name}",
            get(policies::policy)
                .put(policies::put_policy)
                .delete(policies::delete_policy),
        )
        .route("/api/operator-policies", get(policies::operator_policies))
        .route(
            "/api/operator-policies/{vhost}",
            get(policies::operator_policies_in),
        )
        .route(
            "/api/operator-policies/{vhost}/{name}",
            get(policies::operator_policy)
                .put(policies::put_operator_policy)
                .delete(policies::delete_operator_policy),
        )
        .route("/api/health/checks/alarms", get(health::alarms))
        .route("/api/health/checks/local-alarms", get(health::alarms))
        .route(
            "/api/health/checks/virtual-hosts",
            get(health::virtual_hosts),
        )
        .route(
            "/api/health/checks/port-listener/{port}",
            get(health::port_listener),
        )
        .route("/api/health/checks/is-in-service", get(health::in_service))
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .with_state(api)
}

impl Management {
    /// Serves on `listeners` (non-blocking) from a thread of its own, so that no amount of HTTP slows a message down.
    pub fn start(
        broker: Arc<Broker>,
        node: Node,
        clock: Clock,
        listeners: Vec<TcpListener>,
    ) -> io::Result<Self> {
        let api = Api {
            broker,
            node: Arc::new(node),
            clock,
        };
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new()
            .name("http".to_owned())
            .spawn(move || runtime.block_on(serve(api, listeners, stopped)))?;
        Ok(Self { thread, stop })
    }

    /// Stops serving and joins the thread.
    pub fn stop(self) {
        let _ = self.stop.send(true);
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the HTTP thread ended in a panic");
        }
    }
}

async fn serve(api: Api, listeners: Vec<TcpListener>, stopped: watch::Receiver<bool>) {
    let mut stop = stopped.clone();
    for listener in listeners {
        let service = router(api.clone()).into_make_service_with_connect_info::<Peer>();
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => {
                let listener = WatchedListener::new(listener, IDLE_TIME_MAX);
                tokio::spawn(async move {
                    if let Err(error) = axum::serve(listener, service).await {
                        tracing::error!(%error, "HTTP stopped");
                    }
                });
            }
            Err(error) => tracing::error!(%error, "cannot serve HTTP"),
        }
    }
    // The tasks, and with them the listeners, end with the runtime.
    let _ = stop.changed().await;
}

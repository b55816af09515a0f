//! The HTTP front door: RabbitMQ's management API, as far as one node has it.
//!
//! Router, authentication and error JSON are here; each resource has a file. The JSON shapes live here and nowhere else.
//! What is not there answers 404 as RabbitMQ does; docs/compatibility.md lists what is.

mod acting;
mod auth;
mod bindings;
mod body;
mod browse;
mod by_vhost;
mod commit;
mod connections;
mod consumers;
mod definitions;
mod error;
mod exchanges;
mod figures;
mod headers;
mod health;
mod heavy;
mod limits;
mod listener;
mod listing;
mod login;
mod messages;
mod nodes;
mod options;
mod overview;
mod parameters;
mod path;
mod permissions;
mod policies;
mod prometheus;
mod query;
mod queue_order;
mod queues;
mod rates;
mod router;
mod rows;
mod sort_key;
mod tallies;
mod time;
mod topic_permissions;
mod users;
mod vhosts;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::watch;

use crate::broker::Broker;
pub use error::ApiError;
use heavy::HEAVY_MAX;
use heavy::heavy;
use listener::IDLE_TIME_MAX;
use listener::Peer;
use listener::WatchedListener;
pub use options::ManagementOptions;
pub use prometheus::Prometheus;
pub use prometheus::PrometheusOptions;
use rates::Meters;
use router::router;

/// What every handler can see.
#[derive(Clone)]
pub struct Api {
    broker: Arc<Broker>,
    node: Arc<Node>,
    options: Arc<ManagementOptions>,
    clock: Clock,
    started_at: u64,
    meters: Arc<Meters>,
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
    /// The settings in force, secrets hidden.
    pub settings: BTreeMap<String, serde_json::Value>,
}

/// An HTTP front door that is open.
pub struct Management {
    thread: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Management {
    /// Serves on `listeners` (non-blocking) from a thread of its own, so that no amount of HTTP slows a message down.
    pub fn start(
        broker: Arc<Broker>,
        node: Node,
        options: ManagementOptions,
        clock: Clock,
        listeners: Vec<TcpListener>,
    ) -> io::Result<Self> {
        let api = Api {
            broker,
            node: Arc::new(node),
            options: Arc::new(options),
            started_at: clock(),
            clock,
            meters: Arc::default(),
        };
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(HEAVY_MAX)
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
            tracing::error!(
                "the HTTP thread ended in a panic; this is a fault of Leveret: please report it with the lines before this one"
            );
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
                        tracing::error!(%error, "HTTP stopped: the management API answers no more; restart the node");
                    }
                });
            }
            Err(error) => {
                tracing::error!(%error, "cannot serve HTTP: the management API does not answer; restart the node")
            }
        }
    }
    let mut ticks = tokio::time::interval(rates::INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The tasks, and with them the listeners, end with the runtime.
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            _ = ticks.tick() => {
                let api = api.clone();
                // It may be about very many queues.
                let _ = heavy(move || api.sample()).await;
            }
        }
    }
}

//! `leveret serve`: from settings to a running node, and to its orderly end.

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use crate::admin::LocalDoor;
use crate::admin::NodeFacts;
use crate::auth::Credentials;
use crate::auth::Mechanism;
use crate::broker::AlarmOptions;
use crate::broker::Broker;
use crate::broker::BrokerOptions;
use crate::broker::Watermark;
use crate::cli::log_exchange::LogExchange;
use crate::cli::watch;
use crate::cli::watch::Stop;
use crate::connection::ConnectionOptions;
use crate::definitions;
use crate::management::Management;
use crate::management::ManagementOptions;
use crate::management::Node;
use crate::management::Prometheus;
use crate::management::PrometheusOptions;
use crate::metrics::machine::Levels;
use crate::server::Clock;
use crate::server::Listener;
use crate::server::Server;
use crate::server::ServerOptions;
use crate::server::open_all;
use crate::settings::NO_ANONYMOUS_LOGIN;
use crate::settings::Override;
use crate::settings::Settings;
use crate::settings::Sources;
use crate::store::CommitWaiter;
use crate::store::StoreOptions;
use crate::vhost::QueueDefaults;

/// Tells the main thread that the store has failed.
struct FailureNotice(mpsc::SyncSender<Stop>);

impl CommitWaiter for FailureNotice {
    fn committed(&self) {
        let _ = self.0.try_send(Stop::StoreFailed);
    }
}

/// Runs the node until it is told to stop.
pub(super) fn serve(file: Option<PathBuf>, overrides: Vec<Override>) -> Result<(), Box<dyn Error>> {
    let settings = Settings::load(&Sources::of_process(file, overrides))?;
    let log_lines = super::logs::start(&settings.log)?;
    raise_file_limit();
    // Ports first: a second start must not touch the data directory of the first, nor find out late.
    let http_listeners = open_all(&settings.http_listen)?;
    let prometheus_listeners = open_all(&settings.prometheus_listen)?;
    std::fs::create_dir_all(&settings.data_dir)
        .map_err(|error| format!("data directory {}: {error}", settings.data_dir.display()))?;
    let clock = Clock::start();
    let broker = Broker::start(broker_options(&settings), clock.millis(clock.now()))?;
    load_definitions(&broker, settings.definitions_files(), clock)?;
    let now = move || clock.millis(clock.now());
    let log_exchange = log_lines.map(|lines| LogExchange::start(lines, Arc::clone(&broker), now));
    let ran = run(
        &settings,
        &broker,
        clock,
        http_listeners,
        prometheus_listeners,
    );
    if let Some(log_exchange) = log_exchange {
        log_exchange.stop();
    }
    if let Some(failure) = broker.store().failure() {
        return Err(format!("the store failed and the node stopped: {failure}").into());
    }
    // Also when it never ran, for want of a port: a store that is not closed counts as crashed.
    let stopped = broker.stop();
    ran?;
    stopped?;
    tracing::info!("stopped");
    Ok(())
}

/// Each connection is an open file, and shells allow few of them without being asked.
fn raise_file_limit() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => tracing::debug!(limit, "open files"),
        Err(error) => tracing::warn!(%error, "the limit of open files stays as it was"),
    }
}

/// Takes the definitions that the settings name, before any client comes.
fn load_definitions(
    broker: &Broker,
    files: Vec<&Path>,
    clock: Clock,
) -> Result<(), Box<dyn Error>> {
    for file in files {
        let failed = |why: String| format!("definitions in {}: {why}", file.display());
        let mut documents = vec![file.to_owned()];
        if file.is_dir() {
            let entries = std::fs::read_dir(file).map_err(|error| failed(error.to_string()))?;
            documents = entries.flatten().map(|entry| entry.path()).collect();
            documents.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
            // In the order of their names, as RabbitMQ takes them.
            documents.sort();
        }
        for document in documents {
            let failed = |why: String| format!("definitions in {}: {why}", document.display());
            let text = std::fs::read(&document).map_err(|error| failed(error.to_string()))?;
            let parsed =
                serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
            let now = clock.millis(clock.now());
            let imported = definitions::import(broker, &parsed, None, now);
            let imported = imported.map_err(|error| failed(error.to_string()))?;
            broker.store().wait(imported.commit)?;
        }
    }
    Ok(())
}

/// Opens the front doors and waits for the end.
fn run(
    settings: &Settings,
    broker: &Arc<Broker>,
    clock: Clock,
    http_listeners: Vec<Listener>,
    prometheus_listeners: Vec<Listener>,
) -> Result<(), Box<dyn Error>> {
    let (sender, stop) = mpsc::sync_channel(4);
    broker
        .store()
        .notify_failure(Arc::new(FailureNotice(sender.clone())));
    let looked_at = settings.data_dir.clone();
    broker.weigh(Levels::look(&looked_at));
    let asked = sender.clone();
    watch::start(sender, Arc::clone(broker), looked_at)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let server = Server::start(
        Arc::clone(broker),
        ServerOptions {
            listen: settings.listen.clone(),
            loops: settings.loop_count(cores),
            moderate_reads: settings.moderate_reads,
            connection: connection_options(settings),
            shutdown_timeout: settings.shutdown_timeout,
        },
    )?;
    let http_addresses: Vec<_> = http_listeners
        .iter()
        .map(|listener| listener.address)
        .collect();
    let node = Node {
        name: settings.cluster_name.clone(),
        amqp: server.addresses().to_vec(),
        http: http_addresses.clone(),
        settings: settings.shown(),
    };
    let sockets = http_listeners
        .into_iter()
        .map(|listener| listener.socket)
        .collect();
    let now: crate::vhost::Clock = Arc::new(move || clock.millis(clock.now()));
    broker.use_clock(Arc::clone(&now));
    let management = Management::start(
        Arc::clone(broker),
        node,
        management_options(settings),
        Arc::clone(&now),
        sockets,
    )?;
    let (exported_at, prometheus) =
        start_prometheus(settings, broker, clock, prometheus_listeners)?;
    let mut listeners: Vec<(&str, SocketAddr)> = Vec::new();
    listeners.extend(server.addresses().iter().map(|address| ("amqp", *address)));
    listeners.extend(http_addresses.iter().map(|address| ("http", *address)));
    listeners.extend(
        exported_at
            .iter()
            .map(|address| ("http/prometheus", *address)),
    );
    let facts = NodeFacts {
        name: settings.cluster_name.clone(),
        listeners,
        data_dir: settings.data_dir.clone(),
        settings: settings.shown(),
        started_at: now(),
        clock: now,
        stop: Arc::new(move || {
            let _ = asked.try_send(Stop::Signal("rabbitmqctl stop"));
        }),
    };
    let local_door = LocalDoor::open(Arc::clone(broker), facts);
    let local_door = local_door
        .inspect_err(|error| {
            tracing::error!(%error, "there is no local socket: commands such as `leveret backup` cannot reach this node");
        })
        .ok();
    announce(settings, server.addresses(), &http_addresses, &exported_at);

    let why = stop.recv().unwrap_or(Stop::Signal("no more signals"));
    if let Stop::Signal(signal) = why {
        tracing::info!(signal, "stopping");
    }
    if let Some(local_door) = local_door {
        local_door.stop();
    }
    management.stop();
    prometheus.stop();
    let cut = server.stop();
    if cut > 0 {
        tracing::warn!(
            connections = cut,
            "connections did not close in time and were cut"
        );
    }
    Ok(())
}

/// The exporter, and where it listens.
fn start_prometheus(
    settings: &Settings,
    broker: &Arc<Broker>,
    clock: Clock,
    listeners: Vec<Listener>,
) -> Result<(Vec<SocketAddr>, Prometheus), std::io::Error> {
    let addresses = listeners.iter().map(|listener| listener.address).collect();
    let sockets = listeners.into_iter().map(|listener| listener.socket);
    let options = PrometheusOptions {
        node: settings.cluster_name.clone(),
        path: settings.prometheus.path.clone(),
        per_object: settings.prometheus.return_per_object_metrics,
    };
    let now = Arc::new(move || clock.millis(clock.now()));
    let prometheus = Prometheus::start(Arc::clone(broker), options, now, sockets.collect())?;
    Ok((addresses, prometheus))
}

fn broker_options(settings: &Settings) -> BrokerOptions {
    BrokerOptions {
        data_dir: settings.data_dir.clone(),
        store: StoreOptions {
            pending_bytes_max: settings.store.pending_bytes_max,
            cache_bytes: settings.store.cache_bytes,
            ring_segment_bytes: settings.store.ring_segment_bytes,
            ring_segments: settings.store.ring_segments,
        },
        product: settings.product.clone(),
        version: settings.version.clone(),
        cluster_name: settings.cluster_name.clone(),
        auth_mechanisms: auth_mechanisms(settings),
        anonymous: Credentials::new(
            &settings.anonymous_login_user,
            settings.anonymous_login_pass.reveal(),
        ),
        default_user: settings.default_user.clone(),
        default_pass: settings.default_pass.reveal().to_owned(),
        default_vhost: settings.default_vhost.clone(),
        seeded: settings.definitions_files().is_empty(),
        loopback_users: settings.loopback_users.clone(),
        connection_max: (settings.connection_max > 0).then(|| settings.connection_max.into()),
        log_exchange: settings.log.exchange,
        queue_memory_bytes: settings.queue_memory_bytes,
        outbox_bytes_max: settings.outbox_bytes_max,
        queue_defaults: queue_defaults(settings),
        release: settings.compatibility.profile.release(),
        permitted: settings.deprecated_features.permitted(),
        alarms: alarm_options(settings),
    }
}

fn alarm_options(settings: &Settings) -> AlarmOptions {
    let memory = settings.vm_memory_high_watermark;
    let disk = settings.disk_free_limit;
    AlarmOptions {
        memory: memory.absolute.map_or(
            Watermark::Relative(memory.relative.get()),
            Watermark::Absolute,
        ),
        disk: match (disk.absolute, disk.relative) {
            (Some(octets), _) => Watermark::Absolute(octets),
            (None, Some(part)) => Watermark::Relative(part.get()),
            (None, None) => Watermark::Absolute(0),
        },
        memory_total: settings.total_memory_available_override_value,
    }
}

fn management_options(settings: &Settings) -> ManagementOptions {
    let management = &settings.management;
    ManagementOptions {
        path_prefix: management.prefix(),
        cors_allow_origins: management.cors_allow_origins.clone(),
        cors_max_age: management.cors_max_age,
        body_bytes_max: management.http_max_body_size,
        disable_stats: management.disable_stats,
        enable_queue_totals: management.enable_queue_totals,
        max_message_bytes: settings.max_message_size,
        global_qos: settings.deprecated_features.global_qos,
    }
}

/// Those that work: there is no ANONYMOUS without a user for it.
fn auth_mechanisms(settings: &Settings) -> Vec<String> {
    let has_anonymous = settings.anonymous_login_user != NO_ANONYMOUS_LOGIN;
    let mut mechanisms = settings.auth_mechanisms.clone();
    mechanisms.retain(|name| has_anonymous || name != Mechanism::Anonymous.name());
    mechanisms
}

fn queue_defaults(settings: &Settings) -> QueueDefaults {
    let unless_zero = |duration: Duration| {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        (millis > 0).then_some(millis)
    };
    QueueDefaults {
        delivery_limit: (settings.quorum_delivery_limit > 0)
            .then(|| settings.quorum_delivery_limit.into()),
        quorum_consumer_timeout: unless_zero(settings.consumer_timeout),
        classic_consumer_timeout: unless_zero(settings.classic_consumer_timeout),
    }
}

fn connection_options(settings: &Settings) -> ConnectionOptions {
    ConnectionOptions {
        frame_max: settings.frame_max,
        initial_frame_max: settings.initial_frame_max,
        channel_max: settings.channel_max,
        heartbeat: settings.heartbeat,
        handshake_timeout: settings.handshake_timeout,
        max_message_bytes: settings.max_message_size,
        consumer_max_per_channel: (settings.consumer_max_per_channel > 0)
            .then_some(settings.consumer_max_per_channel),
        channel_tick_interval: settings.channel_tick_interval,
        global_qos: settings.deprecated_features.global_qos,
        ..ConnectionOptions::default()
    }
}

/// The one line on standard output: whoever waits for the broker can wait for it.
fn announce(
    settings: &Settings,
    amqp: &[SocketAddr],
    http: &[SocketAddr],
    prometheus: &[SocketAddr],
) {
    let list = |addresses: &[SocketAddr]| {
        addresses
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let data = settings
        .data_dir
        .canonicalize()
        .unwrap_or_else(|_| settings.data_dir.clone());
    let http = if http.is_empty() {
        "off".to_owned()
    } else {
        list(http)
    };
    let prometheus = match prometheus {
        [] => String::new(),
        addresses => format!(", Prometheus on {}", list(addresses)),
    };
    // Whoever started it may have closed its end.
    let _ = writeln!(
        std::io::stdout(),
        "Leveret {} is ready: AMQP on {}, HTTP on {http}{prometheus}, data in {}",
        env!("CARGO_PKG_VERSION"),
        list(amqp),
        data.display()
    );
}

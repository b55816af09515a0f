//! The application within the process: the broker with its front doors. It can be stopped, wiped and started again while
//! the process, its log and its local door stay.

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;

use crate::admin::Application;
use crate::admin::Control;
use crate::admin::Slot;
use crate::broker::Broker;
use crate::cli::ctl;
use crate::cli::options::broker_options;
use crate::cli::options::connection_options;
use crate::cli::options::management_options;
use crate::cli::watch::Event;
use crate::definitions;
use crate::logs;
use crate::management::Management;
use crate::management::Node;
use crate::management::Prometheus;
use crate::management::PrometheusOptions;
use crate::metrics::machine::Levels;
use crate::server::Clock;
use crate::server::Listener;
use crate::server::Server;
use crate::server::ServerOptions;
use crate::server::open_all;
use crate::settings::Settings;
use crate::store;
use crate::store::CommitWaiter;

/// Tells the main thread that the store has failed.
struct FailureNotice(mpsc::SyncSender<Event>);

impl CommitWaiter for FailureNotice {
    fn committed(&self) {
        let _ = self.0.try_send(Event::StoreFailed);
    }
}

/// What runs.
struct Running {
    broker: Arc<Broker>,
    server: Server,
    management: Management,
    prometheus: Prometheus,
}

/// Starts and stops it.
pub(super) struct Runner {
    /// Once it has run, with the ports that it was given.
    pub(super) settings: Settings,
    clock: Clock,
    slot: Arc<Slot>,
    events: mpsc::SyncSender<Event>,
    running: Option<Running>,
}

impl Runner {
    pub(super) fn new(
        settings: Settings,
        clock: Clock,
        slot: Arc<Slot>,
        events: mpsc::SyncSender<Event>,
    ) -> Self {
        Self {
            settings,
            clock,
            slot,
            events,
            running: None,
        }
    }

    fn now(&self) -> u64 {
        self.clock.millis(self.clock.now())
    }

    /// Does what an operator asks.
    pub(super) fn control(&mut self, control: Control) -> Result<(), Box<dyn Error>> {
        match (control, self.running.is_some()) {
            (Control::Start, true) | (Control::Stop, false) => Ok(()),
            (Control::Start, false) => {
                tracing::info!("asked to start the application");
                self.start()
            }
            (Control::Stop, true) => {
                tracing::info!("asked to stop the application");
                let broker = self.close_doors();
                self.empty_slot();
                broker.map_or(Ok(()), |broker| broker.stop())?;
                tracing::info!("the application is stopped");
                Ok(())
            }
            (Control::Reset, true) => Err("the application runs".into()),
            (Control::Suspend | Control::Resume, _) => {
                let suspended = control == Control::Suspend;
                let running = self.running.as_ref().ok_or("the application is stopped")?;
                running.server.suspend(suspended);
                if let Some(application) = self.slot.running() {
                    application.suspended.store(suspended, Ordering::Relaxed);
                }
                tracing::info!(suspended, "asked to take AMQP connections or not");
                Ok(())
            }
            (Control::Reset, false) => {
                tracing::warn!("asked to throw all data away");
                Ok(store::wipe(&self.settings.data_dir)?)
            }
        }
    }

    /// Opens the store, loads definitions, opens the front doors.
    pub(super) fn start(&mut self) -> Result<(), Box<dyn Error>> {
        // Ports first: a second start must not touch the data directory of the first, nor find out late.
        let http = open_all(&self.settings.http_listen)?;
        let prometheus = open_all(&self.settings.prometheus_listen)?;
        let data_dir = &self.settings.data_dir;
        std::fs::create_dir_all(data_dir)
            .map_err(|error| format!("data directory {}: {error}", data_dir.display()))?;
        let broker = Broker::start(broker_options(&self.settings), self.now())?;
        match self.open_doors(&broker, http, prometheus) {
            Ok(running) => {
                self.running = Some(running);
                Ok(())
            }
            Err(error) => {
                // A store that is not closed counts as crashed.
                broker.stop()?;
                Err(error)
            }
        }
    }

    fn open_doors(
        &mut self,
        broker: &Arc<Broker>,
        http_listeners: Vec<Listener>,
        prometheus_listeners: Vec<Listener>,
    ) -> Result<Running, Box<dyn Error>> {
        let (settings, clock) = (&self.settings, self.clock);
        load_definitions(broker, settings.definitions_files(), clock)?;
        broker
            .store()
            .notify_failure(Arc::new(FailureNotice(self.events.clone())));
        broker.weigh(Levels::look(&settings.data_dir), clock.millis(clock.now()));
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
        let http: Vec<_> = http_listeners
            .iter()
            .map(|listener| listener.address)
            .collect();
        let node = Node {
            name: settings.cluster_name.clone(),
            amqp: server.addresses().to_vec(),
            http: http.clone(),
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
            now,
            sockets,
        )?;
        let (exported_at, prometheus) =
            start_prometheus(settings, broker, clock, prometheus_listeners)?;
        let mut listeners: Vec<(&str, SocketAddr)> = Vec::new();
        listeners.extend(server.addresses().iter().map(|address| ("amqp", *address)));
        listeners.extend(http.iter().map(|address| ("http", *address)));
        listeners.extend(
            exported_at
                .iter()
                .map(|address| ("http/prometheus", *address)),
        );
        self.slot.set(Some(Application {
            broker: Arc::clone(broker),
            listeners,
            started_at: self.now(),
            suspended: AtomicBool::new(false),
            drained: AtomicBool::new(false),
        }));
        // After a stop clients come back to where it was.
        self.settings.listen = server.addresses().to_vec();
        self.settings.http_listen = http;
        self.settings.prometheus_listen = exported_at;
        Ok(Running {
            broker: Arc::clone(broker),
            server,
            management,
            prometheus,
        })
    }

    /// Closes the front doors and everybody's connections; the broker that is left.
    pub(super) fn close_doors(&mut self) -> Option<Arc<Broker>> {
        let running = self.running.take()?;
        running.management.stop();
        running.prometheus.stop();
        let cut = running.server.stop();
        if cut > 0 {
            tracing::warn!(
                connections = cut,
                "connections did not close in time and were cut; raise shutdown_timeout if clients need longer"
            );
        }
        Some(running.broker)
    }

    /// From now on nothing is found behind the local door.
    pub(super) fn empty_slot(&self) {
        self.slot.set(None);
    }

    /// Whether the store has failed.
    pub(super) fn has_failed(&self) -> bool {
        let running = self.running.as_ref();
        running.is_some_and(|running| running.broker.store().failure().is_some())
    }

    /// The one line on standard output: whoever waits for the broker can wait for it.
    pub(super) fn announce(&self) {
        let list = |addresses: &[SocketAddr]| {
            addresses
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let settings = &self.settings;
        let data = settings.data_dir.canonicalize();
        let data = data.unwrap_or_else(|_| settings.data_dir.clone());
        let http = if settings.http_listen.is_empty() {
            "off".to_owned()
        } else {
            list(&settings.http_listen)
        };
        let prometheus = match &settings.prometheus_listen[..] {
            [] => String::new(),
            addresses => format!(", Prometheus on {}", list(addresses)),
        };
        // Scripts wait for RabbitMQ's words.
        tracing::info!(
            "Server startup complete; {} plugins started.",
            ctl::built_in_count()
        );
        let ready = format!(
            "Leveret {} is ready: AMQP on {}, HTTP on {http}{prometheus}, data in {}",
            env!("CARGO_PKG_VERSION"),
            list(&settings.listen),
            data.display()
        );
        // Whoever started it may have closed its end, or may not read: signals must be heard all the same. What was logged comes first.
        let announce = move || {
            logs::flush();
            writeln!(std::io::stdout(), "{ready}")
        };
        let thread = std::thread::Builder::new().name("ready".to_owned());
        if let Err(error) = thread.spawn(announce) {
            tracing::error!(
                %error,
                "the line that says the node is ready is not written: no thread can be started; raise the limit of processes"
            );
        }
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

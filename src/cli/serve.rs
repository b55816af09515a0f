//! `leveret serve`: from settings to a running node, and to its orderly end.

use std::error::Error;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;

use crate::admin::LocalDoor;
use crate::admin::NodeFacts;
use crate::admin::Slot;
use crate::cli::application::Runner;
use crate::cli::log_exchange::LogExchange;
use crate::cli::watch;
use crate::cli::watch::Event;
use crate::logs;
use crate::server::Clock;
use crate::settings::Override;
use crate::settings::Settings;
use crate::settings::Sources;

/// Signals and commands that wait for the main thread: more than callers at the local door, so that there is always room
/// for word of a store that has failed.
const EVENTS_MAX: usize = 64;

/// Runs the node until it is told to stop.
pub(super) fn serve(file: Option<PathBuf>, overrides: Vec<Override>) -> Result<(), Box<dyn Error>> {
    let sources = Sources::of_process(file, overrides);
    let settings = Settings::load(&sources)?;
    let log_lines = logs::start(&settings.log.options())?;
    raise_file_limit();
    let clock = Clock::start();
    let (events, happened) = mpsc::sync_channel(EVENTS_MAX);
    let slot = Arc::new(Slot::default());
    let mut runner = Runner::new(settings, clock, Arc::clone(&slot), events.clone());
    runner.start()?;
    // Not before: a second start on the same directory must leave the first one's alone.
    let pid_file = PidFile::write(&runner.settings.pid_file);
    let now: crate::vhost::Clock = Arc::new(move || clock.millis(clock.now()));
    let log_exchange =
        log_lines.map(|lines| LogExchange::start(lines, Arc::clone(&slot), Arc::clone(&now)));
    watch::start(
        events.clone(),
        Arc::clone(&slot),
        runner.settings.data_dir.clone(),
        clock,
    )?;
    let local_door = open_door(&runner.settings, &sources, slot, now, events);
    runner.announce();

    await_end(&mut runner, &happened);
    // Callers at the local door who wait for the application to change hear that it does not.
    drop(happened);
    if let Some(local_door) = local_door {
        local_door.stop();
    }
    let closed = runner.close_doors();
    if let Some(log_exchange) = log_exchange {
        log_exchange.stop();
    }
    if let Some(broker) = closed {
        if let Some(failure) = broker.store().failure() {
            return Err(format!("the store failed and the node stopped: {failure}").into());
        }
        runner.empty_slot();
        broker.stop()?;
    }
    drop(pid_file);
    tracing::info!("stopped");
    Ok(())
}

/// The file with the process's number; it goes with this.
struct PidFile(PathBuf);

impl PidFile {
    /// Without a path there is none.
    fn write(path: &Path) -> Option<Self> {
        if path.as_os_str().is_empty() {
            return None;
        }
        match std::fs::write(path, std::process::id().to_string()) {
            Ok(()) => Some(Self(path.to_owned())),
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "the file with the process's number cannot be written; set pid_file or RABBITMQ_PID_FILE to a place that can be");
                None
            }
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Does what operators ask of the application until the node is to end.
fn await_end(runner: &mut Runner, happened: &mpsc::Receiver<Event>) {
    loop {
        match happened.recv().unwrap_or(Event::Signal("no more signals")) {
            Event::Signal(signal) => {
                tracing::info!(signal, "stopping");
                return;
            }
            // Unless it is of an application that was stopped since.
            Event::StoreFailed if runner.has_failed() => return,
            Event::StoreFailed => {}
            Event::Control(control, answer) => {
                let done = runner.control(control);
                let done = done.inspect_err(|error| tracing::error!(%error, "it was not done"));
                // Who asked may have gone.
                let _ = answer.try_send(done.map_err(|error| error.to_string()));
            }
        }
    }
}

fn open_door(
    settings: &Settings,
    sources: &Sources,
    application: Arc<Slot>,
    clock: crate::vhost::Clock,
    events: mpsc::SyncSender<Event>,
) -> Option<LocalDoor> {
    let asked = events.clone();
    let facts = NodeFacts {
        name: settings.cluster_name.clone(),
        application,
        data_dir: settings.data_dir.clone(),
        settings: settings.shown(),
        variables: sources.shown_variables(),
        config_files: sources.files(),
        global_qos: settings.deprecated_features.global_qos,
        body_bytes_max: settings.import_bytes_max,
        clock,
        stop: Arc::new(move || {
            let _ = asked.try_send(Event::Signal("rabbitmqctl stop"));
        }),
        control: Arc::new(move |control| {
            let (answer, answered) = mpsc::sync_channel(1);
            let gone = || "the node stops".to_owned();
            events
                .send(Event::Control(control, answer))
                .map_err(|_| gone())?;
            answered.recv().map_err(|_| gone())?
        }),
        set_log_level: Arc::new(set_log_level),
    };
    let local_door = LocalDoor::open(facts);
    local_door
        .inspect_err(|error| {
            tracing::error!(%error, "there is no local socket: commands such as `leveret backup` cannot reach this node");
        })
        .ok()
}

/// Each connection is an open file, and shells allow few of them without being asked.
fn raise_file_limit() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => tracing::debug!(limit, "open files"),
        Err(error) => {
            tracing::warn!(%error, "the limit of open files stays as it was; raise it (ulimit -n, LimitNOFILE) if there are to be many connections")
        }
    }
}

/// What the command of that name does.
fn set_log_level(name: &str) -> Result<(), String> {
    let level = logs::Level::from_name(name).ok_or_else(|| {
        let names = "debug, info, warning, error, critical, none";
        format!("level {name} is not supported. Try one of {names}")
    })?;
    logs::set_level(level);
    Ok(())
}

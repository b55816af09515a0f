//! What comes to the node from outside its doors: signals, and how much memory and disk is left.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::time::MissedTickBehavior;

use crate::admin::Control;
use crate::admin::Slot;
use crate::metrics::machine::Levels;
use crate::server::Clock;

/// Between two looks at memory and disk, as RabbitMQ looks at its memory.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What the main thread hears of.
pub(super) enum Event {
    /// The node is to end.
    Signal(&'static str),
    /// Nothing is durable any more.
    StoreFailed,
    /// An operator wants something of the application, and waits for it.
    Control(Control, mpsc::SyncSender<Result<(), String>>),
}

/// SIGTERM and SIGINT end the node in order; SIGHUP, which terminals send, does not end it at all.
pub(super) fn start(
    events: mpsc::SyncSender<Event>,
    application: Arc<Slot>,
    data_dir: PathBuf,
    clock: Clock,
) -> Result<(), std::io::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let entered = runtime.enter();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    drop(entered);
    std::thread::Builder::new()
        .name("watch".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                let mut looks = tokio::time::interval(LOOK_INTERVAL);
                looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    let name = tokio::select! {
                        _ = terminate.recv() => "SIGTERM",
                        _ = interrupt.recv() => "SIGINT",
                        _ = hang_up.recv() => continue,
                        _ = looks.tick() => {
                            if let Some(running) = application.running() {
                                let now = clock.millis(clock.now());
                                running.broker.weigh(Levels::look(&data_dir), now);
                            }
                            continue;
                        }
                    };
                    if events.try_send(Event::Signal(name)).is_err() {
                        return;
                    }
                }
            });
        })?;
    Ok(())
}

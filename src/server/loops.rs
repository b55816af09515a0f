//! The loops: threads that each run their connections, and the one that hands new connections out.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinHandle as JoinTask;

use crate::broker::Broker;
use crate::connection::ConnectionOptions;
use crate::server::Clock;
use crate::server::accept::accept;
use crate::server::connection;
use crate::server::listen::Listener;
use crate::server::moderation;
use crate::server::timers;

/// Connections handed to a loop and not yet taken by it.
const HANDED_OVER_MAX: usize = 1024;

pub(super) struct Setup {
    pub(super) broker: Arc<Broker>,
    pub(super) listeners: Vec<Listener>,
    pub(super) loops: usize,
    pub(super) moderate_reads: bool,
    pub(super) connection: ConnectionOptions,
    pub(super) stopped: watch::Receiver<bool>,
    pub(super) suspended: watch::Receiver<bool>,
    pub(super) clock: Clock,
    pub(super) open: OpenCount,
}

/// What each connection's task needs.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) broker: Arc<Broker>,
    pub(super) options: ConnectionOptions,
    pub(super) clock: Clock,
    pub(super) open: OpenCount,
}

/// Connections that are past `connection.open` and not done with, which is longer than the broker knows them: one that
/// was asked to close has yet to answer.
#[derive(Clone, Default)]
pub(super) struct OpenCount(Arc<AtomicUsize>);

impl OpenCount {
    /// Counts one more until the guard is dropped.
    pub(super) fn enter(&self) -> OpenGuard {
        self.0.fetch_add(1, Ordering::Relaxed);
        OpenGuard(self.clone())
    }

    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One connection that counts.
pub(super) struct OpenGuard(OpenCount);

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) fn start(setup: Setup) -> io::Result<Vec<JoinHandle<()>>> {
    let context = Context {
        broker: setup.broker,
        options: setup.connection,
        clock: setup.clock,
        open: setup.open,
    };
    let moderated = setup.moderate_reads.then_some(setup.clock);
    if setup.loops == 1 {
        // It takes its connections itself: nobody need wake it up for them.
        let (listeners, stopped) = (setup.listeners, setup.stopped);
        let suspended = setup.suspended;
        let serve = move || serve_alone(listeners, context, stopped, suspended);
        return Ok(vec![spawn("loop-0".to_owned(), moderated, serve)?]);
    }
    let mut threads = Vec::new();
    let mut loops = Vec::new();
    for index in 0..setup.loops {
        let (sender, receiver) = mpsc::channel(HANDED_OVER_MAX);
        loops.push(sender);
        let (context, stopped) = (context.clone(), setup.stopped.clone());
        let timers = index == 0;
        threads.push(spawn(format!("loop-{index}"), moderated, move || {
            serve(receiver, context, timers, stopped)
        })?);
    }
    let (listeners, stopped) = (setup.listeners, setup.stopped);
    let suspended = setup.suspended;
    threads.push(spawn("acceptor".to_owned(), None, move || {
        accept_all(listeners, loops, stopped, suspended)
    })?);
    Ok(threads)
}

/// A thread with a single-threaded runtime that runs one future; with a clock its reads are moderated.
fn spawn<F>(
    name: String,
    moderated: Option<Clock>,
    make: impl FnOnce() -> F + Send + 'static,
) -> io::Result<JoinHandle<()>>
where
    F: Future<Output = ()>,
{
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    if let Some(clock) = moderated {
        runtime.on_thread_park(move || moderation::before_park(|| clock.now()));
    }
    let runtime = runtime.enable_all().build()?;
    std::thread::Builder::new().name(name).spawn(move || {
        runtime.block_on(make());
    })
}

/// Waits until the server is told to stop and everything was drained, which closes the channel.
async fn gone(mut stopped: watch::Receiver<bool>) {
    while stopped.changed().await.is_ok() {}
}

async fn serve(
    mut sockets: mpsc::Receiver<TcpStream>,
    context: Context,
    run_timers: bool,
    stopped: watch::Receiver<bool>,
) {
    if run_timers {
        tokio::spawn(timers::run(Arc::clone(&context.broker), context.clock));
    }
    let gone = gone(stopped);
    tokio::pin!(gone);
    loop {
        tokio::select! {
            Some(socket) = sockets.recv() => {
                // One that cannot be driven is dropped, and with it closed.
                if let Ok(socket) = tokio::net::TcpStream::from_std(socket) {
                    tokio::spawn(connection::run(socket, context.clone()));
                }
            }
            () = &mut gone => return,
        }
    }
}

async fn serve_alone(
    listeners: Vec<Listener>,
    context: Context,
    mut stopped: watch::Receiver<bool>,
    suspended: watch::Receiver<bool>,
) {
    tokio::spawn(timers::run(Arc::clone(&context.broker), context.clock));
    let accepting: Vec<_> = listeners
        .into_iter()
        .map(|listener| {
            let context = context.clone();
            tokio::spawn(accept(listener, suspended.clone(), async move |socket| {
                tokio::spawn(connection::run(socket, context.clone()));
                true
            }))
        })
        .collect();
    let _ = stopped.changed().await;
    accepting.iter().for_each(JoinTask::abort);
    gone(stopped).await;
}

async fn accept_all(
    listeners: Vec<Listener>,
    loops: Vec<mpsc::Sender<TcpStream>>,
    mut stopped: watch::Receiver<bool>,
    suspended: watch::Receiver<bool>,
) {
    for listener in listeners {
        let loops = loops.clone();
        let mut turn = 0;
        tokio::spawn(accept(listener, suspended.clone(), async move |socket| {
            let Ok(socket) = socket.into_std() else {
                return true;
            };
            turn += 1;
            loops[turn % loops.len()].send(socket).await.is_ok()
        }));
    }
    // The tasks, and with them the listeners, end with the runtime.
    let _ = stopped.changed().await;
}

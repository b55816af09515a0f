//! The AMQP front door: listeners, loops, one task per connection that drives its machine.
//!
//! N single-threaded loops; a connection lives on one of them. Only here is a clock read and a socket touched.
//! Nothing here decides anything about the protocol.

mod accept;
mod clock;
mod connection;
mod farewell;
mod listen;
mod loops;
mod moderation;
mod scratch;
mod timers;

use std::cell::RefCell;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::broker::Broker;
use crate::connection::ConnectionOptions;
use crate::model::ReplyCode;
pub use clock::Clock;
pub use listen::ListenError;
pub use listen::Listener;
pub use listen::open_all;
use loops::OpenCount;

/// What an operator can set about the AMQP front door.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// Number of loops.
    pub loops: usize,
    /// Whether loops nap to gather what comes message by message at a high rate.
    pub moderate_reads: bool,
    /// Limits and timers of each connection.
    pub connection: ConnectionOptions,
    /// How long connections have to close when the node stops.
    pub shutdown_timeout: Duration,
}

/// A front door that is open.
pub struct Server {
    addresses: Vec<SocketAddr>,
    broker: Arc<Broker>,
    stop: watch::Sender<bool>,
    suspend: watch::Sender<bool>,
    threads: Vec<std::thread::JoinHandle<()>>,
    shutdown_timeout: Duration,
    clock: Clock,
    open: OpenCount,
}

impl Server {
    /// Opens the listeners and starts the loops.
    pub fn start(broker: Arc<Broker>, options: ServerOptions) -> Result<Self, ListenError> {
        let listeners = open_all(&options.listen)?;
        let addresses = listeners.iter().map(|listener| listener.address).collect();
        let (stop, stopped) = watch::channel(false);
        let (suspend, suspended) = watch::channel(false);
        let clock = Clock::start();
        let open = OpenCount::default();
        let threads = loops::start(loops::Setup {
            broker: Arc::clone(&broker),
            listeners,
            loops: options.loops.max(1),
            moderate_reads: options.moderate_reads,
            connection: options.connection,
            stopped,
            suspended,
            clock,
            open: open.clone(),
        })
        .map_err(ListenError::Thread)?;
        Ok(Self {
            addresses,
            broker,
            stop,
            suspend,
            threads,
            shutdown_timeout: options.shutdown_timeout,
            clock,
            open,
        })
    }

    /// The addresses it listens on, with the ports it was given.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops listening, or listens again, soon. Connections stay.
    pub fn suspend(&self, suspended: bool) {
        self.suspend.send_replace(suspended);
    }

    /// Stops accepting, asks every client to close, waits for their answers until the deadline, joins the loops.
    /// Answers how many connections were cut because they did not close in time. Handshakes are cut at once.
    pub fn stop(self) -> usize {
        let _ = self.stop.send(true);
        let deadline = self.clock.now() + self.shutdown_timeout;
        let asked = RefCell::new(HashSet::new());
        loop {
            // Again each time, for handshakes may have come to their end meanwhile.
            self.broker.connections().close(
                |connection| asked.borrow_mut().insert(connection.id),
                ReplyCode::ConnectionForced,
                "broker forced connection closure with reason 'shutdown'",
            );
            if self.open.count() == 0 || self.clock.now() >= deadline {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let cut = self.open.count();
        drop(self.stop);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!(
                    "a loop ended in a panic; this is a fault of Leveret: please report it with the lines before this one"
                );
            }
        }
        cut
    }
}

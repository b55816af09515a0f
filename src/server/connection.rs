//! One task per connection: owns the socket, the machine and the session, and moves bytes and parcels between them.
//!
//! Each turn takes what the broker left (deliveries, commits), what the socket has, lets the machine decide, and writes
//! what came of it. Reading stops while the peer does not take our output, while the machine waits for the disk, and,
//! for a connection that publishes, while the store has more than it can write.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use std::time::Instant;

use tokio::net::TcpStream;
use tracing::Instrument;

use crate::broker::Session;
use crate::connection::Connection;
use crate::connection::Ending;
use crate::connection::Status;
use crate::model::Lsn;
use crate::model::Outbox;
use crate::model::outbox::Parcel;
use crate::server::loops::Context;
use crate::server::loops::OpenGuard;
use crate::server::scratch;
use crate::store::CommitWaiter;

/// Output that the peer has not taken; above it, nothing more is read from it.
const OUTPUT_BYTES_MAX: usize = 1024 * 1024;
/// Linger for bytes in flight after we have closed: a reset would discard the peer's copy of our last frames.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(1);

impl CommitWaiter for Outbox {
    fn committed(&self) {
        self.signal();
    }
}

/// Serves one connection until it ends.
pub(super) async fn run(socket: std::net::TcpStream, context: Context) {
    let Ok(peer) = socket.peer_addr() else { return };
    let socket = match prepare(socket) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::debug!(%peer, %error, "the connection was gone before it was served");
            return;
        }
    };
    let driver = Driver::new(socket, peer, context);
    let span = tracing::info_span!("connection", id = driver.session.id().0, %peer);
    driver.run().instrument(span).await;
}

fn prepare(socket: std::net::TcpStream) -> io::Result<TcpStream> {
    socket.set_nonblocking(true)?;
    socket.set_nodelay(true)?;
    TcpStream::from_std(socket)
}

/// Why a turn ended the connection.
enum End {
    /// The machine is done.
    Finished,
    /// The peer closed the socket, or it broke.
    Gone(Option<io::Error>),
}

struct Driver {
    socket: TcpStream,
    machine: Connection,
    session: Session,
    context: Context,
    /// Bytes received that the machine could not take yet.
    input: Vec<u8>,
    output: Vec<u8>,
    /// How much of `output` was written.
    written: usize,
    /// Payload bytes in `output` that count against the outbox.
    delivering: usize,
    parcels: Vec<Parcel>,
    notified: Lsn,
    /// Once the connection was open: the server that stops waits for it.
    opened: Option<OpenGuard>,
}

impl Driver {
    fn new(socket: TcpStream, peer: SocketAddr, context: Context) -> Self {
        let session = Session::new(Arc::clone(&context.broker), peer);
        let mut options = context.options.clone();
        options.seed = rand::random();
        let machine = Connection::new(options, context.clock.now());
        Self {
            socket,
            machine,
            session,
            context,
            input: Vec::new(),
            output: Vec::new(),
            written: 0,
            delivering: 0,
            parcels: Vec::new(),
            notified: Lsn::NONE,
            opened: None,
        }
    }

    async fn run(mut self) {
        tracing::debug!("accepted");
        let mut timer = Box::pin(tokio::time::sleep_until(self.context.clock.now().into()));
        let end = loop {
            if let Some(end) = self.turn() {
                break end;
            }
            self.arm(&mut timer);
            let (wants_input, wants_output) = (self.wants_input(), !self.output.is_empty());
            let takes_parcels = self.output.len() < OUTPUT_BYTES_MAX;
            let outbox = Arc::clone(self.session.outbox());
            let read = tokio::select! {
                ready = self.socket.readable(), if wants_input => ready.is_ok(),
                _ = self.socket.writable(), if wants_output => false,
                () = signalled(&outbox), if takes_parcels => false,
                () = &mut timer => {
                    self.tick();
                    false
                }
            };
            if read {
                if let Some(end) = self.read() {
                    break end;
                }
                // What other tasks have to do meanwhile makes the next batch.
                tokio::task::yield_now().await;
            }
        };
        self.finish(end).await;
    }

    /// Moves everything that can be moved without waiting.
    fn turn(&mut self) -> Option<End> {
        let now = self.context.clock.now();
        self.session.set_now(self.context.clock.millis(now));
        if self.output.capacity() == 0 {
            self.output = scratch::take_write_buffer();
        }
        loop {
            let took = self.take_parcels(now);
            self.machine
                .committed(self.context.broker.durable(), &mut self.output);
            self.feed_rest(now);
            if let Err(error) = self.write(now) {
                return Some(End::Gone(Some(error)));
            }
            // A cancel waits for what the outbox held when it came.
            let again = took && self.machine.wants_parcels();
            if self.notify_commit() && !again {
                break;
            }
        }
        if self.output.is_empty() {
            scratch::give_write_buffer(std::mem::take(&mut self.output));
        }
        self.log_opened();
        match self.machine.status() {
            Status::Finished { .. } => Some(End::Finished),
            Status::Handshaking | Status::Open | Status::Closing => None,
        }
    }

    /// Answers whether it looked into the outbox: not while the peer is slow, for then deliveries stay there, under a
    /// bound that queues respect.
    fn take_parcels(&mut self, now: Instant) -> bool {
        if self.output.len() >= OUTPUT_BYTES_MAX {
            return false;
        }
        self.session.take_parcels(&mut self.parcels);
        if !self.parcels.is_empty() || self.machine.wants_parcels() {
            self.delivering +=
                self.machine
                    .deliver(&mut self.parcels, now, &mut self.session, &mut self.output);
            self.parcels.clear();
        }
        true
    }

    /// Lets the machine take input that it could not take before.
    fn feed_rest(&mut self, now: Instant) {
        if self.input.is_empty() || self.output.len() >= OUTPUT_BYTES_MAX {
            return;
        }
        let input = std::mem::take(&mut self.input);
        let taken = self
            .machine
            .receive(&input, now, &mut self.session, &mut self.output);
        self.keep(input, taken);
    }

    fn keep(&mut self, mut input: Vec<u8>, taken: usize) {
        if taken < input.len() {
            input.drain(..taken);
            self.input = input;
        }
    }

    /// Reads once and lets the machine take it, without a copy where it takes all.
    fn read(&mut self) -> Option<End> {
        let now = self.context.clock.now();
        self.session.set_now(self.context.clock.millis(now));
        let Self {
            socket,
            machine,
            session,
            input,
            output,
            ..
        } = self;
        let result = scratch::with_read_buffer(|buffer| {
            let count = socket.try_read(buffer)?;
            let received = &buffer[..count];
            if input.is_empty() {
                let taken = machine.receive(received, now, session, output);
                input.extend_from_slice(&received[taken..]);
            } else {
                input.extend_from_slice(received);
                let taken = machine.receive(input, now, session, output);
                input.drain(..taken);
            }
            if input.is_empty() {
                *input = Vec::new();
            }
            Ok::<usize, io::Error>(count)
        });
        match result {
            Ok(0) => Some(End::Gone(None)),
            Ok(_) => None,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => Some(End::Gone(Some(error))),
        }
    }

    fn write(&mut self, now: Instant) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        while self.written < self.output.len() {
            match self.socket.try_write(&self.output[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            self.machine.sent(now);
        }
        if self.written == self.output.len() {
            self.output.clear();
            self.written = 0;
            let delivered = std::mem::take(&mut self.delivering);
            if delivered > 0 {
                self.session.delivered(delivered);
            }
        } else if self.written >= OUTPUT_BYTES_MAX {
            self.output.drain(..self.written);
            self.written = 0;
        }
        Ok(())
    }

    /// Asks to be woken by the commit that the machine waits for; false when that has happened already.
    fn notify_commit(&mut self) -> bool {
        let Some(awaited) = self.machine.awaits() else {
            return true;
        };
        if awaited <= self.context.broker.durable() {
            return false;
        }
        if awaited > self.notified {
            self.notified = awaited;
            self.context
                .broker
                .notify_commit(awaited, Arc::clone(self.session.outbox()) as _);
        }
        true
    }

    fn wants_input(&mut self) -> bool {
        if !self.machine.wants_input() || self.output.len() >= OUTPUT_BYTES_MAX {
            return false;
        }
        let store = self.context.broker.store();
        if self.session.publishes() && store.congested() {
            store.notify_uncongested(Arc::clone(self.session.outbox()) as _);
            // It may have caught up between the question and the request.
            return !store.congested();
        }
        true
    }

    fn tick(&mut self) {
        let now = self.context.clock.now();
        self.session.set_now(self.context.clock.millis(now));
        self.machine.tick(now, &mut self.session, &mut self.output);
    }

    /// The timer may fire early, never late: deadlines mostly move away, and moving it costs.
    fn arm(&self, timer: &mut std::pin::Pin<Box<tokio::time::Sleep>>) {
        let Some(deadline) = self.machine.next_deadline() else {
            if timer.is_elapsed() {
                let far = self.context.clock.now() + Duration::from_secs(3600);
                timer.as_mut().reset(far.into());
            }
            return;
        };
        if timer.is_elapsed() || deadline < timer.deadline().into_std() {
            timer.as_mut().reset(deadline.into());
        }
    }

    fn log_opened(&mut self) {
        if self.opened.is_none() && matches!(self.machine.status(), Status::Open) {
            self.opened = Some(self.context.open.enter());
            tracing::info!(
                user = self.session.user_name(),
                vhost = self.session.vhost_name(),
                name = self.session.client_name(),
                "connection opened"
            );
        }
    }

    /// Returns everything to the broker, then lets the socket go.
    async fn finish(mut self, end: End) {
        self.machine.abandon(&mut self.session);
        let Self {
            socket,
            session,
            machine,
            context,
            output,
            written,
            opened,
            ..
        } = self;
        drop(session);
        let why = machine.ending().cloned();
        match (&end, &why) {
            (End::Gone(error), _) if opened.is_some() => {
                let error = error.as_ref().map(ToString::to_string);
                tracing::warn!(
                    error,
                    "client closed the socket without closing the connection"
                );
            }
            (End::Gone(_), _) => tracing::debug!("the peer left during the handshake"),
            (End::Finished, Some(Ending::ClientClosed(..)) | None) => {
                tracing::info!("connection closed");
            }
            (End::Finished, Some(why)) => tracing::warn!(?why, "connection ended"),
        }
        let (End::Finished, Status::Finished { linger }) = (end, machine.status()) else {
            return;
        };
        let lingers = linger.max(DRAIN_TIME_MAX);
        let rest = Rest {
            socket,
            output,
            written,
            until: context.clock.now() + lingers,
        };
        drop((machine, context));
        rest.see_off(linger.is_zero(), opened).await;
    }
}

async fn signalled(outbox: &Outbox) {
    poll_fn(|cx| match outbox.poll_signalled(cx.waker()) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

/// A connection that is over but for its socket.
struct Rest {
    socket: TcpStream,
    output: Vec<u8>,
    written: usize,
    /// The socket is dropped then, whatever the peer does.
    until: Instant,
}

impl Rest {
    /// Writes what is left and discards what the peer still sends until it closes, or the time is over: closing with
    /// unread bytes would reset the connection and could take our last frames with it.
    ///
    /// A client that was sent `close-ok` closes first, as it does with RabbitMQ: some report an end of stream that
    /// overtakes their handling of `close-ok` as an error. A refused login sees no end of stream before the pause is
    /// over.
    async fn see_off(mut self, hang_up: bool, opened: Option<OpenGuard>) {
        let until = self.until.into();
        let seen_off = async {
            let mut hears = true;
            while self.written < self.output.len() {
                tokio::select! {
                    _ = self.socket.writable() => self.write()?,
                    _ = self.socket.readable(), if hears => hears = self.discard()?,
                }
            }
            // The peer has what we had to say; how long it takes to close is its own affair.
            drop(opened);
            self.output = Vec::new();
            if hang_up {
                socket2::SockRef::from(&self.socket).shutdown(std::net::Shutdown::Write)?;
            }
            while hears {
                self.socket.readable().await?;
                hears = self.discard()?;
            }
            Ok::<(), io::Error>(())
        };
        let _ = tokio::time::timeout_at(until, seen_off).await;
    }

    fn write(&mut self) -> io::Result<()> {
        match self.socket.try_write(&self.output[self.written..]) {
            Ok(count) => self.written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Whether the peer may send more.
    fn discard(&self) -> io::Result<bool> {
        match self.socket.try_read(&mut [0; 4096]) {
            Ok(count) => Ok(count > 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }
}

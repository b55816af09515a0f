//! One task per connection: owns the socket, the machine and the session, and moves bytes and parcels between them.
//!
//! Each turn takes what the broker left (deliveries, commits), what the socket has, lets the machine decide, and writes
//! what came of it. Reading stops while the machine wants nothing (the peer takes none of a lot of output, or a reply
//! waits for the disk) and, for a connection that publishes, while the store has more than it can write.

use std::future::poll_fn;
use std::io;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use std::time::Instant;

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tracing::Instrument;
use tracing::field;

use crate::broker::LastLine;
use crate::broker::Session;
use crate::connection::Connection;
use crate::connection::Ending;
use crate::connection::OUTPUT_BYTES_MAX;
use crate::connection::Status;
use crate::model::Lsn;
use crate::model::Outbox;
use crate::model::outbox::Parcel;
use crate::protocol::output::Output;
use crate::server::farewell::DRAIN_TIME_MAX;
use crate::server::farewell::Farewell;
use crate::server::loops::Context;
use crate::server::loops::OpenGuard;
use crate::server::moderation;
use crate::server::scratch;
use crate::store::CommitWaiter;

/// Output that the peer has not taken; above it, deliveries stay in the outbox, under a bound that queues respect.
///
/// What the peer sends is still read, up to the machine's own bound: it may be publishing before it consumes.
const DELIVER_BELOW_BYTES: usize = 1024 * 1024;

impl CommitWaiter for Outbox {
    fn committed(&self) {
        self.signal();
    }
}

/// Serves one connection until it ends.
pub(super) async fn run(socket: TcpStream, context: Context) {
    let Ok(peer) = socket.peer_addr() else { return };
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%peer, %error, "the connection was gone before it was served");
        return;
    }
    // On the heap, for a future holds what it moves into another one twice.
    let driver = Box::new(Driver::new(socket, peer, context));
    let span = tracing::info_span!(
        "connection",
        id = driver.ends.session.id().0,
        %peer,
        user = field::Empty,
        vhost = field::Empty,
        client_name = field::Empty
    );
    driver.run().instrument(span).await;
}

/// Why a turn ended the connection.
enum End {
    /// The machine is done.
    Finished,
    /// The peer closed the socket, or it broke.
    Gone(Option<io::Error>),
}

/// Whether a read took all that was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    All,
    More,
}

/// Reads once. What comes short has taken all: the socket is not asked again before it tells of more.
fn try_read(socket: &TcpStream, buffer: &mut [u8]) -> io::Result<(usize, Read)> {
    let mut count = None;
    let all = socket.try_io(Interest::READABLE, || {
        let read = (&*SockRef::from(socket)).read(buffer)?;
        count = Some(read);
        if read > 0 && read < buffer.len() {
            // Only to tell tokio that there is no more.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(())
    });
    match (count, all) {
        (Some(count), Ok(())) => Ok((count, Read::More)),
        (Some(count), Err(_)) => Ok((count, Read::All)),
        (None, Err(error)) => Err(error),
        (None, Ok(())) => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// Writes once.
pub(super) fn try_write(socket: &TcpStream, output: &Output) -> io::Result<usize> {
    match output.single() {
        Some(octets) => socket.try_write(octets),
        None => output.with_slices(|slices| socket.try_write_vectored(slices)),
    }
}

/// The machine and its host. However the task ends, also by a panic, what the machine holds goes back to the queues.
struct Ends {
    machine: Connection,
    session: Session,
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.machine.abandon(&mut self.session);
    }
}

struct Driver {
    socket: TcpStream,
    ends: Ends,
    context: Context,
    /// Bytes received that the machine did not take yet.
    input: Vec<u8>,
    /// There are whole frames in `input`, and the machine must wait before it takes them.
    waits: bool,
    /// The socket is read.
    reads: bool,
    /// It is not, for queues are about to be emptied.
    paused_until: Option<u64>,
    output: Output,
    /// Payload bytes in `output` that count against the outbox.
    delivering: usize,
    parcels: Vec<Parcel>,
    notified: Lsn,
    streamed: moderation::Streamed,
    /// Once the connection was open: the server that stops waits for it.
    opened: Option<OpenGuard>,
}

impl Driver {
    fn new(socket: TcpStream, peer: SocketAddr, context: Context) -> Self {
        let mut session = Session::new(Arc::clone(&context.broker), peer);
        if let Ok(local) = socket.local_addr() {
            session.set_local(local);
        }
        let mut options = context.options.clone();
        options.seed = rand::random();
        options.confirm_latency = context.broker.confirm_latency_of(session.id());
        let machine = Connection::new(options, context.clock.now());
        Self {
            socket,
            ends: Ends { machine, session },
            context,
            input: Vec::new(),
            waits: false,
            reads: false,
            paused_until: None,
            output: Output::default(),
            delivering: 0,
            parcels: Vec::new(),
            notified: Lsn::NONE,
            streamed: moderation::Streamed::default(),
            opened: None,
        }
    }

    async fn run(mut self: Box<Self>) {
        let mut timer = Box::pin(tokio::time::sleep_until(self.context.clock.now().into()));
        let end = loop {
            if let Some(end) = self.turn() {
                break end;
            }
            self.reads = self.wants_input();
            self.arm(&mut timer);
            let outbox = Arc::clone(self.ends.session.outbox());
            let read = tokio::select! {
                ready = self.socket.readable(), if self.reads => ready.is_ok(),
                _ = self.socket.writable(), if !self.output.is_empty() => false,
                () = signalled(&outbox) => false,
                () = &mut timer => {
                    self.tick();
                    false
                }
            };
            if read {
                match self.read() {
                    Ok(Read::All) => {}
                    // What other tasks have to do meanwhile makes the next batch.
                    Ok(Read::More) => tokio::task::yield_now().await,
                    Err(end) => break end,
                }
            }
        };
        if let Some((farewell, opened)) = self.finish(end) {
            // Few take part in it at a time, and all would hold room for it.
            Box::pin(farewell.run(opened)).await;
        }
    }

    /// Moves everything that can be moved without waiting.
    fn turn(&mut self) -> Option<End> {
        let now = self.context.clock.now();
        self.ends.session.set_now(self.context.clock.millis(now));
        if !self.output.has_buffer() {
            self.output = Output::with_buffer(scratch::take_write_buffer());
        }
        loop {
            let took = self.take_parcels(now);
            self.ends
                .machine
                .committed(self.context.broker.durable(), now, &mut self.output);
            self.feed_rest(now);
            if let Err(error) = self.write(now) {
                return Some(End::Gone(Some(error)));
            }
            // A cancel waits for what the outbox held when it came, a clogged machine for room in the output.
            let again = took && self.ends.machine.wants_parcels() || self.may_go_on();
            // Nothing else would call for what was left in the outbox.
            let again = again || !took && self.output.len() < DELIVER_BELOW_BYTES;
            if self.notify_commit() && !again {
                break;
            }
        }
        if self.output.is_empty() {
            scratch::give_write_buffer(self.output.take_buffer());
        }
        self.log_opened();
        match self.ends.machine.status() {
            Status::Finished { .. } => Some(End::Finished),
            Status::Handshaking | Status::Open | Status::Closing => None,
        }
    }

    /// Answers whether it looked into the outbox: not while the peer is slow.
    fn take_parcels(&mut self, now: Instant) -> bool {
        if self.output.len() >= DELIVER_BELOW_BYTES {
            // It may be the store that called.
            self.ends.session.outbox().hear();
            return false;
        }
        self.ends.session.take_parcels(&mut self.parcels);
        if !self.parcels.is_empty() || self.ends.machine.wants_parcels() {
            self.delivering += self.ends.machine.deliver(
                &mut self.parcels,
                now,
                &mut self.ends.session,
                &mut self.output,
            );
            self.parcels.clear();
        }
        true
    }

    /// Lets the machine take input that it could not take before.
    fn feed_rest(&mut self, now: Instant) {
        if self.input.is_empty() {
            return;
        }
        let mut input = std::mem::take(&mut self.input);
        let taken =
            self.ends
                .machine
                .receive(&input, now, &mut self.ends.session, &mut self.output);
        if taken < input.len() {
            input.drain(..taken);
            self.input = input;
        }
        self.waits = !self.ends.machine.wants_input();
    }

    /// Whether the machine may take more of what it left behind, as it could not when it did.
    fn may_go_on(&self) -> bool {
        self.waits
            && !self.input.is_empty()
            && self.ends.machine.wants_input()
            && self.output.len() < OUTPUT_BYTES_MAX
    }

    /// Reads once and lets the machine take it, without a copy where it takes all.
    fn read(&mut self) -> Result<Read, End> {
        let now = self.context.clock.now();
        self.ends.session.set_now(self.context.clock.millis(now));
        let Self {
            socket,
            ends: Ends { machine, session },
            input,
            waits,
            output,
            ..
        } = self;
        let most = scratch::read_bytes(machine.feels_alarm());
        let mut read = Read::All;
        let mut take = |buffer: &mut [u8]| {
            let (count, what) = try_read(socket, buffer)?;
            read = what;
            Ok::<usize, io::Error>(count)
        };
        let result = scratch::with_read_buffer(|buffer| {
            // The beginning of a frame, to which the rest is read.
            let left = input.len();
            let count = if left <= scratch::LEFT_BYTES_MAX {
                buffer[..left].copy_from_slice(input);
                let end = buffer.len().min(left + most);
                let count = take(&mut buffer[left..end])?;
                note_received(count, session);
                let received = &buffer[..left + count];
                let taken = machine.receive(received, now, session, output);
                input.clear();
                input.extend_from_slice(&received[taken..]);
                count
            } else {
                let count = take(&mut buffer[..most])?;
                note_received(count, session);
                input.extend_from_slice(&buffer[..count]);
                let taken = machine.receive(input, now, session, output);
                input.drain(..taken);
                count
            };
            if input.is_empty() {
                *input = Vec::new();
            }
            *waits = !machine.wants_input();
            Ok::<usize, io::Error>(count)
        });
        if let Ok(count) = &result {
            moderation::note_read(*count, self.ends.machine.said(), &mut self.streamed);
        }
        match result {
            Ok(0) => Err(End::Gone(None)),
            Ok(_) => Ok(read),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Read::All),
            Err(error) => Err(End::Gone(Some(error))),
        }
    }

    fn write(&mut self, now: Instant) -> io::Result<()> {
        let stats = self.ends.session.stats();
        while !self.output.is_empty() {
            match try_write(&self.socket, &self.output) {
                Ok(count) => {
                    self.output.advance(count);
                    stats.sent_bytes.add(count as u64);
                    stats.sent_packets.add(1);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            self.ends.machine.sent(now);
        }
        stats.pending_bytes.set(self.output.len() as u64);
        if self.output.is_empty() {
            // Also when nothing was written: deliveries that no channel took went back to their queues.
            let delivered = std::mem::take(&mut self.delivering);
            if delivered > 0 {
                self.ends.session.delivered(delivered);
            }
        } else {
            self.output.compact(DELIVER_BELOW_BYTES);
        }
        Ok(())
    }

    /// Asks to be woken by the commit that the machine waits for; false when that has happened already.
    fn notify_commit(&mut self) -> bool {
        let Some(awaited) = self.ends.machine.awaits() else {
            return true;
        };
        if awaited <= self.context.broker.durable() {
            return false;
        }
        if awaited > self.notified {
            self.notified = awaited;
            self.context
                .broker
                .notify_commit(awaited, Arc::clone(self.ends.session.outbox()) as _);
        }
        true
    }

    fn wants_input(&mut self) -> bool {
        let blocked = self.ends.machine.is_blocked();
        self.ends.session.stats().blocked.set(u64::from(blocked));
        // Not on top of frames that wait: a peer that sends much and reads little must not fill our memory with them.
        let frames_wait = self.waits && !self.input.is_empty();
        if frames_wait || !self.ends.machine.wants_input() {
            return false;
        }
        self.paused_until = self.ends.session.paused();
        if self.paused_until.is_some() {
            return false;
        }
        let store = self.context.broker.store();
        let behind = self.ends.session.publishes() && store.congested();
        let stats = self.ends.session.stats();
        stats.held_back.set(u64::from(behind));
        if behind {
            store.notify_uncongested(Arc::clone(self.ends.session.outbox()) as _);
            // It may have caught up between the question and the request.
            return !store.congested();
        }
        true
    }

    fn tick(&mut self) {
        let now = self.context.clock.now();
        self.ends.session.set_now(self.context.clock.millis(now));
        if !self.reads {
            self.ends.machine.not_reading();
        }
        self.ends
            .machine
            .tick(now, &mut self.ends.session, &mut self.output);
    }

    /// The timer may fire early, never late: deadlines mostly move away, and moving it costs.
    fn arm(&self, timer: &mut std::pin::Pin<Box<tokio::time::Sleep>>) {
        let paused_until = self
            .paused_until
            .map(|until| self.context.clock.instant(until));
        let deadline = self.ends.machine.next_deadline();
        let Some(deadline) = deadline.into_iter().chain(paused_until).min() else {
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
        if self.opened.is_none() && matches!(self.ends.machine.status(), Status::Open) {
            self.opened = Some(self.context.open.enter());
            self.ends.session.log_opened();
        }
    }

    /// Returns everything to the broker; what is left is to let the socket go.
    fn finish(mut self: Box<Self>, end: End) -> Option<(Farewell, Option<OpenGuard>)> {
        // Before it is abandoned, which ends the pause.
        let status = self.ends.machine.status();
        self.ends.machine.abandon(&mut self.ends.session);
        let Self {
            socket,
            ends,
            context,
            output,
            opened,
            ..
        } = *self;
        log_end(&end, ends.machine.ending(), &ends.session);
        drop(ends);
        let (End::Finished, Status::Finished { linger }) = (end, status) else {
            return None;
        };
        let farewell = Farewell {
            socket,
            output,
            hang_up: linger.is_zero(),
            until: context.clock.now() + linger.max(DRAIN_TIME_MAX),
        };
        drop(context);
        Some((farewell, opened))
    }
}

fn note_received(count: usize, session: &Session) {
    if count > 0 {
        let stats = session.stats();
        // Who only looks whether somebody listens is not worth a line.
        if stats.received_packets.get() == 0 {
            session.log_accepted();
        }
        stats.received_bytes.add(count as u64);
        stats.received_packets.add(1);
    }
}

/// The connection's last line in the log.
fn log_end(end: &End, ending: Option<&Ending>, session: &Session) {
    let nothing_came = session.stats().received_packets.get() == 0;
    let last = match (end, ending) {
        (End::Gone(_), _) if nothing_came => LastLine::NothingCame,
        (End::Gone(error), Some(Ending::Abandoned) | None) => LastLine::Abrupt(error.as_ref()),
        (_, Some(Ending::MissedHeartbeats)) => LastLine::MissedHeartbeats(session.heartbeat()),
        (_, Some(Ending::HandshakeTimeout)) => LastLine::Refused("handshake timeout"),
        (_, Some(Ending::WrongProtocol(what))) => LastLine::Refused(what),
        (
            _,
            Some(
                Ending::LoginRefused
                | Ending::Failed(_)
                | Ending::ClientClosed(..)
                | Ending::Abandoned,
            )
            | None,
        ) => LastLine::Closed,
    };
    session.log_end(last);
}

async fn signalled(outbox: &Outbox) {
    poll_fn(|cx| match outbox.poll_signalled(cx.waker()) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

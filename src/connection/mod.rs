//! The sans-IO connection machine: handshake, heartbeat, limits, close; it owns its channels.
//!
//! A plain value: octets and times go in, octets come out, and what needs the broker is asked of a [`Host`]. No socket,
//! no clock, no task. It never sees an exchange's bindings or a queue's messages, only names and what it delivered.
//!
//! ```text
//!  Header ── AMQP 0 0 9 1 ──► Starting ── start-ok ──► Tuning ── tune-ok ──► Opening ── open ──► Open
//!    │                           │  └─ login refused ──────┐                    │                 │
//!    │ other header              │ error                   ▼                    │ error           │ error, force
//!    ▼                           ▼                       Closing ◄──────────────┴─────────────────┤
//!  Finished ◄─────────────────── Finished ◄─ close-ok ─────┘                                      │ connection.close
//!  (its header sent)             (silent pause)                  Finished ◄─ close-ok sent ── PeerClosing
//! ```
//!
//! How a server drives it, in a loop: read into a buffer while [`Connection::wants_input`]; [`Connection::receive`];
//! swap the outbox out, *after* that, and [`Connection::deliver`]; tell it of commits ([`Connection::committed`]) and of
//! deadlines ([`Connection::tick`]); write; [`Connection::sent`]; until [`Connection::status`] is finished.
//! `receive` may leave whole frames behind: call it again after `committed`, `deliver` or `sent`.

mod alarm;
mod batch;
mod channel;
mod close;
mod consumer_tags;
mod deliveries;
mod frames;
mod handshake;
mod heartbeat;
pub mod host;
mod methods;
mod options;
mod patience;
mod reply_text;
mod turn;

use std::collections::BTreeSet;
use std::time::Duration;
use std::time::Instant;

use amq_protocol::types::FieldTable;

use crate::connection::alarm::Alarm;
use crate::connection::batch::Batch;
use crate::connection::channel::Channel;
use crate::connection::consumer_tags::ConsumerTags;
use crate::connection::handshake::Client;
use crate::connection::heartbeat::Beat;
use crate::connection::heartbeat::Heartbeats;
use crate::connection::host::Host;
use crate::connection::patience::Patience;
use crate::connection::turn::Hold;
use crate::connection::turn::Shared;
use crate::connection::turn::Turn;
use crate::model::AmqpError;
use crate::model::ChannelId;
use crate::model::Lsn;
use crate::model::VhostName;
use crate::model::outbox::Parcel;
use crate::protocol::encode;
use crate::protocol::envelope::FRAME_HEAD_BYTES;
use crate::protocol::output::Output;
use crate::protocol::output::Sink as _;

pub use crate::connection::options::ConnectionOptions;

/// Nothing more is taken from the peer while this much output waits to be written: it is not reading.
///
/// Deliveries do not count on this bound but on the outbox's, so that a client that publishes and consumes on one
/// thread never meets it.
pub const OUTPUT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Where a connection stands, as far as its server must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not open yet.
    Handshaking,
    /// In use.
    Open,
    /// One side has closed it and the other has not answered yet.
    Closing,
    /// Nothing more will be said. Write what is left, read and discard until the peer closes the socket, and drop it
    /// after `linger` at the latest.
    Finished {
        /// How long to give the peer. Zero: drop it as soon as the output is written.
        linger: Duration,
    },
}

/// Why a connection ended; for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The peer speaks something else; this seems to be it.
    WrongProtocol(&'static str),
    /// Login refused; the reason was logged by whoever refused.
    LoginRefused,
    /// An error that was reported to the client, or, before login, silenced.
    Failed(AmqpError),
    /// Not open after `handshake_timeout`.
    HandshakeTimeout,
    /// No sign of life for two heartbeat intervals.
    MissedHeartbeats,
    /// The client closed it, with this code and text.
    ClientClosed(u16, String),
    /// The socket went away without `connection.close`.
    Abandoned,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Header,
    Starting,
    Tuning,
    Opening,
    Open,
    /// `connection.close` was sent.
    Closing {
        until: Instant,
    },
    /// `connection.close` was received; `close-ok` waits for the disk.
    PeerClosing,
    Finished {
        linger: Duration,
    },
}

impl Phase {
    /// RabbitMQ's name for it.
    fn name(self) -> &'static str {
        match self {
            Self::Header | Self::Starting => "starting",
            Self::Tuning => "tuning",
            Self::Opening => "opening",
            Self::Open => "running",
            Self::Closing { .. } | Self::PeerClosing => "closing",
            Self::Finished { .. } => "closed",
        }
    }
}

/// One client connection. See the module's documentation.
pub struct Connection {
    phase: Phase,
    shared: Shared,
    channels: foldhash::HashMap<ChannelId, Channel>,
    batch: Batch,
    /// Channels with confirms that wait for the disk.
    unconfirmed: BTreeSet<ChannelId>,
    client: Client,
    alarm: Alarm,
    heartbeats: Heartbeats,
    handshake_until: Instant,
    /// The broker has an open connection that it must be told the end of.
    host_open: bool,
    /// Octets the last `receive` left behind, so that they do not count as life again.
    left_behind: usize,
    needed: usize,
    /// The last `receive` took something else than acknowledgements and heartbeats.
    said: bool,
    /// `receive` stopped at [`OUTPUT_BYTES_MAX`].
    clogged: bool,
    ending: Option<Ending>,
}

impl Connection {
    /// A connection whose socket was accepted at `now`; it waits for the protocol header.
    pub fn new(options: ConnectionOptions, now: Instant) -> Self {
        Self {
            phase: Phase::Header,
            handshake_until: now + options.handshake_timeout,
            shared: Shared {
                frame_max: options.initial_frame_max,
                tags: ConsumerTags::new(options.seed),
                options,
                durable: Lsn::NONE,
                now,
                hold: None,
                patience: Patience::new(now),
            },
            channels: foldhash::HashMap::default(),
            batch: Batch::default(),
            unconfirmed: BTreeSet::new(),
            client: Client::default(),
            alarm: Alarm::default(),
            heartbeats: Heartbeats::default(),
            host_open: false,
            left_behind: 0,
            needed: FRAME_HEAD_BYTES + 1,
            said: false,
            clogged: false,
            ending: None,
        }
    }

    /// Takes the protocol header and complete frames from `input`; returns how many octets it took.
    ///
    /// It stops before an incomplete frame, and early when it must wait: see [`Connection::wants_input`]. Output is
    /// appended to `out`.
    pub fn receive(
        &mut self,
        input: &[u8],
        now: Instant,
        host: &mut dyn Host,
        out: &mut Output,
    ) -> usize {
        if input.len() > self.left_behind {
            self.heartbeats.heard();
        }
        self.shared.now = now;
        self.shared.patience.turn(now);
        let turn = &mut Turn { host, out, now };
        let mut taken = 0;
        self.clogged = false;
        self.said = false;
        while taken < input.len() && self.takes_frames() {
            if turn.out.len() >= OUTPUT_BYTES_MAX {
                self.clogged = true;
                break;
            }
            match self.step(&input[taken..], turn) {
                0 => break,
                octets => taken += octets,
            }
        }
        self.flush(turn);
        self.left_behind = input.len() - taken;
        taken
    }

    /// Octets that must be in the buffer before [`Connection::receive`] can go on: those of the frame it stopped at.
    pub fn needed(&self) -> usize {
        self.needed
    }

    /// Whether the last [`Connection::receive`] took anything that the client may want an answer to: not only
    /// acknowledgements and heartbeats.
    pub fn said(&self) -> bool {
        self.said
    }

    /// Whether to read the socket and call [`Connection::receive`]. Not while a reply waits for the disk, while the
    /// outbox must be looked at first, while an alarm holds a publisher back, or while the peer does not read.
    pub fn wants_input(&self) -> bool {
        self.takes_frames() && !self.clogged
    }

    fn takes_frames(&self) -> bool {
        match self.phase {
            Phase::Open => self.shared.hold.is_none() && !self.alarm.blocks(),
            Phase::PeerClosing => false,
            Phase::Header
            | Phase::Starting
            | Phase::Tuning
            | Phase::Opening
            | Phase::Closing { .. }
            | Phase::Finished { .. } => true,
        }
    }

    /// Whether to call [`Connection::deliver`] with what the outbox holds now, even if that is nothing.
    pub fn wants_parcels(&self) -> bool {
        matches!(self.shared.hold, Some(Hold::Cancel { .. }))
    }

    /// Takes parcels out of the outbox: deliveries are written and tracked until they are acknowledged.
    ///
    /// Returns the bytes of messages to release from the outbox once the output is written. Deliveries for channels and
    /// consumers that are gone go back through the host.
    pub fn deliver(
        &mut self,
        parcels: &mut Vec<Parcel>,
        now: Instant,
        host: &mut dyn Host,
        out: &mut Output,
    ) -> usize {
        self.shared.now = now;
        self.shared.patience.turn(now);
        self.take_parcels(parcels, &mut Turn { host, out, now })
    }

    /// The store is durable up to `durable`: replies and confirms that waited for it go out.
    pub fn committed(&mut self, durable: Lsn, now: Instant, out: &mut Output) {
        self.shared.now = now;
        self.shared.durable = self.shared.durable.max(durable);
        if let Some(Hold::Commit { lsn, .. }) = self.shared.hold
            && self.shared.is_durable(lsn)
            && let Some(Hold::Commit { mut frames, .. }) = self.shared.hold.take()
        {
            out.octets().append(&mut frames);
            if self.phase == Phase::PeerClosing {
                self.finish(self.close_timeout());
            }
        }
        self.unconfirmed.retain(|id| {
            self.channels
                .get_mut(id)
                .and_then(|channel| channel.send_confirms(&self.shared, out.octets()))
                .is_some()
        });
    }

    /// The lowest number that something waits for. Ask the store to tell when it is reached.
    pub fn awaits(&self) -> Option<Lsn> {
        let held = match self.shared.hold {
            Some(Hold::Commit { lsn, .. }) => Some(lsn),
            Some(Hold::Cancel { .. }) | None => None,
        };
        let unconfirmed = self.unconfirmed.iter().filter_map(|id| {
            let channel = self.channels.get(id)?;
            channel.awaits()
        });
        unconfirmed.chain(held).min()
    }

    /// Does what is due at `now`.
    pub fn tick(&mut self, now: Instant, host: &mut dyn Host, out: &mut Output) {
        self.shared.now = now;
        let turn = &mut Turn { host, out, now };
        match self.phase {
            Phase::Header | Phase::Starting | Phase::Tuning | Phase::Opening => {
                if now >= self.handshake_until {
                    self.end(Ending::HandshakeTimeout);
                    self.finish(Duration::ZERO);
                }
            }
            Phase::Closing { until } => {
                if now >= until {
                    self.finish(Duration::ZERO);
                }
            }
            Phase::Open | Phase::PeerClosing | Phase::Finished { .. } => {}
        }
        self.check_patience(turn);
        let listening = self.wants_input();
        match self.heartbeats.tick(now, listening) {
            Beat::Rest => {}
            Beat::Send => encode::heartbeat(turn.out.octets()),
            Beat::Dead => {
                self.end(Ending::MissedHeartbeats);
                self.give_everything_back(turn.host);
                self.finish(Duration::ZERO);
            }
        }
    }

    /// The server does not read the socket now, for reasons of its own: until the next [`Connection::tick`], silence
    /// proves nothing.
    pub fn not_reading(&mut self) {
        self.heartbeats.heard();
    }

    /// When to call [`Connection::tick`].
    pub fn next_deadline(&self) -> Option<Instant> {
        let own = match self.phase {
            Phase::Header | Phase::Starting | Phase::Tuning | Phase::Opening => {
                Some(self.handshake_until)
            }
            Phase::Closing { until } => Some(until),
            Phase::Open | Phase::PeerClosing | Phase::Finished { .. } => None,
        };
        let others = [self.heartbeats.deadline(), self.shared.patience.deadline()];
        own.into_iter().chain(others.into_iter().flatten()).min()
    }

    /// Output was written to the socket: heartbeats count from it.
    pub fn sent(&mut self, now: Instant) {
        self.heartbeats.sent(now);
        self.clogged = false;
    }

    /// The socket is gone, or the server drops it: everything goes back through the host, unless it went before.
    pub fn abandon(&mut self, host: &mut dyn Host) {
        self.end(Ending::Abandoned);
        self.give_everything_back(host);
        // A pause that the peer was sentenced to stays.
        if !matches!(self.phase, Phase::Finished { .. }) {
            self.finish(Duration::ZERO);
        }
    }

    /// Where the connection stands.
    pub fn status(&self) -> Status {
        match self.phase {
            Phase::Header | Phase::Starting | Phase::Tuning | Phase::Opening => Status::Handshaking,
            Phase::Open => Status::Open,
            Phase::Closing { .. } | Phase::PeerClosing => Status::Closing,
            Phase::Finished { linger } => Status::Finished { linger },
        }
    }

    /// Why it ended or is about to; the first reason counts.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// Whether not even a protocol header came: a health check that connects and closes.
    pub fn is_untouched(&self) -> bool {
        self.phase == Phase::Header && self.left_behind == 0
    }

    /// What the client said of itself in `start-ok`.
    pub fn client_properties(&self) -> &FieldTable {
        &self.client.properties
    }

    /// The name that the client gave this connection.
    pub fn connection_name(&self) -> Option<&str> {
        self.client.connection_name()
    }

    /// The virtual host, once open.
    pub fn vhost(&self) -> Option<&VhostName> {
        self.client.vhost.as_ref()
    }

    /// Largest frame in octets, as negotiated so far; 0 is unlimited.
    pub fn frame_max(&self) -> u32 {
        self.shared.frame_max
    }

    /// Number of channels, as negotiated so far; 0 is unlimited.
    pub fn channel_max(&self) -> u16 {
        self.client.channel_max
    }

    /// Heartbeat interval in seconds that the client chose; 0 is none.
    pub fn heartbeat(&self) -> u16 {
        self.client.heartbeat
    }

    /// Number of channels, those that are being closed included.
    pub fn channel_count(&self) -> usize {
        self.channels.len()
    }

    /// Whether memory or disk is short, whether or not that holds this client back.
    pub fn feels_alarm(&self) -> bool {
        self.alarm.is_up()
    }

    /// Whether an alarm holds this publisher back.
    pub fn is_blocked(&self) -> bool {
        self.alarm.blocks()
    }
}

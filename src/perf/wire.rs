//! A client's side of one connection: handshake, calls, and frames as they come.

use std::io;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::str::FromStr;

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::channel;
use amq_protocol::protocol::connection;
use amq_protocol::protocol::parse_class;
use amq_protocol::types::FieldTable;
use amq_protocol::uri::AMQPScheme;
use amq_protocol::uri::AMQPUri;

use crate::model::ChannelId;
use crate::perf::PATIENCE;
use crate::protocol::encode;
use crate::protocol::envelope;
use crate::protocol::envelope::Cut;
use crate::protocol::envelope::FRAME_METHOD;
use crate::protocol::envelope::Frame;
use crate::protocol::header::AMQP_0_9_1;

/// The only channel that is used.
pub(super) const CHANNEL: ChannelId = ChannelId(1);

const FRAME_MAX: u32 = 131_072;
const READ_BYTES: usize = 256 * 1024;

/// What went wrong with a connection.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The address makes no sense.
    #[error("{uri:?} is no amqp:// address: {why}")]
    Uri {
        /// The address.
        uri: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody answers, or the connection broke.
    #[error("{what}: {source}")]
    Socket {
        /// What was tried.
        what: &'static str,
        /// Why that did not go.
        source: io::Error,
    },
    /// The broker closed the channel or the connection.
    #[error("the broker closed the {what}: {code} {text}")]
    Closed {
        /// Channel or connection.
        what: &'static str,
        /// Reply code.
        code: u16,
        /// Its explanation.
        text: String,
    },
    /// The broker said something that is not AMQP, or not now.
    #[error("the broker answered what was not expected: {0}")]
    Unexpected(String),
}

fn socket(what: &'static str) -> impl FnOnce(io::Error) -> WireError {
    move |source| WireError::Socket { what, source }
}

/// What is read, frame by frame.
pub(super) struct Input {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    taken: usize,
}

impl Input {
    /// Reads once; `false` when nothing came for a while.
    pub(super) fn read(&mut self) -> Result<bool, WireError> {
        self.buffer.copy_within(self.taken..self.filled, 0);
        self.filled -= self.taken;
        self.taken = 0;
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        match self.stream.read(&mut self.buffer[self.filled..]) {
            Ok(0) => Err(socket("the broker ended the connection")(
                io::ErrorKind::UnexpectedEof.into(),
            )),
            Ok(count) => {
                self.filled += count;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            Err(error) => Err(socket("cannot read from the broker")(error)),
        }
    }

    /// The next whole frame that was read.
    pub(super) fn next(&mut self) -> Result<Option<Frame<'_>>, WireError> {
        let rest = &self.buffer[self.taken..self.filled];
        match envelope::cut(rest, 0) {
            Ok(Cut::Frame { frame, consumed }) => {
                self.taken += consumed;
                Ok(Some(frame))
            }
            Ok(Cut::Incomplete { .. }) => Ok(None),
            Err(error) => Err(WireError::Unexpected(error.to_string())),
        }
    }
}

/// A method frame that is none of the usual ones: an error when it ends something.
pub(super) fn check(payload: &[u8]) -> Result<AMQPClass, WireError> {
    let (_, method) =
        parse_class(payload).map_err(|_| WireError::Unexpected(format!("{payload:?}")))?;
    let (what, code, text) = match &method {
        AMQPClass::Connection(connection::AMQPMethod::Close(close)) => {
            ("connection", close.reply_code, &close.reply_text)
        }
        AMQPClass::Channel(channel::AMQPMethod::Close(close)) => {
            ("channel", close.reply_code, &close.reply_text)
        }
        AMQPClass::Basic(_)
        | AMQPClass::Connection(_)
        | AMQPClass::Channel(_)
        | AMQPClass::Access(_)
        | AMQPClass::Exchange(_)
        | AMQPClass::Queue(_)
        | AMQPClass::Tx(_)
        | AMQPClass::Confirm(_) => return Ok(method),
    };
    Err(WireError::Closed {
        what,
        code,
        text: text.to_string(),
    })
}

/// One connection with one channel.
pub(super) struct Wire {
    pub(super) input: Input,
    pub(super) output: TcpStream,
    /// Octets a frame may have.
    pub(super) frame_max: usize,
}

impl Wire {
    /// Connects, logs in, opens the channel.
    pub(super) fn open(uri: &str) -> Result<Self, WireError> {
        let wrong = |why: String| WireError::Uri {
            uri: uri.to_owned(),
            why,
        };
        let parsed = AMQPUri::from_str(uri).map_err(wrong)?;
        if parsed.scheme != AMQPScheme::AMQP {
            return Err(wrong("TLS is not supported".to_owned()));
        }
        let authority = &parsed.authority;
        let stream = TcpStream::connect((&*authority.host, authority.port))
            .map_err(socket("cannot connect"))?;
        let set_up = || {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.try_clone()
        };
        let output = set_up().map_err(socket("cannot set up the socket"))?;
        let mut wire = Self {
            input: Input {
                stream,
                buffer: vec![0; READ_BYTES],
                filled: 0,
                taken: 0,
            },
            output,
            frame_max: FRAME_MAX as usize,
        };
        wire.write(&AMQP_0_9_1)?;
        wire.answer()?;
        let user = &authority.userinfo;
        wire.say(
            ChannelId(0),
            AMQPClass::Connection(connection::AMQPMethod::StartOk(connection::StartOk {
                client_properties: properties(),
                mechanism: "PLAIN".into(),
                response: format!("\0{}\0{}", user.username, user.password).into(),
                locale: "en_US".into(),
            })),
        )?;
        let AMQPClass::Connection(connection::AMQPMethod::Tune(tune)) = wire.answer()? else {
            return Err(WireError::Unexpected("no connection.tune".to_owned()));
        };
        let frame_max = match tune.frame_max {
            0 => FRAME_MAX,
            theirs => theirs.min(FRAME_MAX),
        };
        wire.frame_max = frame_max as usize;
        wire.say(
            ChannelId(0),
            AMQPClass::Connection(connection::AMQPMethod::TuneOk(connection::TuneOk {
                channel_max: tune.channel_max,
                frame_max,
                heartbeat: 0,
            })),
        )?;
        wire.call(
            ChannelId(0),
            AMQPClass::Connection(connection::AMQPMethod::Open(connection::Open {
                virtual_host: parsed.vhost.as_str().into(),
            })),
        )?;
        wire.call(
            CHANNEL,
            AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})),
        )?;
        Ok(wire)
    }

    pub(super) fn write(&mut self, octets: &[u8]) -> Result<(), WireError> {
        self.output
            .write_all(octets)
            .map_err(socket("cannot write to the broker"))
    }

    fn say(&mut self, channel: ChannelId, method: AMQPClass) -> Result<(), WireError> {
        let mut out = Vec::new();
        encode::method(&mut out, channel, &method);
        self.write(&out)
    }

    fn answer(&mut self) -> Result<AMQPClass, WireError> {
        loop {
            if let Some(frame) = self.input.next()?
                && frame.kind == FRAME_METHOD
            {
                return check(frame.payload);
            }
            self.input.read()?;
        }
    }

    /// Asks, and waits for the answer, which comes first. For before anything flows.
    pub(super) fn call(
        &mut self,
        channel: ChannelId,
        method: AMQPClass,
    ) -> Result<AMQPClass, WireError> {
        self.say(channel, method)?;
        self.answer()
    }

    /// Says goodbye; whatever comes of it.
    pub(super) fn close(mut self) {
        let close = connection::AMQPMethod::Close(connection::Close {
            reply_code: 200,
            reply_text: "Goodbye".into(),
            class_id: 0,
            method_id: 0,
        });
        let _ = self.say(ChannelId(0), AMQPClass::Connection(close));
        // Deliveries may still be on their way.
        for _ in 0..1000 {
            while let Ok(Some(frame)) = self.input.next() {
                if frame.kind == FRAME_METHOD && frame.channel == ChannelId(0) {
                    return;
                }
            }
            if self.input.read().is_err() {
                return;
            }
        }
    }
}

fn properties() -> FieldTable {
    use amq_protocol::types::AMQPValue;
    let mut capabilities = FieldTable::default();
    for capability in [
        "publisher_confirms",
        "basic.nack",
        "authentication_failure_close",
    ] {
        capabilities.insert(capability.into(), AMQPValue::Boolean(true));
    }
    let mut properties = FieldTable::default();
    properties.insert(
        "product".into(),
        AMQPValue::LongString("leveret perf".into()),
    );
    properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
    properties
}

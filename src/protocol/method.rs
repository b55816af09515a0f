//! Methods out of method frames.
//!
//! The methods of the hot path and `basic.qos` are parsed here over borrowed bytes; all others become amq-protocol's
//! types, after their structure was checked and with their tables decoded by [`table`].

use std::fmt;

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::basic;
use amq_protocol::protocol::connection;
use amq_protocol::protocol::exchange;
use amq_protocol::protocol::parse_class;
use amq_protocol::protocol::queue;
use amq_protocol::types::FieldTable;
use nom::Finish;
use nom::IResult;
use nom::Parser;
use nom::combinator::all_consuming;
use nom::combinator::consumed;
use nom::combinator::map_res;
use nom::multi::length_data;
use nom::number::complete::be_u16;
use nom::number::complete::be_u32;
use nom::number::complete::be_u64;
use nom::number::complete::u8 as octet;

use crate::model::DeliveryTag;
use crate::model::ReplyCode;
use crate::protocol::erlang::numbers;
use crate::protocol::layout;
use crate::protocol::layout::Misfit;
use crate::protocol::table;
use crate::protocol::table::TableError;

/// Class and method number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MethodId {
    /// Class.
    pub class: u16,
    /// Method within the class.
    pub method: u16,
}

impl MethodId {
    const PUBLISH: MethodId = MethodId::basic(40);
    const ACK: MethodId = MethodId::basic(80);
    const REJECT: MethodId = MethodId::basic(90);
    const NACK: MethodId = MethodId::basic(120);
    const QOS: MethodId = MethodId::basic(10);

    const fn basic(method: u16) -> Self {
        Self { class: 60, method }
    }

    /// Such as `queue.declare`; `none` for what no method is.
    pub fn name(self) -> &'static str {
        let named = NAMES
            .iter()
            .find(|(class, method, _)| *class == self.class && *method == self.method);
        named.map_or("none", |(_, _, name)| *name)
    }
}

/// Methods that clients send.
const NAMES: [(u16, u16, &str); 37] = [
    (10, 11, "connection.start_ok"),
    (10, 21, "connection.secure_ok"),
    (10, 31, "connection.tune_ok"),
    (10, 40, "connection.open"),
    (10, 50, "connection.close"),
    (10, 51, "connection.close_ok"),
    (10, 70, "connection.update_secret"),
    (20, 10, "channel.open"),
    (20, 20, "channel.flow"),
    (20, 21, "channel.flow_ok"),
    (20, 40, "channel.close"),
    (20, 41, "channel.close_ok"),
    (40, 10, "exchange.declare"),
    (40, 20, "exchange.delete"),
    (40, 30, "exchange.bind"),
    (40, 40, "exchange.unbind"),
    (50, 10, "queue.declare"),
    (50, 20, "queue.bind"),
    (50, 30, "queue.purge"),
    (50, 40, "queue.delete"),
    (50, 50, "queue.unbind"),
    (60, 10, "basic.qos"),
    (60, 20, "basic.consume"),
    (60, 30, "basic.cancel"),
    (60, 31, "basic.cancel_ok"),
    (60, 40, "basic.publish"),
    (60, 70, "basic.get"),
    (60, 80, "basic.ack"),
    (60, 90, "basic.reject"),
    (60, 100, "basic.recover_async"),
    (60, 110, "basic.recover"),
    (60, 120, "basic.nack"),
    (85, 10, "confirm.select"),
    (90, 10, "tx.select"),
    (90, 20, "tx.commit"),
    (90, 30, "tx.rollback"),
    (10, 30, "connection.tune"),
];

impl fmt::Display for MethodId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.class, self.method)
    }
}

/// A method that a client sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Method<'a> {
    /// `basic.publish`.
    Publish(Publish<'a>),
    /// `basic.ack`.
    Ack {
        /// Which delivery.
        tag: DeliveryTag,
        /// And all before it.
        multiple: bool,
    },
    /// `basic.nack`.
    Nack {
        /// Which delivery.
        tag: DeliveryTag,
        /// And all before it.
        multiple: bool,
        /// Back to the queue.
        requeue: bool,
    },
    /// `basic.reject`.
    Reject {
        /// Which delivery.
        tag: DeliveryTag,
        /// Back to the queue.
        requeue: bool,
    },
    /// `basic.qos`; amq-protocol drops the prefetch size, which must be refused when it is not 0.
    Qos {
        /// Unacknowledged octets allowed.
        prefetch_size: u32,
        /// Unacknowledged deliveries allowed; 0 is unlimited.
        prefetch_count: u16,
        /// For the channel instead of each consumer.
        global: bool,
    },
    /// Any other; never one of the above.
    Other(AMQPClass),
}

/// `basic.publish`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Exchange and routing key as two short strings, as on the wire; both are UTF-8.
    pub route: &'a [u8],
    /// Return it when no queue takes it.
    pub mandatory: bool,
    /// Obsolete; refused.
    pub immediate: bool,
}

impl<'a> Publish<'a> {
    /// Name of the exchange.
    pub fn exchange(&self) -> &'a str {
        text(self.route, 0)
    }

    /// Routing key.
    pub fn routing_key(&self) -> &'a str {
        let exchange_bytes = self.route.first().copied().unwrap_or(0);
        text(self.route, 1 + usize::from(exchange_bytes))
    }
}

/// The short string at `at`, whose octets were checked.
fn text(route: &[u8], at: usize) -> &str {
    length_data::<_, (), _>(octet)
        .parse(route.get(at..).unwrap_or_default())
        .ok()
        .and_then(|(_, octets)| std::str::from_utf8(octets).ok())
        .unwrap_or_default()
}

/// Why a method frame's payload is no method. The text is an explanation for the peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MethodError {
    /// No such class or method. RabbitMQ drops the connection without a word.
    #[error("unimplemented method")]
    Unknown(MethodId),
    /// Arguments too short or too long.
    #[error("{1}")]
    Undecodable(MethodId, Arguments),
    /// A short string that is not UTF-8.
    #[error("Malformed UTF-8 in shortstr")]
    MalformedUtf8(MethodId),
    /// A table that is broken inside. RabbitMQ drops the connection without a word.
    #[error("{1}")]
    Table(MethodId, TableError),
    /// Not even class and method are there; [`cut`](crate::protocol::envelope::cut) lets no such frame through.
    #[error("method frame without a method")]
    Truncated,
}

impl MethodError {
    /// The method whose arguments are wrong. RabbitMQ names it in `close` for [`Self::Undecodable`] alone.
    pub fn method_id(&self) -> Option<MethodId> {
        match self {
            Self::Unknown(id)
            | Self::Undecodable(id, _)
            | Self::MalformedUtf8(id)
            | Self::Table(id, _) => Some(*id),
            Self::Truncated => None,
        }
    }

    /// The reply code to close the connection with.
    pub fn reply_code(&self) -> ReplyCode {
        match self {
            Self::Unknown(_) => ReplyCode::CommandInvalid,
            Self::Undecodable(..) | Self::MalformedUtf8(_) | Self::Table(..) | Self::Truncated => {
                ReplyCode::FrameError
            }
        }
    }
}

/// The arguments of a method that could not be decoded, as far as an error text shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments(Vec<u8>);

impl Arguments {
    /// More cannot show up in a reply text: it has 255 octets, an octet prints as two at least.
    const OCTETS_MAX: usize = 128;
}

impl fmt::Display for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot decode {}", numbers(&self.0))
    }
}

/// Class and method of a method frame's payload.
pub fn method_id(payload: &[u8]) -> Option<MethodId> {
    let (_, (class, method)) = (be_u16::<_, ()>, be_u16).parse(payload).ok()?;
    Some(MethodId { class, method })
}

/// Parses a method frame's payload.
pub fn parse_method(payload: &[u8]) -> Result<Method<'_>, MethodError> {
    let id = method_id(payload).ok_or(MethodError::Truncated)?;
    let arguments = &payload[4..];
    let hot = match id {
        MethodId::PUBLISH => publish(arguments),
        MethodId::ACK => ack(arguments),
        MethodId::NACK => nack(arguments),
        MethodId::REJECT => reject(arguments),
        MethodId::QOS => qos(arguments),
        _ => return other(id, payload),
    };
    match hot {
        Ok((_, method)) => Ok(method),
        Err(_) => Err(misfit(id, arguments)),
    }
}

/// Why the hot parser of method `id` refused `arguments`.
#[cold]
fn misfit(id: MethodId, arguments: &[u8]) -> MethodError {
    match layout::parts(id).map(|parts| layout::check(parts, arguments)) {
        None => MethodError::Unknown(id),
        Some(Err(Misfit::Utf8)) => MethodError::MalformedUtf8(id),
        Some(Err(Misfit::Table(error))) => MethodError::Table(id, error),
        Some(Err(Misfit::Size) | Ok(_)) => {
            let shown = arguments.len().min(Arguments::OCTETS_MAX);
            MethodError::Undecodable(id, Arguments(arguments[..shown].to_vec()))
        }
    }
}

fn short_string(input: &[u8]) -> IResult<&[u8], &str, ()> {
    map_res(length_data(octet), std::str::from_utf8).parse(input)
}

fn bit(octet: u8, index: u8) -> bool {
    octet >> index & 1 == 1
}

fn publish(arguments: &[u8]) -> IResult<&[u8], Method<'_>, ()> {
    all_consuming((be_u16, consumed((short_string, short_string)), octet))
        .map(|(_ticket, (route, _), bits)| {
            Method::Publish(Publish {
                route,
                mandatory: bit(bits, 0),
                immediate: bit(bits, 1),
            })
        })
        .parse(arguments)
}

fn ack(arguments: &[u8]) -> IResult<&[u8], Method<'_>, ()> {
    all_consuming((be_u64, octet))
        .map(|(tag, bits)| Method::Ack {
            tag: DeliveryTag(tag),
            multiple: bit(bits, 0),
        })
        .parse(arguments)
}

fn nack(arguments: &[u8]) -> IResult<&[u8], Method<'_>, ()> {
    all_consuming((be_u64, octet))
        .map(|(tag, bits)| Method::Nack {
            tag: DeliveryTag(tag),
            multiple: bit(bits, 0),
            requeue: bit(bits, 1),
        })
        .parse(arguments)
}

fn reject(arguments: &[u8]) -> IResult<&[u8], Method<'_>, ()> {
    all_consuming((be_u64, octet))
        .map(|(tag, bits)| Method::Reject {
            tag: DeliveryTag(tag),
            requeue: bit(bits, 0),
        })
        .parse(arguments)
}

fn qos(arguments: &[u8]) -> IResult<&[u8], Method<'_>, ()> {
    all_consuming((be_u32, be_u16, octet))
        .map(|(prefetch_size, prefetch_count, bits)| Method::Qos {
            prefetch_size,
            prefetch_count,
            global: bit(bits, 0),
        })
        .parse(arguments)
}

/// Any method, by amq-protocol's parser but for the table.
fn other(id: MethodId, payload: &[u8]) -> Result<Method<'_>, MethodError> {
    let arguments = &payload[4..];
    let parts = layout::parts(id).ok_or(MethodError::Unknown(id))?;
    let Ok(table_at) = layout::check(parts, arguments) else {
        return Err(misfit(id, arguments));
    };
    let Some(at) = table_at else {
        return decode(payload)
            .map(Method::Other)
            .ok_or_else(|| misfit(id, arguments));
    };
    let table = table::decode(&arguments[at.clone()]).map_err(|e| MethodError::Table(id, e))?;
    let mut without_table = Vec::with_capacity(payload.len() + 4 - at.len());
    without_table.extend_from_slice(&payload[..4 + at.start]);
    without_table.extend_from_slice(&[0; 4]);
    without_table.extend_from_slice(&arguments[at.end..]);
    let mut class = decode(&without_table).ok_or_else(|| misfit(id, arguments))?;
    if let Some(place) = table_of(&mut class) {
        *place = table;
    }
    Ok(Method::Other(class))
}

fn decode(payload: &[u8]) -> Option<AMQPClass> {
    let (rest, class) = parse_class(payload).finish().ok()?;
    rest.is_empty().then_some(class)
}

/// Where a method keeps its table.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "few methods have a table; `layout` says which, and a test compares"
)]
fn table_of(class: &mut AMQPClass) -> Option<&mut FieldTable> {
    match class {
        AMQPClass::Connection(connection::AMQPMethod::Start(m)) => Some(&mut m.server_properties),
        AMQPClass::Connection(connection::AMQPMethod::StartOk(m)) => Some(&mut m.client_properties),
        AMQPClass::Exchange(exchange::AMQPMethod::Declare(m)) => Some(&mut m.arguments),
        AMQPClass::Exchange(exchange::AMQPMethod::Bind(m)) => Some(&mut m.arguments),
        AMQPClass::Exchange(exchange::AMQPMethod::Unbind(m)) => Some(&mut m.arguments),
        AMQPClass::Queue(queue::AMQPMethod::Declare(m)) => Some(&mut m.arguments),
        AMQPClass::Queue(queue::AMQPMethod::Bind(m)) => Some(&mut m.arguments),
        AMQPClass::Queue(queue::AMQPMethod::Unbind(m)) => Some(&mut m.arguments),
        AMQPClass::Basic(basic::AMQPMethod::Consume(m)) => Some(&mut m.arguments),
        _ => None,
    }
}

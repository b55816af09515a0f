//! What a client sends: `basic.publish 1 key=q body=hi` to octets.

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::access;
use amq_protocol::protocol::basic;
use amq_protocol::protocol::channel;
use amq_protocol::protocol::confirm;
use amq_protocol::protocol::connection;
use amq_protocol::protocol::exchange;
use amq_protocol::protocol::queue;
use amq_protocol::protocol::tx;
use amq_protocol::types::AMQPValue;
use amq_protocol::types::FieldTable;
use amq_protocol::types::LongString;
use amq_protocol::types::ShortString;

use leveret::model::ChannelId;
use leveret::protocol::encode;
use leveret::protocol::envelope::FRAME_BODY;
use leveret::protocol::envelope::FRAME_HEADER;
use leveret::protocol::envelope::FRAME_HEARTBEAT;
use leveret::protocol::envelope::FRAME_METHOD;

/// A frame of whatever kind.
pub(super) fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend_from_slice(&channel.to_be_bytes());
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    out.extend_from_slice(payload);
    out.push(0xce);
    out
}

/// A content header of class basic.
pub(super) fn header(channel: u16, body_size: u64, properties: &[u8]) -> Vec<u8> {
    let mut payload = vec![0, 60, 0, 0];
    payload.extend_from_slice(&body_size.to_be_bytes());
    payload.extend_from_slice(properties);
    frame(FRAME_HEADER, channel, &payload)
}

/// A body frame.
pub(super) fn body(channel: u16, part: &[u8]) -> Vec<u8> {
    frame(FRAME_BODY, channel, part)
}

/// Only the method frame of `basic.publish`.
pub(super) fn publish(channel: u16, exchange: &str, key: &str, bits: u8) -> Vec<u8> {
    let mut payload = vec![0, 60, 0, 40, 0, 0];
    for text in [exchange, key] {
        payload.push(text.len() as u8);
        payload.extend_from_slice(text.as_bytes());
    }
    payload.push(bits);
    frame(FRAME_METHOD, channel, &payload)
}

/// The words of a line: name, channel, `key=value`s and flags.
struct Words<'a> {
    name: &'a str,
    channel: u16,
    rest: Vec<&'a str>,
}

impl<'a> Words<'a> {
    fn of(line: &'a str) -> Self {
        let mut words = line.split(' ').peekable();
        let name = words.next().expect("a name");
        let channel = match words.peek().map(|word| word.parse()) {
            Some(Ok(channel)) => {
                words.next();
                channel
            }
            _ => 0,
        };
        Self {
            name,
            channel,
            rest: words.collect(),
        }
    }

    fn text(&self, key: &str) -> &'a str {
        let value = |word: &&'a str| word.strip_prefix(key)?.strip_prefix('=');
        self.rest.iter().find_map(value).unwrap_or_default()
    }

    fn short(&self, key: &str) -> ShortString {
        ShortString::from(self.text(key))
    }

    fn number(&self, key: &str) -> u64 {
        match self.text(key) {
            "" => 0,
            number => number.parse().expect("a number"),
        }
    }

    fn flag(&self, name: &str) -> bool {
        self.rest.contains(&name)
    }
}

/// The octets of one line; `basic.publish` comes with its content.
pub(super) fn encode(line: &str) -> Vec<u8> {
    let words = Words::of(line);
    let mut out = Vec::new();
    match words.name {
        "heartbeat" => return frame(FRAME_HEARTBEAT, words.channel, &[]),
        "basic.publish" => {
            let bits = u8::from(words.flag("mandatory")) | u8::from(words.flag("immediate")) << 1;
            out.extend(publish(
                words.channel,
                words.text("exchange"),
                words.text("key"),
                bits,
            ));
            let content = words.text("body").as_bytes();
            let properties: &[u8] = match words.flag("persistent") {
                true => &[0x10, 0, 2],
                false => &[0, 0],
            };
            out.extend(header(words.channel, content.len() as u64, properties));
            if !content.is_empty() {
                out.extend(body(words.channel, content));
            }
        }
        "basic.qos" => {
            let mut payload = vec![0, 60, 0, 10];
            payload.extend_from_slice(&(words.number("size") as u32).to_be_bytes());
            payload.extend_from_slice(&(words.number("count") as u16).to_be_bytes());
            payload.push(u8::from(words.flag("global")));
            return frame(FRAME_METHOD, words.channel, &payload);
        }
        _ => encode::method(&mut out, ChannelId(words.channel), &method(&words)),
    }
    out
}

fn capabilities(words: &Words<'_>) -> FieldTable {
    let mut capabilities = FieldTable::default();
    for name in words
        .text("capabilities")
        .split(',')
        .filter(|name| !name.is_empty())
    {
        capabilities.insert(ShortString::from(name), AMQPValue::Boolean(true));
    }
    let mut properties = FieldTable::default();
    let name = AMQPValue::LongString(LongString::from(words.text("name")));
    properties.insert(ShortString::from("connection_name"), name);
    let capabilities = AMQPValue::FieldTable(capabilities);
    properties.insert(ShortString::from("capabilities"), capabilities);
    properties
}

fn method(words: &Words<'_>) -> AMQPClass {
    let arguments = FieldTable::default();
    let nowait = words.flag("nowait");
    match words.name {
        "connection.start-ok" => {
            let password = match words.text("password") {
                "" => "guest",
                other => other,
            };
            let mechanism = match words.text("mechanism") {
                "" => "PLAIN",
                other => other,
            };
            AMQPClass::Connection(connection::AMQPMethod::StartOk(connection::StartOk {
                client_properties: capabilities(words),
                mechanism: ShortString::from(mechanism),
                response: LongString::from(format!("\0guest\0{password}").as_str()),
                locale: ShortString::from("en_US"),
            }))
        }
        "connection.tune-ok" => {
            AMQPClass::Connection(connection::AMQPMethod::TuneOk(connection::TuneOk {
                channel_max: words.number("channel-max") as u16,
                frame_max: words.number("frame-max") as u32,
                heartbeat: words.number("heartbeat") as u16,
            }))
        }
        "connection.open" => {
            AMQPClass::Connection(connection::AMQPMethod::Open(connection::Open {
                virtual_host: words.short("vhost"),
            }))
        }
        "connection.close" => {
            AMQPClass::Connection(connection::AMQPMethod::Close(connection::Close {
                reply_code: 200,
                reply_text: ShortString::from("bye"),
                class_id: 0,
                method_id: 0,
            }))
        }
        "connection.close-ok" => {
            AMQPClass::Connection(connection::AMQPMethod::CloseOk(connection::CloseOk {}))
        }
        "connection.update-secret" => {
            let update = connection::UpdateSecret {
                new_secret: LongString::from("new"),
                reason: ShortString::from("old"),
            };
            AMQPClass::Connection(connection::AMQPMethod::UpdateSecret(update))
        }
        "channel.open" => AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})),
        "channel.close" => AMQPClass::Channel(channel::AMQPMethod::Close(channel::Close {
            reply_code: 200,
            reply_text: ShortString::from("bye"),
            class_id: 0,
            method_id: 0,
        })),
        "channel.close-ok" => AMQPClass::Channel(channel::AMQPMethod::CloseOk(channel::CloseOk {})),
        "channel.flow" => AMQPClass::Channel(channel::AMQPMethod::Flow(channel::Flow {
            active: words.flag("active"),
        })),
        "channel.flow-ok" => AMQPClass::Channel(channel::AMQPMethod::FlowOk(channel::FlowOk {
            active: true,
        })),
        "access.request" => {
            AMQPClass::Access(access::AMQPMethod::Request(access::Request::default()))
        }
        "exchange.declare" => {
            AMQPClass::Exchange(exchange::AMQPMethod::Declare(exchange::Declare {
                exchange: words.short("exchange"),
                kind: words.short("type"),
                passive: words.flag("passive"),
                durable: words.flag("durable"),
                auto_delete: false,
                internal: false,
                nowait,
                arguments,
            }))
        }
        "exchange.delete" => AMQPClass::Exchange(exchange::AMQPMethod::Delete(exchange::Delete {
            exchange: words.short("exchange"),
            if_unused: false,
            nowait,
        })),
        "exchange.bind" => AMQPClass::Exchange(exchange::AMQPMethod::Bind(exchange::Bind {
            destination: words.short("destination"),
            source: words.short("source"),
            routing_key: words.short("key"),
            nowait,
            arguments,
        })),
        "exchange.unbind" => AMQPClass::Exchange(exchange::AMQPMethod::Unbind(exchange::Unbind {
            destination: words.short("destination"),
            source: words.short("source"),
            routing_key: words.short("key"),
            nowait,
            arguments,
        })),
        "queue.declare" => AMQPClass::Queue(queue::AMQPMethod::Declare(queue::Declare {
            queue: words.short("queue"),
            passive: words.flag("passive"),
            durable: words.flag("durable"),
            exclusive: words.flag("exclusive"),
            auto_delete: false,
            nowait,
            arguments,
        })),
        "queue.bind" => AMQPClass::Queue(queue::AMQPMethod::Bind(queue::Bind {
            queue: words.short("queue"),
            exchange: words.short("exchange"),
            routing_key: words.short("key"),
            nowait,
            arguments,
        })),
        "queue.unbind" => AMQPClass::Queue(queue::AMQPMethod::Unbind(queue::Unbind {
            queue: words.short("queue"),
            exchange: words.short("exchange"),
            routing_key: words.short("key"),
            arguments,
        })),
        "queue.purge" => AMQPClass::Queue(queue::AMQPMethod::Purge(queue::Purge {
            queue: words.short("queue"),
            nowait,
        })),
        "queue.delete" => AMQPClass::Queue(queue::AMQPMethod::Delete(queue::Delete {
            queue: words.short("queue"),
            if_unused: false,
            if_empty: false,
            nowait,
        })),
        "confirm.select" => {
            AMQPClass::Confirm(confirm::AMQPMethod::Select(confirm::Select { nowait }))
        }
        "tx.select" => AMQPClass::Tx(tx::AMQPMethod::Select(tx::Select {})),
        "tx.commit" => AMQPClass::Tx(tx::AMQPMethod::Commit(tx::Commit {})),
        "tx.rollback" => AMQPClass::Tx(tx::AMQPMethod::Rollback(tx::Rollback {})),
        _ => AMQPClass::Basic(basic_method(words)),
    }
}

fn basic_method(words: &Words<'_>) -> basic::AMQPMethod {
    let delivery_tag = words.number("tag");
    let multiple = words.flag("multiple");
    let requeue = words.flag("requeue");
    let nowait = words.flag("nowait");
    match words.name {
        "basic.consume" => basic::AMQPMethod::Consume(basic::Consume {
            queue: words.short("queue"),
            consumer_tag: words.short("consumer"),
            no_local: false,
            no_ack: words.flag("no-ack"),
            exclusive: false,
            nowait,
            arguments: FieldTable::default(),
        }),
        "basic.cancel" => basic::AMQPMethod::Cancel(basic::Cancel {
            consumer_tag: words.short("consumer"),
            nowait,
        }),
        "basic.get" => basic::AMQPMethod::Get(basic::Get {
            queue: words.short("queue"),
            no_ack: words.flag("no-ack"),
        }),
        "basic.ack" => basic::AMQPMethod::Ack(basic::Ack {
            delivery_tag,
            multiple,
        }),
        "basic.nack" => basic::AMQPMethod::Nack(basic::Nack {
            delivery_tag,
            multiple,
            requeue,
        }),
        "basic.reject" => basic::AMQPMethod::Reject(basic::Reject {
            delivery_tag,
            requeue,
        }),
        "basic.recover" => basic::AMQPMethod::Recover(basic::Recover { requeue }),
        "basic.recover-async" => basic::AMQPMethod::RecoverAsync(basic::RecoverAsync { requeue }),
        other => panic!("no such method: {other}"),
    }
}

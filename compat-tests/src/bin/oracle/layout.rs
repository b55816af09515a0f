//! The methods of AMQP 0-9-1 with RabbitMQ's extensions, as a table: names, numbers, arguments.
//!
//! Written from the protocol's documentation and not from the broker's code, so that a mistake in
//! the broker's codec cannot hide behind the same mistake here.

/// The type of an argument on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Octet,
    Short,
    Long,
    LongLong,
    ShortStr,
    LongStr,
    Bit,
    Table,
}

/// Class and number.
pub(crate) type MethodId = (u16, u16);

#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) name: &'static str,
    pub(crate) id: MethodId,
    pub(crate) arguments: &'static [(&'static str, Kind)],
    /// The numbers, in the same class, of the methods that may answer.
    pub(crate) answers: &'static [u16],
}

use Kind::Bit;
use Kind::Long;
use Kind::LongLong;
use Kind::LongStr;
use Kind::Octet;
use Kind::Short;
use Kind::ShortStr;
use Kind::Table;

const fn method(
    name: &'static str,
    id: MethodId,
    arguments: &'static [(&'static str, Kind)],
    answers: &'static [u16],
) -> Method {
    Method {
        name,
        id,
        arguments,
        answers,
    }
}

const CLOSE: &[(&str, Kind)] = &[
    ("code", Short),
    ("text", ShortStr),
    ("class", Short),
    ("method", Short),
];
const EXCHANGE_BINDING: &[(&str, Kind)] = &[
    ("ticket", Short),
    ("destination", ShortStr),
    ("source", ShortStr),
    ("key", ShortStr),
    ("nowait", Bit),
    ("arguments", Table),
];

/// Long names of the specification are shortened where scripts write them all the time: `key` is
/// the routing key, `tag` the delivery tag or the consumer tag.
pub(crate) const METHODS: &[Method] = &[
    method(
        "connection.start",
        (10, 10),
        &[
            ("version-major", Octet),
            ("version-minor", Octet),
            ("server-properties", Table),
            ("mechanisms", LongStr),
            ("locales", LongStr),
        ],
        &[],
    ),
    method(
        "connection.start-ok",
        (10, 11),
        &[
            ("client-properties", Table),
            ("mechanism", ShortStr),
            ("response", LongStr),
            ("locale", ShortStr),
        ],
        &[20, 30],
    ),
    method(
        "connection.secure",
        (10, 20),
        &[("challenge", LongStr)],
        &[],
    ),
    method(
        "connection.secure-ok",
        (10, 21),
        &[("response", LongStr)],
        &[30],
    ),
    method(
        "connection.tune",
        (10, 30),
        &[
            ("channel-max", Short),
            ("frame-max", Long),
            ("heartbeat", Short),
        ],
        &[],
    ),
    method(
        "connection.tune-ok",
        (10, 31),
        &[
            ("channel-max", Short),
            ("frame-max", Long),
            ("heartbeat", Short),
        ],
        &[],
    ),
    method(
        "connection.open",
        (10, 40),
        &[
            ("vhost", ShortStr),
            ("capabilities", ShortStr),
            ("insist", Bit),
        ],
        &[41],
    ),
    method(
        "connection.open-ok",
        (10, 41),
        &[("known-hosts", ShortStr)],
        &[],
    ),
    method("connection.close", (10, 50), CLOSE, &[51]),
    method("connection.close-ok", (10, 51), &[], &[]),
    method("connection.blocked", (10, 60), &[("reason", ShortStr)], &[]),
    method("connection.unblocked", (10, 61), &[], &[]),
    method(
        "connection.update-secret",
        (10, 70),
        &[("secret", LongStr), ("reason", ShortStr)],
        &[71],
    ),
    method("connection.update-secret-ok", (10, 71), &[], &[]),
    method(
        "channel.open",
        (20, 10),
        &[("out-of-band", ShortStr)],
        &[11],
    ),
    method("channel.open-ok", (20, 11), &[("channel-id", LongStr)], &[]),
    method("channel.flow", (20, 20), &[("active", Bit)], &[21]),
    method("channel.flow-ok", (20, 21), &[("active", Bit)], &[]),
    method("channel.close", (20, 40), CLOSE, &[41]),
    method("channel.close-ok", (20, 41), &[], &[]),
    method(
        "access.request",
        (30, 10),
        &[
            ("realm", ShortStr),
            ("exclusive", Bit),
            ("passive", Bit),
            ("active", Bit),
            ("write", Bit),
            ("read", Bit),
        ],
        &[11],
    ),
    method("access.request-ok", (30, 11), &[("ticket", Short)], &[]),
    method(
        "exchange.declare",
        (40, 10),
        &[
            ("ticket", Short),
            ("exchange", ShortStr),
            ("type", ShortStr),
            ("passive", Bit),
            ("durable", Bit),
            ("auto-delete", Bit),
            ("internal", Bit),
            ("nowait", Bit),
            ("arguments", Table),
        ],
        &[11],
    ),
    method("exchange.declare-ok", (40, 11), &[], &[]),
    method(
        "exchange.delete",
        (40, 20),
        &[
            ("ticket", Short),
            ("exchange", ShortStr),
            ("if-unused", Bit),
            ("nowait", Bit),
        ],
        &[21],
    ),
    method("exchange.delete-ok", (40, 21), &[], &[]),
    method("exchange.bind", (40, 30), EXCHANGE_BINDING, &[31]),
    method("exchange.bind-ok", (40, 31), &[], &[]),
    method("exchange.unbind", (40, 40), EXCHANGE_BINDING, &[51]),
    method("exchange.unbind-ok", (40, 51), &[], &[]),
    method(
        "queue.declare",
        (50, 10),
        &[
            ("ticket", Short),
            ("queue", ShortStr),
            ("passive", Bit),
            ("durable", Bit),
            ("exclusive", Bit),
            ("auto-delete", Bit),
            ("nowait", Bit),
            ("arguments", Table),
        ],
        &[11],
    ),
    method(
        "queue.declare-ok",
        (50, 11),
        &[("queue", ShortStr), ("messages", Long), ("consumers", Long)],
        &[],
    ),
    method(
        "queue.bind",
        (50, 20),
        &[
            ("ticket", Short),
            ("queue", ShortStr),
            ("exchange", ShortStr),
            ("key", ShortStr),
            ("nowait", Bit),
            ("arguments", Table),
        ],
        &[21],
    ),
    method("queue.bind-ok", (50, 21), &[], &[]),
    method(
        "queue.purge",
        (50, 30),
        &[("ticket", Short), ("queue", ShortStr), ("nowait", Bit)],
        &[31],
    ),
    method("queue.purge-ok", (50, 31), &[("messages", Long)], &[]),
    method(
        "queue.delete",
        (50, 40),
        &[
            ("ticket", Short),
            ("queue", ShortStr),
            ("if-unused", Bit),
            ("if-empty", Bit),
            ("nowait", Bit),
        ],
        &[41],
    ),
    method("queue.delete-ok", (50, 41), &[("messages", Long)], &[]),
    method(
        "queue.unbind",
        (50, 50),
        &[
            ("ticket", Short),
            ("queue", ShortStr),
            ("exchange", ShortStr),
            ("key", ShortStr),
            ("arguments", Table),
        ],
        &[51],
    ),
    method("queue.unbind-ok", (50, 51), &[], &[]),
    method(
        "basic.qos",
        (60, 10),
        &[("size", Long), ("count", Short), ("global", Bit)],
        &[11],
    ),
    method("basic.qos-ok", (60, 11), &[], &[]),
    method(
        "basic.consume",
        (60, 20),
        &[
            ("ticket", Short),
            ("queue", ShortStr),
            ("tag", ShortStr),
            ("no-local", Bit),
            ("no-ack", Bit),
            ("exclusive", Bit),
            ("nowait", Bit),
            ("arguments", Table),
        ],
        &[21],
    ),
    method("basic.consume-ok", (60, 21), &[("tag", ShortStr)], &[]),
    method(
        "basic.cancel",
        (60, 30),
        &[("tag", ShortStr), ("nowait", Bit)],
        &[31],
    ),
    method("basic.cancel-ok", (60, 31), &[("tag", ShortStr)], &[]),
    method(
        "basic.publish",
        (60, 40),
        &[
            ("ticket", Short),
            ("exchange", ShortStr),
            ("key", ShortStr),
            ("mandatory", Bit),
            ("immediate", Bit),
        ],
        &[],
    ),
    method(
        "basic.return",
        (60, 50),
        &[
            ("code", Short),
            ("text", ShortStr),
            ("exchange", ShortStr),
            ("key", ShortStr),
        ],
        &[],
    ),
    method(
        "basic.deliver",
        (60, 60),
        &[
            ("consumer", ShortStr),
            ("tag", LongLong),
            ("redelivered", Bit),
            ("exchange", ShortStr),
            ("key", ShortStr),
        ],
        &[],
    ),
    method(
        "basic.get",
        (60, 70),
        &[("ticket", Short), ("queue", ShortStr), ("no-ack", Bit)],
        &[71, 72],
    ),
    method(
        "basic.get-ok",
        (60, 71),
        &[
            ("tag", LongLong),
            ("redelivered", Bit),
            ("exchange", ShortStr),
            ("key", ShortStr),
            ("messages", Long),
        ],
        &[],
    ),
    method(
        "basic.get-empty",
        (60, 72),
        &[("cluster-id", ShortStr)],
        &[],
    ),
    method(
        "basic.ack",
        (60, 80),
        &[("tag", LongLong), ("multiple", Bit)],
        &[],
    ),
    method(
        "basic.reject",
        (60, 90),
        &[("tag", LongLong), ("requeue", Bit)],
        &[],
    ),
    method("basic.recover-async", (60, 100), &[("requeue", Bit)], &[]),
    method("basic.recover", (60, 110), &[("requeue", Bit)], &[111]),
    method("basic.recover-ok", (60, 111), &[], &[]),
    method(
        "basic.nack",
        (60, 120),
        &[("tag", LongLong), ("multiple", Bit), ("requeue", Bit)],
        &[],
    ),
    method("confirm.select", (85, 10), &[("nowait", Bit)], &[11]),
    method("confirm.select-ok", (85, 11), &[], &[]),
    method("tx.select", (90, 10), &[], &[11]),
    method("tx.select-ok", (90, 11), &[], &[]),
    method("tx.commit", (90, 20), &[], &[21]),
    method("tx.commit-ok", (90, 21), &[], &[]),
    method("tx.rollback", (90, 30), &[], &[31]),
    method("tx.rollback-ok", (90, 31), &[], &[]),
];

/// Content properties, highest flag first.
pub(crate) const PROPERTIES: &[(&str, Kind)] = &[
    ("content-type", ShortStr),
    ("content-encoding", ShortStr),
    ("headers", Table),
    ("delivery-mode", Octet),
    ("priority", Octet),
    ("correlation-id", ShortStr),
    ("reply-to", ShortStr),
    ("expiration", ShortStr),
    ("message-id", ShortStr),
    ("timestamp", LongLong),
    ("type", ShortStr),
    ("user-id", ShortStr),
    ("app-id", ShortStr),
    ("cluster-id", ShortStr),
];

pub(crate) fn by_name(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

pub(crate) fn by_id(id: MethodId) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.id == id)
}

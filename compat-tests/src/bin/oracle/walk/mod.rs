//! Random walks: legal and illegal commands over few names, from a seed, as a script.
//!
//! A walk only holds what has one right outcome. Two queues may push to one channel in any order,
//! so a channel consumes from one queue; the channels of a connection that ends go in any order in
//! RabbitMQ, and what one gives back may die and come to another that is about to go, so a
//! connection consumes from one queue as well; RabbitMQ requeues consumer by consumer, so a channel
//! has one consumer tag and those that get do not consume; nothing depends on a clock; there are no
//! transactions where a queue refuses, for they do nothing at all in Leveret. The channels that a
//! command closes are opened again.

mod quorum;

use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// Commands in a walk, besides its beginning and end.
const COMMANDS: usize = 25;

pub(crate) const QUEUES: &[&str] = &["q1", "q2", "q3"];
pub(crate) const EXCHANGES: &[&str] = &["e1", "e2", "e3"];

/// Channels that consume, each with its queue.
const CONSUMING: &[(&str, &str)] = &[("a1", "q1"), ("c1", "q2"), ("b1", "q1")];
const GETTING: &[&str] = &["a3", "b2"];
const CHANNELS: &[&str] = &["a1", "c1", "b1", "a3", "b2"];

const KEYS: &[&str] = &["q1", "q2", "q3", "k", "k.a", "k.a.b", "\"\""];
const PATTERNS: &[&str] = &["q1", "q2", "k", "k.*", "#", "k.#", "*.a", "\"\""];
const TYPES: &[&str] = &["direct", "fanout", "topic", "headers"];

const QUEUE_ARGUMENTS: &[&str] = &[
    "",
    "",
    "",
    "x-max-length: 2",
    "x-max-length: 3, x-overflow: reject-publish",
    "x-max-length: 1, x-overflow: reject-publish-dlx, x-dead-letter-exchange: e1",
    "x-max-length-bytes: 12",
    "x-max-length: 0",
    "x-dead-letter-exchange: e1",
    "x-dead-letter-exchange: \"\", x-dead-letter-routing-key: q2",
    "x-dead-letter-exchange: \"\", x-dead-letter-routing-key: q3, x-max-length: 2",
    "x-dead-letter-exchange: \"\"",
    "x-dead-letter-exchange: nowhere",
    "x-message-ttl: 0, x-dead-letter-exchange: e2",
    "x-message-ttl: 600000",
    "x-max-priority: 3",
    "x-single-active-consumer: true",
    "x-max-priority: 5, x-dead-letter-exchange: e1, x-max-length: 3",
    "x-max-length: S \"3\"",
    "x-max-length: -1",
    "x-max-length: d 2",
    "x-overflow: neither",
    "x-dead-letter-routing-key: k",
    "x-dead-letter-exchange: 5",
    "x-message-ttl: t 1",
    "x-expires: 0",
    "x-unknown: anything",
    "x-queue-type: classic",
    "x-max-priority: 3",
    "x-max-priority: 2, x-max-length: 2",
    "x-single-active-consumer: true",
    "x-max-priority: 256",
    "x-single-active-consumer: 1",
    "x-queue-type: nonsense",
    "x-queue-mode: lazy",
];

const HEADERS: &[&str] = &[
    "a: 1",
    "a: S one",
    "b: t 1",
    "a: 1, b: S x",
    "x-a: 1",
    "c: V",
];

const BINDING_ARGUMENTS: &[&str] = &[
    "",
    "x-match: all, a: 1",
    "x-match: any, a: S one, b: t 1",
    "a: V",
    "x-match: any-with-x, x-a: l 1",
    "x-match: all",
    "x-match: neither",
    "x-match: 5",
];

/// What closes a channel or a connection, whatever stands.
const FORBIDDEN: &[&str] = &[
    "basic.qos size=1 count=1",
    "basic.publish exchange=nowhere key=k body=x",
    "basic.publish key=q1 immediate body=x",
    "basic.publish exchange=amq.rabbitmq.trace key=k body=x",
    "basic.publish key=q1 expiration=soon body=x",
    "basic.publish key=q1 user-id=nobody body=x",
    "basic.recover requeue=0",
    "channel.flow active=0",
    "channel.open",
    "exchange.declare exchange=amq.mine type=direct",
    "exchange.declare exchange=\"\" type=direct",
    "exchange.declare exchange=amq.direct type=fanout durable",
    "exchange.declare exchange=nowhere passive",
    "exchange.delete exchange=amq.direct",
    "exchange.delete exchange=\"\"",
    "queue.declare queue=amq.mine",
    "queue.declare queue=nowhere passive",
    "queue.bind queue=nowhere exchange=amq.direct key=k",
    "queue.bind queue=q1 exchange=nowhere key=k",
    "queue.bind queue=q1 exchange=\"\" key=k",
    "queue.unbind queue=q1 exchange=\"\" key=k",
    "exchange.bind destination=nowhere source=amq.direct key=k",
    "exchange.bind destination=\"\" source=amq.direct key=k",
    "queue.purge queue=nowhere",
    "basic.consume queue=nowhere",
    "basic.get queue=nowhere",
    "basic.ack tag=99",
    "basic.reject tag=99",
    "basic.nack tag=99 multiple requeue",
    "tx.commit",
    "tx.rollback",
];

/// What the queues of a walk are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Classic,
    Quorum,
}

impl Kind {
    /// What a walk of this kind is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Classic => "walk",
            Self::Quorum => "quorum walk",
        }
    }

    /// Lines that shrinking must not take, before the commands.
    fn begin(self) -> &'static [&'static str] {
        match self {
            Self::Classic => BEGIN,
            Self::Quorum => quorum::BEGIN,
        }
    }
}

struct Walker {
    random: StdRng,
    lines: Vec<String>,
}

const BEGIN: &[&str] = &["keep-open a1 b1 c1 a3 b2"];

/// Lines that shrinking must not take, after the commands.
const END: &[&str] = &[
    "keep-open",
    "a0 connection.close",
    "b0 connection.close",
    "c0 connection.close",
    "d1 queue.declare queue=q1 passive",
    "drain d2 q1",
    "d3 queue.declare queue=q2 passive",
    "drain d4 q2",
    "d5 queue.declare queue=q3 passive",
    "drain d6 q3",
    "d0 connection.close",
];

/// The commands of this seed's walk.
pub(crate) fn walk(kind: Kind, seed: u64) -> Vec<String> {
    let mut walker = Walker {
        random: StdRng::seed_from_u64(seed),
        lines: Vec::new(),
    };
    match kind {
        Kind::Classic => walker.classic_walk(),
        Kind::Quorum => walker.quorum_walk(COMMANDS),
    }
    walker.lines
}

/// A script of these commands.
pub(crate) fn script(kind: Kind, commands: &[String]) -> String {
    let lines = kind.begin().iter().copied();
    let lines = lines.chain(commands.iter().map(String::as_str));
    lines
        .chain(END.iter().copied())
        .collect::<Vec<_>>()
        .join("\n")
}

impl Walker {
    fn classic_walk(&mut self) {
        for queue in QUEUES {
            if self.one_in(8) {
                continue;
            }
            let flags = self.pick(&["", "", " durable"]);
            let arguments = self.pick(&QUEUE_ARGUMENTS[..18]);
            self.push(format!(
                "a1 queue.declare queue={queue}{flags} arguments={{{arguments}}}"
            ));
        }
        self.push("a1 exchange.declare exchange=e1 type=fanout".to_owned());
        let kind = self.pick(TYPES);
        self.push(format!("a1 exchange.declare exchange=e2 type={kind}"));
        for _ in 0..3 {
            self.bind();
        }
        for _ in 0..COMMANDS {
            self.command();
        }
    }

    fn one_in(&mut self, count: u32) -> bool {
        self.random.random_ratio(1, count)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from.choose(&mut self.random).copied().unwrap_or_default()
    }

    fn push(&mut self, line: String) {
        self.lines.push(line);
    }

    fn channel(&mut self) -> &'static str {
        self.pick(CHANNELS)
    }

    fn exchange(&mut self) -> &'static str {
        self.pick(&[
            "e1",
            "e2",
            "e3",
            "amq.direct",
            "amq.topic",
            "amq.fanout",
            "amq.headers",
        ])
    }

    fn maybe(&mut self, count: u32, text: &'static str) -> &'static str {
        if self.one_in(count) { text } else { "" }
    }

    /// Whether a line so far has this text.
    fn has(&self, text: &str) -> bool {
        self.lines.iter().any(|line| line.contains(text))
    }

    fn bind(&mut self) {
        let channel = self.channel();
        let verb = if self.one_in(5) { "unbind" } else { "bind" };
        let key = self.pick(PATTERNS);
        let source = self.exchange();
        let arguments = self.pick(BINDING_ARGUMENTS);
        let line = if self.one_in(4) {
            // One of the two is deleted after the walk, and the binding with it.
            let destination = self.pick(EXCHANGES);
            format!("exchange.{verb} destination={destination} source={source} key={key}")
        } else {
            let queue = self.pick(&["q1", "q2", "q3", "\"\""]);
            format!("queue.{verb} queue={queue} exchange={source} key={key}")
        };
        self.push(format!("{channel} {line} arguments={{{arguments}}}"));
    }

    fn publish(&mut self) {
        let channel = self.channel();
        let number = self.lines.len();
        let (exchange, key) = if self.one_in(2) {
            ("\"\"", self.pick(QUEUES))
        } else {
            (self.exchange(), self.pick(KEYS))
        };
        let mandatory = self.maybe(4, " mandatory");
        let mode = self.maybe(2, " delivery-mode=2");
        // A queue with priorities of RabbitMQ's looks at a message's expiration only when the message is its first.
        let expiration = match self.has("x-max-priority") {
            true => "",
            false => self.maybe(12, " expiration=0"),
        };
        let priority = self.pick(&["", "", "", " priority=1", " priority=2", " priority=9"]);
        let headers = if self.one_in(3) {
            format!(" headers={{{}}}", self.pick(HEADERS))
        } else {
            String::new()
        };
        let times = if self.one_in(4) { "repeat 3 " } else { "" };
        self.push(format!(
            "{times}{channel} basic.publish exchange={exchange} key={key}{mandatory}{mode}\
             {expiration}{priority}{headers} body=\"m{number}.$n\""
        ));
    }

    fn settle(&mut self) {
        let channel = self.channel();
        let tag = self.random.random_range(0..5);
        let multiple = self.maybe(2, " multiple");
        let requeue = self.maybe(2, " requeue");
        let tag = if tag == 0 {
            "0"
        } else {
            self.pick(&["1", "2", "3", "4"])
        };
        let line = match (tag, self.random.random_range(0..4)) {
            ("0", 0 | 1) => "basic.ack tag=0 multiple".to_owned(),
            ("0", _) => format!("basic.nack tag=0 multiple{requeue}"),
            (tag, 0) => format!("basic.ack tag={tag}{multiple}"),
            (tag, 1) => format!("basic.nack tag={tag}{multiple}{requeue}"),
            (tag, _) => format!("basic.reject tag={tag}{requeue}"),
        };
        self.push(format!("{channel} {line}"));
    }

    fn declare(&mut self) {
        let channel = self.channel();
        if self.one_in(3) {
            let name = self.pick(EXCHANGES);
            let kind = self.pick(TYPES);
            let flags = self.pick(&["", "", " durable", " auto-delete", " internal", " passive"]);
            let arguments = self.pick(&[
                "",
                "",
                "",
                "alternate-exchange: e1",
                "alternate-exchange: 5",
            ]);
            self.push(format!(
                "{channel} exchange.declare exchange={name} type={kind}{flags} arguments={{{arguments}}}"
            ));
        } else {
            let name = self.pick(QUEUES);
            let flags = self.pick(&["", "", " durable", " auto-delete", " exclusive", " passive"]);
            let arguments = match self.pick(QUEUE_ARGUMENTS) {
                refusing if refusing.contains("reject-publish") && self.has("tx.select") => "",
                arguments => arguments,
            };
            self.push(format!(
                "{channel} queue.declare queue={name}{flags} arguments={{{arguments}}}"
            ));
        }
    }

    fn consume(&mut self) {
        let place = CONSUMING.choose(&mut self.random);
        let (channel, queue) = place.copied().unwrap_or(CONSUMING[0]);
        let tag = "c";
        let line = match self.random.random_range(0..6) {
            0 => format!("basic.cancel tag={tag}"),
            1 => {
                let count = self.pick(&["0", "1", "2", "3"]);
                let global = self.maybe(3, " global");
                format!("basic.qos count={count}{global}")
            }
            _ => {
                let no_ack = self.maybe(4, " no-ack");
                let exclusive = self.maybe(12, " exclusive");
                let arguments = self.pick(&[
                    "",
                    "",
                    "",
                    "x-priority: 5",
                    "x-priority: -1",
                    "x-priority: S \"1\"",
                ]);
                format!(
                    "basic.consume queue={queue} tag={tag}{no_ack}{exclusive} arguments={{{arguments}}}"
                )
            }
        };
        self.push(format!("{channel} {line}"));
    }

    fn get(&mut self) {
        let channel = self.pick(GETTING);
        let queue = self.pick(&["q1", "q2", "q3", "\"\""]);
        let no_ack = self.maybe(3, " no-ack");
        self.push(format!("{channel} basic.get queue={queue}{no_ack}"));
    }

    fn delete(&mut self) {
        let channel = self.channel();
        let line = match self.random.random_range(0..5) {
            0 => {
                let name = self.pick(EXCHANGES);
                let flags = self.maybe(2, " if-unused");
                format!("exchange.delete exchange={name}{flags}")
            }
            1 | 2 => {
                let name = self.pick(QUEUES);
                let flags = self.pick(&["", " if-unused", " if-empty", " if-unused if-empty"]);
                format!("queue.delete queue={name}{flags}")
            }
            _ => format!("queue.purge queue={}", self.pick(QUEUES)),
        };
        self.push(format!("{channel} {line}"));
    }

    fn command(&mut self) {
        match self.random.random_range(0..100) {
            0..30 => self.publish(),
            30..45 => self.settle(),
            45..60 => self.consume(),
            60..68 => self.get(),
            68..76 => self.declare(),
            76..82 => self.bind(),
            82..86 => self.delete(),
            86..90 => {
                let channel = self.channel();
                let line = self.pick(&[
                    "basic.recover requeue",
                    "basic.recover-async requeue",
                    "confirm.select",
                    "channel.close",
                    "basic.recover requeue",
                ]);
                self.push(format!("{channel} {line}"));
            }
            90..94 => {
                let line = match self.has("reject-publish") {
                    true => "tx.rollback",
                    false => self.pick(&["tx.select", "tx.commit", "tx.rollback"]),
                };
                let channel = self.pick(&["c1", "b2"]);
                self.push(format!("{channel} {line}"));
            }
            94..95 => {
                let name = self.pick(&["a0", "b0", "c0"]);
                self.push(format!("{name} connection.close"));
            }
            _ => {
                let channel = self.channel();
                let line = self.pick(FORBIDDEN);
                self.push(format!("{channel} {line}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Script;

    #[test]
    fn every_walk_is_a_script_and_a_seed_is_always_the_same_walk() {
        for kind in [Kind::Classic, Kind::Quorum] {
            for seed in 0..500 {
                let commands = walk(kind, seed);
                assert_eq!(commands, walk(kind, seed));
                Script::parse("walk", &script(kind, &commands)).unwrap();
            }
        }
    }
}

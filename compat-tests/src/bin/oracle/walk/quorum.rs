//! Walks over quorum queues.
//!
//! RabbitMQ's quorum queues do everything a little later: channels confirm, and after each line the rig waits until the
//! queues of both brokers hold equally much. Not in these walks: full queues that refuse, for RabbitMQ's take one message
//! more than their limit and refuse until a fifth of it is free; times to live of nothing, which RabbitMQ makes one
//! millisecond; negative delivery limits (see the list of known differences); answers to declarations, which count whoever
//! has got a message of a quorum queue and not yet settled it as one of its consumers.

use super::FORBIDDEN;
use super::KEYS;
use super::QUEUES;
use super::TYPES;
use super::Walker;
use rand::Rng;

/// Classic queues are among them, as targets of what dies.
const LEGAL: &[&str] = &[
    "x-queue-type: quorum",
    "x-queue-type: quorum",
    "x-queue-type: classic",
    "x-queue-type: quorum, x-delivery-limit: 0",
    "x-queue-type: quorum, x-delivery-limit: 1",
    "x-queue-type: quorum, x-delivery-limit: 2, x-dead-letter-exchange: e1",
    "x-queue-type: quorum, x-max-length: 2",
    "x-queue-type: quorum, x-max-length-bytes: 12, x-overflow: drop-head",
    "x-queue-type: quorum, x-max-length: 3, x-dead-letter-exchange: \"\", x-dead-letter-routing-key: q2",
    "x-queue-type: quorum, x-dead-letter-exchange: e1",
    "x-queue-type: quorum, x-dead-letter-exchange: \"\", x-dead-letter-routing-key: q3",
    "x-queue-type: quorum, x-dead-letter-exchange: nowhere",
    "x-queue-type: quorum, x-delivery-limit: 1, x-dead-letter-exchange: \"\", x-dead-letter-routing-key: q2, \
     x-dead-letter-strategy: at-least-once, x-overflow: reject-publish",
    "x-queue-type: quorum, x-dead-letter-exchange: \"\", x-dead-letter-routing-key: q3, \
     x-dead-letter-strategy: at-least-once, x-overflow: reject-publish",
    "x-queue-type: quorum, x-dead-letter-exchange: e1, x-dead-letter-strategy: at-least-once, x-overflow: reject-publish",
    "x-queue-type: quorum, x-dead-letter-exchange: e2, x-dead-letter-strategy: at-least-once",
    "x-queue-type: quorum, x-max-length: 1000, x-overflow: reject-publish",
    "x-queue-type: quorum, x-single-active-consumer: true",
    "x-queue-type: quorum, x-message-ttl: 600000",
];

const ILLEGAL: &[&str] = &[
    "",
    "x-queue-type: quorum, x-max-priority: 3",
    "x-queue-type: quorum, x-queue-mode: lazy",
    "x-queue-type: quorum, x-max-length: -1",
    "x-queue-type: quorum, x-overflow: neither",
    "x-queue-type: quorum, x-dead-letter-strategy: neither",
    "x-queue-type: quorum, x-dead-letter-routing-key: k",
    "x-queue-type: quorum, x-delivery-limit: S two",
];

/// What is different from the lines around other walks: the beginning.
pub(super) const BEGIN: &[&str] = &[
    "keep-open a1 b1 c1 a3 b2",
    "keep-even q1 q2 q3",
    "a1 confirm.select",
    "b1 confirm.select",
    "c1 confirm.select",
    "a3 confirm.select",
    "b2 confirm.select",
];

impl Walker {
    pub(super) fn quorum_walk(&mut self, commands: usize) {
        for queue in QUEUES {
            if self.one_in(8) {
                continue;
            }
            let arguments = self.pick(LEGAL);
            self.push(format!(
                "a1 queue.declare queue={queue} durable arguments={{{arguments}}}"
            ));
        }
        self.push("a1 exchange.declare exchange=e1 type=fanout".to_owned());
        let kind = self.pick(TYPES);
        self.push(format!("a1 exchange.declare exchange=e2 type={kind}"));
        for _ in 0..3 {
            self.bind();
        }
        for _ in 0..commands {
            self.quorum_command();
        }
    }

    fn quorum_command(&mut self) {
        match self.random.random_range(0..100) {
            0..32 => self.publish_stored(),
            32..54 => self.settle(),
            54..68 => self.consume_quorum(),
            68..76 => self.get(),
            76..80 => self.declare_quorum(),
            80..86 => self.bind(),
            86..90 => self.delete(),
            90..96 => {
                let channel = self.channel();
                let line = self.pick(&[
                    "basic.recover requeue",
                    "basic.recover-async requeue",
                    "confirm.select",
                    "channel.close",
                    "channel.close",
                ]);
                self.push(format!("{channel} {line}"));
            }
            96..98 => {
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

    fn publish_stored(&mut self) {
        let channel = self.channel();
        let number = self.lines.len();
        let (exchange, key) = if self.one_in(3) {
            (self.exchange(), self.pick(KEYS))
        } else {
            ("\"\"", self.pick(QUEUES))
        };
        let mandatory = self.maybe(6, " mandatory");
        let mode = self.maybe(2, " delivery-mode=2");
        let priority = self.pick(&["", "", " priority=4", " priority=5"]);
        let times = if self.one_in(3) { "repeat 3 " } else { "" };
        self.push(format!(
            "{times}{channel} basic.publish exchange={exchange} key={key}{mandatory}{mode}{priority} body=\"m{number}.$n\""
        ));
    }

    fn consume_quorum(&mut self) {
        if self.one_in(3) {
            let channel = self.pick(&["a1", "b1", "c1"]);
            let count = self.pick(&["1", "2", "3"]);
            let global = self.maybe(20, " global");
            self.push(format!("{channel} basic.qos count={count}{global}"));
        } else {
            self.consume();
        }
    }

    fn declare_quorum(&mut self) {
        let channel = self.channel();
        let name = self.pick(QUEUES);
        let arguments = if self.one_in(3) {
            self.pick(ILLEGAL)
        } else {
            self.pick(LEGAL)
        };
        let flags = match arguments.contains("quorum") {
            // The rig could not look at an exclusive queue.
            false => " durable",
            true => self.pick(&[
                " durable",
                " durable",
                " durable",
                "",
                " durable auto-delete",
                " durable exclusive",
            ]),
        };
        if self.has(&format!("queue={name} durable arguments={{{arguments}}}")) {
            return;
        }
        self.push(format!(
            "{channel} queue.declare queue={name}{flags} arguments={{{arguments}}}"
        ));
    }
}

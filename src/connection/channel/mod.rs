//! The channel machine: one client's conversation on one channel, a file per verb.
//!
//! Knows its own consumers, unacknowledged deliveries, confirms and transaction; what needs a queue or an exchange it
//! asks of the host. Frames are assembled into messages here; batching across channels is the connection's.
//!
//! ```text
//!  (unknown) ── channel.open ──► open ── channel error ──► closing ── close-ok ──► (unknown)
//!                                 │                        └─ discards all but close and close-ok
//!                                 └── channel.close ──► (unknown), after close-ok was sent
//! ```

mod ack;
mod assembly;
mod bind;
mod confirm;
mod consume;
mod declare;
mod deliver;
mod get;
mod publish;
mod qos;
mod recover;
mod select;
mod settle;
mod tx;

use std::sync::Arc;

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::access;
use amq_protocol::protocol::basic;
use amq_protocol::protocol::channel;
use amq_protocol::protocol::confirm as confirm_class;
use amq_protocol::protocol::exchange;
use amq_protocol::protocol::queue;
use amq_protocol::protocol::tx as tx_class;

use crate::connection::host::Host;
use crate::connection::turn::ChannelTurn;
use crate::connection::turn::Shared;
use crate::metrics::ChannelStats;
use crate::metrics::ChannelTallies;
use crate::model::AmqpError;
use crate::model::ChannelId;
use crate::model::ConsumerId;
use crate::model::Delivered;
use crate::model::DeliveryTag;
use crate::model::QueueName;
use crate::model::ReplyCode;

use ack::Unacked;
use confirm::Confirms;
use consume::Consumers;
use settle::Settles;
use tx::Transaction;

pub(super) use assembly::Assembly;
pub(super) use assembly::Complete;
pub(super) use assembly::ContentFault;
pub(super) use assembly::KnownHeader;
pub(super) use assembly::WholeContent;
pub(super) use assembly::whole_content;

/// How publishes are answered.
#[derive(Debug)]
enum Mode {
    Plain,
    Confirm(Confirms),
    Tx(Transaction),
}

/// One channel.
#[derive(Debug)]
pub(super) struct Channel {
    id: ChannelId,
    /// The server closed it and waits for `close-ok`.
    closing: bool,
    mode: Mode,
    consumers: Consumers,
    /// The consumer of direct replies, the present one or a former.
    reply_consumer: Option<ConsumerId>,
    unacked: Unacked,
    /// The next delivery tag.
    next_tag: u64,
    settles: Settles,
    /// Prefetch of consumers to come.
    prefetch: u16,
    /// The most recently declared queue.
    last_queue: Option<QueueName>,
    /// The message being received.
    pub(super) assembly: Assembly,
    /// The header of the message before, as the next is often the same.
    pub(super) known_header: KnownHeader,
    /// The connection has it on its list of channels with confirms to send.
    pub(super) listed_for_confirms: bool,
    /// The connection has it on its list of channels with settles to hand over.
    pub(super) listed_for_settles: bool,
    /// What it counts.
    stats: Arc<ChannelStats>,
    /// Once there are any.
    tallies: Option<Box<ChannelTallies>>,
}

impl Channel {
    pub(super) fn new(id: ChannelId, prefetch: u16, stats: Arc<ChannelStats>) -> Self {
        stats.prefetch.set(prefetch.into());
        Self {
            id,
            closing: false,
            mode: Mode::Plain,
            consumers: Consumers::default(),
            reply_consumer: None,
            unacked: Unacked::default(),
            next_tag: 1,
            settles: Settles::default(),
            prefetch,
            last_queue: None,
            assembly: Assembly::default(),
            known_header: KnownHeader::default(),
            listed_for_confirms: false,
            listed_for_settles: false,
            stats,
            tallies: None,
        }
    }

    /// It is being used.
    pub(super) fn touch(&self, shared: &Shared) {
        self.stats.used_second.set(shared.patience.second().into());
    }

    /// Whether the server closed it, so that all but close and close-ok is discarded.
    pub(super) fn is_closing(&self) -> bool {
        self.closing
    }

    /// Whether acknowledgements are steps of a transaction, which keep their order with its publishes.
    pub(super) fn is_transactional(&self) -> bool {
        matches!(self.mode, Mode::Tx(_))
    }

    /// The delivery that has waited longest for its acknowledgement, and since which second.
    pub(super) fn oldest_unacked(&self) -> Option<(&Delivered, u32)> {
        self.unacked.oldest()
    }

    /// Gives everything back through the host: the channel is over, or waits for `close-ok` only.
    pub(super) fn end(&mut self, host: &mut dyn Host) {
        if self.closing {
            return;
        }
        self.hand_over_settles(host);
        let mut unacked: Vec<_> = self.unacked.take_all().collect();
        if let Mode::Tx(transaction) = &mut self.mode {
            unacked.extend(transaction.roll_back().map(|(_, range)| range));
        }
        self.mode = Mode::Plain;
        self.consumers = Consumers::default();
        self.assembly = Assembly::default();
        self.known_header = KnownHeader::default();
        self.closing = true;
        self.stats.unacked.set(0);
        host.close_channel(self.id, unacked);
    }

    /// Obeys a method that is not on the hot path; open and close are the connection's.
    pub(super) fn handle(
        &mut self,
        method: AMQPClass,
        turn: &mut ChannelTurn<'_>,
    ) -> Result<(), AmqpError> {
        self.touch(turn.shared);
        match method {
            AMQPClass::Exchange(method) => match method {
                exchange::AMQPMethod::Declare(declare) => self.declare_exchange(declare, turn),
                exchange::AMQPMethod::Delete(delete) => self.delete_exchange(&delete, turn),
                exchange::AMQPMethod::Bind(bind) => self.bind_exchange(bind, turn),
                exchange::AMQPMethod::Unbind(unbind) => self.unbind_exchange(unbind, turn),
                exchange::AMQPMethod::DeclareOk(_)
                | exchange::AMQPMethod::DeleteOk(_)
                | exchange::AMQPMethod::BindOk(_)
                | exchange::AMQPMethod::UnbindOk(_) => Err(unimplemented_method()),
            },
            AMQPClass::Queue(method) => match method {
                queue::AMQPMethod::Declare(declare) => self.declare_queue(declare, turn),
                queue::AMQPMethod::Delete(delete) => self.delete_queue(&delete, turn),
                queue::AMQPMethod::Purge(purge) => self.purge_queue(&purge, turn),
                queue::AMQPMethod::Bind(bind) => self.bind_queue(bind, turn),
                queue::AMQPMethod::Unbind(unbind) => self.unbind_queue(unbind, turn),
                queue::AMQPMethod::DeclareOk(_)
                | queue::AMQPMethod::DeleteOk(_)
                | queue::AMQPMethod::PurgeOk(_)
                | queue::AMQPMethod::BindOk(_)
                | queue::AMQPMethod::UnbindOk(_) => Err(unimplemented_method()),
            },
            AMQPClass::Basic(method) => self.handle_basic(method, turn),
            AMQPClass::Confirm(method) => match method {
                confirm_class::AMQPMethod::Select(select) => self.select_confirms(&select, turn),
                confirm_class::AMQPMethod::SelectOk(_) => Err(unimplemented_method()),
            },
            AMQPClass::Tx(method) => match method {
                tx_class::AMQPMethod::Select(_) => self.select_transactions(turn),
                tx_class::AMQPMethod::Commit(_) => self.commit(turn),
                tx_class::AMQPMethod::Rollback(_) => self.roll_back(turn),
                tx_class::AMQPMethod::SelectOk(_)
                | tx_class::AMQPMethod::CommitOk(_)
                | tx_class::AMQPMethod::RollbackOk(_) => Err(unimplemented_method()),
            },
            AMQPClass::Channel(channel::AMQPMethod::Flow(flow)) => self.flow(&flow, turn),
            AMQPClass::Access(access::AMQPMethod::Request(_)) => {
                let ok = access::AMQPMethod::RequestOk(access::RequestOk {});
                turn.reply(self.id, &AMQPClass::Access(ok));
                Ok(())
            }
            AMQPClass::Access(access::AMQPMethod::RequestOk(_))
            | AMQPClass::Channel(_)
            | AMQPClass::Connection(_) => Err(unimplemented_method()),
        }
    }

    fn handle_basic(
        &mut self,
        method: basic::AMQPMethod,
        turn: &mut ChannelTurn<'_>,
    ) -> Result<(), AmqpError> {
        match method {
            basic::AMQPMethod::Consume(consume) => self.consume(consume, turn),
            basic::AMQPMethod::Cancel(cancel) => self.cancel(&cancel, turn),
            basic::AMQPMethod::Get(get) => self.get(&get, turn),
            basic::AMQPMethod::Recover(recover) => self.recover(recover.requeue, true, turn),
            basic::AMQPMethod::RecoverAsync(recover) => self.recover(recover.requeue, false, turn),
            // Parsed on the hot path, never by amq-protocol's types.
            basic::AMQPMethod::Publish(_)
            | basic::AMQPMethod::Ack(_)
            | basic::AMQPMethod::Nack(_)
            | basic::AMQPMethod::Reject(_)
            | basic::AMQPMethod::Qos(_)
            // Sent by servers alone.
            | basic::AMQPMethod::QosOk(_)
            | basic::AMQPMethod::ConsumeOk(_)
            | basic::AMQPMethod::CancelOk(_)
            | basic::AMQPMethod::Return(_)
            | basic::AMQPMethod::Deliver(_)
            | basic::AMQPMethod::GetOk(_)
            | basic::AMQPMethod::GetEmpty(_)
            | basic::AMQPMethod::RecoverOk(_) => Err(unimplemented_method()),
        }
    }

    fn flow(&mut self, flow: &channel::Flow, turn: &mut ChannelTurn<'_>) -> Result<(), AmqpError> {
        if !flow.active {
            return Err(AmqpError::not_implemented("active=false"));
        }
        let ok = channel::AMQPMethod::FlowOk(channel::FlowOk { active: true });
        turn.reply(self.id, &AMQPClass::Channel(ok));
        Ok(())
    }

    /// The queue a method names, where empty stands for the last declared one.
    fn queue_or_last(&self, name: &str) -> Result<QueueName, AmqpError> {
        if !name.is_empty() {
            return Ok(QueueName::known(name));
        }
        self.last_queue
            .clone()
            .ok_or_else(|| AmqpError::not_found("no previously declared queue"))
    }

    /// Tags for `count` deliveries; the first of them.
    fn allot_tags(&mut self, count: usize) -> DeliveryTag {
        let first = self.next_tag;
        self.next_tag += count as u64;
        DeliveryTag(first)
    }
}

/// A method that only servers send, or that has no meaning on a channel.
fn unimplemented_method() -> AmqpError {
    AmqpError::new(ReplyCode::CommandInvalid, "unimplemented method")
}

//! What a user does without a connection of their own, as over HTTP: with the rights, checks and texts that AMQP has.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::auth::User;
use crate::broker::Broker;
use crate::broker::Session;
use crate::connection::host::Bind;
use crate::connection::host::ExchangeDeclare;
use crate::connection::host::Got;
use crate::connection::host::Host;
use crate::connection::host::Publish;
use crate::connection::host::QueueDeclare;
use crate::connection::host::Settle;
use crate::metrics::ChannelStats;
use crate::model::AmqpError;
use crate::model::ChannelId;
use crate::model::Delivered;
use crate::model::ExchangeName;
use crate::model::Lsn;
use crate::model::QueueName;
use crate::model::Run;
use crate::vhost::Vhost;

/// The one channel that it has.
const CHANNEL: ChannelId = ChannelId(1);

/// A user at work in a virtual host. What was fetched and not settled goes back at its end.
pub struct Acting {
    session: Session,
    stats: ChannelStats,
    unacked: Vec<Delivered>,
}

/// What became of a message that was published so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// A queue took it.
    pub routed: bool,
    /// A queue was too full for it.
    pub refused: bool,
    /// It is safe once this is on the disk.
    pub commit: Lsn,
}

impl Broker {
    /// Lets `user` act in the virtual host. `None` when they may not enter it.
    pub fn act_for(
        self: &Arc<Self>,
        user: &Arc<User>,
        vhost: &Arc<Vhost>,
        peer: SocketAddr,
        now: u64,
    ) -> Option<Acting> {
        self.access.may_enter(user.name(), vhost.name()).then(|| {
            let mut session = Session::new(Arc::clone(self), peer);
            session.become_acting(Arc::clone(user), Arc::clone(vhost), CHANNEL);
            session.set_now(now);
            Acting {
                session,
                stats: ChannelStats::default(),
                unacked: Vec::new(),
            }
        })
    }
}

impl Acting {
    /// Declares an exchange.
    pub fn declare_exchange(&mut self, declare: ExchangeDeclare) -> Result<Lsn, AmqpError> {
        self.session.declare_exchange(declare)
    }

    /// Deletes an exchange.
    pub fn delete_exchange(
        &mut self,
        exchange: &ExchangeName,
        if_unused: bool,
    ) -> Result<Lsn, AmqpError> {
        self.session.delete_exchange(exchange, if_unused)
    }

    /// Declares a queue.
    pub fn declare_queue(&mut self, declare: QueueDeclare) -> Result<Lsn, AmqpError> {
        let declared = self.session.declare_queue(declare)?;
        Ok(declared.commit)
    }

    /// Deletes a queue.
    pub fn delete_queue(
        &mut self,
        queue: &QueueName,
        if_unused: bool,
        if_empty: bool,
    ) -> Result<Lsn, AmqpError> {
        let (_, commit) = self.session.delete_queue(queue, if_unused, if_empty)?;
        Ok(commit)
    }

    /// Purges a queue.
    pub fn purge_queue(&mut self, queue: &QueueName) -> Result<Lsn, AmqpError> {
        let (_, commit) = self.session.purge_queue(queue)?;
        Ok(commit)
    }

    /// Binds.
    pub fn bind(&mut self, bind: Bind) -> Result<Lsn, AmqpError> {
        self.session.bind(bind)
    }

    /// Unbinds.
    pub fn unbind(&mut self, bind: Bind) -> Result<Lsn, AmqpError> {
        self.session.unbind(bind)
    }

    /// Publishes one message, as mandatory and with a confirm.
    pub fn publish(&mut self, message: Run) -> Result<Sent, AmqpError> {
        let publish = Publish {
            run: message,
            mandatory: true,
        };
        let published = self.session.publish(CHANNEL, publish)?;
        let routed = published.unrouted.is_empty();
        let refused = !published.refused.is_empty();
        let stats = &self.stats;
        stats.publish.add(1);
        stats.publish_confirm.add(1);
        stats.routed.add(published.routed);
        stats.return_unroutable.add(u64::from(!routed));
        stats.confirm.add(u64::from(!refused));
        Ok(Sent {
            routed,
            refused,
            commit: published.commit,
        })
    }

    /// Fetches one message. Unless `no_ack` it waits for [`Acting::settle`].
    pub fn get(&mut self, queue: &QueueName, no_ack: bool) -> Result<Option<Got>, AmqpError> {
        let got = self.session.get(CHANNEL, queue, no_ack)?;
        match &got {
            None => self.stats.get_empty.add(1),
            Some(got) => {
                self.stats.fetched(no_ack, got.range.redelivered);
                if !no_ack {
                    self.unacked.push(got.range.clone());
                }
            }
        }
        Ok(got)
    }

    /// Settles everything that was fetched.
    pub fn settle(&mut self, settle: Settle) {
        let ranges = std::mem::take(&mut self.unacked);
        if !ranges.is_empty() {
            self.session.settle(CHANNEL, settle, ranges);
        }
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        self.settle(Settle::Requeue);
        self.session.stop_acting(self.stats.messages());
    }
}

//! Direct reply-to (specification §6.9): who waits for replies under which name, on whatever connection.
//!
//! A reply goes straight into the outbox of the requester's connection: no queue, no disk, delivered at most once.
//! Names are unguessable; who knows one may send to it, as in RabbitMQ.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dashmap::DashMap;

use crate::model::ChannelId;
use crate::model::ConsumerId;
use crate::model::Delivered;
use crate::model::Delivery;
use crate::model::Outbox;
use crate::model::Position;
use crate::model::QueueId;
use crate::model::Run;
use crate::model::names::DIRECT_REPLY_TO;
use crate::model::outbox::Parcel;

/// A requester that does not read gets no more replies while this much waits for its connection; they are dropped.
/// (RabbitMQ keeps them in memory without bound.)
pub(super) const REPLY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Random octets in a name's first part, and in its second: RabbitMQ's names have two, and clients match the point between
/// them and the padding at the end.
const SECRET_BYTES: [usize; 2] = [24, 16];

struct Requester {
    outbox: Arc<Outbox>,
    channel: ChannelId,
    consumer: ConsumerId,
}

/// See the module's documentation.
#[derive(Default)]
pub struct Replies {
    by_name: DashMap<String, Requester>,
}

impl Replies {
    /// Makes up a name; replies sent to it go to `consumer` until [`Replies::remove`].
    pub(super) fn add(
        &self,
        outbox: Arc<Outbox>,
        channel: ChannelId,
        consumer: ConsumerId,
    ) -> String {
        let first: [u8; SECRET_BYTES[0]] = rand::random();
        let second: [u8; SECRET_BYTES[1]] = rand::random();
        let name = format!(
            "{DIRECT_REPLY_TO}.{}.{}",
            URL_SAFE_NO_PAD.encode(first),
            URL_SAFE.encode(second)
        );
        let requester = Requester {
            outbox,
            channel,
            consumer,
        };
        self.by_name.insert(name.clone(), requester);
        name
    }

    pub(super) fn remove(&self, name: &str) {
        self.by_name.remove(name);
    }

    /// Whether somebody waits for replies under this name.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Delivers to who waits under this name, if anybody does.
    pub(super) fn deliver(&self, name: &str, run: &Run) {
        // Most that is unroutable is no reply.
        if !name.starts_with(DIRECT_REPLY_TO) {
            return;
        }
        let Some(requester) = self.by_name.get(name) else {
            return;
        };
        if requester.outbox.held_bytes() >= REPLY_BYTES_MAX {
            return;
        }
        requester.outbox.push(Parcel::Delivery(Delivery {
            channel: requester.channel,
            consumer: requester.consumer,
            no_ack: true,
            range: Delivered {
                // No queue has this id, and nothing comes back from a consumer that does not acknowledge.
                queue: QueueId(0),
                consumer: Some(requester.consumer),
                first: Position(0),
                run: run.clone().detached_if_sparse(),
                redelivered: false,
                returns: 0,
                expires_at: None,
                entered_at: 0,
                streamed: false,
            },
        }));
    }
}

//! What the channels gather during one read and the host gets at its end: messages in one chunk, settles in one call.
//!
//! Order: a channel's messages stay in the order sent, and come before its settles. A reject or a requeue may move
//! messages to where publishes go, so these two never wait together. Whoever acts on a method that could observe
//! either calls [`Connection::flush`] first. So an ack that comes in the same read as a publish that fails is still
//! obeyed; the client has not seen the error, and meant it.

use std::ops::Range;

use crate::connection::Connection;
use crate::connection::channel::Complete;
use crate::connection::channel::WholeContent;
use crate::connection::channel::whole_content;
use crate::connection::host::Publish;
use crate::connection::host::Settle;
use crate::connection::turn::Turn;
use crate::model::AmqpError;
use crate::model::ChannelId;
use crate::model::DeliveryTag;
use crate::model::Run;
use crate::model::RunBuilder;
use crate::model::message::Traits;
use crate::protocol::method::MethodId;
use crate::protocol::method::Publish as PublishMethod;
use crate::protocol::output::Sink as _;

/// Messages of this size that came in pieces keep the buffer they were put together in.
const OWN_BUFFER_BYTES_MIN: usize = 16 * 1024;

/// A chunk is not added to beyond this, however much came in one read: one message that lingers pins all of its chunk.
const CHUNK_BYTES_MAX: usize = 256 * 1024;

/// `basic.publish`, for the ids in close.
pub(super) const PUBLISH: MethodId = MethodId {
    class: 60,
    method: 40,
};

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Batch {
    builder: RunBuilder,
    /// Room was made in the builder for what this read may hold.
    reserved: bool,
    publishes: Vec<Pending>,
    /// Channels with settles to hand over.
    settling: Vec<ChannelId>,
    /// Some of these settles are not plain acks.
    moving: bool,
    /// Channels that published and want confirms.
    confirming: Vec<ChannelId>,
}

/// Consecutive messages of one channel with one route.
struct Pending {
    channel: ChannelId,
    mandatory: bool,
    messages: Messages,
}

enum Messages {
    /// These of the builder's.
    Gathered(Range<usize>),
    /// A message that came in pieces.
    Own(Run),
}

impl Batch {
    /// One more message like the last one added; `route` is its route.
    fn add_again(&mut self, route: &[u8], content: &WholeContent<'_>) {
        let WholeContent {
            header,
            body,
            traits,
            ..
        } = *content;
        self.builder.push(route, header, body, traits);
        if let Some(Pending {
            messages: Messages::Gathered(range),
            ..
        }) = self.publishes.last_mut()
        {
            range.end += 1;
        }
    }

    /// Room for as many messages like this one as `rest_octets` of input may hold.
    fn reserve(
        &mut self,
        route: &[u8],
        content: &WholeContent<'_>,
        method_octets: usize,
        rest_octets: usize,
    ) {
        self.reserved = true;
        let bytes = route.len() + content.header.len() + content.body.len();
        let octets = method_octets + content.consumed;
        let messages = (rest_octets.min(CHUNK_BYTES_MAX) + method_octets) / octets;
        self.builder.reserve(messages, messages * bytes);
    }

    fn add(
        &mut self,
        channel: ChannelId,
        mandatory: bool,
        route: &[u8],
        header: &[u8],
        body: &[u8],
        traits: Traits,
    ) {
        let index = self.builder.len();
        let same_route = self.builder.last_route() == Some(route);
        self.builder.push(route, header, body, traits);
        match self.publishes.last_mut() {
            Some(Pending {
                channel: last,
                mandatory: last_mandatory,
                messages: Messages::Gathered(range),
            }) if same_route && *last == channel && *last_mandatory == mandatory => {
                range.end = index + 1;
            }
            _ => self.publishes.push(Pending {
                channel,
                mandatory,
                messages: Messages::Gathered(index..index + 1),
            }),
        }
    }
}

impl Connection {
    /// `basic.publish` on an open channel, which `frame` holds and `rest` follows. Octets of `rest` taken with it: its
    /// content, and whole messages after it that repeat its method frame, as a publisher in full swing sends them.
    /// Nothing, when its content is not all there.
    pub(super) fn publish(
        &mut self,
        id: ChannelId,
        publish: &PublishMethod<'_>,
        frame: &[u8],
        rest: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<usize, AmqpError> {
        if publish.immediate {
            return Err(AmqpError::not_implemented("immediate=true"));
        }
        if self.batch.moving {
            self.flush_settles(turn);
        }
        if self.batch.builder.held_bytes() >= CHUNK_BYTES_MAX {
            self.flush_publishes(turn);
        }
        let Some(channel) = self.channels.get_mut(&id) else {
            return Ok(0);
        };
        let frame_max = self.shared.frame_max;
        let body_bytes_max = self.shared.options.max_message_bytes;
        let known = &mut channel.known_header;
        let Some(content) = whole_content(rest, id, frame_max, body_bytes_max, known) else {
            channel.assembly.begin(publish);
            return Ok(0);
        };
        let (route, mandatory) = (publish.route, publish.mandatory);
        let mut taken = content.consumed;
        // A message that came in pieces may be in the builder already.
        if !self.batch.reserved {
            self.batch.reserve(route, &content, frame.len(), rest.len());
        }
        self.batch.add(
            id,
            mandatory,
            route,
            content.header,
            content.body,
            content.traits,
        );
        while self.batch.builder.held_bytes() < CHUNK_BYTES_MAX
            && let Some(again) = rest[taken..].strip_prefix(frame)
            && let Some(content) = whole_content(again, id, frame_max, body_bytes_max, known)
        {
            self.batch.add_again(route, &content);
            taken += frame.len() + content.consumed;
        }
        Ok(taken)
    }

    /// A message that came in pieces.
    pub(super) fn gather_complete(
        &mut self,
        channel: ChannelId,
        message: Complete,
        turn: &mut Turn<'_>,
    ) {
        if self.batch.moving {
            self.flush_settles(turn);
        }
        if message.held_bytes() < OWN_BUFFER_BYTES_MIN {
            let (route, header, body, traits) = message.parts();
            return self
                .batch
                .add(channel, message.mandatory, route, header, body, traits);
        }
        self.batch.publishes.push(Pending {
            channel,
            mandatory: message.mandatory,
            messages: Messages::Own(message.into_run()),
        });
    }

    /// `basic.ack`, `basic.nack` and `basic.reject` on an open channel.
    pub(super) fn gather_settle(
        &mut self,
        id: ChannelId,
        tag: DeliveryTag,
        multiple: bool,
        settle: Settle,
        turn: &mut Turn<'_>,
    ) -> Result<(), AmqpError> {
        let Some(mut channel) = self.channels.get_mut(&id) else {
            return Ok(());
        };
        if channel.is_transactional() || settle != Settle::Ack {
            self.flush_publishes(turn);
            // One of them may just have closed the channel.
            match self.channels.get_mut(&id) {
                Some(open) if !open.is_closing() => channel = open,
                Some(_) | None => return Ok(()),
            }
        }
        channel.settle(tag, multiple, settle)?;
        if !channel.is_transactional() {
            self.batch.moving |= settle != Settle::Ack;
            if !std::mem::replace(&mut channel.listed_for_settles, true) {
                self.batch.settling.push(id);
            }
        }
        Ok(())
    }

    /// Hands everything gathered to the host.
    pub(super) fn flush(&mut self, turn: &mut Turn<'_>) {
        self.flush_publishes(turn);
        self.flush_settles(turn);
    }

    fn flush_settles(&mut self, turn: &mut Turn<'_>) {
        self.batch.moving = false;
        for id in self.batch.settling.drain(..) {
            if let Some(channel) = self.channels.get_mut(&id) {
                channel.listed_for_settles = false;
                channel.touch(&self.shared);
                channel.hand_over_settles(turn.host);
            }
        }
    }

    fn flush_publishes(&mut self, turn: &mut Turn<'_>) {
        if self.batch.publishes.is_empty() {
            return;
        }
        let mut publishes = std::mem::take(&mut self.batch.publishes);
        self.batch.reserved = false;
        let gathered = (!self.batch.builder.is_empty()).then(|| self.batch.builder.finish());
        for pending in publishes.drain(..) {
            let run = match (pending.messages, &gathered) {
                (Messages::Own(run), _) => run,
                (Messages::Gathered(range), Some(gathered)) => gathered.slice(range),
                (Messages::Gathered(_), None) => continue,
            };
            // The channel, or all of them, may have been closed by a publish before.
            let Some(channel) = self.channels.get_mut(&pending.channel) else {
                continue;
            };
            if channel.is_closing() {
                continue;
            }
            let publish = Publish {
                run,
                mandatory: pending.mandatory,
            };
            let outcome = channel.publish(publish, &mut turn.on_channel(&mut self.shared));
            if channel.confirms() && !std::mem::replace(&mut channel.listed_for_confirms, true) {
                self.batch.confirming.push(pending.channel);
            }
            if let Err(error) = outcome {
                self.fail_channel(pending.channel, error, PUBLISH, turn);
            }
        }
        // Keeps its room for the next read.
        self.batch.publishes = publishes;
        for id in std::mem::take(&mut self.batch.confirming) {
            if let Some(channel) = self.channels.get_mut(&id) {
                channel.listed_for_confirms = false;
                if channel
                    .send_confirms(&self.shared, turn.out.octets())
                    .is_some()
                {
                    self.unconfirmed.insert(id);
                }
            }
        }
    }
}

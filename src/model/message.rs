//! Messages as opaque handles that travel in runs.
//!
//! The complete messages of one read share one chunk; a [`Run`] is a range of them. Nobody above this
//! module knows where the bytes lie, so that the storage can change without its users.
//! Header and body stay the bytes that came from the publisher; nothing is decoded here.
//!
//! Layout of one message in its chunk, parts back to back:
//! `route` (exchange and routing key as two short strings, as they stand in `basic.publish` and in
//! `basic.deliver`), `header` (property flags and property list of the content header), `body`.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::model::ExchangeName;

/// What the publisher's header says that the broker must know without scanning it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traits {
    bits: u8,
    /// The `priority` property; 0 when absent.
    pub priority: u8,
}

impl Traits {
    const PERSISTENT: u8 = 1;
    const HEADERS: u8 = 2;
    const EXPIRATION: u8 = 4;
    const USER_ID: u8 = 8;
    const REPLY_TO: u8 = 16;
    const COPIES: u8 = 32;
    const BCC: u8 = 64;
    const DIED: u8 = 128;

    /// What decides where a message goes beside its routing key, or whether it goes anywhere.
    const DEMANDING: u8 = Self::EXPIRATION | Self::USER_ID | Self::REPLY_TO | Self::COPIES;

    /// Traits of a header with these properties.
    pub fn new(
        persistent: bool,
        headers: bool,
        expiration: bool,
        user_id: bool,
        reply_to: bool,
        priority: u8,
    ) -> Self {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        Self {
            bits: bit(persistent, Self::PERSISTENT)
                | bit(headers, Self::HEADERS)
                | bit(expiration, Self::EXPIRATION)
                | bit(user_id, Self::USER_ID)
                | bit(reply_to, Self::REPLY_TO),
            priority,
        }
    }

    /// The same, with or without [`Traits::has_copies`].
    pub fn with_copies(self, copies: bool) -> Self {
        let others = self.bits & !Self::COPIES;
        Self {
            bits: others | if copies { Self::COPIES } else { 0 },
            ..self
        }
    }

    /// The same, with or without [`Traits::has_bcc`].
    pub fn with_bcc(self, bcc: bool) -> Self {
        let others = self.bits & !Self::BCC;
        Self {
            bits: others | if bcc { Self::BCC } else { 0 },
            ..self
        }
    }

    /// The same, of a message whose death a queue has told in the headers.
    pub fn with_death(self) -> Self {
        Self {
            bits: self.bits | Self::DIED,
            ..self
        }
    }

    /// A queue has told of deaths in the headers: what they say of them is true.
    pub fn has_died(self) -> bool {
        self.bits & Self::DIED != 0
    }

    /// `delivery-mode` is 2.
    pub fn persistent(self) -> bool {
        self.bits & Self::PERSISTENT != 0
    }

    /// The `headers` property is present.
    pub fn has_headers(self) -> bool {
        self.bits & Self::HEADERS != 0
    }

    /// The `expiration` property is present.
    pub fn has_expiration(self) -> bool {
        self.bits & Self::EXPIRATION != 0
    }

    /// The `user-id` property is present.
    pub fn has_user_id(self) -> bool {
        self.bits & Self::USER_ID != 0
    }

    /// The `reply-to` property is present.
    pub fn has_reply_to(self) -> bool {
        self.bits & Self::REPLY_TO != 0
    }

    /// The headers have an entry `CC` or `BCC`: further routing keys.
    pub fn has_copies(self) -> bool {
        self.bits & Self::COPIES != 0
    }

    /// The headers have an entry `BCC`, which the broker keeps and shows to nobody.
    pub fn has_bcc(self) -> bool {
        self.bits & Self::BCC != 0
    }

    /// Its properties must be looked at before it is routed: `expiration`, `user-id`, `reply-to`, `CC`, `BCC`.
    pub fn are_demanding(self) -> bool {
        self.bits & Self::DEMANDING != 0
    }

    /// As two octets, for the store.
    pub fn to_bytes(self) -> [u8; 2] {
        [self.bits, self.priority]
    }

    /// From [`Traits::to_bytes`].
    pub fn from_bytes([bits, priority]: [u8; 2]) -> Self {
        Self { bits, priority }
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    at: u32,
    header_bytes: u32,
    body_bytes: u32,
    route_bytes: u16,
    traits: Traits,
}

impl Entry {
    fn len(&self) -> usize {
        self.route_bytes as usize + self.header_bytes as usize + self.body_bytes as usize
    }
}

struct Chunk {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Some message's traits are demanding.
    demanding: bool,
}

/// One message, borrowed from its run.
#[derive(Clone, Copy)]
pub struct MessageRef<'a> {
    chunk: &'a Arc<Chunk>,
    entry: &'a Entry,
}

impl<'a> MessageRef<'a> {
    fn part(self, from: usize, len: usize) -> &'a [u8] {
        let at = self.entry.at as usize + from;
        &self.chunk.bytes[at..at + len]
    }

    /// Exchange and routing key as two short strings.
    pub fn route(self) -> &'a [u8] {
        self.part(0, self.entry.route_bytes as usize)
    }

    /// Name of the exchange it was published to.
    pub fn exchange(self) -> &'a str {
        short_string(self.route(), 0)
    }

    /// Routing key it was published with.
    pub fn routing_key(self) -> &'a str {
        let route = self.route();
        short_string(route, 1 + usize::from(route[0]))
    }

    /// Property flags and property list of the content header (the header frame's payload without class, weight and
    /// body size).
    pub fn header(self) -> &'a [u8] {
        self.part(
            self.entry.route_bytes as usize,
            self.entry.header_bytes as usize,
        )
    }

    /// The body.
    pub fn body(self) -> &'a [u8] {
        self.part(
            self.entry.route_bytes as usize + self.entry.header_bytes as usize,
            self.entry.body_bytes as usize,
        )
    }

    /// `len` octets of the body from `at` on, which live as long as somebody needs them.
    ///
    /// # Panics
    /// When the body is shorter.
    pub fn shared_body(self, at: usize, len: usize) -> SharedBody {
        assert!(
            at + len <= self.entry.body_bytes as usize,
            "a part of the body"
        );
        let parts_before = self.entry.route_bytes as usize + self.entry.header_bytes as usize;
        SharedBody {
            chunk: Arc::clone(self.chunk),
            at: self.entry.at as usize + parts_before + at,
            len,
        }
    }

    /// What the header says.
    pub fn traits(self) -> Traits {
        self.entry.traits
    }

    /// Bytes of route, header and body together: what it costs to hold.
    pub fn held_bytes(self) -> usize {
        self.entry.len()
    }
}

/// A part of a message's body that was not copied.
pub struct SharedBody {
    chunk: Arc<Chunk>,
    at: usize,
    len: usize,
}

impl SharedBody {
    /// Its octets.
    pub fn as_slice(&self) -> &[u8] {
        &self.chunk.bytes[self.at..self.at + self.len]
    }
}

fn short_string(bytes: &[u8], at: usize) -> &str {
    let len = usize::from(bytes[at]);
    // The parser that built the run checked the UTF-8; the store checks its blobs by checksum.
    std::str::from_utf8(&bytes[at + 1..at + 1 + len]).unwrap_or_default()
}

impl fmt::Debug for MessageRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("exchange", &self.exchange())
            .field("routing_key", &self.routing_key())
            .field("body_bytes", &self.entry.body_bytes)
            .finish()
    }
}

/// A range of messages that came together. Cloning shares them.
#[derive(Clone)]
pub struct Run {
    chunk: Arc<Chunk>,
    start: u32,
    end: u32,
}

impl Run {
    /// Number of messages.
    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The messages in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = MessageRef<'_>> + ExactSizeIterator {
        self.chunk.entries[self.start as usize..self.end as usize]
            .iter()
            .map(|entry| MessageRef {
                chunk: &self.chunk,
                entry,
            })
    }

    /// The message at `index`.
    ///
    /// # Panics
    /// When there is none.
    pub fn message(&self, index: usize) -> MessageRef<'_> {
        assert!(
            index < self.len(),
            "message {index} of a run of {}",
            self.len()
        );
        MessageRef {
            chunk: &self.chunk,
            entry: &self.chunk.entries[self.start as usize + index],
        }
    }

    /// The first message.
    ///
    /// # Panics
    /// When the run is empty.
    pub fn first(&self) -> MessageRef<'_> {
        self.message(0)
    }

    /// Messages `range` of this run.
    ///
    /// # Panics
    /// When the range reaches outside.
    pub fn slice(&self, range: Range<usize>) -> Run {
        assert!(
            range.start <= range.end && range.end <= self.len(),
            "{range:?} of a run of {}",
            self.len()
        );
        Run {
            chunk: Arc::clone(&self.chunk),
            start: self.start + range.start as u32,
            end: self.start + range.end as u32,
        }
    }

    /// Takes the first `count` messages out.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn take_front(&mut self, count: usize) -> Run {
        let front = self.slice(0..count);
        self.start += count as u32;
        front
    }

    /// Takes the last `count` messages out.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn take_back(&mut self, count: usize) -> Run {
        let back = self.slice(self.len() - count..self.len());
        self.end -= count as u32;
        back
    }

    /// Appends `next` when it continues this run in the same chunk; else gives it back.
    pub fn try_join(&mut self, next: Run) -> Result<(), Run> {
        if self.end == next.start && Arc::ptr_eq(&self.chunk, &next.chunk) {
            self.end = next.end;
            Ok(())
        } else {
            Err(next)
        }
    }

    /// Whether there may be messages here whose [`Traits::are_demanding`]; when not, none need be looked at.
    pub fn may_be_demanding(&self) -> bool {
        self.chunk.demanding
    }

    /// Sum of [`MessageRef::held_bytes`].
    pub fn held_bytes(&self) -> usize {
        match (self.first_entry(), self.last_entry()) {
            // Parts lie back to back, so the span is the sum.
            (Some(first), Some(last)) => last.at as usize + last.len() - first.at as usize,
            _ => 0,
        }
    }

    /// Routes, headers and bodies of all its messages, back to back in order.
    pub fn bytes(&self) -> &[u8] {
        match (self.first_entry(), self.last_entry()) {
            (Some(first), Some(last)) => {
                &self.chunk.bytes[first.at as usize..last.at as usize + last.len()]
            }
            _ => &[],
        }
    }

    /// Equal for runs of the very same messages while one of them lives: where they lie, not what they say.
    pub fn identity(&self) -> (usize, u32, u32) {
        (Arc::as_ptr(&self.chunk) as usize, self.start, self.end)
    }

    /// Sum of the body sizes.
    pub fn body_bytes(&self) -> u64 {
        self.iter().map(|message| message.body().len() as u64).sum()
    }

    /// The same messages in a chunk of their own when they use less than half of the shared one, so that a message that
    /// lingers does not pin everything that was read with it.
    pub fn detached_if_sparse(self) -> Run {
        if self.held_bytes() * 2 >= self.chunk.bytes.len() {
            return self;
        }
        let mut builder = RunBuilder::default();
        for message in self.iter() {
            builder.push(
                message.route(),
                message.header(),
                message.body(),
                message.traits(),
            );
        }
        builder.finish()
    }

    fn first_entry(&self) -> Option<&Entry> {
        self.chunk.entries[self.start as usize..self.end as usize].first()
    }

    fn last_entry(&self) -> Option<&Entry> {
        self.chunk.entries[self.start as usize..self.end as usize].last()
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The route of a message: exchange and routing key as two short strings.
///
/// # Panics
/// When the routing key is longer than 255 octets.
pub fn route(exchange: &ExchangeName, routing_key: &str) -> Vec<u8> {
    assert!(
        routing_key.len() <= 255,
        "routing key longer than a short string"
    );
    let mut route = Vec::with_capacity(2 + exchange.len() + routing_key.len());
    route.push(exchange.len() as u8);
    route.extend_from_slice(exchange.as_bytes());
    route.push(routing_key.len() as u8);
    route.extend_from_slice(routing_key.as_bytes());
    route
}

/// Gathers messages into one chunk.
///
/// A chunk holds less than 4 GiB; a builder is finished far earlier, after each read.
#[derive(Default)]
pub struct RunBuilder {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    demanding: bool,
}

impl RunBuilder {
    /// Adds a message whose parts are all there.
    pub fn push(&mut self, route: &[u8], header: &[u8], body: &[u8], traits: Traits) {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(route);
        self.bytes.extend_from_slice(header);
        self.bytes.extend_from_slice(body);
        self.entry(at, route.len(), header.len(), body.len(), traits);
    }

    /// A run of one message from a buffer that already holds route, header and body back to back: no copy.
    pub fn single(bytes: Vec<u8>, route_bytes: usize, header_bytes: usize, traits: Traits) -> Run {
        let body_bytes = bytes.len() - route_bytes - header_bytes;
        let mut builder = RunBuilder {
            bytes,
            entries: Vec::with_capacity(1),
            demanding: false,
        };
        builder.entry(0, route_bytes, header_bytes, body_bytes, traits);
        builder.finish()
    }

    /// A builder over a buffer in which messages lie already, for [`RunBuilder::found`].
    pub fn over(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            entries: Vec::new(),
            demanding: false,
        }
    }

    /// Adds a message whose route begins at `at` of the buffer, header and body right behind it. They are added in the
    /// order in which they lie, without gaps between them.
    ///
    /// # Panics
    /// When it reaches outside of the buffer or does not follow the one before it.
    pub fn found(&mut self, at: usize, route: usize, header: usize, body: usize, traits: Traits) {
        assert!(
            at + route + header + body <= self.bytes.len(),
            "a message lies in its buffer"
        );
        let follows = |last: &Entry| last.at as usize + last.len() == at;
        assert!(
            self.entries.last().is_none_or(follows),
            "messages lie back to back"
        );
        self.entry(at, route, header, body, traits);
    }

    /// Makes room for so many messages of so many bytes together.
    pub fn reserve(&mut self, messages: usize, bytes: usize) {
        self.entries.reserve(messages);
        self.bytes.reserve(bytes);
    }

    fn entry(&mut self, at: usize, route: usize, header: usize, body: usize, traits: Traits) {
        assert!(
            at + route + header + body <= u32::MAX as usize,
            "a chunk holds less than 4 GiB"
        );
        self.demanding |= traits.are_demanding();
        self.entries.push(Entry {
            at: at as u32,
            header_bytes: header as u32,
            body_bytes: body as u32,
            route_bytes: route as u16,
            traits,
        });
    }

    /// Number of messages so far.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none so far.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes gathered so far.
    pub fn held_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The route of the last message pushed.
    pub fn last_route(&self) -> Option<&[u8]> {
        let entry = self.entries.last()?;
        Some(&self.bytes[entry.at as usize..entry.at as usize + entry.route_bytes as usize])
    }

    /// All messages as one run; the builder is empty afterwards.
    pub fn finish(&mut self) -> Run {
        // What was reserved in vain must not live as long as the messages.
        if self.bytes.capacity() / 2 > self.bytes.len() {
            self.bytes.shrink_to_fit();
            self.entries.shrink_to_fit();
        }
        let chunk = Chunk {
            bytes: std::mem::take(&mut self.bytes),
            entries: std::mem::take(&mut self.entries),
            demanding: std::mem::take(&mut self.demanding),
        };
        let end = chunk.entries.len() as u32;
        Run {
            chunk: Arc::new(chunk),
            start: 0,
            end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_of(bodies: &[&str]) -> Run {
        let mut builder = RunBuilder::default();
        let route = route(&ExchangeName::known("x"), "key");
        for body in bodies {
            builder.push(&route, &[0, 0], body.as_bytes(), Traits::default());
        }
        builder.finish()
    }

    #[test]
    fn parts_come_back_as_they_went_in() {
        let run = run_of(&["one", ""]);
        let message = run.first();
        assert_eq!((message.exchange(), message.routing_key()), ("x", "key"));
        assert_eq!(
            (message.header(), message.body()),
            (&[0u8, 0][..], &b"one"[..])
        );
        assert_eq!(run.message(1).body(), b"");
        assert_eq!(
            run.held_bytes(),
            run.iter().map(MessageRef::held_bytes).sum::<usize>()
        );
    }

    #[test]
    fn a_run_split_and_joined_is_the_same_run() {
        let mut run = run_of(&["a", "b", "c", "d"]);
        let mut front = run.take_front(1);
        let back = run.take_back(1);
        assert_eq!(run.len(), 2);
        assert!(front.try_join(back.clone()).is_err(), "not adjacent");
        front.try_join(run).expect("adjacent");
        front.try_join(back).expect("adjacent");
        let bodies: Vec<_> = front.iter().map(MessageRef::body).collect();
        assert_eq!(bodies, [b"a", b"b", b"c", b"d"]);
    }

    #[test]
    fn room_reserved_in_vain_is_given_back() {
        let mut builder = RunBuilder::default();
        builder.reserve(100, 100_000);
        let route = route(&ExchangeName::known("x"), "key");
        builder.push(&route, &[0, 0], b"body", Traits::default());
        assert!(builder.finish().chunk.bytes.capacity() < 100);
    }

    #[test]
    fn a_lingering_message_does_not_pin_its_chunk() {
        let run = run_of(&["a", &"b".repeat(1000)]);
        let whole = run.clone().detached_if_sparse();
        assert!(Arc::ptr_eq(&whole.chunk, &run.chunk));
        let small = run.slice(0..1).detached_if_sparse();
        assert!(!Arc::ptr_eq(&small.chunk, &run.chunk));
        assert_eq!(small.first().body(), b"a");
    }
}

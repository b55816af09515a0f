//! A message as routing sees it: in a run, or on its way into one.

use std::cell::OnceCell;

use amq_protocol::types::AMQPValue;
use amq_protocol::types::FieldTable;

use crate::model::MessageRef;
use crate::model::Run;
use crate::model::RunBuilder;
use crate::model::message::Traits;
use crate::protocol::copies;
use crate::protocol::properties;
use crate::protocol::properties::Fields;

/// One message with its routing keys. Its header table is decoded once, when somebody asks for it.
pub struct Letter<'a> {
    /// The routing key first, then those of CC and BCC.
    pub keys: &'a [&'a str],
    /// Exchange and routing key as two short strings, as they are delivered.
    pub route: &'a [u8],
    /// Flags and property list.
    pub header: &'a [u8],
    /// The body.
    pub body: &'a [u8],
    /// What the header says.
    pub traits: Traits,
    /// Milliseconds since the Unix epoch.
    pub now: u64,
    headers: OnceCell<Option<FieldTable>>,
}

impl<'a> Letter<'a> {
    /// A message of a run.
    pub fn new(message: MessageRef<'a>, keys: &'a [&'a str], now: u64) -> Self {
        Self {
            keys,
            route: message.route(),
            header: message.header(),
            body: message.body(),
            traits: message.traits(),
            now,
            headers: OnceCell::new(),
        }
    }

    /// The same message with another route and other properties, which have headers.
    pub fn rewritten<'b>(self, route: &'b [u8], header: &'b [u8]) -> Letter<'b>
    where
        'a: 'b,
    {
        let traits = self.traits;
        let rewritten = Traits::new(
            traits.persistent(),
            true,
            traits.has_expiration(),
            traits.has_user_id(),
            traits.has_reply_to(),
            traits.priority,
        )
        .with_copies(traits.has_copies())
        .with_bcc(traits.has_bcc());
        Letter {
            keys: self.keys,
            route,
            header,
            body: self.body,
            traits: if traits.has_died() {
                rewritten.with_death()
            } else {
                rewritten
            },
            now: self.now,
            headers: OnceCell::new(),
        }
    }

    /// The header table, when there is one.
    pub fn headers(&self) -> Option<&FieldTable> {
        if !self.traits.has_headers() {
            return None;
        }
        let headers = self
            .headers
            .get_or_init(|| properties::headers(&copies::shown(self.header, self.traits)));
        headers.as_ref()
    }

    /// The last header of that name.
    pub fn header_value(&self, name: &str) -> Option<&AMQPValue> {
        self.headers()?.inner().get(name)
    }

    /// Its properties.
    pub fn fields(&self) -> Fields<'a> {
        Fields(self.header)
    }

    /// A run of its own.
    pub fn to_run(&self) -> Run {
        let mut builder = RunBuilder::default();
        builder.push(self.route, self.header, self.body, self.traits);
        builder.finish()
    }
}

//! What the properties of published messages demand: checks in RabbitMQ's order, `reply-to` rewritten, further routing
//! keys found.
//!
//! Only messages whose traits are demanding are looked at, and neighbours with the same properties are looked at once.
//! It knows no exchange and no queue.

use std::sync::Arc;

use crate::broker::Session;
use crate::model::AmqpError;
use crate::model::ChannelId;
use crate::model::MessageRef;
use crate::model::Release;
use crate::model::Run;
use crate::model::RunBuilder;
use crate::model::names::DIRECT_REPLY_TO;
use crate::protocol::copies;
use crate::protocol::erlang;
use crate::protocol::properties;
use crate::protocol::properties::Fields;
use crate::queue::arguments::EXPIRY_MS_MAX;

/// A run whose properties have been looked at.
pub(super) struct Judged {
    /// The messages before the first that is refused, as they are passed on.
    pub(super) run: Run,
    /// They differ from those that came.
    pub(super) rewritten: bool,
    /// Messages with further routing keys, ascending, and these keys.
    pub(super) copies: Vec<(usize, Arc<[String]>)>,
    /// Why the message after them is refused.
    pub(super) refused: Option<AmqpError>,
}

/// What the properties of one message come to.
#[derive(Clone, Default)]
pub(super) struct Verdict {
    /// These are passed on instead.
    header: Option<Arc<[u8]>>,
    copies: Option<Arc<[String]>>,
}

impl Session {
    /// Looks at the properties of each message until one is refused.
    pub(super) fn judge(&self, channel: ChannelId, run: &Run) -> Judged {
        let mut judged = Judged {
            run: run.clone(),
            rewritten: false,
            copies: Vec::new(),
            refused: None,
        };
        let mut rewritten = None;
        let mut known: Option<(&[u8], Verdict)> = None;
        for (index, message) in run.iter().enumerate() {
            let verdict = match &known {
                _ if !message.traits().are_demanding() => Verdict::default(),
                Some((header, verdict)) if *header == message.header() => verdict.clone(),
                _ => match self.verdict(channel, message) {
                    Ok(verdict) => {
                        known = Some((message.header(), verdict.clone()));
                        verdict
                    }
                    Err(error) => {
                        judged.run = run.slice(0..index);
                        judged.refused = Some(error);
                        break;
                    }
                },
            };
            if verdict.header.is_some() {
                rewritten.get_or_insert_with(|| copied(&run.slice(0..index)));
            }
            if let Some(builder) = &mut rewritten {
                let header = verdict.header.as_deref().unwrap_or(message.header());
                builder.push(message.route(), header, message.body(), message.traits());
            }
            judged
                .copies
                .extend(verdict.copies.map(|keys| (index, keys)));
        }
        if let Some(mut builder) = rewritten {
            judged.run = builder.finish();
            judged.rewritten = true;
        }
        judged
    }

    /// Checks in RabbitMQ's order: 3.13 checks `user-id` before the others, 4 after them.
    fn verdict(&self, channel: ChannelId, message: MessageRef<'_>) -> Result<Verdict, AmqpError> {
        let verdict = self.demands(channel, message)?;
        if self.broker.shared.release == Release::V4
            && let Some(claimed) = Fields(message.header()).user_id()
        {
            self.check_user_id(&claimed)?;
        }
        Ok(verdict)
    }

    /// All but what 4 checks last; there, topic permissions come in between.
    pub(super) fn demands(
        &self,
        channel: ChannelId,
        message: MessageRef<'_>,
    ) -> Result<Verdict, AmqpError> {
        let (traits, fields) = (message.traits(), Fields(message.header()));
        let mut verdict = Verdict::default();
        let mut header = None;
        if traits.has_reply_to() && fields.reply_to().as_deref() == Some(DIRECT_REPLY_TO) {
            let state = self.channels.get(&channel);
            let Some(replies) = state.and_then(|state| state.replies.as_ref()) else {
                let text = "fast reply consumer does not exist";
                return Err(AmqpError::precondition_failed(text));
            };
            header = Some(properties::with_reply_to(message.header(), &replies.name));
        }
        if self.broker.shared.release == Release::V3
            && let Some(claimed) = fields.user_id()
        {
            self.check_user_id(&claimed)?;
        }
        if let Some(expiration) = fields.expiration() {
            check_expiration(&expiration)?;
        }
        if traits.has_copies() {
            let keys = copies::copies(message.header()).map_err(|error| {
                AmqpError::precondition_failed(format!("invalid message: {error}"))
            })?;
            verdict.copies = (!keys.is_empty()).then(|| keys.into());
        }
        verdict.header = header.map(Arc::from);
        Ok(verdict)
    }

    fn check_user_id(&self, claimed: &str) -> Result<(), AmqpError> {
        match &self.user {
            Some(user) if *claimed != **user.name() && !user.may_impersonate() => {
                Err(AmqpError::precondition_failed(format!(
                    "user_id property set to '{claimed}' but authenticated user was '{}'",
                    user.name()
                )))
            }
            _ => Ok(()),
        }
    }
}

/// The same messages in a builder, for others to follow.
fn copied(run: &Run) -> RunBuilder {
    let mut builder = RunBuilder::default();
    builder.reserve(run.len(), run.held_bytes());
    for message in run.iter() {
        builder.push(
            message.route(),
            message.header(),
            message.body(),
            message.traits(),
        );
    }
    builder
}

/// `expiration` must be a decimal number of milliseconds; the texts show the Erlang terms that RabbitMQ shows.
fn check_expiration(expiration: &str) -> Result<(), AmqpError> {
    let refuse = |why: &str| {
        Err(AmqpError::precondition_failed(format!(
            "invalid expiration '{expiration}': {why}"
        )))
    };
    let refuse_number = |tag: &str, number: &str| {
        let before = format!("invalid expiration '{expiration}': ");
        let text = erlang::tagged(before, tag, number);
        Err(AmqpError::precondition_failed(text))
    };
    let digits_from = usize::from(expiration.starts_with(['-', '+']));
    let digits = expiration[digits_from..]
        .bytes()
        .take_while(u8::is_ascii_digit)
        .count();
    if digits == 0 {
        return refuse("no_integer");
    }
    let (number, rest) = expiration.split_at(digits_from + digits);
    if !rest.is_empty() {
        return refuse(&format!("{{leftover_string,{rest:?}}}"));
    }
    let number = number.strip_prefix('+').unwrap_or(number);
    if let Some(negative) = number.strip_prefix('-') {
        let value = negative.trim_start_matches('0');
        if !value.is_empty() {
            return refuse_number("value_negative", &format!("-{value}"));
        }
        return Ok(());
    }
    match number.parse::<u64>() {
        Ok(value) if value <= EXPIRY_MS_MAX.unsigned_abs() => Ok(()),
        _ => refuse_number("value_too_large", number.trim_start_matches('0')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(expiration: &str, why: &str) {
        let error = check_expiration(expiration).expect_err("not a duration");
        assert_eq!(
            error.text(),
            format!("invalid expiration '{expiration}': {why}")
        );
    }

    #[test]
    fn only_a_decimal_number_is_an_expiration() {
        assert_eq!(check_expiration("0"), Ok(()));
        assert_eq!(check_expiration("60000"), Ok(()));
        check_refused("", "no_integer");
        check_refused("soon", "no_integer");
        check_refused("60s", "{leftover_string,\"s\"}");
        check_refused("-1", "{value_negative,-1}");
        check_refused(
            "99999999999999999999",
            "{value_too_large,\n                                            99999999999999999999}",
        );
        check_refused("0315360000001", "{value_too_large,315360000001}");
    }
}

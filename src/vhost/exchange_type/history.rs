//! The memory of a recent-history exchange: its latest messages, for whoever is bound next.
//!
//! In memory only, as in RabbitMQ: after a restart it is empty.

use std::collections::VecDeque;

use amq_protocol::types::AMQPValue;
use parking_lot::Mutex;

use crate::model::AmqpError;
use crate::model::Arguments;
use crate::model::Run;
use crate::model::arguments;
use crate::routing::Term;
use crate::vhost::letter::Letter;

const LENGTH: &str = "x-recent-history-length";
/// RabbitMQ's default.
const LENGTH_DEFAULT: usize = 20;
/// A message with this header, true, is not remembered.
const NO_STORE: &str = "x-recent-history-no-store";
/// What one exchange remembers at most, whatever length was asked for: the latest message and what fits beside it.
const BYTES_MAX: usize = 64 << 20;

#[derive(Default)]
struct Messages {
    runs: VecDeque<Run>,
    bytes: usize,
}

/// See the module's documentation.
pub(super) struct History {
    length: usize,
    messages: Mutex<Messages>,
}

impl History {
    pub(super) fn parse(arguments: &Arguments) -> Result<Self, AmqpError> {
        let length = match arguments.value(LENGTH) {
            None => LENGTH_DEFAULT,
            Some(value) => arguments::integer(value)
                .and_then(|length| usize::try_from(length).ok())
                .filter(|length| *length > 0)
                .ok_or_else(|| {
                    AmqpError::precondition_failed(format!(
                        "Invalid argument {}, '{LENGTH}' must be a positive integer",
                        Term(value)
                    ))
                })?,
        };
        Ok(Self {
            length,
            messages: Mutex::default(),
        })
    }

    pub(super) fn remember(&self, letter: &Letter<'_>) {
        if letter.header_value(NO_STORE) == Some(&AMQPValue::Boolean(true)) {
            return;
        }
        let run = letter.to_run();
        let mut messages = self.messages.lock();
        messages.bytes += run.held_bytes();
        messages.runs.push_back(run);
        while messages.runs.len() > 1
            && (messages.runs.len() > self.length || messages.bytes > BYTES_MAX)
        {
            if let Some(oldest) = messages.runs.pop_front() {
                messages.bytes -= oldest.held_bytes();
            }
        }
    }

    /// Oldest first.
    pub(super) fn messages(&self) -> Vec<Run> {
        self.messages.lock().runs.iter().cloned().collect()
    }
}

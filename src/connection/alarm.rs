//! `connection.blocked` and `connection.unblocked`: a resource alarm holds publishers back (specification §2.6).
//!
//! Nobody is held back before they publish; those that only consume never are.

use std::borrow::Cow;

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::connection;
use amq_protocol::types::ShortString;

use crate::connection::Connection;
use crate::connection::Phase;
use crate::connection::turn::Turn;
use crate::model::ChannelId;
use crate::protocol::encode;
use crate::protocol::output::Sink as _;

/// The alarm as one connection feels it.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    /// Why publishers are held back, if they are.
    reason: Option<Cow<'static, str>>,
    /// This one tried to publish.
    blocking: bool,
    /// The client was told.
    told: bool,
}

impl Alarm {
    pub(super) fn is_up(&self) -> bool {
        self.reason.is_some()
    }

    /// Whether nothing may be read.
    pub(super) fn blocks(&self) -> bool {
        self.blocking
    }
}

impl Connection {
    /// The client wants to publish. Whether it must wait.
    pub(super) fn block_publisher(&mut self, turn: &mut Turn<'_>) -> bool {
        let Some(reason) = &self.alarm.reason else {
            return false;
        };
        self.alarm.blocking = true;
        if self.client.wants_blocked && !self.alarm.told {
            self.alarm.told = true;
            let reason = &reason[..reason.floor_char_boundary(reason.len().min(255))];
            let blocked = connection::AMQPMethod::Blocked(connection::Blocked {
                reason: ShortString::from(reason),
            });
            encode::method(
                turn.out.octets(),
                ChannelId(0),
                &AMQPClass::Connection(blocked),
            );
        }
        true
    }

    /// An alarm went up.
    pub(super) fn raise_alarm(&mut self, reason: Cow<'static, str>) {
        self.alarm.reason = Some(reason);
    }

    /// All alarms are down.
    pub(super) fn clear_alarm(&mut self, turn: &mut Turn<'_>) {
        let told = std::mem::take(&mut self.alarm).told;
        if told && self.phase == Phase::Open {
            let unblocked = connection::AMQPMethod::Unblocked(connection::Unblocked {});
            encode::method(
                turn.out.octets(),
                ChannelId(0),
                &AMQPClass::Connection(unblocked),
            );
        }
    }
}

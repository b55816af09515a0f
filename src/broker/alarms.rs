//! Resource alarms: while memory or disk is short, publishers are not read; consumers drain what is there.
//!
//! Whoever has looked at the machine calls [`Broker::weigh`], once a second or so; nothing here is asked for a message. What
//! cannot be read leaves its alarm as it was.

use std::borrow::Cow;

use parking_lot::Mutex;

use crate::broker::Broker;
use crate::broker::ConnectionInfo;
use crate::metrics::machine::Levels;
use crate::model::outbox::Parcel;

/// A bound on a resource.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Watermark {
    /// So much of the memory there is.
    Relative(f64),
    /// So many octets.
    Absolute(u64),
}

impl Watermark {
    /// In octets; `None` when it is not known how much memory there is.
    fn octets(self, memory_total: Option<u64>) -> Option<u64> {
        match self {
            Self::Absolute(octets) => Some(octets),
            Self::Relative(part) => memory_total.map(|total| (total as f64 * part) as u64),
        }
    }
}

/// What an operator can set about alarms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AlarmOptions {
    /// The node may use so much memory.
    pub memory: Watermark,
    /// So much of the disk must stay free.
    pub disk: Watermark,
    /// Counts as the memory there is, whatever the machine says.
    pub memory_total: Option<u64>,
    /// The alarm about memory is up, whatever the machine says: for trying out what clients do.
    pub memory_held: bool,
    /// The same for the disk.
    pub disk_held: bool,
}

impl Default for AlarmOptions {
    /// RabbitMQ 3.13's.
    fn default() -> Self {
        Self {
            memory: Watermark::Relative(0.4),
            disk: Watermark::Absolute(50_000_000),
            memory_total: None,
            memory_held: false,
            disk_held: false,
        }
    }
}

/// How resources stood when they were last looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AlarmState {
    /// The node uses more memory than it may.
    pub memory: bool,
    /// Too little of the disk is free.
    pub disk: bool,
    /// What was found.
    pub levels: Levels,
    /// How much memory the node may use, if that is known.
    pub memory_limit: Option<u64>,
    /// How much of the disk must stay free, if that is known.
    pub disk_limit: Option<u64>,
}

impl AlarmState {
    /// Whether publishers are held back.
    pub fn raised(&self) -> bool {
        self.memory || self.disk
    }

    /// The alarms that are up, as RabbitMQ names them.
    pub fn names(&self) -> Vec<&'static str> {
        let alarms = [(self.memory, "memory"), (self.disk, "disk")];
        let up = alarms.into_iter().filter(|(up, _)| *up);
        up.map(|(_, name)| name).collect()
    }

    /// Why publishers are held back, as `connection.blocked` tells it: in RabbitMQ's order.
    fn reason(&self) -> Cow<'static, str> {
        match (self.disk, self.memory) {
            (true, true) => "low on disk & memory",
            (true, false) => "low on disk",
            (false, _) => "low on memory",
        }
        .into()
    }

    fn look(&mut self, options: &AlarmOptions, levels: Levels) {
        self.levels = levels;
        let total = options.memory_total.or(levels.memory_total);
        self.levels.memory_total = total;
        self.memory_limit = options.memory.octets(total);
        self.disk_limit = options.disk.octets(total);
        if let (Some(used), Some(limit)) = (levels.memory_used, self.memory_limit) {
            self.memory = used > limit;
        }
        self.memory |= options.memory_held;
        if let (Some(free), Some(limit)) = (levels.disk_free, self.disk_limit) {
            self.disk = free < limit;
        }
        self.disk |= options.disk_held;
    }
}

/// See the module's documentation.
pub(super) struct Alarms(Mutex<(AlarmOptions, AlarmState)>);

impl Alarms {
    pub(super) fn new(options: AlarmOptions) -> Self {
        Self(Mutex::new((options, AlarmState::default())))
    }
}

impl Broker {
    /// The alarms and what they are judged by.
    pub fn alarms(&self) -> AlarmState {
        self.alarms.0.lock().1
    }

    /// The bounds that hold.
    pub fn alarm_options(&self) -> AlarmOptions {
        self.alarms.0.lock().0
    }

    /// Judges what the machine has at `now`; raises and clears alarms.
    pub fn weigh(&self, levels: Levels, now: u64) {
        self.judge_levels(|_| {}, levels, now);
    }

    /// Changes the bounds until the node stops, and judges by them at once.
    pub fn set_watermarks(&self, change: impl FnOnce(&mut AlarmOptions), now: u64) {
        let levels = self.alarms().levels;
        self.judge_levels(change, levels, now);
    }

    fn judge_levels(&self, change: impl FnOnce(&mut AlarmOptions), levels: Levels, now: u64) {
        // Held while connections are told, so that one that opens meanwhile hears the last word last.
        let mut alarms = self.alarms.0.lock();
        let (options, state) = &mut *alarms;
        let before = *state;
        change(options);
        state.look(options, levels);
        if state.memory != before.memory {
            self.log_memory(state);
        }
        if state.disk != before.disk {
            self.log_disk(state);
        }
        if state.names() == before.names() {
            return;
        }
        self.connections.tell(
            |_| true,
            || match state.raised() {
                true => Parcel::Blocked {
                    reason: state.reason(),
                },
                false => Parcel::Unblocked,
            },
        );
        let after = *state;
        drop(alarms);
        for (was, is, source) in [
            (before.memory, after.memory, "memory"),
            (before.disk, after.disk, "disk"),
        ] {
            if was != is {
                self.tell_alarm(is, source, now);
            }
        }
    }

    fn tell_alarm(&self, set: bool, source: &str, now: u64) {
        let key = if set { "alarm.set" } else { "alarm.cleared" };
        self.event(key, now, |table| {
            table.text("node", self.options.cluster_name.as_bytes());
            table.text("source", source.as_bytes());
        });
    }

    /// A connection that opens while an alarm is up hears of it. It is in the list of connections already.
    pub(super) fn tell_alarms(&self, connection: &ConnectionInfo) {
        let alarms = self.alarms.0.lock();
        if alarms.1.raised() {
            let reason = alarms.1.reason();
            connection.outbox.push(Parcel::Blocked { reason });
        }
    }

    fn log_memory(&self, state: &AlarmState) {
        let (node, used, limit) = (
            &self.options.cluster_name,
            state.levels.memory_used,
            state.memory_limit,
        );
        if state.memory {
            tracing::warn!(
                node,
                used,
                limit,
                "memory resource limit alarm set on node {node}. Publishers will be blocked until this alarm clears: \
                 consume or delete messages, or raise vm_memory_high_watermark"
            );
        } else {
            tracing::warn!(
                node,
                used,
                limit,
                "memory resource limit alarm cleared on node {node}"
            );
        }
    }

    fn log_disk(&self, state: &AlarmState) {
        let (node, free, limit) = (
            &self.options.cluster_name,
            state.levels.disk_free,
            state.disk_limit,
        );
        if state.disk {
            tracing::warn!(
                node,
                free,
                limit,
                "disk resource limit alarm set on node {node}. Publishers will be blocked until this alarm clears: \
                 make room on the disk of the data directory, or lower disk_free_limit"
            );
        } else {
            tracing::warn!(
                node,
                free,
                limit,
                "disk resource limit alarm cleared on node {node}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn levels(used: u64, total: u64, free: u64) -> Levels {
        Levels {
            memory_used: Some(used),
            memory_total: Some(total),
            disk_free: Some(free),
        }
    }

    #[track_caller]
    fn check(options: AlarmOptions, levels: Levels, up: &[&str]) {
        let mut state = AlarmState::default();
        state.look(&options, levels);
        assert_eq!(state.names(), up);
    }

    #[test]
    fn an_alarm_is_up_beyond_its_bound() {
        let plenty = levels(GIB, 4 * GIB, GIB);
        let defaults = AlarmOptions::default();
        check(defaults, plenty, &[]);
        check(defaults, levels(2 * GIB, 4 * GIB, GIB), &["memory"]);
        check(defaults, levels(GIB, 4 * GIB, 49_999_999), &["disk"]);
        check(defaults, levels(GIB, 4 * GIB, 50_000_000), &[]);
        check(defaults, levels(2 * GIB, 4 * GIB, 0), &["memory", "disk"]);
        let memory = |memory| AlarmOptions { memory, ..defaults };
        check(memory(Watermark::Relative(0.0)), plenty, &["memory"]);
        check(memory(Watermark::Relative(0.5)), plenty, &[]);
        check(memory(Watermark::Absolute(GIB)), plenty, &[]);
        check(memory(Watermark::Absolute(GIB - 1)), plenty, &["memory"]);
        let disk = Watermark::Relative(0.5);
        check(AlarmOptions { disk, ..defaults }, plenty, &["disk"]);
        let memory_total = Some(2 * GIB);
        let options = AlarmOptions {
            memory_total,
            ..defaults
        };
        check(options, plenty, &["memory"]);
    }

    #[test]
    fn what_cannot_be_read_changes_nothing() {
        check(AlarmOptions::default(), Levels::default(), &[]);
        let mut state = AlarmState::default();
        state.look(&AlarmOptions::default(), levels(2 * GIB, 4 * GIB, 0));
        state.look(&AlarmOptions::default(), Levels::default());
        assert_eq!(state.names(), ["memory", "disk"]);
        assert_eq!(state.reason(), "low on disk & memory");
    }
}

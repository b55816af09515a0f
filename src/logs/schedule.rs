//! When a log file is exchanged for a new one: RabbitMQ's notation for hours and days.
//!
//! `$D23` each day at 23:00, `$H30` each hour at half past, `$W0D23` each Sunday at 23:00, `$M1D0` on the first of each month at
//! midnight. A day that a month does not have is its last.

use jiff::ToSpan;
use jiff::ZonedDateTime;
use jiff::civil::Date;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Every {
    Hour {
        minute: i8,
    },
    Day,
    /// From 0, a Sunday.
    Week(i8),
    Month(i8),
}

/// See the module's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    every: Every,
    hour: i8,
}

/// Some day within so many is due, whatever is asked for.
const DAYS_MAX: i32 = 64;

impl Schedule {
    /// Reads the notation.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix('$')?;
        let (kind, rest) = rest.split_at_checked(1)?;
        if kind == "D" {
            let hour = number(rest, 0, 23)?;
            return Some(Self {
                every: Every::Day,
                hour,
            });
        }
        if kind == "H" {
            let minute = number(rest, 0, 59)?;
            return Some(Self {
                every: Every::Hour { minute },
                hour: 0,
            });
        }
        let (day, hour) = match rest.split_once('D') {
            Some((day, hour)) => (day, number(hour, 0, 23)?),
            None => (rest, 0),
        };
        let every = match kind {
            "W" => Every::Week(number(day, 0, 6)?),
            "M" => Every::Month(number(day, 1, 31)?),
            _ => return None,
        };
        Some(Self { every, hour })
    }

    /// The first moment after `now`.
    pub(super) fn next_after(&self, now: &ZonedDateTime) -> Option<ZonedDateTime> {
        if let Every::Hour { minute } = self.every {
            let this = now.with().minute(minute).second(0).subsec_nanosecond(0);
            let this = this.build().ok()?;
            return if this > *now {
                Some(this)
            } else {
                this.checked_add(1.hour()).ok()
            };
        }
        let days = (0..DAYS_MAX).filter_map(|days| now.date().checked_add(days.days()).ok());
        days.filter(|day| self.is_due_on(*day))
            .filter_map(|day| {
                let time = day.at(self.hour, 0, 0, 0);
                time.to_zoned_datetime(now.time_zone().clone()).ok()
            })
            .find(|moment| *moment > *now)
    }

    fn is_due_on(&self, day: Date) -> bool {
        match self.every {
            Every::Hour { .. } | Every::Day => true,
            Every::Week(weekday) => day.weekday().to_sunday_zero_offset() == weekday,
            Every::Month(wanted) => day.day() == wanted.min(day.days_in_month()),
        }
    }
}

fn number(text: &str, min: i8, max: i8) -> Option<i8> {
    let digits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number.filter(|number| (min..=max).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(notation: &str, now: &str, next: &str) {
        let schedule = Schedule::parse(notation).expect("a schedule");
        let moment =
            |text: &str| -> ZonedDateTime { format!("{text}[UTC]").parse().expect("a time") };
        assert_eq!(
            schedule.next_after(&moment(now)),
            Some(moment(next)),
            "{notation} after {now}"
        );
    }

    #[test]
    fn the_next_moment_is_after_now() {
        check("$D0", "2026-02-28T13:00", "2026-03-01T00:00");
        check("$D0", "2026-02-28T00:00", "2026-03-01T00:00");
        check("$D23", "2026-02-28T13:00", "2026-02-28T23:00");
        check("$H30", "2026-02-28T13:29:59", "2026-02-28T13:30");
        check("$H30", "2026-02-28T23:30", "2026-03-01T00:30");
        // 2026-03-01 is a Sunday.
        check("$W0D23", "2026-02-28T13:00", "2026-03-01T23:00");
        check("$W0", "2026-03-01T13:00", "2026-03-08T00:00");
        check("$M1D0", "2026-02-28T13:00", "2026-03-01T00:00");
        check("$M31D6", "2026-02-28T05:00", "2026-02-28T06:00");
        check("$M31D6", "2026-02-28T06:00", "2026-03-31T06:00");
    }

    #[test]
    fn other_notations_are_refused() {
        for text in [
            "", "$", "D0", "$D", "$D24", "$D123", "$H60", "$W7", "$M0", "$M32", "$Y1", "$D0D0",
            "$W0D", "$é",
        ] {
            assert_eq!(Schedule::parse(text), None, "{text:?}");
        }
    }
}

//! Levels in RabbitMQ's words.

use serde::Deserialize;
use serde::Serialize;

/// How much is shown: lines of this severity and above.
///
/// Lines are debug, info, warnings or errors; nothing here is a notice, or graver than an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Level {
    /// Everything.
    Debug,
    /// Life cycles.
    Info,
    /// As warnings.
    Notice,
    /// What was refused or got worse.
    Warning,
    /// What someone must look after.
    Error,
    /// Nothing.
    Critical,
    /// Nothing.
    Alert,
    /// Nothing.
    Emergency,
    /// Nothing.
    None,
}

impl Level {
    /// All of them, the most talkative first.
    pub const ALL: [Self; 9] = [
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
        Self::None,
    ];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Alert => "alert",
            Self::Emergency => "emergency",
            Self::None => "none",
        }
    }

    /// The level of that word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }

    /// Whether lines of `severity` are shown.
    pub(super) fn admits(self, severity: tracing::Level) -> bool {
        Self::of(severity).is_some_and(|severity| severity >= self)
    }

    /// The level of a line; `None` is finer than all of them.
    pub(super) fn of(severity: tracing::Level) -> Option<Self> {
        match severity {
            tracing::Level::ERROR => Some(Self::Error),
            tracing::Level::WARN => Some(Self::Warning),
            tracing::Level::INFO => Some(Self::Info),
            tracing::Level::DEBUG => Some(Self::Debug),
            tracing::Level::TRACE => None,
        }
    }

    pub(super) fn from_number(number: u8) -> Self {
        let level = Self::ALL.get(usize::from(number));
        level.copied().unwrap_or(Self::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_shows_itself_and_what_is_graver() {
        let severities = [
            tracing::Level::TRACE,
            tracing::Level::DEBUG,
            tracing::Level::INFO,
            tracing::Level::WARN,
            tracing::Level::ERROR,
        ];
        for (level, shown) in Level::ALL.into_iter().zip([4, 3, 2, 2, 1, 0, 0, 0, 0]) {
            let admitted = severities.iter().filter(|one| level.admits(**one)).count();
            assert_eq!(admitted, shown, "{level:?}");
            assert_eq!(Level::from_name(level.name()), Some(level));
            assert_eq!(Level::from_number(level as u8), level);
        }
        assert_eq!(Level::from_name("warn"), None);
    }
}

//! `log.*`: names and words are RabbitMQ's. `log.console`, `log.file` and `log.exchange` alone mean `log.console.enabled`,
//! `log.file.name` and `log.exchange.enabled`, for TOML has no key that is a value and a table.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::logs::Category;
use crate::logs::CategoryLevels;
use crate::logs::Console;
use crate::logs::ExchangeOutput;
use crate::logs::FileOutput;
use crate::logs::Formatter;
use crate::logs::Level;
use crate::logs::LogOptions;
use crate::logs::Rotation;
use crate::logs::Schedule;
use crate::logs::Stream;

/// Keys that stand for another one.
const SHORT: [(&str, &str); 3] = [
    ("log.console", "log.console.enabled"),
    ("log.file", "log.file.name"),
    ("log.exchange", "log.exchange.enabled"),
];

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogSettings {
    /// Lines are shown on standard error or standard output.
    #[serde(rename = "console.enabled")]
    pub console: bool,
    /// On which of them.
    #[serde(rename = "console.stdio")]
    pub console_stdio: Stream,
    /// How much is shown there.
    #[serde(rename = "console.level")]
    pub console_level: OwnLevel,
    /// In which form.
    #[serde(rename = "console.formatter")]
    pub console_formatter: Formatter,
    /// Whether text is in colours.
    #[serde(rename = "console.use_colors")]
    pub console_use_colors: Colours,
    /// Lines are written to this file; empty: to none.
    #[serde(rename = "file.name")]
    pub file: PathBuf,
    /// How much is written there.
    #[serde(rename = "file.level")]
    pub file_level: OwnLevel,
    /// In which form.
    #[serde(rename = "file.formatter")]
    pub file_formatter: Formatter,
    /// When it is exchanged for a new one; empty: at no moment.
    #[serde(rename = "file.rotation.date")]
    pub file_rotation_date: String,
    /// How long it may be, in bytes; 0: as long as it gets.
    #[serde(rename = "file.rotation.size")]
    pub file_rotation_size: u64,
    /// Old files that are kept.
    #[serde(rename = "file.rotation.count")]
    pub file_rotation_count: u32,
    /// Where files lie whose names are relative.
    pub dir: PathBuf,
    /// Lines are published to `amq.rabbitmq.log`.
    #[serde(rename = "exchange.enabled")]
    pub exchange: bool,
    /// How much is published.
    #[serde(rename = "exchange.level")]
    pub exchange_level: OwnLevel,
    /// In which form.
    #[serde(rename = "exchange.formatter")]
    pub exchange_formatter: Formatter,
    /// How much is shown where nothing else is said.
    #[serde(rename = "default.level")]
    pub default_level: Level,
    /// Lines about connections and channels that an output shows in a second; 0: any number.
    pub client_lines_per_second_max: u32,
    /// Octets of lines that may wait for one output to be written.
    pub waiting_bytes_max: u64,
    /// Milliseconds that an output which cannot be written may hold up the end of the process.
    pub flush_timeout: u64,
    /// Of connections.
    #[serde(rename = "connection.level")]
    pub connection_level: OwnLevel,
    /// Of channels.
    #[serde(rename = "channel.level")]
    pub channel_level: OwnLevel,
    /// Of queues.
    #[serde(rename = "queue.level")]
    pub queue_level: OwnLevel,
    /// Of copies on other nodes.
    #[serde(rename = "mirroring.level")]
    pub mirroring_level: OwnLevel,
    /// Of links to other brokers.
    #[serde(rename = "federation.level")]
    pub federation_level: OwnLevel,
    /// Of formats that are taken over.
    #[serde(rename = "upgrade.level")]
    pub upgrade_level: OwnLevel,
    /// Of users and what they may.
    #[serde(rename = "user.level")]
    pub user_level: OwnLevel,
    /// Of groups of nodes.
    #[serde(rename = "ra.level")]
    pub ra_level: OwnLevel,
}

/// A level, or none of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OwnLevel {
    /// That of the output, or `log.default.level`.
    Default,
    /// This.
    #[serde(untagged)]
    Level(Level),
}

/// When text is in colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Colours {
    /// On a terminal.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

impl Default for LogSettings {
    fn default() -> Self {
        let level = OwnLevel::Default;
        Self {
            console: true,
            console_stdio: Stream::Stderr,
            console_level: level,
            console_formatter: Formatter::Auto,
            console_use_colors: Colours::Auto,
            file: PathBuf::new(),
            file_level: level,
            file_formatter: Formatter::Plaintext,
            file_rotation_date: String::new(),
            file_rotation_size: 0,
            file_rotation_count: 0,
            dir: PathBuf::from("/var/log/leveret"),
            exchange: false,
            exchange_level: level,
            exchange_formatter: Formatter::Plaintext,
            default_level: Level::Info,
            client_lines_per_second_max: 500,
            waiting_bytes_max: 4 * 1024 * 1024,
            flush_timeout: 1000,
            connection_level: level,
            channel_level: level,
            queue_level: level,
            mirroring_level: level,
            federation_level: level,
            upgrade_level: level,
            user_level: level,
            ra_level: level,
        }
    }
}

impl LogSettings {
    /// What the log is started with.
    pub fn options(&self) -> LogOptions {
        let own = [
            (Category::Connection, self.connection_level),
            (Category::Channel, self.channel_level),
            (Category::Queue, self.queue_level),
            (Category::Mirroring, self.mirroring_level),
            (Category::Federation, self.federation_level),
            (Category::Upgrade, self.upgrade_level),
            (Category::User, self.user_level),
            (Category::Ra, self.ra_level),
        ];
        let own = own.into_iter();
        let levels = CategoryLevels {
            default: self.default_level,
            own: own
                .filter_map(|(category, level)| Some((category, level.own()?)))
                .collect(),
        };
        LogOptions {
            levels,
            client_lines_per_second_max: self.client_lines_per_second_max,
            waiting_bytes_max: usize::try_from(self.waiting_bytes_max).unwrap_or(usize::MAX),
            flush_timeout: Duration::from_millis(self.flush_timeout),
            console: self.console.then(|| Console {
                stream: self.console_stdio,
                level: self.console_level.own(),
                formatter: self.console_formatter,
                colours: match self.console_use_colors {
                    Colours::Auto => None,
                    Colours::On => Some(true),
                    Colours::Off => Some(false),
                },
            }),
            file: (!self.file.as_os_str().is_empty()).then(|| FileOutput {
                path: self.dir.join(&self.file),
                level: self.file_level.own(),
                formatter: self.file_formatter,
                rotation: Rotation {
                    schedule: Schedule::parse(&self.file_rotation_date),
                    bytes_max: self.file_rotation_size,
                    kept: self.file_rotation_count,
                },
            }),
            exchange: self.exchange.then(|| ExchangeOutput {
                level: self.exchange_level.own(),
                formatter: self.exchange_formatter,
            }),
        }
    }
}

impl OwnLevel {
    fn own(self) -> Option<Level> {
        match self {
            Self::Default => None,
            Self::Level(level) => Some(level),
        }
    }
}

/// The key that `key` stands for.
pub(super) fn full_key(key: String) -> String {
    let found = SHORT.iter().find(|(short, _)| *short == key);
    found.map_or(key, |(_, full)| (*full).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_off_is_no_output() {
        let options = LogSettings::default().options();
        assert!(options.console.is_some() && options.file.is_none() && options.exchange.is_none());
        let settings = LogSettings {
            console: false,
            file: PathBuf::from("a.log"),
            file_level: OwnLevel::Level(Level::Debug),
            file_rotation_date: "$D0".to_owned(),
            exchange: true,
            queue_level: OwnLevel::Level(Level::None),
            ..LogSettings::default()
        };
        let options = settings.options();
        let file = options.file.expect("a file");
        assert_eq!(file.path, PathBuf::from("/var/log/leveret/a.log"));
        assert_eq!(file.level, Some(Level::Debug));
        assert!(file.rotation.schedule.is_some());
        assert!(options.console.is_none() && options.exchange.is_some());
        assert_eq!(options.levels.own, [(Category::Queue, Level::None)]);
    }
}

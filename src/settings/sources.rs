//! Where settings come from beside the defaults.
//!
//! It gathers and does not judge: which keys exist is in [`rules`](super::rules).

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::path::PathBuf;

use config::ConfigError;
use config::Source;
use config::Value;
use config::ValueKind;

/// Names the settings file, and is no setting itself.
const CONFIG_VARIABLE: &str = "LEVERET_CONFIG";

const VARIABLE_PREFIX: &str = "LEVERET_";

/// How places other than the file are told in errors.
const VARIABLE_ORIGIN: &str = "environment variable ";
const OPTION_ORIGIN: &str = "option ";

/// Used when it exists and no other file is named.
const SYSTEM_FILE: &str = "/etc/leveret/leveret.toml";

/// A value from the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The option as it was typed, such as `--listen`; for errors.
    pub option: String,
    /// The key it sets.
    pub key: String,
    /// The values; several for a list.
    pub values: Vec<String>,
}

/// Everything that [`Settings::load`](super::Settings::load) looks at.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file that must be there, from `--config`.
    pub file: Option<PathBuf>,
    /// The file that is read if it is there and no other is named.
    pub system_file: Option<PathBuf>,
    /// Environment variables, of which those with the prefix `LEVERET_` count.
    pub environment: Vec<(String, String)>,
    /// From the command line.
    pub overrides: Vec<Override>,
    /// The machine's name, for the default of `cluster_name`.
    pub host_name: String,
}

impl Sources {
    /// The sources of this process: `file` and `overrides` from its command line, the rest from its surroundings.
    pub fn of_process(file: Option<PathBuf>, overrides: Vec<Override>) -> Self {
        let environment: Vec<(String, String)> = std::env::vars_os()
            .map(|(name, value)| {
                (
                    name.to_string_lossy().into_owned(),
                    value.to_string_lossy().into_owned(),
                )
            })
            .collect();
        let host_name = std::fs::read_to_string("/proc/sys/kernel/hostname")
            .ok()
            .or_else(|| std::env::var("HOSTNAME").ok())
            .unwrap_or_default();
        Self {
            file,
            system_file: Some(PathBuf::from(SYSTEM_FILE)),
            environment,
            overrides,
            host_name: host_name.trim().to_owned(),
        }
    }

    /// The variables that set something, passwords hidden.
    pub fn shown_variables(&self) -> BTreeMap<String, String> {
        let known = [
            "RABBITMQ_LOGS",
            "RABBITMQ_LOG_BASE",
            "RABBITMQ_LOG",
            "RABBITMQ_PID_FILE",
        ];
        let sets = |name: &str, value: &str| {
            let ours = name.starts_with(VARIABLE_PREFIX) && !is_service_link(name, value);
            !value.is_empty() && (ours || known.contains(&name))
        };
        let set = self
            .environment
            .iter()
            .filter(|(name, value)| sets(name, value));
        set.map(|(name, value)| match name.ends_with("_PASS") {
            true => (name.clone(), "(hidden)".to_owned()),
            false => (name.clone(), value.clone()),
        })
        .collect()
    }

    /// The files that are read.
    pub fn files(&self) -> Vec<String> {
        let file = self.chosen_file();
        file.iter().map(|file| file.display().to_string()).collect()
    }

    /// The one file that is read, if any.
    pub(super) fn chosen_file(&self) -> Option<PathBuf> {
        let from_environment = || {
            self.environment
                .iter()
                .find(|(name, value)| name == CONFIG_VARIABLE && !value.is_empty())
                .map(|(_, value)| PathBuf::from(value))
        };
        let from_system = || self.system_file.clone().filter(|file| file.exists());
        self.file
            .clone()
            .or_else(from_environment)
            .or_else(from_system)
    }

    /// Environment variables that set something. Empty ones count as not set, as compose files leave them.
    pub(super) fn variables(&self) -> Given {
        let mut given = Given::default();
        for (name, value) in &self.environment {
            let Some(key) = name.strip_prefix(VARIABLE_PREFIX) else {
                continue;
            };
            if name == CONFIG_VARIABLE || value.is_empty() || is_service_link(name, value) {
                continue;
            }
            let key = key.to_lowercase().replace("__", ".");
            given.insert(
                key,
                format!("{VARIABLE_ORIGIN}{name}"),
                std::slice::from_ref(value),
            );
        }
        given
    }

    /// What RabbitMQ's own variables set: `RABBITMQ_LOGS`, `RABBITMQ_LOG_BASE`, `RABBITMQ_LOG` and `RABBITMQ_PID_FILE`.
    pub(super) fn rabbitmq_variables(&self) -> Given {
        let mut given = Given::default();
        for (name, value) in &self.environment {
            let mut set = |key: &str, value: &str| {
                let value = [value.to_owned()];
                given.insert(key.to_owned(), format!("{VARIABLE_ORIGIN}{name}"), &value);
            };
            match (name.as_str(), value.as_str()) {
                (_, "") => {}
                ("RABBITMQ_PID_FILE", file) => set("pid_file", file),
                ("RABBITMQ_LOG_BASE", directory) => set("log.dir", directory),
                // Places that there are not: the key is refused, and its name says which.
                ("RABBITMQ_LOGS", place) if place.starts_with("journald:") => {
                    set("log.journald", "true");
                }
                ("RABBITMQ_LOGS", place) if place.starts_with("syslog:") => {
                    set("log.syslog", "true");
                }
                ("RABBITMQ_LOGS", place) if place.starts_with("exchange:") => {
                    set("log.console.enabled", "false");
                    set("log.file.name", "false");
                    set("log.exchange.enabled", "true");
                }
                ("RABBITMQ_LOGS", place) => {
                    let stream = ["-", "-stderr"].contains(&place);
                    set("log.console.enabled", if stream { "true" } else { "false" });
                    set("log.file.name", if stream { "false" } else { place });
                    if stream {
                        let stdio = if place == "-" { "stdout" } else { "stderr" };
                        set("log.console.stdio", stdio);
                    }
                }
                ("RABBITMQ_LOG", levels) => {
                    for part in levels.split(',').map(str::trim) {
                        set_log_part(part, &mut set);
                    }
                }
                _ => {}
            }
        }
        given
    }

    /// Values from the command line.
    pub(super) fn options(&self) -> Given {
        let mut given = Given::default();
        for Override {
            option,
            key,
            values,
        } in &self.overrides
        {
            given.insert(key.clone(), format!("{OPTION_ORIGIN}{option}"), values);
        }
        given
    }

    /// The host's name up to its first dot, as in RabbitMQ's node names.
    pub(super) fn short_host_name(&self) -> &str {
        match self.host_name.split('.').next() {
            None | Some("") => "localhost",
            Some(name) => name,
        }
    }
}

/// One of `debug`, `queue=debug`, `+json`, `-color` and the like. What is none of them is judged as a level.
fn set_log_part(part: &str, set: &mut impl FnMut(&str, &str)) {
    match (part, part.split_once('=')) {
        ("", _) => {}
        ("+json" | "-json", _) => {
            let formatter = if part == "+json" { "json" } else { "plaintext" };
            set("log.console.formatter", formatter);
            set("log.file.formatter", formatter);
        }
        ("+color" | "-color", _) => {
            let colours = if part == "+color" { "on" } else { "off" };
            set("log.console.use_colors", colours);
        }
        (_, Some((category, level))) => set(&format!("log.{category}.level"), level),
        (level, None) => set("log.default.level", level),
    }
}

/// The variable that sets `key`.
pub(super) fn variable_name(key: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", key.replace('.', "__").to_uppercase())
}

/// Whether a value's origin is one that [`Sources`] wrote, not a file.
pub(super) fn names_its_origin(origin: &str) -> bool {
    origin.starts_with(VARIABLE_ORIGIN) || origin.starts_with(OPTION_ORIGIN)
}

/// Kubernetes puts the addresses of every service into the environment; those of a service called `leveret` begin
/// as our variables do and must not keep the node from starting.
fn is_service_link(name: &str, value: &str) -> bool {
    let protocols = ["_TCP", "_UDP", "_SCTP"];
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.ends_with("_PORT") && value.contains("://"))
        || (name.contains("_PORT_") && protocols.iter().any(|protocol| name.contains(protocol)))
}

/// Values by key, each with the place it came from.
#[derive(Debug, Clone, Default)]
pub(super) struct Given(HashMap<String, Value>);

impl Given {
    fn insert(&mut self, key: String, origin: String, values: &[String]) {
        let value = |text: &String| Value::new(Some(&origin), ValueKind::String(text.clone()));
        let value = match values {
            [one] => value(one),
            _ => Value::new(
                Some(&origin),
                ValueKind::Array(values.iter().map(value).collect()),
            ),
        };
        self.0.insert(key, value);
    }
}

impl Source for Given {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<HashMap<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

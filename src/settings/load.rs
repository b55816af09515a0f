//! Putting the sources together: merge, check every key, read the result.

use std::path::Path;

use config::Config;
use config::File;
use config::FileFormat;
use config::Value;
use config::ValueKind;

use crate::settings::Profile;
use crate::settings::Settings;
use crate::settings::SettingsError;
use crate::settings::Sources;
use crate::settings::log::full_key;
use crate::settings::rule::Rule;
use crate::settings::rules::nearest;
use crate::settings::rules::rule;
use crate::settings::sources::names_its_origin;
use crate::settings::sources::variable_name;

impl Settings {
    /// The settings that `sources` give, defaults where they are silent.
    ///
    /// # Errors
    /// The first thing that is wrong, in the order of the keys.
    pub fn load(sources: &Sources) -> Result<Settings, SettingsError> {
        let mut builder = Config::builder();
        let file = sources.chosen_file();
        if let Some(path) = &file {
            let path = path.as_path();
            builder = builder.add_source(File::from(path).format(FileFormat::Toml));
        }
        let merged = builder
            .add_source(sources.rabbitmq_variables())
            .add_source(sources.variables())
            .add_source(sources.options())
            .build()
            .map_err(|error| SettingsError::File {
                path: file.clone().unwrap_or_default(),
                reason: without_passwords(&error.to_string()),
            })?;
        let mut written = leaves(&merged.cache);
        written.sort_by(|(left, _), (right, _)| left.cmp(right));
        let mut accepted = serde_json::Map::new();
        for (key, value) in written {
            let key = full_key(key);
            let rule = rule(&key).ok_or_else(|| unknown(&key, origin(value, file.as_deref())))?;
            let value = rule
                .accept(value)
                .ok_or_else(|| wrong(&key, value, rule, origin(value, file.as_deref())))?;
            insert(&mut accepted, &key, value);
        }
        let profile = accepted
            .get("compatibility")
            .and_then(|section| section.get("profile")?.as_str())
            .and_then(Profile::from_name)
            .unwrap_or_default();
        for (key, value) in profile.defaults() {
            if !has(&accepted, key) {
                insert(&mut accepted, key, value);
            }
        }
        if has(&accepted, "disk_free_limit.relative") && !has(&accepted, "disk_free_limit.absolute")
        {
            insert(
                &mut accepted,
                "disk_free_limit.absolute",
                serde_json::Value::Null,
            );
        }
        let mut settings: Settings = serde_json::from_value(accepted.into())
            .expect("every key and value was accepted by its rule");
        if settings.cluster_name.is_empty() {
            settings.cluster_name = format!("rabbit@{}", sources.short_host_name());
        }
        Ok(settings)
    }
}

/// A parser's complaint quotes the line that it could not read.
fn without_passwords(complaint: &str) -> String {
    let lines = complaint
        .lines()
        .map(|line| match line.find("default_pass") {
            Some(at) => format!("{}default_pass (hidden)", &line[..at]),
            None => line.to_owned(),
        });
    lines.collect::<Vec<_>>().join("\n")
}

/// Dotted keys with their values.
fn leaves(value: &Value) -> Vec<(String, &Value)> {
    let ValueKind::Table(table) = &value.kind else {
        return Vec::new();
    };
    let mut leaves = Vec::new();
    for (name, value) in table {
        if let ValueKind::Table(_) = value.kind {
            let inner = self::leaves(value).into_iter();
            leaves.extend(inner.map(|(rest, value)| (format!("{name}.{rest}"), value)));
        } else {
            leaves.push((name.clone(), value));
        }
    }
    leaves
}

/// Whether there is a value under a dotted key.
fn has(within: &serde_json::Map<String, serde_json::Value>, key: &str) -> bool {
    match key.split_once('.') {
        None => within.contains_key(key),
        Some((section, rest)) => within
            .get(section)
            .is_some_and(|section| section.get(rest).is_some()),
    }
}

/// Puts `value` under a dotted key, one level deep at most: further dots belong to the name.
fn insert(
    into: &mut serde_json::Map<String, serde_json::Value>,
    key: &str,
    value: serde_json::Value,
) {
    match key.split_once('.') {
        None => {
            into.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let section = into
                .entry(section)
                .or_insert_with(|| serde_json::Map::new().into());
            if let Some(section) = section.as_object_mut() {
                section.insert(rest.to_owned(), value);
            }
        }
    }
}

fn unknown(key: &str, origin: String) -> SettingsError {
    let nearest = nearest(key);
    let is_variable = origin == format!("environment variable {}", variable_name(key));
    let (name, origin, nearest) = if is_variable {
        (
            variable_name(key),
            "the environment".to_owned(),
            variable_name(nearest),
        )
    } else {
        (key.to_owned(), origin, nearest.to_owned())
    };
    SettingsError::UnknownKey {
        name,
        origin,
        nearest,
    }
}

fn wrong(key: &str, value: &Value, rule: Rule, origin: String) -> SettingsError {
    let shown = if let Rule::Secret = rule {
        "(hidden)".to_owned()
    } else {
        shown(value)
    };
    SettingsError::Value {
        key: key.to_owned(),
        value: shown,
        origin,
        expected: rule.expected(),
    }
}

/// As it would be written in the file.
fn shown(value: &Value) -> String {
    match &value.kind {
        ValueKind::String(text) => format!("{text:?}"),
        ValueKind::Array(items) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            format!("[{}]", items.join(", "))
        }
        ValueKind::Nil
        | ValueKind::Boolean(_)
        | ValueKind::I64(_)
        | ValueKind::I128(_)
        | ValueKind::U64(_)
        | ValueKind::U128(_)
        | ValueKind::Float(_)
        | ValueKind::Table(_) => value.to_string(),
    }
}

/// Where the value was written. The config crate gives the file relative to the working directory.
fn origin(value: &Value, file: Option<&Path>) -> String {
    let first = match &value.kind {
        ValueKind::Array(items) => items.first(),
        ValueKind::Nil
        | ValueKind::Boolean(_)
        | ValueKind::I64(_)
        | ValueKind::I128(_)
        | ValueKind::U64(_)
        | ValueKind::U128(_)
        | ValueKind::Float(_)
        | ValueKind::String(_)
        | ValueKind::Table(_) => None,
    };
    let origin = value.origin().or_else(|| first.and_then(Value::origin));
    match (origin, file) {
        (Some(origin), _) if names_its_origin(origin) => origin.to_owned(),
        (_, Some(file)) => file.display().to_string(),
        (_, None) => "the settings".to_owned(),
    }
}

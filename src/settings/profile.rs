//! `compatibility.profile`: which release of RabbitMQ a node takes the place of.
//!
//! A profile is nothing but other defaults: what is written in a source wins over it. [`DEPENDENT`] is the whole of it,
//! and a test holds it against the table in docs/compatibility.md.

use config::Value;
use config::ValueKind;
use serde::Deserialize;
use serde::Serialize;

use crate::model::Release;
use crate::settings::rules::rule;

/// A release series of RabbitMQ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Profile {
    /// 3.13, the last of 3.x.
    #[default]
    #[serde(rename = "3.13")]
    V3,
    /// 4.0 and later.
    #[serde(rename = "4")]
    V4,
}

/// Keys whose default depends on the profile: in 3.13, in 4.
pub(super) const DEPENDENT: &[(&str, [&str; 2])] = &[
    ("version", ["3.13.7", "4.0.5"]),
    ("max_message_size", ["134217728", "16777216"]),
    ("quorum_delivery_limit", ["0", "20"]),
    (
        "auth_mechanisms",
        ["PLAIN,AMQPLAIN", "PLAIN,AMQPLAIN,ANONYMOUS"],
    ),
    (
        "deprecated_features.permit.classic_queue_mirroring",
        ["true", "false"],
    ),
    // 4.0 still has the smaller one; later ones have grown for long tokens, and it harms nobody before.
    ("initial_frame_max", ["4096", "8192"]),
    ("vm_memory_high_watermark.relative", ["0.4", "0.6"]),
];

/// `compatibility.*`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CompatibilitySettings {
    /// Decides the defaults of some other settings.
    pub profile: Profile,
}

impl Profile {
    /// Its names, as the setting takes them.
    pub(super) const NAMES: &[&str] = &["3.13", "4"];

    /// The profile of that name.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "3.13" => Some(Self::V3),
            "4" => Some(Self::V4),
            _ => None,
        }
    }

    /// The rules that come with it.
    pub fn release(self) -> Release {
        match self {
            Self::V3 => Release::V3,
            Self::V4 => Release::V4,
        }
    }

    /// Its defaults, in their final form.
    pub(super) fn defaults(self) -> impl Iterator<Item = (&'static str, serde_json::Value)> {
        let column = match self {
            Self::V3 => 0,
            Self::V4 => 1,
        };
        DEPENDENT.iter().filter_map(move |(key, values)| {
            let value = Value::new(None, ValueKind::String(values[column].to_owned()));
            Some((*key, rule(key)?.accept(&value)?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Override;
    use crate::settings::Settings;
    use crate::settings::Sources;

    const DOCUMENT: &str = include_str!("../../docs/compatibility.md");

    fn load(options: &[(&str, &str)]) -> Settings {
        let overrides = options.iter().map(|(key, value)| Override {
            option: format!("--{key}"),
            key: (*key).to_owned(),
            values: vec![(*value).to_owned()],
        });
        Settings::load(&Sources {
            overrides: overrides.collect(),
            ..Sources::default()
        })
        .expect("loaded")
    }

    #[test]
    fn every_default_is_one_that_its_key_takes() {
        for profile in [Profile::V3, Profile::V4] {
            assert_eq!(profile.defaults().count(), DEPENDENT.len());
        }
        assert_eq!(Profile::NAMES.len(), 2);
        for name in Profile::NAMES {
            let profile = Profile::from_name(name).expect("a profile");
            assert_eq!(serde_json::json!(profile), **name);
        }
    }

    #[test]
    fn the_profile_decides_what_nobody_wrote() {
        let settings = load(&[("compatibility.profile", "4")]);
        assert_eq!(settings.compatibility.profile, Profile::V4);
        assert_eq!(settings.version, "4.0.5");
        assert_eq!(settings.max_message_size, 16 * 1024 * 1024);
        assert_eq!(settings.quorum_delivery_limit, 20);
        assert_eq!(settings.initial_frame_max, 8192);
        assert_eq!(settings.product, "RabbitMQ");
        assert_eq!(
            settings.auth_mechanisms.last().map(String::as_str),
            Some("ANONYMOUS")
        );
        assert!(!settings.deprecated_features.classic_queue_mirroring);
        assert!(
            settings.deprecated_features.global_qos,
            "its neighbour is not touched"
        );

        let settings = load(&[
            ("compatibility.profile", "4"),
            ("version", "4.2.0"),
            ("quorum_delivery_limit", "0"),
            ("deprecated_features.permit.classic_queue_mirroring", "true"),
        ]);
        assert!(settings.deprecated_features.classic_queue_mirroring);
        assert_eq!(
            (&*settings.version, settings.quorum_delivery_limit),
            ("4.2.0", 0)
        );
        assert_eq!(load(&[("compatibility.profile", "3.13")]), load(&[]));
    }

    #[test]
    fn the_document_tells_what_depends_on_the_profile() {
        let section = DOCUMENT
            .split("\n## ")
            .find(|section| section.starts_with("Profiles"))
            .expect("a section on profiles");
        let rows: Vec<Vec<&str>> = section
            .lines()
            .filter_map(|line| line.strip_prefix("| `"))
            .map(|line| {
                line.split('|')
                    .map(|cell| cell.trim().trim_matches('`'))
                    .collect()
            })
            .collect();
        let told: Vec<(&str, [&str; 2])> = rows
            .iter()
            .map(|cells| (cells[0], [cells[1], cells[2]]))
            .collect();
        assert_eq!(told, DEPENDENT);
    }
}

//! Settings: built-in defaults, then the file, the environment and the command line, later ones winning.
//!
//! Names are those of RabbitMQ where it has the same setting. Every key is checked before it is used: an unknown one
//! is an error that names the nearest known key, a wrong value one that names key, value and bound. The values are
//! plain; what they do is decided by the floors that get them. `conf/leveret.toml` tells every key, and a test keeps
//! it equal to [`Settings::default`].

mod deprecated;
mod error;
mod load;
mod log;
mod management;
mod profile;
mod prometheus;
mod rule;
mod rules;
mod secret;
mod sources;
#[cfg(test)]
mod tests;
mod watermarks;

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

pub use deprecated::DeprecatedFeatures;
pub use error::SettingsError;
pub use log::Colours;
pub use log::LogSettings;
pub use log::OwnLevel;
pub use management::ManagementSettings;
pub use profile::CompatibilitySettings;
pub use profile::Profile;
pub use prometheus::PrometheusSettings;
pub use secret::Secret;
pub use sources::Override;
pub use sources::Sources;
pub use watermarks::DiskFreeLimit;
pub use watermarks::MemoryWatermark;
pub use watermarks::Ratio;
pub use watermarks::bytes_of;

/// As `anonymous_login_user`: nobody.
pub const NO_ANONYMOUS_LOGIN: &str = "none";

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Where all that must survive a restart is kept.
    pub data_dir: PathBuf,
    /// Addresses for AMQP. The unspecified IPv6 address stands for all addresses of both families.
    pub listen: Vec<SocketAddr>,
    /// Addresses for HTTP; none: no HTTP.
    pub http_listen: Vec<SocketAddr>,
    /// Addresses for Prometheus; none: no exporter.
    pub prometheus_listen: Vec<SocketAddr>,
    /// The exporter.
    pub prometheus: PrometheusSettings,
    /// Heartbeat interval offered to clients, in seconds as on the wire; 0: none.
    pub heartbeat: u16,
    /// Largest frame offered to clients, in bytes.
    pub frame_max: u32,
    /// Largest frame before the client has answered with its own limit, in bytes.
    pub initial_frame_max: u32,
    /// Channels offered to a connection; 0: as many as there are numbers.
    pub channel_max: u16,
    /// From the accept until `connection.open` is answered.
    #[serde(with = "millis")]
    pub handshake_timeout: Duration,
    /// Largest body of a message, in bytes.
    pub max_message_size: u64,
    /// Connections to the node; 0: any number.
    pub connection_max: u32,
    /// Consumers on a channel; 0: any number.
    pub consumer_max_per_channel: u32,
    /// How long a delivery of a quorum queue may stay without acknowledgement; 0 is for ever.
    #[serde(with = "millis")]
    pub consumer_timeout: Duration,
    /// The same for classic queues.
    #[serde(with = "millis")]
    pub classic_consumer_timeout: Duration,
    /// How often it is looked whether a delivery has stayed for too long.
    #[serde(with = "millis")]
    pub channel_tick_interval: Duration,
    /// How often a message of a quorum queue may come back; 0 is without limit.
    pub quorum_delivery_limit: u32,
    /// Users that may only log in from the node's own machine.
    pub loopback_users: Vec<String>,
    /// Name of the user made at the first start.
    pub default_user: String,
    /// Its password.
    pub default_pass: Secret,
    /// The virtual host made at the first start, in which it has every right.
    pub default_vhost: String,
    /// `product` in `connection.start`: clients branch on it.
    pub product: String,
    /// `version` in `connection.start`: clients branch on it.
    pub version: String,
    /// `cluster_name` in `connection.start`; empty only before [`Settings::load`], which puts `rabbit@<host>`.
    pub cluster_name: String,
    /// A file for the process's number, while the node runs; empty: none.
    pub pid_file: PathBuf,
    /// A file, or a directory of files, with definitions to import at each start; empty: none.
    pub load_definitions: PathBuf,
    /// Octets of definitions that a command may bring.
    pub import_bytes_max: u64,
    /// SASL mechanisms offered, in this order.
    pub auth_mechanisms: Vec<String>,
    /// Who a client is that logs in with ANONYMOUS; [`NO_ANONYMOUS_LOGIN`] for nobody.
    pub anonymous_login_user: String,
    /// That user's password.
    pub anonymous_login_pass: Secret,
    /// Threads that drive connections; 0: see [`Settings::loop_count`].
    pub loops: usize,
    /// Whether a loop naps for a fraction of a millisecond when clients write very many messages one by one.
    pub moderate_reads: bool,
    /// How long a shutdown waits for connections to end in order.
    #[serde(with = "millis")]
    pub shutdown_timeout: Duration,
    /// Messages on their way to one connection, in bytes; queues hold back beyond it.
    pub outbox_bytes_max: usize,
    /// Bytes of memory that the messages of all queues may hold; more of them go to the disk.
    pub queue_memory_bytes: u64,
    /// How much memory the node may use before publishers are held back.
    pub vm_memory_high_watermark: MemoryWatermark,
    /// Counts as the memory there is, in bytes.
    pub total_memory_available_override_value: Option<u64>,
    /// How much of the disk must stay free before publishers are held back.
    pub disk_free_limit: DiskFreeLimit,
    /// Which release of RabbitMQ it takes the place of.
    pub compatibility: CompatibilitySettings,
    /// What of what RabbitMQ is about to drop may be used.
    pub deprecated_features: DeprecatedFeatures,
    /// The management API.
    pub management: ManagementSettings,
    /// What is logged and how.
    pub log: LogSettings,
    /// Bounds of the store's memory.
    pub store: StoreSettings,
}

/// `store.*`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoreSettings {
    /// Publishers wait while more bytes than this are not on disk yet.
    pub pending_bytes_max: usize,
    /// Page cache in bytes.
    pub cache_bytes: usize,
    /// Size of a segment of the redo ring in bytes.
    pub ring_segment_bytes: u64,
    /// Number of segments of the redo ring.
    pub ring_segments: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let everywhere = |port| vec![SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))];
        Self {
            data_dir: PathBuf::from("./data"),
            listen: everywhere(5672),
            http_listen: everywhere(15672),
            prometheus_listen: Vec::new(),
            prometheus: PrometheusSettings::default(),
            heartbeat: 60,
            frame_max: 131_072,
            initial_frame_max: 4096,
            channel_max: 2047,
            handshake_timeout: Duration::from_secs(10),
            max_message_size: 134_217_728,
            connection_max: 0,
            consumer_max_per_channel: 0,
            consumer_timeout: Duration::from_secs(1800),
            classic_consumer_timeout: Duration::ZERO,
            channel_tick_interval: Duration::from_secs(60),
            quorum_delivery_limit: 0,
            loopback_users: vec!["guest".to_owned()],
            default_user: "guest".to_owned(),
            default_pass: Secret::new("guest"),
            default_vhost: "/".to_owned(),
            product: "RabbitMQ".to_owned(),
            version: "3.13.7".to_owned(),
            cluster_name: String::new(),
            pid_file: PathBuf::new(),
            load_definitions: PathBuf::new(),
            import_bytes_max: 256 * 1024 * 1024,
            auth_mechanisms: vec!["PLAIN".to_owned(), "AMQPLAIN".to_owned()],
            anonymous_login_user: "guest".to_owned(),
            anonymous_login_pass: Secret::new("guest"),
            loops: 0,
            moderate_reads: true,
            shutdown_timeout: Duration::from_secs(10),
            outbox_bytes_max: 1024 * 1024,
            queue_memory_bytes: 64 * 1024 * 1024,
            vm_memory_high_watermark: MemoryWatermark::default(),
            total_memory_available_override_value: None,
            disk_free_limit: DiskFreeLimit::default(),
            compatibility: CompatibilitySettings::default(),
            deprecated_features: DeprecatedFeatures::default(),
            management: ManagementSettings::default(),
            log: LogSettings::default(),
            store: StoreSettings::default(),
        }
    }
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            pending_bytes_max: 64 * 1024 * 1024,
            cache_bytes: 16 * 1024 * 1024,
            ring_segment_bytes: 64 * 1024 * 1024,
            ring_segments: 4,
        }
    }
}

impl Settings {
    /// Where definitions come from at each start, in their order.
    pub fn definitions_files(&self) -> Vec<&Path> {
        let both = [&self.load_definitions, &self.management.load_definitions];
        let named = both.into_iter().filter(|path| !path.as_os_str().is_empty());
        named.map(PathBuf::as_path).collect()
    }

    /// Keys with their values, passwords hidden.
    pub fn shown(&self) -> BTreeMap<String, serde_json::Value> {
        let mut shown = BTreeMap::new();
        let Ok(serde_json::Value::Object(top)) = serde_json::to_value(self) else {
            return shown;
        };
        for (key, value) in top {
            if let serde_json::Value::Object(section) = value {
                let section = section.into_iter();
                shown.extend(section.map(|(rest, value)| (format!("{key}.{rest}"), value)));
            } else if key.ends_with("_pass") {
                shown.insert(key, "(hidden)".into());
            } else {
                shown.insert(key, value);
            }
        }
        shown
    }

    /// How many threads drive connections on a machine with `cores` cores: one up to 2 cores, then half of them, for
    /// the store and the kernel want cores of their own.
    pub fn loop_count(&self, cores: usize) -> usize {
        match self.loops {
            0 => (cores / 2).max(1),
            loops => loops,
        }
    }
}

/// Durations as whole milliseconds.
mod millis {
    use std::time::Duration;

    use serde::Deserialize;
    use serde::Deserializer;
    use serde::Serializer;

    pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u128(value.as_millis())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

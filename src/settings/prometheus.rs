//! `prometheus.*`: the exporter. Names and defaults are RabbitMQ's.

use serde::Deserialize;
use serde::Serialize;

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PrometheusSettings {
    /// Where its pages are.
    pub path: String,
    /// The first page is about every object.
    pub return_per_object_metrics: bool,
}

impl Default for PrometheusSettings {
    fn default() -> Self {
        Self {
            path: "/metrics".to_owned(),
            return_per_object_metrics: false,
        }
    }
}

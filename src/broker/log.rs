//! Exchanges of the default virtual host in which the node speaks, and log lines for one of them, as RabbitMQ publishes
//! them with `log.exchange = true`.
//!
//! Nothing here logs: a line about a line would never end.

use std::sync::Arc;

use crate::broker::Broker;
use crate::model::ExchangeName;
use crate::model::RunBuilder;
use crate::model::message;
use crate::model::message::Traits;
use crate::protocol::properties;
use crate::protocol::raw_table::RawTable;
use crate::vhost::Vhost;

/// Where log lines go.
const LOG_EXCHANGE: &str = "amq.rabbitmq.log";

impl Broker {
    /// Gives the default virtual host what it has beyond others.
    pub(super) fn furnish(&self, vhost: &Arc<Vhost>) {
        if **vhost.name() != *self.options.default_vhost {
            return;
        }
        vhost.host_events();
        if self.options.log_exchange {
            vhost.add_announcing(LOG_EXCHANGE);
        }
    }

    /// Publishes a log line; `level` is RabbitMQ's word and the routing key. Nothing happens without the exchange.
    pub fn publish_log(&self, level: &str, line: &[u8], now: u64) {
        let vhost = self.vhost(&self.options.default_vhost);
        let found = vhost.and_then(|vhost| {
            let exchange = vhost.exchange(LOG_EXCHANGE)?;
            Some((vhost, exchange))
        });
        let Some((vhost, exchange)) = found else {
            return;
        };
        let mut headers = RawTable::new();
        headers.text("node", self.options.cluster_name.as_bytes());
        let header = properties::of_log_line(&headers.finish(), now / 1000);
        let traits = Traits::new(false, true, false, false, false, 0);
        let route = message::route(&ExchangeName::known(LOG_EXCHANGE), level);
        let mut builder = RunBuilder::default();
        builder.push(&route, &header, line, traits);
        vhost.announce(&exchange, &builder.finish(), now);
    }
}

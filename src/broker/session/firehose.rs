//! The firehose: copies of what this connection publishes and is delivered, for `amq.rabbitmq.trace` of its virtual host
//! (specification §5.5). The headers and their types are RabbitMQ's; the body is the message's.
//!
//! Whether it is on is one look at the virtual host a run. It builds no routes of its own and holds no lock.

use std::sync::Arc;

use crate::broker::Session;
use crate::broker::session::publish::Addressed;
use crate::broker::session::publish::Stretch;
use crate::model::ChannelId;
use crate::model::Delivered;
use crate::model::ExchangeName;
use crate::model::MessageRef;
use crate::model::RunBuilder;
use crate::model::message;
use crate::model::message::Traits;
use crate::model::outbox::Parcel;
use crate::protocol::copies;
use crate::protocol::properties;
use crate::protocol::raw_table::RawTable;
use crate::vhost::Exchange;
use crate::vhost::TRACE_EXCHANGE;
use crate::vhost::Vhost;

/// The routing key is cut where a short string ends.
const ROUTING_KEY_BYTES_MAX: usize = 255;

impl Session {
    /// Copies what was just routed.
    pub(super) fn trace_published(
        &self,
        channel: ChannelId,
        exchange: &Exchange,
        addressed: &Addressed,
    ) {
        let Some(vhost) = self.vhost.as_ref().filter(|vhost| vhost.tracing()) else {
            return;
        };
        let mut copies = Copies::new(vhost, "publish", &exchange.name);
        for Stretch { range, route, .. } in &addressed.stretches {
            for index in range.clone() {
                let message = addressed.run.message(index);
                let keys = addressed.keys(index);
                let queues: Vec<&str> = if exchange.is_default() {
                    // All that the keys name, there or not: so RabbitMQ has it.
                    let mut named = keys.clone();
                    named.sort_unstable();
                    named.dedup();
                    named
                } else {
                    route.queue_names().collect()
                };
                copies.add(
                    message,
                    &keys,
                    &self.broker.options.cluster_name,
                    |headers| {
                        self.trace_origin(channel, headers);
                        headers.texts("routed_queues", queues);
                    },
                );
            }
        }
        copies.announce(vhost, self.now);
    }

    /// Copies what the connection takes from its outbox.
    pub(super) fn trace_parcels(&mut self, parcels: &[Parcel]) {
        if !self.vhost.as_ref().is_some_and(|vhost| vhost.tracing()) {
            return;
        }
        for parcel in parcels {
            if let Parcel::Delivery(delivery) = parcel {
                self.trace_delivered(delivery.channel, &delivery.range);
            }
        }
    }

    /// Copies a delivery from a queue; direct replies come from none.
    pub(super) fn trace_delivered(&mut self, channel: ChannelId, range: &Delivered) {
        let vhost = self.vhost.as_ref().filter(|vhost| vhost.tracing());
        let Some(vhost) = vhost.map(Arc::clone) else {
            return;
        };
        let Some(queue) = self.queue_by_id(range.queue) else {
            return;
        };
        let mut traced = Copies::new(&vhost, "deliver", &queue.name);
        for message in range.run.iter() {
            if message.exchange() == TRACE_EXCHANGE {
                continue;
            }
            let keys = copies::all_keys(message);
            let keys: Vec<_> = keys.iter().map(String::as_str).collect();
            traced.add(
                message,
                &keys,
                &self.broker.options.cluster_name,
                |headers| {
                    headers.int("redelivered", i32::from(range.redelivered));
                    self.trace_origin(channel, headers);
                },
            );
        }
        traced.announce(&vhost, self.now);
    }

    fn trace_origin(&self, channel: ChannelId, headers: &mut RawTable) {
        headers.text("vhost", self.vhost_name().as_bytes());
        headers.text("connection", self.name().as_bytes());
        headers.int("channel", channel.0.into());
        headers.text("user", self.user_name().as_bytes());
    }
}

/// Copies on their way; all have one routing key.
struct Copies {
    exchange: Option<Arc<Exchange>>,
    route: Vec<u8>,
    builder: RunBuilder,
}

impl Copies {
    fn new(vhost: &Vhost, what: &str, of: &str) -> Self {
        let key = format!("{what}.{of}");
        let key = &key[..key.floor_char_boundary(ROUTING_KEY_BYTES_MAX)];
        Self {
            exchange: vhost.exchange(TRACE_EXCHANGE),
            route: message::route(&ExchangeName::known(TRACE_EXCHANGE), key),
            builder: RunBuilder::default(),
        }
    }

    fn add(
        &mut self,
        message: MessageRef<'_>,
        keys: &[&str],
        node: &str,
        further: impl FnOnce(&mut RawTable),
    ) {
        let mut headers = RawTable::new();
        headers.text("exchange_name", message.exchange().as_bytes());
        headers.texts("routing_keys", keys);
        let shown = copies::shown(message.header(), message.traits());
        headers.table("properties", &properties::to_table(&shown));
        headers.text("node", node.as_bytes());
        further(&mut headers);
        let header = properties::of_headers(&headers.finish());
        let traits = Traits::new(false, true, false, false, false, 0);
        self.builder
            .push(&self.route, &header, message.body(), traits);
    }

    fn announce(mut self, vhost: &Vhost, now: u64) {
        if let Some(exchange) = &self.exchange
            && !self.builder.is_empty()
        {
            vhost.announce(exchange, &self.builder.finish(), now);
        }
    }
}

//! The durable queues, exchanges and bindings that the rounds publish through, and which queues
//! each route reaches. Declared once, before the first crash; afterwards they must be there.

use crate::ledger::QueueIndex;
use lapin::Channel;
use lapin::ExchangeKind;
use lapin::options::ExchangeDeclareOptions;
use lapin::options::QueueBindOptions;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use leveret_compat_tests::assertions::Checked;
use leveret_compat_tests::assertions::within;

pub(crate) const QUEUE_COUNT: usize = 8;

/// Further queues, each of which one client has to itself.
pub(crate) const SOLO_COUNT: usize = 3;

const EXCHANGES: [(&str, ExchangeKind); 3] = [
    ("crash.fanout", ExchangeKind::Fanout),
    ("crash.topic", ExchangeKind::Topic),
    ("crash.direct", ExchangeKind::Direct),
];

const BINDINGS: [(QueueIndex, &str, &str); 8] = [
    (0, "crash.fanout", ""),
    (1, "crash.fanout", ""),
    (2, "crash.fanout", ""),
    (3, "crash.topic", "order.#"),
    (4, "crash.topic", "order.*.eu"),
    (5, "crash.topic", "stock.*"),
    (6, "crash.direct", "pair"),
    (7, "crash.direct", "pair"),
];

/// A way to publish, and where it ends.
pub(crate) struct Route {
    pub(crate) exchange: &'static str,
    pub(crate) key: &'static str,
    pub(crate) targets: &'static [QueueIndex],
}

pub(crate) const ROUTES: [Route; 10] = [
    Route {
        exchange: "",
        key: "crash.0",
        targets: &[0],
    },
    Route {
        exchange: "",
        key: "crash.1",
        targets: &[1],
    },
    Route {
        exchange: "",
        key: "crash.4",
        targets: &[4],
    },
    Route {
        exchange: "",
        key: "crash.5",
        targets: &[5],
    },
    Route {
        exchange: "",
        key: "crash.7",
        targets: &[7],
    },
    Route {
        exchange: "crash.fanout",
        key: "all",
        targets: &[0, 1, 2],
    },
    Route {
        exchange: "crash.topic",
        key: "order.new.eu",
        targets: &[3, 4],
    },
    Route {
        exchange: "crash.topic",
        key: "order.new",
        targets: &[3],
    },
    Route {
        exchange: "crash.topic",
        key: "stock.usd",
        targets: &[5],
    },
    Route {
        exchange: "crash.direct",
        key: "pair",
        targets: &[6, 7],
    },
];

pub(crate) fn queue_name(index: QueueIndex) -> String {
    format!("crash.{index}")
}

pub(crate) async fn declare(channel: &Channel) -> Checked {
    for (name, kind) in EXCHANGES {
        let options = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        channel
            .exchange_declare(name.into(), kind, options, FieldTable::default())
            .await?;
    }
    for index in 0..QUEUE_COUNT + SOLO_COUNT {
        let options = QueueDeclareOptions::durable();
        channel
            .queue_declare(queue_name(index).into(), options, FieldTable::default())
            .await?;
    }
    for (queue, exchange, key) in BINDINGS {
        channel
            .queue_bind(
                queue_name(queue).into(),
                exchange.into(),
                key.into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await?;
    }
    Ok(())
}

/// Fails unless every exchange is there. Bindings show by what mandatory messages reach.
pub(crate) async fn expect_exchanges(channel: &Channel) -> Checked {
    for (name, kind) in EXCHANGES {
        let options = ExchangeDeclareOptions {
            passive: true,
            ..ExchangeDeclareOptions::default()
        };
        let declared = channel.exchange_declare(name.into(), kind, options, FieldTable::default());
        within("passive exchange.declare", declared).await??;
    }
    Ok(())
}

/// The number of ready messages; an error when the queue is not there.
pub(crate) async fn ready(channel: &Channel, name: &str) -> Checked<usize> {
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::durable()
    };
    let declared = channel.queue_declare(name.into(), options, FieldTable::default());
    Ok(within("passive queue.declare", declared)
        .await??
        .message_count() as usize)
}

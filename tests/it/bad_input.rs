//! Peers that send what they should not, too much, too slowly, or nothing: each gets the error or the silence of the
//! specification within its timers and for bounded memory, and another client does not notice.

mod churn;
mod crowds;
mod cuts;
mod deaf;
mod frames;
mod headers;
mod logins;
mod tables;
mod timers;

use std::net::SocketAddr;

use crate::broker::Broker;
use crate::broker::Launch;
use crate::broker::eventually;
use crate::bystander::Bystander;

/// A broker, and a client that must not notice what others do to it.
struct Scene {
    broker: Broker,
    bystander: Bystander,
}

impl Scene {
    fn start() -> Self {
        Self::of(Launch::serve())
    }

    fn with_settings(settings: &str) -> Self {
        Self::of(Launch::serve().settings(settings))
    }

    fn of(launch: Launch) -> Self {
        let broker = launch.start();
        let bystander = Bystander::start(broker.amqp());
        // Memory is compared with what the broker takes once it has served somebody.
        bystander.is_served();
        Self { broker, bystander }
    }

    fn address(&self) -> SocketAddr {
        self.broker.amqp()
    }

    /// All others are gone, the bystander was served all the while, and the broker stops as it should.
    fn end(self) {
        self.bystander.is_served();
        let connections = || self.broker.open_connections();
        eventually("the broker knows nobody but the bystander", || {
            connections() == 1
        });
        let slowest = self.bystander.dismiss();
        println!("the bystander's slowest round trip: {slowest:?}");
        self.broker.stop();
    }
}

//! A broker and its clients in one process, without sockets: what a client writes is handed to its connection's machine, as the
//! server's loops do. For counting what a message costs, in instructions and in octets.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::basic;
use amq_protocol::protocol::channel;
use amq_protocol::protocol::confirm;
use amq_protocol::protocol::connection;
use amq_protocol::protocol::queue;
use leveret::auth::Credentials;
use leveret::broker::AlarmOptions;
use leveret::broker::Broker;
use leveret::broker::BrokerOptions;
use leveret::broker::Session;
use leveret::connection::Connection;
use leveret::connection::ConnectionOptions;
use leveret::model::ChannelId;
use leveret::model::DeliveryTag;
use leveret::model::Permitted;
use leveret::model::Release;
use leveret::model::outbox::Parcel;
use leveret::protocol::encode;
use leveret::protocol::envelope::Cut;
use leveret::protocol::envelope::cut;
use leveret::protocol::output::Output;
use leveret::store::StoreOptions;
use leveret::vhost::QueueDefaults;

const NOW: u64 = 1_700_000_000_000;
pub(crate) const CHANNEL: ChannelId = ChannelId(1);

pub(crate) fn broker(dir: &Path) -> Arc<Broker> {
    let options = BrokerOptions {
        data_dir: dir.to_owned(),
        store: StoreOptions::default(),
        product: "RabbitMQ".to_owned(),
        version: "3.13.7".to_owned(),
        cluster_name: "bench".to_owned(),
        auth_mechanisms: vec!["PLAIN".to_owned()],
        anonymous: Credentials::new("guest", "guest"),
        default_user: "guest".to_owned(),
        default_pass: "guest".to_owned(),
        default_vhost: "/".to_owned(),
        seeded: true,
        loopback_users: Vec::new(),
        connection_max: None,
        log_exchange: false,
        outbox_bytes_max: 1 << 20,
        queue_memory_bytes: 64 << 20,
        queue_defaults: QueueDefaults::default(),
        release: Release::default(),
        permitted: Permitted::default(),
        alarms: AlarmOptions::default(),
    };
    Broker::start(options, NOW).expect("a node")
}

/// A client, its connection and what the server does for it.
pub(crate) struct Peer {
    broker: Arc<Broker>,
    machine: Connection,
    session: Session,
    now: Instant,
    parcels: Vec<Parcel>,
    /// What the broker has written.
    pub(crate) out: Output,
}

impl Peer {
    /// Logged in, with a channel open.
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    pub(crate) fn open(broker: &Arc<Broker>) -> Self {
        let now = Instant::now();
        let peer = SocketAddr::from(([127, 0, 0, 1], 50_000));
        let mut session = Session::new(Arc::clone(broker), peer);
        session.set_now(NOW);
        let mut peer = Self {
            broker: Arc::clone(broker),
            machine: Connection::new(ConnectionOptions::default(), now),
            session,
            now,
            parcels: Vec::new(),
            out: Output::default(),
        };
        peer.write(b"AMQP\x00\x00\x09\x01");
        peer.connection(connection::AMQPMethod::StartOk(connection::StartOk {
            client_properties: Default::default(),
            mechanism: "PLAIN".into(),
            response: "\0guest\0guest".into(),
            locale: "en_US".into(),
        }));
        peer.connection(connection::AMQPMethod::TuneOk(connection::TuneOk {
            channel_max: 2047,
            frame_max: 131_072,
            heartbeat: 0,
        }));
        peer.connection(connection::AMQPMethod::Open(connection::Open {
            virtual_host: "/".into(),
        }));
        peer.open_channel(CHANNEL);
        peer
    }

    fn connection(&mut self, method: connection::AMQPMethod) {
        self.say(ChannelId(0), AMQPClass::Connection(method));
    }

    pub(crate) fn open_channel(&mut self, id: ChannelId) {
        let open = channel::AMQPMethod::Open(channel::Open {});
        self.say(id, AMQPClass::Channel(open));
    }

    fn say(&mut self, id: ChannelId, method: AMQPClass) {
        let mut octets = Vec::new();
        encode::method(&mut octets, id, &method);
        self.write(&octets);
        self.wait();
        let closed = |class, method| [0, class, 0, method];
        for close in [closed(10, 50), closed(20, 40)] {
            assert_ne!(
                self.out.to_vec().get(7..11),
                Some(&close[..]),
                "refused: {method:?}"
            );
        }
        self.out.clear();
    }

    /// The client closes the connection.
    pub(crate) fn close(mut self) {
        self.connection(connection::AMQPMethod::Close(connection::Close {
            reply_code: 200,
            reply_text: "Goodbye".into(),
            class_id: 0,
            method_id: 0,
        }));
        self.machine.abandon(&mut self.session);
    }

    pub(crate) fn declare(&mut self, name: &str, durable: bool) {
        let declare = queue::AMQPMethod::Declare(queue::Declare {
            queue: name.into(),
            passive: false,
            durable,
            exclusive: false,
            auto_delete: false,
            nowait: false,
            arguments: Default::default(),
        });
        self.say(CHANNEL, AMQPClass::Queue(declare));
    }

    pub(crate) fn bind(&mut self, queue: &str, exchange: &str, key: &str) {
        let bind = queue::AMQPMethod::Bind(queue::Bind {
            queue: queue.into(),
            exchange: exchange.into(),
            routing_key: key.into(),
            nowait: false,
            arguments: Default::default(),
        });
        self.say(CHANNEL, AMQPClass::Queue(bind));
    }

    pub(crate) fn consume(&mut self, queue: &str, prefetch: u16, no_ack: bool) {
        let qos = basic::AMQPMethod::Qos(basic::Qos {
            prefetch_count: prefetch,
            global: false,
        });
        self.say(CHANNEL, AMQPClass::Basic(qos));
        let consume = basic::AMQPMethod::Consume(basic::Consume {
            queue: queue.into(),
            consumer_tag: "".into(),
            no_local: false,
            no_ack,
            exclusive: false,
            nowait: false,
            arguments: Default::default(),
        });
        self.say(CHANNEL, AMQPClass::Basic(consume));
    }

    pub(crate) fn select_confirms(&mut self) {
        let select = confirm::AMQPMethod::Select(confirm::Select { nowait: false });
        self.say(CHANNEL, AMQPClass::Confirm(select));
    }

    /// The client writes this, and its loop has a turn.
    pub(crate) fn write(&mut self, octets: &[u8]) {
        let taken = self
            .machine
            .receive(octets, self.now, &mut self.session, &mut self.out);
        assert_eq!(taken, octets.len(), "all of it is taken");
    }

    /// Takes what the broker left for it.
    pub(crate) fn turn(&mut self) {
        self.session.take_parcels(&mut self.parcels);
        let delivered = self.machine.deliver(
            &mut self.parcels,
            self.now,
            &mut self.session,
            &mut self.out,
        );
        self.parcels.clear();
        self.session.delivered(delivered);
        self.machine
            .committed(self.broker.durable(), self.now, &mut self.out);
    }

    /// Until nothing waits for the disk.
    pub(crate) fn wait(&mut self) {
        while let Some(lsn) = self.machine.awaits() {
            self.broker.store().wait(lsn).expect("a sound store");
            self.turn();
        }
    }

    /// Acknowledges everything up to this.
    pub(crate) fn ack(&mut self, tag: u64) {
        let mut octets = Vec::new();
        encode::ack(&mut octets, CHANNEL, DeliveryTag(tag), true);
        self.write(&octets);
    }

    /// Frames that the broker has written; they are forgotten.
    pub(crate) fn frames(&mut self) -> usize {
        let mut count = 0;
        let octets = self.out.to_vec();
        let mut rest = &octets[..];
        while let Ok(Cut::Frame { consumed, .. }) = cut(rest, 0) {
            rest = &rest[consumed..];
            count += 1;
        }
        self.out.clear();
        count
    }
}

fn frame(kind: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(&CHANNEL.0.to_be_bytes());
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    out.extend_from_slice(payload);
    out.push(0xCE);
}

/// So many publishes as a client writes them.
pub(crate) fn publishes(
    exchange: &str,
    key: &str,
    properties: &[u8],
    size: usize,
    count: usize,
) -> Vec<u8> {
    let mut method = vec![0, 60, 0, 40, 0, 0];
    for text in [exchange, key] {
        method.push(text.len() as u8);
        method.extend_from_slice(text.as_bytes());
    }
    method.push(0);
    let mut header = vec![0, 60, 0, 0];
    header.extend_from_slice(&(size as u64).to_be_bytes());
    header.extend_from_slice(properties);
    let mut stream = Vec::new();
    for _ in 0..count {
        frame(1, &method, &mut stream);
        frame(2, &header, &mut stream);
        frame(3, &vec![b'x'; size], &mut stream);
    }
    stream
}

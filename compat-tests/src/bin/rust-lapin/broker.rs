//! The broker under test: its address, the connection the checks share, and the few calls that
//! all of them make.

use lapin::BasicProperties;
use lapin::Channel;
use lapin::Connection;
use lapin::ConnectionProperties;
use lapin::ErrorKind;
use lapin::message::BasicGetMessage;
use lapin::options::BasicGetOptions;
use lapin::options::BasicPublishOptions;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use leveret_compat_tests::assertions::Checked;
use leveret_compat_tests::assertions::equal;
use leveret_compat_tests::assertions::within;
use leveret_compat_tests::naming::unique_prefix;

pub(crate) struct Broker {
    pub(crate) url: String,
    pub(crate) vhost: String,
    pub(crate) user: String,
    pub(crate) connection: Connection,
    prefix: String,
}

fn environment(name: &str, fallback: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| fallback.to_owned())
}

pub(crate) async fn open(url: &str) -> Checked<Connection> {
    let properties =
        ConnectionProperties::default().with_connection_name("compat-rust-lapin".into());
    Ok(within("connecting", Connection::connect(url, properties)).await??)
}

impl Broker {
    pub(crate) async fn connect() -> Checked<Self> {
        let url = environment("LEVERET_URL", "amqp://guest:guest@127.0.0.1:5672/%2f");
        Ok(Self {
            vhost: environment("LEVERET_VHOST", "/"),
            user: environment("LEVERET_USER", "guest"),
            connection: open(&url).await?,
            prefix: unique_prefix("compat-lapin"),
            url,
        })
    }

    /// A name that this run alone uses.
    pub(crate) fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.prefix)
    }

    pub(crate) async fn channel(&self) -> Checked<Channel> {
        Ok(within("channel.open", self.connection.create_channel()).await??)
    }
}

/// Declares a server-named exclusive queue.
pub(crate) async fn queue(channel: &Channel) -> Checked<String> {
    let options = QueueDeclareOptions {
        exclusive: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare("".into(), options, FieldTable::default());
    Ok(within("queue.declare", declared).await??.name().to_string())
}

/// How many messages are ready, by a passive declare.
pub(crate) async fn ready(channel: &Channel, name: &str) -> Checked<u32> {
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare(name.into(), options, FieldTable::default());
    Ok(within("passive queue.declare", declared)
        .await??
        .message_count())
}

/// Waits until so many are ready: RabbitMQ lets a passive declare overtake publishes.
pub(crate) async fn await_ready(channel: &Channel, name: &str, wanted: u32) -> Checked {
    let counting = async {
        while ready(channel, name).await? != wanted {}
        Checked::Ok(())
    };
    within(&format!("{wanted} ready messages"), counting).await?
}

pub(crate) async fn publish(channel: &Channel, exchange: &str, key: &str, body: &str) -> Checked {
    publish_with(channel, exchange, key, body, BasicProperties::default()).await
}

pub(crate) async fn publish_with(
    channel: &Channel,
    exchange: &str,
    key: &str,
    body: &str,
    properties: BasicProperties,
) -> Checked {
    let options = BasicPublishOptions::default();
    channel
        .basic_publish(
            exchange.into(),
            key.into(),
            options,
            body.as_bytes(),
            properties,
        )
        .await?;
    Ok(())
}

pub(crate) async fn get(
    channel: &Channel,
    name: &str,
    no_ack: bool,
) -> Checked<Option<BasicGetMessage>> {
    let options = BasicGetOptions { no_ack };
    Ok(within("basic.get", channel.basic_get(name.into(), options)).await??)
}

/// The call failed by an error that the broker sent, with this code and text.
pub(crate) fn expect_error<T>(outcome: lapin::Result<T>, code: u16, text: &str) -> Checked {
    let Err(error) = outcome else {
        return Err(format!("accepted, want {code} {text}").into());
    };
    let ErrorKind::ProtocolError(refusal) = error.kind() else {
        return Err(error.into());
    };
    equal(text, refusal.get_message().as_str(), "reply text")?;
    equal(code, refusal.get_id(), "reply code")
}

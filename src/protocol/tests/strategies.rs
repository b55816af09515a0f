//! Everything that can stand in a frame, for property tests.

use std::collections::BTreeMap;

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::access;
use amq_protocol::protocol::basic;
use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::protocol::channel;
use amq_protocol::protocol::confirm;
use amq_protocol::protocol::connection;
use amq_protocol::protocol::exchange;
use amq_protocol::protocol::queue;
use amq_protocol::protocol::tx;
use amq_protocol::types::AMQPValue;
use amq_protocol::types::DecimalValue;
use amq_protocol::types::FieldTable;
use amq_protocol::types::LongString;
use amq_protocol::types::ShortString;
use proptest::collection::btree_map;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

pub(super) fn short_string() -> impl Strategy<Value = ShortString> + Clone {
    let text = prop_oneof![
        8 => "[a-z.#*-]{0,12}",
        2 => "\\PC{0,60}",
        1 => "[a-z]{250,255}",
    ];
    text.prop_filter_map("too long", |text| ShortString::try_new(text).ok())
}

fn long_string() -> impl Strategy<Value = LongString> {
    vec(any::<u8>(), 0..80).prop_map(LongString::from)
}

fn finite_f32() -> impl Strategy<Value = f32> {
    any::<u32>()
        .prop_map(f32::from_bits)
        .prop_filter("finite", |f| f.is_finite())
}

fn finite_f64() -> impl Strategy<Value = f64> {
    any::<u64>()
        .prop_map(f64::from_bits)
        .prop_filter("finite", |f| f.is_finite())
}

pub(super) fn value() -> impl Strategy<Value = AMQPValue> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(AMQPValue::Boolean),
        any::<i8>().prop_map(AMQPValue::ShortShortInt),
        any::<u8>().prop_map(AMQPValue::ShortShortUInt),
        any::<i16>().prop_map(AMQPValue::ShortInt),
        any::<u16>().prop_map(AMQPValue::ShortUInt),
        any::<i32>().prop_map(AMQPValue::LongInt),
        any::<u32>().prop_map(AMQPValue::LongUInt),
        any::<i64>().prop_map(AMQPValue::LongLongInt),
        finite_f32().prop_map(AMQPValue::Float),
        finite_f64().prop_map(AMQPValue::Double),
        (any::<u8>(), any::<u32>())
            .prop_map(|(scale, value)| AMQPValue::DecimalValue(DecimalValue { scale, value })),
        long_string().prop_map(AMQPValue::LongString),
        any::<u64>().prop_map(AMQPValue::Timestamp),
        vec(any::<u8>(), 0..20).prop_map(|octets| AMQPValue::ByteArray(octets.into())),
        Just(AMQPValue::Void),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(|values| AMQPValue::FieldArray(values.into())),
            btree_map(short_string(), inner, 0..6)
                .prop_map(|entries| AMQPValue::FieldTable(entries.into())),
        ]
    })
}

pub(super) fn table() -> impl Strategy<Value = FieldTable> {
    btree_map(short_string(), value(), 0..6)
        .prop_map(|entries: BTreeMap<ShortString, AMQPValue>| entries.into())
}

pub(super) fn properties() -> impl Strategy<Value = AMQPProperties> {
    let texts = vec(option::of(short_string()), 10);
    (
        texts,
        option::of(table()),
        option::of(any::<u8>()),
        option::of(any::<u8>()),
        option::of(any::<u64>()),
    )
        .prop_map(|(texts, headers, delivery_mode, priority, timestamp)| {
            type With = fn(AMQPProperties, ShortString) -> AMQPProperties;
            const WITH: [With; 10] = [
                AMQPProperties::with_content_type,
                AMQPProperties::with_content_encoding,
                AMQPProperties::with_correlation_id,
                AMQPProperties::with_reply_to,
                AMQPProperties::with_expiration,
                AMQPProperties::with_message_id,
                AMQPProperties::with_type,
                AMQPProperties::with_user_id,
                AMQPProperties::with_app_id,
                AMQPProperties::with_cluster_id,
            ];
            let mut properties = AMQPProperties::default();
            for (with, text) in WITH.iter().zip(texts) {
                if let Some(text) = text {
                    properties = with(properties, text);
                }
            }
            if let Some(headers) = headers {
                properties = properties.with_headers(headers);
            }
            if let Some(delivery_mode) = delivery_mode {
                properties = properties.with_delivery_mode(delivery_mode);
            }
            if let Some(priority) = priority {
                properties = properties.with_priority(priority);
            }
            if let Some(timestamp) = timestamp {
                properties = properties.with_timestamp(timestamp);
            }
            properties
        })
}

macro_rules! method {
    ($class:ident $module:ident $method:ident { $($field:ident: $strategy:expr),* $(,)? }) => {
        (Just(()), $($strategy,)*)
            .prop_map(|((), $($field,)*)| {
                AMQPClass::$class($module::AMQPMethod::$method($module::$method { $($field),* }))
            })
            .boxed()
    };
}

/// A strategy for each method there is.
pub(super) fn methods() -> Vec<BoxedStrategy<AMQPClass>> {
    let short = short_string;
    let long = long_string;
    let bit = any::<bool>;
    let octet = any::<u8>;
    let u16 = any::<u16>;
    let u32 = any::<u32>;
    let u64 = any::<u64>;
    vec![
        method!(Connection connection Start {
            version_major: octet(), version_minor: octet(), server_properties: table(), mechanisms: long(),
            locales: long(),
        }),
        method!(Connection connection StartOk {
            client_properties: table(), mechanism: short(), response: long(), locale: short(),
        }),
        method!(Connection connection Secure { challenge: long() }),
        method!(Connection connection SecureOk { response: long() }),
        method!(Connection connection Tune { channel_max: u16(), frame_max: u32(), heartbeat: u16() }),
        method!(Connection connection TuneOk { channel_max: u16(), frame_max: u32(), heartbeat: u16() }),
        method!(Connection connection Open { virtual_host: short() }),
        method!(Connection connection OpenOk {}),
        method!(Connection connection Close {
            reply_code: u16(), reply_text: short(), class_id: u16(), method_id: u16(),
        }),
        method!(Connection connection CloseOk {}),
        method!(Connection connection Blocked { reason: short() }),
        method!(Connection connection Unblocked {}),
        method!(Connection connection UpdateSecret { new_secret: long(), reason: short() }),
        method!(Connection connection UpdateSecretOk {}),
        method!(Channel channel Open {}),
        method!(Channel channel OpenOk {}),
        method!(Channel channel Flow { active: bit() }),
        method!(Channel channel FlowOk { active: bit() }),
        method!(Channel channel Close {
            reply_code: u16(), reply_text: short(), class_id: u16(), method_id: u16(),
        }),
        method!(Channel channel CloseOk {}),
        method!(Access access Request {
            realm: short(), exclusive: bit(), passive: bit(), active: bit(), write: bit(), read: bit(),
        }),
        method!(Access access RequestOk {}),
        method!(Exchange exchange Declare {
            exchange: short(), kind: short(), passive: bit(), durable: bit(), auto_delete: bit(), internal: bit(),
            nowait: bit(), arguments: table(),
        }),
        method!(Exchange exchange DeclareOk {}),
        method!(Exchange exchange Delete { exchange: short(), if_unused: bit(), nowait: bit() }),
        method!(Exchange exchange DeleteOk {}),
        method!(Exchange exchange Bind {
            destination: short(), source: short(), routing_key: short(), nowait: bit(), arguments: table(),
        }),
        method!(Exchange exchange BindOk {}),
        method!(Exchange exchange Unbind {
            destination: short(), source: short(), routing_key: short(), nowait: bit(), arguments: table(),
        }),
        method!(Exchange exchange UnbindOk {}),
        method!(Queue queue Declare {
            queue: short(), passive: bit(), durable: bit(), exclusive: bit(), auto_delete: bit(), nowait: bit(),
            arguments: table(),
        }),
        method!(Queue queue DeclareOk { queue: short(), message_count: u32(), consumer_count: u32() }),
        method!(Queue queue Bind {
            queue: short(), exchange: short(), routing_key: short(), nowait: bit(), arguments: table(),
        }),
        method!(Queue queue BindOk {}),
        method!(Queue queue Purge { queue: short(), nowait: bit() }),
        method!(Queue queue PurgeOk { message_count: u32() }),
        method!(Queue queue Delete { queue: short(), if_unused: bit(), if_empty: bit(), nowait: bit() }),
        method!(Queue queue DeleteOk { message_count: u32() }),
        method!(Queue queue Unbind {
            queue: short(), exchange: short(), routing_key: short(), arguments: table(),
        }),
        method!(Queue queue UnbindOk {}),
        method!(Basic basic Qos { prefetch_count: u16(), global: bit() }),
        method!(Basic basic QosOk {}),
        method!(Basic basic Consume {
            queue: short(), consumer_tag: short(), no_local: bit(), no_ack: bit(), exclusive: bit(), nowait: bit(),
            arguments: table(),
        }),
        method!(Basic basic ConsumeOk { consumer_tag: short() }),
        method!(Basic basic Cancel { consumer_tag: short(), nowait: bit() }),
        method!(Basic basic CancelOk { consumer_tag: short() }),
        method!(Basic basic Publish {
            exchange: short(), routing_key: short(), mandatory: bit(), immediate: bit(),
        }),
        method!(Basic basic Return {
            reply_code: u16(), reply_text: short(), exchange: short(), routing_key: short(),
        }),
        method!(Basic basic Deliver {
            consumer_tag: short(), delivery_tag: u64(), redelivered: bit(), exchange: short(), routing_key: short(),
        }),
        method!(Basic basic Get { queue: short(), no_ack: bit() }),
        method!(Basic basic GetOk {
            delivery_tag: u64(), redelivered: bit(), exchange: short(), routing_key: short(), message_count: u32(),
        }),
        method!(Basic basic GetEmpty {}),
        method!(Basic basic Ack { delivery_tag: u64(), multiple: bit() }),
        method!(Basic basic Reject { delivery_tag: u64(), requeue: bit() }),
        method!(Basic basic RecoverAsync { requeue: bit() }),
        method!(Basic basic Recover { requeue: bit() }),
        method!(Basic basic RecoverOk {}),
        method!(Basic basic Nack { delivery_tag: u64(), multiple: bit(), requeue: bit() }),
        method!(Confirm confirm Select { nowait: bit() }),
        method!(Confirm confirm SelectOk {}),
        method!(Tx tx Select {}),
        method!(Tx tx SelectOk {}),
        method!(Tx tx Commit {}),
        method!(Tx tx CommitOk {}),
        method!(Tx tx Rollback {}),
        method!(Tx tx RollbackOk {}),
    ]
}

/// Any method.
pub(super) fn method() -> impl Strategy<Value = AMQPClass> {
    proptest::strategy::Union::new(methods())
}

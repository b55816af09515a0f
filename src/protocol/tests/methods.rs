//! Methods: encode and decode are inverse, every method there is is known, bad ones are refused as RabbitMQ does.

use std::collections::BTreeSet;

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::basic;
use amq_protocol::protocol::parse_class;
use amq_protocol::protocol::queue;
use amq_protocol::types::AMQPValue;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::model::ChannelId;
use crate::model::DeliveryTag;
use crate::model::ExchangeName;
use crate::model::ReplyCode;
use crate::model::message::route;
use crate::protocol::encode;
use crate::protocol::layout;
use crate::protocol::method::Method;
use crate::protocol::method::MethodError;
use crate::protocol::method::MethodId;
use crate::protocol::method::Publish;
use crate::protocol::method::method_id;
use crate::protocol::method::parse_method;
use crate::protocol::table::TableError;
use crate::protocol::tests::strategies::method;
use crate::protocol::tests::strategies::methods;

fn payload(method: &AMQPClass) -> Vec<u8> {
    let mut out = Vec::new();
    encode::method(&mut out, ChannelId(1), method);
    out[7..out.len() - 1].to_vec()
}

/// Checks that `sent` comes out of its payload, be it as one of our own variants.
fn check_received(sent: &AMQPClass, received: &Method<'_>) {
    let AMQPClass::Basic(sent_basic) = sent else {
        assert_eq!(received, &Method::Other(sent.clone()));
        return;
    };
    match (sent_basic, received) {
        (basic::AMQPMethod::Publish(sent), Method::Publish(received)) => {
            let exchange = ExchangeName::known(sent.exchange.as_str());
            assert_eq!(
                *received,
                Publish {
                    route: &route(&exchange, sent.routing_key.as_str()),
                    mandatory: sent.mandatory,
                    immediate: sent.immediate,
                }
            );
            assert_eq!(received.exchange(), sent.exchange.as_str());
            assert_eq!(received.routing_key(), sent.routing_key.as_str());
        }
        (basic::AMQPMethod::Ack(sent), Method::Ack { tag, multiple }) => {
            assert_eq!((sent.delivery_tag, sent.multiple), (tag.0, *multiple));
        }
        (
            basic::AMQPMethod::Nack(sent),
            Method::Nack {
                tag,
                multiple,
                requeue,
            },
        ) => {
            assert_eq!(
                (sent.delivery_tag, sent.multiple, sent.requeue),
                (tag.0, *multiple, *requeue)
            );
        }
        (basic::AMQPMethod::Reject(sent), Method::Reject { tag, requeue }) => {
            assert_eq!((sent.delivery_tag, sent.requeue), (tag.0, *requeue));
        }
        (
            basic::AMQPMethod::Qos(sent),
            Method::Qos {
                prefetch_size: 0,
                prefetch_count,
                global,
            },
        ) => {
            assert_eq!(
                (sent.prefetch_count, sent.global),
                (*prefetch_count, *global)
            );
        }
        _ => assert_eq!(received, &Method::Other(sent.clone())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_is_encoded_is_decoded(method in method()) {
        let payload = payload(&method);
        check_received(&method, &parse_method(&payload).expect("a method"));
    }

    #[test]
    fn amq_protocol_agrees(method in method()) {
        let payload = payload(&method);
        let (rest, theirs) = parse_class(&payload[..]).expect("a method");
        prop_assert!(rest.is_empty());
        prop_assert_eq!(theirs, method);
    }

    #[test]
    fn a_method_cut_or_drawn_out_is_refused(method in method(), cut: prop::sample::Index) {
        let mut payload = payload(&method);
        let id = method_id(&payload).expect("an id");
        let cut = cut.index(payload.len());
        let short = parse_method(&payload[..cut]);
        if cut < 4 {
            prop_assert_eq!(short, Err(MethodError::Truncated));
        } else {
            prop_assert!(short.is_err(), "{:?}", short);
        }
        payload.push(0);
        let Err(MethodError::Undecodable(refused, _)) = parse_method(&payload) else {
            panic!("taken with an octet too many");
        };
        prop_assert_eq!(refused, id);
    }

    #[test]
    fn damaged_methods_do_not_panic(
        method in method(),
        at: prop::sample::Index,
        octet: u8,
    ) {
        let mut payload = payload(&method);
        let at = at.index(payload.len());
        payload[at] = octet;
        // What is taken can be sent, and is taken again as the same.
        if let Ok(Method::Other(class)) = parse_method(&payload) {
            let again = self::payload(&class);
            prop_assert_eq!(parse_method(&again), Ok(Method::Other(class)));
        }
    }
}

fn all_ids() -> impl Iterator<Item = MethodId> {
    (0..=100).flat_map(|class| (0..=130).map(move |method| MethodId { class, method }))
}

#[test]
fn the_layouts_are_those_of_amq_protocol() {
    for id in all_ids() {
        // Zeros are empty strings and tables, so every method can be parsed from enough of them.
        let mut payload = [0; 64];
        payload[..2].copy_from_slice(&id.class.to_be_bytes());
        payload[2..4].copy_from_slice(&id.method.to_be_bytes());
        let theirs = parse_class(&payload[..])
            .ok()
            .map(|(rest, _)| 60 - rest.len());
        let ours = layout::parts(id).map(|parts| {
            (0..60)
                .find(|octets| layout::check(parts, &payload[4..4 + octets]).is_ok())
                .expect("some size fits")
        });
        assert_eq!(ours, theirs, "method {id}");
    }
}

#[test]
fn the_strategies_make_every_method() {
    let mut runner = TestRunner::deterministic();
    let made: BTreeSet<(u16, u16)> = methods()
        .iter()
        .map(|strategy| {
            let method = strategy.new_tree(&mut runner).expect("a method").current();
            (method.get_amqp_class_id(), method.get_amqp_method_id())
        })
        .collect();
    let known: BTreeSet<(u16, u16)> = all_ids()
        .filter(|id| layout::parts(*id).is_some())
        .map(|id| (id.class, id.method))
        .collect();
    assert_eq!(made, known);
}

fn error(class: u16, method: u16, arguments: &[u8]) -> MethodError {
    let payload = [&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat();
    parse_method(&payload).expect_err("a bad method")
}

/// `queue.declare` of queue `q` with this table, length included.
fn declare(table: &[u8]) -> Vec<u8> {
    [&[0, 50, 0, 10, 0, 0, 1, b'q', 8][..], table].concat()
}

/// Recorded from RabbitMQ 3.10.
#[test]
fn undecodable_methods_are_described_as_rabbitmq_does() {
    let short = error(60, 40, &[0, 0, 0]);
    assert_eq!(short.to_string(), "cannot decode <<0,0,0>>");
    assert_eq!(short.reply_code(), ReplyCode::FrameError);
    let id = MethodId {
        class: 60,
        method: 40,
    };
    assert_eq!(short.method_id(), Some(id));
    assert_eq!(
        error(50, 10, b"hello world").to_string(),
        "cannot decode <<104,101,108,108,111,32,119,111,114,108,100>>"
    );
    let utf8 = error(50, 10, b"\0\0\x02q\xff\x08\0\0\0\x01\x01");
    assert_eq!(utf8.to_string(), "Malformed UTF-8 in shortstr");
}

#[test]
fn the_text_for_a_long_method_is_bounded_and_long_enough() {
    let text = error(50, 10, &[0xff; 100_000]).to_string();
    assert!((255..1000).contains(&text.len()), "{}", text.len());
}

#[test]
fn unknown_methods_are_refused() {
    for (class, method) in [(60, 41), (61, 40), (10, 99), (0, 0), (40, 41), (85, 20)] {
        let refused = error(class, method, &[]);
        assert_eq!(refused, MethodError::Unknown(MethodId { class, method }));
        assert_eq!(refused.reply_code(), ReplyCode::CommandInvalid);
    }
}

#[test]
fn prefetch_size_is_not_lost() {
    let payload = [0, 60, 0, 10, 0, 0, 0, 5, 0, 7, 1];
    assert_eq!(
        parse_method(&payload),
        Ok(Method::Qos {
            prefetch_size: 5,
            prefetch_count: 7,
            global: true
        })
    );
}

#[test]
fn bits_are_packed_from_the_lowest() {
    let mut payload = [0, 60, 0, 120, 0, 0, 0, 0, 0, 0, 0, 9, 0b10];
    assert_eq!(
        parse_method(&payload),
        Ok(Method::Nack {
            tag: DeliveryTag(9),
            multiple: false,
            requeue: true
        })
    );
    // Bits without a meaning are ignored.
    payload[12] = 0b1111_1101;
    assert_eq!(
        parse_method(&payload),
        Ok(Method::Nack {
            tag: DeliveryTag(9),
            multiple: true,
            requeue: false
        })
    );
}

/// Recorded from RabbitMQ 3.10.
#[test]
fn access_request_ok_grants_ticket_1() {
    use amq_protocol::protocol::access;
    let method = AMQPClass::Access(access::AMQPMethod::RequestOk(access::RequestOk {}));
    assert_eq!(payload(&method), [0, 30, 0, 11, 0, 1]);
}

#[test]
fn exchange_unbind_ok_is_method_51() {
    use amq_protocol::protocol::exchange;
    let method = AMQPClass::Exchange(exchange::AMQPMethod::UnbindOk(exchange::UnbindOk {}));
    assert_eq!(payload(&method), [0, 40, 0, 51]);
}

#[test]
fn arguments_are_in_rabbitmqs_dialect() {
    // 's' is a 16-bit integer, 'L' is signed, the first of duplicate keys wins.
    let entries = b"\x01as\xff\xfe\x01bL\xff\xff\xff\xff\xff\xff\xff\xff\x01ct\x01\x01ct\0";
    let table = [&(entries.len() as u32).to_be_bytes()[..], entries].concat();
    let payload = declare(&table);
    let Ok(Method::Other(AMQPClass::Queue(queue::AMQPMethod::Declare(declare)))) =
        parse_method(&payload)
    else {
        panic!("no queue.declare");
    };
    let arguments = declare.arguments.inner();
    assert_eq!(arguments.get("a"), Some(&AMQPValue::ShortInt(-2)));
    assert_eq!(arguments.get("b"), Some(&AMQPValue::LongLongInt(-1)));
    assert_eq!(arguments.get("c"), Some(&AMQPValue::Boolean(true)));
}

#[test]
fn a_bad_table_is_told_from_a_bad_method() {
    let table = |table: &[u8]| match parse_method(&declare(table)) {
        Err(MethodError::Table(_, error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        table(b"\0\0\0\x05\x01kU\0\0"),
        TableError::UnknownType(b'U')
    );
    assert_eq!(table(b"\0\0\0\x03\x01kS"), TableError::Truncated);
}

//! Which arguments are refused, with which words, and which declarations agree.

use amq_protocol::types::AMQPValue;

use super::*;

const RESOURCE: &str = "queue 'q' in vhost '/'";

fn arguments(entries: &[(&str, AMQPValue)]) -> Arguments {
    let mut arguments = Arguments::default();
    for (key, value) in entries {
        arguments.set(key, value.clone());
    }
    arguments
}

#[track_caller]
fn check_refused(key: &str, value: AMQPValue, why: &str) {
    let error = QueueArguments::parse(&arguments(&[(key, value)]), RESOURCE)
        .expect_err("the argument is wrong");
    assert_eq!(
        error.text(),
        format!("invalid arg '{key}' for {RESOURCE}: {why}")
    );
}

#[test]
fn wrong_values_get_rabbitmqs_texts() {
    check_refused("x-expires", AMQPValue::LongInt(0), "{value_zero,0}");
    check_refused(
        "x-message-ttl",
        AMQPValue::LongInt(-1),
        "{value_negative,-1}",
    );
    check_refused(
        "x-message-ttl",
        AMQPValue::LongString("60".into()),
        "\"expected integer, got longstr\"",
    );
    check_refused(
        "x-message-ttl",
        AMQPValue::LongLongInt(EXPIRY_MS_MAX + 1),
        "{value_too_large,315360000001}",
    );
    check_refused(
        "x-max-length",
        AMQPValue::LongInt(-1),
        "{value_negative,-1}",
    );
    check_refused(
        "x-max-length-bytes",
        AMQPValue::LongString("3".into()),
        "\"expected integer, got longstr\"",
    );
    check_refused(
        "x-overflow",
        AMQPValue::LongString("drop".into()),
        "invalid_overflow",
    );
    check_refused(
        "x-dead-letter-exchange",
        AMQPValue::LongInt(1),
        "{unacceptable_type,signedint}",
    );
    check_refused(
        "x-dead-letter-routing-key",
        AMQPValue::LongString("key".into()),
        "routing_key_but_no_dlx_defined",
    );
    check_refused(
        "x-queue-type",
        AMQPValue::LongString("heap".into()),
        "\"unsupported queue type 'heap'\"",
    );
}

#[test]
fn integers_are_equal_across_types() {
    let current = arguments(&[("x-message-ttl", AMQPValue::LongInt(1000))]);
    let same = arguments(&[("x-message-ttl", AMQPValue::LongLongInt(1000))]);
    assert_eq!(
        check_equivalent(QueueType::Classic, &current, &same, RESOURCE),
        Ok(())
    );
}

#[test]
fn differing_arguments_are_named_as_rabbitmq_names_them() {
    let current = arguments(&[("x-message-ttl", AMQPValue::LongInt(1000))]);
    let other = arguments(&[("x-message-ttl", AMQPValue::LongInt(2000))]);
    assert_eq!(
        check_equivalent(QueueType::Classic, &current, &other, RESOURCE)
            .unwrap_err()
            .text(),
        "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received '2000' but current is '1000'"
    );
    assert_eq!(
        check_equivalent(
            QueueType::Classic,
            &current,
            &Arguments::default(),
            RESOURCE
        )
        .unwrap_err()
        .text(),
        "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received none but current is the \
         value '1000' of type 'signedint'"
    );
}

#[test]
fn unknown_arguments_and_the_default_type_do_not_count() {
    let current = arguments(&[("x-mine", AMQPValue::Boolean(true))]);
    let received = arguments(&[("x-queue-type", AMQPValue::LongString("classic".into()))]);
    assert_eq!(
        check_equivalent(QueueType::Classic, &current, &received, RESOURCE),
        Ok(())
    );
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

#[track_caller]
fn check_all(entries: &[(&str, AMQPValue)], expected: Result<(), &str>) {
    let table = arguments(entries);
    let queue_type = QueueType::of(&table, RESOURCE).expect("a known type");
    let judged = table::judge(queue_type, &table, RESOURCE);
    assert_eq!(
        judged.as_ref().map_err(|error| error.text()),
        expected.as_ref().map(|()| &()).map_err(|text| *text)
    );
}

#[test]
fn arguments_of_another_type_are_refused_after_wrong_values() {
    let quorum = ("x-queue-type", text("quorum"));
    check_all(
        &[quorum.clone(), ("x-max-priority", AMQPValue::LongInt(5))],
        Err(
            "invalid arg 'x-max-priority' for queue 'q' in vhost '/' of queue type rabbit_quorum_queue",
        ),
    );
    check_all(
        &[
            quorum.clone(),
            ("x-max-priority", AMQPValue::LongInt(5)),
            ("x-dead-letter-strategy", text("sometimes")),
        ],
        Err(
            "invalid arg 'x-dead-letter-strategy' for queue 'q' in vhost '/': invalid_dlx_strategy",
        ),
    );
    check_all(
        &[("x-dead-letter-strategy", text("sometimes"))],
        Err(
            "invalid arg 'x-dead-letter-strategy' for queue 'q' in vhost '/' of queue type rabbit_classic_queue",
        ),
    );
    check_all(
        &[quorum.clone(), ("x-queue-mode", text("lazy"))],
        Err(
            "invalid arg 'x-queue-mode' for queue 'q' in vhost '/' of queue type rabbit_quorum_queue",
        ),
    );
    for queue_type in ["classic", "quorum"] {
        check_all(
            &[
                ("x-queue-type", text(queue_type)),
                ("x-queue-leader-locator", text("balanced")),
                ("x-mine", AMQPValue::Void),
            ],
            Ok(()),
        );
    }
    check_all(
        &[quorum, ("x-queue-leader-locator", text("here"))],
        Err(
            "invalid arg 'x-queue-leader-locator' for queue 'q' in vhost '/': invalid_queue_locator_arg",
        ),
    );
}

#[test]
fn a_quorum_queue_is_durable_shared_and_lasting() {
    let check = |auto_delete, exclusive, durable| {
        let checked = QueueType::Quorum.check_properties(auto_delete, exclusive, durable, RESOURCE);
        checked.map_err(|error| error.text().to_owned())
    };
    let invalid = |property| Err(format!("invalid property '{property}' for {RESOURCE}"));
    assert_eq!(check(false, false, true), Ok(()));
    assert_eq!(check(true, true, false), invalid("auto-delete"));
    assert_eq!(check(false, true, false), invalid("exclusive-owner"));
    assert_eq!(check(false, false, false), invalid("non-durable"));
    let any = QueueType::Classic.check_properties(true, true, false, RESOURCE);
    assert_eq!(any, Ok(()));
}

#[test]
fn each_type_compares_its_own_arguments_in_its_own_order() {
    let current = arguments(&[("x-queue-type", text("quorum"))]);
    let received = arguments(&[
        ("x-expires", AMQPValue::LongInt(1)),
        ("x-dead-letter-exchange", text("x")),
    ]);
    let differs = |queue_type| {
        let checked = check_equivalent(queue_type, &current, &received, RESOURCE);
        checked.unwrap_err().text().to_owned()
    };
    assert!(differs(QueueType::Quorum).contains("'x-dead-letter-exchange'"));
    assert!(differs(QueueType::Classic).contains("'x-expires'"));
    let neither = arguments(&[
        ("x-queue-type", text("quorum")),
        ("x-consumer-timeout", AMQPValue::LongInt(1)),
    ]);
    let checked = check_equivalent(QueueType::Quorum, &current, &neither, RESOURCE);
    assert_eq!(checked, Ok(()));
}

//! Where RabbitMQ 4 differs from 3.13, and what of what it is about to drop may be forbidden.

use super::*;
use crate::auth::TopicPermissionRecord;
use crate::model::Permitted;
use crate::model::Release;
use crate::routing::RoutingError;

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn of_release(release: Release) -> Node {
    Node::with(|options| options.release = release)
}

#[test]
fn a_user_id_is_checked_first_in_3_and_last_in_4() {
    let user_id = "user_id property set to 'root' but authenticated user was 'guest'";
    let number = AMQPValue::LongInt(5);
    let copies = "invalid message: {unacceptable_type_in_header,\"CC\",signedint}";
    let mut wrong_copies = FieldTable::default();
    wrong_copies.insert("CC".into(), number);
    let claimed = AMQPProperties::default().with_user_id("root".into());
    let late = claimed.clone().with_expiration("late".into());
    let copied = claimed.clone().with_headers(wrong_copies);
    for (release, properties, why) in [
        (Release::V3, &late, user_id),
        (Release::V4, &late, "invalid expiration 'late': no_integer"),
        (Release::V3, &copied, user_id),
        (Release::V4, &copied, copies),
        (Release::V4, &claimed, user_id),
    ] {
        let node = of_release(release);
        let mut client = node.client();
        client.queue("q");
        let publish = Publish {
            run: run_of("", "q", &[("a", properties.clone())]),
            mandatory: false,
        };
        check_refused(client.publish(CHANNEL, publish), 406, why);
    }
}

#[test]
fn in_4_a_topic_is_judged_after_the_properties_but_before_the_user_id() {
    let refused = "write access to topic 'other'";
    let late = AMQPProperties::default().with_expiration("late".into());
    let claimed = AMQPProperties::default().with_user_id("root".into());
    for (release, properties, code, why) in [
        (Release::V3, &late, 403, refused),
        (Release::V4, &late, 406, "invalid expiration 'late'"),
        (Release::V4, &claimed, 403, refused),
    ] {
        let node = of_release(release);
        let mut client = node.client();
        client.exchange("x", "topic");
        let permission = TopicPermissionRecord {
            user: "guest".to_owned(),
            vhost: "/".to_owned(),
            exchange: "x".to_owned(),
            write: "^w".to_owned(),
            read: String::new(),
        };
        node.access()
            .set_topic_permission(permission)
            .expect("a pattern");
        let publish = Publish {
            run: run_of("x", "other", &[("a", properties.clone())]),
            mandatory: false,
        };
        let error = client.publish(CHANNEL, publish).expect_err("refused");
        assert_eq!(error.code().code(), code, "{error:?}");
        assert!(error.text().contains(why), "{error:?}");
    }
}

#[test]
fn a_failover_argument_means_nothing_in_4() {
    for (release, is_judged) in [(Release::V3, true), (Release::V4, false)] {
        let node = of_release(release);
        let mut client = node.client();
        client.queue("q");
        let consume = Consume {
            arguments: arguments(&[("x-cancel-on-ha-failover", text("yes"))]),
            ..consume("q")
        };
        assert_eq!(client.consume(CHANNEL, consume).is_err(), is_judged);
    }
}

#[test]
fn anonymous_clients_are_who_the_settings_say() {
    let anonymous = |node: &Node| {
        let mut client = node.stranger();
        client.login("ANONYMOUS", b"trace", &FieldTable::default())
    };
    assert!(matches!(anonymous(&Node::new()), Login::Invalid(_)));
    let offer = |options: &mut BrokerOptions| options.auth_mechanisms.push("ANONYMOUS".to_owned());
    let node = Node::with(offer);
    assert_eq!(anonymous(&node), Login::Accepted);
    let far = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 1234));
    let mut client = Session::new(Arc::clone(&node.broker), far);
    let login = client.login("ANONYMOUS", b"", &FieldTable::default());
    assert_eq!(login, Login::Refused, "guest is no one from far away");
    let node = Node::with(|options| {
        offer(options);
        options.anonymous = Credentials::new("guest", "wrong");
    });
    assert_eq!(anonymous(&node), Login::Refused);
}

#[test]
fn a_local_random_exchange_leads_to_classic_queues() {
    let node = Node::new();
    let mut client = node.client();
    client.exchange("x", "x-local-random");
    let declare = QueueDeclare {
        arguments: arguments(&[("x-queue-type", text("quorum"))]),
        ..queue("q")
    };
    client.declare_queue(declare).expect("declared");
    let module = "rabbit_quorum_queue";
    let why = RoutingError::QueueType { module }.to_string();
    assert_eq!(
        why,
        "Queue type rabbit_quorum_queue not valid for this exchange type"
    );
    check_refused(client.bind(to_queue("x", "q", "")), 406, &why);
}

#[test]
fn in_4_a_queue_without_a_type_is_written_down_as_classic() {
    for (release, written) in [(Release::V3, None), (Release::V4, Some(text("classic")))] {
        let node = of_release(release);
        let mut client = node.client();
        client.queue("q");
        client.queue("q");
        let vhost = node.vhost("/").expect("always there");
        let queue = vhost.queue("q").expect("declared");
        assert_eq!(queue.arguments.value("x-queue-type"), written.as_ref());
        let declare = QueueDeclare {
            arguments: arguments(&[("x-queue-type", text("nonsense"))]),
            ..super::queue("q")
        };
        let current = match release {
            Release::V3 => "received the value 'nonsense' of type 'longstr' but current is none",
            Release::V4 => "received 'nonsense' but current is 'classic'",
        };
        let refused =
            format!("inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': {current}");
        check_refused(client.declare_queue(declare), 406, &refused);

        let declare = QueueDeclare {
            arguments: arguments(&[("x-queue-type", text("quorum"))]),
            ..super::queue("quorum")
        };
        client.declare_queue(declare).expect("declared");
        let current = match release {
            Release::V3 => "received none but current is the value 'quorum' of type 'longstr'",
            Release::V4 => "received 'classic' but current is 'quorum'",
        };
        let refused =
            format!("inequivalent arg 'x-queue-type' for queue 'quorum' in vhost '/': {current}");
        check_refused(client.declare_queue(super::queue("quorum")), 406, &refused);
    }
}

/// The text that a connection gets, which is cut to 255 octets there.
fn denied(feature: &str) -> String {
    format!(
        "Feature `{feature}` is deprecated.\nIts use is not permitted per the configuration (overriding the default, \
         which is permitted):\n    \"deprecated_features.permit.{feature} = false\"\nIts use will not be permitted"
    )
}

#[track_caller]
fn check_denied(node: &Node, declare: &QueueDeclare, feature: &str) {
    let refused = node.client().declare_queue(declare.clone());
    let error = refused.expect_err("denied");
    assert_eq!(error.code().code(), 541);
    assert!(error.text().starts_with(&denied(feature)), "{error:?}");
    assert!(Node::new().client().declare_queue(declare.clone()).is_ok());
}

#[test]
fn shared_transient_queues_and_master_locators_can_be_forbidden() {
    let node = Node::with(|options| {
        options.permitted = Permitted {
            transient_nonexcl_queues: false,
            queue_master_locator: false,
            ..Permitted::default()
        };
    });
    let transient = QueueDeclare {
        durable: false,
        ..queue("q")
    };
    check_denied(&node, &transient, "transient_nonexcl_queues");
    let located = QueueDeclare {
        arguments: arguments(&[("x-queue-master-locator", text("min-masters"))]),
        ..queue("q")
    };
    check_denied(&node, &located, "queue_master_locator");
    let exclusive = QueueDeclare {
        exclusive: true,
        ..transient
    };
    for declare in [exclusive, queue("durable")] {
        assert!(node.client().declare_queue(declare).is_ok());
    }
}

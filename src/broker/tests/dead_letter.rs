//! Dead-lettering and full queues as clients meet them.

use super::*;
use crate::connection::host::TxStep;
use crate::model::Lsn;

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn with(name: &str, entries: &[(&str, AMQPValue)]) -> QueueDeclare {
    QueueDeclare {
        arguments: arguments(entries),
        ..queue(name)
    }
}

fn headers(entries: &[(&str, AMQPValue)]) -> FieldTable {
    arguments(entries).table().clone()
}

fn full(overflow: &str) -> Vec<(&'static str, AMQPValue)> {
    vec![
        ("x-max-length", AMQPValue::LongInt(1)),
        ("x-overflow", text(overflow)),
    ]
}

/// Which messages of a run are not confirmed.
fn refused(published: &Published) -> Vec<usize> {
    published.refused.iter().cloned().flatten().collect()
}

/// Remote calls as aio-pika makes them: a request that expires, or is rejected, comes back to the caller through a headers
/// exchange that all callers share.
#[test]
fn a_request_that_nobody_answers_comes_back_to_its_caller() {
    let node = Node::new();
    let mut server = node.client();
    server.exchange("rpc.dlx", "headers");
    let dead_letter = ("x-dead-letter-exchange", text("rpc.dlx"));
    let method = with("method", std::slice::from_ref(&dead_letter));
    server.declare_queue(method).expect("declared");

    let mut callers = ["result-1", "result-2"].map(|result| {
        let mut caller = node.client();
        caller.exclusive_queue(result);
        let bind = Bind {
            arguments: arguments(&[("From", text(result)), ("x-match", text("any"))]),
            ..to_queue("rpc.dlx", result, "")
        };
        caller.bind(bind).expect("bound");
        caller
    });
    let request = |result: &str| {
        AMQPProperties::default()
            .with_headers(headers(&[("From", text(result))]))
            .with_reply_to(result.into())
            .with_correlation_id(result.into())
            .with_expiration("10".into())
    };
    for result in ["result-1", "result-2"] {
        let run = run_of("", "method", &[(result, request(result))]);
        let publish = Publish {
            run,
            mandatory: true,
        };
        let published = callers[0].publish(CHANNEL, publish).expect("published");
        assert_eq!(returned(&published), [0; 0]);
    }
    let name = QueueName::known("method");
    let got = server.get(CHANNEL, &name, false).expect("allowed");
    let range = got.expect("a request").range;
    server.settle(CHANNEL, Settle::Reject, vec![range]);
    node.run_timers(NOW + 10);

    for (caller, result, reason) in [(0, "result-1", "rejected"), (1, "result-2", "expired")] {
        let got = callers[caller].get(CHANNEL, &QueueName::known(result), true);
        let range = got.expect("allowed").expect("came back").range;
        let message = range.run.first();
        assert_eq!(
            (message.exchange(), message.routing_key()),
            ("rpc.dlx", "method")
        );
        let decoded = properties::decode(message.header()).expect("well-formed");
        assert_eq!(
            decoded.correlation_id().as_ref().map(|id| id.as_str()),
            Some(result)
        );
        assert_eq!(decoded.expiration(), &None);
        let headers = decoded.headers().as_ref().expect("has headers").inner();
        assert_eq!(headers["x-first-death-reason"], text(reason));
        assert_eq!(node.counts(result).ready, 0);
    }
}

#[test]
fn a_dead_letter_exchange_needs_rights_on_both_ends() {
    let node = Node::new();
    node.add_user("u", &[]);
    node.permit("u", "^c", "^w$", "^c-r");
    let mut client = node.client_of("u");
    let to = |name: &str, exchange: &str| with(name, &[("x-dead-letter-exchange", text(exchange))]);
    let refusal = |right: &str, resource: &str| {
        format!("{right} access to {resource} in vhost '/' refused for user 'u'")
    };
    check_refused(
        client.declare_queue(to("c-q", "w")),
        403,
        &refusal("read", "queue 'c-q'"),
    );
    check_refused(
        client.declare_queue(to("c-r", "x")),
        403,
        &refusal("write", "exchange 'x'"),
    );
    check_refused(
        client.declare_queue(to("c-r", "")),
        403,
        &refusal("write", "exchange 'amq.default'"),
    );
    assert!(client.declare_queue(to("c-r", "w")).is_ok());
    let number = [("x-dead-letter-exchange", AMQPValue::LongInt(1))];
    check_refused(
        client.declare_queue(with("c-other", &number)),
        406,
        "invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue 'c-other' in vhost '/'",
    );
}

#[test]
fn what_any_queue_refuses_is_not_confirmed() {
    let node = Node::new();
    let mut client = node.client();
    client.queue("roomy");
    let full = with("full", &full("reject-publish"));
    client.declare_queue(full).expect("declared");
    for name in ["roomy", "full"] {
        client.bind_queue("amq.fanout", name, "");
    }
    let publish = Publish {
        mandatory: true,
        ..publish("amq.fanout", "", &["a", "b", "c"])
    };
    let published = client.publish(CHANNEL, publish).expect("published");
    assert_eq!(refused(&published), [1, 2]);
    assert_eq!(returned(&published), [0; 0], "it was routed");
    assert_eq!(client.drain("roomy"), ["a", "b", "c"]);
    assert_eq!(client.drain("full"), ["a"]);
}

#[test]
fn what_a_full_queue_refuses_may_go_elsewhere() {
    let node = Node::new();
    let mut client = node.client();
    client.queue("spill");
    let mut entries = full("reject-publish-dlx");
    entries.push(("x-dead-letter-exchange", text("")));
    entries.push(("x-dead-letter-routing-key", text("spill")));
    client
        .declare_queue(with("full", &entries))
        .expect("declared");
    let published = client.send("", "full", &["a", "b"]);
    assert_eq!(refused(&published), [1]);
    assert_eq!(client.drain("spill"), ["b"]);
    let node = node.restarted();
    assert_eq!(node.client().drain("full"), ["a"]);
}

#[test]
fn a_full_queue_that_overflows_into_itself_loses_its_oldest() {
    let node = Node::new();
    let mut client = node.client();
    let mut entries = full("drop-head");
    entries.push(("x-dead-letter-exchange", text("")));
    client
        .declare_queue(with("full", &entries))
        .expect("declared");
    client.send("", "full", &["a", "b", "c"]);
    assert_eq!(client.drain("full"), ["c"]);
}

#[test]
fn a_transaction_that_does_not_fit_does_nothing() {
    let node = Node::new();
    let mut client = node.client();
    client.queue("roomy");
    let full = with("full", &full("reject-publish"));
    client.declare_queue(full).expect("declared");
    client.send("", "roomy", &["before"]);
    client.consumer("roomy");
    let held = client.deliveries();
    let steps = |client: &mut Client| {
        vec![
            client.staged(publish("", "roomy", &["a"])),
            TxStep::Settle(Settle::Ack, held.clone()),
            client.staged(publish("", "full", &["b"])),
        ]
    };
    let mut too_much = steps(&mut client);
    too_much.push(client.staged(publish("", "full", &["c"])));
    check_refused(
        client.commit(CHANNEL, too_much),
        406,
        "partial tx completion",
    );
    assert_eq!(node.messages("roomy"), (0, 1));
    assert_eq!(node.messages("full"), (0, 0));

    let fitting = steps(&mut client);
    let results = client.commit(CHANNEL, fitting).expect("it fits");
    assert!(results.iter().any(|published| published.commit > Lsn::NONE));
    assert_eq!(bodies(&client.deliveries()), ["a"]);
    assert_eq!(client.drain("full"), ["b"]);
}

"""Queues, exchanges and bindings: declaring, refusing, routing, deleting."""

import pika
from pika import exceptions

from harness import VHOST, check, expect, named
from opening import open_channel, open_connection


def drain(channel, queue):
    """Bodies of all messages that are ready now."""
    bodies = []
    while True:
        method, _properties, body = channel.basic_get(queue, auto_ack=True)
        if method is None:
            return bodies
        bodies.append(body.decode())


def closes_channel(connection, code, text, act):
    """`act(channel)` must close its channel with this code and text, and nothing else."""
    channel = connection.channel()
    try:
        act(channel)
    except exceptions.ChannelClosedByBroker as error:
        expect(error.reply_code, code, "reply code")
        expect(error.reply_text, text, "reply text")
    else:
        raise AssertionError(f"no channel error, wanted {code} {text}")
    expect(channel.is_closed, True, "channel is_closed")
    expect(connection.is_open, True, "connection is_open")
    queue = connection.channel().queue_declare("", exclusive=True).method.queue
    expect(queue.startswith("amq.gen-"), True, f"server-named queue {queue!r}")


@check("declare")
def declare():
    with open_channel() as channel:
        # Only a confirmed message is sure to be counted.
        channel.confirm_delivery()
        queue = named("declare")
        declared = channel.queue_declare(queue, durable=True).method
        expect((declared.queue, declared.message_count), (queue, 0), "declare-ok")
        for number in range(3):
            channel.basic_publish("", queue, f"{number}".encode())
        again = channel.queue_declare(queue, durable=True).method
        expect((again.message_count, again.consumer_count), (3, 0), "counts on redeclare")
        expect(channel.queue_purge(queue).method.message_count, 3, "purged")
        passive = channel.queue_declare(queue, passive=True).method
        expect(passive.message_count, 0, "count after purge")
        channel.basic_publish("", queue, b"last")
        expect(channel.queue_delete(queue).method.message_count, 1, "deleted with")
        expect(channel.queue_delete(queue).method.message_count, 0, "deleted once more")

        exchange = named("declare")
        channel.exchange_declare(exchange, "topic", durable=True)
        channel.exchange_declare(exchange, "topic", durable=True)
        channel.exchange_declare(exchange, passive=True)
        channel.exchange_delete(exchange)
        channel.exchange_delete(exchange)


@check("inequivalent-declare")
def inequivalent_declare():
    with open_connection() as connection:
        channel = connection.channel()
        queue, exchange = named("inequivalent"), named("inequivalent")
        channel.queue_declare(queue, durable=True)
        channel.exchange_declare(exchange, "direct")
        closes_channel(
            connection,
            406,
            f"PRECONDITION_FAILED - inequivalent arg 'durable' for queue '{queue}' "
            f"in vhost '{VHOST}': received 'false' but current is 'true'",
            lambda other: other.queue_declare(queue, durable=False),
        )
        closes_channel(
            connection,
            406,
            f"PRECONDITION_FAILED - inequivalent arg 'type' for exchange '{exchange}' "
            f"in vhost '{VHOST}': received 'fanout' but current is 'direct'",
            lambda other: other.exchange_declare(exchange, "fanout"),
        )
        channel.queue_delete(queue)
        channel.exchange_delete(exchange)


@check("channel-error")
def channel_error():
    with open_connection() as connection:
        missing = named("missing")
        closes_channel(
            connection,
            404,
            f"NOT_FOUND - no queue '{missing}' in vhost '{VHOST}'",
            lambda channel: channel.queue_declare(missing, passive=True),
        )
        closes_channel(
            connection,
            404,
            f"NOT_FOUND - no exchange '{missing}' in vhost '{VHOST}'",
            lambda channel: channel.exchange_declare(missing, passive=True),
        )
        closes_channel(
            connection,
            403,
            "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'",
            lambda channel: channel.exchange_declare("amq.mine", "direct"),
        )
        closes_channel(
            connection,
            403,
            "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'",
            lambda channel: channel.queue_declare("amq.mine"),
        )


@check("exclusive-queue")
def exclusive_queue():
    with open_connection() as owner, open_connection() as stranger:
        queue = named("exclusive")
        owner.channel().queue_declare(queue, exclusive=True)
        closes_channel(
            stranger,
            405,
            f"RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{queue}' in "
            f"vhost '{VHOST}'. It could be originally declared on another connection or the exclusive "
            "property value does not match that of the original declaration.",
            lambda channel: channel.queue_declare(queue, exclusive=True),
        )


@check("exchange-types")
def exchange_types():
    with open_channel() as channel:
        _direct(channel)
        _fanout(channel)
        _topic(channel)
        _headers(channel)
        _default(channel)
        _alternate(channel)
        _exchange_to_exchange(channel)


def _new_queue(channel):
    return channel.queue_declare("", exclusive=True).method.queue


def _direct(channel):
    exchange = named("direct")
    channel.exchange_declare(exchange, "direct", auto_delete=True)
    red, blue = _new_queue(channel), _new_queue(channel)
    channel.queue_bind(red, exchange, "red")
    channel.queue_bind(red, exchange, "any")
    channel.queue_bind(blue, exchange, "blue")
    channel.queue_bind(blue, exchange, "any")
    for key in ["red", "blue", "any", "none"]:
        channel.basic_publish(exchange, key, key.encode())
    expect(drain(channel, red), ["red", "any"], "direct: red")
    expect(drain(channel, blue), ["blue", "any"], "direct: blue")
    channel.queue_unbind(red, exchange, "any")
    channel.basic_publish(exchange, "any", b"again")
    expect(drain(channel, red), [], "direct: red after unbind")
    expect(drain(channel, blue), ["again"], "direct: blue after red's unbind")


def _fanout(channel):
    exchange = named("fanout")
    channel.exchange_declare(exchange, "fanout", auto_delete=True)
    queues = [_new_queue(channel) for _ in range(3)]
    for queue in queues:
        channel.queue_bind(queue, exchange)
    channel.basic_publish(exchange, "ignored", b"all")
    for queue in queues:
        expect(drain(channel, queue), ["all"], "fanout")


def _topic(channel):
    exchange = named("topic")
    channel.exchange_declare(exchange, "topic", auto_delete=True)
    keys = ["stock", "stock.usd", "stock.usd.nyse", "bond.usd", "a.stock.b", ""]
    cases = {
        "stock.#": ["stock", "stock.usd", "stock.usd.nyse"],
        "stock.*": ["stock.usd"],
        "*.usd.#": ["stock.usd", "stock.usd.nyse", "bond.usd"],
        "#.nyse": ["stock.usd.nyse"],
        "#": keys,
        "*": ["stock"],
        "*.stock.*": ["a.stock.b"],
        "stock.usd": ["stock.usd"],
    }
    queues = {pattern: _new_queue(channel) for pattern in cases}
    for pattern, queue in queues.items():
        channel.queue_bind(queue, exchange, pattern)
    # Two patterns of one queue that both match must give one copy.
    channel.queue_bind(queues["#"], exchange, "stock.#")
    for key in keys:
        channel.basic_publish(exchange, key, key.encode())
    for pattern, wanted in cases.items():
        expect(drain(channel, queues[pattern]), wanted, f"topic {pattern}")


def _headers(channel):
    exchange = named("headers")
    channel.exchange_declare(exchange, "headers", auto_delete=True)
    both, either = _new_queue(channel), _new_queue(channel)
    channel.queue_bind(both, exchange, arguments={"x-match": "all", "kind": "pdf", "pages": 3})
    channel.queue_bind(either, exchange, arguments={"x-match": "any", "kind": "pdf", "pages": 3})
    for body, headers in [
        ("both", {"kind": "pdf", "pages": 3, "other": True}),
        ("kind", {"kind": "pdf"}),
        ("wrong", {"kind": "doc", "pages": 4}),
        ("none", None),
    ]:
        channel.basic_publish(exchange, "", body.encode(), pika.BasicProperties(headers=headers))
    expect(drain(channel, both), ["both"], "headers all")
    expect(drain(channel, either), ["both", "kind"], "headers any")


def _default(channel):
    queue = _new_queue(channel)
    channel.basic_publish("", queue, b"by name")
    expect(drain(channel, queue), ["by name"], "default exchange")


def _alternate(channel):
    main, other = named("main"), named("unrouted")
    channel.exchange_declare(other, "fanout", auto_delete=True)
    channel.exchange_declare(
        main, "direct", auto_delete=True, arguments={"alternate-exchange": other}
    )
    known, unknown = _new_queue(channel), _new_queue(channel)
    channel.queue_bind(known, main, "known")
    channel.queue_bind(unknown, other)
    channel.basic_publish(main, "known", b"known")
    channel.basic_publish(main, "unknown", b"unknown")
    expect(drain(channel, known), ["known"], "routed")
    expect(drain(channel, unknown), ["unknown"], "alternate exchange")


def _exchange_to_exchange(channel):
    source, target = named("source"), named("target")
    channel.exchange_declare(source, "topic", auto_delete=True)
    channel.exchange_declare(target, "fanout", auto_delete=True)
    queue = _new_queue(channel)
    channel.queue_bind(queue, target)
    channel.exchange_bind(destination=target, source=source, routing_key="eu.#")
    channel.basic_publish(source, "eu.de", b"eu")
    channel.basic_publish(source, "us.ny", b"us")
    expect(drain(channel, queue), ["eu"], "exchange to exchange")
    channel.exchange_unbind(destination=target, source=source, routing_key="eu.#")

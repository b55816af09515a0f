"""kombu: connections, declarations, routing, errors."""

import contextlib
import re
import socket
import time

from amqp import exceptions
from kombu import Exchange, Queue
from kombu.exceptions import OperationalError

from harness import VHOST, check, expect, named
from opening import CONFIRM, connection, drain, open_channel, reply_queue

CAPABILITIES = [
    "publisher_confirms",
    "exchange_exchange_bindings",
    "basic.nack",
    "consumer_cancel_notify",
    "connection.blocked",
    "authentication_failure_close",
    "per_consumer_qos",
]


@check("connect")
def connect():
    with connection() as opened:
        opened.connect()
        expect(opened.connected, True, "connected")
        properties = opened.connection.server_properties
        expect(properties["product"], "RabbitMQ", "product")
        if not re.fullmatch(r"\d+\.\d+\.\d+", properties["version"]):
            raise AssertionError(f"version {properties['version']!r}")
        for capability in CAPABILITIES:
            expect(properties["capabilities"].get(capability), True, f"capability {capability}")


@check("wrong-password")
def wrong_password():
    opened = connection()
    opened.password = "not the password"
    try:
        opened.connect()
    except exceptions.AccessRefused as error:
        expect(error.reply_code, 403, "reply code")
        wanted = (
            "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. "
            "For details see the broker logfile."
        )
        expect(error.reply_text, wanted, "reply text")
    except OperationalError as error:
        raise AssertionError(f"no close method before the end of the connection: {error}")
    else:
        raise AssertionError("the login was accepted")


@check("declare")
def declare():
    with open_channel(transport_options=CONFIRM) as channel:
        exchange = Exchange(named("declare"), type="topic", durable=True)
        queue = Queue(named("declare"), exchange, routing_key="a.#", durable=True)(channel)
        queue.declare()
        queue.declare()
        producer = channel.connection.client.Producer(channel, exchange)
        for number in range(3):
            producer.publish({"number": number}, routing_key="a.b")
        expect(tuple(queue.queue_declare(passive=True)), (queue.name, 3, 0), "passive declare-ok")
        expect(queue.purge(), 3, "purged")
        expect(queue.get(), None, "get after purge")
        queue.unbind_from(exchange, "a.#")
        producer.publish({"number": 4}, routing_key="a.b")
        expect(queue.get(), None, "get after unbind")
        queue.delete()
        exchange(channel).delete()


@check("channel-error")
def channel_error():
    with connection() as opened:
        missing = named("missing")
        channel = opened.channel()
        try:
            Queue(missing)(channel).queue_declare(passive=True)
        except exceptions.NotFound as error:
            expect(error.reply_code, 404, "reply code")
            text = f"NOT_FOUND - no queue '{missing}' in vhost '{VHOST}'"
            expect(error.reply_text, text, "reply text")
        else:
            raise AssertionError("no channel error")
        expect(opened.connected, True, "connected")

        exchange = Exchange(named("inequivalent"), type="direct", durable=False)
        exchange(opened.channel()).declare()
        try:
            Exchange(exchange.name, type="fanout", durable=False)(opened.channel()).declare()
        except exceptions.PreconditionFailed as error:
            text = (
                f"PRECONDITION_FAILED - inequivalent arg 'type' for exchange '{exchange.name}' "
                f"in vhost '{VHOST}': received 'fanout' but current is 'direct'"
            )
            expect((error.reply_code, error.reply_text), (406, text), "close")
        else:
            raise AssertionError("no channel error")
        exchange(opened.channel()).delete()


@check("exchange-types")
def exchange_types():
    with open_channel() as channel:
        producer = channel.connection.client.Producer(channel)

        def exchange(name, kind, **options):
            made = Exchange(named(name), type=kind, durable=False, auto_delete=True, **options)
            made = made(channel)
            made.declare()
            return made

        def bound(source, key="", arguments=None):
            queue = reply_queue(channel)
            queue.bind_to(source, key, arguments=arguments)
            return queue

        direct = exchange("direct", "direct")
        red, blue = bound(direct, "red"), bound(direct, "blue")
        for key in ["red", "blue", "green"]:
            producer.publish(key, exchange=direct, routing_key=key)
        expect((drain(red), drain(blue)), (["red"], ["blue"]), "direct")

        fanout = exchange("fanout", "fanout")
        queues = [bound(fanout), bound(fanout)]
        producer.publish("all", exchange=fanout, routing_key="ignored")
        expect([drain(queue) for queue in queues], [["all"], ["all"]], "fanout")

        topic = exchange("topic", "topic")
        cases = {
            "order.#": ["order", "order.new", "order.new.eu"],
            "order.*": ["order.new"],
            "*.new.#": ["order.new", "order.new.eu", "user.new"],
            "#": ["order", "order.new", "order.new.eu", "user.new"],
        }
        queues = {pattern: bound(topic, pattern) for pattern in cases}
        for key in cases["#"]:
            producer.publish(key, exchange=topic, routing_key=key)
        for pattern, wanted in cases.items():
            expect(drain(queues[pattern]), wanted, f"topic {pattern}")

        headers = exchange("headers", "headers")
        both = bound(headers, arguments={"x-match": "all", "kind": "pdf", "pages": 3})
        either = bound(headers, arguments={"x-match": "any", "kind": "pdf", "pages": 3})
        for body, values in [
            ("both", {"kind": "pdf", "pages": 3}),
            ("kind", {"kind": "pdf"}),
            ("none", {"kind": "doc"}),
        ]:
            producer.publish(body, exchange=headers, headers=values)
        expect((drain(both), drain(either)), (["both"], ["both", "kind"]), "headers all, any")

        named_queue = reply_queue(channel)
        producer.publish("by name", exchange="", routing_key=named_queue.name)
        expect(drain(named_queue), ["by name"], "default exchange")

        unrouted = exchange("unrouted", "fanout")
        main = exchange("main", "direct", arguments={"alternate-exchange": unrouted.name})
        known, unknown = bound(main, "known"), bound(unrouted)
        for key in ["known", "unknown"]:
            producer.publish(key, exchange=main, routing_key=key)
        expect((drain(known), drain(unknown)), (["known"], ["unknown"]), "alternate exchange")

        source, target = exchange("source", "topic"), exchange("target", "fanout")
        target.bind_to(source, routing_key="eu.#")
        queue = bound(target)
        for key in ["eu.de", "us.ny"]:
            producer.publish(key, exchange=source, routing_key=key)
        expect(drain(queue), ["eu.de"], "exchange to exchange")


@check("heartbeat-idle")
def heartbeat_idle():
    heartbeat_seconds = 2
    with connection(heartbeat=heartbeat_seconds) as opened:
        channel = opened.channel()
        queue = reply_queue(channel)
        expect(opened.get_heartbeat_interval(), heartbeat_seconds, "heartbeat interval")
        end = time.monotonic() + 3 * heartbeat_seconds + 1
        while time.monotonic() < end:
            with contextlib.suppress(socket.timeout):
                opened.drain_events(timeout=heartbeat_seconds / 4)
            # Sends ours when due; raises when the broker's heartbeats stay away.
            opened.heartbeat_check()
        opened.Producer(channel).publish("still here", exchange="", routing_key=queue.name)
        expect(drain(queue), ["still here"], "after the idle time")


@check("close")
def close():
    opened = connection()
    channel = opened.channel()
    queue = Queue(named("close"), exclusive=True, durable=False)
    queue(channel).declare()
    channel.close()
    expect(channel.is_open, False, "channel is_open")
    expect(opened.connected, True, "connected after the channel's close")
    opened.close()
    expect(opened.connected, False, "connected")
    # The exclusive queue is gone by the time close-ok arrived, so the name is free.
    with open_channel() as channel:
        queue(channel).declare()

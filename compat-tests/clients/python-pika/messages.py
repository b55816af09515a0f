"""Publishing and fetching: confirms, returns, properties, sizes, basic.get, transactions."""

import datetime

import pika
from pika import exceptions

from asynchronous import publish_confirmed
from entities import drain
from harness import check, expect, named
from opening import open_channel, open_connection

PERSISTENT = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
BULK = named("bulk")
BULK_COUNT = 10_000


@check("confirm-publish-10000", deadline_seconds=120)
def confirm_publish():
    with open_channel() as channel:
        channel.queue_declare(BULK, durable=True)
        publish_confirmed(BULK, [f"message {number}".encode() for number in range(BULK_COUNT)])
        count = channel.queue_declare(BULK, passive=True).method.message_count
        expect(count, BULK_COUNT, "messages in the queue")


@check("confirm-publish-blocking", deadline_seconds=120)
def confirm_publish_blocking():
    """One at a time, so each waits for the broker's disk: fewer of them."""
    count = 500
    with open_channel() as channel:
        queue = named("blocking")
        channel.queue_declare(queue, durable=True)
        channel.confirm_delivery()
        for number in range(count):
            # Returns when the broker has confirmed, raises when it has not taken the message.
            channel.basic_publish("", queue, str(number).encode(), PERSISTENT)
        expect(drain(channel, queue), [str(number) for number in range(count)], "bodies")
        channel.queue_delete(queue)


@check("consume-prefetch-ack", deadline_seconds=120)
def consume_prefetch_ack():
    with open_channel() as channel:
        channel.basic_qos(prefetch_count=100)
        bodies = []
        for method, properties, body in channel.consume(BULK, inactivity_timeout=10):
            if method is None:
                raise AssertionError(f"no message for 10 s after {len(bodies)}")
            expect(properties.delivery_mode, 2, "delivery_mode")
            expect(method.redelivered, False, "redelivered")
            bodies.append(body)
            channel.basic_ack(method.delivery_tag)
            if len(bodies) == BULK_COUNT:
                break
        channel.cancel()
        wanted = [f"message {number}".encode() for number in range(BULK_COUNT)]
        expect(bodies == wanted, True, "all bodies in the order of publishing")
    with open_channel() as channel:
        expect(channel.queue_delete(BULK).method.message_count, 0, "left after the acks")


@check("mandatory-return")
def mandatory_return():
    with open_connection() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        key = named("nobody")
        properties = pika.BasicProperties(message_id="m1", headers={"a": 1})
        try:
            channel.basic_publish("amq.direct", key, b"back", properties, mandatory=True)
        except exceptions.UnroutableError as error:
            (returned,) = error.messages
        else:
            raise AssertionError("an unroutable mandatory message was not returned")
        expect(returned.method.reply_code, 312, "reply code")
        expect(returned.method.reply_text, "NO_ROUTE", "reply text")
        expect(returned.method.exchange, "amq.direct", "exchange")
        expect(returned.method.routing_key, key, "routing key")
        expect(returned.body, b"back", "body")
        expect(returned.properties.message_id, "m1", "message_id")
        expect(returned.properties.headers, {"a": 1}, "headers")
        # Without the flag the same message is confirmed and dropped.
        channel.basic_publish("amq.direct", key, b"dropped")

        plain, seen = connection.channel(), []
        plain.add_on_return_callback(lambda *arguments: seen.append(arguments))
        plain.basic_publish("", key, b"", mandatory=True)
        while not seen:
            connection.process_data_events(time_limit=1)
        _channel, method, _properties, body = seen[0]
        expect((method.reply_code, body), (312, b""), "return without confirms")


@check("get")
def get():
    with open_channel() as channel:
        queue = channel.queue_declare("", exclusive=True).method.queue
        expect(channel.basic_get(queue), (None, None, None), "get of an empty queue")
        for body in [b"one", b"two", b"three"]:
            channel.basic_publish("", queue, body)
        method, _properties, body = channel.basic_get(queue)
        expect((body, method.message_count, method.redelivered), (b"one", 2, False), "first get")
        expect((method.exchange, method.routing_key), ("", queue), "exchange and key")
        channel.basic_nack(method.delivery_tag, requeue=True)
        method, _properties, body = channel.basic_get(queue)
        expect((body, method.message_count, method.redelivered), (b"one", 2, True), "get again")
        channel.basic_ack(method.delivery_tag)
        expect(drain(channel, queue), ["two", "three"], "the rest")
        expect(channel.basic_get(queue), (None, None, None), "get of the emptied queue")


@check("tx")
def transactions():
    with open_channel() as channel:
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.tx_select()
        channel.basic_publish("", queue, b"rolled back")
        channel.tx_rollback()
        channel.basic_publish("", queue, b"committed 1")
        channel.basic_publish("", queue, b"committed 2")
        count = channel.queue_declare(queue, passive=True).method.message_count
        expect(count, 0, "messages before the commit")
        channel.tx_commit()
        count = channel.queue_declare(queue, passive=True).method.message_count
        expect(count, 2, "messages after the commit")

        method, _properties, body = channel.basic_get(queue)
        expect(body, b"committed 1", "first")
        channel.basic_ack(method.delivery_tag)
        channel.tx_rollback()
        # The rolled back ack may be given again, now for good.
        channel.basic_ack(method.delivery_tag)
        channel.tx_commit()
        expect(drain(channel, queue), ["committed 2"], "left after the committed ack")


@check("properties-round-trip")
def properties_round_trip():
    headers = {
        "text": "grüße",
        "true": True,
        "small": 7,
        "large": 1 << 40,
        "negative": -5,
        "none": None,
        "time": datetime.datetime(2024, 2, 29, 12, 0, 0, tzinfo=datetime.timezone.utc),
        "bytes": b"\x00\xff",
        "list": ["a", 1, [True, {"deep": "value"}]],
        "table": {"inner": {"innermost": 3}},
    }
    sent = {
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "headers": headers,
        "delivery_mode": 1,
        "priority": 9,
        "correlation_id": "correlation",
        "reply_to": "reply",
        "message_id": "id",
        "timestamp": 1_700_000_000,
        "type": "order.created",
        "user_id": None,
        "app_id": "shop",
        "cluster_id": "cluster",
    }
    with open_channel() as channel:
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.basic_publish("", queue, b"{}", pika.BasicProperties(**sent))
        channel.basic_publish("", queue, b"bare")
        _method, properties, _body = channel.basic_get(queue, auto_ack=True)
        for name, wanted in sent.items():
            got = getattr(properties, name)
            if name == "headers":
                # pika reads times without their zone and octets as text where they are UTF-8.
                got = dict(got, time=got["time"].replace(tzinfo=datetime.timezone.utc))
            expect(got, wanted, name)
        _method, properties, _body = channel.basic_get(queue, auto_ack=True)
        expect(properties.headers, None, "headers of a bare message")
        expect(properties.delivery_mode, None, "delivery_mode of a bare message")


@check("body-sizes")
def body_sizes():
    # Around the negotiated frame size (a body frame carries 8 octets less), and several frames.
    sizes = [0, 1, 131_063, 131_064, 131_065, 262_128, 5_000_000]
    with open_channel() as channel:
        queue = channel.queue_declare("", exclusive=True).method.queue
        for size in sizes:
            channel.basic_publish("", queue, bytes(range(256)) * (size // 256) + b"." * (size % 256))
        for size in sizes:
            _method, _properties, body = channel.basic_get(queue, auto_ack=True)
            expect(len(body), size, "body length")
            wanted = bytes(range(256)) * (size // 256) + b"." * (size % 256)
            expect(body == wanted, True, f"content of {size} octets")

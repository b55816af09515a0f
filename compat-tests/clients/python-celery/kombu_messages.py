"""kombu: publishing, confirms, returns, get, transactions."""

import os

from kombu import Queue

from harness import check, expect, named
from opening import CONFIRM, connection, drain, open_channel, reply_queue

BULK_COUNT = 10_000
IN_FLIGHT_MAX = 1_000
BULK = Queue(named("bulk"), durable=True)


@check("confirm-publish-10000", deadline_seconds=120)
def confirm_publish():
    with connection() as opened:
        channel = opened.channel()
        BULK(channel).declare()
        # py-amqp reports confirms as events, so that publishing need not wait for each.
        confirmed, first_open = set(), 1

        def acked(tag, multiple):
            nonlocal first_open
            confirmed.update(range(first_open, tag + 1) if multiple else [tag])
            while first_open in confirmed:
                first_open += 1

        channel.confirm_select()
        channel.events["basic_ack"].add(acked)
        producer = opened.Producer(channel)
        for number in range(BULK_COUNT):
            # kombu's messages are persistent by default.
            producer.publish({"number": number}, exchange="", routing_key=BULK.name)
            while number - first_open > IN_FLIGHT_MAX:
                opened.drain_events(timeout=20)
        while len(confirmed) < BULK_COUNT:
            opened.drain_events(timeout=20)
        expect(confirmed, set(range(1, BULK_COUNT + 1)), "confirmed tags")
        messages = BULK(channel).queue_declare(passive=True).message_count
        expect(messages, BULK_COUNT, "messages in the queue")


@check("confirm-publish-waiting", deadline_seconds=120)
def confirm_publish_waiting():
    """kombu's own way, which waits for the broker's disk each time: fewer of them."""
    count = 500
    with open_channel(transport_options=CONFIRM) as channel:
        queue = Queue(named("waiting"), durable=True)(channel)
        queue.declare()
        producer = channel.connection.client.Producer(channel)
        for number in range(count):
            producer.publish(number, exchange="", routing_key=queue.name)
        expect(drain(queue), list(range(count)), "bodies")
        queue.delete()


@check("consume-prefetch-ack", deadline_seconds=120)
def consume_prefetch_ack():
    with connection() as opened:
        numbers, modes = [], set()

        def consumed(body, message):
            numbers.append(body["number"])
            modes.add((message.properties["delivery_mode"], message.delivery_info["redelivered"]))
            message.ack()

        with opened.Consumer(BULK, callbacks=[consumed], prefetch_count=100):
            while len(numbers) < BULK_COUNT:
                opened.drain_events(timeout=10)
        expect(numbers == list(range(BULK_COUNT)), True, "all bodies in the order of publishing")
        expect(modes, {(2, False)}, "delivery mode and redelivered")
    with open_channel() as channel:
        expect(BULK(channel).delete(), 0, "left after the acks")


@check("mandatory-return")
def mandatory_return():
    with connection() as opened:
        channel, seen = opened.channel(), []
        producer = opened.Producer(channel, on_return=lambda *arguments: seen.append(arguments))
        key = named("nobody")
        producer.publish("back", exchange="amq.direct", routing_key=key, mandatory=True)
        while not seen:
            opened.drain_events(timeout=10)
        error, exchange, routing_key, message = seen[0]
        expect((error.reply_code, error.reply_text), (312, "NO_ROUTE"), "code and text")
        expect((exchange, routing_key), ("amq.direct", key), "exchange and key")
        expect(message.body, "back", "body")


@check("get")
def get():
    with open_channel() as channel:
        queue = reply_queue(channel)
        expect(queue.get(), None, "get of an empty queue")
        producer = channel.connection.client.Producer(channel)
        for body in ["one", "two"]:
            producer.publish(body, exchange="", routing_key=queue.name)
        first = queue.get()
        expect(first.payload, "one", "first")
        expect(first.delivery_info["message_count"], 1, "message_count")
        expect(first.delivery_info["redelivered"], False, "redelivered")
        first.ack()
        second = queue.get()
        second.requeue()
        again = queue.get()
        expect((again.payload, again.delivery_info["redelivered"]), ("two", True), "requeued")
        again.reject()
        expect(queue.get(), None, "get of the emptied queue")


@check("tx")
def transactions():
    with open_channel() as channel:
        queue = reply_queue(channel)
        producer = channel.connection.client.Producer(channel)
        channel.tx_select()
        producer.publish("rolled back", exchange="", routing_key=queue.name)
        channel.tx_rollback()
        producer.publish("committed", exchange="", routing_key=queue.name)
        _name, messages, _consumers = channel.queue_declare(queue.name, passive=True)
        expect(messages, 0, "messages before the commit")
        channel.tx_commit()
        message = queue.get()
        expect(message.payload, "committed", "after the commit")
        message.ack()
        channel.tx_rollback()
        message.channel.basic_ack(message.delivery_tag)
        channel.tx_commit()
        expect(drain(queue), [], "left")


@check("serializers-and-headers")
def serializers_and_headers():
    with open_channel() as channel:
        queue = reply_queue(channel)
        producer = channel.connection.client.Producer(channel)
        body = {"text": "grüße", "list": [1, None, True]}
        producer.publish(
            body,
            exchange="",
            routing_key=queue.name,
            serializer="json",
            compression="gzip",
            headers={"trace": "t-1", "depth": {"inner": [1, "two"]}},
            priority=3,
            correlation_id="c",
            reply_to="r",
            message_id="m",
        )
        message = queue.get(no_ack=True)
        expect(message.payload, body, "payload")
        expect(message.headers["trace"], "t-1", "header")
        expect(message.headers["depth"], {"inner": [1, "two"]}, "nested header")
        expect(message.content_type, "application/json", "content_type")
        properties = message.properties
        expect(
            (properties["priority"], properties["correlation_id"], properties["reply_to"]),
            (3, "c", "r"),
            "properties",
        )
        large = os.urandom(1_000_000)
        producer.publish(
            large,
            exchange="",
            routing_key=queue.name,
            content_type="application/data",
            content_encoding="binary",
        )
        expect(queue.get(no_ack=True).body == large, True, "a body of 1,000,000 octets")


@check("simple-queue")
def simple_queue():
    with connection() as opened:
        queue = opened.SimpleQueue(named("simple"))
        for number in range(100):
            queue.put({"number": number})
        for number in range(100):
            message = queue.get(block=True, timeout=10)
            expect(message.payload, {"number": number}, "message")
            message.ack()
        try:
            queue.get(block=False)
        except queue.Empty:
            pass
        else:
            raise AssertionError("a message from an empty queue")
        queue.close()
    with open_channel() as channel:
        expect(queue.queue(channel).delete(), 0, "left after the acks")

"""Consuming: prefetch, redelivery, RPC, cancellation, acks from other threads."""

import functools
import threading
import uuid

import pika

from entities import drain
from harness import check, expect, named
from opening import open_channel, open_connection


@check("prefetch-window")
def prefetch_window():
    with open_channel() as channel:
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.confirm_delivery()
        for number in range(25):
            channel.basic_publish("", queue, str(number).encode())
        channel.basic_qos(prefetch_count=10)
        tags = []
        channel.basic_consume(queue, lambda _c, method, _p, _b: tags.append(method.delivery_tag))
        while len(tags) < 10:
            channel.connection.process_data_events(time_limit=1)
        ready = channel.queue_declare(queue, passive=True).method.message_count
        expect((len(tags), ready), (10, 15), "delivered and ready with prefetch 10")
        channel.basic_ack(tags[4], multiple=True)
        while len(tags) < 15:
            channel.connection.process_data_events(time_limit=1)
        ready = channel.queue_declare(queue, passive=True).method.message_count
        expect((len(tags), ready), (15, 10), "delivered and ready after 5 acks")


@check("requeue-redelivered")
def requeue_redelivered():
    with open_channel() as channel:
        queue = channel.queue_declare("", exclusive=True).method.queue
        for body in [b"0", b"1", b"2", b"3"]:
            channel.basic_publish("", queue, body)
        channel.basic_qos(prefetch_count=2)
        seen = []
        for method, _properties, body in channel.consume(queue, inactivity_timeout=10):
            if method is None:
                raise AssertionError(f"no message for 10 s after {seen}")
            seen.append((body.decode(), method.redelivered))
            if body == b"1" and not method.redelivered:
                # 0 and 1 go back together, and before 2 and 3.
                channel.basic_nack(method.delivery_tag, multiple=True, requeue=True)
            elif body == b"0" and not method.redelivered:
                continue
            else:
                channel.basic_ack(method.delivery_tag)
            if body == b"3":
                break
        channel.cancel()
        wanted = [
            ("0", False),
            ("1", False),
            ("0", True),
            ("1", True),
            ("2", False),
            ("3", False),
        ]
        expect(seen, wanted, "deliveries")


@check("requeue-on-close")
def requeue_on_close():
    with open_channel() as channel:
        queue = named("requeue-on-close")
        channel.queue_declare(queue)
        for body in [b"0", b"1", b"2"]:
            channel.basic_publish("", queue, body)
        with open_channel() as dying:
            for _ in range(2):
                dying.basic_get(queue)
        seen = []
        for _ in range(3):
            method, _properties, body = channel.basic_get(queue, auto_ack=True)
            seen.append((body.decode(), method.redelivered))
        expect(seen, [("0", True), ("1", True), ("2", False)], "after the consumer's connection closed")
        channel.queue_delete(queue)


@check("reject")
def reject():
    with open_channel() as channel:
        queue = channel.queue_declare("", exclusive=True).method.queue
        for body in [b"dropped", b"kept"]:
            channel.basic_publish("", queue, body)
        method, _properties, _body = channel.basic_get(queue)
        channel.basic_reject(method.delivery_tag, requeue=False)
        method, _properties, _body = channel.basic_get(queue)
        channel.basic_reject(method.delivery_tag, requeue=True)
        expect(drain(channel, queue), ["kept"], "left")


@check("rpc-reply-queue")
def rpc_reply_queue():
    calls = 200
    requests = named("rpc")
    ready = threading.Event()

    def serve():
        with open_channel() as channel:
            channel.queue_declare(requests, auto_delete=True)
            channel.basic_qos(prefetch_count=1)
            answered = 0

            def answer(channel, method, properties, body):
                nonlocal answered
                channel.basic_publish(
                    "",
                    properties.reply_to,
                    str(int(body) ** 2).encode(),
                    pika.BasicProperties(correlation_id=properties.correlation_id),
                )
                channel.basic_ack(method.delivery_tag)
                answered += 1
                if answered == calls:
                    channel.stop_consuming()

            channel.basic_consume(requests, answer)
            ready.set()
            channel.start_consuming()

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    expect(ready.wait(20), True, "the server consumes")
    with open_channel() as channel:
        replies = {}
        reply_queue = channel.queue_declare("", exclusive=True).method.queue
        channel.basic_consume(
            reply_queue,
            lambda _c, _m, properties, body: replies.update({properties.correlation_id: body}),
            auto_ack=True,
        )
        for number in range(calls):
            correlation_id = str(uuid.uuid4())
            properties = pika.BasicProperties(reply_to=reply_queue, correlation_id=correlation_id)
            channel.basic_publish("", requests, str(number).encode(), properties)
            while correlation_id not in replies:
                channel.connection.process_data_events(time_limit=1)
            expect(replies.pop(correlation_id), str(number**2).encode(), "reply")
        expect(replies, {}, "replies nobody asked for")
    server.join(20)
    expect(server.is_alive(), False, "server still running")
    with open_channel() as channel:
        channel.queue_declare(requests)  # gone with its last consumer, so this is a new one
        channel.queue_delete(requests)


@check("consumer-cancel-notify")
def consumer_cancel_notify():
    with open_connection() as connection:
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        cancelled = []
        channel.add_on_cancel_callback(lambda frame: cancelled.append(frame.method.consumer_tag))
        tag = channel.basic_consume(queue, lambda *_arguments: None)
        connection.channel().queue_delete(queue)
        while not cancelled:
            connection.process_data_events(time_limit=1)
        expect(cancelled, [tag], "cancelled consumers")
        expect(channel.is_open, True, "channel is_open")


@check("cancel-keeps-unacked")
def cancel_keeps_unacked():
    with open_channel() as channel:
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.basic_publish("", queue, b"held")
        deliveries = []
        tag = channel.basic_consume(queue, lambda _c, method, _p, body: deliveries.append(method))
        while not deliveries:
            channel.connection.process_data_events(time_limit=1)
        channel.basic_cancel(tag)
        expect(drain(channel, queue), [], "ready after cancel")
        channel.basic_nack(deliveries[0].delivery_tag, requeue=True)
        expect(drain(channel, queue), ["held"], "ready after nack")


@check("round-robin")
def round_robin():
    with open_channel() as channel:
        queue = channel.queue_declare("", exclusive=True).method.queue
        seen = [[] for _ in range(3)]
        for bodies in seen:
            channel.basic_consume(
                queue,
                lambda _c, _m, _p, body, bodies=bodies: bodies.append(int(body)),
                auto_ack=True,
            )
        for number in range(30):
            channel.basic_publish("", queue, str(number).encode())
        while sum(map(len, seen)) < 30:
            channel.connection.process_data_events(time_limit=1)
        expect([len(bodies) for bodies in seen], [10, 10, 10], "messages of each consumer")
        expect(all(bodies == sorted(bodies) for bodies in seen), True, "order within a consumer")


@check("ack-from-worker-threads")
def ack_from_worker_threads():
    """pika's documented way to work in threads: the ack goes back to the connection's thread."""
    count = 100
    with open_connection() as connection:
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        for number in range(count):
            channel.basic_publish("", queue, str(number).encode())
        channel.basic_qos(prefetch_count=8)
        acked, threads = [], []

        def ack(tag, body):
            channel.basic_ack(tag)
            acked.append(int(body))
            if len(acked) == count:
                channel.stop_consuming()

        def work(tag, body):
            connection.add_callback_threadsafe(functools.partial(ack, tag, body))

        def consumed(_channel, method, _properties, body):
            thread = threading.Thread(target=work, args=(method.delivery_tag, body))
            thread.start()
            threads.append(thread)

        channel.basic_consume(queue, consumed)
        channel.start_consuming()
        for thread in threads:
            thread.join()
        expect(sorted(acked), list(range(count)), "acked messages")
        expect(drain(channel, queue), [], "left")

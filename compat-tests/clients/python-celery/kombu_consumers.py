"""kombu: redelivery, RPC, cancellation, recovery of a consumer."""

import threading

from kombu import Exchange, Queue, uuid
from kombu.mixins import ConsumerProducerMixin

from harness import HOST, PORT, check, expect, named
from opening import CONFIRM, connection, drain, reply_queue
from proxy import Proxy


@check("requeue-redelivered")
def requeue_redelivered():
    with connection() as opened:
        channel = opened.channel()
        queue = reply_queue(channel)
        producer = opened.Producer(channel)
        for body in ["0", "1", "2"]:
            producer.publish(body, exchange="", routing_key=queue.name)
        seen = []

        def consumed(body, message):
            redelivered = message.delivery_info["redelivered"]
            seen.append((body, redelivered))
            if body == "0" and not redelivered:
                message.requeue()
            else:
                message.ack()

        with opened.Consumer(
            queue, callbacks=[consumed], prefetch_count=1, auto_declare=False, channel=channel
        ):
            while len(seen) < 4:
                opened.drain_events(timeout=10)
        wanted = [("0", False), ("0", True), ("1", False), ("2", False)]
        expect(seen, wanted, "deliveries")


class Server(ConsumerProducerMixin):
    """kombu's own RPC server class: it reconnects by itself."""

    def __init__(self, opened, queue):
        self.connection = opened
        self.queue = queue
        self.consuming = threading.Event()
        self.connections = 0

    def get_consumers(self, Consumer, channel):  # noqa: N803 (kombu's name)
        return [Consumer(queues=[self.queue], on_message=self.answer, prefetch_count=1)]

    def on_consume_ready(self, connection, channel, consumers, **_options):
        self.connections += 1
        self.consuming.set()

    def answer(self, message):
        self.producer.publish(
            {"result": message.payload["n"] ** 2},
            exchange="",
            routing_key=message.properties["reply_to"],
            correlation_id=message.properties["correlation_id"],
            retry=True,
        )
        message.ack()


def serve(server):
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    expect(server.consuming.wait(20), True, "the server consumes")
    return thread


class Caller:
    """Calls over one server-named exclusive reply queue, matched by correlation id."""

    def __init__(self, opened, requests):
        self.connection = opened
        self.requests = requests
        self.replies = {}
        channel = opened.channel()
        self.answers = reply_queue(channel)
        self.producer = opened.Producer(channel)
        # Declared already; kombu would declare it once more by its amq. name, which is refused.
        consumer = opened.Consumer(
            self.answers,
            callbacks=[self.answered],
            no_ack=True,
            auto_declare=False,
            channel=channel,
        )
        consumer.consume()

    def answered(self, body, message):
        self.replies[message.properties["correlation_id"]] = body["result"]

    def call(self, number):
        correlation_id = uuid()
        self.producer.publish(
            {"n": number},
            exchange="",
            routing_key=self.requests.name,
            reply_to=self.answers.name,
            correlation_id=correlation_id,
        )
        while correlation_id not in self.replies:
            self.connection.drain_events(timeout=20)
        return self.replies.pop(correlation_id)


@check("rpc-reply-queue")
def rpc_reply_queue():
    requests = Queue(named("rpc"), durable=False)
    server = Server(connection(), requests)
    thread = serve(server)
    with connection() as opened:
        caller = Caller(opened, requests)
        for number in range(100):
            expect(caller.call(number), number**2, "reply")
        expect(caller.replies, {}, "replies nobody asked for")
        server.should_stop = True
        thread.join(20)
        requests(opened.channel()).delete()


@check("connection-recovery")
def connection_recovery():
    requests = Queue(named("recovery"), Exchange(named("recovery"), type="direct"), "r")
    with Proxy(HOST, PORT) as proxy, connection() as opened:
        through = connection()
        through.hostname, through.port = "127.0.0.1", proxy.port
        server = Server(through, requests)
        thread = serve(server)
        caller = Caller(opened, requests)
        for round_number in range(3):
            expect(caller.call(7), 49, f"reply {round_number}")
            server.consuming.clear()
            proxy.cut()
            expect(server.consuming.wait(20), True, "consumes again after the cut")
        expect(caller.call(8), 64, "reply at the end")
        expect(server.connections, 4, "connections of the server")
        server.should_stop = True
        thread.join(20)
        requests(opened.channel()).delete()
        requests.exchange(opened.channel()).delete()


@check("consumer-cancel-notify")
def consumer_cancel_notify():
    with connection() as opened:
        channel = opened.channel()
        queue = reply_queue(channel)
        cancelled = []
        channel.basic_consume(
            queue.name,
            callback=lambda _message: None,
            consumer_tag="mine",
            on_cancel=cancelled.append,
        )
        queue(opened.channel()).delete()
        while not cancelled:
            try:
                opened.drain_events(timeout=10)
            except channel.connection.client.channel_errors:
                # py-amqp raises after it has called on_cancel.
                pass
        expect(cancelled, ["mine"], "cancelled consumers")


@check("global-qos")
def global_qos():
    """Celery's worker limits its whole channel: one window for all consumers."""
    with connection(transport_options=CONFIRM) as opened:
        channel = opened.channel()
        queues = [Queue(named(name), durable=False)(channel) for name in ["qos-1", "qos-2"]]
        producer = opened.Producer(channel)
        for queue in queues:
            queue.declare()
            for number in range(10):
                producer.publish(number, exchange="", routing_key=queue.name)

        def ready():
            return sum(queue.queue_declare(passive=True).message_count for queue in queues)

        held = []
        consumer = opened.Consumer(
            queues, callbacks=[lambda _body, message: held.append(message)], channel=channel
        )
        consumer.qos(prefetch_count=4, apply_global=True)
        with consumer:
            while len(held) < 4:
                opened.drain_events(timeout=10)
            expect((len(held), ready()), (4, 16), "held and ready")
            consumer.qos(prefetch_count=6, apply_global=True)
            while len(held) < 6:
                opened.drain_events(timeout=10)
            expect((len(held), ready()), (6, 14), "held and ready in a wider window")
            for message in held[:6]:
                message.ack()
            while len(held) < 12:
                opened.drain_events(timeout=10)
            expect((len(held), ready()), (12, 8), "held and ready after the acks")
        for message in held[6:]:
            message.requeue()
        expect(sum(len(drain(queue)) for queue in queues), 14, "left")
        for queue in queues:
            queue.delete()

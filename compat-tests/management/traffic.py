"""The same objects and the same traffic for each broker, over its management API and AMQP."""

import threading
import time

import pika


class Traffic:
    """Two connections that stay open until `stop`: one publishes and fetches, one consumes."""

    def __init__(self, amqp_port, user="guest", password="guest"):
        credentials = pika.PlainCredentials(user, password)
        self.parameters = pika.ConnectionParameters(
            "127.0.0.1", amqp_port, credentials=credentials, client_properties={"connection_name": "traffic"}
        )
        self.stopping = threading.Event()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def start(self):
        self.thread.start()
        if not self.ready.wait(60):
            raise TimeoutError("no traffic within a minute")

    def stop(self):
        self.stopping.set()
        self.thread.join()

    def _run(self):
        connection = pika.BlockingConnection(self.parameters)
        channel = connection.channel()
        channel.exchange_declare("topic", "topic", durable=True)
        channel.exchange_declare("fan", "fanout", durable=True, arguments={"alternate-exchange": "topic"})
        channel.queue_declare("classic", durable=True, arguments={"x-max-length": 1000})
        channel.queue_declare("quorum", durable=True, arguments={"x-queue-type": "quorum"})
        channel.queue_declare("stream", durable=True, arguments={"x-queue-type": "stream"})
        channel.queue_declare("private", exclusive=True)
        channel.queue_bind("classic", "topic", "a.#")
        channel.queue_bind("classic", "topic", "a.#", arguments={"z": 1})
        channel.exchange_bind("topic", "fan", "k")
        channel.confirm_delivery()
        properties = pika.BasicProperties(delivery_mode=2, headers={"h": 1})
        for _ in range(20):
            channel.basic_publish("topic", "a.b", b"hello", properties)
            channel.basic_publish("", "quorum", b"hello")
        channel.basic_publish("", "stream", b"hello")
        for _ in range(3):
            method, _, _ = channel.basic_get("classic")
            channel.basic_ack(method.delivery_tag)
        method, _, _ = channel.basic_get("classic")
        channel.basic_nack(method.delivery_tag, requeue=True)
        consumer = connection.channel()
        consumer.basic_qos(prefetch_count=5)
        consumer.basic_consume("classic", lambda *_: None, consumer_tag="tag", arguments={"x-priority": 3})
        # Until the deliveries are here and what happened is counted.
        connection.process_data_events(time_limit=1)
        self.ready.set()
        while not self.stopping.is_set():
            connection.process_data_events(time_limit=0.2)
        connection.close()


def await_value(what, seconds, condition):
    """Until `condition` holds; RabbitMQ shows what it counts some seconds later."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"not within {seconds} seconds: {what}")
        time.sleep(0.1)

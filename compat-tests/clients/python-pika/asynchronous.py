"""SelectConnection: the callback style, with confirms that arrive later."""

import pika
from pika.exceptions import ChannelClosedByClient, ConnectionClosedByClient

from harness import check, expect
from opening import parameters

COUNT = 2_000


class Session:
    """One connection that publishes COUNT messages with confirms and consumes them all."""

    def __init__(self):
        self.confirmed = set()
        self.bodies = []
        self.failure = None
        self.closed = []
        self.queue = None
        self.connection = pika.SelectConnection(
            parameters(),
            on_open_callback=lambda connection: connection.channel(
                on_open_callback=self.channel_opened
            ),
            on_open_error_callback=self.stopped,
            on_close_callback=self.stopped,
        )

    def run(self):
        self.connection.ioloop.start()
        if self.failure:
            raise self.failure

    def stopped(self, connection, reason):
        if not isinstance(reason, ConnectionClosedByClient):
            self.failure = reason
        connection.ioloop.stop()

    def channel_opened(self, channel):
        self.channel = channel
        channel.add_on_close_callback(lambda _channel, reason: self.closed.append(reason))
        channel.queue_declare("", exclusive=True, callback=self.queue_declared)

    def queue_declared(self, frame):
        self.queue = frame.method.queue
        self.channel.confirm_delivery(
            ack_nack_callback=self.settled, callback=lambda _frame: self.publish()
        )

    def publish(self):
        for number in range(COUNT):
            self.channel.basic_publish(
                "", self.queue, str(number).encode(), pika.BasicProperties(delivery_mode=2)
            )

    def settled(self, frame):
        if isinstance(frame.method, pika.spec.Basic.Nack):
            raise AssertionError(f"nack of {frame.method.delivery_tag}")
        tag = frame.method.delivery_tag
        first = 1 if frame.method.multiple else tag
        self.confirmed.update(range(first, tag + 1))
        if len(self.confirmed) == COUNT:
            self.channel.basic_qos(
                prefetch_count=50,
                callback=lambda _frame: self.channel.basic_consume(self.queue, self.delivered),
            )

    def delivered(self, channel, method, _properties, body):
        self.bodies.append(int(body))
        if len(self.bodies) % 50 == 0:
            channel.basic_ack(method.delivery_tag, multiple=True)
        if len(self.bodies) == COUNT:
            channel.close()
            self.connection.close()


@check("select-connection")
def select_connection():
    session = Session()
    session.run()
    expect(session.confirmed, set(range(1, COUNT + 1)), "confirmed tags")
    expect(session.bodies, list(range(COUNT)), "bodies")
    expect([type(reason) for reason in session.closed], [ChannelClosedByClient], "channel closes")

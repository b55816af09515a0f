"""SelectConnection: the callback style, with confirms that arrive later."""

import functools

import pika
from pika.exceptions import ChannelClosedByClient, ConnectionClosedByClient

from harness import check, expect
from opening import parameters

COUNT = 2_000


class Session:
    """One connection that publishes persistent messages, all at once, and collects the confirms.

    Without a queue it makes one of its own and consumes the messages from there again.
    """

    def __init__(self, bodies, queue=None):
        self.published = bodies
        self.queue = queue
        self.confirmed = set()
        self.first_open = 1  # all tags below it are confirmed
        self.bodies = []
        self.failure = None
        self.closed = []
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
            self.failure = self.failure or reason
        connection.ioloop.stop()

    def channel_opened(self, channel):
        self.channel = channel
        channel.add_on_close_callback(lambda _channel, reason: self.closed.append(reason))
        if self.queue is None:
            channel.queue_declare("", exclusive=True, callback=self.queue_declared)
        else:
            self.start_publishing(consume=False)

    def queue_declared(self, frame):
        self.queue = frame.method.queue
        self.start_publishing(consume=True)

    def start_publishing(self, consume):
        self.channel.confirm_delivery(
            ack_nack_callback=functools.partial(self.settled, consume),
            callback=lambda _frame: self.publish(),
        )

    def publish(self):
        for body in self.published:
            self.channel.basic_publish(
                "", self.queue, body, pika.BasicProperties(delivery_mode=2)
            )

    def settled(self, consume, frame):
        tag = frame.method.delivery_tag
        if isinstance(frame.method, pika.spec.Basic.Nack):
            self.failure = AssertionError(f"nack of {tag}")
            self.connection.close()
            return
        self.confirmed.update(range(self.first_open, tag + 1) if frame.method.multiple else [tag])
        while self.first_open in self.confirmed:
            self.first_open += 1
        if len(self.confirmed) < len(self.published):
            return
        if consume:
            self.channel.basic_qos(
                prefetch_count=50,
                callback=lambda _frame: self.channel.basic_consume(self.queue, self.delivered),
            )
        else:
            self.finish()

    def delivered(self, channel, method, _properties, body):
        self.bodies.append(body)
        if len(self.bodies) % 50 == 0:
            channel.basic_ack(method.delivery_tag, multiple=True)
        if len(self.bodies) == len(self.published):
            self.finish()

    def finish(self):
        self.channel.close()
        self.connection.close()


def publish_confirmed(queue, bodies):
    """Publishes all to an existing queue and returns when each one is confirmed."""
    session = Session(bodies, queue)
    session.run()
    expect(session.confirmed, set(range(1, len(bodies) + 1)), "confirmed tags")


@check("select-connection")
def select_connection():
    session = Session([str(number).encode() for number in range(COUNT)])
    session.run()
    expect(session.confirmed, set(range(1, COUNT + 1)), "confirmed tags")
    expect(session.bodies, session.published, "bodies")
    expect([type(reason) for reason in session.closed], [ChannelClosedByClient], "channel closes")

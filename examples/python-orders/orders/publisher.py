"""Publishes with confirms, and publishes again whatever was not confirmed.

One thread owns the connection, for a pika connection belongs to one thread. The others hand over
their messages and get a future, which is done when the broker has taken responsibility.
"""

import collections
import concurrent.futures
import logging
import threading

import pika

from orders import settings, topology

log = logging.getLogger("publisher")

# Messages sent and not yet confirmed. The rest waits here, not in the socket.
IN_FLIGHT_MAX = 500


class Unroutable(Exception):
    """The broker has no queue for this message."""


class Publication:
    """One message on its way. It stays ours until the broker confirms it."""

    def __init__(self, message_id, routing_key, body):
        self.message_id = message_id
        self.routing_key = routing_key
        self.body = body
        self.returned = False
        self.confirmed = concurrent.futures.Future()


class Publisher:
    """`publish` from any thread; `close` when all futures are done."""

    def __init__(self, name):
        self._parameters = settings.connection_parameters(name)
        self._waiting = collections.deque()  # to be sent; any thread appends
        self._in_flight = {}  # sent on this channel: delivery tag -> publication, in that order
        self._channel = None
        self._next_tag = 1
        self._connected = True  # so that a failing first attempt is logged, and later ones are not
        self._stopping = threading.Event()
        self._loop = None  # pika's loop while it runs
        self._loop_lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def publish(self, message_id, routing_key, body):
        """A future that is done when the broker has confirmed the message."""
        publication = Publication(message_id, routing_key, body)
        self._waiting.append(publication)
        self._on_loop(self._send_waiting)
        return publication.confirmed

    def close(self):
        self._stopping.set()
        self._on_loop(self._close_connection)
        self._thread.join()

    def _on_loop(self, act):
        """Without a loop nothing is lost: all that waits is sent on the next channel."""
        with self._loop_lock:
            if self._loop is not None:
                self._loop.add_callback_threadsafe(act)

    # All below runs on the publisher's own thread.

    def _run(self):
        while not self._stopping.is_set():
            connection = pika.SelectConnection(
                self._parameters,
                on_open_callback=self._connection_opened,
                on_open_error_callback=self._connection_lost,
                on_close_callback=self._connection_lost,
            )
            self._connection = connection
            with self._loop_lock:
                self._loop = connection.ioloop
            connection.ioloop.start()
            with self._loop_lock:
                self._loop = None
            connection.ioloop.close()
            self._stopping.wait(settings.RECONNECT_SECONDS)

    def _connection_opened(self, connection):
        if self._stopping.is_set():
            return connection.close()
        return connection.channel(on_open_callback=self._channel_opened)

    def _channel_opened(self, channel):
        channel.add_on_close_callback(self._channel_lost)
        channel.add_on_return_callback(self._returned)
        topology.declare(channel)
        channel.confirm_delivery(self._settled, callback=lambda _ok: self._ready(channel))

    def _ready(self, channel):
        self._channel, self._next_tag, self._connected = channel, 1, True
        log.info("connected, %d to publish", len(self._waiting))
        self._send_waiting()

    def _send_waiting(self):
        while self._channel and self._waiting and len(self._in_flight) < IN_FLIGHT_MAX:
            publication = self._waiting.popleft()
            publication.returned = False
            self._in_flight[self._next_tag] = publication
            self._next_tag += 1
            self._channel.basic_publish(
                topology.EXCHANGE,
                publication.routing_key,
                publication.body,
                pika.BasicProperties(
                    delivery_mode=pika.DeliveryMode.Persistent,
                    content_type="application/json",
                    message_id=publication.message_id,
                ),
                mandatory=True,
            )

    def _returned(self, _channel, _method, properties, _body):
        """Comes before the confirm of the same message."""
        for publication in self._in_flight.values():
            if publication.message_id == properties.message_id:
                publication.returned = True

    def _settled(self, frame):
        tag, multiple = frame.method.delivery_tag, frame.method.multiple
        tags = [sent for sent in self._in_flight if sent <= tag] if multiple else [tag]
        refused = isinstance(frame.method, pika.spec.Basic.Nack)
        for publication in [self._in_flight.pop(sent) for sent in tags]:
            if refused:
                self._waiting.append(publication)
            elif publication.returned:
                publication.confirmed.set_exception(Unroutable(publication.routing_key))
            else:
                publication.confirmed.set_result(None)
        if refused:
            # The broker could not take it just now; give it a moment.
            self._connection.ioloop.call_later(1, self._send_waiting)
        else:
            self._send_waiting()

    def _channel_lost(self, channel, reason):
        self._channel = None
        if not channel.connection.is_closing and not channel.connection.is_closed:
            log.warning("channel lost: %r", reason)
            channel.connection.close()

    def _connection_lost(self, connection, reason):
        self._channel = None
        # The broker may have them or not: they go first on the next channel, in their old order.
        # Consumers know them by their ids if they come twice.
        self._waiting.extendleft(reversed(self._in_flight.values()))
        self._in_flight.clear()
        if self._connected and not self._stopping.is_set():
            log.warning("connection lost, %d to publish: %r", len(self._waiting), reason)
        self._connected = False
        connection.ioloop.stop()

    def _close_connection(self):
        if self._connection.is_open:
            self._connection.close()
        else:
            self._connection.ioloop.stop()

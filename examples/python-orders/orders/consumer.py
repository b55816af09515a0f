"""Consumes a queue with manual acks, for as long as the process lives.

A message is acked after its work is done. When the connection is lost before that, the broker gives
the message out again, so the work must bear being done twice.
"""

import logging
import signal
import threading

import pika

from orders import settings, topology
from orders.order import MalformedOrder

log = logging.getLogger("consumer")

# What the broker sends ahead of our acks.
PREFETCH = 50


class TryAgainLater(Exception):
    """The work cannot be done now, for a reason that will pass."""


def run(name, queue, work):
    """Calls `work(body)` for each message of the queue until SIGTERM or SIGINT."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_arguments: stopping.set())
    last_error = None
    while not stopping.is_set():
        try:
            with pika.BlockingConnection(settings.connection_parameters(name)) as connection:
                _consume(connection, name, queue, work, stopping)
        except pika.exceptions.AMQPError as error:
            if repr(error) != last_error:  # not a line for each attempt
                log.warning("connection lost: %r", error)
            last_error = repr(error)
            stopping.wait(settings.RECONNECT_SECONDS)


def _consume(connection, name, queue, work, stopping):
    channel = connection.channel()
    topology.declare(channel)
    channel.basic_qos(prefetch_count=PREFETCH)
    log.info("%s consumes %s", name, queue)
    for method, _properties, body in channel.consume(queue, inactivity_timeout=0.5):
        if stopping.is_set():
            # What was sent ahead goes back to the queue when the channel closes.
            return
        if method is None:
            continue
        try:
            work(body)
        except MalformedOrder as error:
            log.error("dropped a message that is no order: %s", error)
            channel.basic_reject(method.delivery_tag, requeue=False)
        except TryAgainLater as error:
            log.warning("put back: %s", error)
            channel.basic_nack(method.delivery_tag, requeue=True)
            connection.sleep(1)
        else:
            channel.basic_ack(method.delivery_tag)

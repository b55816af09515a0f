"""How these checks open connections: as a kombu application does."""

import contextlib

import kombu

import harness

CONFIRM = {"confirm_publish": True}


def connection(**options):
    return kombu.Connection(
        hostname=harness.HOST,
        port=harness.PORT,
        userid=harness.USER,
        password=harness.PASSWORD,
        virtual_host=harness.VHOST,
        **options,
    )


@contextlib.contextmanager
def open_channel(**options):
    with connection(**options) as opened:
        yield opened.channel()


def reply_queue(channel):
    """A server-named exclusive queue, declared. kombu makes it auto-delete as well."""
    queue = kombu.Queue("", exclusive=True, durable=False)(channel)
    queue.queue_declare()
    return queue


def drain(queue):
    """Bodies of all messages that are ready now."""
    bodies = []
    while True:
        message = queue.get(no_ack=True)
        if message is None:
            return bodies
        bodies.append(message.payload)

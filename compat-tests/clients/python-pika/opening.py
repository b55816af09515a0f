"""How these checks open connections and channels: as a pika application does."""

import contextlib

import pika

import harness


def parameters(**changes):
    options = {
        "host": harness.HOST,
        "port": harness.PORT,
        "virtual_host": harness.VHOST,
        "credentials": pika.PlainCredentials(harness.USER, harness.PASSWORD),
        "client_properties": {"connection_name": harness.RUN},
    }
    options.update(changes)
    return pika.ConnectionParameters(**options)


@contextlib.contextmanager
def open_connection(**changes):
    connection = pika.BlockingConnection(parameters(**changes))
    try:
        yield connection
    finally:
        if connection.is_open:
            connection.close()


@contextlib.contextmanager
def open_channel(**changes):
    with open_connection(**changes) as connection:
        yield connection.channel()

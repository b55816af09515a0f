"""Where the broker and the database are, from the environment."""

import logging
import os

import pika

AMQP_URL = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")
DATABASE_URL = os.environ.get("DATABASE_URL", "postgresql:///shop")

# A lost broker is tried again after this time, for as long as it takes.
RECONNECT_SECONDS = 0.5


def connection_parameters(name):
    """The broker's address. `name` is how its operators see this connection."""
    parameters = pika.URLParameters(AMQP_URL)
    parameters.heartbeat = 10
    parameters.client_properties = {"connection_name": name}
    return parameters


def log_to_stderr():
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    # pika logs each lost connection at length; the services say it in one line.
    logging.getLogger("pika").setLevel(logging.CRITICAL)

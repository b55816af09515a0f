"""Opening, refusing, idling and closing connections."""

import re

import pika
from pika import exceptions

import harness
from harness import check, expect, named
from opening import open_channel, open_connection, parameters

CAPABILITIES = [
    "publisher_confirms",
    "exchange_exchange_bindings",
    "basic.nack",
    "consumer_cancel_notify",
    "connection.blocked",
    "authentication_failure_close",
    "per_consumer_qos",
]


def server_properties():
    """SelectConnection is where pika shows them."""
    seen = {}

    def opened(connection):
        seen.update(connection.server_properties)
        connection.close()

    def stop(connection, reason):
        seen.setdefault("failure", reason)
        connection.ioloop.stop()

    connection = pika.SelectConnection(
        parameters(),
        on_open_callback=opened,
        on_open_error_callback=stop,
        on_close_callback=stop,
    )
    connection.ioloop.start()
    return seen


@check("connect")
def connect():
    with open_connection() as connection:
        expect(connection.is_open, True, "is_open")
        expect(connection.publisher_confirms_supported, True, "publisher_confirms_supported")
        expect(connection.basic_nack_supported, True, "basic_nack_supported")
        expect(connection.consumer_cancel_notify_supported, True, "consumer_cancel_notify")
        expect(connection.exchange_exchange_bindings_supported, True, "exchange bindings")
    properties = server_properties()
    expect(properties["product"], "RabbitMQ", "product")
    if not re.fullmatch(r"\d+\.\d+\.\d+", properties["version"]):
        raise AssertionError(f"version {properties['version']!r}")
    for capability in CAPABILITIES:
        expect(properties["capabilities"].get(capability), True, f"capability {capability}")


@check("wrong-password")
def wrong_password():
    try:
        pika.BlockingConnection(
            parameters(credentials=pika.PlainCredentials(harness.USER, "not the password"))
        )
    except exceptions.ProbableAuthenticationError as error:
        text = str(error)
    else:
        raise AssertionError("the login was accepted")
    wanted = (
        "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. "
        "For details see the broker logfile."
    )
    expect("403" in text and wanted in text, True, f"403 and RabbitMQ's text in {text!r}")


@check("unknown-vhost")
def unknown_vhost():
    try:
        pika.BlockingConnection(parameters(virtual_host=named("nowhere")))
    except exceptions.ConnectionClosedByBroker as error:
        expect(error.reply_code, 530, "reply code")
        expect(error.reply_text, f"NOT_ALLOWED - vhost {named('nowhere')} not found", "text")
    except exceptions.ProbableAccessDeniedError as error:
        wanted = f"NOT_ALLOWED - vhost {named('nowhere')} not found"
        expect("530" in str(error) and wanted in str(error), True, f"530 and text in {error}")
    else:
        raise AssertionError("the vhost was opened")


@check("many-channels")
def many_channels():
    with open_connection() as connection:
        channels = [connection.channel() for _ in range(200)]
        for channel in channels:
            queue = channel.queue_declare("", exclusive=True).method.queue
            channel.basic_publish("", queue, str(channel.channel_number).encode())
            _method, _properties, body = channel.basic_get(queue, auto_ack=True)
            expect(body, str(channel.channel_number).encode(), "body")
        for channel in channels:
            channel.close()
        expect(connection.channel().is_open, True, "a channel after all were closed")


@check("heartbeat-idle")
def heartbeat_idle():
    heartbeat_seconds = 2
    with open_channel(heartbeat=heartbeat_seconds) as channel:
        queue = channel.queue_declare("", exclusive=True).method.queue
        # pika closes the connection itself when the broker's heartbeats stay away.
        channel.connection.sleep(3 * heartbeat_seconds + 1)
        channel.basic_publish("", queue, b"still here")
        _method, _properties, body = channel.basic_get(queue, auto_ack=True)
        expect(body, b"still here", "body after the idle time")


@check("close")
def close():
    connection = pika.BlockingConnection(parameters())
    channel = connection.channel()
    queue = named("close")
    channel.queue_declare(queue, exclusive=True)
    channel.close()
    expect(channel.is_closed, True, "channel is_closed")
    expect(connection.is_open, True, "connection is_open after the channel's close")
    connection.close()
    expect(connection.is_closed, True, "connection is_closed")
    # The exclusive queue is gone by the time close-ok arrived, so the name is free.
    with open_channel() as again:
        expect(again.queue_declare(queue, exclusive=True).method.message_count, 0, "messages")

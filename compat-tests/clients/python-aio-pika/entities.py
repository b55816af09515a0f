"""Connections, declarations, routing, channel errors."""

import asyncio
import re

from aio_pika import ExchangeType, Message, exceptions

from harness import VHOST, check, connect_plain, connect_robust, expect, named

CAPABILITIES = [
    "publisher_confirms",
    "exchange_exchange_bindings",
    "basic.nack",
    "consumer_cancel_notify",
    "connection.blocked",
    "authentication_failure_close",
    "per_consumer_qos",
]


async def drain(queue):
    """Bodies of all messages that are ready now."""
    bodies = []
    while True:
        message = await queue.get(no_ack=True, fail=False)
        if message is None:
            return bodies
        bodies.append(message.body.decode())


@check("connect")
async def connect():
    async with await connect_robust() as connection:
        properties = connection.transport.connection.server_properties
        expect(properties["product"], "RabbitMQ", "product")
        if not re.fullmatch(r"\d+\.\d+\.\d+", properties["version"]):
            raise AssertionError(f"version {properties['version']!r}")
        for capability in CAPABILITIES:
            expect(properties["capabilities"].get(capability), True, f"capability {capability}")


@check("wrong-password")
async def wrong_password():
    try:
        await connect_robust(password="not the password", fail_fast=True)
    except exceptions.ProbableAuthenticationError as error:
        wanted = (
            "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. "
            "For details see the broker logfile."
        )
        expect(wanted in repr(error), True, f"RabbitMQ's text in {error!r}")
    else:
        raise AssertionError("the login was accepted")


@check("declare")
async def declare():
    async with await connect_robust() as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(named("declare"), durable=True)
        for number in range(3):
            await channel.default_exchange.publish(Message(b"%d" % number), queue.name)
        again = await channel.declare_queue(named("declare"), durable=True)
        result = again.declaration_result
        expect((result.message_count, result.consumer_count), (3, 0), "counts on redeclare")
        expect((await queue.purge()).message_count, 3, "purged")
        # Another channel: a robust one answers for the queues it knows by itself.
        other = await connection.channel()
        passive = await other.declare_queue(named("declare"), passive=True)
        expect(passive.declaration_result.message_count, 0, "count after purge")
        expect((await queue.delete()).message_count, 0, "deleted with")

        exchange = await channel.declare_exchange(named("declare"), "topic", durable=True)
        await channel.get_exchange(named("declare"))
        await exchange.delete()
    async with await connect_plain() as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        expect(queue.name.startswith("amq.gen-"), True, f"server-named queue {queue.name!r}")


@check("channel-error")
async def channel_error():
    async with await connect_robust() as connection:
        missing = named("missing")
        channel = await connection.channel()
        try:
            await channel.get_queue(missing)
        except exceptions.ChannelNotFoundEntity as error:
            text = f"NOT_FOUND - no queue '{missing}' in vhost '{VHOST}'"
            expect(error.args, (text,), "reply text")
        else:
            raise AssertionError("no channel error")
        expect(connection.is_closed, False, "connection is_closed")

        channel = await connection.channel()
        queue = await channel.declare_queue(named("inequivalent"), durable=True)
        other = await connection.channel()
        try:
            await other.declare_queue(queue.name, durable=False)
        except exceptions.ChannelPreconditionFailed as error:
            text = (
                f"PRECONDITION_FAILED - inequivalent arg 'durable' for queue '{queue.name}' "
                f"in vhost '{VHOST}': received 'false' but current is 'true'"
            )
            expect(error.args, (text,), "reply text")
        else:
            raise AssertionError("no channel error")
        await queue.delete()


@check("exchange-types")
async def exchange_types():
    async with await connect_robust() as connection:
        channel = await connection.channel()

        async def exchange(name, kind, **options):
            return await channel.declare_exchange(named(name), kind, auto_delete=True, **options)

        async def bound(source, key="", arguments=None):
            queue = await channel.declare_queue(exclusive=True)
            await queue.bind(source, key, arguments=arguments)
            return queue

        async def publish(target, key, headers=None, body=None):
            message = Message((body or key).encode(), headers=headers)
            await target.publish(message, key, mandatory=False)

        direct = await exchange("direct", ExchangeType.DIRECT)
        red, blue = await bound(direct, "red"), await bound(direct, "blue")
        for key in ["red", "blue", "green"]:
            await publish(direct, key)
        expect((await drain(red), await drain(blue)), (["red"], ["blue"]), "direct")
        await red.unbind(direct, "red")
        await publish(direct, "red")
        expect(await drain(red), [], "direct after unbind")

        fanout = await exchange("fanout", ExchangeType.FANOUT)
        queues = [await bound(fanout), await bound(fanout)]
        await publish(fanout, "ignored", body="all")
        expect([await drain(queue) for queue in queues], [["all"], ["all"]], "fanout")

        topic = await exchange("topic", ExchangeType.TOPIC)
        cases = {
            "order.#": ["order", "order.new", "order.new.eu"],
            "order.*": ["order.new"],
            "*.new.#": ["order.new", "order.new.eu", "user.new"],
            "#": ["order", "order.new", "order.new.eu", "user.new"],
        }
        queues = {pattern: await bound(topic, pattern) for pattern in cases}
        for key in cases["#"]:
            await publish(topic, key)
        for pattern, wanted in cases.items():
            expect(await drain(queues[pattern]), wanted, f"topic {pattern}")

        headers = await exchange("headers", ExchangeType.HEADERS)
        values = {"kind": "pdf", "pages": 3}
        both = await bound(headers, arguments={"x-match": "all", **values})
        either = await bound(headers, arguments={"x-match": "any", **values})
        await publish(headers, "", values, "both")
        await publish(headers, "", {"kind": "pdf"}, "kind")
        await publish(headers, "", {"kind": "doc"}, "none")
        expect((await drain(both), await drain(either)), (["both"], ["both", "kind"]), "headers")

        queue = await channel.declare_queue(exclusive=True)
        await publish(channel.default_exchange, queue.name)
        expect(await drain(queue), [queue.name], "default exchange")

        unrouted = await exchange("unrouted", ExchangeType.FANOUT)
        main = await exchange(
            "main", ExchangeType.DIRECT, arguments={"alternate-exchange": unrouted.name}
        )
        known, unknown = await bound(main, "known"), await bound(unrouted)
        await publish(main, "known")
        await publish(main, "unknown")
        expect((await drain(known), await drain(unknown)), (["known"], ["unknown"]), "alternate")

        source = await exchange("source", ExchangeType.TOPIC)
        target = await exchange("target", ExchangeType.FANOUT)
        await target.bind(source, "eu.#")
        queue = await bound(target)
        await publish(source, "eu.de")
        await publish(source, "us.ny")
        expect(await drain(queue), ["eu.de"], "exchange to exchange")
        await target.unbind(source, "eu.#")


@check("heartbeat-idle")
async def heartbeat_idle():
    heartbeat_seconds = 2
    async with await connect_robust(heartbeat=heartbeat_seconds) as connection:
        reconnects = []
        connection.reconnect_callbacks.add(lambda *_: reconnects.append(True))
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        # The idle time is the check.
        await asyncio.sleep(3 * heartbeat_seconds + 1)
        await channel.default_exchange.publish(Message(b"still here"), queue.name)
        expect(await drain(queue), ["still here"], "after the idle time")
        expect(reconnects, [], "reconnects")


@check("update-secret")
async def update_secret():
    async with await connect_robust() as connection:
        await connection.update_secret("a new secret", reason="rotated")
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        await channel.default_exchange.publish(Message(b"after"), queue.name)
        expect(await drain(queue), ["after"], "after update-secret")


@check("close")
async def close():
    connection = await connect_robust()
    channel = await connection.channel()
    await channel.declare_queue(named("close"), exclusive=True)
    await channel.close()
    expect(channel.is_closed, True, "channel is_closed")
    expect(connection.is_closed, False, "connection is_closed after the channel's close")
    await connection.close()
    expect(connection.is_closed, True, "connection is_closed")
    # The exclusive queue is gone by the time close-ok arrived, so the name is free.
    async with await connect_robust() as again:
        channel = await again.channel()
        await channel.declare_queue(named("close"), exclusive=True)

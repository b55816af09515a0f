"""Publishing and consuming: confirms, prefetch, returns, requeue, get, transactions."""

import asyncio
import datetime

from aio_pika import DeliveryMode, Message, exceptions

from entities import drain
from harness import check, connect_plain, connect_robust, expect, named, wait_for

BULK_COUNT = 10_000
BATCH = 100


def persistent(body):
    return Message(body, delivery_mode=DeliveryMode.PERSISTENT)


@check("confirm-publish-10000", deadline_seconds=180)
async def confirm_publish():
    async with await connect_robust() as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(named("bulk"), durable=True)
        for start in range(0, BULK_COUNT, BATCH):
            # Each publish ends when its message is confirmed; a batch waits for them together.
            confirms = await asyncio.gather(
                *(
                    channel.default_exchange.publish(persistent(b"message %d" % number), queue.name)
                    for number in range(start, start + BATCH)
                )
            )
            expect({type(confirm).__name__ for confirm in confirms}, {"Ack"}, "confirms")
        again = await channel.declare_queue(queue.name, durable=True)
        expect(again.declaration_result.message_count, BULK_COUNT, "messages in the queue")


@check("consume-prefetch-ack", deadline_seconds=120)
async def consume_prefetch_ack():
    async with await connect_robust() as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=100)
        queue = await channel.get_queue(named("bulk"))
        bodies = []
        async with queue.iterator() as messages:
            async for message in messages:
                async with message.process():
                    expect(message.delivery_mode, DeliveryMode.PERSISTENT, "delivery mode")
                    expect(message.redelivered, False, "redelivered")
                    bodies.append(message.body)
                if len(bodies) == BULK_COUNT:
                    break
        wanted = [b"message %d" % number for number in range(BULK_COUNT)]
        expect(bodies == wanted, True, "all bodies in the order of publishing")
        expect((await queue.delete()).message_count, 0, "left after the acks")


@check("mandatory-return")
async def mandatory_return():
    async with await connect_robust() as connection:
        channel = await connection.channel(on_return_raises=True)
        exchange = await channel.get_exchange("amq.direct")
        try:
            await exchange.publish(Message(b"back", message_id="m1"), named("nobody"))
        except exceptions.PublishError as error:
            returned = error.message
        else:
            raise AssertionError("an unroutable mandatory message was not returned")
        expect(returned.delivery.reply_code, 312, "reply code")
        expect(returned.delivery.reply_text, "NO_ROUTE", "reply text")
        expect(returned.delivery.exchange, "amq.direct", "exchange")
        expect(returned.delivery.routing_key, named("nobody"), "routing key")
        expect(returned.body, b"back", "body")
        expect(returned.header.properties.message_id, "m1", "message id")
        # Without the flag the same message is confirmed and dropped.
        confirm = await exchange.publish(Message(b"x"), named("nobody"), mandatory=False)
        expect(type(confirm).__name__, "Ack", "confirm")


@check("requeue-redelivered")
async def requeue_redelivered():
    async with await connect_robust() as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=2)
        queue = await channel.declare_queue(exclusive=True)
        for body in [b"0", b"1", b"2", b"3"]:
            await channel.default_exchange.publish(Message(body), queue.name)
        seen = []

        async def consumed(message):
            seen.append((message.body.decode(), message.redelivered))
            if message.body == b"0" and not message.redelivered:
                return
            if message.body == b"1" and not message.redelivered:
                # 0 and 1 go back together, and before 2 and 3.
                await message.nack(multiple=True, requeue=True)
            else:
                await message.ack()

        await queue.consume(consumed)
        await wait_for(lambda: len(seen) == 6, "six deliveries")
        wanted = [("0", False), ("1", False), ("0", True), ("1", True), ("2", False), ("3", False)]
        expect(seen, wanted, "deliveries")


@check("get")
async def get():
    async with await connect_robust() as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        try:
            await queue.get(timeout=10)
        except exceptions.QueueEmpty:
            pass
        else:
            raise AssertionError("a message from an empty queue")
        for body in [b"one", b"two"]:
            await channel.default_exchange.publish(Message(body), queue.name)
        first = await queue.get()
        expect((first.body, first.message_count, first.redelivered), (b"one", 1, False), "first")
        await first.nack(requeue=True)
        again = await queue.get()
        expect((again.body, again.message_count, again.redelivered), (b"one", 1, True), "again")
        await again.ack()
        second = await queue.get()
        await second.reject(requeue=False)
        expect(await queue.get(fail=False), None, "get of the emptied queue")


@check("tx")
async def transactions():
    async with await connect_robust() as connection:
        channel = await connection.channel(publisher_confirms=False)
        observer = await connection.channel()
        queue = await channel.declare_queue(named("tx"), exclusive=True)
        seen_by_observer = await observer.get_queue(queue.name)
        async with channel.transaction():
            for body in [b"one", b"two"]:
                await channel.default_exchange.publish(Message(body), queue.name)
            expect(await seen_by_observer.get(fail=False), None, "before the commit")
        expect(await drain(seen_by_observer), ["one", "two"], "after the commit")
        try:
            async with channel.transaction():
                await channel.default_exchange.publish(Message(b"never"), queue.name)
                raise KeyError("the application fails in the middle")
        except KeyError:
            pass
        expect(await drain(seen_by_observer), [], "after the rollback")


@check("properties-round-trip")
async def properties_round_trip():
    headers = {
        "text": "grüße",
        "flag": True,
        "number": 7,
        "large": 1 << 40,
        "float": 2.5,
        "none": None,
        "list": [1, "two", {"three": 3}],
        "table": {"inner": {"innermost": False}},
    }
    sent = {
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "priority": 4,
        "correlation_id": "correlation",
        "reply_to": "reply",
        "expiration": datetime.timedelta(seconds=30),
        "message_id": "id",
        "timestamp": datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc),
        "type": "order.created",
        "app_id": "shop",
    }
    async with await connect_robust() as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        for size in [0, 1, 131_064, 131_065, 2_000_000]:
            body = b"x" * size
            message = Message(body, headers=headers, **sent)
            await channel.default_exchange.publish(message, queue.name)
            got = await queue.get(no_ack=True)
            expect(got.body == body, True, f"content of {size} octets")
            expect(dict(got.headers), headers, "headers")
            for name, wanted in sent.items():
                value = getattr(got, name)
                if name == "expiration":
                    value = datetime.timedelta(seconds=value)
                expect(value, wanted, name)


@check("consumer-cancel-notify")
async def consumer_cancel_notify():
    async with await connect_plain() as connection:
        channel = await connection.channel()
        deleting = await connection.channel()
        queue = await channel.declare_queue(named("cancel"))
        # aio-pika leaves this to the library below it.
        cancelled = []
        underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(
            lambda frame: cancelled.append(frame.consumer_tag)
        )
        tag = await queue.consume(lambda message: message.ack())
        await deleting.queue_delete(queue.name)
        await wait_for(lambda: cancelled, "basic.cancel")
        expect(cancelled, [tag], "cancelled consumers")
        expect(channel.is_closed, False, "channel is_closed")

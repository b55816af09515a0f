"""Robust connections: queues, bindings and consumers come back after the connection is cut."""

import asyncio

from aio_pika import DeliveryMode, Message
from aio_pika.exceptions import CONNECTION_EXCEPTIONS

from harness import HOST, PORT, check, connect_robust, expect, named, wait_for
from proxy import Proxy


@check("connection-recovery")
async def connection_recovery():
    with Proxy(HOST, PORT) as proxy:
        async with (
            await connect_robust(
                host="127.0.0.1", port=proxy.port, reconnect_interval=0.1
            ) as connection,
            await connect_robust() as direct,
        ):
            reconnected = asyncio.Event()
            connection.reconnect_callbacks.add(lambda *_: reconnected.set())
            channel = await connection.channel()
            # The exclusive queue dies with each connection and must be declared and bound anew.
            exchange = await channel.declare_exchange(named("recovery"), "topic", auto_delete=False)
            queue = await channel.declare_queue(named("recovery"), exclusive=True)
            await queue.bind(exchange, "order.#")
            bodies = []

            async def consumed(message):
                async with message.process():
                    bodies.append(message.body.decode())

            await queue.consume(consumed)
            publisher = await (await direct.channel()).get_exchange(named("recovery"))
            for round_number in range(4):
                if round_number:
                    reconnected.clear()
                    proxy.cut()
                    await reconnected.wait()
                # Mandatory: raises nothing only when the binding is there again.
                await publisher.publish(Message(b"%d" % round_number), "order.new")
                await wait_for(lambda n=round_number: len(bodies) == n + 1, "the message")
            expect(bodies, ["0", "1", "2", "3"], "bodies")
            await exchange.delete()


@check("publisher-recovery")
async def publisher_recovery():
    """Publishing with confirms while the connection is cut; what is not confirmed is sent again."""
    count = 600
    with Proxy(HOST, PORT) as proxy:
        async with (
            await connect_robust(
                host="127.0.0.1", port=proxy.port, reconnect_interval=0.1
            ) as connection,
            await connect_robust() as direct,
        ):
            channel = await connection.channel()
            queue = await channel.declare_queue(named("publisher"), durable=True)
            for number in range(count):
                if number % 200 == 100:
                    proxy.cut()
                message = Message(b"%d" % number, delivery_mode=DeliveryMode.PERSISTENT)
                while True:
                    try:
                        await channel.ready()
                        await channel.default_exchange.publish(message, queue.name)
                        break
                    except CONNECTION_EXCEPTIONS:
                        # asyncio must run for the connection to heal.
                        await asyncio.sleep(0.01)
            reader = await (await direct.channel()).get_queue(queue.name)
            bodies = []
            while (message := await reader.get(no_ack=True, fail=False)) is not None:
                bodies.append(int(message.body))
            expect(sorted(set(bodies)), list(range(count)), "all messages")
            expect(len(bodies) <= count + 3, True, f"{len(bodies)} messages: one again per cut")
            await reader.delete()

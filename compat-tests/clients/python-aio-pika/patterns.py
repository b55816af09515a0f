"""RPC by hand and aio-pika's own patterns: RPC and Master/worker."""

import asyncio
import uuid

from aio_pika import Message
from aio_pika.patterns import RPC, JsonMaster, NackMessage

from harness import check, connect_plain, connect_robust, expect, named

CALLS = 200


@check("rpc-reply-queue")
async def rpc_reply_queue():
    async with await connect_robust() as serving, await connect_plain() as calling:
        server = await serving.channel()
        requests = await server.declare_queue(named("rpc"), auto_delete=True)

        async def answer(message):
            async with message.process():
                reply = Message(
                    b"%d" % (int(message.body) ** 2), correlation_id=message.correlation_id
                )
                await server.default_exchange.publish(reply, message.reply_to)

        await requests.consume(answer)

        client = await calling.channel()
        replies = await client.declare_queue(exclusive=True)
        expect(replies.name.startswith("amq.gen-"), True, f"server-named queue {replies.name!r}")
        futures = {}

        async def answered(message):
            futures.pop(message.correlation_id).set_result(int(message.body))

        await replies.consume(answered, no_ack=True)

        async def call(number):
            correlation_id = str(uuid.uuid4())
            future = futures[correlation_id] = asyncio.get_running_loop().create_future()
            request = Message(
                b"%d" % number, reply_to=replies.name, correlation_id=correlation_id
            )
            await client.default_exchange.publish(request, requests.name)
            return await future

        for number in range(CALLS // 2):
            expect(await call(number), number**2, "one after another")
        got = await asyncio.gather(*(call(number) for number in range(CALLS // 2)))
        expect(got, [number**2 for number in range(CALLS // 2)], "all at once")


@check("rpc-pattern")
async def rpc_pattern():
    async def multiply(*, x, y):
        return x * y

    async def refuse():
        raise ValueError("no")

    async with await connect_robust() as serving, await connect_robust() as calling:
        server = await RPC.create(await serving.channel())
        client = await RPC.create(await calling.channel())
        await server.register(named("multiply"), multiply, auto_delete=True)
        await server.register(named("refuse"), refuse, auto_delete=True)
        for number in range(50):
            got = await client.call(named("multiply"), kwargs={"x": number, "y": 3})
            expect(got, 3 * number, "product")
        try:
            await client.call(named("refuse"))
        except ValueError as error:
            expect(error.args, ("no",), "the server's exception")
        else:
            raise AssertionError("the exception did not arrive")
        await client.close()
        await server.close()


@check("master-pattern")
async def master_pattern():
    done, tries = [], []
    async with await connect_robust() as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=5)
        master = JsonMaster(channel)
        finished = asyncio.Event()

        async def work(*, number):
            if number == 7 and not tries:
                tries.append(number)
                raise NackMessage(requeue=True)
            done.append(number)
            if len(done) == 50:
                finished.set()

        worker = await master.create_worker(named("work"), work, auto_delete=True)
        for number in range(50):
            await master.create_task(named("work"), {"number": number})
        await finished.wait()
        expect(sorted(done), list(range(50)), "finished tasks")
        expect(tries, [7], "refused once")
        await worker.close()

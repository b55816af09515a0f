"""Streams: messages that stay, read from where a consumer asks to."""

from harness import check, expect, named
from opening import open_channel


def read(channel, queue, count, offset, **arguments):
    """Offsets and bodies of the next messages from there."""
    channel.basic_qos(prefetch_count=100)
    found = []
    consumed = channel.consume(
        queue, inactivity_timeout=20, arguments={"x-stream-offset": offset, **arguments}
    )
    for method, properties, body in consumed:
        if method is None:
            break
        channel.basic_ack(method.delivery_tag)
        found.append((properties.headers["x-stream-offset"], body.decode()))
        if len(found) == count:
            break
    channel.cancel()
    return found


@check("stream-read-again")
def read_again():
    with open_channel() as channel:
        channel.confirm_delivery()
        queue = named("stream")
        channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "stream"})
        bodies = [f"message {index}" for index in range(1000)]
        for body in bodies:
            channel.basic_publish("", queue, body.encode())
        everything = list(enumerate(bodies))
        for turn in ("first", "second"):
            expect(read(channel, queue, 1000, "first"), everything, f"the {turn} time")
        expect(read(channel, queue, 10, 990), everything[990:], "from an offset")
        expect(read(channel, queue, 1000, "1h"), everything, "of the last hour")
        channel.queue_delete(queue)

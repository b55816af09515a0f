"""The exchange and the queues, and who gets what.

    shop, place ──> exchange "shop" (topic) ──order.placed.*──> queue "shop.store"  ──> worker
                                            ──order.#─────────> queue "shop.notify" ──> notifier

Everybody declares all of it at each connect: it costs little, and nobody has to be started first.
"""

EXCHANGE = "shop"
STORE_QUEUE = "shop.store"
NOTIFY_QUEUE = "shop.notify"


def declare(channel):
    """Durable, so that it is there after a restart of the broker, with the messages in it."""
    channel.exchange_declare(EXCHANGE, "topic", durable=True)
    for queue, pattern in [(STORE_QUEUE, "order.placed.*"), (NOTIFY_QUEUE, "order.#")]:
        channel.queue_declare(queue, durable=True)
        channel.queue_bind(queue, EXCHANGE, pattern)

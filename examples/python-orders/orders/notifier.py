"""Tells customers that their order has arrived: `python -m orders.notifier`.

It has a queue of its own, bound to the same exchange: the worker does not know that it exists.
Instead of sending mail it records what it would have sent.
"""

from orders import consumer, settings, topology
from orders.database import Database
from orders.order import Order

RECORD = """
INSERT INTO notifications (order_id, text, times_seen) VALUES (%s, %s, 1)
ON CONFLICT (order_id) DO UPDATE SET times_seen = notifications.times_seen + 1
"""


def notify(database, order):
    text = f"Dear {order.user_name}, we got your order of {order.quantity} {order.item}."
    with database.transaction() as connection:
        connection.execute(RECORD, (order.id, text))


def main():
    settings.log_to_stderr()
    database = Database()
    consumer.run(
        "notifier", topology.NOTIFY_QUEUE, lambda body: notify(database, Order.from_json(body))
    )


if __name__ == "__main__":
    main()

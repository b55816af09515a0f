"""Writes orders into PostgreSQL: `python -m orders.worker`."""

from orders import consumer, settings, topology
from orders.database import Database
from orders.order import Order

ADD_USER = """
INSERT INTO users (id, name, order_count, spent_cents) VALUES (%s, %s, 0, 0)
ON CONFLICT (id) DO NOTHING
"""
ADD_ORDER = """
INSERT INTO orders (id, user_id, country, item, quantity, price_cents)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (id) DO NOTHING
"""
COUNT_ORDER = """
UPDATE users SET order_count = order_count + 1, spent_cents = spent_cents + %s WHERE id = %s
"""


def store(database, order):
    """Stores the order once, however often it comes."""
    with database.transaction() as connection:
        connection.execute(ADD_USER, (order.user_id, order.user_name))
        added = connection.execute(
            ADD_ORDER,
            (
                order.id,
                order.user_id,
                order.country,
                order.item,
                order.quantity,
                order.price_cents,
            ),
        )
        if added.rowcount == 1:
            connection.execute(COUNT_ORDER, (order.total_cents, order.user_id))


def main():
    settings.log_to_stderr()
    database = Database()
    consumer.run(
        "worker", topology.STORE_QUEUE, lambda body: store(database, Order.from_json(body))
    )


if __name__ == "__main__":
    main()

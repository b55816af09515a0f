"""PostgreSQL: the tables, and a connection that comes back.

`python -m orders.database` creates the tables.
"""

import contextlib

import psycopg

from orders import settings
from orders.consumer import TryAgainLater
from orders.order import MalformedOrder

TABLES = """
CREATE TABLE IF NOT EXISTS users (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    order_count bigint NOT NULL,
    spent_cents bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS orders (
    id uuid PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users,
    country text NOT NULL,
    item text NOT NULL,
    quantity integer NOT NULL,
    price_cents bigint NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS notifications (
    order_id uuid PRIMARY KEY,
    text text NOT NULL,
    times_seen bigint NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now()
);
"""


class Database:
    """One connection, opened when needed and again when it was lost. For one thread."""

    def __init__(self):
        self._connection = None

    @contextlib.contextmanager
    def transaction(self):
        """Committed when the block ends well.

        A lost database is a `TryAgainLater`; values it refuses make a `MalformedOrder`.
        """
        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(settings.DATABASE_URL, autocommit=True)
            with self._connection.transaction():
                yield self._connection
        except psycopg.OperationalError as error:
            raise TryAgainLater(f"database: {error}") from error
        except psycopg.DataError as error:
            raise MalformedOrder(f"database: {error}") from error

    def close(self):
        if self._connection is not None:
            self._connection.close()


def create_tables():
    with psycopg.connect(settings.DATABASE_URL) as connection:
        connection.execute(TABLES)


if __name__ == "__main__":
    create_tables()

"""Places many orders: `python -m orders.place --count 1000 --rate 500 --ledger placed.jsonl`.

The ledger, one JSON line each, says what was placed (written before it is published) and what the
broker confirmed.
"""

import argparse
import collections
import dataclasses
import functools
import json
import random
import threading
import time
import uuid

from orders import settings
from orders.order import Order
from orders.publisher import Publisher

ITEMS = {"teapot": 1999, "kettle": 3450, "spoon": 120, "cup": 899}
COUNTRIES = ["at", "br", "de", "in", "us"]
USERS = 50

# While the broker is away we go on for a while, then wait: memory is not endless.
UNCONFIRMED_MAX = 100


def random_order():
    user_id = random.randint(1, USERS)
    item, price_cents = random.choice(list(ITEMS.items()))
    return Order(
        id=str(uuid.uuid4()),
        user_id=user_id,
        user_name=f"User {user_id}",
        country=random.choice(COUNTRIES),
        item=item,
        quantity=random.randint(1, 5),
        price_cents=price_cents,
    )


class Ledger:
    """Written by two threads: the one that places and the publisher's, which hears of confirms."""

    def __init__(self, path):
        self._file = open(path, "a", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()

    def placed(self, order):
        self._write({"placed": dataclasses.asdict(order)})

    def settled(self, order, confirmed):
        if confirmed.exception() is None:
            self._write({"confirmed": order.id})

    def _write(self, line):
        with self._lock:
            self._file.write(json.dumps(line) + "\n")


def main():
    parser = argparse.ArgumentParser(description="Places random orders at a steady rate.")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=500, help="orders a second, at most")
    parser.add_argument("--ledger", default="/dev/null", help="file that gets what was placed")
    arguments = parser.parse_args()
    settings.log_to_stderr()

    ledger = Ledger(arguments.ledger)
    publisher = Publisher("place")
    start = time.monotonic()
    confirms = collections.deque()
    for _ in range(arguments.count):
        order = random_order()
        ledger.placed(order)
        confirmed = publisher.publish(order.id, order.routing_key, order.to_json())
        confirmed.add_done_callback(functools.partial(ledger.settled, order))
        confirms.append(confirmed)
        if len(confirms) > UNCONFIRMED_MAX:
            confirms.popleft().result()
        time.sleep(1 / arguments.rate)
    for confirmed in confirms:
        confirmed.result()
    publisher.close()
    print(f"{arguments.count} orders confirmed in {time.monotonic() - start:.1f} s")


if __name__ == "__main__":
    main()

"""Customers of the web shop, and the ledger of those who publish orders themselves."""

import dataclasses
import json
import threading
import time
import urllib.error
import urllib.request

from orders.order import Order
from orders.place import random_order

CUSTOMERS = 4
TRIES_MAX = 60


class Customers:
    """Each posts an order, waits for the answer, and posts it again when there was none."""

    def __init__(self, shop_port, count, rate):
        self.placed = {}
        self.confirmed = set()
        self.failures = []
        self._url = f"http://127.0.0.1:{shop_port}/orders"
        self._lock = threading.Lock()
        self._pause_seconds = CUSTOMERS / rate
        counts = [count // CUSTOMERS + (number < count % CUSTOMERS) for number in range(CUSTOMERS)]
        self._threads = [
            threading.Thread(target=self._shop, args=(count,), daemon=True) for count in counts
        ]

    def start(self):
        for thread in self._threads:
            thread.start()

    def done(self):
        return not any(thread.is_alive() for thread in self._threads)

    def _shop(self, count):
        for _ in range(count):
            order = random_order()
            with self._lock:
                self.placed = self.placed | {order.id: order}
            answer = self._post(order)
            with self._lock:
                if answer == 201:
                    self.confirmed = self.confirmed | {order.id}
                else:
                    self.failures.append((order.id, answer))
            time.sleep(self._pause_seconds)

    def _post(self, order):
        """The last status, or error, after as many tries as a patient customer makes."""
        fields = dataclasses.asdict(order)
        request = urllib.request.Request(
            self._url,
            data=json.dumps(fields).encode(),
            headers={"Content-Type": "application/json"},
        )
        for _ in range(TRIES_MAX):
            try:
                with urllib.request.urlopen(request, timeout=60) as response:
                    return response.status
            except urllib.error.HTTPError as error:
                answer = error.code
            except OSError as error:
                answer = repr(error)  # the shop is starting
            time.sleep(0.5)
        return answer


def read_ledger(path):
    """Placed orders by id and the ids of the confirmed ones, as `orders.place` wrote them."""
    placed, confirmed = {}, set()
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return placed, confirmed
    for line in lines[:-1]:  # what follows the last line feed is still being written
        entry = json.loads(line)
        if "placed" in entry:
            order = Order(**entry["placed"])
            placed[order.id] = order
        else:
            confirmed.add(entry["confirmed"])
    return placed, confirmed

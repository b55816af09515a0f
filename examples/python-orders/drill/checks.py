"""What must be true in the end: the database against the books of those who ordered."""

import collections


class Report:
    """Prints each check as it is made and counts them."""

    def __init__(self):
        self.passes = 0
        self.failures = 0

    def passed(self, name):
        self.passes += 1
        print(f"ok {name}")

    def failed(self, name, reason):
        self.failures += 1
        print(f"not ok {name}: {reason}")

    def equal(self, name, got, wanted):
        if got == wanted:
            self.passed(name)
        else:
            self.failed(name, f"got {got!r}, wanted {wanted!r}")

    def none(self, name, culprits):
        """There must be none; shows some when there are."""
        if culprits:
            self.failed(name, f"{len(culprits)}, such as {sorted(culprits)[:3]}")
        else:
            self.passed(name)


def check_books(report, postgres, placed, confirmed):
    stored = {
        str(row[0]): row[1:]
        for row in postgres.rows(
            "SELECT id, user_id, country, item, quantity, price_cents FROM orders"
        )
    }
    rows = postgres.count("orders")
    print(f"{rows} orders stored for {postgres.count('users')} users")
    report.none("every confirmed order is stored", confirmed - stored.keys())
    report.equal("every order is stored once", rows, len(stored))
    report.none("no order is stored that was never placed", stored.keys() - placed.keys())
    report.none(
        "every stored order is as it was placed",
        {
            order_id
            for order_id, row in stored.items()
            if order_id in placed and row != _row_of(placed[order_id])
        },
    )

    # Were an order worked on twice, its user's sums would show it.
    wanted = collections.defaultdict(lambda: [0, 0])
    for user_id, _country, _item, quantity, price_cents in stored.values():
        wanted[user_id][0] += 1
        wanted[user_id][1] += quantity * price_cents
    got = {
        row[0]: (row[1], list(row[2:]))
        for row in postgres.rows("SELECT id, name, order_count, spent_cents FROM users")
    }
    report.equal(
        "every user's name, number of orders and sum are right",
        got,
        {user_id: (f"User {user_id}", sums) for user_id, sums in wanted.items()},
    )

    seen = {
        str(order_id): times
        for order_id, times in postgres.rows("SELECT order_id, times_seen FROM notifications")
    }
    again = sum(times - 1 for times in seen.values())
    print(f"{len(seen)} orders notified, {again} notifications came again")
    report.none("every confirmed order was notified", confirmed - seen.keys())
    report.none("no order was notified that was never placed", seen.keys() - placed.keys())


def _row_of(order):
    return (order.user_id, order.country, order.item, order.quantity, order.price_cents)

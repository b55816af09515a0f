"""`./run [--orders N] [--kills N] [--broker COMMAND]`; exit code 1 when a check failed."""

import argparse
import os
import pathlib
import signal
import sys
import tempfile
import time
import urllib.request

from drill.broker import ForeignBroker, OwnBroker, leveret_command
from drill.checks import Report, check_books
from drill.customers import Customers, read_ledger
from drill.postgres import Postgres
from drill.processes import Children, free_ports, wait_for

# The part of all orders that comes through the web shop; `place` publishes the rest itself.
WEB_SHARE = 0.1


def parse_arguments():
    parser = argparse.ArgumentParser(description="The whole application under a dying broker.")
    parser.add_argument("--orders", type=int, default=3000)
    parser.add_argument("--rate", type=float, default=300, help="orders a second")
    parser.add_argument("--kills", type=int, default=3, help="how often the broker is killed")
    parser.add_argument(
        "--broker",
        metavar="COMMAND",
        help="another broker to start, in the foreground; {port}, {http_port} and {data} are filled in",
    )
    parser.add_argument("--seconds", type=float, default=180, help="deadline for each wait")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    # So that the clean-up below also happens when somebody ends us.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="python-orders-") as scratch, Children() as children:
        scratch = pathlib.Path(scratch)
        scratch.chmod(0o711)  # PostgreSQL runs as another user when we are root
        report = Report()
        try:
            drill(arguments, scratch, children, report)
        except Exception as error:  # the logs are gone with the directory, so show them first
            report.failed("drill", repr(error))
        if report.failures:
            children.show_logs()
    print(f"{report.passes} passed, {report.failures} failed")
    return 1 if report.failures else 0


def make_broker(arguments, scratch, children):
    url = os.environ.get("AMQP_URL") or os.environ.get("LEVERET_URL")
    if url and not arguments.broker:
        return ForeignBroker(url)
    return OwnBroker(arguments.broker or leveret_command(), scratch / "broker", children)


def drill(arguments, scratch, children, report):
    postgres = Postgres(scratch / "postgres", children)
    broker = make_broker(arguments, scratch, children)
    broker.start()
    print(f"broker at {broker.url}")
    broker.publish_nonsense()  # who stumbles over it never gets to the orders behind it

    (shop_port,) = free_ports(1)
    environment = dict(os.environ, AMQP_URL=broker.url, DATABASE_URL=postgres.url)
    services = {
        name: children.start_python(name, command, environment)
        for name, command in {
            "worker": ["orders.worker"],
            "notifier": ["orders.notifier"],
            "shop": ["orders.shop", "--port", str(shop_port)],
        }.items()
    }

    web_orders = int(arguments.orders * WEB_SHARE)
    ledger = scratch / "ledger.jsonl"
    start = time.monotonic()
    place = children.start_python(
        "place",
        ["orders.place", "--count", str(arguments.orders - web_orders)]
        + ["--rate", str(arguments.rate * (1 - WEB_SHARE)), "--ledger", str(ledger)],
        environment,
    )
    customers = Customers(shop_port, web_orders, arguments.rate * WEB_SHARE)
    customers.start()

    def books():
        """Placed and confirmed orders by id, from both ways of ordering."""
        placed, confirmed = read_ledger(ledger)
        return placed | customers.placed, confirmed | customers.confirmed

    if broker.can_be_killed:
        kill_and_restart(arguments, broker, books, report)
    else:
        print("this broker is not ours, so it is not killed")

    wait_for(lambda: place.poll() is not None, "all orders to be placed", arguments.seconds)
    report.equal("all placed orders were confirmed in the end", place.returncode, 0)
    wait_for(customers.done, "the customers to be done", arguments.seconds)
    placed, confirmed = books()
    took = time.monotonic() - start
    print(f"{len(placed)} orders placed, {len(confirmed)} confirmed in {took:.1f} s")
    report.equal("every customer of the web shop got an answer", customers.failures, [])
    report.equal("orders placed", len(placed), arguments.orders)
    report.equal("orders confirmed", len(confirmed), arguments.orders)

    wait_for(
        lambda: postgres.count("orders") >= len(confirmed)
        and postgres.count("notifications") >= len(confirmed),
        "all confirmed orders to be stored and notified",
        arguments.seconds,
        report,
    )
    wait_for(broker.queues_are_empty, "the queues to be empty", arguments.seconds, report)
    page = urllib.request.urlopen(f"http://127.0.0.1:{shop_port}/", timeout=20).read().decode()
    report.equal("the shop's page lists the latest orders", page.count("<li>"), 20)
    for name, service in services.items():
        service.terminate()
        report.equal(f"the {name} ends well", service.wait(timeout=20), 0)
    check_books(report, postgres, placed, confirmed)


def kill_and_restart(arguments, broker, books, report):
    for number in range(1, arguments.kills + 1):
        share = arguments.orders * number / (arguments.kills + 1)
        wait_for(lambda: len(books()[1]) >= share, "orders to flow", arguments.seconds)
        before, _confirmed = books()
        down = time.monotonic()
        broker.kill()
        # Orders go on being placed while the broker is away.
        wait_for(lambda: len(books()[0]) >= len(before) + 20, "orders in between", 20)
        during, confirmed = books()
        broker.start()
        seconds = time.monotonic() - down
        unconfirmed = len(during) - len(confirmed)
        print(f"kill {number}: {seconds:.2f} s down, {unconfirmed} placed and not confirmed")
        report.passed(f"the broker was killed and came back, {number} of {arguments.kills}")


if __name__ == "__main__":
    sys.exit(main())

"""The web shop: `python -m orders.shop --port 8080`.

GET /         a form, and the latest orders
POST /orders  places an order, from the form or as JSON; answers when the broker has confirmed it
"""

import argparse
import concurrent.futures
import contextlib
import html
import http.server
import json
import signal
import threading
import urllib.parse
import uuid

from orders import settings
from orders.consumer import TryAgainLater
from orders.database import Database
from orders.order import MalformedOrder, Order
from orders.place import ITEMS
from orders.publisher import Publisher

# After this the customer is told to come back; the order is still published when the broker is.
CONFIRM_SECONDS_MAX = 30
BODY_BYTES_MAX = 64 * 1024

PAGE = """<!doctype html>
<title>Shop</title>
<h1>Shop</h1>
<form method="post" action="/orders">
  <!-- The id is part of the form: a second click sends the same order, not a second one. -->
  <input type="hidden" name="id" value="{id}">
  <label>User number <input name="user_id" type="number" value="1"></label>
  <label>Name <input name="user_name" value="User 1"></label>
  <label>Country <input name="country" value="de"></label>
  <label>Item <select name="item">{items}</select></label>
  <label>Quantity <input name="quantity" type="number" value="1"></label>
  <button>Order</button>
</form>
<h2>Latest orders</h2>
<ul>{latest}</ul>
"""
LATEST = """
SELECT orders.id, name, quantity, item FROM orders JOIN users ON users.id = user_id
ORDER BY stored_at DESC LIMIT 20
"""


class Handler(http.server.BaseHTTPRequestHandler):
    publisher = None

    def do_GET(self):  # noqa: N802 (http.server's name)
        if self.path != "/":
            return self.answer(404, {"error": "not found"})
        try:
            with (
                contextlib.closing(Database()) as database,
                database.transaction() as connection,
            ):
                rows = connection.execute(LATEST).fetchall()
        except TryAgainLater as error:
            return self.answer(503, {"error": str(error)})
        page = PAGE.format(
            id=uuid.uuid4(),
            items="".join(f"<option>{html.escape(item)}</option>" for item in ITEMS),
            latest="".join(
                f"<li>{html.escape(f'{name}: {quantity} {item} ({order_id})')}</li>"
                for order_id, name, quantity, item in rows
            ),
        )
        return self.send(200, "text/html; charset=utf-8", page.encode())

    def do_POST(self):  # noqa: N802 (http.server's name)
        if self.path != "/orders":
            return self.answer(404, {"error": "not found"})
        try:
            order = self.read_order()
        except MalformedOrder as error:
            return self.answer(400, {"error": str(error)})
        confirmed = self.publisher.publish(order.id, order.routing_key, order.to_json())
        try:
            confirmed.result(timeout=CONFIRM_SECONDS_MAX)
        except concurrent.futures.TimeoutError:
            return self.answer(503, {"id": order.id, "error": "not confirmed yet"})
        return self.answer(201, {"id": order.id})

    def read_order(self):
        try:
            length = int(self.headers.get("Content-Length", ""))
        except ValueError:
            raise MalformedOrder("no Content-Length") from None
        if length > BODY_BYTES_MAX:
            raise MalformedOrder("too long")
        body = self.rfile.read(length)
        try:
            if self.headers.get_content_type() == "application/json":
                fields = json.loads(body)
            else:
                fields = dict(urllib.parse.parse_qsl(body.decode()))
            # The price is the shop's to say.
            return Order.from_fields(fields | {"price_cents": ITEMS[fields["item"]]})
        except (ValueError, TypeError, KeyError) as error:
            raise MalformedOrder(repr(error)) from error

    def answer(self, status, value):
        self.send(status, "application/json", json.dumps(value).encode() + b"\n")

    def send(self, status, content_type, body):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, *_arguments):
        """Not a line for each order."""


def main():
    parser = argparse.ArgumentParser(description="A web shop.")
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    settings.log_to_stderr()
    Handler.publisher = Publisher("shop")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler)

    def stop(*_arguments):
        # `shutdown` waits for the loop below, so it must not be called from it.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server.serve_forever()
    server.server_close()
    Handler.publisher.close()


if __name__ == "__main__":
    main()

"""Celery's monitor Flower, unmodified: its page about the broker reads the list of a virtual host's queues."""

import base64
import http.client
import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pika

START_SECONDS_MAX = 60
WAITING = 3


def put(port, path, body):
    headers = {"Authorization": "Basic " + base64.b64encode(b"guest:guest").decode()}
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("PUT", "/api/" + path, json.dumps(body), headers)
    connection.getresponse().read()
    connection.close()


def page(port):
    until = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/broker", timeout=5) as answer:
                return answer.read().decode()
        except (urllib.error.URLError, ConnectionError) as error:
            if time.monotonic() > until:
                return f"no page: {error}"
            time.sleep(0.2)


def check(amqp, api):
    """How many things are wrong on the page: the row of Celery's queue with its messages and consumers."""
    put(api, "vhosts/flower", {})
    put(api, "permissions/flower/guest", {"configure": ".*", "write": ".*", "read": ".*"})
    connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", amqp, "flower"))
    channel = connection.channel()
    channel.confirm_delivery()
    channel.queue_declare("celery", durable=True)
    channel.queue_declare("of others", durable=True)
    for _ in range(WAITING):
        channel.basic_publish("", "celery", b"task")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "celery", "--broker", f"amqp://guest:guest@127.0.0.1:{amqp}/flower", "flower",
               "--address=127.0.0.1", f"--port={port}", f"--broker_api=http://guest:guest@127.0.0.1:{api}/api/"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        shown = page(port)
    finally:
        process.kill()
        process.wait()
        channel.queue_delete("celery")
        channel.queue_delete("of others")
        connection.close()
    cells = re.findall(r"<td[^>]*>(.*?)</td>", shown, re.S)
    cells = [re.sub(r"<[^>]+>", "", cell).strip() for cell in cells]
    expected = ["celery", str(WAITING), "0", str(WAITING), "0"]
    if cells[:5] == expected and cells[5:6] and cells[5].startswith("20"):
        return 0
    print(f"FAILED Flower shows {cells or shown[:300]}, not {expected} and since when")
    return 1

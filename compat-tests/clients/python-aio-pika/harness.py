"""Runs named coroutines one after another and prints `ok` or `not ok` for each."""

import asyncio
import os
import sys
import traceback
import uuid

import aio_pika

HOST = os.environ.get("LEVERET_HOST", "127.0.0.1")
PORT = int(os.environ.get("LEVERET_PORT", "5672"))
USER = os.environ.get("LEVERET_USER", "guest")
PASSWORD = os.environ.get("LEVERET_PASS", "guest")
VHOST = os.environ.get("LEVERET_VHOST", "/")

# Names are new in every run, so that a broker can be used for many runs.
RUN = "aio-pika-" + uuid.uuid4().hex[:8]

_checks = []


def check(name, deadline_seconds=60):
    """Registers a coroutine function as the check `name`."""

    def register(function):
        _checks.append((name, deadline_seconds, function))
        return function

    return register


def expect(got, wanted, what):
    if got != wanted:
        raise AssertionError(f"{what}: got {got!r}, wanted {wanted!r}")


def named(suffix):
    """A queue or exchange name of this run."""
    return f"{RUN}.{suffix}"


async def connect_robust(**options):
    """As most aio-pika applications connect: the connection heals by itself."""
    return await aio_pika.connect_robust(**_address(options))


async def connect_plain(**options):
    """A connection that ends when it is lost; only its channels use server-named queues."""
    return await aio_pika.connect(**_address(options))


def _address(options):
    arguments = {
        "host": HOST,
        "port": PORT,
        "login": USER,
        "password": PASSWORD,
        "virtualhost": VHOST,
        "client_properties": {"connection_name": RUN},
    }
    return arguments | options


async def wait_for(condition, what):
    """Polls; the check's own deadline ends it."""
    try:
        while not condition():
            await asyncio.sleep(0.02)
    except asyncio.CancelledError:
        raise AssertionError(f"waited for {what}") from None


def run_all():
    """Runs all registered checks; returns the exit code."""
    failed = 0
    for name, deadline_seconds, function in _checks:
        try:
            asyncio.run(asyncio.wait_for(function(), deadline_seconds))
            print(f"ok {name}", flush=True)
        except TimeoutError:
            failed += 1
            print(f"not ok {name}: not done within {deadline_seconds} s", flush=True)
        except Exception as error:
            failed += 1
            print(f"not ok {name}: {_reason(error)}", flush=True)
    return 1 if failed else 0


def _reason(error):
    """The error in one line, with the line of the check that was running."""
    here = os.path.dirname(os.path.abspath(__file__))
    place = ""
    for frame in traceback.extract_tb(sys.exc_info()[2]):
        if os.path.dirname(frame.filename) == here and not frame.filename.endswith("harness.py"):
            place = f" ({os.path.basename(frame.filename)}:{frame.lineno})"
    return repr(error).replace("\n", " ") + place

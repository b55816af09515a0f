"""Runs named checks one after another and prints `ok` or `not ok` for each."""

import os
import signal
import sys
import traceback
import uuid

HOST = os.environ.get("LEVERET_HOST", "127.0.0.1")
PORT = int(os.environ.get("LEVERET_PORT", "5672"))
USER = os.environ.get("LEVERET_USER", "guest")
PASSWORD = os.environ.get("LEVERET_PASS", "guest")
VHOST = os.environ.get("LEVERET_VHOST", "/")

# Names are new in every run, so that a broker can be used for many runs.
RUN = os.path.basename(os.path.dirname(os.path.abspath(__file__))) + "-" + uuid.uuid4().hex[:8]

_checks = []


class Overdue(BaseException):
    """A check ran into its deadline. No library catches it, for it is not an Exception."""


def check(name, deadline_seconds=60):
    """Registers a function as the check `name`."""

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


def run_all():
    """Runs all registered checks; returns the exit code."""
    failed = 0
    for name, deadline_seconds, function in _checks:
        try:
            _run_within(deadline_seconds, function)
            print(f"ok {name}", flush=True)
        except (Exception, Overdue) as error:
            failed += 1
            print(f"not ok {name}: {_reason(error)}", flush=True)
    return 1 if failed else 0


def _run_within(deadline_seconds, function):
    def overdue(_signal, _frame):
        raise Overdue(f"not done within {deadline_seconds} s")

    signal.signal(signal.SIGALRM, overdue)
    signal.alarm(deadline_seconds)
    try:
        function()
    finally:
        signal.alarm(0)


def _reason(error):
    """The error in one line, with the line of the check that was running."""
    here = os.path.dirname(os.path.abspath(__file__))
    place = ""
    for frame in traceback.extract_tb(sys.exc_info()[2]):
        if os.path.dirname(frame.filename) == here and not frame.filename.endswith("harness.py"):
            place = f" ({os.path.basename(frame.filename)}:{frame.lineno})"
    return repr(error).replace("\n", " ") + place

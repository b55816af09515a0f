"""A real Celery worker: `celery worker` with prefork, gossip, mingle, heartbeats and events."""

import os
import pathlib
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
WORK = HERE.parents[1] / ".work" / HERE.name

_running = []


class Worker:
    """One worker process with its pool, in a process group of its own."""

    def __init__(self, name, broker_url):
        self.log = WORK / f"{name}.log"
        self.name = f"{name}@localhost"
        command = [
            sys.executable, "-m", "celery", "-A", "tasks", "worker",
            "--hostname", self.name, "--concurrency", "2", "--events", "--loglevel", "INFO",
        ]  # fmt: skip
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=HERE,
                env=environment(broker_url),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _running.append(self)

    def wait_for_log(self, text, times=1, seconds=60):
        """Waits until the worker has logged `text` so many times."""
        deadline = time.monotonic() + seconds
        while self.log.read_text(errors="replace").count(text) < times:
            if self.process.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.process.returncode}")
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name} did not log {text!r} {times} times: {self.log}")
            time.sleep(0.05)

    def terminate(self):
        """A warm shutdown; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            # Whether the pool or the broker kept it can be told from its last lines only.
            last = self.log.read_text(errors="replace").splitlines()[-15:]
            raise AssertionError(f"{self.name} did not end in 30 s; its log: {' | '.join(last)}")

    def kill(self):
        """SIGKILL for the worker and its pool."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def environment(broker_url):
    return dict(os.environ, CELERY_BROKER_URL=broker_url, PYTHONDONTWRITEBYTECODE="1")


def stop_all():
    for worker in _running:
        worker.kill()

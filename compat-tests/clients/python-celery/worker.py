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
        """A warm shutdown, and a cold one for a pool that does not end, as an operator would do."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            # Seen once in a dozen runs: one child of the prefork pool outlives the other and is waited for. All that
            # the broker has to do, it must do for a cold shutdown too.
            print(f"note: {self.name} needed a cold shutdown", flush=True)
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(timeout=20)

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

"""The Celery application of the checks; the worker processes load it with `celery -A tasks`."""

import os
import pathlib
import signal
import time

from celery import Celery

app = Celery("tasks", broker=os.environ["CELERY_BROKER_URL"], backend="rpc://")
# Everything else is left as Celery has it. Results do not wait longer than a check does.
app.conf.broker_connection_retry_on_startup = True


@app.task
def add(x, y):
    return x + y


@app.task
def multiply(x, y):
    return x * y


@app.task
def fail(text):
    raise ValueError(text)


@app.task(bind=True, max_retries=5)
def third_time_lucky(self):
    """Fails twice; returns how often it was tried again."""
    if self.request.retries < 2:
        raise self.retry(countdown=0.1)
    return self.request.retries


@app.task
def clock():
    """The time at which a worker ran this, in seconds since 1970."""
    return time.time()


@app.task(bind=True)
def in_steps(self, steps):
    for step in range(steps):
        self.update_state(state="PROGRESS", meta={"step": step})
    return "done"


@app.task(bind=True)
def where(self):
    info = self.request.delivery_info
    return [info["exchange"], info["routing_key"], self.request.hostname]


@app.task(acks_late=True, reject_on_worker_lost=True)
def dies_once(marker):
    """Kills its own pool process the first time; returns how often it ran."""
    runs = _count_run(marker)
    if runs == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return runs


@app.task(acks_late=True)
def blocks_once(marker, release):
    """The first run waits for the file `release`, which may never come."""
    runs = _count_run(marker)
    while runs == 1 and not pathlib.Path(release).exists():
        time.sleep(0.05)
    return runs


def _count_run(marker):
    with open(marker, "a", encoding="ascii") as file:
        file.write("run\n")
    return len(pathlib.Path(marker).read_text(encoding="ascii").splitlines())

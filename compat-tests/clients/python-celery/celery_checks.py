"""Celery with real workers: results, retries, routing, control, events, crashes."""

import contextlib
import datetime
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from amqp.exceptions import NotFound, ResourceLocked
from celery import chain, group
from celery.exceptions import TaskRevokedError
from kombu import Queue

import harness
from harness import check, expect, named
from opening import connection
from proxy import Proxy
from worker import HERE, Worker, environment, stop_all


def broker_url(host=harness.HOST, port=harness.PORT):
    user, password, vhost = (
        urllib.parse.quote(part, safe="")
        for part in (harness.USER, harness.PASSWORD, harness.VHOST)
    )
    return f"amqp://{user}:{password}@{host}:{port}/{vhost}"


os.environ["CELERY_BROKER_URL"] = broker_url()

import tasks  # noqa: E402 (reads the address above)

app = tasks.app
WAIT_SECONDS = 40
workers = {}
proxy = Proxy(harness.HOST, harness.PORT)


def scratch(name):
    return str(pathlib.Path(tempfile.mkdtemp(prefix="leveret-celery-")) / name)


def wait_for(condition, what, seconds=WAIT_SECONDS):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.05)


@check("celery-worker-starts")
def worker_starts():
    app.control.purge()
    # Through a proxy, so that a later check can cut its connections.
    proxy.__enter__()
    workers["one"] = Worker("one", broker_url("127.0.0.1", proxy.port))
    workers["one"].wait_for_log("one@localhost ready.")
    wait_for(lambda: app.control.ping(timeout=1), "an answer to ping")
    expect(app.control.ping(timeout=2), [{"one@localhost": {"ok": "pong"}}], "ping")


@check("celery-results")
def results():
    sent = [(number, tasks.add.delay(number, number)) for number in range(300)]
    for number, result in sent:
        expect(result.get(timeout=WAIT_SECONDS), 2 * number, "result")
    failed = tasks.fail.delay("no such order")
    with contextlib.suppress(ValueError):
        failed.get(timeout=WAIT_SECONDS)
        raise AssertionError("the failure did not arrive")
    expect(failed.state, "FAILURE", "state")


@check("celery-chain-and-group")
def chain_and_group():
    # chords need another result backend; chains and groups are what rpc:// can do.
    chained = chain(tasks.add.s(2, 3), tasks.multiply.s(10), tasks.add.s(1))()
    expect(chained.get(timeout=WAIT_SECONDS), 51, "chain")
    grouped = group(tasks.multiply.s(number, 3) for number in range(20))()
    expect(grouped.get(timeout=WAIT_SECONDS), [3 * number for number in range(20)], "group")


@check("celery-states")
def states():
    result, seen = tasks.in_steps.delay(5), []
    value = result.get(timeout=WAIT_SECONDS, on_message=lambda meta: seen.append(meta["status"]))
    expect(value, "done", "result")
    expect(seen, ["PROGRESS"] * 5 + ["SUCCESS"], "states in order")


@check("celery-retry")
def retry():
    expect(tasks.third_time_lucky.delay().get(timeout=WAIT_SECONDS), 2, "retries")


@check("celery-countdown-and-eta")
def countdown_and_eta():
    start = time.time()
    eta = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)
    # More than the worker's window of 8, so that it has to widen its prefetch.
    later = [tasks.clock.apply_async(countdown=4) for _ in range(20)]
    exact = tasks.clock.apply_async(eta=eta)
    now = tasks.clock.delay()
    ran = now.get(timeout=WAIT_SECONDS)
    expect(exact.get(timeout=WAIT_SECONDS) >= eta.timestamp() - 0.01, True, "not before its eta")
    for result in later:
        at = result.get(timeout=WAIT_SECONDS)
        expect(at >= start + 3.99, True, "not before its countdown")
        expect(ran < at, True, "an immediate task overtakes those with a countdown")


@check("celery-inspect")
def inspect():
    command = [sys.executable, "-m", "celery", "-A", "tasks", "inspect", "ping", "--timeout", "5"]
    done = subprocess.run(
        command, cwd=HERE, env=environment(broker_url()), capture_output=True, text=True, timeout=50
    )
    expect(done.returncode, 0, f"exit code of celery inspect ping ({done.stderr})")
    expect("one@localhost: OK" in done.stdout and "pong" in done.stdout, True, done.stdout)

    inspector = app.control.inspect(["one@localhost"], timeout=5)
    expect("tasks.add" in inspector.registered()["one@localhost"], True, "registered tasks")
    queues = inspector.active_queues()["one@localhost"]
    expect([queue["name"] for queue in queues], ["celery"], "active queues")
    stats = inspector.stats()["one@localhost"]
    expect(len(stats["pool"]["processes"]), 2, "pool processes")
    expect(stats["broker"]["transport"], "amqp", "transport")


@check("celery-remote-control")
def remote_control():
    replies = app.control.rate_limit("tasks.multiply", "100/s", reply=True, timeout=5)
    expect(len(replies), 1, "replies to rate_limit")
    expect("ok" in replies[0]["one@localhost"], True, f"rate_limit: {replies}")

    queue = named("extra")
    replies = app.control.add_consumer(
        queue, exchange=queue, exchange_type="topic", routing_key="x.#", reply=True, timeout=5
    )
    expect("ok" in replies[0]["one@localhost"], True, f"add_consumer: {replies}")
    with connection() as opened:
        # add_consumer declared the queue bound to its exchange; the task goes there by its key.
        result = tasks.where.apply_async(exchange=queue, routing_key="x.y")
        wanted = [queue, "x.y", "one@localhost"]
        expect(result.get(timeout=WAIT_SECONDS), wanted, "where the task came from")
        replies = app.control.cancel_consumer(queue, reply=True, timeout=5)
        expect("ok" in replies[0]["one@localhost"], True, f"cancel_consumer: {replies}")
        channel = opened.channel()
        wait_for(
            lambda: channel.queue_declare(queue, passive=True).consumer_count == 0,
            "the consumer to go",
        )
        channel.queue_delete(queue)
        channel.exchange_delete(queue)


@check("celery-revoke")
def revoke():
    waiting = tasks.add.apply_async((1, 1), countdown=1)
    waiting.revoke()
    marker, release = scratch("marker"), scratch("release")
    running = tasks.blocks_once.delay(marker, release)
    wait_for(lambda: os.path.exists(marker), "the task to run")
    running.revoke(terminate=True, signal="SIGKILL")
    for what, result in [("waiting", waiting), ("running", running)]:
        try:
            result.get(timeout=WAIT_SECONDS)
        except TaskRevokedError:
            continue
        raise AssertionError(f"the {what} task was not revoked")


@check("celery-events")
def events():
    received, opened = [], threading.Event()
    stop = threading.Event()

    def capture():
        with app.connection_for_read() as events_connection:
            receiver = app.events.Receiver(events_connection, handlers={"*": received.append})
            opened_before = receiver.on_consume_ready

            def ready(*arguments, **options):
                opened_before(*arguments, **options)
                opened.set()

            receiver.on_consume_ready = ready
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    receiver.capture(limit=None, timeout=0.5, wakeup=True)

    thread = threading.Thread(target=capture, daemon=True)
    thread.start()
    expect(opened.wait(20), True, "the event receiver consumes")
    result = tasks.add.delay(20, 22)
    expect(result.get(timeout=WAIT_SECONDS), 42, "result")

    def types_of_task():
        return [event["type"] for event in list(received) if event.get("uuid") == result.id]

    wait_for(lambda: "task-succeeded" in types_of_task(), "the event task-succeeded")
    wait_for(
        lambda: any(event["type"] == "worker-heartbeat" for event in list(received)),
        "the event worker-heartbeat",
    )
    stop.set()
    thread.join(20)
    expect(types_of_task(), ["task-received", "task-started", "task-succeeded"], "task events")


@check("celery-acks-late-pool-process-killed")
def pool_process_killed():
    expect(tasks.dies_once.delay(scratch("marker")).get(timeout=WAIT_SECONDS), 2, "runs")


@check("celery-connection-lost", deadline_seconds=90)
def connection_lost():
    marker, release = scratch("marker"), scratch("release")
    result = tasks.blocks_once.delay(marker, release)
    wait_for(lambda: os.path.exists(marker), "the task to run")
    proxy.cut()
    # The broker takes back the unacknowledged task and gives it to the next connection.
    workers["one"].wait_for_log("Connected to amqp", times=2)
    expect(result.get(timeout=WAIT_SECONDS), 2, "runs")
    pathlib.Path(release).touch()
    expect(tasks.add.delay(1, 2).get(timeout=WAIT_SECONDS), 3, "a task after the loss")
    wait_for(lambda: app.control.ping(timeout=1), "an answer to ping after the loss")


@check("celery-second-worker-mingles", deadline_seconds=90)
def second_worker():
    workers["two"] = Worker("two", broker_url())
    workers["two"].wait_for_log("mingle: sync with 1 nodes")
    workers["two"].wait_for_log("mingle: sync complete")
    workers["two"].wait_for_log("two@localhost ready.")
    names = {"one@localhost", "two@localhost"}
    wait_for(
        lambda: {name for reply in app.control.ping(timeout=2) for name in reply} == names,
        "both workers to answer",
    )
    sent = [tasks.where.delay() for _ in range(60)]
    hosts = {result.get(timeout=WAIT_SECONDS)[2] for result in sent}
    expect(hosts, names, "workers that ran tasks")


@check("celery-worker-killed", deadline_seconds=90)
def worker_killed():
    """A task with acks_late outlives SIGKILL of the whole worker that ran it."""
    marker, release = scratch("marker"), scratch("release")
    app.control.cancel_consumer("celery", destination=["two@localhost"], reply=True, timeout=5)
    # The worker replies before it does it, and would be the one to run the task.
    inspect = app.control.inspect(destination=["two@localhost"], timeout=2)
    wait_for(lambda: inspect.active_queues() == {"two@localhost": []}, "the worker to cancel")
    result = tasks.blocks_once.delay(marker, release)
    wait_for(lambda: os.path.exists(marker), "the task to run")
    workers["one"].kill()
    app.control.add_consumer("celery", destination=["two@localhost"], reply=True, timeout=5)
    expect(result.get(timeout=WAIT_SECONDS), 2, "runs")


@check("celery-shutdown", deadline_seconds=90)
def shutdown():
    # The client has a result before the worker has counted and acknowledged it. What SIGTERM overtakes there stays in the queue, and
    # its pool process waits 30 s for the count (billiard's GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT), whatever the broker is.
    inspect = app.control.inspect(destination=["two@localhost"], timeout=2)
    wait_for(lambda: inspect.active() == {"two@localhost": []}, "the worker to be idle")
    with connection() as opened:
        control = Queue("two@localhost.celery.pidbox", durable=False)
        refusals = []
        for act in [lambda: None, lambda: expect(workers["two"].terminate(), 0, "exit code")]:
            act()
            try:
                control(opened.channel()).queue_declare(passive=True)
            except (NotFound, ResourceLocked) as error:
                refusals.append(error.reply_code)
        expect(refusals, [405, 404], "the exclusive control queue before and after the shutdown")
        tasks_queue = Queue("celery")(opened.channel())
        _name, messages, consumers = tasks_queue.queue_declare(passive=True)
        expect((messages, consumers), (0, 0), "messages and consumers of the task queue")

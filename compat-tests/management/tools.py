"""Unmodified tools of RabbitMQ's users: Debian's rabbitmqadmin, and pyrabbit2."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import pyrabbit2

# Each line is a command of rabbitmqadmin, and a text that its answer has.
COMMANDS = """
show overview => rabbitmq_version
list nodes => disc
declare vhost name=admin =>
declare permission vhost=admin user=guest configure=.* write=.* read=.* => permission declared
declare queue name=one durable=true arguments={"x-max-length":10} => queue declared
declare queue name=two queue_type=quorum => queue declared
declare exchange name=topic type=topic => exchange declared
declare binding source=topic destination=one routing_key=a.# arguments={"n":1} => binding declared
declare policy name=p pattern=^one$ definition={"max-length":5} apply-to=queues => policy declared
declare operator_policy name=o pattern=none definition={"max-length":5} => operator_policy declared
declare vhost_limit vhost=admin name=max-connections value=100 => limit declared
declare user name=u password=p tags=monitoring => user declared
publish exchange=topic routing_key=a.b payload=hello properties={"delivery_mode":2} => Message published
publish exchange=amq.default routing_key=one payload=again => Message published
get queue=one ackmode=ack_requeue_true count=2 => hello
list queues name messages => one
list queues vhost name node messages message_stats.publish_details.rate => one
list exchanges => topic
list bindings => one
list vhosts => admin
list users => guest
list permissions => guest
list policies => p
list operator_policies => o
list vhost_limits => max-connections
list parameters => operator_policy
list connections =>
list channels =>
list consumers =>
purge queue name=one => queue purged
delete binding source=topic destination_type=queue destination=one properties_key=PROPERTIES => binding deleted
delete queue name=one => queue deleted
delete queue name=two => queue deleted
delete exchange name=topic => exchange deleted
delete policy name=p => policy deleted
delete operator_policy name=o => operator_policy deleted
delete vhost_limit vhost=admin name=max-connections => limit deleted
delete user name=u => user deleted
export FILE => Exported definitions
import FILE => Uploaded definitions
delete vhost name=admin => vhost deleted
""".strip().splitlines()


def rabbitmqadmin(port):
    tool = shutil.which("rabbitmqadmin")
    if tool is None:
        print("FAILED rabbitmqadmin is not installed (package rabbitmq-server)")
        return 1
    directory = pathlib.Path(tempfile.mkdtemp())
    failed = 0
    environment = {**os.environ, "HOME": str(directory)}

    def run(words):
        command = [tool, "--host=127.0.0.1", f"--port={port}", *words]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)

    for line in COMMANDS:
        command, _, expected = line.partition(" =>")
        if "PROPERTIES" in command:
            listed = run(["-f", "tsv", "list", "bindings", "source", "properties_key"]).stdout
            key = next(row.split("\t")[1] for row in listed.splitlines() if row.startswith("topic\t"))
            command = command.replace("PROPERTIES", key)
        words = command.replace("FILE", str(directory / "definitions.json")).split(" ")
        done = run(words)
        if done.returncode != 0 or expected.strip() not in done.stdout:
            failed += 1
            print(f"FAILED rabbitmqadmin {command}: {done.returncode}\n{done.stdout}{done.stderr}")
    shutil.rmtree(directory)
    return failed


def pyrabbit(port):
    client = pyrabbit2.api.Client(f"127.0.0.1:{port}", "guest", "guest")
    steps = {
        "is_alive": lambda: client.is_alive(),
        "whoami": lambda: client.get_whoami()["name"] == "guest",
        "overview": lambda: "queue_totals" in client.get_overview(),
        "nodes": lambda: client.get_nodes()[0]["running"],
        "create_vhost": lambda: client.create_vhost("py"),
        "vhosts": lambda: "py" in client.get_vhost_names(),
        "create_user": lambda: client.create_user("py", "p", "management") or True,
        "permissions": lambda: client.set_vhost_permissions("py", "guest", ".*", ".*", ".*") or True,
        "get_permission": lambda: client.get_permission("py", "guest")["read"] == ".*",
        "create_exchange": lambda: client.create_exchange("py", "x", "direct"),
        "create_queue": lambda: client.create_queue("py", "q", durable=True),
        "create_binding": lambda: client.create_binding("py", "x", "q", "k"),
        "bindings": lambda: any(row["source"] == "x" for row in client.get_queue_bindings("py", "q")),
        "publish": lambda: client.publish("py", "x", "k", "hello"),
        "get_messages": lambda: client.get_messages("py", "q")[0]["payload"] == "hello",
        "depth": lambda: client.get_queue_depth("py", "q") == 0,
        "queues": lambda: client.get_queues("py")[0]["name"] == "q",
        "exchanges": lambda: client.get_exchange("py", "x")["type"] == "direct",
        "purge": lambda: client.purge_queue("py", "q") or True,
        "connections": lambda: client.get_connections() is not None,
        "channels": lambda: client.get_channels() is not None,
        "delete_binding": lambda: client.delete_binding("py", "x", "q", "k") or True,
        "delete_queue": lambda: client.delete_queue("py", "q") or True,
        "delete_exchange": lambda: client.delete_exchange("py", "x") or True,
        "delete_user": lambda: client.delete_user("py") or True,
        "delete_vhost": lambda: client.delete_vhost("py") or True,
    }
    failed = 0
    for name, step in steps.items():
        try:
            done = step()
        except Exception as error:  # noqa: BLE001 - whatever the client makes of an answer
            done = repr(error)
        # Some of its calls answer with the status.
        if done is not True and done not in (200, 201, 204):
            failed += 1
            print(f"FAILED pyrabbit2 {name}: {done!r}")
    return failed


def check(port):
    """Number of failures; prints them."""
    return rabbitmqadmin(port) + pyrabbit(port)

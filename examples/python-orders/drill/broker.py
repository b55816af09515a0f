"""The broker of the drill: one of our own that can be killed, or somebody else's."""

import os
import pathlib
import shlex
import socket
import subprocess

import pika

from drill.processes import HERE, free_ports, wait_for
from orders import topology

START_SECONDS_MAX = 60
ROOT = HERE.parent.parent


def leveret_command():
    """LEVERET_BIN, or the one that was built in this repository, or one that is built now."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    built = [target / profile / "leveret" for profile in ("release", "debug")]
    named = os.environ.get("LEVERET_BIN")
    candidates = [pathlib.Path(named)] if named else built
    binary = next((path for path in candidates if os.access(path, os.X_OK)), None)
    if binary is None and named:
        raise FileNotFoundError(f"LEVERET_BIN={named} is not an executable file")
    if binary is None:
        print("building leveret")
        subprocess.run(["cargo", "build", "--bin", "leveret"], cwd=ROOT, check=True)
        binary = built[-1]
    return (
        f"{shlex.quote(str(binary.resolve()))} serve --data-dir {{data}} "
        "--listen 127.0.0.1:{port} --http-listen 127.0.0.1:{http_port}"
    )


class Broker:
    url = None

    def queues_are_empty(self):
        """False also while the broker cannot say."""
        try:
            with pika.BlockingConnection(pika.URLParameters(self.url)) as connection:
                channel = connection.channel()
                return all(
                    channel.queue_declare(queue, passive=True).method.message_count == 0
                    for queue in (topology.STORE_QUEUE, topology.NOTIFY_QUEUE)
                )
        except pika.exceptions.AMQPError:
            return False


    def publish_nonsense(self):
        """A message that is no order goes where orders go."""
        with pika.BlockingConnection(pika.URLParameters(self.url)) as connection:
            channel = connection.channel()
            topology.declare(channel)
            channel.confirm_delivery()
            channel.basic_publish(topology.EXCHANGE, "order.placed.nowhere", b'{"id": 7}')


class ForeignBroker(Broker):
    can_be_killed = False

    def __init__(self, url):
        self.url = url

    def start(self):
        """It runs already. Messages of an earlier drill would be counted as ours."""
        with pika.BlockingConnection(pika.URLParameters(self.url)) as connection:
            channel = connection.channel()
            topology.declare(channel)
            for queue in (topology.STORE_QUEUE, topology.NOTIFY_QUEUE):
                channel.queue_purge(queue)


class OwnBroker(Broker):
    can_be_killed = True

    def __init__(self, command, data, children):
        data.mkdir(mode=0o777)
        data.chmod(0o777)  # a broker that drops root must be able to write here
        self._port, http_port = free_ports(2)
        self._command = [
            part.format(port=self._port, http_port=http_port, data=data)
            for part in shlex.split(command)
        ]
        self._children = children
        self._process = None
        self.url = f"amqp://guest:guest@127.0.0.1:{self._port}/%2f"

    def start(self):
        """The first time, and again on the same port and data after a `kill`."""
        self._process = self._children.start("broker", self._command)
        wait_for(self._accepts, "the broker to accept connections", START_SECONDS_MAX)

    def kill(self):
        """SIGKILL: no good-bye, nothing is flushed."""
        self._children.kill(self._process)

    def _accepts(self):
        if self._process.poll() is not None:
            raise ChildProcessError(f"the broker ended with {self._process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        except OSError:
            return False
        return True

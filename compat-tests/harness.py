"""What every runner beside this file needs: processes that are surely ended, a broker of one's own, its address."""

import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
WORK = HERE / ".work"

BROKER_START_SECONDS_MAX = 60


class Children:
    """The processes we started, each the leader of its own group, so that all can be ended."""

    def __init__(self):
        self.lock = threading.RLock()  # a signal may come while it is held
        self.running = set()
        self.closed = False

    def start(self, command, **options):
        with self.lock:
            if self.closed:
                raise InterruptedError("the run is ending")
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, start_new_session=True, **options
            )
            self.running.add(process)
            return process

    def end(self, process):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        with self.lock:
            self.running.discard(process)

    def end_all(self):
        with self.lock:
            self.closed = True
            left = list(self.running)
        for process in left:
            self.end(process)


CHILDREN = Children()


def run_logged(command, log, seconds_max, env):
    """Exit code and combined output; both also in `log`. A command past its time is ended."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as out:
        process = CHILDREN.start(command, cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT)
        try:
            code = process.wait(timeout=seconds_max)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            CHILDREN.end(process)
    text = log.read_text(errors="replace")
    if code is None:
        text += f"\n(ended: still running after {seconds_max} seconds)\n"
        code = 124
    return code, text


def free_ports(count):
    """Ports nobody listens on now, below those that outgoing connections get: before the broker
    listens, our own attempts to reach it must not meet themselves."""
    ports = []
    while len(ports) < count:
        port = random.randrange(15000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


class Broker:
    """A fresh broker of our own: free ports, a data directory that goes with it."""

    def __init__(self, binary):
        self.binary = binary
        self.data_dir = pathlib.Path(tempfile.mkdtemp(prefix="leveret-compat-"))
        self.log = WORK / "logs" / "broker.log"
        self.process = None

    def start(self):
        port, http_port = free_ports(2)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        command = [
            str(self.binary), "serve",
            "--data-dir", str(self.data_dir),
            "--listen", f"127.0.0.1:{port}",
            "--http-listen", f"127.0.0.1:{http_port}",
        ]
        # The clients' variables are no settings of the broker's.
        env = {name: value for name, value in os.environ.items() if not name.startswith("LEVERET_")}
        with open(self.log, "wb") as out:
            self.process = CHILDREN.start(command, env=env, stdout=out, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + BROKER_START_SECONDS_MAX
        while True:
            if self.process.poll() is not None:
                raise SystemExit(f"the broker ended at start:\n{self.log_tail()}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return f"amqp://guest:guest@127.0.0.1:{port}/%2f"
            except OSError:
                if time.monotonic() > deadline:
                    raise SystemExit(f"the broker does not accept on port {port}:\n{self.log_tail()}")
                time.sleep(0.05)

    def died(self):
        return self.process is not None and self.process.poll() is not None

    def log_tail(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])

    def stop(self):
        if self.process is not None:
            CHILDREN.end(self.process)
        shutil.rmtree(self.data_dir, ignore_errors=True)


def broker_binary():
    named = os.environ.get("LEVERET_BIN")
    if named:
        if not os.access(named, os.X_OK):
            raise SystemExit(f"LEVERET_BIN={named} is not an executable file")
        return pathlib.Path(named).resolve()
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    for profile in ("release", "debug"):
        if os.access(target / profile / "leveret", os.X_OK):
            return target / profile / "leveret"
    print("building leveret", flush=True)
    subprocess.run(["cargo", "build", "--bin", "leveret"], cwd=ROOT, check=True)
    return target / "debug" / "leveret"


def client_environment(url):
    """What the clients see; every part of the address is also there by itself."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "amqp" or not parts.hostname:
        raise SystemExit(f"LEVERET_URL: want amqp://user:pass@host:port/vhost, got {url}")
    path = parts.path[1:]
    env = dict(os.environ)
    env.update(
        LEVERET_URL=url,
        LEVERET_HOST=parts.hostname,
        LEVERET_PORT=str(parts.port or 5672),
        LEVERET_USER=urllib.parse.unquote(parts.username or "guest"),
        LEVERET_PASS=urllib.parse.unquote(parts.password or "guest"),
        LEVERET_VHOST=urllib.parse.unquote(path) if path else "/",
        DEBIAN_FRONTEND="noninteractive",
    )
    return env

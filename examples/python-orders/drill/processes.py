"""The processes of the drill: all end with it, whatever happens."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent.parent
LOG_LINES_SHOWN = 12
STOP_SECONDS_MAX = 10


def free_ports(count):
    """Ports nobody listens on now. All are held while we choose, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports


def wait_for(condition, what, seconds, report=None):
    """Polls until the condition holds. With a report, running out of time is a failed check."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            if report is None:
                raise TimeoutError(f"waited {seconds} s for {what}")
            return report.failed(what, f"not within {seconds} s")
        time.sleep(0.05)
    return report and report.passed(what)


class Children:
    """A context: on leaving it, every process we started is ended with its own children."""

    def __enter__(self):
        self._running = {}
        self._logs = pathlib.Path(tempfile.mkdtemp(prefix="python-orders-logs-"))
        return self

    def __exit__(self, *_error):
        for process, stop_signal in reversed(self._running.values()):
            process.send_signal(stop_signal)
            try:
                process.wait(timeout=STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                pass
            self.kill(process)
        for log in self._logs.iterdir():
            log.unlink()
        self._logs.rmdir()

    def start(self, name, command, stop_signal=signal.SIGTERM, **options):
        """In a process group of its own; what it prints goes to a log of its name."""
        with open(self._logs / name, "ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **options,
            )
        self._running[name] = (process, stop_signal)
        return process

    def start_python(self, name, module, environment):
        return self.start(name, [sys.executable, "-B", "-m", *module], cwd=HERE, env=environment)

    def kill(self, process):
        """SIGKILL, for the process and what it started itself."""
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()

    def show_logs(self):
        for name in self._running:
            lines = (self._logs / name).read_text(errors="replace").splitlines()
            print(f"--- {name}, its last lines")
            print("\n".join(lines[-LOG_LINES_SHOWN:]))

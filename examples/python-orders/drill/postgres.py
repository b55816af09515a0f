"""A PostgreSQL of our own: new, in a directory of its own, reached only through its socket there."""

import os
import pathlib
import shutil
import signal
import subprocess

import psycopg

from drill.processes import wait_for
from orders.database import TABLES

PORT = 5432  # part of the socket's name; no TCP port is opened
START_SECONDS_MAX = 60


def programs():
    """The directory of the newest PostgreSQL's programs."""
    versions = pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(versions, key=lambda path: int(path.parts[-3]), default=None)
    if newest is None:
        raise FileNotFoundError("no PostgreSQL: run ./install")
    return newest.parent


class Postgres:
    def __init__(self, directory, children):
        directory.mkdir(mode=0o711)
        # PostgreSQL refuses to run as root.
        account = {}
        if os.geteuid() == 0:
            account = {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(directory, "postgres", "postgres")
        data = directory / "data"
        subprocess.run(
            [programs() / "initdb", "--pgdata", data, "--username", "postgres"]
            + ["--auth", "trust", "--encoding", "UTF8", "--no-locale"],
            check=True,
            cwd="/",
            stdout=subprocess.DEVNULL,
            **account,
        )
        children.start(
            "postgres",
            [programs() / "postgres", "-D", data, "-p", str(PORT)]
            + ["-k", directory, "-c", "listen_addresses=", "-c", "unix_socket_permissions=0777"],
            stop_signal=signal.SIGINT,  # SIGTERM would wait for its clients
            cwd="/",
            **account,
        )
        self.url = f"postgresql://postgres@/postgres?host={directory}&port={PORT}"
        self._connection = None
        wait_for(self._accepts, "PostgreSQL to accept connections", START_SECONDS_MAX)
        self._connection.execute(TABLES)

    def _accepts(self):
        try:
            self._connection = psycopg.connect(self.url, autocommit=True)
        except psycopg.OperationalError:
            return False
        return True

    def count(self, table):
        return self.rows(f"SELECT count(*) FROM {table}")[0][0]

    def rows(self, query):
        return self._connection.execute(query).fetchall()

"""A TCP proxy in front of the broker whose connections can be cut, as a network does."""

import contextlib
import socket
import threading


class Proxy:
    """Listens on a free port and forwards to the broker, until `cut` or the end of the block."""

    def __init__(self, host, port):
        self._broker = (host, port)
        self._lock = threading.Lock()
        self._open = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error):
        self._listener.close()
        self.cut()

    def cut(self):
        """Closes every connection that is open now; new ones are accepted."""
        with self._lock:
            doomed, self._open = self._open, set()
        for side in doomed:
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(self._broker)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open |= {client, broker}
            for source, target in [(client, broker), (broker, client)]:
                threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source, target):
        with contextlib.suppress(OSError):
            while octets := source.recv(65536):
                target.sendall(octets)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open.discard(source)

"""A pooler by transactions, as small as one can be: enough to see what it does to a session.

Every client logs in on a server connection of its own; from then on any of these serves whichever
client sends a query, the last one given back first, and is its own until the transaction ends.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

Message = tuple[bytes, bytes]


class TransactionPooler:
    """Listens on a port of 127.0.0.1 in front of a server's Unix socket."""

    def __init__(self, server_socket: str) -> None:
        self._server_socket = server_socket
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._free: list[socket.socket] = []
        self._opened: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for each in (self._listener, *self._opened):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._opened.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            self._log_in(client)
            server: socket.socket | None = None
            while True:
                kind, body = receive(client)
                if kind == b"X":
                    return
                server = server or self._free.pop()
                send(server, kind, body)
                if relay_until_ready(server, client) == b"I":
                    self._free.append(server)
                    server = None

    def _log_in(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        self._opened.append(server)
        server.connect(self._server_socket)
        while True:
            (length,) = struct.unpack("!i", exactly(client, 4))
            body = exactly(client, length - 4)
            if struct.unpack("!i", body[:4])[0] != 80877103:
                break
            client.sendall(b"N")  # no TLS here
        server.sendall(struct.pack("!i", length) + body)
        relay_until_ready(server, client)
        self._free.append(server)


def relay_until_ready(server: socket.socket, client: socket.socket) -> bytes:
    """Pass the answer on; the state of the transaction after it."""
    while True:
        kind, body = receive(server)
        send(client, kind, body)
        if kind == b"Z":
            return body


def receive(end: socket.socket) -> Message:
    kind = exactly(end, 1)
    (length,) = struct.unpack("!i", exactly(end, 4))
    return kind, exactly(end, length - 4)


def send(end: socket.socket, kind: bytes, body: bytes) -> None:
    end.sendall(kind + struct.pack("!i", len(body) + 4) + body)


def exactly(end: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = end.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


@contextlib.contextmanager
def transaction_pooler(server_socket: str) -> Iterator[TransactionPooler]:
    pooler = TransactionPooler(server_socket)
    try:
        yield pooler
    finally:
        pooler.close()

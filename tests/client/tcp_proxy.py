"""A network that can be cut: a TCP proxy on loopback, between a till and a ledger.

    with TcpProxy(address) as proxy:
        proxy.cut()        # connections are reset, new ones are refused at once
        proxy.swallow()    # whatever is sent is taken, and never arrives
        proxy.deafen()     # what is sent arrives, the answers never come back
        proxy.mend()

It runs in threads of its own and imports the standard library only.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from types import TracebackType
from typing import Literal, Self

Weather = Literal["fair", "cut", "swallow", "deafen"]

_CHUNK_BYTES = 1 << 16
#: closes with a reset instead of a farewell
_RESET = struct.pack("ii", 1, 0)


class TcpProxy:
    """Passes bytes on between whoever connects to `address` and the target, in fair weather."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.weather: Weather = "fair"
        #: connections that were made through it
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Reset every connection, and each new one as soon as it is made."""
        self._turn("cut")

    def swallow(self) -> None:
        """Take what is sent either way, and pass nothing on."""
        self._turn("swallow")

    def deafen(self) -> None:
        """Pass on what the till sends, and lose the ledger's answers."""
        self._turn("deafen")

    def mend(self) -> None:
        """Pass everything on again. What was lost stays lost, so old connections are reset."""
        self._turn("fair")

    def _turn(self, weather: Weather) -> None:
        with self._lock:
            before, self.weather = self.weather, weather
            if weather == "cut" or (weather == "fair" and before != "fair"):
                for end in self._open:
                    _reset(end)
                self._open.clear()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:  # closed
                return
            if self.weather == "cut":
                _reset(near)
                continue
            try:
                far = socket.create_connection(self._target, timeout=5.0)
            except OSError:
                _reset(near)
                continue
            far.settimeout(None)
            with self._lock:
                self.connections += 1
                self._open |= {near, far}
            for source, sink, is_answer in ((near, far, False), (far, near, True)):
                arguments = (source, sink, is_answer)
                threading.Thread(target=self._pass_on, args=arguments, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK_BYTES):
                lost = self.weather == "swallow" or (self.weather == "deafen" and is_answer)
                if not lost:
                    sink.sendall(data)
        for end in (source, sink):
            _reset(end)
            with self._lock:
                self._open.discard(end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._turn("cut")
        # A thread in accept() is not woken by close().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _reset(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()

"""HTTP/1.1 by connections that have to be of use: one is closed when no request comes.

uvicorn waits for ever. Whoever connects and says nothing, says it a byte at a time, or has gone
without a word would keep an open file, of which there are only so many for everybody.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

#: for a request to be there, from the moment that one may come to the last byte of its body
PATIENCE_SECONDS = 60.0
#: for the other end to take something of what was sent, before the connection is given up
UNHEARD_SECONDS = 60.0


class PatientProtocol(H11Protocol):
    """Waits for a request for `PATIENCE_SECONDS`; answers take as long as they do."""

    _giving_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._mind_request()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._wait_no_more()

    def handle_events(self) -> None:
        super().handle_events()
        self._mind_request()

    def _mind_request(self) -> None:
        """Give up in time while some of a request is to come."""
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._wait_no_more()
        elif self._giving_up is None:
            self._giving_up = self.loop.call_later(PATIENCE_SECONDS, self.transport.abort)

    def _wait_no_more(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None

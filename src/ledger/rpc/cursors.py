"""Cursors of streams: places in the order of commits, which only servers of this ledger can read.

That order counts the transactions of all programs. Who could read where a cursor stands, or whether
it has moved, would see how much the others do.

They bear a mark of the last entry that was passed, too: a ledger that was set back does not have
it, however far it has come since.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import struct
from typing import Final, NamedTuple

from ledger.core.program import Program
from ledger.store.following import Event, Seen

_PLACE: Final = struct.Struct(">QQQ8s")
_NOTHING: Final = Seen(0, b"")
_NONCE_BYTES: Final = 8
_TAG_BYTES: Final = 8
_BYTES: Final = _NONCE_BYTES + _PLACE.size + _TAG_BYTES
#: characters of a cursor
_LENGTH: Final = len(base64.b64encode(bytes(_BYTES)))


class Position(NamedTuple):
    """Where a stream of events goes on: behind so many events of the transactions from an id on."""

    xid: int
    passed: int = 0
    #: the last entry that was passed
    seen: Seen | None = None

    def behind(self, event: Event) -> Position:
        """Where it goes on once the next event has been passed."""
        return Position(self.xid, self.passed + 1, event.seen or self.seen)


def sealed(position: Position, program: Program) -> str:
    """A cursor, which is another one each time."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    place = _PLACE.pack(position.xid, position.passed, *(position.seen or _NOTHING))
    hidden = _mask(place, nonce, program)
    return base64.urlsafe_b64encode(nonce + hidden + _tag(nonce + hidden, program)).decode()


def opened(cursor: str, program: Program) -> Position | None:
    """Where a cursor stands; None for what is no cursor of this program."""
    if len(cursor) != _LENGTH:
        return None
    try:
        data = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True)
    except ValueError:
        return None
    rest, tag = data[:-_TAG_BYTES], data[-_TAG_BYTES:]
    if not hmac.compare_digest(tag, _tag(rest, program)):
        return None
    nonce, hidden = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
    xid, passed, seen, mark = _PLACE.unpack(_mask(hidden, nonce, program))
    return Position(xid, passed, Seen(seen, mark) if seen else None)


def _mask(data: bytes, nonce: bytes, program: Program) -> bytes:
    """Hides a place, or shows it again."""
    pad = _digest("hidden", nonce, program)
    return bytes(a ^ b for a, b in zip(data, pad, strict=False))


def _tag(data: bytes, program: Program) -> bytes:
    return _digest("sealed", data, program)[:_TAG_BYTES]


def _digest(purpose: str, data: bytes, program: Program) -> bytes:
    text = f"cursor\n{purpose}\n{program.program_id}\n".encode()
    return hmac.digest(program.member_key, text + data, hashlib.sha256)

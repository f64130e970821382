"""How far the verification in the background is, as it notes it. Imports msgspec only."""

from __future__ import annotations

import msgspec

from ledger.store.journal import MemberKey

#: below every key, above every key
LOWEST: MemberKey = ("", "")
HIGHEST: MemberKey = ("\U0010ffff", "")


class Walk(msgspec.Struct, omit_defaults=True):
    """A walk over all members. Times are in seconds since 1970, and 0 before there was any."""

    #: the first member who is not verified yet
    next_member: MemberKey = LOWEST
    began: float = 0.0
    #: contradictions found on this walk
    findings: int = 0
    #: when the last whole walk ended, and what it found
    last_ended: float = 0.0
    last_findings: int = 0


def decode_walk(state: str) -> Walk:
    """What was noted; no walk at all, when that was by a version that noted other things."""
    try:
        return msgspec.json.decode(state, type=Walk)
    except msgspec.DecodeError:
        return Walk()

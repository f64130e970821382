"""Ids of holds and redemptions: they say which entry of the journal began them.

The middle part is a keyed hash of program and member, so that an id is unique in the program and
one that belongs to somebody else is known at a glance.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from functools import lru_cache
from typing import Final

from ledger.core.program import Program

_HOLD: Final = "h"
_REDEMPTION: Final = "r"
_SEQUENCE = re.compile(r"[1-9]\d{0,17}", re.ASCII)


def hold_id(program: Program, member_id: str, sequence: int) -> str:
    """The id of the hold that the entry with this sequence made: `h-…-12`."""
    return f"{_HOLD}-{_tag(program.member_key, program.program_id, member_id)}-{sequence}"


def redemption_id(program: Program, member_id: str, sequence: int) -> str:
    """The id of the redemption that the entry with this sequence made: `r-…-13`."""
    return f"{_REDEMPTION}-{_tag(program.member_key, program.program_id, member_id)}-{sequence}"


def sequence_of_hold(text: str, program: Program, member_id: str) -> int | None:
    """The sequence in a hold's id; None for what is no hold's id of this member."""
    return _sequence(_HOLD, text, program, member_id)


def sequence_of_redemption(text: str, program: Program, member_id: str) -> int | None:
    """The sequence in a redemption's id; None for what is no redemption's id of this member."""
    return _sequence(_REDEMPTION, text, program, member_id)


def _sequence(prefix: str, text: str, program: Program, member_id: str) -> int | None:
    start = f"{prefix}-{_tag(program.member_key, program.program_id, member_id)}-"
    number = text.removeprefix(start)
    if number == text or not _SEQUENCE.fullmatch(number):
        return None
    return int(number)


@lru_cache(maxsize=4096)
def _tag(key: bytes, program_id: str, member_id: str) -> str:
    digest = hmac.digest(key, f"ids\n{program_id}\n{member_id}".encode(), hashlib.sha256)
    return base64.b32encode(digest[:8]).decode().lower().rstrip("=")

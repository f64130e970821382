"""The hash chain of a member's journal: any edit, gap or reordering breaks it.

hash = SHA-256(previous hash ‖ canonical form). The canonical form of an entry is its compact JSON:
members in the order of model.Entry, those with their default left out, integers in decimal, strings
in UTF-8 with only the escapes that JSON demands. docs/journal.md specifies it for other languages.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from ledger.core.model import Entry, encode

#: stands before a member's first entry
GENESIS = bytes(32)


def canonical_form(entry: Entry) -> bytes:
    """The bytes that are hashed: the entry's compact JSON."""
    return encode(entry)


def entry_hash(previous: bytes, entry: Entry) -> bytes:
    """The 32-byte hash of an entry that follows the one with hash `previous`."""
    return sha256(previous + canonical_form(entry)).digest()


def chain(previous: bytes, entries: Iterable[Entry]) -> list[bytes]:
    """The hash of each entry, in order."""
    hashes = []
    for entry in entries:
        previous = entry_hash(previous, entry)
        hashes.append(previous)
    return hashes

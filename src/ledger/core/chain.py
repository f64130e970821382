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


def canonical_data(entry_form: bytes, data: str) -> bool:
    """Whether an entry's canonical form ends with this text of its data, which comes last in it."""
    return entry_form.endswith(b'"data":%b}' % data.encode())


def form_hash(previous: bytes, entry_form: bytes) -> bytes:
    """The 32-byte hash of a canonical form that follows an entry with hash `previous`."""
    return sha256(previous + entry_form).digest()


def entry_hash(previous: bytes, entry: Entry) -> bytes:
    """The 32-byte hash of an entry that follows the one with hash `previous`."""
    return form_hash(previous, canonical_form(entry))


def chain(previous: bytes, entries: Iterable[Entry]) -> list[bytes]:
    """The hash of each entry, in order."""
    hashes = []
    for entry in entries:
        previous = entry_hash(previous, entry)
        hashes.append(previous)
    return hashes

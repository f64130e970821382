"""A journal changed by somebody who knows how: balances and hashes are computed anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ledger.core.apply import JournalCorrupt, apply
from ledger.core.chain import GENESIS, chain
from ledger.core.model import Account, Entry, LotChange, encode
from ledger.core.verify import Sealed, StoredAccount
from tests.memory import stored_account

#: changes entries in place
Edit = Callable[[list[Entry]], None]

_decode = msgspec.json.Decoder(Entry).decode


def copied(entries: Sequence[Entry]) -> list[Entry]:
    """Entries that may be changed without the others."""
    return [_decode(encode(entry)) for entry in entries]


def forged(entries: Sequence[Entry]) -> tuple[list[Sealed], StoredAccount]:
    """A journal with its balances and hashes, and the account that it folds to, as far as it does.

    Changes the entries.
    """
    account = Account()
    for entry in entries:
        try:
            account = apply(account, entry)
        except JournalCorrupt:
            break
        entry.available_points = account.available
        entry.held_points = account.held
        entry.tier_id = account.tier_id
        data = entry.data
        data.pending_points, data.debt_points = account.pending, account.debt
        data.lifetime_points, data.next_expiry = account.lifetime, account.next_expiry
    hashes = chain(GENESIS, entries)
    sealed = [
        Sealed(entry, digest, encode(entry.data).decode())
        for entry, digest in zip(entries, hashes, strict=True)
    ]
    return sealed, stored_account(account, hashes[-1])


def change(sequence: int, /, **fields: Any) -> Edit:
    """Give fields of an entry, or of its data, other values."""

    def edit(entries: list[Entry]) -> None:
        entry = entries[sequence - 1]
        for name, value in fields.items():
            target: Any = entry if name in entry.__struct_fields__ else entry.data
            setattr(target, name, value)

    return edit


def tell(sequence: int, part: str, /, **fields: Any) -> Edit:
    """Give fields of a part of an entry's data (`hold`, `redemption` …) other values."""

    def edit(entries: list[Entry]) -> None:
        data = entries[sequence - 1].data
        setattr(data, part, msgspec.structs.replace(getattr(data, part), **fields))

    return edit


def lot(sequence: int, index: int, /, **fields: Any) -> Edit:
    """Give fields of one of an entry's lots other values."""

    def edit(entries: list[Entry]) -> None:
        lots = list(entries[sequence - 1].data.lots)
        lots[index] = msgspec.structs.replace(lots[index], **fields)
        entries[sequence - 1].data.lots = tuple(lots)

    return edit


def points(sequence: int, amount: int, /, **fields: Any) -> Edit:
    """Let an entry with one lot move another number of points."""

    def edit(entries: list[Entry]) -> None:
        entry = entries[sequence - 1]
        (only,) = entry.data.lots
        entry.points = amount
        entry.data.lots = (LotChange(amount, only.expire_time, only.activate_time, only.hold),)
        change(sequence, **fields)(entries)

    return edit


def without(*sequences: int) -> Edit:
    """Leave entries out, and count anew what is left, as if they had never been."""

    def edit(entries: list[Entry]) -> None:
        kept = [entry for entry in entries if entry.sequence not in sequences]
        places = {0: 0} | {entry.sequence: place for place, entry in enumerate(kept, start=1)}
        for entry in kept:
            if entry.consequences:
                first = entry.sequence
                entry.consequences = sum(each.cause_sequence == first for each in kept)
        for entry in kept:
            entry.sequence = places[entry.sequence]
            entry.subject_sequence = places.get(entry.subject_sequence, 0)
            entry.cause_sequence = places.get(entry.cause_sequence, 0)
            data = entry.data
            for part in ("hold", "redemption", "returned"):
                told = getattr(data, part)
                if told is not None:
                    place = places.get(told.sequence, 0)
                    setattr(data, part, msgspec.structs.replace(told, sequence=place))
            data.lots = tuple(
                msgspec.structs.replace(each, hold=places.get(each.hold, 0)) for each in data.lots
            )
        entries[:] = kept

    return edit


def together(*edits: Edit) -> Edit:
    """Make several changes."""

    def edit(entries: list[Entry]) -> None:
        for each in edits:
            each(entries)

    return edit

"""A ledger in dictionaries for what is done with points: holds, redemptions, returns and the rest.

`Till` asks for one member unless told otherwise, and raises what is refused.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ledger.core.commands import (
    AdjustPoints,
    CaptureHold,
    ExtendHold,
    HoldPoints,
    RecordReturn,
    RedeemPoints,
    ReleaseHold,
    ReverseRedemption,
    SetMemberStatus,
    TransferPoints,
)
from ledger.core.ids import hold_id, redemption_id
from ledger.core.instants import format_instant
from ledger.core.model import Entry, PurchaseLine, Receipt
from tests.memory import PROGRAM, MemoryLedger, cents

Row = tuple[str, int]


class Till(MemoryLedger):
    """One program and its members, and all that can be asked for points."""

    def request(self, kind: type[Any], member_id: str = "ann", **fields: Any) -> Any:
        """A command of this kind, under a request id of its own."""
        fields.setdefault("request_id", f"r-{len(self.answered) + 1}")
        return kind(program_id=PROGRAM, member_id=member_id, **fields)

    def hold(self, points: int = 0, reward_id: str = "", **fields: Any) -> str:
        """The id of a new hold."""
        entry = self._done(
            self.request(HoldPoints, points=points, reward_id=reward_id, **fields)
        ).entries[0]
        return hold_id(self.program, entry.member_id, entry.sequence)

    def capture(self, hold: str, points: int | None = None, **fields: Any) -> Receipt:
        return self._done(self.request(CaptureHold, hold_id=hold, points=points, **fields))

    def release(self, hold: str, **fields: Any) -> Receipt:
        return self._done(self.request(ReleaseHold, hold_id=hold, **fields))

    def extend(self, hold: str, ttl: int | None = None, **fields: Any) -> Receipt:
        return self._done(self.request(ExtendHold, hold_id=hold, ttl=ttl, **fields))

    def redeem(self, points: int = 0, reward_id: str = "", **fields: Any) -> Receipt:
        return self._done(self.request(RedeemPoints, points=points, reward_id=reward_id, **fields))

    def reverse(self, redemption: str, points: int | None = None, **fields: Any) -> Receipt:
        return self._done(
            self.request(ReverseRedemption, redemption_id=redemption, points=points, **fields)
        )

    def take_back(
        self,
        purchase_id: str,
        amount: str | None = None,
        *,
        lines: dict[str, str] | tuple[PurchaseLine, ...] = (),
        **fields: Any,
    ) -> Receipt:
        """The receipt of a return: of an amount, of lines by "category/sku", or of all."""
        if isinstance(lines, dict):
            lines = tuple(lines_of(lines))
        return self._done(
            self.request(
                RecordReturn,
                purchase_id=purchase_id,
                amount=None if amount is None else cents(amount),
                lines=lines,
                full=amount is None and not lines,
                **fields,
            )
        )

    def adjust(self, points: int, reason_code: str = "goodwill", **fields: Any) -> Receipt:
        return self._done(
            self.request(AdjustPoints, points=points, reason_code=reason_code, **fields)
        )

    def transfer(self, to_member_id: str, points: int, **fields: Any) -> Receipt:
        return self._done(
            self.request(TransferPoints, to_member_id=to_member_id, points=points, **fields)
        )

    def status(self, status: str, member_id: str = "ann") -> Receipt:
        return self._done(
            self.request(SetMemberStatus, member_id, status=status, reason="asked for it")
        )

    def warnings(self, member_id: str = "ann") -> list[tuple[str, int, int, bool]]:
        """What a member was warned of: the date, how many days ahead, and how much; in order."""
        return [
            (format_instant(told.expire_time), told.days, told.points, told.inactivity)
            for (whom, *_), told in self.told.items()
            if whom == member_id
        ]

    def state(self, member_id: str = "ann") -> tuple[int, int, int, int]:
        """Available, pending, held and owed points."""
        account = self.accounts[member_id]
        return account.available, account.pending, account.held, account.debt


def lines_of(parts: dict[str, str]) -> list[PurchaseLine]:
    """Lines by "category/sku", of which no number is said."""
    lines = []
    for name, amount in parts.items():
        category, _, sku = name.partition("/")
        lines.append(PurchaseLine(sku, category, 0, cents(amount)))
    return lines


def redemption_of(till: Till, receipt: Receipt) -> str:
    """The id of the redemption that a receipt tells of."""
    entry = receipt.entries[0]
    assert entry.data.redemption is not None
    return redemption_id(till.program, entry.member_id, entry.data.redemption.sequence)


def rows(entries: list[Entry] | tuple[Entry, ...]) -> list[Row]:
    """Kind and points of entries."""
    return [(entry.kind, entry.points) for entry in entries]


def lots(till: Till, member_id: str = "ann") -> list[tuple[str, int]]:
    """Spendable lots: when they end by the clock in Berlin, and their points."""
    zone = till.program.zone
    return [
        (
            "never"
            if lot.expire_time is None
            else datetime.fromtimestamp(lot.expire_time // 1_000_000, zone).isoformat()[:16],
            lot.points,
        )
        for lot in till.accounts[member_id].lots
    ]


def sound(till: Till) -> None:
    """Every promise that a journal keeps whatever happened."""
    for member_id, account in till.accounts.items():
        assert till.verify(member_id) == []
        assert account.available == sum(lot.points for lot in account.lots) >= 0
        assert account.held == sum(lot.points for hold in account.holds for lot in hold.lots)
        assert account.debt >= 0
        assert not (account.debt and account.available)
    assert sum(till.trial_balance().values()) == 0
    assert till.trial_balance().get("transfers", 0) == 0
    assert min(till.units.values(), default=0) >= 0

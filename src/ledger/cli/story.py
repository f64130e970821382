"""A year in a member's life, lived on a sandbox through the ordinary API: what `ledger demo` shows.

Everything is fixed but the program's id, so that the year is the same each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.resources import as_file, files
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.cli.connection import Connection
from ledger.cli.document import load
from ledger.cli.messages import argument_money, timestamp
from ledger.core.instants import to_instant
from ledger.v1 import (
    balance_pb2,
    member_pb2,
    points_pb2,
    program_pb2,
    redemption_pb2,
    rules_pb2,
    types_pb2,
)

MEMBER: Final = "ada"
ZONE: Final = ZoneInfo("Europe/Berlin")
_CURRENCY: Final = "EUR"
_BIRTHDAY: Final = member_pb2.Birthday(month=3, day=20)


class Moment(NamedTuple):
    """One moment of the year, as it left the member."""

    when: datetime
    title: str
    #: what was posted since the moment before, oldest first
    entries: list[types_pb2.Entry]
    balance: types_pb2.Balance
    #: name of the tier held
    tier: str
    #: what a till prints; empty where only time has passed
    messages: list[str]
    #: points that will expire, where the moment is about that
    schedule: balance_pb2.GetExpiryScheduleResponse | None = None


class Year:
    """The year, step by step. `tell` lives it; each step is answered before the next begins."""

    def __init__(self, connection: Connection, program_id: str) -> None:
        self._connection = connection
        self.program_id = program_id
        self._number = 0
        self._seen = 0
        self._hold_id = ""

    def tell(self) -> Iterator[Moment]:
        """Every moment, in order."""
        self._create()
        for clock, title, act in _YEAR:
            yield self._live(clock, title, act)

    def _create(self) -> None:
        with as_file(files("ledger") / "demo" / "year.yaml") as path:
            document = load(path)
        program = json_format.ParseDict(document.program, program_pb2.Program())
        program.program_id = self.program_id
        program.clock_time.CopyFrom(_at(_YEAR[0][0]))
        request = program_pb2.CreateProgramRequest(
            program=program, rules=json_format.ParseDict(document.rules, rules_pb2.Rules())
        )
        self._connection.call(self._connection.programs.CreateProgram, request, program_pb2.Program)

    def _live(self, clock: str, title: str, act: Callable[[Year], Any] | None) -> Moment:
        self._connection.call(
            self._connection.programs.AdvanceClock,
            program_pb2.AdvanceClockRequest(program_id=self.program_id, clock_time=_at(clock)),
            program_pb2.AdvanceClockResponse,
        )
        self._number += 1
        answer = act(self) if act is not None else None
        receipt = answer if isinstance(answer, types_pb2.Receipt) else None
        schedule = answer if isinstance(answer, balance_pb2.GetExpiryScheduleResponse) else None
        status = self._connection.call(
            self._connection.balances.GetTierStatus,
            balance_pb2.GetTierStatusRequest(program_id=self.program_id, member_id=MEMBER),
            types_pb2.TierStatus,
        )
        balance = self._connection.call(
            self._connection.balances.GetBalance,
            balance_pb2.GetBalanceRequest(program_id=self.program_id, member_id=MEMBER),
            types_pb2.Balance,
        )
        return Moment(
            when=datetime.fromisoformat(clock).replace(tzinfo=ZONE),
            title=title,
            entries=self._news(),
            balance=balance,
            tier=status.name,
            messages=list(receipt.messages) if receipt is not None else [],
            schedule=schedule,
        )

    def _news(self) -> list[types_pb2.Entry]:
        """The entries since those seen before, oldest first."""
        page = self._connection.call(
            self._connection.balances.ListEntries,
            balance_pb2.ListEntriesRequest(
                program_id=self.program_id, member_id=MEMBER, page_size=100
            ),
            balance_pb2.ListEntriesResponse,
        )
        news = [entry for entry in reversed(page.entries) if entry.sequence > self._seen]
        self._seen = news[-1].sequence if news else self._seen
        return news

    # -- what happens: each answers the receipt ---------------------------------------------------

    def join(self) -> types_pb2.Receipt:
        """Ada becomes a member."""
        request = member_pb2.EnrollMemberRequest(birthday=_BIRTHDAY, **self._common())
        return self._write(self._connection.members.EnrollMember, request)

    def buy(self, amount: str) -> types_pb2.Receipt:
        """She pays at the till; the receipts are numbered by the step."""
        request = points_pb2.RecordPurchaseRequest(
            purchase_id=f"receipt-{self._number}",
            amount=argument_money("amount", amount, _CURRENCY),
            **self._common(),
        )
        return self._write(self._connection.points.RecordPurchase, request)

    def bring_back(self, purchase_id: str) -> types_pb2.Receipt:
        """She brings all of a purchase back."""
        request = points_pb2.RecordReturnRequest(
            purchase_id=purchase_id, full=True, **self._common()
        )
        return self._write(self._connection.points.RecordReturn, request)

    def hold(self, points: int) -> types_pb2.Receipt:
        """A web shop reserves points."""
        request = redemption_pb2.HoldPointsRequest(points=points, **self._common())
        receipt = self._write(self._connection.redemptions.HoldPoints, request)
        self._hold_id = receipt.hold.hold_id
        return receipt

    def capture(self, points: int) -> types_pb2.Receipt:
        """The web shop takes a part of what it reserved."""
        request = redemption_pb2.CaptureHoldRequest(
            hold_id=self._hold_id, points=points, **self._common()
        )
        return self._write(self._connection.redemptions.CaptureHold, request)

    def get_reward(self, reward_id: str) -> types_pb2.Receipt:
        """She gets a reward at the till."""
        request = redemption_pb2.RedeemPointsRequest(reward_id=reward_id, **self._common())
        return self._write(self._connection.redemptions.RedeemPoints, request)

    def look_ahead(self) -> balance_pb2.GetExpiryScheduleResponse:
        """What is going to expire: the day on which she is warned."""
        request = balance_pb2.GetExpiryScheduleRequest(program_id=self.program_id, member_id=MEMBER)
        return self._connection.call(
            self._connection.balances.GetExpirySchedule,
            request,
            balance_pb2.GetExpiryScheduleResponse,
        )

    def _common(self) -> dict[str, Any]:
        return {
            "request_id": f"step-{self._number}",
            "program_id": self.program_id,
            "member_id": MEMBER,
        }

    def _write(self, method: Any, request: Any) -> types_pb2.Receipt:
        return self._connection.call(method, request, types_pb2.Receipt)


#: local time, what happens, and how; without the last, only time passes
_YEAR: Final[tuple[tuple[str, str, Callable[[Year], Any] | None], ...]] = (
    ("2027-01-11 09:00", "Ada joins", lambda year: year.join()),
    ("2027-01-12 08:10", "Her first visit", lambda year: year.buy("12.99")),
    ("2027-01-19 08:12", "Her second visit", lambda year: year.buy("20.00")),
    ("2027-01-26 08:09", "Her third visit", lambda year: year.buy("8.50")),
    ("2027-02-02 08:15", "Her fourth visit", lambda year: year.buy("30.00")),
    ("2027-02-09 08:11", "The fifth visit makes her Silver", lambda year: year.buy("15.00")),
    ("2027-02-10 17:30", "A coffee machine, as Silver", lambda year: year.buy("40.00")),
    ("2027-02-11 20:00", "The web shop holds points for her", lambda year: year.hold(100)),
    ("2027-02-11 20:20", "She closes the browser: the hold lapses", None),
    ("2027-02-12 08:10", "A free coffee", lambda year: year.get_reward("free-coffee")),
    ("2027-02-13 19:00", "The web shop holds points again", lambda year: year.hold(180)),
    ("2027-02-13 19:05", "She takes a smaller basket", lambda year: year.capture(160)),
    (
        "2027-02-15 10:00",
        "The coffee machine goes back, its points are spent",
        lambda year: year.bring_back("receipt-7"),
    ),
    ("2027-02-16 08:14", "The next purchase pays what she owes", lambda year: year.buy("20.00")),
    ("2027-03-20 00:00", "Her birthday", None),
    ("2027-04-20 00:00", "A warning, 30 days ahead", lambda year: year.look_ahead()),
    ("2027-05-20 00:00", "The birthday points expire", None),
    ("2027-05-27 00:00", "She has been away for long: come back!", None),
    ("2027-06-01 08:20", "She comes back", lambda year: year.buy("10.00")),
    (
        "2027-06-01 08:21",
        "And has a coffee on the house",
        lambda year: year.get_reward("free-coffee"),
    ),
    ("2027-08-31 12:00", "The last day on which Silver is promised", None),
    ("2027-10-01 00:00", "After the days of grace, Silver ends", None),
    ("2027-12-31 12:00", "The end of the year", None),
)


MOMENTS: Final = len(_YEAR)


def _at(clock: str) -> Timestamp:
    local = datetime.fromisoformat(clock).replace(tzinfo=ZONE)
    return timestamp(to_instant(local.astimezone(UTC)))

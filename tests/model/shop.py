"""A shop of one program for examples worked out by hand, and short looks at what became of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from tests.model.model import Model, Outcome

UTC = ZoneInfo("UTC")
PROGRAM = "bean-street"
NOW = datetime(2026, 7, 6, 12, tzinfo=UTC)

RULES: dict[str, Any] = {
    "earning": {
        "rate": {"points": 1, "per": "1.00"},
        "rounding": "FLOOR",
        "exclude_categories": ["gift-card", "tobacco"],
        "caps": {"per_purchase": 5000, "per_day": 10000},
        "pending_days": 0,
        "backdate_days": 30,
    },
    "expiry": {"after_months": 12},
}


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def with_earning(**changes: Any) -> dict[str, Any]:
    return {**RULES, "earning": {**RULES["earning"], **changes}}


class Shop:
    """A sandbox program with member m-1; requests get ids of their own unless given."""

    def __init__(self, rules: dict[str, Any] = RULES, now: datetime = NOW) -> None:
        self.model = Model(now)
        self._numbers = count(1)
        program = {
            "program_id": PROGRAM,
            "currency": "EUR",
            "time_zone": "Europe/Berlin",
            "sandbox": True,
            "clock_time": now,
        }
        assert self.model.create_program(program, rules)[0] == "ok"
        assert self.enroll("m-1")[0] == "ok"

    def enroll(self, member_id: str, **fields: Any) -> Outcome:
        request = {"request_id": "enroll", "program_id": PROGRAM, "member_id": member_id}
        return self.model.enroll({**request, **fields})

    def buy(self, amount: str, **fields: Any) -> Outcome:
        number = next(self._numbers)
        request = {
            "request_id": f"r-{number}",
            "program_id": PROGRAM,
            "member_id": "m-1",
            "purchase_id": f"p-{number}",
            "amount": amount,
        }
        return self.model.record_purchase({**request, **fields})

    def write(self, command: str, **fields: Any) -> Outcome:
        """Any write of m-1, or of another member."""
        request = {
            "request_id": f"r-{next(self._numbers)}",
            "program_id": PROGRAM,
            "member_id": "m-1",
        }
        return self.model.write(command, {**request, **fields})

    def balance(self, as_of: datetime | None = None, member_id: str = "m-1") -> dict[str, Any]:
        state, balance = self.model.balance(PROGRAM, member_id, as_of)
        assert state == "ok"
        return dict(balance)

    def advance(self, clock_time: datetime) -> None:
        assert self.model.advance_clock(PROGRAM, clock_time)[0] == "ok"

    def moved_by_time(self, as_of: datetime | None = None) -> dict[tuple[str, datetime], int]:
        """Points that time moved, by kind and when it was due."""
        return {
            (entry["kind"], entry["effective_time"]): entry["points"]
            for entry in self.model.journal(PROGRAM, "m-1", as_of)
            if entry["by_time"]
        }


def breakdown(outcome: Outcome) -> list[tuple[str, int]]:
    assert outcome[0] == "ok", outcome
    [bought] = [entry for entry in outcome[1]["entries"] if entry["kind"] == "PURCHASE"]
    lines: list[tuple[str, int]] = bought["breakdown"]
    return lines


LEVELS: list[dict[str, Any]] = [
    {"id": "member"},
    {"id": "silver", "visits": 2, "multiplier": "1.25"},
    {"id": "gold", "visits": 3, "spend": "500.00", "match": "ANY", "multiplier": "1.5"},
]


def with_tiers(**changes: Any) -> dict[str, Any]:
    tiers = {"period": {"rolling_days": 30}, "levels": LEVELS, "keep_months": 1, **changes}
    return {**RULES, "expiry": {}, "visits": {"minimum": "3.00"}, "tiers": tiers}


def days(number: float) -> timedelta:
    return timedelta(days=number)


def status(shop: Shop) -> dict[str, Any]:
    return shop.model.tier_status(PROGRAM, "m-1")


def with_bonus(**bonus: Any) -> dict[str, Any]:
    return {**RULES, "bonuses": [{"id": "b", "points": 40, **bonus}]}


def given_by_time(shop: Shop, member_id: str = "m-1") -> list[str]:
    return [
        f"{entry['effective_time']:%Y-%m-%dT%H:%M}"
        for entry in shop.model.journal(PROGRAM, member_id)
        if entry["kind"] == "BONUS" and entry["by_time"]
    ]


def lots(shop: Shop, member_id: str = "m-1") -> dict[str, int]:
    """Spendable points by the UTC date at which they expire."""
    return {
        f"{expires:%Y-%m-%d}" if expires else "never": points
        for (account, _, expires), points in shop.model.lots(PROGRAM, member_id).items()
        if account == "member:available"
    }


def state(shop: Shop, member_id: str = "m-1") -> tuple[int, int, int, int]:
    """Available, held, pending and owed points."""
    balance = shop.balance(member_id=member_id)
    return balance["available"], balance["held"], balance["pending"], balance["debt"]


def rows(outcome: Outcome) -> list[tuple[str, int]]:
    """Kind and points of what a request posted."""
    assert outcome[0] == "ok", outcome
    return [(entry["kind"], entry["points"]) for entry in outcome[1]["entries"]]


def by_time(shop: Shop) -> list[tuple[str, int, str]]:
    """What time posted: kind, points, and when, in UTC."""
    return [
        (entry["kind"], entry["points"], f"{entry['effective_time']:%Y-%m-%dT%H:%M}")
        for entry in shop.model.journal(PROGRAM, "m-1")
        if entry["by_time"]
    ]

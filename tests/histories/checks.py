"""What must hold of any journal, seen from outside: entries as dicts, in the words of the model."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from tests.model.points import AVAILABLE, DEBT, HELD, ISSUANCE, PENDING

Shown = dict[str, Any]


def adds_up(journal: list[Shown], balance: Shown, now: datetime) -> dict[Any, int]:
    """Asserts that a journal adds up to the balance that is told. Answers the points by lot."""
    accounts: Counter[str] = Counter()
    lots: Counter[Any] = Counter()
    for entry, following in zip(journal, [*journal[1:], {"kind": ""}], strict=True):
        if entry["points"]:
            accounts[entry["debit"]] -= abs(entry["points"])
            accounts[entry["credit"]] += abs(entry["points"])
        lots.update(entry["lots"])
        for account in (AVAILABLE, HELD, PENDING):
            there = [points for lot, points in lots.items() if lot[0] == account]
            assert all(points >= 0 for points in there), entry
            assert sum(there) == accounts[account], entry
        assert accounts[DEBT] <= 0, entry
        if following["kind"] != "DEBT_PAYMENT":
            assert not (accounts[DEBT] and accounts[AVAILABLE]), entry
    assert accounts[AVAILABLE] == balance["available"]
    assert accounts[HELD] == balance["held"]
    assert accounts[PENDING] == balance["pending"]
    assert -accounts[DEBT] == balance["debt"]
    assert -accounts[ISSUANCE] == balance["lifetime"]
    left = {lot: points for lot, points in lots.items() if points}
    for account, _, expires in left:
        assert account != AVAILABLE or expires is None or expires > now
    _holds_end_once(journal, balance)
    _nothing_is_given_back_twice(journal)
    return left


def _holds_end_once(journal: list[Shown], balance: Shown) -> None:
    last = {entry["hold"]["hold_id"]: entry["hold"] for entry in journal if "hold" in entry}
    still = sum(hold["points"] for hold in last.values() if hold["state"] == "OPEN")
    assert still == balance["held"]
    for hold_id, hold in last.items():
        about = [e for e in journal if e.get("hold", {}).get("hold_id") == hold_id]
        captures = [-e["points"] for e in about if e["kind"] == "CAPTURE"]
        releases = [e["points"] for e in about if e["kind"] == "RELEASE"]
        if hold["state"] == "OPEN":
            assert not captures
            assert not releases
        else:
            assert len(captures) <= 1
            assert len(releases) <= 1
            assert sum(captures) == hold["captured"]
            assert sum(captures) + sum(releases) == hold["points"]


def _nothing_is_given_back_twice(journal: list[Shown]) -> None:
    earned = {e["purchase_id"]: e["points"] for e in journal if e["kind"] == "PURCHASE"}
    taken: Counter[str] = Counter()
    redeemed: Counter[str] = Counter()
    returning = ""
    for entry in journal:
        if entry["kind"] == "RETURN":
            returning = entry.get("purchase_id", returning)
            taken[returning] += entry.get("forgiven", 0) - entry["points"]
        if entry["kind"] in ("REDEMPTION", "CAPTURE", "REDEMPTION_REVERSAL"):
            redeemed[entry["redemption"]["redemption_id"]] -= entry["points"]
            spent = entry["redemption"]
            left = spent["points"] - spent["reversed"]
            assert 0 <= left == redeemed[spent["redemption_id"]], entry
    for purchase_id, points in taken.items():
        assert 0 <= points <= earned[purchase_id]
        assert points == max(
            e["returned"]["points"]
            for e in journal
            if e.get("returned") and e["purchase_id"] == purchase_id
        )


def merged(journal: list[Shown]) -> list[Shown]:
    """A journal but for when time's entries were written, and in how many parts points expired."""
    entries: list[Shown] = []
    for entry in journal:
        if not entry["by_time"]:
            entries.append(entry)
            continue
        entry = {name: value for name, value in entry.items() if name != "create_time"}
        alike = ("kind", "effective_time", "by_time", "inactivity")
        before = entries[-1] if entries else {}
        if entry["kind"] in ("ACTIVATION", "EXPIRY") and all(
            before.get(name) == entry.get(name) for name in alike
        ):
            lots: Counter[Any] = Counter(before["lots"])
            lots.update(entry["lots"])
            points = before["points"] + entry["points"]
            entries[-1] = {**entry, "points": points, "lots": dict(lots)}
        else:
            entries.append(entry)
    return entries

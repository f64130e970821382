"""Histories in which points are held, redeemed, returned, adjusted and handed on."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.histories.machine import Earning
from tests.histories.requests import (
    AHEAD,
    BASKETS,
    DURATIONS,
    FOURTHS,
    MEMBERS,
    RETURNED,
    STATUSES,
    TTLS,
    WANTED,
    Request,
)

#: which of many, from the latest back, and whether somebody else asks for it
CHOICE = st.integers(0, 3) | st.integers(0, 1_000)
SOMEBODY = st.none() | st.none() | st.none() | MEMBERS


class Histories(Earning):
    """What members, tills, merchants and time may do, in any order."""

    # -- holds and redemptions

    @rule(member_id=MEMBERS, wanted=WANTED, ttl=TTLS)
    def a_member_holds(self, member_id: str, wanted: int | str, ttl: timedelta | None) -> None:
        request = {"member_id": member_id, **self._wanted(member_id, wanted)}
        if ttl is not None:
            request["ttl"] = ttl
        self._send("hold_points", request)

    @precondition(lambda self: self._all("holds"))
    @rule(
        choice=CHOICE,
        somebody=SOMEBODY,
        method=st.sampled_from(["capture_hold", "capture_hold", "release_hold", "extend_hold"]),
        fourths=st.none() | FOURTHS,
        ttl=TTLS,
    )
    def a_hold_is_settled(
        self,
        choice: int,
        somebody: str | None,
        method: str,
        fourths: int | None,
        ttl: timedelta | None,
    ) -> None:
        held = self._chosen(self._all("holds"), choice)
        request = {"member_id": somebody or held["member_id"], "hold_id": held["hold_id"]}
        if method == "capture_hold" and fourths is not None:
            request["points"] = max(1, held["points"] * fourths // 4)
        if method == "extend_hold" and ttl is not None:
            request["ttl"] = ttl
        self._send(method, request)

    @rule(
        member_id=MEMBERS,
        wanted=WANTED,
        ahead=st.none() | st.none() | AHEAD | DURATIONS.map(lambda past: -past),
    )
    def a_member_redeems(self, member_id: str, wanted: int | str, ahead: timedelta | None) -> None:
        request = {"member_id": member_id, **self._wanted(member_id, wanted)}
        if ahead is not None:
            request["effective_time"] = self.now + ahead
        self._send("redeem_points", request)

    @precondition(lambda self: self._all("redemptions"))
    @rule(choice=CHOICE, somebody=SOMEBODY, fourths=st.none() | FOURTHS)
    def a_redemption_is_reversed(
        self, choice: int, somebody: str | None, fourths: int | None
    ) -> None:
        made = self._chosen(self._all("redemptions"), choice)
        request = {"redemption_id": made["redemption_id"]}
        if fourths is not None:
            request["points"] = max(1, made["points"] * fourths // 4)
        self._send("reverse_redemption", {"member_id": somebody or made["member_id"], **request})

    @rule(
        member_id=MEMBERS,
        wanted=WANTED,
        held=st.booleans(),
        later=st.just(timedelta(0)) | DURATIONS,
        parts=st.lists(st.none() | FOURTHS, max_size=3),
    )
    def a_member_spends_and_thinks_better_of_it(
        self,
        member_id: str,
        wanted: int | str,
        held: bool,
        later: timedelta,
        parts: list[int | None],
    ) -> None:
        if held:
            self.a_member_holds(member_id, wanted, timedelta(days=28))
            if self._all("holds"):
                self.a_hold_is_settled(0, None, "capture_hold", (parts or [None])[0], None)
        else:
            self.a_member_redeems(member_id, wanted, None)
        for number, fourths in enumerate(parts):
            self.members_have_what_the_model_says()
            if number == 1:
                self._advance(self.now + later)
            if self._all("redemptions"):
                self.a_redemption_is_reversed(0, None, fourths)

    # -- returns

    @precondition(lambda self: self.baskets)
    @rule(
        choice=CHOICE,
        somebody=SOMEBODY,
        what=RETURNED,
        ahead=st.none() | st.none() | AHEAD | DURATIONS.map(lambda past: -past),
    )
    def a_purchase_is_returned(
        self, choice: int, somebody: str | None, what: Request, ahead: timedelta | None
    ) -> None:
        basket = self._chosen(self.baskets, choice)
        request = {
            "member_id": somebody or basket["member_id"],
            "purchase_id": basket["purchase_id"],
            **returned(basket, what),
        }
        if ahead is not None:
            request["effective_time"] = self.now + ahead
        self._send("record_return", request)

    @rule(
        member_id=MEMBERS,
        basket=BASKETS,
        spent=st.none() | FOURTHS,
        later=st.just(timedelta(0)) | DURATIONS,
        parts=st.lists(RETURNED, max_size=3),
    )
    def a_purchase_comes_back_in_parts(
        self,
        member_id: str,
        basket: Request,
        spent: int | None,
        later: timedelta,
        parts: list[Request],
    ) -> None:
        self.a_member_buys(member_id, basket)
        if spent is not None:
            self.a_member_redeems(member_id, spent, None)
        for number, what in enumerate(parts):
            self.members_have_what_the_model_says()
            if number == 1:
                self._advance(self.now + later)
            self.a_purchase_is_returned(0, None, what, None)

    # -- by hand

    @rule(
        member_id=MEMBERS,
        points=st.integers(1, 200) | FOURTHS.map(lambda fourths: -fourths),
        reason_code=st.sampled_from(["goodwill", "goodwill", "correction", "mistake"]),
        approver=st.sampled_from(["", "boss"]),
    )
    def points_are_adjusted(
        self, member_id: str, points: int, reason_code: str, approver: str
    ) -> None:
        if points <= 0:
            points = -self._fourths(member_id, -points)
        request: Request = {"member_id": member_id, "points": points, "reason_code": reason_code}
        if approver:
            request["approver"] = approver
        self._send("adjust_points", request)

    @rule(member_id=MEMBERS, to_member_id=MEMBERS, fourths=FOURTHS)
    def points_are_transferred(self, member_id: str, to_member_id: str, fourths: int) -> None:
        request: Request = {"member_id": member_id, "to_member_id": to_member_id}
        request["points"] = self._fourths(member_id, fourths)
        self._send("transfer_points", request)

    @rule(member_id=MEMBERS, status=STATUSES)
    def a_status_is_set(self, member_id: str, status: str) -> None:
        request = {"member_id": member_id, "status": status, "reason": "asked for it"}
        self._send("set_member_status", request)

    # -- plumbing

    def _wanted(self, member_id: str, wanted: int | str) -> Request:
        if isinstance(wanted, str):
            return {"reward_id": wanted}
        return {"points": self._fourths(member_id, wanted)}

    def _fourths(self, member_id: str, fourths: int) -> int:
        """So many fourths of what a member can spend, and at least 1."""
        if member_id not in self.members:
            return 10
        there: int = self.model.balance(self.program_id, member_id)[1]["available"]
        return max(1, there * fourths // 4)

    def _all(self, what: str) -> list[dict[str, Any]]:
        """Holds or redemptions of everybody; those that are there always stay in their order."""
        members = self.members.items()
        return [{"member_id": name, **each} for name, one in members for each in one[what]]

    def _chosen(self, those: list[Any], choice: int) -> Any:
        return those[-1 - choice % len(those)]


def returned(basket: Request, what: Request) -> Request:
    """The fields of a return: of what was bought, where there are lines, and how much of it."""
    if "fourths" not in what:
        return what
    if "lines" not in what:
        return {"amount": part(basket["amount"], what["fourths"]) or "0.01"}
    bought = basket.get("lines") or [{"category": "", "sku": "mug", "amount": basket["amount"]}]
    first, count = what["lines"]
    lines = (bought * 2)[first % len(bought) :][:count]
    amounts = [part(line["amount"], what["fourths"]) or "0.00" for line in lines]
    return {"lines": [{**line, "amount": much} for line, much in zip(lines, amounts, strict=True)]}


def part(amount: str, fourths: int) -> str:
    """So many fourths of an amount, in whole cents; empty for nothing."""
    cents = int(Fraction(amount) * 100 * fourths / 4)
    return f"{cents // 100}.{cents % 100:02}" if cents else ""

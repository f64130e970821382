"""Random histories of a program, played to the ledger and to the model at once.

A Hypothesis state machine that knows nothing of where the ledger runs. A `Ledger` drives it: the
core alone (tests/core) or the whole service (tests/service). Requests and answers are in the words
of `tests.model`; after every step both have to say the same, and what the ledger keeps has to add
up. What is done with points is in `tests.histories.spending`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.histories.checks import adds_up, merged
from tests.histories.ledger import Ledger
from tests.histories.requests import (
    ACTIVITIES,
    AHEAD,
    BASKETS,
    BIRTHDAYS,
    DURATIONS,
    MEMBERS,
    MICROSECOND,
    NAMES,
    STARTS,
    ZONES,
    Request,
)
from tests.histories.rules import LEVELS, Rules, documents, fitting
from tests.model import DEFAULT_BACKDATE_DAYS, ORDER, Model, day_start, local_day

#: how every kind of history is run; a failure is shrunk (for minutes: see SECONDS_TO_SHRINK), but
#: not explained, which would run it many times more
SETTINGS = settings(
    deadline=None,
    print_blob=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow],
)
#: the field in which a request of each kind can differ, and how; for others, when it happened
CHANGED: dict[str, tuple[str, Callable[[datetime, Request], Any]]] = {
    "override_tier": ("until_time", lambda now, _: now),
    "hold_points": ("ttl", lambda *_: timedelta(hours=2)),
    "capture_hold": ("points", lambda _, request: 1 + (request.get("points") or 0)),
    "release_hold": ("hold_id", lambda *_: "nobody/h-1"),
    "extend_hold": ("ttl", lambda *_: timedelta(hours=2)),
    "reverse_redemption": ("points", lambda _, request: 1 + (request.get("points") or 0)),
    "adjust_points": ("points", lambda _, request: 2 * request["points"]),
    "transfer_points": ("points", lambda _, request: 1 + request["points"]),
    "set_member_status": ("reason", lambda *_: "for another reason"),
}
#: what a test of histories may take when it fails; one that passes takes a few
SECONDS_TO_SHRINK = 900


class Earning(RuleBasedStateMachine):
    """What members, tills, merchants and time may do, in any order, before any point is spent."""

    #: the program's id; a driver may give each history its own
    program_id = "bean-street"

    def __init__(self) -> None:
        super().__init__()
        self.ledger = self.make_ledger()
        self.sent: list[tuple[str, Request]] = []
        self.receipts = 0
        #: purchases that were sent, recorded or not
        self.baskets: list[Request] = []
        #: members to look at after this step
        self.touched: set[str] = set()

    def make_ledger(self) -> Ledger:
        """The driver of this kind of history."""
        raise NotImplementedError

    # -- who begins

    @initialize(
        zone=ZONES,
        start=STARTS,
        rules=documents(),
        birthdays=st.lists(BIRTHDAYS, min_size=1, max_size=len(NAMES))
        | st.lists(BIRTHDAYS, min_size=2, max_size=len(NAMES)),
        referred=st.booleans(),
        baskets=st.lists(BASKETS, max_size=len(NAMES)),
    )
    def a_program_is_founded(
        self,
        zone: str,
        start: datetime,
        rules: Rules,
        birthdays: list[dict[str, int]],
        referred: bool,
        baskets: list[Request],
    ) -> None:
        self.zone = ZoneInfo(zone)
        self.published = [rules]
        program = {
            "program_id": self.program_id,
            "currency": "EUR",
            "time_zone": zone,
            "sandbox": True,
            "clock_time": start,
        }
        self.model = Model(start)
        assert self.model.create_program(program, rules)[0] == "ok"
        self.ledger.create_program(program, rules)
        for member_id, birthday in zip(NAMES, birthdays, strict=False):
            request: Request = {"member_id": member_id, "birthday": birthday}
            if referred and self.members:
                request["referrer_member_id"] = NAMES[0]
            self._send("enroll", request)
        for member_id, basket in zip(list(self.members), baskets, strict=False):
            self._buy(member_id, basket)

    # -- what merchants do

    @rule(rules=documents(), ahead=st.none() | DURATIONS | DURATIONS.map(lambda past: -past))
    def rules_are_published(self, rules: Rules, ahead: timedelta | None) -> None:
        rules = fitting(rules, self.published)
        effective_time = None if ahead is None else self.now + ahead
        if self.now == day_start(local_day(self.now, self.zone), self.zone) and not ahead:
            # What this very moment brought was given under the rules before.
            effective_time = self.now + MICROSECOND
        expected = self.model.publish_rules(self.program_id, rules, effective_time)
        assert self.ledger.publish_rules(rules, effective_time) == expected
        if expected[0] == "ok":
            self.published.append(rules)

    # -- what time does

    @rule(duration=DURATIONS)
    def time_passes(self, duration: timedelta) -> None:
        self._advance(self.now + duration)

    @rule()
    def midnight_comes(self) -> None:
        self._advance(day_start(local_day(self.now, self.zone) + timedelta(1), self.zone))

    @rule(months=st.sampled_from([1, 2, 12]), early=st.sampled_from([MICROSECOND, timedelta(0)]))
    def a_month_or_a_year_ends(self, months: int, early: timedelta) -> None:
        today = local_day(self.now, self.zone)
        index = today.year * 12 + today.month - 1 + months
        following = date(today.year + 1, 1, 1) if months == 12 else month_of(index)
        self._advance(day_start(following, self.zone) - early)

    @rule(
        what=st.sampled_from(["", "", *ORDER]), early=st.sampled_from([MICROSECOND, timedelta(0)])
    )
    def something_falls_due(self, what: str, early: timedelta) -> None:
        due = self.model.next_due(self.program_id, what)
        if due is not None:
            self._advance(due - early)

    @rule(member_id=MEMBERS)
    def the_scheduler_comes_by(self, member_id: str) -> None:
        if member_id in self.members:
            self.ledger.settle(member_id)
            self.touched.add(member_id)

    # -- what members do

    @rule(
        member_id=MEMBERS,
        ahead=st.none() | AHEAD | DURATIONS.map(lambda past: -past),
        birthday=st.none() | BIRTHDAYS,
        referrer=st.none() | MEMBERS,
    )
    def a_member_enrols(
        self,
        member_id: str,
        ahead: timedelta | None,
        birthday: dict[str, int] | None,
        referrer: str | None,
    ) -> None:
        request: Request = {"member_id": member_id}
        if ahead is not None:
            request["effective_time"] = self.now + ahead
        if birthday is not None:
            request["birthday"] = birthday
        if referrer is not None and (referrer != member_id or member_id not in self.members):
            request["referrer_member_id"] = referrer
        self._send("enroll", request)

    @rule(
        member_id=MEMBERS,
        activity=ACTIVITIES,
        ahead=st.none() | AHEAD | DURATIONS.map(lambda past: -past),
    )
    def a_member_does_something(
        self, member_id: str, activity: str, ahead: timedelta | None
    ) -> None:
        request: Request = {"member_id": member_id, "activity": activity}
        if ahead is not None:
            request["effective_time"] = self.now + ahead
        self._send("record_activity", request)

    @rule(
        member_id=MEMBERS,
        tier_id=st.sampled_from([*LEVELS, "unheard-of"]),
        lasting=DURATIONS | st.sampled_from([timedelta(0), -MICROSECOND]),
    )
    def an_operator_overrides_a_tier(
        self, member_id: str, tier_id: str, lasting: timedelta
    ) -> None:
        until_time = self.now + lasting
        request = {"tier_id": tier_id, "reason": "goodwill", "until_time": until_time}
        self._send("override_tier", {"member_id": member_id, **request})

    @rule(member_id=MEMBERS, basket=BASKETS)
    def a_member_buys(self, member_id: str, basket: Request) -> None:
        self._buy(member_id, basket)

    @rule(member_id=MEMBERS, basket=BASKETS, ahead=AHEAD)
    def a_member_buys_by_a_clock_that_is_ahead(
        self, member_id: str, basket: Request, ahead: timedelta
    ) -> None:
        self._buy(member_id, basket, effective_time=self.now + ahead)

    @rule(member_id=MEMBERS, basket=BASKETS, late=DURATIONS)
    def a_purchase_is_reported_late(self, member_id: str, basket: Request, late: timedelta) -> None:
        self._buy(member_id, basket, effective_time=self.now - late)

    @rule(member_id=MEMBERS, basket=BASKETS, early=st.sampled_from([MICROSECOND, timedelta(0)]))
    def a_purchase_is_reported_as_late_as_can_be(
        self, member_id: str, basket: Request, early: timedelta
    ) -> None:
        days = self.in_force["earning"].get("backdate_days", DEFAULT_BACKDATE_DAYS)
        opens = day_start(local_day(self.now, self.zone) - timedelta(days), self.zone)
        self._buy(member_id, basket, effective_time=opens - early)

    # -- what networks and tills do

    @precondition(lambda self: self.sent)
    @rule(choice=st.integers(0, 1_000))
    def a_request_is_repeated(self, choice: int) -> None:
        method, request = self.sent[choice % len(self.sent)]
        self._compare(method, request)

    @precondition(lambda self: self.sent)
    @rule(choice=st.integers(0, 1_000), basket=BASKETS, ahead=AHEAD)
    def a_request_id_is_used_again(self, choice: int, basket: Request, ahead: timedelta) -> None:
        method, request = self.sent[choice % len(self.sent)]
        name, value = CHANGED.get(method, ("effective_time", lambda now, _: now))
        changed = {**request, name: value(self.now + ahead, request)}
        if method == "record_purchase" and choice % 2:
            for name in ("amount", "lines"):
                changed.pop(name, None)
            changed.update(basket)
        self._compare(method, changed)

    @precondition(lambda self: self.receipts)
    @rule(member_id=MEMBERS, choice=st.integers(0, 1_000), basket=BASKETS)
    def a_receipt_is_used_again(self, member_id: str, choice: int, basket: Request) -> None:
        purchase_id = f"p-{1 + choice % self.receipts}"
        self._send(
            "record_purchase", {"member_id": member_id, "purchase_id": purchase_id, **basket}
        )

    # -- what must be so

    @rule(member_id=MEMBERS, duration=DURATIONS, past=st.booleans())
    def somebody_asks_for_another_time(
        self, member_id: str, duration: timedelta, past: bool
    ) -> None:
        as_of = self.now - duration if past else self.now + duration
        if member_id in self.members and as_of >= self._known_since(member_id):
            self._compare_balance(member_id, as_of)

    @invariant()
    def members_have_what_the_model_says(self) -> None:
        if not self.touched:
            return
        for member_id in sorted(self.touched):
            self._compare_member(member_id)
        self.touched.clear()
        sums = {name: points for name, points in self.ledger.trial_balance().items() if points}
        assert sum(sums.values()) == 0
        assert "transfers" not in sums
        assert sums == self.model.trial_balance(self.program_id)
        self._look_at_stocks()

    # -- plumbing

    @property
    def now(self) -> datetime:
        clock_time: datetime = self.model.programs[self.program_id]["clock_time"]
        return clock_time

    @property
    def in_force(self) -> Rules:
        """The rules of now."""
        versions = self.model.programs[self.program_id]["versions"]
        rules: Rules = [version for version in versions if version["from"] <= self.now][-1]["rules"]
        return rules

    @property
    def members(self) -> dict[str, Any]:
        members: dict[str, Any] = self.model.programs[self.program_id]["members"]
        return members

    def _advance(self, clock_time: datetime) -> None:
        expected = self.model.advance_clock(self.program_id, clock_time)
        assert self.ledger.advance_clock(clock_time) == expected
        self.touched.update(self.members)

    def _buy(self, member_id: str, basket: Request, **fields: Any) -> None:
        self.receipts += 1
        purchase_id = f"p-{self.receipts}"
        request = {"member_id": member_id, "purchase_id": purchase_id, **basket, **fields}
        self.baskets.append(request)
        self._send("record_purchase", request)

    def _send(self, method: str, content: Request) -> None:
        request_id = f"r-{len(self.sent) + 1}"
        request = {"program_id": self.program_id, "request_id": request_id, **content}
        if method == "record_purchase":
            expected = self.model.preview_purchase(request)
            assert self.ledger.preview_purchase(request) == expected
        self.sent.append((method, request))
        self._compare(method, request)

    def _compare(self, method: str, request: Request) -> None:
        expected = self.model.write(method, request)
        if expected[0] == "ok":
            balance = {k: v for k, v in expected[1]["balance"].items() if k != "expired"}
            expected = ("ok", {**expected[1], "balance": balance})
        self.touched.update(self.members)
        assert self.ledger.write(method, request) == expected

    def _compare_member(self, member_id: str) -> None:
        self._compare_balance(member_id, None)
        status = self.model.tier_status(self.program_id, member_id)
        assert self.ledger.tier_status(member_id) == status
        expected = self.model.journal(self.program_id, member_id)
        journal = self.ledger.journal(member_id)
        assert merged(journal) == merged(expected)
        balance = self.model.balance(self.program_id, member_id)[1]
        lots = adds_up(journal, balance, self.now)
        assert lots == self.model.lots(self.program_id, member_id)
        warnings = self.ledger.warnings(member_id)
        assert warnings in (None, self.model.warnings(self.program_id, member_id))
        offers = self.model.offers(self.program_id, member_id)
        assert self.ledger.offers(member_id) == offers
        self.ledger.check(member_id)

    def _look_at_stocks(self) -> None:
        """Of no reward are more units taken than any version has offered."""
        offered = [reward for rules in self.published for reward in rules["rewards"]]
        for name, taken in self.model.units(self.program_id).items():
            assert 0 <= taken <= max(r["stock"] for r in offered if r["id"] == name)

    def _compare_balance(self, member_id: str, as_of: datetime | None) -> None:
        expected = self.model.balance(self.program_id, member_id, as_of)[1]
        del expected["expired"]
        assert self.ledger.balance(member_id, as_of) == expected

    def _known_since(self, member_id: str) -> datetime:
        since: datetime = self.members[member_id]["journal"][0]["create_time"]
        return since


def utc(text: str) -> datetime:
    """An instant in UTC, from RFC 3339 text."""
    return datetime.fromisoformat(text).astimezone(UTC)


def month_of(index: int) -> date:
    """The first day of a month, counted from the first of year 0."""
    return date(index // 12, index % 12 + 1, 1)

"""Random histories of a program, played to the ledger and to the model at once.

`Histories` is a Hypothesis state machine that knows nothing of where the ledger runs. A `Ledger`
drives it: the core alone (tests/core) or the whole service (tests/service). Requests and answers
are in the words of `tests.model`; after every step both have to say the same, and what the ledger
keeps has to add up.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.model import DEFAULT_BACKDATE_DAYS, TOLERANCE, Model, Outcome, day_start, local_day

Request = dict[str, Any]
Rules = dict[str, Any]

#: of the entries that time posts, and not a request
BY_TIME = ("ACTIVATION", "EXPIRY")
MICROSECOND = timedelta(microseconds=1)

#: how every kind of history is run; a failure is shrunk (for minutes: see SECONDS_TO_SHRINK), but
#: not explained, which would run it many times more
SETTINGS = settings(
    deadline=None,
    print_blob=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow],
)
#: what a test of histories may take when it fails; one that passes takes a few
SECONDS_TO_SHRINK = 900


class Ledger(Protocol):
    """One sandbox program on the ledger under test. Answers are those of `Model`; entries are dicts
    with kind, points, effective_time, create_time, rules_version, purchase_id and breakdown."""

    def create_program(self, program: dict[str, Any], rules: Rules) -> None: ...

    def publish_rules(self, rules: Rules, effective_time: datetime | None) -> Outcome: ...

    def advance_clock(self, clock_time: datetime) -> Outcome: ...

    def enroll(self, request: Request) -> Outcome: ...

    def record_purchase(self, request: Request) -> Outcome: ...

    def preview_purchase(self, request: Request) -> Outcome: ...

    def settle(self, member_id: str) -> None:
        """Post what time has made due for a member, as a scheduler might at any moment."""

    def balance(self, member_id: str, as_of: datetime | None) -> dict[str, Any]: ...

    def journal(self, member_id: str) -> list[dict[str, Any]]:
        """All entries in order, with what time has made due by now whether posted or not."""

    def check(self, member_id: str) -> None:
        """Assert all that must hold within a member's journal and account."""

    def trial_balance(self) -> dict[str, int]:
        """Points by ledger account."""


# -- what may happen ------------------------------------------------------------------------------


def amounts(most: int = 30_000) -> st.SearchStrategy[str]:
    """Amounts in euros, whole ones more often than not."""
    cents = st.integers(0, most) | st.integers(0, most // 100).map(lambda whole: whole * 100)
    return cents.map(lambda minor: f"{minor // 100}.{minor % 100:02}")


def total(lines: list[dict[str, str]]) -> str:
    minor = sum(int(line["amount"].replace(".", "")) for line in lines)
    return f"{minor // 100}.{minor % 100:02}"


CATEGORIES = ["", "coffee", "gift-card", "tobacco"]
LINES = st.lists(
    st.fixed_dictionaries({"category": st.sampled_from(CATEGORIES), "amount": amounts(10_000)}),
    min_size=1,
    max_size=4,
)
#: what is bought: an amount, or lines with their sum
BASKETS = amounts().map(lambda amount: {"amount": amount}) | LINES.map(
    lambda lines: {"amount": total(lines), "lines": lines}
)
MEMBERS = st.sampled_from(["m-1", "m-2", "m-3"])
ZONES = st.sampled_from(
    [
        "Africa/Cairo",
        "America/Havana",
        "Asia/Kathmandu",
        "Europe/Berlin",
        "Pacific/Honolulu",
        "Pacific/Kiritimati",
        "UTC",
    ]
)
#: at and around the ends of months and years, and clock changes
STARTS = st.sampled_from(
    ["2026-01-30", "2026-03-07", "2026-03-28", "2026-04-23", "2026-12-30", "2028-02-28"]
).map(lambda day: datetime.fromisoformat(f"{day}T21:30:00Z"))
DURATIONS = st.sampled_from(
    [
        MICROSECOND,
        timedelta(seconds=1),
        timedelta(minutes=5),
        timedelta(hours=1),
        timedelta(hours=11),
        timedelta(days=1),
        timedelta(days=3),
        timedelta(days=31),
        timedelta(days=100),
    ]
)
#: how far ahead a till's clock is
AHEAD = st.sampled_from(
    [timedelta(0), MICROSECOND, TOLERANCE, TOLERANCE + MICROSECOND, timedelta(days=2)]
)
BONUSES = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["welcome", "spring", "app"]),
            "on": st.just("ENROLLMENT"),
            "points": st.integers(1, 200),
        },
        optional={"expires_days": st.integers(0, 5)},
    ),
    max_size=2,
    unique_by=lambda bonus: bonus["id"],
)


@st.composite
def documents(draw: st.DrawFn) -> Rules:
    """Rules of every kind."""
    rate = {"points": draw(st.integers(1, 5)), "per": draw(st.sampled_from(["1", "0.50", "3.33"]))}
    earning = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "rounding": st.sampled_from(["FLOOR", "NEAREST", "CEILING"]),
                "exclude_categories": st.lists(st.sampled_from(CATEGORIES[1:]), unique=True),
                "pending_days": st.sampled_from([0, 1, 14, 70]),
                "backdate_days": st.sampled_from([0, 1, 2, 60]),
            },
        )
    )
    caps = draw(
        st.fixed_dictionaries(
            {}, optional={"per_day": st.integers(1, 500), "per_purchase": st.integers(1, 300)}
        )
    )
    rules: Rules = {"earning": {**earning, "rate": rate, "caps": caps}, "bonuses": draw(BONUSES)}
    if draw(st.booleans()):
        rules["expiry"] = {"after_months": draw(st.integers(1, 2))}
    if draw(st.booleans()):
        rules["members"] = {"auto_enroll": draw(st.booleans())}
    return rules


# -- histories ------------------------------------------------------------------------------------


class Histories(RuleBasedStateMachine):
    """What members, tills, merchants and time may do, in any order."""

    #: the program's id; a driver may give each history its own
    program_id = "bean-street"

    def __init__(self) -> None:
        super().__init__()
        self.ledger = self.make_ledger()
        self.sent: list[tuple[str, Request]] = []
        self.receipts = 0
        #: members to look at after this step
        self.touched: set[str] = set()

    def make_ledger(self) -> Ledger:
        """The driver of this kind of history."""
        raise NotImplementedError

    # -- who begins

    @initialize(zone=ZONES, start=STARTS, rules=documents())
    def a_program_is_founded(self, zone: str, start: datetime, rules: Rules) -> None:
        self.zone = ZoneInfo(zone)
        self.caps_days = "per_day" in rules["earning"]["caps"]
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

    # -- what merchants do

    @rule(rules=documents(), ahead=st.none() | DURATIONS | DURATIONS.map(lambda past: -past))
    def rules_are_published(self, rules: Rules, ahead: timedelta | None) -> None:
        rules = self._fitting(rules)
        effective_time = None if ahead is None else self.now + ahead
        expected = self.model.publish_rules(self.program_id, rules, effective_time)
        assert self.ledger.publish_rules(rules, effective_time) == expected

    # -- what time does

    @rule(duration=DURATIONS)
    def time_passes(self, duration: timedelta) -> None:
        self._advance(self.now + duration)

    @rule()
    def midnight_comes(self) -> None:
        self._advance(day_start(local_day(self.now, self.zone) + timedelta(1), self.zone))

    @precondition(lambda self: self.next_due is not None)
    @rule(early=st.sampled_from([MICROSECOND, timedelta(0)]))
    def something_falls_due(self, early: timedelta) -> None:
        assert self.next_due is not None
        self._advance(self.next_due - early)

    @rule(member_id=MEMBERS)
    def the_scheduler_comes_by(self, member_id: str) -> None:
        if member_id in self.members:
            self.ledger.settle(member_id)
            self.touched.add(member_id)

    # -- what members do

    @rule(member_id=MEMBERS, ahead=st.none() | AHEAD | DURATIONS.map(lambda past: -past))
    def a_member_enrols(self, member_id: str, ahead: timedelta | None) -> None:
        request: Request = {"member_id": member_id}
        if ahead is not None:
            request["effective_time"] = self.now + ahead
        self._send("enroll", request)

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
        changed = {**request, "effective_time": self.now + ahead}
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
        sums = self.ledger.trial_balance()
        assert sum(sums.values()) == 0
        assert sums.get("issuance", 0) == -self.model.totals(self.program_id)["lifetime"]

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

    @property
    def next_due(self) -> datetime | None:
        """When points next activate or expire for anybody."""
        grants = [grant for member in self.members.values() for grant in member["grants"]]
        dates = [grant[name] for grant in grants for name in ("activates", "expires")]
        return min((date for date in dates if date is not None and date > self.now), default=None)

    def _fitting(self, rules: Rules) -> Rules:
        """Rules that cap days only where the first ones did: what was earned on a day is remembered
        from when a cap is first known of, and not before."""
        if self.caps_days:
            return rules
        caps = {name: cap for name, cap in rules["earning"]["caps"].items() if name != "per_day"}
        return {**rules, "earning": {**rules["earning"], "caps": caps}}

    def _advance(self, clock_time: datetime) -> None:
        expected = self.model.advance_clock(self.program_id, clock_time)
        assert self.ledger.advance_clock(clock_time) == expected
        self.touched.update(self.members)

    def _buy(self, member_id: str, basket: Request, **fields: Any) -> None:
        self.receipts += 1
        purchase_id = f"p-{self.receipts}"
        request = {"member_id": member_id, "purchase_id": purchase_id, **basket, **fields}
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
        expected = getattr(self.model, method)(request)
        if expected[0] == "ok":
            balance = {k: v for k, v in expected[1]["balance"].items() if k != "expired"}
            expected = ("ok", {**expected[1], "balance": balance})
        assert getattr(self.ledger, method)(request) == expected
        if request["member_id"] in self.members:
            self.touched.add(request["member_id"])

    def _compare_member(self, member_id: str) -> None:
        self._compare_balance(member_id, None)
        asked = []
        by_time: dict[tuple[str, datetime], int] = defaultdict(int)
        for entry in self.ledger.journal(member_id):
            if entry["kind"] in BY_TIME:
                by_time[entry["kind"], entry["effective_time"]] += entry["points"]
            else:
                asked.append(entry)
        assert asked == self.model.journal(self.program_id, member_id)
        assert by_time == self.model.movements(self.program_id, member_id)
        self.ledger.check(member_id)

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

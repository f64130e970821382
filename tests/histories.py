"""Random histories of a program, played to the ledger and to the model at once.

`Histories` is a Hypothesis state machine that knows nothing of where the ledger runs. A `Ledger`
drives it: the core alone (tests/core) or the whole service (tests/service). Requests and answers
are in the words of `tests.model`; after every step both have to say the same, and what the ledger
keeps has to add up.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.model import (
    DEFAULT_BACKDATE_DAYS,
    ORDER,
    TOLERANCE,
    WEEKDAYS,
    Model,
    Outcome,
    day_start,
    local_day,
)

Request = dict[str, Any]
Rules = dict[str, Any]

#: occasions that depend on what was bought on which day
BY_DAY = {"EVERY_NTH_VISIT", "REFERRAL", "INACTIVE_DAYS"}
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
    as the model's, `by_time` when time posted them."""

    def create_program(self, program: dict[str, Any], rules: Rules) -> None: ...

    def publish_rules(self, rules: Rules, effective_time: datetime | None) -> Outcome: ...

    def advance_clock(self, clock_time: datetime) -> Outcome: ...

    def enroll(self, request: Request) -> Outcome: ...

    def record_purchase(self, request: Request) -> Outcome: ...

    def preview_purchase(self, request: Request) -> Outcome: ...

    def record_activity(self, request: Request) -> Outcome: ...

    def override_tier(self, request: Request) -> Outcome: ...

    def settle(self, member_id: str) -> None:
        """Post what time has made due for a member, as a scheduler might at any moment."""

    def balance(self, member_id: str, as_of: datetime | None) -> dict[str, Any]: ...

    def tier_status(self, member_id: str) -> dict[str, Any]: ...

    def journal(self, member_id: str) -> list[dict[str, Any]]:
        """All entries in order, with what time has made due by now whether posted or not."""

    def check(self, member_id: str) -> None:
        """Assert all that must hold within a member's journal and account."""

    def trial_balance(self) -> dict[str, int]:
        """Points by ledger account."""


# -- what may happen ------------------------------------------------------------------------------


def amounts(most: int = 30_000) -> st.SearchStrategy[str]:
    """Amounts in euros, whole ones more often than not, and those that rules ask for."""
    cents = st.integers(0, most) | st.integers(0, most // 100).map(lambda whole: whole * 100)
    asked = st.sampled_from(["0.01", "3.00", "2.99", "40.00", "50.00", "49.99", "100.00"])
    return asked | cents.map(lambda minor: f"{minor // 100}.{minor % 100:02}")


def total(lines: list[dict[str, str]]) -> str:
    minor = sum(int(line["amount"].replace(".", "")) for line in lines)
    return f"{minor // 100}.{minor % 100:02}"


CATEGORIES = ["", "coffee", "gift-card", "tobacco"]
SKUS = ["", "espresso", "mug"]
LOCATIONS = ["", "mitte", "wedding"]
LINES = st.lists(
    st.fixed_dictionaries(
        {
            "category": st.sampled_from(CATEGORIES),
            "sku": st.sampled_from(SKUS),
            "amount": amounts(10_000),
        }
    ),
    min_size=1,
    max_size=4,
)
#: what is bought, and where: an amount, or lines with their sum
BASKETS = st.builds(
    lambda basket, location: {**basket, "location_id": location} if location else basket,
    amounts().map(lambda amount: {"amount": amount})
    | LINES.map(lambda lines: {"amount": total(lines), "lines": lines}),
    st.sampled_from(LOCATIONS),
)
ACTIVITIES = st.sampled_from(["survey", "survey", "review", "unheard-of"])
#: born on days near those of STARTS
BIRTHDAYS = st.sampled_from(
    [(1, 1), (1, 31), (2, 28), (2, 29), (3, 1), (3, 29), (4, 24), (12, 31)]
).map(lambda born: {"month": born[0], "day": born[1]})
NAMES = ["m-1", "m-2", "m-3"]
MEMBERS = st.sampled_from(NAMES)
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
#: what is given on which occasion: bonuses of one id are alike in all versions but for their points
BONUSES: list[dict[str, Any]] = [
    {"id": "welcome", "on": "ENROLLMENT"},
    {"id": "app", "on": "ENROLLMENT"},
    {"id": "birthday", "on": "BIRTHDAY"},
    {"id": "cake", "on": "BIRTHDAY"},
    {"id": "anniversary", "on": "MEMBERSHIP_ANNIVERSARY"},
    {"id": "third-visit", "on": "EVERY_NTH_VISIT", "n": 3},
    {"id": "every-visit", "on": "EVERY_NTH_VISIT", "n": 1},
    {"id": "big-basket", "on": "PURCHASE_OVER", "amount": "100.00"},
    {"id": "basket", "on": "PURCHASE_OVER", "amount": "0.01"},
    {
        "id": "survey",
        "on": "ACTIVITY",
        "activity": "survey",
        "per_member": {"count": 1, "days": 5},
    },
    {"id": "quiz", "on": "ACTIVITY", "activity": "survey", "per_member": {"count": 2}},
    {"id": "poll", "on": "ACTIVITY", "activity": "survey", "per_member": {"count": 2, "days": 30}},
    {"id": "review", "on": "ACTIVITY", "activity": "review"},
    {"id": "refer", "on": "REFERRAL", "referee_points": 30},
    {"id": "invite", "on": "REFERRAL"},
]
WIN_BACKS = [{"id": "miss-you", "on": "INACTIVE_DAYS"}, {"id": "long-gone", "on": "INACTIVE_DAYS"}]
#: as bonuses: whether one has a budget or is for once is its own, the rest may change
PROMOTIONS: list[dict[str, Any]] = [
    {"id": "happy-hour"},
    {"id": "launch", "budget": 60},
    {"id": "grand-launch", "budget": 500},
    {"id": "first-time", "once_per_member": True},
]
#: of levels, lowest first; what an earlier version had, a later one still has
LEVELS = ["member", "silver", "gold", "platinum"]
DAYS = ["2026-02-01", "2026-03-29", "2026-04-24", "2026-12-31", "2027-01-01", "2028-02-29"]


@st.composite
def bonuses(draw: st.DrawFn) -> list[Rules]:
    kinds = st.sampled_from(BONUSES)
    found = draw(st.lists(kinds, unique_by=lambda each: each["id"], max_size=len(BONUSES)))
    for win_back in draw(st.lists(st.sampled_from(WIN_BACKS), unique_by=str, max_size=2)):
        found.append({**win_back, "n": draw(st.sampled_from([1, 3, 30]))})
    with_points = [{**bonus, "points": draw(st.integers(1, 200))} for bonus in found]
    return [
        {**bonus, "expires_days": days} if days is not None else bonus
        for bonus in with_points
        for days in [draw(st.none() | st.integers(0, 5))]
    ]


@st.composite
def promotions(draw: st.DrawFn, levels: list[str]) -> list[Rules]:
    found = []
    for promotion in draw(
        st.lists(st.sampled_from(PROMOTIONS), unique_by=lambda each: each["id"], max_size=3)
    ):
        times = st.sampled_from(["1.5", "2", "3.1"]).map(lambda times: {"multiplier": times})
        points = st.integers(1, 100).map(lambda points: {"points": points})
        drawn: Rules = draw(st.one_of(times, points))
        conditions: dict[str, st.SearchStrategy[Any]] = {
            "from": st.sampled_from(DAYS),
            "until": st.sampled_from(DAYS),
            "weekdays": st.lists(st.sampled_from(WEEKDAYS), unique=True),
            "hours": st.sampled_from(
                [
                    {"from": "00:00", "until": "02:30"},
                    {"from": "02:00", "until": "12:00"},
                    {"from": "11:30", "until": "24:00"},
                ]
            ),
            "locations": st.lists(st.sampled_from(LOCATIONS[1:]), unique=True),
            "categories": st.just(["coffee"]),
            "skus": st.lists(st.sampled_from(SKUS[1:]), unique=True),
        }
        if levels:
            conditions["tiers"] = st.lists(st.sampled_from(levels), unique=True)
        names = draw(st.lists(st.sampled_from(sorted(conditions)), unique=True, max_size=2))
        drawn |= {name: draw(conditions[name]) for name in names}
        if drawn.get("from", "") > drawn.get("until", "9999"):
            drawn["from"], drawn["until"] = drawn["until"], drawn["from"]
        found.append({**promotion, **drawn})
    return found


@st.composite
def tiers(draw: st.DrawFn) -> Rules:
    """Tiers whose levels may be reached within a history."""
    levels: list[Rules] = [{"id": LEVELS[0]}]
    for name in draw(st.lists(st.sampled_from(LEVELS[1:]), unique=True, min_size=1)):
        asked = draw(st.sampled_from(["visits", "spend", "ALL", "ANY"]))
        level: Rules = {"id": name}
        if asked != "spend":
            level["visits"] = draw(st.integers(1, 3))
        if asked != "visits":
            level["spend"] = draw(st.sampled_from(["0.50", "40.00", "150.00", "400.00"]))
        if asked in ("ALL", "ANY"):
            level["match"] = asked
        if draw(st.booleans()):
            level["entry_bonus"] = draw(st.integers(1, 100))
        levels.append(level)
    for level in levels:
        level["multiplier"] = draw(st.sampled_from(["1", "1.25", "1.5", "2.333"]))
    rolling = st.sampled_from([7, 30, 365]).map(lambda days: {"rolling_days": days})
    yearly: list[Rules] = [{"calendar_year": {}}, {"membership_year": {}}]
    period: Rules = draw(st.one_of(rolling, st.sampled_from(yearly)))
    return {
        "period": period,
        "levels": in_order(levels),
        "keep_months": draw(st.integers(1, 3)),
        "grace_days": draw(st.sampled_from([0, 1, 30])),
        "downgrade": draw(st.sampled_from(["ONE_LEVEL", "TO_QUALIFIED", "NEVER"])),
    }


def in_order(levels: list[Rules]) -> list[Rules]:
    """Levels from the lowest up, each asking for more than those below."""
    visits, spend = 0, Decimal(0)
    ordered = []
    for level in sorted(levels, key=lambda each: LEVELS.index(each["id"])):
        raised = dict(level)
        if "visits" in level:
            raised["visits"] = visits = max(level["visits"], visits + 1)
        if "spend" in level:
            spend = max(Decimal(level["spend"]), spend + 1)
            raised["spend"] = str(spend)
        ordered.append(raised)
    return ordered


@st.composite
def documents(draw: st.DrawFn) -> Rules:
    """Rules of every kind."""
    rate = {"points": draw(st.integers(1, 5)), "per": draw(st.sampled_from(["1", "0.50", "3.33"]))}
    earning = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "rounding": st.sampled_from(["FLOOR", "NEAREST", "CEILING"]),
                "exclude_categories": st.lists(st.sampled_from(CATEGORIES[2:]), unique=True),
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
    rules: Rules = {"earning": {**earning, "rate": rate, "caps": caps}, "bonuses": draw(bonuses())}
    if draw(st.booleans()):
        rules["expiry"] = {"after_months": draw(st.integers(1, 2))}
    if draw(st.booleans()):
        rules["members"] = {"auto_enroll": draw(st.booleans())}
    rules["visits"] = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "minimum": st.sampled_from(["0.01", "3.00", "50.00"]),
                "per_day": st.integers(1, 3),
            },
        )
    )
    if draw(st.integers(0, 3)):
        rules["tiers"] = draw(tiers())
    levels = [level["id"] for level in rules.get("tiers", {}).get("levels", [])]
    rules["promotions"] = draw(promotions(levels))
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

    @initialize(
        zone=ZONES,
        start=STARTS,
        rules=documents(),
        birthdays=st.lists(BIRTHDAYS, max_size=len(NAMES)),
        referred=st.booleans(),
    )
    def a_program_is_founded(
        self,
        zone: str,
        start: datetime,
        rules: Rules,
        birthdays: list[dict[str, int]],
        referred: bool,
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

    # -- what merchants do

    @rule(rules=documents(), ahead=st.none() | DURATIONS | DURATIONS.map(lambda past: -past))
    def rules_are_published(self, rules: Rules, ahead: timedelta | None) -> None:
        rules = fitting(rules, self.published)
        effective_time = None if ahead is None else self.now + ahead
        if self.now == day_start(local_day(self.now, self.zone), self.zone):
            # What this very moment brought was given under the rules before.
            effective_time = (effective_time or self.now) + MICROSECOND
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
        name = "until_time" if method == "override_tier" else "effective_time"
        changed = {**request, name: self.now + ahead}
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
        self.touched.update(self.members)
        assert getattr(self.ledger, method)(request) == expected

    def _compare_member(self, member_id: str) -> None:
        self._compare_balance(member_id, None)
        status = self.model.tier_status(self.program_id, member_id)
        assert self.ledger.tier_status(member_id) == status
        expected = self.model.journal(self.program_id, member_id)
        assert merged(self.ledger.journal(member_id)) == merged(expected)
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


def month_of(index: int) -> date:
    """The first day of a month, counted from the first of year 0."""
    return date(index // 12, index % 12 + 1, 1)


def fitting(rules: Rules, published: list[Rules]) -> Rules:
    """Rules made such that they may follow those published before, and look at nothing that was
    forgotten.

    Days are remembered from when rules that look at them are first known of, for as long as the
    longest period known then.
    """
    first, latest = published[0], published[-1]
    rules = {**rules}
    if not looks_at_days(first):
        rules.pop("tiers", None)
        caps = {name: cap for name, cap in rules["earning"]["caps"].items() if name != "per_day"}
        rules["earning"] = {**rules["earning"], "caps": caps}
        rules["bonuses"] = [b for b in rules["bonuses"] if b["on"] not in BY_DAY]
    if "tiers" not in first:
        rules.pop("tiers", None)
        rules["promotions"] = [
            {name: value for name, value in promotion.items() if name != "tiers"}
            for promotion in rules["promotions"]
        ]
    else:
        rules["tiers"] = fitting_tiers(
            rules.get("tiers") or latest["tiers"], [version["tiers"] for version in published]
        )
    return rules


def fitting_tiers(drawn: Rules, published: list[Rules]) -> Rules:
    """Tiers that may follow those published before."""
    latest = published[-1]
    names = {level["id"] for level in drawn["levels"]}
    held = [level for level in latest["levels"] if level["id"] not in names]
    fits = any(covers(tiers["period"], drawn["period"]) for tiers in published)
    return {
        **drawn,
        "levels": in_order([*drawn["levels"], *held]),
        "period": drawn["period"] if fits else latest["period"],
    }


def looks_at_days(rules: Rules) -> bool:
    """Whether what was bought on a day matters for anything."""
    occasions = {bonus["on"] for bonus in rules["bonuses"]}
    return "per_day" in rules["earning"]["caps"] or "tiers" in rules or bool(occasions & BY_DAY)


def covers(known: Rules, period: Rules) -> bool:
    """Whether all days of a period are remembered for the sake of another one."""
    if "rolling_days" in known:
        return int(known["rolling_days"]) >= int(period.get("rolling_days", 366))
    return known == period


def merged(journal: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A journal but for when time's entries were written, and in how many parts points expired."""
    entries: list[dict[str, Any]] = []
    for entry in journal:
        if not entry["by_time"]:
            entries.append(entry)
            continue
        entry = {name: value for name, value in entry.items() if name != "create_time"}
        alike = ("kind", "effective_time", "by_time")
        before = entries[-1] if entries else {}
        if entry["kind"] in ("ACTIVATION", "EXPIRY") and all(
            before.get(name) == entry[name] for name in alike
        ):
            entries[-1] = {**entry, "points": before["points"] + entry["points"]}
        else:
            entries.append(entry)
    return entries

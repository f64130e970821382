"""What holds of tiers, bonuses and promotions in any history: whoever settles when, whatever else
the rules say, and however long it goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.core.chain import canonical_form
from ledger.core.commands import (
    Command,
    OverrideTier,
    RecordActivity,
    RecordPurchase,
)
from ledger.core.errors import LedgerError
from ledger.core.instants import DAY, MINUTE, SECOND, day_start, local_day
from ledger.core.model import Account, Entry, Mark, PurchaseLine, Receipt, encode
from ledger.core.posting import Posting
from tests.histories import (
    ACTIVITIES,
    BASKETS,
    BIRTHDAYS,
    LEVELS,
    NAMES,
    ZONES,
    Rules,
    documents,
    fitting,
    tiers,
)
from tests.memory import PROGRAM, Document, MemoryLedger, at, cents, document

START = at("2026-11-30T21:30Z")


class Step(NamedTuple):
    """Time passes, and one member does something, perhaps some time ago."""

    pause: int
    member: str
    #: "buy", "do" or "override"
    kind: str
    late: int
    basket: dict[str, Any]
    activity: str
    tier_id: str
    #: whose time is looked after before and after it, by a scheduler
    settled: tuple[str, ...]


PAUSES = st.sampled_from(
    [0, 1, SECOND, 150 * MINUTE, DAY, 2 * DAY, 9 * DAY, 31 * DAY, 62 * DAY, 100 * DAY]
)
STEPS = st.lists(
    st.builds(
        Step,
        PAUSES,
        st.sampled_from(NAMES),
        st.sampled_from(["buy", "buy", "buy", "do", "override"]),
        st.sampled_from([0, 0, 0, SECOND, DAY, 2 * DAY, 40 * DAY]),
        BASKETS,
        ACTIVITIES,
        st.sampled_from(LEVELS),
        st.lists(st.sampled_from(NAMES), unique=True).map(tuple),
    ),
    max_size=20,
)


@st.composite
def versions(draw: st.DrawFn) -> list[Rules]:
    """Rules documents that may follow each other, most with tiers."""
    published = [draw(documents())]
    if "tiers" not in published[0] and draw(st.booleans()):
        published[0]["tiers"] = draw(tiers())
    for rules in draw(st.lists(documents(), max_size=2)):
        published.append(fitting(rules, published))
    return published


def command_of(step: Step, number: int, now: int) -> Command:
    common = {"program_id": PROGRAM, "member_id": step.member, "request_id": f"r-{number}"}
    if step.kind == "do":
        return RecordActivity(**common, activity=step.activity, effective_time=now - step.late)
    if step.kind == "override":
        until_time = now + (number % 60) * DAY
        return OverrideTier(**common, tier_id=step.tier_id, reason="test", until_time=until_time)
    return RecordPurchase(
        **common,
        purchase_id=f"p-{number}",
        amount=cents(step.basket["amount"]),
        lines=tuple(
            PurchaseLine(line["sku"], line["category"], 1, cents(line["amount"]))
            for line in step.basket.get("lines", [])
        ),
        effective_time=now - step.late,
        location_id=step.basket.get("location_id", ""),
    )


def opened(published: list[Rules], zone: str, birthdays: list[int]) -> MemoryLedger:
    """A ledger whose rules change every 50 days, with all members; the first has referred them."""
    ledger = MemoryLedger(published[0], now=START, zone=zone)
    for number, rules in enumerate(published[1:], 1):
        ledger.publish(rules, START + 50 * number * DAY + SECOND)
    for name, birthday in zip(NAMES, birthdays, strict=True):
        referrer = "" if name == NAMES[0] else NAMES[0]
        ledger.enroll(name, birthday=birthday, referrer_member_id=referrer)
    return ledger


def played(ledger: MemoryLedger, steps: list[Step]) -> Iterator[Command]:
    """The commands of a history; each is to be written before the next is asked for."""
    for number, step in enumerate(steps, 1):
        ledger.now += step.pause
        yield command_of(step, number, ledger.now)


BIRTHDAYS_OF_ALL = st.lists(
    BIRTHDAYS.map(lambda born: born["month"] * 100 + born["day"]),
    min_size=len(NAMES),
    max_size=len(NAMES),
)
HISTORIES = {
    "published": versions(),
    "zone": ZONES,
    "birthdays": BIRTHDAYS_OF_ALL,
    "steps": STEPS,
}


def when_written(journal: list[Entry]) -> list[bytes]:
    """A journal but for when each entry was written down."""
    return [canonical_form(msgspec.structs.replace(entry, create_time=0)) for entry in journal]


# -- time -----------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(**HISTORIES)
def test_the_journal_does_not_depend_on_who_settles_when(
    published: list[Rules], zone: str, birthdays: list[int], steps: list[Step]
) -> None:
    looked_after, alone = (opened(published, zone, birthdays) for _ in range(2))
    commands = played(alone, steps)
    for step, command in zip(steps, commands, strict=True):
        looked_after.now = alone.now
        for name in step.settled:
            looked_after.settle(name)
        outcomes = [ledger.write(command) for ledger in (looked_after, alone)]
        assert type(outcomes[0]) is type(outcomes[1])
        for name in step.settled:
            looked_after.settle(name)
    for ledger in (looked_after, alone):
        ledger.now += 800 * DAY
        for name in NAMES:
            ledger.settle(name)
            assert ledger.verify(name) == []

    for name in NAMES:
        assert when_written(looked_after.journal(name)) == when_written(alone.journal(name))


# -- previews -------------------------------------------------------------------------------------


def previewed(ledger: MemoryLedger, command: Command) -> Posting | LedgerError:
    try:
        return ledger.decide(command)
    except LedgerError as refusal:
        return refusal


@settings(max_examples=150)
@given(**HISTORIES)
def test_a_preview_says_what_is_posted_then(
    published: list[Rules], zone: str, birthdays: list[int], steps: list[Step]
) -> None:
    ledger = opened(published, zone, birthdays)
    for command in played(ledger, steps):
        before = deepcopy((ledger.journals, ledger.budgets))
        preview = previewed(ledger, command)
        assert (ledger.journals, ledger.budgets) == before

        posted = ledger.write(command)

        if isinstance(preview, LedgerError):
            assert isinstance(posted, LedgerError)
            assert (posted.reason, posted.metadata) == (preview.reason, preview.metadata)
        else:
            assert isinstance(posted, Receipt)
            foreseen = preview.entries[preview.own :]
            assert [encode(entry) for entry in foreseen] == [encode(e) for e in posted.entries]
            assert encode(preview.account) == encode(ledger.accounts[command.member_id])


# -- promises -------------------------------------------------------------------------------------


def broken_promises(ledger: MemoryLedger, before: Account, after: Account) -> list[str]:
    """What an account had for longer than it has now. Lots go sooner only for want of activity."""
    tiers = ledger.program.in_force(ledger.now).rules.tiers
    lots = {lot.expire_time: lot.points for lot in after.lots}
    broken = [
        f"{lot} is not what it was"
        for lot in before.lots
        if lot.expire_time is None or lot.expire_time > ledger.now
        if lots.get(lot.expire_time, 0) < lot.points
        if after.faded_sequence == before.faded_sequence
    ]
    had, has = before.tier, after.tier
    if had is None or had.valid_until is None or had.valid_until <= ledger.now:
        return broken
    assert tiers is not None
    assert has is not None
    if tiers.rank(has.level) < tiers.rank(had.level):
        broken.append(f"{had} was lowered to {has}")
    assert had.grace_until is not None
    return broken + [
        f"{name} of {had} is sooner in {has}"
        for name in ("valid_until", "grace_until")
        if (getattr(has, name) or 0) < getattr(had, name)
    ]


@settings(max_examples=150)
@given(**HISTORIES)
def test_nothing_promised_is_taken_back(
    published: list[Rules], zone: str, birthdays: list[int], steps: list[Step]
) -> None:
    ledger = opened(published, zone, birthdays)
    for command in played(ledger, steps):
        before = dict(ledger.accounts)
        ledger.write(command)
        for name, account in before.items():
            assert broken_promises(ledger, account, ledger.accounts[name]) == []
            ledger.settle(name)
            assert broken_promises(ledger, account, ledger.accounts[name]) == []


def test_a_version_shortens_no_tier() -> None:
    """Silver for three years stays that, whatever is published and reached afterwards."""

    def rules(**settings: Any) -> Document:
        levels = [{"id": "member"}, {"id": "silver", "visits": 1}, {"id": "gold", "visits": 2}]
        return document(tiers={"period": {"rolling_days": 30}, "levels": levels, **settings})

    ledger = MemoryLedger(rules(keep_months=36, grace_days=90), now="2026-01-10T09:00Z")
    ledger.enroll()
    ledger.buy("10.00")
    promised = ledger.tier()
    assert promised.valid_until_time == at("2029-02-01T00:00+01:00")
    shorter = rules(keep_months=1, grace_days=0, downgrade="TO_QUALIFIED")
    ledger.publish(shorter, at("2026-01-11T00:00Z"))
    ledger.now = at("2026-01-12T09:00Z")
    assert ledger.tier().valid_until_time == promised.valid_until_time

    ledger.buy("10.00")

    assert ledger.tier().tier_id == "gold"
    ledger.now = promised.valid_until_time - 1
    assert ledger.tier().tier_id in ("silver", "gold")


# -- tiers and points -----------------------------------------------------------------------------


def about_tiers(ledger: MemoryLedger, name: str) -> list[Any]:
    return [
        (entry.effective_time, entry.data.why, entry.data.tier)
        for entry in ledger.journal(name)
        if entry.kind == "TIER_CHANGE"
    ]


@settings(max_examples=150)
@given(rules=documents(), other=documents(), shared=tiers(), steps=STEPS)
def test_tiers_do_not_depend_on_points(
    rules: Rules, other: Rules, shared: Rules, steps: list[Step]
) -> None:
    """Two programs that agree on what a visit is and what tiers ask for, and on nothing else."""
    earning = {
        name: rules["earning"][name]
        for name in ("exclude_categories", "backdate_days")
        if name in rules["earning"]
    }
    levels = [
        {**level, "multiplier": "7", "entry_bonus": 1 + 10 * (level["id"] == "gold")}
        for level in shared["levels"]
    ]
    levels[0].pop("entry_bonus")
    plain = {name: value for name, value in other["earning"].items() if name not in earning}
    for name in ("exclude_categories", "backdate_days"):
        plain.pop(name, None)
    other = {
        **other,
        "visits": rules["visits"],
        "earning": {**plain, **earning},
        "tiers": {**shared, "levels": levels},
        "promotions": [],
        "rewards": [],
    }
    ledgers = [
        opened(
            [{**rules, "tiers": shared, "promotions": [], "rewards": []}],
            "Europe/Berlin",
            [0, 0, 0],
        ),
        opened([other], "Europe/Berlin", [0, 0, 0]),
    ]
    for step, command in zip(steps, played(ledgers[0], steps), strict=True):
        ledgers[1].now = ledgers[0].now
        for ledger in ledgers:
            if step.kind != "do":
                ledger.write(command)

    for name in NAMES:
        first, second = ledgers
        for ledger in ledgers:
            ledger.settle(name)  # who refers somebody is settled sooner than who does not
        assert about_tiers(first, name) == about_tiers(second, name)
        assert first.accounts[name].tier == second.accounts[name].tier


# -- size -----------------------------------------------------------------------------------------

EVERYTHING = document(
    {"pending_days": 3, "backdate_days": 30, "caps": {"per_day": 1000}},
    visits={"minimum": "3.00", "per_day": 2},
    expiry={"after_months": 1},
    bonuses=[
        {"id": "birthday", "on": "BIRTHDAY", "points": 10, "expires_days": 5},
        {"id": "anniversary", "on": "MEMBERSHIP_ANNIVERSARY", "points": 10},
        {"id": "tenth", "on": "EVERY_NTH_VISIT", "n": 10, "points": 10},
        {"id": "miss-you", "on": "INACTIVE_DAYS", "n": 2, "points": 10},
        {
            "id": "survey",
            "on": "ACTIVITY",
            "activity": "survey",
            "points": 1,
            "per_member": {"count": 2, "days": 9},
        },
    ],
    promotions=[{"id": "double", "multiplier": "2", "weekdays": ["TUE"], "once_per_member": True}],
)


@pytest.mark.parametrize(
    "period", [{"rolling_days": 365}, {"calendar_year": {}}, {"membership_year": {}}], ids=str
)
def test_ten_years_of_visits_take_no_more_room_than_one(period: Document) -> None:
    levels = [
        {"id": "member"},
        {"id": "silver", "visits": 10, "multiplier": "1.5", "entry_bonus": 5},
        {"id": "gold", "visits": 50, "multiplier": "2", "entry_bonus": 5},
    ]
    rules = {**EVERYTHING, "tiers": {"period": period, "levels": levels}}
    ledger = MemoryLedger(rules, now="2025-01-01T08:00Z", zone="Europe/Berlin")
    ledger.enroll(birthday=229)
    sizes = {}
    today = local_day(ledger.now, ledger.program.zone) + 365
    for number in range(3652):
        ledger.now = day_start(today + number, ledger.program.zone) + 9 * 60 * MINUTE
        ledger.buy("10.00")
        if number % 3 == 0:
            ledger.do("survey")
        # Both years have 365 days, and end on 31 December.
        if number + 1 in (365, 3652):
            sizes[number + 1] = size(ledger.accounts["ann"])
            assert ledger.tier().tier_id == "gold"

    assert ledger.now == at("2035-12-31T09:00+01:00")
    assert sizes[3652] <= sizes[365]
    ledger.answered.clear()
    assert ledger.verify() == []


def size(account: Account) -> int:
    """Bytes of an account, but for the digits of what only ever counts up."""
    marks = tuple(
        Mark(mark.rule, (1,)) if mark.rule.startswith("visit:") else mark for mark in account.marks
    )
    return len(
        encode(msgspec.structs.replace(account, version=1, lifetime=1, visits=1, marks=marks))
    )


# -- budgets --------------------------------------------------------------------------------------


def drawn_on(ledger: MemoryLedger, promotion_id: str) -> int:
    """Points that a promotion has given, over all members."""
    return sum(
        line.points
        for journal in ledger.journals.values()
        for entry in journal
        for line in entry.data.breakdown
        if line.rule == f"promotion:{promotion_id}"
    )


@settings(max_examples=150)
@given(
    budgets=st.lists(st.integers(1, 120), min_size=1, max_size=3),
    gives=st.sampled_from([{"points": 17}, {"multiplier": "1.7"}, {"multiplier": "3"}]),
    capped=st.booleans(),
    steps=STEPS,
)
def test_a_budget_is_never_overspent(
    budgets: list[int], gives: Document, capped: bool, steps: list[Step]
) -> None:
    """The budget is that of the version under which a purchase is computed."""
    published = [
        document(
            {"caps": {"per_purchase": 40} if capped else {}, "backdate_days": 60},
            promotions=[
                {"id": "launch", **gives, "budget": budget},
                {"id": "beside", "points": 1},
            ],
        )
        for budget in budgets
    ]
    ledger = opened(published, "Europe/Berlin", [0, 0, 0])
    for command in played(ledger, [step for step in steps if step.kind == "buy"]):
        before = drawn_on(ledger, "launch")
        outcome = ledger.write(command)
        if not isinstance(outcome, Receipt):
            continue
        bought = outcome.entries[0]
        after = drawn_on(ledger, "launch")
        budget = budgets[bought.rules_version - 1]
        wanted = ledger.decide(
            msgspec.structs.replace(command, request_id="again", purchase_id="again")
        )
        assert after <= max(budget, before)
        assert ledger.budgets.get("launch", 0) == after
        # Who comes when it is used up gets nothing more of it, and who comes before gets it all.
        if after >= budget:
            assert "promotion:launch" not in {
                line.rule for line in wanted.entries[wanted.own].data.breakdown
            }
    assert drawn_on(ledger, "launch") <= max(budgets)


def test_the_last_one_gets_what_is_left() -> None:
    promotion = {"id": "launch", "points": 30, "budget": 70}
    ledger = MemoryLedger(document(promotions=[promotion]))
    for name in NAMES:
        ledger.enroll(name)

    got = [ledger.buy("10.00", NAMES[number % 3]).entries[0].points - 10 for number in range(4)]

    assert got == [30, 30, 10, 0]

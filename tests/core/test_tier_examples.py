"""Tiers, bonuses and promotions by worked examples: on clock changes, 29 February, ends of years,
and in zones far from UTC. Expected instants are written as clocks of the zone show them.
"""

from __future__ import annotations

from typing import Any

import pytest

from ledger.core.instants import MINUTE, SECOND
from ledger.core.model import Entry, Receipt
from tests.memory import Document, MemoryLedger, at, document

FOR_YEARS = "2035-01-01T00:00Z"
LEVELS: list[dict[str, Any]] = [
    {"id": "member", "name": "Member"},
    {"id": "silver", "name": "Silver", "visits": 10, "multiplier": "1.25"},
    {
        "id": "gold",
        "name": "Gold",
        "visits": 25,
        "spend": "500.00",
        "match": "ANY",
        "multiplier": "1.5",
        "entry_bonus": 100,
    },
]
COFFEE_SHOP = document(
    {
        "exclude_categories": ["gift-card", "tobacco"],
        "caps": {"per_purchase": 5000, "per_day": 10000},
    },
    visits={"minimum": "3.00", "per_day": 1},
    tiers={
        "period": {"rolling_days": 365},
        "levels": LEVELS,
        "keep_months": 12,
        "grace_days": 30,
        "downgrade": "ONE_LEVEL",
    },
    expiry={"after_months": 12},
    bonuses=[
        {"id": "tenth-visit", "on": "EVERY_NTH_VISIT", "n": 10, "points": 150},
        {"id": "big-basket", "on": "PURCHASE_OVER", "amount": "200.00", "points": 250},
    ],
    promotions=[
        {
            "id": "double-tuesday",
            "multiplier": "2",
            "weekdays": ["TUE"],
            "from": "2027-01-01",
            "until": "2027-03-31",
            "categories": ["coffee"],
        }
    ],
)


def two_levels(**tiers: Any) -> Document:
    """Rules by which one visit is enough for silver."""
    levels = [{"id": "member"}, {"id": "silver", "visits": 1}]
    period = {"rolling_days": 365}
    return document(tiers={"period": period, "levels": levels, **tiers})


def shop(
    rules: Document = COFFEE_SHOP, *, enrolled: str, zone: str = "Europe/Berlin"
) -> MemoryLedger:
    """A ledger with ann, enrolled at an instant that is also its present."""
    ledger = MemoryLedger(rules, now=enrolled, zone=zone)
    ledger.enroll()
    return ledger


def breakdown(receipt: Receipt) -> list[tuple[str, int]]:
    [bought] = [entry for entry in receipt.entries if entry.kind == "PURCHASE"]
    return [(line.rule, line.points) for line in bought.data.breakdown]


def told(entry: Entry) -> tuple[str, str]:
    """What an entry is about: the reason of a tier's change, the rule of a bonus, or its kind."""
    what = entry.kind
    if entry.data.why is not None:
        what = entry.data.why.reason
    elif entry.kind == "BONUS":
        what = entry.data.breakdown[0].rule
    return what, entry.tier_id


def given(ledger: MemoryLedger, rule: str, member_id: str = "ann") -> list[int]:
    """When a bonus was given."""
    return [
        entry.effective_time
        for entry in ledger.journal(member_id)
        if entry.kind == "BONUS" and entry.data.breakdown[0].rule == f"bonus:{rule}"
    ]


# -- the examples of the specification ------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "tier", "amount", "lines", "expected"),
    [
        pytest.param("2026-01-10T09:00Z", "member", "12.99", {}, [("base", 12)], id="1"),
        pytest.param(
            "2026-01-10T09:00Z", "gold", "12.99", {}, [("base", 12), ("tier:gold", 6)], id="2"
        ),
        pytest.param(
            "2026-01-10T09:00Z",
            "silver",
            "12.99",
            {"gift-card": "5.00", "": "7.99"},
            [("base", 7), ("tier:silver", 1)],
            id="3",
        ),
        pytest.param(
            "2027-01-05T12:00Z",
            "gold",
            "13.40",
            {"coffee": "10.00", "other": "3.40"},
            [("base", 13), ("tier:gold", 6), ("promotion:double-tuesday", 10)],
            id="4",
        ),
        pytest.param(
            "2026-01-10T09:00Z",
            "member",
            "6000.00",
            {},
            [("base", 6000), ("bonus:big-basket", 250), ("cap:per_purchase", -1250)],
            id="5",
        ),
    ],
)
def test_what_a_purchase_earns(
    now: str, tier: str, amount: str, lines: dict[str, str], expected: list[tuple[str, int]]
) -> None:
    ledger = shop(enrolled="2026-01-10T09:00Z")
    if tier != "member":
        ledger.override(tier, FOR_YEARS)
    ledger.now = at(now)

    assert breakdown(ledger.buy(amount, lines=lines)) == expected


@pytest.mark.parametrize(
    ("bought", "after_months", "expires"),
    [
        pytest.param("2026-07-06T12:00Z", 12, "2027-07-31T22:00Z", id="6"),
        pytest.param("2026-02-28T23:30Z", 12, "2027-03-31T22:00Z", id="7"),
        pytest.param("2025-01-31T12:00Z", 1, "2025-02-28T23:00Z", id="8"),
    ],
)
def test_when_a_lot_expires(bought: str, after_months: int, expires: str) -> None:
    ledger = shop({**COFFEE_SHOP, "expiry": {"after_months": after_months}}, enrolled=bought)

    ledger.buy("10.00")

    [lot] = ledger.accounts["ann"].lots
    assert (lot.expire_time, lot.points) == (at(expires), 10)


def test_example_15_ten_visits_make_silver() -> None:
    ledger = shop(enrolled="2026-01-10T09:00Z")
    for _ in range(9):
        assert breakdown(ledger.buy("5.00")) == [("base", 5)]
        ledger.now += 24 * 60 * MINUTE

    tenth = ledger.buy("5.00")

    assert breakdown(tenth) == [("base", 5), ("bonus:tenth-visit", 150)]
    assert [told(entry) for entry in tenth.entries] == [
        ("PURCHASE", "member"),
        ("PROMOTED", "silver"),
    ]
    assert breakdown(ledger.buy("5.00")) == [("base", 5), ("tier:silver", 1)]
    why = tenth.entries[1].data.why
    assert why is not None
    assert (why.from_tier, why.visits, why.visits_needed, why.spend) == ("member", 10, 10, 5000)


def test_example_16_two_purchases_of_a_day_are_one_visit() -> None:
    ledger = shop(enrolled="2026-01-10T09:00Z")

    ledger.buy("5.00")
    ledger.buy("5.00")

    assert (ledger.tier().visits, ledger.tier().spend) == (1, 1000)


def test_example_17_silver_is_kept_through_its_grace() -> None:
    levels = [LEVELS[0], {**LEVELS[1], "visits": 1}]
    rules = {**COFFEE_SHOP, "tiers": {**COFFEE_SHOP["tiers"], "levels": levels}}
    ledger = shop(rules, enrolled="2026-01-10T09:00Z")
    ledger.now = at("2026-05-20T12:00Z")
    ledger.buy("5.00")

    status = ledger.tier()
    assert status.valid_until_time == at("2027-06-01T00:00+02:00")
    assert status.grace_until_time == at("2027-07-01T00:00+02:00")
    ledger.now = at("2027-07-01T00:00+02:00") - 1
    assert ledger.tier().tier_id == "silver"
    ledger.now += 1
    assert ledger.tier().tier_id == "member"
    lowered = ledger.settle()[-1]
    assert told(lowered) == ("LOWERED", "member")
    assert lowered.effective_time == at("2027-07-01T00:00+02:00")
    assert ledger.tier().valid_until_time is None


# -- how long a tier is kept ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "bought", "keep_months", "grace_days", "valid_until", "grace_until"),
    [
        pytest.param(
            *("Europe/Berlin", "2026-03-31T23:59:59+02:00", 12, 0),
            *("2027-04-01T00:00+02:00", "2027-04-01T00:00+02:00"),
            id="the last second of March",
        ),
        pytest.param(
            *("Europe/Berlin", "2026-04-01T00:00+02:00", 12, 0),
            *("2027-05-01T00:00+02:00", "2027-05-01T00:00+02:00"),
            id="the first of April",
        ),
        pytest.param(
            *("Europe/Berlin", "2026-02-28T12:00+01:00", 1, 30),
            *("2026-04-01T00:00+02:00", "2026-05-01T00:00+02:00"),
            id="summer time comes before the end",
        ),
        pytest.param(
            *("Europe/Berlin", "2026-08-31T12:00+02:00", 1, 30),
            *("2026-10-01T00:00+02:00", "2026-10-31T00:00+01:00"),
            id="summer time ends within the grace",
        ),
        pytest.param(
            *("Europe/Berlin", "2028-02-29T12:00+01:00", 12, 25),
            *("2029-03-01T00:00+01:00", "2029-03-26T00:00+02:00"),
            id="earned on 29 February, a grace that ends after the clock has changed",
        ),
        pytest.param(
            *("Europe/Berlin", "2027-01-31T12:00+01:00", 13, 0),
            *("2028-03-01T00:00+01:00", "2028-03-01T00:00+01:00"),
            id="to the end of a February with 29 days",
        ),
        pytest.param(
            *("Africa/Cairo", "2026-02-10T12:00+02:00", 1, 23),
            *("2026-04-01T00:00+02:00", "2026-04-24T01:00+03:00"),
            id="the grace ends on a day that begins at one",
        ),
        pytest.param(
            *("Pacific/Kiritimati", "2026-12-31T23:59:59+14:00", 1, 1),
            *("2027-02-01T00:00+14:00", "2027-02-02T00:00+14:00"),
            id="still the old year on Kiritimati",
        ),
        pytest.param(
            *("Pacific/Kiritimati", "2026-12-31T10:00Z", 1, 1),
            *("2027-03-01T00:00+14:00", "2027-03-02T00:00+14:00"),
            id="the new year on Kiritimati",
        ),
        pytest.param(
            *("Pacific/Honolulu", "2027-01-01T09:59:59Z", 1, 30),
            *("2027-02-01T00:00-10:00", "2027-03-03T00:00-10:00"),
            id="still the old year in Honolulu",
        ),
        pytest.param(
            *("Pacific/Honolulu", "2027-01-01T10:00Z", 1, 30),
            *("2027-03-01T00:00-10:00", "2027-03-31T00:00-10:00"),
            id="the new year in Honolulu",
        ),
    ],
)
def test_a_tier_is_kept_to_the_end_of_a_local_month(
    zone: str, bought: str, keep_months: int, grace_days: int, valid_until: str, grace_until: str
) -> None:
    rules = two_levels(period={"rolling_days": 1}, keep_months=keep_months, grace_days=grace_days)
    ledger = shop(rules, enrolled=bought, zone=zone)
    ledger.buy("10.00")

    status = ledger.tier()
    assert status.tier_id == "silver"
    assert status.valid_until_time == at(valid_until)
    assert status.grace_until_time == at(grace_until)
    ledger.now = at(grace_until) - 1
    assert ledger.settle() == ()
    ledger.now = at(grace_until) + 40 * MINUTE
    [lowered] = ledger.settle()
    assert (told(lowered), lowered.effective_time) == (("LOWERED", "member"), at(grace_until))


@pytest.mark.parametrize(
    ("zone", "bought", "valid_until"),
    [
        ("Europe/Berlin", "2026-12-31T23:59:59+01:00", "2028-01-01T00:00+01:00"),
        ("Europe/Berlin", "2027-01-01T00:00+01:00", "2029-01-01T00:00+01:00"),
        ("Pacific/Kiritimati", "2026-12-31T09:59:59Z", "2028-01-01T00:00+14:00"),
        ("Pacific/Kiritimati", "2026-12-31T10:00Z", "2029-01-01T00:00+14:00"),
        ("Pacific/Honolulu", "2027-01-01T09:59:59Z", "2028-01-01T00:00-10:00"),
        ("Pacific/Honolulu", "2027-01-01T10:00Z", "2029-01-01T00:00-10:00"),
        ("Europe/Berlin", "2028-02-29T12:00+01:00", "2030-01-01T00:00+01:00"),
    ],
)
def test_a_tier_of_a_calendar_year_is_kept_through_the_next(
    zone: str, bought: str, valid_until: str
) -> None:
    rules = two_levels(period={"calendar_year": {}}, grace_days=31)
    ledger = shop(rules, enrolled=bought, zone=zone)
    ledger.buy("10.00")

    assert ledger.tier().valid_until_time == at(valid_until)
    # Nothing of the years before counts any more when the grace is over.
    grace_until = ledger.tier().grace_until_time
    assert grace_until is not None
    ledger.now = grace_until - 1
    ledger.settle()
    assert ledger.tier().tier_id == "silver"
    ledger.now += 1
    [lowered] = ledger.settle()
    assert told(lowered) == ("LOWERED", "member")


FOUR_LEVELS: list[dict[str, Any]] = [
    {"id": "member"},
    {"id": "silver", "visits": 1, "entry_bonus": 5},
    {"id": "gold", "visits": 2, "entry_bonus": 6},
    {"id": "platinum", "visits": 3, "spend": "500.00", "match": "ANY", "entry_bonus": 7},
]


def changes(ledger: MemoryLedger) -> list[tuple[str, str]]:
    return [told(entry) for entry in ledger.journal() if entry.kind == "TIER_CHANGE"]


@pytest.mark.parametrize(
    ("downgrade", "visits_in_grace", "expected"),
    [
        ("ONE_LEVEL", 0, ("LOWERED", "gold")),
        ("ONE_LEVEL", 1, ("LOWERED", "gold")),
        ("TO_QUALIFIED", 0, ("LOWERED", "member")),
        ("TO_QUALIFIED", 1, ("LOWERED", "silver")),
        ("TO_QUALIFIED", 2, ("LOWERED", "gold")),
        ("NEVER", 0, ("RENEWED", "platinum")),
    ],
)
def test_what_is_held_when_the_grace_is_over(
    downgrade: str, visits_in_grace: int, expected: tuple[str, str]
) -> None:
    rules = two_levels(
        period={"rolling_days": 30},
        levels=FOUR_LEVELS,
        keep_months=1,
        grace_days=30,
        downgrade=downgrade,
    )
    ledger = shop(rules, enrolled="2026-01-10T09:00Z")
    ledger.buy("500.00")
    for day in range(visits_in_grace):
        ledger.now = at(f"2026-03-{20 + day}T12:00Z")
        ledger.buy("10.00")
    over = at("2026-03-31T00:00+02:00")
    assert ledger.tier().grace_until_time == over

    ledger.now = over
    ledger.settle()

    assert changes(ledger) == [("PROMOTED", "platinum"), expected]
    if expected[1] != "member":
        # What is then held is kept by the same rule, counted from that day.
        assert ledger.tier().valid_until_time == at("2026-05-01T00:00+02:00")


def test_a_tier_that_is_still_earned_is_renewed() -> None:
    rules = two_levels(period={"rolling_days": 365}, levels=FOUR_LEVELS, keep_months=1)
    ledger = shop(rules, enrolled="2026-01-10T09:00Z")
    ledger.buy("10.00")

    ledger.now = at("2026-03-01T00:00+01:00")
    [renewed] = ledger.settle()

    assert told(renewed) == ("RENEWED", "silver")
    assert ledger.tier().valid_until_time == at("2026-05-01T00:00+02:00")
    assert ledger.tier().since_time == at("2026-01-10T09:00Z")
    ledger.now = at("2027-06-01T00:00Z")
    ledger.settle()
    assert changes(ledger)[-1] == ("LOWERED", "member")


def test_a_shorter_rule_takes_nothing_from_a_level_earned_again() -> None:
    ledger = shop(two_levels(keep_months=12, grace_days=30), enrolled="2026-01-10T09:00Z")
    ledger.buy("10.00")
    promised = ledger.tier()
    ledger.publish(two_levels(keep_months=1), at("2026-01-11T00:00Z"))
    ledger.now = at("2026-06-01T09:00Z")

    ledger.buy("10.00")

    assert ledger.tier().valid_until_time == promised.valid_until_time
    assert ledger.tier().grace_until_time == promised.grace_until_time


def test_an_override_ends_when_what_is_earned_has_come_as_far() -> None:
    ledger = shop(two_levels(levels=FOUR_LEVELS), enrolled="2026-01-10T09:00Z")
    ledger.override("gold", "2026-12-01T00:00Z")
    ledger.buy("10.00")
    assert (ledger.tier().tier_id, ledger.tier().overridden) == ("gold", True)
    ledger.now = at("2026-01-11T09:00Z")

    ledger.buy("10.00")

    assert changes(ledger) == [("OVERRIDDEN", "gold"), ("PROMOTED", "gold"), ("PROMOTED", "gold")]
    assert (ledger.tier().tier_id, ledger.tier().overridden) == ("gold", False)
    ledger.now = at("2026-12-02T00:00Z")
    assert ledger.settle() == ()


@pytest.mark.parametrize(
    ("rolling_days", "promoted", "given_on"),
    [
        # On 1 September, 6 July is the first of 58 days: it counts, and so does its bonus.
        (58, ["2026-07-06", "2026-09-01"], ["2026-07-06"]),
        (57, ["2026-07-06", "2026-09-02"], ["2026-07-06", "2026-09-02"]),
    ],
)
def test_an_entry_bonus_comes_once_in_a_window(
    rolling_days: int, promoted: list[str], given_on: list[str]
) -> None:
    levels = [{"id": "member"}, {"id": "silver", "visits": 2, "entry_bonus": 5}]
    rules = two_levels(period={"rolling_days": rolling_days}, levels=levels, keep_months=1)
    ledger = shop(rules, enrolled="2026-07-05T09:00Z")
    for day in ("2026-07-05", "2026-07-06", "2026-09-01", "2026-09-02"):
        ledger.now = at(f"{day}T10:00Z")
        ledger.buy("10.00")

    reached = [entry for entry in ledger.journal() if told(entry)[0] == "PROMOTED"]
    bonuses = [entry for entry in ledger.journal() if told(entry)[0] == "entry:silver"]
    assert [entry.effective_time for entry in reached] == [at(f"{d}T10:00Z") for d in promoted]
    assert [entry.effective_time for entry in bonuses] == [at(f"{d}T10:00Z") for d in given_on]
    assert changes(ledger)[1] == ("LOWERED", "member")


@pytest.mark.parametrize(("amount", "visits"), [("2.99", 0), ("3.00", 1), ("3.01", 1), ("0.00", 0)])
def test_a_purchase_of_the_minimum_is_a_visit(amount: str, visits: int) -> None:
    ledger = shop(enrolled="2026-01-10T09:00Z")
    ledger.buy(amount)
    assert ledger.tier().visits == visits


def test_a_free_purchase_is_no_visit_where_there_is_no_minimum() -> None:
    ledger = shop(two_levels(), enrolled="2026-01-10T09:00Z")
    ledger.buy("0.00")
    assert (ledger.tier().visits, ledger.tier().tier_id) == (0, "member")
    ledger.buy("0.01")
    assert (ledger.tier().visits, ledger.tier().tier_id) == (1, "silver")


# -- what is counted ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "bought", "visits"),
    [
        pytest.param(
            *("Pacific/Honolulu", ["2026-01-10T20:00Z", "2026-01-11T09:59:59Z"], 1),
            id="one day in Honolulu, two in Greenwich",
        ),
        pytest.param(
            *("Pacific/Kiritimati", ["2026-01-10T09:59:59Z", "2026-01-10T10:00Z"], 2),
            id="two days on Kiritimati, one in Greenwich",
        ),
        pytest.param(
            *("Europe/Berlin", ["2026-10-25T00:00+02:00", "2026-10-25T23:59:59+01:00"], 1),
            id="a day of 25 hours",
        ),
        pytest.param(
            *("Europe/Berlin", ["2026-10-24T22:00Z", "2026-10-25T23:00Z"], 2),
            id="25 hours later",
        ),
        pytest.param(
            *("Europe/Berlin", ["2026-03-29T00:00+01:00", "2026-03-29T22:00Z"], 2),
            id="23 hours later",
        ),
        pytest.param(
            *("Europe/Berlin", ["2026-12-31T23:59:59+01:00", "2027-01-01T00:00+01:00"], 2),
            id="New Year's Eve",
        ),
    ],
)
def test_a_visit_is_a_local_day(zone: str, bought: list[str], visits: int) -> None:
    ledger = shop(two_levels(), enrolled=bought[0], zone=zone)
    for instant in bought:
        ledger.now = at(instant)
        ledger.buy("10.00")

    assert ledger.tier().visits == visits


YEAR: Document = {"calendar_year": {}}
MEMBERSHIP: Document = {"membership_year": {}}


@pytest.mark.parametrize(
    ("period", "zone", "enrolled", "bought", "counts_until"),
    [
        pytest.param(
            *({"rolling_days": 1}, "Europe/Berlin", "2026-03-01T12:00Z"),
            *("2026-03-28T12:00Z", "2026-03-29T00:00+01:00"),
            id="a window of one day",
        ),
        pytest.param(
            *({"rolling_days": 7}, "Europe/Berlin", "2026-03-01T12:00Z"),
            *("2026-03-25T12:00Z", "2026-04-01T00:00+02:00"),
            id="seven days with 23 hours in one",
        ),
        pytest.param(
            *({"rolling_days": 365}, "Pacific/Kiritimati", "2027-02-01T12:00Z"),
            *("2027-03-01T00:00+14:00", "2028-02-29T00:00+14:00"),
            id="365 days with 29 February among them",
        ),
        pytest.param(
            *(YEAR, "Pacific/Kiritimati", "2026-06-01T12:00Z"),
            *("2026-01-01T00:00+14:00", "2027-01-01T00:00+14:00"),
            id="a year on Kiritimati",
        ),
        pytest.param(
            *(YEAR, "Pacific/Honolulu", "2026-06-01T12:00Z"),
            *("2026-12-31T23:59:59-10:00", "2027-01-01T00:00-10:00"),
            id="a year in Honolulu",
        ),
        pytest.param(
            *(MEMBERSHIP, "Europe/Berlin", "2026-07-06T23:30+02:00"),
            *("2027-07-05T12:00Z", "2027-07-06T00:00+02:00"),
            id="a year of membership",
        ),
        pytest.param(
            *(MEMBERSHIP, "Europe/Berlin", "2028-02-29T12:00Z"),
            *("2028-02-29T12:00Z", "2029-02-28T00:00+01:00"),
            id="from 29 February to the 28th",
        ),
        pytest.param(
            *(MEMBERSHIP, "Europe/Berlin", "2028-02-29T12:00Z"),
            *("2032-02-28T23:59:59+01:00", "2032-02-29T00:00+01:00"),
            id="to 29 February in a year that has it",
        ),
        pytest.param(
            *(MEMBERSHIP, "Pacific/Kiritimati", "2026-12-31T10:00Z"),
            *("2027-12-31T23:59:59+14:00", "2028-01-01T00:00+14:00"),
            id="enrolled in the first second of a year",
        ),
        pytest.param(
            *(MEMBERSHIP, "Pacific/Honolulu", "2027-01-01T09:59:59Z"),
            *("2027-12-30T23:59:59-10:00", "2027-12-31T00:00-10:00"),
            id="enrolled in the last second of a year",
        ),
    ],
)
def test_what_a_period_counts(
    period: Document, zone: str, enrolled: str, bought: str, counts_until: str
) -> None:
    rules = two_levels(period=period)
    rules["earning"]["backdate_days"] = 366
    ledger = shop(rules, enrolled=enrolled, zone=zone)
    ledger.now = max(ledger.now, at(bought))
    ledger.buy("10.00", when=bought)

    ledger.now = at(counts_until) - 1
    assert (ledger.tier().visits, ledger.tier().spend) == (1, 1000)
    ledger.now += 1
    assert (ledger.tier().visits, ledger.tier().spend) == (0, 0)


def test_a_late_purchase_counts_on_its_day_and_promotes_when_it_is_told() -> None:
    levels = [{"id": "member"}, {"id": "silver", "visits": 2, "entry_bonus": 5}]
    rules = two_levels(period={"rolling_days": 30}, levels=levels, keep_months=1)
    ledger = shop(rules, enrolled="2026-01-01T12:00Z")
    ledger.now = at("2026-02-10T12:00Z")
    ledger.buy("10.00")

    # Of these the first is out of the window of today, though not of that of the next.
    early = ledger.buy("10.00", when="2026-01-11T12:00Z")
    late = ledger.buy("10.00", when="2026-01-12T12:00Z")

    assert [told(entry) for entry in early.entries] == [("PURCHASE", "member")]
    assert [told(entry) for entry in late.entries] == [
        ("PURCHASE", "member"),
        ("PROMOTED", "silver"),
        ("entry:silver", "silver"),
    ]
    promoted = late.entries[1]
    assert promoted.effective_time == ledger.now
    assert ledger.tier().valid_until_time == at("2026-04-01T00:00+02:00")


# -- birthdays, anniversaries, win-backs ----------------------------------------------------------

BIRTHDAY = {"id": "cake", "on": "BIRTHDAY", "points": 200, "expires_days": 1}
ANNIVERSARY = {"id": "thanks", "on": "MEMBERSHIP_ANNIVERSARY", "points": 100}


@pytest.mark.parametrize(
    ("zone", "birthday", "enrolled", "until", "expected"),
    [
        pytest.param(
            *("Europe/Berlin", 229, "2026-06-01T12:00Z", "2029-06-01T12:00Z"),
            [
                "2027-02-28T00:00+01:00",
                "2028-02-29T00:00+01:00",
                "2029-02-28T00:00+01:00",
            ],
            id="born on 29 February",
        ),
        pytest.param(
            *("Europe/Berlin", 228, "2027-06-01T12:00Z", "2029-06-01T12:00Z"),
            ["2028-02-28T00:00+01:00", "2029-02-28T00:00+01:00"],
            id="born on 28 February",
        ),
        pytest.param(
            *("Europe/Berlin", 329, "2025-06-01T12:00Z", "2027-06-01T12:00Z"),
            ["2026-03-29T00:00+01:00", "2027-03-29T00:00+02:00"],
            id="on the day summer time begins, and the day after",
        ),
        pytest.param(
            *("Africa/Cairo", 424, "2025-06-01T12:00Z", "2027-06-01T12:00Z"),
            ["2026-04-24T01:00+03:00", "2027-04-24T00:00+02:00"],
            id="on a day that begins at one",
        ),
        pytest.param(
            *("Pacific/Kiritimati", 101, "2026-06-01T12:00Z", "2027-12-31T10:00Z"),
            ["2026-12-31T10:00Z", "2027-12-31T10:00Z"],
            id="New Year on Kiritimati",
        ),
        pytest.param(
            *("Pacific/Kiritimati", 101, "2026-06-01T12:00Z", "2027-12-31T09:59:59Z"),
            ["2026-12-31T10:00Z"],
            id="New Year on Kiritimati is yet to come",
        ),
        pytest.param(
            *("Pacific/Honolulu", 1231, "2026-06-01T12:00Z", "2028-01-01T12:00Z"),
            ["2026-12-31T10:00Z", "2027-12-31T10:00Z"],
            id="New Year's Eve in Honolulu",
        ),
        pytest.param(
            *("Europe/Berlin", 601, "2026-06-01T00:00+02:00", "2027-12-01T12:00Z"),
            ["2027-06-01T00:00+02:00"],
            id="enrolled in the first moment of a birthday",
        ),
        pytest.param(
            *("Europe/Berlin", 601, "2026-05-31T23:59:59+02:00", "2026-12-01T12:00Z"),
            ["2026-06-01T00:00+02:00"],
            id="enrolled in the last second before a birthday",
        ),
        pytest.param(
            "Europe/Berlin", 0, "2026-06-01T12:00Z", "2030-06-01T12:00Z", [], id="unknown"
        ),
    ],
)
def test_a_birthday_begins_with_the_local_day(
    zone: str, birthday: int, enrolled: str, until: str, expected: list[str]
) -> None:
    ledger = MemoryLedger(document(bonuses=[BIRTHDAY]), now=enrolled, zone=zone)
    ledger.enroll(birthday=birthday)
    ledger.now = at(until)
    ledger.settle()

    assert given(ledger, "cake") == [at(instant) for instant in expected]
    assert {e.actor for e in ledger.journal() if e.kind == "BONUS"} <= {"time"}


def test_a_birthday_that_passed_before_the_bonus_was_there_is_over() -> None:
    ledger = MemoryLedger(document(), now="2026-01-10T12:00Z")
    ledger.enroll(birthday=601)
    ledger.publish(document(bonuses=[BIRTHDAY]), at("2027-06-01T00:00+02:00") + SECOND)
    ledger.publish(document(), at("2029-06-01T00:00+02:00"))
    ledger.now = at("2031-01-01T00:00Z")
    ledger.settle()

    assert given(ledger, "cake") == [at("2028-06-01T00:00+02:00")]


def test_a_late_enrolment_is_given_the_birthdays_since() -> None:
    ledger = MemoryLedger(document(bonuses=[BIRTHDAY]), now="2026-06-20T12:00Z")
    ledger.enroll(birthday=601, effective_time=at("2026-05-25T12:00Z"))

    assert given(ledger, "cake") == [at("2026-06-01T00:00+02:00")]
    # It lived through the day after, and that is over.
    assert (ledger.accounts["ann"].available, ledger.accounts["ann"].lifetime) == (0, 200)


@pytest.mark.parametrize(
    ("zone", "enrolled", "until", "expected"),
    [
        pytest.param(
            *("Europe/Berlin", "2028-02-29T12:00Z", "2032-06-01T12:00Z"),
            [
                "2029-02-28T00:00+01:00",
                "2030-02-28T00:00+01:00",
                "2031-02-28T00:00+01:00",
                "2032-02-29T00:00+01:00",
            ],
            id="29 February",
        ),
        pytest.param(
            *("Pacific/Kiritimati", "2026-12-31T10:00Z", "2028-06-01T12:00Z"),
            ["2028-01-01T00:00+14:00"],
            id="the first of January on Kiritimati",
        ),
        pytest.param(
            *("Pacific/Honolulu", "2027-01-01T09:59:59Z", "2028-06-01T12:00Z"),
            ["2027-12-31T00:00-10:00"],
            id="the last of December in Honolulu",
        ),
        pytest.param(
            *("Europe/Berlin", "2026-03-28T23:30Z", "2028-06-01T12:00Z"),
            ["2027-03-29T00:00+02:00", "2028-03-29T00:00+02:00"],
            id="the day summer time began",
        ),
    ],
)
def test_an_anniversary_is_of_the_local_day(
    zone: str, enrolled: str, until: str, expected: list[str]
) -> None:
    ledger = shop(document(bonuses=[ANNIVERSARY]), enrolled=enrolled, zone=zone)
    ledger.now = at(until)
    ledger.settle()

    assert given(ledger, "thanks") == [at(instant) for instant in expected]


def win_back(n: int) -> Document:
    return {"id": "miss-you", "on": "INACTIVE_DAYS", "n": n, "points": 100, "expires_days": 30}


@pytest.mark.parametrize(
    ("zone", "n", "enrolled", "bought", "until", "expected"),
    [
        pytest.param(
            *("Europe/Berlin", 1, "2026-03-28T12:00+01:00", []),
            *("2026-05-01T12:00Z", ["2026-03-29T00:00+01:00"]),
            id="the day summer time begins",
        ),
        pytest.param(
            *("Europe/Berlin", 2, "2026-03-28T12:00+01:00", []),
            *("2026-05-01T12:00Z", ["2026-03-30T00:00+02:00"]),
            id="the day after",
        ),
        pytest.param(
            *("Europe/Berlin", 90, "2026-12-02T12:00Z", ["2027-03-01T23:59:59+01:00"]),
            *("2028-01-01T12:00Z", ["2027-05-30T00:00+02:00"]),
            id="in the last second a visit",
        ),
        pytest.param(
            *("Europe/Berlin", 90, "2026-12-02T12:00Z", ["2027-03-02T00:00+01:00"]),
            *("2028-01-01T12:00Z", ["2027-03-02T00:00+01:00", "2027-05-31T00:00+02:00"]),
            id="once each time that somebody stays away",
        ),
        pytest.param(
            *("Europe/Berlin", 60, "2027-12-31T12:00Z", []),
            *("2029-01-01T12:00Z", ["2028-02-29T00:00+01:00"]),
            id="29 February",
        ),
        pytest.param(
            *("Pacific/Kiritimati", 1, "2026-12-30T10:00Z", []),
            *("2027-06-01T12:00Z", ["2027-01-01T00:00+14:00"]),
            id="over the end of a year on Kiritimati",
        ),
        pytest.param(
            *("Pacific/Honolulu", 1, "2027-01-01T09:59:59Z", []),
            *("2027-06-01T12:00Z", ["2027-01-01T00:00-10:00"]),
            id="over the end of a year in Honolulu",
        ),
    ],
)
def test_a_win_back_comes_with_the_nth_local_day(
    zone: str, n: int, enrolled: str, bought: list[str], until: str, expected: list[str]
) -> None:
    ledger = shop(document(bonuses=[win_back(n)]), enrolled=enrolled, zone=zone)
    for instant in bought:
        ledger.now = at(instant)
        ledger.buy("10.00")
    ledger.now = at(until)
    ledger.settle()

    assert given(ledger, "miss-you") == [at(instant) for instant in expected]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(None, 30, "2026-07-01T00:00+02:00", id="new: counted from its day"),
        pytest.param(365, 30, "2026-07-01T00:00+02:00", id="changed: counted as if it were new"),
        pytest.param(200, 200, "2026-07-20T00:00+02:00", id="unchanged"),
        pytest.param(30, 200, "2026-01-31T00:00+01:00", id="once while somebody stays away"),
    ],
)
def test_a_new_rule_does_not_look_back(before: int | None, after: int, expected: str) -> None:
    first = document(bonuses=[win_back(before)] if before is not None else [])
    ledger = shop(first, enrolled="2026-01-01T12:00Z")
    ledger.publish(document(bonuses=[win_back(after)]), at("2026-06-01T12:00Z"))
    ledger.now = at("2027-12-01T12:00Z")
    ledger.settle()

    assert given(ledger, "miss-you") == [at(expected)]


def test_what_falls_due_at_one_instant_happens_in_order() -> None:
    midnight = at("2027-04-01T00:00+02:00")
    rules = document(
        {"pending_days": 1},
        expiry={"after_months": 1},
        visits={"minimum": "3.00"},
        tiers={
            "period": {"rolling_days": 30},
            "levels": [
                {"id": "member"},
                {"id": "silver", "visits": 1},
                {"id": "gold", "visits": 9},
            ],
            "keep_months": 1,
        },
        # The order in the document is not that of the kinds.
        bonuses=[win_back(1), ANNIVERSARY, BIRTHDAY, {**BIRTHDAY, "id": "card"}],
    )
    ledger = MemoryLedger(rules, now="2026-04-01T12:00Z")
    ledger.enroll(birthday=401)
    ledger.now = at("2027-02-10T12:00Z")
    ledger.buy("10.00")
    ledger.override("gold", midnight)
    ledger.now = at("2027-03-31T12:00Z")
    ledger.buy("1.00")

    ledger.now = midnight + SECOND
    ledger.settle()

    due = [entry for entry in ledger.journal() if entry.effective_time == midnight]
    assert [told(entry) for entry in due] == [
        ("ACTIVATION", "gold"),
        ("EXPIRY", "gold"),
        ("OVERRIDE_ENDED", "silver"),
        ("LOWERED", "member"),
        ("bonus:cake", "member"),
        ("bonus:card", "member"),
        ("bonus:thanks", "member"),
        ("bonus:miss-you", "member"),
    ]


# -- promotions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "when", "bought", "applies"),
    [
        # In Berlin clocks go from 2:00 to 3:00 on 29 March, and from 3:00 to 2:00 on 25 October.
        ("Europe/Berlin", {"hours": ("02:00", "03:00")}, "2026-03-29T01:59:59+01:00", False),
        ("Europe/Berlin", {"hours": ("02:00", "03:00")}, "2026-03-29T03:00+02:00", False),
        ("Europe/Berlin", {"hours": ("02:00", "03:00")}, "2026-10-25T02:00+02:00", True),
        ("Europe/Berlin", {"hours": ("02:00", "03:00")}, "2026-10-25T02:59:59+02:00", True),
        ("Europe/Berlin", {"hours": ("02:00", "03:00")}, "2026-10-25T02:00+01:00", True),
        ("Europe/Berlin", {"hours": ("02:00", "03:00")}, "2026-10-25T02:59:59+01:00", True),
        ("Europe/Berlin", {"hours": ("02:00", "03:00")}, "2026-10-25T03:00+01:00", False),
        # Half-open, by the clock on the wall.
        ("Europe/Berlin", {"hours": ("15:00", "18:00")}, "2026-07-06T14:59:59+02:00", False),
        ("Europe/Berlin", {"hours": ("15:00", "18:00")}, "2026-07-06T15:00+02:00", True),
        ("Europe/Berlin", {"hours": ("15:00", "18:00")}, "2026-07-06T17:59:59+02:00", True),
        ("Europe/Berlin", {"hours": ("15:00", "18:00")}, "2026-07-06T18:00+02:00", False),
        ("Europe/Berlin", {"hours": ("15:00", "18:00")}, "2026-12-06T15:00+01:00", True),
        ("Europe/Berlin", {"hours": ("23:00", "24:00")}, "2026-12-31T23:59:59+01:00", True),
        ("Europe/Berlin", {"hours": ("23:00", "24:00")}, "2027-01-01T00:00+01:00", False),
        ("Europe/Berlin", {"hours": ("00:00", "00:01")}, "2027-01-01T00:00:59+01:00", True),
        ("Asia/Kathmandu", {"hours": ("15:00", "15:30")}, "2026-07-06T09:15Z", True),
        ("Asia/Kathmandu", {"hours": ("15:00", "15:30")}, "2026-07-06T09:14:59Z", False),
        # Tuesday, 5 January 2027.
        ("Pacific/Kiritimati", {"weekdays": ["TUE"]}, "2027-01-04T09:59:59Z", False),
        ("Pacific/Kiritimati", {"weekdays": ["TUE"]}, "2027-01-04T10:00Z", True),
        ("Pacific/Kiritimati", {"weekdays": ["TUE"]}, "2027-01-05T10:00Z", False),
        ("Pacific/Honolulu", {"weekdays": ["TUE"]}, "2027-01-05T09:59:59Z", False),
        ("Pacific/Honolulu", {"weekdays": ["TUE"]}, "2027-01-06T09:59:59Z", True),
        ("Europe/Berlin", {"weekdays": ["SAT", "SUN"]}, "2026-03-29T23:59:59+02:00", True),
        ("Europe/Berlin", {"weekdays": ["SAT", "SUN"]}, "2026-03-30T00:00+02:00", False),
        # Both days are part of it.
        ("Pacific/Kiritimati", {"from": "2027-01-01"}, "2026-12-31T09:59:59Z", False),
        ("Pacific/Kiritimati", {"from": "2027-01-01"}, "2026-12-31T10:00Z", True),
        ("Pacific/Honolulu", {"until": "2026-12-31"}, "2027-01-01T09:59:59Z", True),
        ("Pacific/Honolulu", {"until": "2026-12-31"}, "2027-01-01T10:00Z", False),
        ("UTC", {"from": "2028-02-29", "until": "2028-02-29"}, "2028-02-28T23:59:59Z", False),
        ("UTC", {"from": "2028-02-29", "until": "2028-02-29"}, "2028-02-29T00:00Z", True),
        ("UTC", {"from": "2028-02-29", "until": "2028-02-29"}, "2028-02-29T23:59:59Z", True),
        ("UTC", {"from": "2028-02-29", "until": "2028-02-29"}, "2028-03-01T00:00Z", False),
        # Everything must hold.
        ("UTC", {"weekdays": ["MON"], "hours": ("00:00", "12:00")}, "2026-07-06T11:59Z", True),
        ("UTC", {"weekdays": ["MON"], "hours": ("00:00", "12:00")}, "2026-07-07T11:59Z", False),
    ],
)
def test_when_a_promotion_is_on(
    zone: str, when: dict[str, Any], bought: str, *, applies: bool
) -> None:
    if "hours" in when:
        when = {**when, "hours": dict(zip(("from", "until"), when["hours"], strict=True))}
    promotion = {"id": "happy", "points": 7, **when}
    ledger = shop(document(promotions=[promotion]), enrolled=bought, zone=zone)
    # A till that tells of it a day later changes nothing.
    ledger.now += 24 * 60 * MINUTE

    lines = breakdown(ledger.buy("10.00", when=bought))

    assert lines == [("base", 10), *([("promotion:happy", 7)] if applies else [])]


@pytest.mark.parametrize(
    ("promotion", "place", "lines", "expected"),
    [
        ({"categories": ["coffee"]}, "", {"coffee": "4.00", "tea": "2.00"}, 4),
        ({"categories": ["coffee", "tea"]}, "", {"coffee": "4.00", "tea": "2.00"}, 6),
        ({"skus": ["mug"]}, "", {"coffee/mug": "4.00", "coffee/cup": "2.00"}, 4),
        ({"categories": ["tea"], "skus": ["mug"]}, "", {"coffee/mug": "4.00"}, 0),
        ({"categories": ["coffee"]}, "", {}, 0),
        ({"skus": ["mug"]}, "", {}, 0),
        ({}, "", {}, 10),
        ({}, "", {"gift-card": "4.00", "tea": "2.00"}, 2),
        ({"skus": ["mug"]}, "", {"gift-card/mug": "4.00"}, 0),
        ({"locations": ["mitte"]}, "mitte", {}, 10),
        ({"locations": ["mitte"]}, "wedding", {}, 0),
        ({"locations": ["mitte"]}, "", {}, 0),
        ({"tiers": ["member"]}, "", {}, 10),
        ({"tiers": ["silver", "gold"]}, "", {}, 0),
    ],
)
def test_what_a_promotion_is_about(
    promotion: dict[str, Any], place: str, lines: dict[str, str], expected: int
) -> None:
    rules = {**COFFEE_SHOP, "promotions": [{"id": "double", "multiplier": "2", **promotion}]}
    ledger = shop(rules, enrolled="2026-01-10T09:00Z")

    earned = dict(breakdown(ledger.buy("10.00", lines=lines, location_id=place)))

    assert earned.get("promotion:double", 0) == expected


def test_who_joined_before_there_were_tiers_is_of_the_lowest() -> None:
    ledger = shop(document(), enrolled="2026-01-10T09:00Z")
    promotion = {"id": "hello", "points": 7, "tiers": ["member"]}
    levels = [{"id": "member", "multiplier": "2"}, {"id": "silver", "visits": 5}]
    rules = {**two_levels(levels=levels), "promotions": [promotion]}
    ledger.publish(rules, at("2026-02-01T00:00Z"))
    ledger.now = at("2026-02-02T00:00Z")

    assert ledger.tier().tier_id == "member"
    assert breakdown(ledger.buy("10.00")) == [
        ("base", 10),
        ("tier:member", 10),
        ("promotion:hello", 7),
    ]

"""What a purchase earns, line by line."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.earning import Basket, earn
from ledger.core.errors import InvalidArgument
from ledger.core.model import MAX_POINTS, Account, Receipt
from ledger.core.money import MAX_AMOUNT, format_minor
from ledger.core.rules import Rules, read_rules
from tests.memory import MemoryLedger, document


def breakdown(receipt: Receipt) -> dict[str, int]:
    """Rule by rule, what the receipt's purchase earned."""
    return {line.rule: line.points for line in receipt.entries[-1].data.breakdown}


def earned(receipt: Receipt) -> int:
    return receipt.entries[-1].points


EXCLUDING = {"exclude_categories": ["gift-card", "tobacco"]}
CAPPED = {"caps": {"per_purchase": 5000, "per_day": 10000}}


@pytest.mark.parametrize(
    ("earning", "amount", "lines", "expected"),
    [
        # The worked examples of the domain, as far as there are neither tiers nor promotions.
        pytest.param({}, "12.99", {}, {"base": 12}, id="example 1: 12.99 earns 12"),
        pytest.param(
            EXCLUDING,
            "12.99",
            {"gift-card": "5.00", "coffee": "7.99"},
            {"base": 7},
            id="example 3: a gift card earns nothing",
        ),
        pytest.param(
            CAPPED,
            "6000.00",
            {},
            {"base": 6000, "cap:per_purchase": -1000},
            id="example 5: the cap is a negative line",
        ),
        pytest.param({}, "0.00", {}, {"base": 0}, id="nothing earns nothing"),
        pytest.param({}, "0.99", {}, {"base": 0}, id="less than a point earns nothing"),
        pytest.param(
            EXCLUDING,
            "9.00",
            {"gift-card": "5.00", "tobacco": "4.00"},
            {"base": 0},
            id="all lines excluded",
        ),
        pytest.param(
            EXCLUDING,
            "1.60",
            {"coffee": "0.80", "": "0.80"},
            {"base": 1},
            id="lines are summed before they are rounded, one without a category too",
        ),
        pytest.param(EXCLUDING, "7.00", {}, {"base": 7}, id="without lines the amount counts"),
        pytest.param(
            EXCLUDING, "7.00", {"Tobacco": "7.00"}, {"base": 7}, id="categories are exact"
        ),
        pytest.param(
            {"rate": {"points": 3, "per": "0.50"}}, "1.30", {}, {"base": 7}, id="3 per 0.50"
        ),
        pytest.param(
            {"rate": {"points": 1, "per": "3"}}, "8.99", {}, {"base": 2}, id="a third is exact"
        ),
        pytest.param(CAPPED, "5000.00", {}, {"base": 5000}, id="the cap itself may be earned"),
        pytest.param(
            CAPPED,
            "5001.00",
            {},
            {"base": 5001, "cap:per_purchase": -1},
            id="one point more may not",
        ),
    ],
)
def test_a_purchase_earns(
    earning: dict[str, Any], amount: str, lines: dict[str, str], expected: dict[str, int]
) -> None:
    ledger = MemoryLedger(document(earning))
    ledger.enroll()

    receipt = ledger.buy(amount, lines=lines)

    assert breakdown(receipt) == expected
    assert earned(receipt) == sum(expected.values()) == receipt.balance.available


def base(amount: int, rules: Rules) -> int:
    """What an amount in minor units earns, without any cap."""
    return sum(line.points for line in earn(rules, Basket(eligible=amount), Account()).breakdown)


@pytest.mark.parametrize(
    ("amount", "per", "floor", "nearest", "ceiling"),
    [
        (0, "1.00", 0, 0, 0),
        (1, "1.00", 0, 0, 1),
        (49, "1.00", 0, 0, 1),
        (50, "1.00", 0, 1, 1),
        (100, "1.00", 1, 1, 1),
        (150, "1.00", 1, 2, 2),
        (250, "1.00", 2, 3, 3),
        (1299, "1.00", 12, 13, 13),
        (1, "0.03", 0, 0, 1),
        (2, "0.03", 0, 1, 1),
        (10**15, "0.03", 333333333333333, 333333333333333, 333333333333334),
    ],
)
def test_points_are_rounded(amount: int, per: str, floor: int, nearest: int, ceiling: int) -> None:
    earning = {"rate": {"points": 1, "per": per}}
    rounded = [
        base(amount, read_rules(document({**earning, "rounding": mode}), "EUR"))
        for mode in ("FLOOR", "NEAREST", "CEILING")
    ]
    assert rounded == [floor, nearest, ceiling]


@pytest.mark.parametrize(("rounding", "points"), [("FLOOR", 1), ("NEAREST", 2), ("CEILING", 2)])
def test_the_document_says_how_to_round(rounding: str, points: int) -> None:
    ledger = MemoryLedger(document({"rounding": rounding}))
    ledger.enroll()
    assert earned(ledger.buy("1.50")) == points


@given(
    amount=st.integers(0, MAX_AMOUNT),
    points=st.integers(1, 1000),
    per=st.integers(1, 100_000),
    rounding=st.sampled_from(["FLOOR", "NEAREST", "CEILING"]),
)
def test_rounding_is_never_off_by_a_whole_point(
    amount: int, points: int, per: int, rounding: str
) -> None:
    rate = {"points": points, "per": format_minor(per, "EUR").removesuffix(" EUR")}
    rules = read_rules(document({"rate": rate, "rounding": rounding}), "EUR")

    exact = Fraction(amount * points, per)

    assert abs(base(amount, rules) - exact) < 1


@pytest.mark.parametrize(
    ("currency", "amount", "points"),
    [("EUR", 1299, 12), ("JPY", 1299, 1299), ("KWD", 1299, 1), ("CLF", 19999, 1)],
)
def test_a_rate_is_in_whole_units_of_the_currency(currency: str, amount: int, points: int) -> None:
    rules = read_rules(document(), currency)
    assert base(amount, rules) == points


def test_the_cap_of_a_day_is_shared_by_its_purchases() -> None:
    ledger = MemoryLedger(document({"caps": {"per_day": 100}}))
    ledger.enroll()

    assert breakdown(ledger.buy("60.00")) == {"base": 60}
    assert breakdown(ledger.buy("60.00")) == {"base": 60, "cap:per_day": -20}
    assert breakdown(ledger.buy("60.00")) == {"base": 60, "cap:per_day": -60}
    assert ledger.accounts["ann"].available == 100


def test_the_cap_of_a_purchase_comes_before_that_of_the_day() -> None:
    ledger = MemoryLedger(document({"caps": {"per_purchase": 70, "per_day": 100}}))
    ledger.enroll()
    ledger.buy("60.00")

    capped = breakdown(ledger.buy("80.00"))

    assert capped == {"base": 80, "cap:per_purchase": -10, "cap:per_day": -30}


def test_the_cap_counts_local_days() -> None:
    ledger = MemoryLedger(document({"caps": {"per_day": 100}}), now="2026-01-10T22:59Z")
    ledger.enroll()
    assert earned(ledger.buy("100.00")) == 100
    assert earned(ledger.buy("100.00")) == 0

    ledger.now += 60_000_000  # local midnight in Berlin

    assert earned(ledger.buy("100.00")) == 100


def test_a_late_purchase_counts_against_the_cap_of_the_day_it_happened() -> None:
    ledger = MemoryLedger(document({"caps": {"per_day": 100}}))
    ledger.enroll()

    assert earned(ledger.buy("70.00", when="2026-01-08T12:00Z")) == 70
    assert earned(ledger.buy("70.00", when="2026-01-09T12:00Z")) == 70
    assert earned(ledger.buy("70.00")) == 70
    assert earned(ledger.buy("70.00", when="2026-01-08T13:00Z")) == 30


def test_a_cap_counts_what_was_earned_before_it_came_into_force() -> None:
    ledger = MemoryLedger(document(expiry={"after_months": 1}))
    ledger.enroll()
    ledger.publish(document({"caps": {"per_day": 100}}), ledger.now + 60_000_000)
    assert earned(ledger.buy("70.00")) == 70

    ledger.now += 60_000_000

    assert earned(ledger.buy("70.00")) == 30


def test_members_do_not_share_a_cap() -> None:
    ledger = MemoryLedger(document({"caps": {"per_day": 100}}))
    ledger.enroll("ann")
    ledger.enroll("bob")

    assert earned(ledger.buy("100.00", "ann")) == 100
    assert earned(ledger.buy("100.00", "bob")) == 100


def test_days_are_forgotten_once_no_late_purchase_can_reach_them() -> None:
    ledger = MemoryLedger(document({"caps": {"per_day": 100}, "backdate_days": 2}))
    ledger.enroll()

    for day in range(10, 20):
        ledger.now = max(ledger.now, MemoryLedger(now=f"2026-01-{day}T12:00Z").now)
        ledger.buy("1.00")

    assert len(ledger.accounts["ann"].days) == 3


HUGE = {"rate": {"points": MAX_POINTS, "per": "0.000000001"}}


@pytest.mark.parametrize("caps", [{}, {"caps": {"per_purchase": 10}}], ids=["uncapped", "capped"])
def test_points_that_fit_no_entry_are_refused(caps: dict[str, Any]) -> None:
    ledger = MemoryLedger(document({**HUGE, **caps}))
    ledger.enroll()

    with pytest.raises(InvalidArgument, match="amount"):
        ledger.buy("1000000.00")

    assert len(ledger.journal()) == 1


def test_the_largest_purchase_can_be_credited() -> None:
    ledger = MemoryLedger(document({"rate": {"points": 1, "per": "0.01"}}))
    ledger.enroll()

    receipt = ledger.buy(format_minor(MAX_AMOUNT, "EUR").removesuffix(" EUR"))

    assert earned(receipt) == MAX_POINTS

"""Where a balance comes from: every lot is the sum of entries that can be named."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ledger.core.errors import LedgerError
from ledger.core.instants import DAY
from ledger.core.model import Account
from ledger.core.provenance import Origin, origins, sentence
from tests.core.spending import Till, redemption_of
from tests.memory import at, document


def told(till: Till, member_id: str = "ann") -> list[tuple[str, int, list[str]]]:
    """State, points and sentences of every origin."""
    return [
        (origin.state, origin.points, [sentence(each, till.program) for each in origin.sources])
        for origin in origins(till.journal(member_id))
    ]


def standing(account: Account) -> list[tuple[Any, ...]]:
    """What an account holds, in the form of origins without their sources."""
    rows: list[tuple[Any, ...]] = [
        ("AVAILABLE", lot.points, lot.expire_time, None, 0) for lot in account.lots
    ]
    rows += [
        ("PENDING", lot.points, lot.expire_time, lot.activate_time, 0)
        for lot in account.pending_lots
    ]
    rows += [
        ("HELD", lot.points, lot.expire_time, None, hold.sequence)
        for hold in account.holds
        for lot in hold.lots
    ]
    if account.debt:
        rows.append(("DEBT", account.debt, None, None, 0))
    return sorted(rows, key=str)


def found(till: Till, member_id: str = "ann") -> list[tuple[Any, ...]]:
    every: list[Origin] = origins(till.journal(member_id))
    for origin in every:
        assert origin.points == sum(source.points for source in origin.sources)
        assert all(source.points for source in origin.sources)
    return sorted([tuple(origin[:5]) for origin in every], key=str)


def test_a_lot_names_what_came_in_and_what_went_out() -> None:
    welcome = {"id": "welcome", "on": "ENROLLMENT", "points": 50}
    till = Till(document(bonuses=[welcome]), now="2026-01-12T09:00Z")
    till.enroll()
    till.buy("30.00", purchase_id="r-1")
    till.redeem(20)

    assert told(till) == [
        (
            "AVAILABLE",
            60,
            [
                "+50 on 12 January 2026: bonus welcome",
                "+30 on 12 January 2026: purchase r-1",
                "-20 on 12 January 2026: redeemed",
            ],
        )
    ]


def test_points_that_came_back_leave_no_trace_and_what_was_captured_does() -> None:
    till = Till(document(), now="2026-01-12T09:00Z")
    till.enroll()
    till.buy("100.00", purchase_id="r-1")
    till.release(till.hold(40))
    till.capture(till.hold(50), 30)
    receipt = till.redeem(10)
    till.reverse(redemption_of(till, receipt))
    till.hold(5)

    assert told(till) == [
        (
            "AVAILABLE",
            65,
            [
                "+100 on 12 January 2026: purchase r-1",
                "-30 on 12 January 2026: taken by a hold",
                "-5 on 12 January 2026: taken by a hold",
            ],
        ),
        ("HELD", 5, ["+5 on 12 January 2026: held"]),
    ]


def test_all_that_was_held_comes_back_with_where_it_came_from() -> None:
    till = Till(document(), now="2026-01-12T09:00Z")
    till.enroll()
    till.buy("100.00", purchase_id="r-1")
    hold = till.hold(100)
    assert [state for state, _, _ in told(till)] == ["HELD"]
    till.release(hold)

    assert told(till) == [("AVAILABLE", 100, ["+100 on 12 January 2026: purchase r-1"])]


def test_points_that_waited_are_of_the_purchase_still() -> None:
    till = Till(document({"pending_days": 10}), now="2026-01-12T09:00Z")
    till.enroll()
    till.buy("30.00", purchase_id="r-1")
    till.take_back("r-1", "10.00")
    assert [(state, points) for state, points, _ in told(till)] == [("PENDING", 20)]
    till.now = at("2026-01-22T09:00Z")
    till.settle()

    assert told(till) == [
        (
            "AVAILABLE",
            20,
            [
                "+30 on 12 January 2026: purchase r-1",
                "-10 on 12 January 2026: return of purchase r-1",
            ],
        )
    ]


def test_what_is_owed_is_explained_too() -> None:
    till = Till(document(), now="2026-01-12T09:00Z")
    till.enroll()
    till.buy("30.00", purchase_id="r-1")
    till.redeem(30)
    till.take_back("r-1")
    till.buy("10.00", purchase_id="r-2")

    assert told(till) == [
        (
            "DEBT",
            20,
            [
                "+30 on 12 January 2026: return of purchase r-1",
                "-10 on 12 January 2026: paid for what was owed",
            ],
        )
    ]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_every_lot_is_the_sum_of_its_entries(seed: int) -> None:
    chance = random.Random(seed)
    rules = document(
        {"pending_days": chance.choice([0, 3])},
        expiry={"after_months": 1, "inactivity_months": 2},
        returns={"shortfall": chance.choice(["DEBT", "FORGIVE"])},
    )
    till = Till(rules, now="2026-01-10T09:00Z")
    till.enroll()
    till.enroll("bob")
    holds: list[str] = []
    redemptions: list[str] = []
    purchases: list[str] = []
    for number in range(60):
        till.now += chance.randrange(5 * DAY)
        try:
            match chance.randrange(8):
                case 0 | 1:
                    till.buy(f"{chance.randrange(1, 90)}.00", purchase_id=f"p{number}")
                    purchases.append(f"p{number}")
                case 2:
                    holds.append(till.hold(chance.randrange(1, 60), ttl=3 * DAY))
                case 3:
                    receipt = till.capture(chance.choice(holds or ["h"]), chance.randrange(1, 30))
                    redemptions.append(redemption_of(till, receipt))
                case 4:
                    till.release(chance.choice(holds or ["h"]))
                case 5:
                    redemptions.append(redemption_of(till, till.redeem(chance.randrange(1, 60))))
                case 6:
                    till.reverse(chance.choice(redemptions or ["r"]), chance.randrange(1, 20))
                case 7:
                    till.take_back(chance.choice(purchases or ["p"]), "7.00")
        except LedgerError:
            continue
        assert found(till) == standing(till.accounts["ann"])

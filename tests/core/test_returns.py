"""Returns: what is taken back, where it comes from, and who owes what is missing."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.commands import RecordReturn
from ledger.core.errors import (
    EffectiveTimeOutOfRange,
    PurchaseNotFound,
    ReturnedPointsSpent,
    ReturnExceedsPurchase,
)
from ledger.core.ids import redemption_id
from ledger.core.instants import DAY
from ledger.core.model import Entry, PurchaseLine, Receipt, ReturnData
from tests.core.spending import Till, lots, rows, sound
from tests.memory import Document, at, document

A_MONTH = {"after_months": 1}
BIG = {"id": "big", "on": "PURCHASE_OVER", "amount": "20.00", "points": 50}
TENTH = {"id": "third", "on": "EVERY_NTH_VISIT", "n": 3, "points": 150}
LEVELS = [{"id": "member"}, {"id": "silver", "visits": 3, "multiplier": "1.5"}]
TIERS = {"period": {"rolling_days": 365}, "levels": LEVELS}


def shop(rules: Document | None = None, now: str = "2026-01-10T09:00Z") -> Till:
    till = Till(rules or document(), now=now)
    till.enroll()
    return till


def taken(receipt: Receipt) -> list[tuple[str, int]]:
    """Where the points of a return came from."""
    return [(e.debit_account, e.points) for e in receipt.entries if e.kind == "RETURN"]


def returned(entry: Entry) -> ReturnData:
    assert entry.data.returned is not None
    return entry.data.returned


# -- how much -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bought", "returns", "points"),
    [
        pytest.param("30.00", ["10.00", "10.00", "10.00"], [10, 10, 10], id="example 11"),
        pytest.param("9.99", ["3.33", "3.33", "3.33"], [3, 3, 3], id="example 12"),
        pytest.param("10.00", ["2.50", "2.50", "2.50", "2.50"], [2, 3, 2, 3], id="rounded once"),
        pytest.param("10.00", ["0.99", "0.01", "9.00"], [0, 1, 9], id="less than a point"),
        pytest.param("10.00", ["9.99", None], [9, 1], id="the last cent"),
        pytest.param("10.00", [None], [10], id="all"),
        pytest.param("10.99", ["10.00", "0.99"], [9, 1], id="not by whole euros"),
        pytest.param("0.99", ["0.50", None], [0, 0], id="nothing earned"),
    ],
)
def test_parts_add_up_exactly(bought: str, returns: list[str | None], points: list[int]) -> None:
    till = shop()
    till.buy(bought, purchase_id="p")

    found = [till.take_back("p", amount).entries[0] for amount in returns]

    assert [-entry.points for entry in found] == points
    assert till.state() == (0, 0, 0, 0)
    assert till.accounts["ann"].lifetime == 0
    assert [returned(entry).full for entry in found] == [False] * (len(found) - 1) + [True]
    sound(till)


def test_a_return_says_what_came_back_and_of_what() -> None:
    till = shop()
    till.buy("30.00", purchase_id="p")
    till.take_back("p", "5.00")

    (entry,) = till.take_back("p", "10.00", location_id="mitte", terminal_id="t-7").entries

    assert (entry.kind, entry.points, entry.purchase_id) == ("RETURN", -10, "p")
    assert (entry.debit_account, entry.credit_account) == ("member:available", "issuance")
    assert (entry.subject_sequence, entry.location_id, entry.terminal_id) == (2, "mitte", "t-7")
    assert (entry.data.amount, entry.data.eligible) == (1000, 1000)
    assert returned(entry) == ReturnData(2, 1500, 1500, 15, False)
    assert till.trial_balance() == {"issuance": -15, "member:available": 15}


@pytest.mark.parametrize(
    ("excluded", "returns", "points", "eligible"),
    [
        # 8.00 of 10.00 earned 8 points.
        ("2.00", ["5.00", "5.00"], [4, 4], [400, 800]),
        ("2.00", ["2.50", None], [2, 6], [200, 800]),
        ("2.00", ["0.01", "0.01", "9.98"], [0, 0, 8], [0, 0, 800]),
        ("2.00", ["9.99", "0.01"], [7, 1], [799, 800]),
        # 10.00 of 10.00 earned nothing.
        ("10.00", ["5.00", "5.00"], [0, 0], [0, 0]),
    ],
)
def test_an_amount_of_a_mixed_purchase_stands_for_both_parts(
    excluded: str, returns: list[str | None], points: list[int], eligible: list[int]
) -> None:
    till = shop(document({"exclude_categories": ["gift-card"]}))
    rest = f"{10 - float(excluded):.2f}"
    lines = {"gift-card": excluded, "coffee": rest}
    till.buy("10.00", lines=lines, purchase_id="p")

    found = [till.take_back("p", amount).entries[0] for amount in returns]

    assert [-entry.points for entry in found] == points
    assert [returned(entry).eligible for entry in found] == eligible
    sound(till)


BASKET = {"coffee/a": "6.00", "cake/b": "3.00", "gift-card/c": "5.00", "coffee/b": "1.00"}


@pytest.mark.parametrize(
    ("steps", "points"),
    [
        ([{"coffee/a": "6.00"}, {"cake/b": "3.00"}, {"coffee/b": "1.00"}], [6, 3, 1]),
        ([{"gift-card/c": "5.00"}, {"coffee/a": "6.00"}], [0, 6]),
        ([{"gift-card/c": "5.00", "coffee/a": "6.00"}], [6]),
        ([{"coffee/a": "2.00"}, {"coffee/a": "2.00"}, {"coffee/a": "2.00"}], [2, 2, 2]),
        ([BASKET], [10]),
        ([{"coffee/a": "6.00"}, None], [6, 4]),
        # By amount, and then a line: what earned is never counted twice.
        (["7.50", {"coffee/a": "6.00"}], [5, 5]),
        ([{"gift-card/c": "5.00"}, "5.00"], [0, 5]),
    ],
)
def test_lines_take_back_what_they_earned(steps: list[Any], points: list[int]) -> None:
    till = shop(document({"exclude_categories": ["gift-card"]}))
    assert till.buy("15.00", lines=BASKET, purchase_id="p").balance.available == 10

    found = []
    for step in steps:
        by_line = {"lines": step} if isinstance(step, dict) else {"amount": step}
        found.append(till.take_back("p", **by_line).entries[0])

    assert [-entry.points for entry in found] == points
    sound(till)


def test_lines_that_were_returned_are_remembered_by_article_and_category() -> None:
    till = shop()
    till.buy("15.00", lines=BASKET, purchase_id="p")
    till.take_back("p", lines={"coffee/a": "2.00"})
    entry = till.take_back("p", lines={"cake/b": "1.00", "coffee/a": "1.50"}).entries[0]
    assert [(line.category, line.sku, line.amount) for line in entry.data.lines] == [
        ("cake", "b", 100),
        ("coffee", "a", 150),
    ]
    assert [(line.category, line.sku, line.amount) for line in returned(entry).lines] == [
        ("coffee", "a", 350),
        ("cake", "b", 100),
    ]


def test_what_the_rules_exclude_is_what_they_excluded_then() -> None:
    till = shop(document({"exclude_categories": ["gift-card"]}))
    till.buy("15.00", lines=BASKET, purchase_id="p")
    till.publish(document({"exclude_categories": ["coffee"]}), till.now)
    assert taken(till.take_back("p", lines={"gift-card/c": "5.00"})) == [("", 0)]
    assert taken(till.take_back("p", lines={"coffee/a": "6.00"})) == [("member:available", -6)]


@pytest.mark.parametrize(
    ("before", "then"),
    [
        ([], "15.01"),
        (["10.00"], "5.01"),
        (["15.00"], "0.01"),
        (["15.00"], None),
        ([None], None),
        ([None], {"coffee/a": "1.00"}),
        ([], {"coffee/a": "6.01"}),
        ([{"coffee/a": "6.00"}], {"coffee/a": "0.01"}),
        ([], {"tea/a": "1.00"}),
        ([], {"coffee/c": "1.00"}),
        ([], {"coffee/a": "6.00", "cake/b": "3.01"}),
        # Each line could be, but not all of them any more.
        (["10.00"], {"coffee/a": "6.00"}),
        ([{"coffee/a": "6.00"}, "8.00"], {"coffee/b": "1.00", "cake/b": "0.01"}),
    ],
)
def test_more_than_was_bought_can_not_be_returned(before: list[Any], then: Any) -> None:
    till = shop()
    till.buy("15.00", lines=BASKET, purchase_id="p")
    for step in [*before, then][:-1]:
        by_line = {"lines": step} if isinstance(step, dict) else {"amount": step}
        till.take_back("p", **by_line)
    posted = len(till.journal())
    by_line = {"lines": then} if isinstance(then, dict) else {"amount": then}

    with pytest.raises(ReturnExceedsPurchase) as refused:
        till.take_back("p", **by_line)

    assert refused.value.metadata["purchase_id"] == "p"
    assert len(till.journal()) == posted


@pytest.mark.parametrize(
    ("pieces", "fits"),
    [
        ([3], True),
        ([1, 2], True),
        ([0, 0, 0], True),  # where one does not say, amounts alone decide
        ([4], False),
        ([2, 2], False),
    ],
)
def test_pieces_count_where_both_say_them(pieces: list[int], fits: bool) -> None:
    till = shop()
    line = PurchaseLine("a", "coffee", 3, 900)
    command = till.purchase("9.00", purchase_id="p")
    till.write(type(command)(**{**_fields(command), "lines": (line,)}))
    *first, last = pieces
    for number in first:
        till.take_back("p", lines=(PurchaseLine("a", "coffee", number, 100),))
    if fits:
        till.take_back("p", lines=(PurchaseLine("a", "coffee", last, 100),))
    else:
        with pytest.raises(ReturnExceedsPurchase):
            till.take_back("p", lines=(PurchaseLine("a", "coffee", last, 100),))


def _fields(command: Any) -> dict[str, Any]:
    return {name: getattr(command, name) for name in command.__struct_fields__}


def test_what_a_receipt_does_not_count_may_come_back_in_pieces() -> None:
    till = shop()
    command = till.purchase("9.00", purchase_id="p")
    till.write(type(command)(**{**_fields(command), "lines": (PurchaseLine("a", "", 0, 900),)}))
    till.take_back("p", lines=(PurchaseLine("a", "", 5, 400), PurchaseLine("a", "", 7, 500)))
    assert till.state() == (0, 0, 0, 0)


# -- what a purchase earned on top ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("cap", "bought", "earned", "returns", "points"),
    [
        # 30 and a bonus of 50.
        (None, "30.00", 80, ["10.00", "10.00", "9.99", "0.01"], [10, 10, 9, 51]),
        (None, "30.00", 80, [None], [80]),
        # A cap of 60 has cut 20 of the bonus.
        (60, "30.00", 60, ["15.00", "15.00"], [15, 45]),
        # A cap of 30 has cut all of it, one of 21 some of the rest, too.
        (30, "30.00", 30, ["15.00", "15.00"], [15, 15]),
        (21, "30.00", 21, ["10.00", "10.00", "10.00"], [7, 7, 7]),
    ],
)
def test_a_bonus_for_a_large_purchase_goes_with_all_of_it(
    cap: int | None, bought: str, earned: int, returns: list[str | None], points: list[int]
) -> None:
    caps = {"caps": {"per_purchase": cap}} if cap else {}
    till = shop(document(caps, bonuses=[BIG]))
    assert till.buy(bought, purchase_id="p").balance.available == earned
    assert [-till.take_back("p", part).entries[0].points for part in returns] == points
    assert till.state() == (0, 0, 0, 0)
    sound(till)


def test_rates_tiers_and_promotions_are_those_of_the_purchase() -> None:
    triple = {"id": "triple", "multiplier": "3"}
    till = shop(document(tiers=TIERS, promotions=[triple]))
    till.override("silver", "2026-12-31T00:00Z")
    entry = till.buy("10.00", purchase_id="p").entries[0]
    assert [line.points for line in entry.data.breakdown] == [10, 5, 20]

    till.publish(document({"rate": {"points": 9, "per": "1.00"}}, tiers=TIERS), till.now)
    till.now = at("2027-01-10T09:00Z")

    assert taken(till.take_back("p", "2.00")) == [("member:available", -7)]
    assert taken(till.take_back("p")) == [("member:available", -28)]


def test_a_bonus_for_the_nth_visit_is_given_again_when_the_visit_was_returned() -> None:
    till = shop(document(bonuses=[TENTH]))
    for number in range(1, 4):
        till.buy("5.00", purchase_id=f"p-{number}")
        till.now += DAY
    assert till.state() == (165, 0, 0, 0)

    till.take_back("p-3", "4.00")
    assert till.state() == (161, 0, 0, 0)
    till.take_back("p-3")
    assert (till.state(), till.accounts["ann"].visits) == ((10, 0, 0, 0), 2)

    assert till.buy("5.00").entries[0].points == 155
    sound(till)


def test_a_bonus_that_is_kept_is_not_given_twice() -> None:
    till = shop(document(bonuses=[TENTH]))
    for number in range(1, 4):
        till.buy("5.00", purchase_id=f"p-{number}")
        till.now += DAY
    # The second visit goes; the third and its bonus stay.
    till.take_back("p-2")
    assert till.accounts["ann"].visits == 2

    assert till.buy("5.00").entries[0].points == 5
    assert till.accounts["ann"].visits == 3
    for _ in range(3):
        till.now += DAY
        receipt = till.buy("5.00")
    assert receipt.entries[0].points == 155  # the sixth


def test_a_promotion_for_once_can_be_had_again_after_a_full_return_only() -> None:
    once = {"id": "first", "points": 20, "once_per_member": True}
    till = shop(document(promotions=[once]))
    till.buy("10.00", purchase_id="p")
    # What it gave is no bonus: it goes in proportion.
    assert taken(till.take_back("p", "5.00")) == [("member:available", -15)]
    assert till.buy("10.00").entries[0].points == 10
    till.take_back("p")
    assert till.buy("10.00").entries[0].points == 30


def test_a_budget_is_not_filled_again() -> None:
    promotion = {"id": "launch", "points": 20, "budget": 30}
    till = shop(document(promotions=[promotion]))
    till.buy("10.00", purchase_id="p")
    till.take_back("p")
    assert till.buy("10.00").entries[0].points == 20


def test_bonuses_with_entries_of_their_own_stay() -> None:
    levels = [{"id": "member"}, {"id": "silver", "visits": 1, "entry_bonus": 7}]
    bonuses = [
        {"id": "welcome", "on": "ENROLLMENT", "points": 50},
        {"id": "refer", "on": "REFERRAL", "points": 30, "referee_points": 10},
    ]
    tiers = {"period": {"rolling_days": 365}, "levels": levels}
    till = shop(document(bonuses=bonuses, tiers=tiers))
    till.enroll("bob", referrer_member_id="ann")
    till.buy("10.00", "bob", purchase_id="p")
    till.take_back("p", member_id="bob")
    assert (till.state("bob"), till.state("ann")) == ((67, 0, 0, 0), (80, 0, 0, 0))
    sound(till)


# -- where points come from -----------------------------------------------------------------------


def test_points_come_from_the_purchases_own_lot_then_from_what_ends_soonest() -> None:
    till = Till(document(expiry=A_MONTH), now="2026-03-10T09:00Z")
    till.enroll()
    till.buy("20.00", when="2026-02-20T12:00Z")  # ends with March
    till.buy("30.00", purchase_id="p")  # ends with April
    till.publish(document(expiry={"after_months": 2}), till.now)
    till.buy("40.00")  # ends with May
    till.redeem(25)  # 20 and 5
    assert lots(till) == [("2026-05-01T00:00", 25), ("2026-06-01T00:00", 40)]

    (entry,) = till.take_back("p", "26.00").entries

    assert [change.points for change in entry.data.lots] == [-25, -1]
    assert lots(till) == [("2026-06-01T00:00", 39)]


def test_a_lot_that_ends_sooner_is_left_alone_while_the_purchases_own_is_there() -> None:
    till = Till(document(expiry=A_MONTH), now="2026-03-10T09:00Z")
    till.enroll()
    till.buy("20.00", when="2026-02-20T12:00Z")
    till.buy("30.00", purchase_id="p")

    till.take_back("p", "29.00")
    assert lots(till) == [("2026-04-01T00:00", 20), ("2026-05-01T00:00", 1)]


def test_a_bonus_with_a_date_of_its_own_is_the_purchases_lot_too() -> None:
    till = shop(document(expiry=A_MONTH, bonuses=[{**BIG, "expires_days": 5}]))
    till.buy("30.00", purchase_id="p")
    till.publish(document(), till.now)
    till.buy("7.00")
    till.take_back("p")
    assert lots(till) == [("never", 7)]


def test_what_still_waits_is_taken_while_it_waits() -> None:
    till = shop(document({"pending_days": 14}))
    till.buy("10.00", purchase_id="p")
    till.buy("5.00", when="2026-01-09T12:00Z", purchase_id="other")
    till.adjust(100)

    receipt = till.take_back("p", "4.00")

    assert taken(receipt) == [("member:pending", -4)]
    (change,) = receipt.entries[0].data.lots
    assert (change.points, change.activate_time) == (-4, at("2026-01-24T00:00+01:00"))
    assert till.state() == (100, 11, 0, 0)
    sound(till)


def test_what_other_purchases_wait_for_and_what_is_held_is_not_touched() -> None:
    till = shop(document({"pending_days": 14}))
    till.buy("10.00", purchase_id="p")
    till.now = at("2026-01-24T09:00Z")
    till.buy("50.00")
    till.hold(6)
    assert till.state() == (4, 50, 6, 0)

    receipt = till.take_back("p")

    assert taken(receipt) == [("member:available", -4), ("member:debt", -6)]
    assert till.state() == (0, 50, 6, 6)
    sound(till)


def test_each_account_that_points_come_from_has_its_entry() -> None:
    till = shop(document({"pending_days": 14}))
    till.buy("10.00", purchase_id="p")
    till.adjust(3)
    till.now = at("2026-01-24T09:00Z")
    till.redeem(11)
    till.buy("5.00")

    receipt = till.take_back("p")

    assert taken(receipt) == [("member:available", -2), ("member:debt", -8)]
    first, second = receipt.entries
    assert (first.subject_sequence, second.subject_sequence) == (2, 0)
    assert (first.consequences, second.cause_sequence) == (1, first.sequence)
    assert (second.data.returned, second.purchase_id) == (None, "p")
    assert till.state() == (0, 5, 0, 8)
    assert till.accounts["ann"].lifetime == 5
    sound(till)


def test_purchases_that_wait_together_do_not_take_from_each_other() -> None:
    till = shop(document({"pending_days": 14}))
    till.buy("10.00", purchase_id="p")
    till.buy("10.00", purchase_id="q")
    till.adjust(3)
    till.take_back("q", "9.00")
    till.take_back("p", "6.00")
    assert till.state() == (3, 5, 0, 0)

    assert taken(till.take_back("p")) == [("member:pending", -4)]
    assert taken(till.take_back("q")) == [("member:pending", -1)]
    assert till.state() == (3, 0, 0, 0)
    sound(till)


# -- what is missing ------------------------------------------------------------------------------


def spent(shortfall: str | None = "DEBT", left: int = 0, **sections: Any) -> Till:
    """ann bought for 10.00 and has spent all of it but what is left."""
    returns = {} if shortfall is None else {"returns": {"shortfall": shortfall}}
    till = shop(document(**returns, **sections))
    till.buy("10.00", purchase_id="p")
    till.redeem(10 - left)
    return till


def test_example_13_what_is_missing_is_owed_and_paid_by_what_comes_next() -> None:
    till = spent(None)

    receipt = till.take_back("p")
    assert taken(receipt) == [("member:debt", -10)]
    assert (receipt.balance.available, receipt.balance.debt) == (0, 10)
    assert receipt.entries[0].data.lots == ()
    assert till.trial_balance()["member:debt"] == -10

    receipt = till.buy("25.00")
    assert rows(receipt.entries) == [("PURCHASE", 25), ("DEBT_PAYMENT", -10)]
    bought, paid = receipt.entries
    assert (paid.debit_account, paid.credit_account) == ("member:available", "member:debt")
    assert (paid.cause_sequence, bought.consequences) == (bought.sequence, 1)
    assert (receipt.balance.available, receipt.balance.debt) == (15, 0)
    assert receipt.balance.lifetime == 25
    assert till.trial_balance()["member:debt"] == 0
    sound(till)


@pytest.mark.parametrize(
    ("shortfall", "left", "sources", "debt", "forgiven"),
    [
        ("DEBT", 10, [("member:available", -10)], 0, 0),
        ("DEBT", 4, [("member:available", -4), ("member:debt", -6)], 6, 0),
        ("DEBT", 0, [("member:debt", -10)], 10, 0),
        ("FORGIVE", 10, [("member:available", -10)], 0, 0),
        ("FORGIVE", 4, [("member:available", -4)], 0, 6),
        ("FORGIVE", 0, [("", 0)], 0, 10),
        ("REFUSE", 10, [("member:available", -10)], 0, 0),
    ],
)
def test_the_rules_say_what_becomes_of_what_is_missing(
    shortfall: str, left: int, sources: list[tuple[str, int]], debt: int, forgiven: int
) -> None:
    till = spent(shortfall, left) if left < 10 else shop(document(returns={"shortfall": shortfall}))
    if left == 10:
        till.buy("10.00", purchase_id="p")

    receipt = till.take_back("p")

    assert taken(receipt) == sources
    assert till.state() == (0, 0, 0, debt)
    first = receipt.entries[0]
    assert first.data.forgiven_points == forgiven
    assert (returned(first).points, returned(first).full) == (10, True)
    assert till.accounts["ann"].lifetime == forgiven
    sound(till)


@pytest.mark.parametrize("left", [0, 9])
def test_a_return_can_be_refused_as_a_whole(left: int) -> None:
    till = spent("REFUSE", left)
    posted = len(till.journal())
    with pytest.raises(ReturnedPointsSpent) as refused:
        till.take_back("p")
    assert refused.value.metadata == {"available": str(left), "required": "10"}
    assert (len(till.journal()), till.state()) == (posted, (left, 0, 0, 0))
    # A part for which there is enough is another thing.
    if left:
        till.take_back("p", "9.00")
        assert till.state() == (0, 0, 0, 0)


def test_points_that_wait_for_this_purchase_are_there_for_a_program_that_refuses() -> None:
    till = shop(document({"pending_days": 14}, returns={"shortfall": "REFUSE"}))
    till.buy("10.00", purchase_id="p")
    assert taken(till.take_back("p")) == [("member:pending", -10)]


def test_the_rules_now_in_force_decide_on_what_is_missing() -> None:
    till = spent("REFUSE")
    till.publish(document(returns={"shortfall": "FORGIVE"}), till.now)
    receipt = till.take_back("p", effective_time=at("2026-01-09T12:00Z"))
    assert receipt.entries[0].data.forgiven_points == 10


def test_what_was_owed_or_forgiven_is_not_taken_again() -> None:
    till = spent("FORGIVE")
    till.take_back("p", "5.00")
    till.adjust(100)
    assert taken(till.take_back("p")) == [("member:available", -5)]

    till = spent("DEBT")
    till.take_back("p", "5.00")
    till.take_back("p", "2.00")
    assert till.state() == (0, 0, 0, 7)
    till.adjust(100)
    assert taken(till.take_back("p")) == [("member:available", -3)]
    assert till.state() == (90, 0, 0, 0)


def in_debt(**sections: Any) -> Till:
    """ann owes 10 points, may get back 10 of a redemption, and has 4 more held."""
    till = shop(document(**sections))
    till.buy("10.00", purchase_id="p")
    till.adjust(4)
    till.hold(4)
    till.redeem(10)
    till.take_back("p")
    assert till.state() == (0, 0, 4, 10)
    return till


def test_whatever_comes_in_pays_the_debt_at_once() -> None:
    till = in_debt()
    till.adjust(3)
    assert till.state() == (0, 0, 4, 7)
    till.now += DAY
    till.settle()  # the hold lapses
    assert rows(till.journal()[-2:]) == [("RELEASE", 4), ("DEBT_PAYMENT", -4)]
    assert {entry.actor for entry in till.journal()[-2:]} == {"time"}
    assert till.state() == (0, 0, 0, 3)
    (redeemed,) = [entry for entry in till.journal() if entry.kind == "REDEMPTION"]
    till.reverse(redemption_id(till.program, "ann", redeemed.sequence), 2)
    assert till.state() == (0, 0, 0, 1)

    till.enroll("bob")
    till.adjust(50, member_id="bob")
    till.transfer("ann", 20, member_id="bob")

    assert rows(till.journal()[-2:]) == [("TRANSFER_IN", 20), ("DEBT_PAYMENT", -1)]
    assert till.state() == (19, 0, 0, 0)
    sound(till)


def test_a_bonus_and_an_activation_pay_too() -> None:
    birthday = {"id": "birthday", "on": "BIRTHDAY", "points": 3}
    till = Till(document({"pending_days": 2}, bonuses=[birthday]))
    till.enroll(birthday=115)
    till.buy("10.00", purchase_id="p")
    till.now = at("2026-01-12T09:00Z")
    till.redeem(10)
    till.take_back("p")
    till.buy("5.00")
    assert till.state() == (0, 5, 0, 10)

    till.now = at("2026-01-15T09:00Z")
    till.settle()

    assert rows(till.journal()[-4:]) == [
        ("ACTIVATION", 5),
        ("DEBT_PAYMENT", -5),
        ("BONUS", 3),
        ("DEBT_PAYMENT", -3),
    ]
    assert till.state() == (0, 0, 0, 2)
    sound(till)


def test_what_ends_soonest_pays_first() -> None:
    till = shop(document(expiry=A_MONTH, bonuses=[{**BIG, "expires_days": 5}]))
    till.buy("10.00", purchase_id="p")
    till.redeem(10)
    till.take_back("p")

    (bought, paid) = till.buy("20.00").entries

    assert (bought.points, paid.points) == (70, -10)
    assert lots(till) == [("2026-01-16T00:00", 40), ("2026-03-01T00:00", 20)]


def test_points_past_their_date_pay_before_they_expire() -> None:
    till = Till(document({"backdate_days": 100}, expiry=A_MONTH), now="2026-06-10T09:00Z")
    till.enroll()
    till.buy("10.00", purchase_id="p")
    till.redeem(10)
    till.take_back("p")

    receipt = till.buy("25.00", when="2026-04-10T12:00Z")  # ended with May

    assert rows(receipt.entries) == [("PURCHASE", 25), ("DEBT_PAYMENT", -10), ("EXPIRY", -15)]
    assert till.state() == (0, 0, 0, 0)
    sound(till)


def test_a_capture_that_leaves_a_rest_pays_the_debt_with_it() -> None:
    till = shop()
    till.buy("10.00", purchase_id="p")
    hold = till.hold(10)
    till.take_back("p")
    assert till.state() == (0, 0, 10, 10)

    receipt = till.capture(hold, 4)

    assert rows(receipt.entries) == [("CAPTURE", -4), ("RELEASE", 6), ("DEBT_PAYMENT", -6)]
    assert till.state() == (0, 0, 0, 4)
    sound(till)


# -- days, visits, tiers --------------------------------------------------------------------------


def test_example_16_two_purchases_of_one_day_are_one_visit_also_after_a_return() -> None:
    till = shop(document(visits={"minimum": "3.00"}, tiers=TIERS))
    till.buy("5.00", purchase_id="a")
    till.buy("5.00", purchase_id="b")
    assert till.accounts["ann"].visits == 1

    till.take_back("a")
    assert (till.accounts["ann"].visits, till.tier().visits) == (1, 1)
    till.take_back("b")
    assert (till.accounts["ann"].visits, till.tier().visits) == (0, 0)
    sound(till)


def test_the_spend_goes_back_with_every_part_and_the_visit_with_the_whole() -> None:
    till = shop(
        document({"exclude_categories": ["gift-card"]}, visits={"minimum": "3.00"}, tiers=TIERS)
    )
    till.buy("10.00", lines={"coffee": "8.00", "gift-card": "2.00"}, purchase_id="p")
    for amount, spend, visits in [("5.00", 400, 1), ("4.99", 1, 1), ("0.01", 0, 0)]:
        till.take_back("p", amount)
        told = till.tier()
        assert (told.spend, told.visits, till.accounts["ann"].visits) == (
            spend,
            visits,
            visits,
        )
    sound(till)


def test_a_small_purchase_was_no_visit_and_takes_none_with_it() -> None:
    till = shop(document(visits={"minimum": "3.00"}, tiers=TIERS))
    till.buy("5.00")
    till.buy("1.00", purchase_id="p")
    till.take_back("p")
    assert till.accounts["ann"].visits == 1


def test_the_tier_stays_and_is_not_kept_longer() -> None:
    till = shop(document(tiers=TIERS))
    for number in range(3):
        till.buy("5.00", purchase_id=f"p-{number}")
        till.now += DAY
    held = till.tier()
    assert held.tier_id == "silver"
    before = till.accounts["ann"].tier
    till.now = at("2026-02-05T09:00Z")

    receipt = till.take_back("p-2")

    assert rows(receipt.entries) == [("RETURN", -5)]
    assert till.accounts["ann"].tier == before
    # When it is decided anew, what was returned does not count.
    till.now = at("2027-02-01T00:00+01:00")
    till.settle()
    assert till.accounts["ann"].tier_id == "member"


def test_a_return_makes_room_under_the_cap_of_its_day() -> None:
    till = shop(document({"caps": {"per_day": 10}}))
    till.buy("8.00", purchase_id="p")
    assert till.buy("8.00").entries[0].points == 2
    till.take_back("p", "4.00")
    assert till.buy("8.00").entries[0].points == 4
    till.take_back("p")
    assert till.buy("8.00").entries[0].points == 4
    sound(till)


def test_a_visit_goes_back_when_its_day_is_long_forgotten() -> None:
    till = shop(document(bonuses=[TENTH]))
    till.buy("5.00", purchase_id="p")
    till.now = at("2036-01-10T09:00Z")
    till.buy("5.00")
    assert till.accounts["ann"].visits == 2

    till.take_back("p")

    assert till.accounts["ann"].visits == 1
    sound(till)


# -- who, when and once ---------------------------------------------------------------------------


@pytest.mark.parametrize("purchase_id", ["unknown", "", "bobs"])
def test_a_purchase_that_is_not_the_members_is_not_found_and_may_come(purchase_id: str) -> None:
    till = shop()
    till.enroll("bob")
    till.buy("10.00", "bob", purchase_id="bobs")
    command = till.request(RecordReturn, purchase_id=purchase_id, full=True)

    outcome = till.write(command)

    assert isinstance(outcome, PurchaseNotFound)
    assert outcome.metadata == {"member_id": "ann", "purchase_id": purchase_id}
    assert (command.member_id, command.request_id) not in till.answered


def test_a_return_that_comes_before_its_purchase_may_be_sent_again() -> None:
    till = shop()
    command = till.request(RecordReturn, request_id="early", purchase_id="p", full=True)
    assert isinstance(till.write(command), PurchaseNotFound)
    till.buy("10.00", purchase_id="p")
    outcome = till.write(command)
    assert isinstance(outcome, Receipt)
    again = till.write(command)
    assert isinstance(again, Receipt)
    assert (again.entries, again.replayed) == (outcome.entries, True)
    assert till.state() == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ("2025-12-10T23:00Z", True),
        ("2026-01-10T09:05Z", True),
        ("2025-12-10T22:59Z", False),
        ("2026-01-10T09:06Z", False),
    ],
)
def test_a_return_may_be_reported_as_late_as_a_purchase(when: str, fits: bool) -> None:
    till = shop()
    till.buy("10.00", purchase_id="p")
    if fits:
        (entry,) = till.take_back("p", effective_time=at(when)).entries
        assert entry.effective_time == min(at(when), till.now)
    else:
        with pytest.raises(EffectiveTimeOutOfRange):
            till.take_back("p", effective_time=at(when))


# -- everything at once ---------------------------------------------------------------------------

AMOUNTS = st.integers(0, 3000)


@given(
    lines=st.lists(st.tuples(st.sampled_from(["coffee", "gift-card"]), AMOUNTS), max_size=4),
    plain=AMOUNTS,
    rate=st.sampled_from([("1", 1), ("0.30", 1), ("1", 7)]),
    rounding=st.sampled_from(["FLOOR", "NEAREST", "CEILING"]),
    cap=st.one_of(st.none(), st.integers(1, 120)),
    shortfall=st.sampled_from(["DEBT", "FORGIVE"]),
    spend=st.integers(0, 50),
    data=st.data(),
)
def test_however_a_purchase_comes_back_it_takes_what_it_gave(
    lines: list[tuple[str, int]],
    plain: int,
    rate: tuple[str, int],
    rounding: str,
    cap: int | None,
    shortfall: str,
    spend: int,
    data: st.DataObject,
) -> None:
    earning = {
        "rate": {"points": rate[1], "per": rate[0]},
        "rounding": rounding,
        "exclude_categories": ["gift-card"],
        **({"caps": {"per_purchase": cap}} if cap else {}),
    }
    till = shop(document(earning, bonuses=[BIG], returns={"shortfall": shortfall}))
    bought = sum(amount for _, amount in lines) if lines else plain
    parts = {
        f"{category}/{number}": f"{amount // 100}.{amount % 100:02}"
        for number, (category, amount) in enumerate(lines)
    }
    price = f"{bought // 100}.{bought % 100:02}"
    purchase = till.buy(price, lines=parts, purchase_id="p").entries[0]
    eligible = purchase.data.eligible or 0
    earned = purchase.data.breakdown
    bonus = sum(line.points for line in earned if line.rule.startswith("bonus:"))
    cut = -sum(line.points for line in earned if line.rule.startswith("cap:"))
    regular = purchase.points - max(0, bonus - cut)
    if min(spend, purchase.points):
        till.redeem(min(spend, purchase.points))

    gone = total = 0
    for _ in range(3):
        left = bought - gone
        if not left:
            break
        part = data.draw(st.integers(1, left))
        receipt = till.take_back("p", f"{part // 100}.{part % 100:02}")
        gone += part
        first = receipt.entries[0]
        total += -sum(e.points for e in receipt.entries if e.kind == "RETURN")
        total += first.data.forgiven_points
        so_far = returned(first)
        assert (so_far.amount, so_far.points) == (gone, total)
        assert 0 <= so_far.eligible <= eligible
        if gone < bought:
            assert total == (regular * so_far.eligible // eligible if eligible else 0)
            # In proportion, never more than what was returned can have earned.
            assert so_far.eligible * bought <= gone * eligible
    if gone < bought or not bought:
        receipt = till.take_back("p")
        total += -sum(e.points for e in receipt.entries if e.kind == "RETURN")
        total += receipt.entries[0].data.forgiven_points
    assert total == purchase.points
    forgiven = sum(e.data.forgiven_points for e in till.journal())
    assert till.accounts["ann"].lifetime == forgiven
    with pytest.raises(ReturnExceedsPurchase):
        till.take_back("p")
    sound(till)


# -- limits ---------------------------------------------------------------------------------------


def a_thousand_lines() -> tuple[Till, dict[str, str]]:
    till = shop(document({"exclude_categories": ["gift-card"]}))
    lines = {
        f"{'gift-card' if number % 4 == 0 else 'coffee'}/{number}": "1.00" for number in range(1000)
    }
    till.buy("1000.00", lines=lines, purchase_id="p")
    assert till.state() == (750, 0, 0, 0)
    return till, lines


def test_a_purchase_of_a_thousand_lines_comes_back_at_once() -> None:
    till, lines = a_thousand_lines()
    began = process_time()
    entry = till.take_back("p", lines=lines).entries[0]
    assert process_time() - began < 1.0
    assert (entry.points, returned(entry).full, len(returned(entry).lines)) == (-750, True, 1000)
    sound(till)


def test_a_purchase_of_a_thousand_lines_comes_back_line_by_line() -> None:
    till, lines = a_thousand_lines()
    points = [
        -till.take_back("p", lines={name: amount}).entries[0].points
        for name, amount in list(lines.items())[:100]
    ]
    assert points == 25 * [0, 1, 1, 1]
    till.take_back("p")
    assert till.state() == (0, 0, 0, 0)
    sound(till)


def test_more_points_than_floats_can_count_come_back_to_the_last_one() -> None:
    till = shop(document({"rate": {"points": 1, "per": "0.01"}}))
    for number in range(9):
        till.buy("9999999999999.99", purchase_id=f"p-{number}")
    till.buy("71992547410.02", purchase_id="q")
    huge = 2**53 + 1
    assert till.state() == (huge, 0, 0, 0)

    till.take_back("p-0", "9999999999999.98")
    assert till.state() == (huge - 999_999_999_999_998, 0, 0, 0)
    till.take_back("p-0")
    assert till.state() == (huge - 999_999_999_999_999, 0, 0, 0)
    sound(till)


def test_visits_that_were_returned_bring_no_bonus_twice() -> None:
    second = {"id": "second", "on": "EVERY_NTH_VISIT", "n": 2, "points": 50}
    till = Till(document(bonuses=[second]), now="2026-01-10T09:00Z")
    till.enroll()
    for day in range(4):
        till.now = at(f"2026-01-{11 + day}T09:00Z")
        till.buy("5.00", purchase_id=f"p{day + 1}")
    assert till.state() == (4 * 5 + 2 * 50, 0, 0, 0)

    for purchase_id in ("p4", "p1", "p3"):
        till.take_back(purchase_id)
    assert till.state() == (5 + 50, 0, 0, 0)
    till.buy("5.00", purchase_id="p5")  # the second visit that is kept; its bonus is kept, too

    assert till.state() == (5 + 50 + 5, 0, 0, 0)
    sound(till)

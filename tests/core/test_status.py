"""What a member may do whose status is not ACTIVE, and what time goes on doing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ledger.core.commands import SetMemberStatus
from ledger.core.errors import InvalidArgument, LedgerError, MemberNotActive, MemberNotFound
from ledger.core.ids import hold_id, redemption_id
from ledger.core.instants import DAY
from ledger.core.model import Receipt
from ledger.core.rewards import offers
from tests.core.spending import Till, rows, sound
from tests.memory import at, document

RULES = document(
    tiers={
        "period": {"rolling_days": 365},
        "levels": [{"id": "member"}, {"id": "silver", "visits": 9}],
    },
    bonuses=[{"id": "review", "on": "ACTIVITY", "activity": "review", "points": 5}],
    rewards=[{"id": "perk", "points": 0, "kind": "PERK"}],
)

Action = Callable[[Till], Any]
#: every command that there is, on an account that has something for each
ACTIONS: dict[str, Action] = {
    "purchase": lambda till: till.buy("5.00"),
    "activity": lambda till: till.do("review"),
    "return": lambda till: till.take_back("p"),
    "adjustment up": lambda till: till.adjust(5),
    "adjustment down": lambda till: till.adjust(-5),
    "override": lambda till: till.override("silver", "2026-12-01T00:00Z"),
    "reversal": lambda till: till.reverse(redemption_id(till.program, "ann", 4)),
    "capture": lambda till: till.capture(hold_id(till.program, "ann", 5)),
    "capture of a part": lambda till: till.capture(hold_id(till.program, "ann", 5), 1),
    "release": lambda till: till.release(hold_id(till.program, "ann", 5)),
    "extension": lambda till: till.extend(hold_id(till.program, "ann", 5)),
    "hold": lambda till: till.hold(5),
    "hold of a reward": lambda till: till.hold(reward_id="perk"),
    "redemption": lambda till: till.redeem(5),
    "reward": lambda till: till.redeem(reward_id="perk"),
    "transfer": lambda till: till.transfer("bob", 5),
    "transfer in": lambda till: till.transfer("ann", 5, member_id="bob"),
}
SPENDING = {"extension", "hold", "hold of a reward", "redemption", "reward", "transfer"}


def member(status: str = "ACTIVE") -> Till:
    """A till with bob, and with ann of this status: she has bought, redeemed and holds."""
    till = Till(RULES)
    till.enroll("bob")
    till.adjust(50, member_id="bob")
    till.enroll()
    till.adjust(100)
    till.buy("10.00", purchase_id="p")
    till.redeem(10)
    till.hold(10)
    if status != "ACTIVE":
        till.status(status)
    return till


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("status", ["ACTIVE", "EARN_ONLY", "SUSPENDED", "CLOSED"])
def test_a_status_says_what_a_member_may_do(status: str, action: str) -> None:
    till = member(status)
    allowed = status == "ACTIVE" or (status == "EARN_ONLY" and action not in SPENDING)
    before = (len(till.journal()), len(till.journal("bob")), till.state())

    if allowed:
        ACTIONS[action](till)
    else:
        with pytest.raises(MemberNotActive) as refused:
            ACTIONS[action](till)
        assert refused.value.metadata == {"member_id": "ann", "status": status}
        assert (len(till.journal()), len(till.journal("bob")), till.state()) == before
    sound(till)


@pytest.mark.parametrize("status", ["EARN_ONLY", "SUSPENDED", "CLOSED"])
def test_a_change_of_status_is_an_entry(status: str) -> None:
    till = member()

    command = till.request(SetMemberStatus, status=status, reason="lost the card")
    receipt = till.write(command, "desk")

    assert isinstance(receipt, Receipt)
    (entry,) = receipt.entries
    assert (entry.kind, entry.points, entry.debit_account) == ("STATUS_CHANGE", 0, "")
    assert (entry.data.status, entry.data.note, entry.actor) == (status, "lost the card", "desk")
    assert till.accounts["ann"].status == status
    assert till.state() == (90, 0, 10, 0)
    sound(till)


@pytest.mark.parametrize("before", ["ACTIVE", "EARN_ONLY", "SUSPENDED", "CLOSED"])
@pytest.mark.parametrize("after", ["ACTIVE", "EARN_ONLY", "SUSPENDED", "CLOSED"])
def test_every_status_but_the_last_can_be_changed(before: str, after: str) -> None:
    till = member(before)
    outcome = till.write(till.request(SetMemberStatus, status=after, reason="asked for it"))
    if before == "CLOSED":
        assert isinstance(outcome, MemberNotActive)
    elif before == after:
        assert isinstance(outcome, InvalidArgument)
        assert [violation.field for violation in outcome.violations] == ["status"]
    else:
        assert isinstance(outcome, Receipt)
        assert till.accounts["ann"].status == after


def test_a_stranger_has_no_status() -> None:
    till = member()
    outcome = till.write(till.request(SetMemberStatus, "cid", status="CLOSED", reason="gone"))
    assert isinstance(outcome, MemberNotFound)


@pytest.mark.parametrize("status", ["SUSPENDED", "CLOSED"])
def test_that_a_member_is_not_active_is_said_after_what_is_not_found(status: str) -> None:
    till = member(status)
    attempts: list[tuple[Callable[[], object], str]] = [
        (lambda: till.redeem(reward_id="none"), "REWARD_NOT_FOUND"),
        (lambda: till.hold(reward_id="none"), "REWARD_NOT_FOUND"),
        (lambda: till.capture("h-none-1"), "HOLD_NOT_FOUND"),
        (lambda: till.reverse("r-none-1"), "REDEMPTION_NOT_FOUND"),
        (lambda: till.take_back("none"), "PURCHASE_NOT_FOUND"),
        (lambda: till.transfer("none", 5), "MEMBER_NOT_FOUND"),
        # And before everything else.
        (lambda: till.redeem(1000), "MEMBER_NOT_ACTIVE"),
        (lambda: till.buy("5.00", purchase_id="p"), "MEMBER_NOT_ACTIVE"),
        (lambda: till.buy("5.00", when="2020-01-01T00:00Z"), "MEMBER_NOT_ACTIVE"),
        (lambda: till.capture(hold_id(till.program, "ann", 5), 999), "MEMBER_NOT_ACTIVE"),
        (lambda: till.take_back("p", "99.00"), "MEMBER_NOT_ACTIVE"),
        (lambda: till.adjust(-1000, "none"), "MEMBER_NOT_ACTIVE"),
    ]
    for attempt, reason in attempts:
        with pytest.raises(LedgerError) as refused:
            attempt()
        assert refused.value.reason == reason


def test_a_refusal_for_the_status_is_remembered() -> None:
    till = member("SUSPENDED")
    command = till.purchase("5.00", request_id="once")
    assert isinstance(till.write(command), MemberNotActive)
    till.status("ACTIVE")
    assert isinstance(till.write(command), MemberNotActive)
    till.buy("5.00")


@pytest.mark.parametrize("status", ["SUSPENDED", "CLOSED"])
def test_nobody_hands_points_to_who_can_have_none(status: str) -> None:
    till = member(status)
    with pytest.raises(MemberNotActive) as refused:
        till.transfer("ann", 5, member_id="bob")
    assert refused.value.metadata == {"member_id": "ann", "status": status}
    assert till.state("bob") == (50, 0, 0, 0)


def test_who_may_only_earn_is_offered_nothing() -> None:
    till = member("EARN_ONLY")
    account, rules = till.accounts["ann"], till.program.versions[0].rules
    (offer,) = offers(account, rules, till.program, till.now, till.units)
    assert [obstacle.reason for obstacle in offer.obstacles] == ["STATUS"]


# -- time goes on ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["EARN_ONLY", "SUSPENDED", "CLOSED"])
def test_time_goes_on_for_everybody(status: str) -> None:
    till = Till(document({"pending_days": 2}, expiry={"after_months": 1, "warn_days": [7]}))
    till.enroll()
    till.adjust(30)
    till.buy("10.00")
    till.hold(20, ttl=DAY)
    till.status(status)

    till.now = at("2026-06-01T00:00Z")
    till.settle()

    assert rows(till.journal()[-3:]) == [("RELEASE", 20), ("ACTIVATION", 10), ("EXPIRY", -40)]
    assert till.warnings() == [("2026-02-28T23:00:00Z", 7, 40, False)]
    sound(till)


@pytest.mark.parametrize(
    ("status", "given"), [("ACTIVE", 3), ("EARN_ONLY", 3), ("SUSPENDED", 0), ("CLOSED", 0)]
)
def test_bonuses_of_the_day_are_not_for_who_can_have_nothing(status: str, given: int) -> None:
    occasions = ("BIRTHDAY", "MEMBERSHIP_ANNIVERSARY", "INACTIVE_DAYS")
    bonuses = [{"id": on.lower(), "on": on, "points": 9} for on in occasions]
    bonuses[2]["n"] = 90
    till = Till(document(bonuses=bonuses))
    till.enroll(birthday=301)
    if status != "ACTIVE":
        till.status(status)
    till.now = at("2027-01-20T09:00Z")
    till.settle()
    assert sum(entry.kind == "BONUS" for entry in till.journal()) == given


@pytest.mark.parametrize(
    ("status", "points"), [("ACTIVE", 30), ("EARN_ONLY", 30), ("SUSPENDED", 0), ("CLOSED", 0)]
)
def test_a_friend_is_thanked_only_where_points_can_be_given(status: str, points: int) -> None:
    refer = {"id": "refer", "on": "REFERRAL", "points": 30, "referee_points": 10}
    till = Till(document(bonuses=[refer]))
    till.enroll()
    till.enroll("bob", referrer_member_id="ann")
    if status != "ACTIVE":
        till.status(status)

    till.buy("5.00", "bob")

    # Who was referred is not to blame.
    assert till.state("bob") == (15, 0, 0, 0)
    assert till.state() == (points, 0, 0, 0)
    sound(till)


def test_a_tier_ends_for_who_is_suspended_too() -> None:
    till = member()
    till.override("silver", "2026-12-01T00:00Z")
    till.status("SUSPENDED")
    till.now = at("2026-12-01T00:00Z")
    till.settle()
    assert till.accounts["ann"].tier_id == "member"


def test_what_a_suspension_has_cost_is_not_given_later() -> None:
    birthday = {"id": "birthday", "on": "BIRTHDAY", "points": 200}
    away = {"id": "miss-you", "on": "INACTIVE_DAYS", "n": 90, "points": 100}
    till = Till(document(bonuses=[birthday, away]), now="2026-01-10T09:00Z")
    till.enroll(birthday=301)
    till.status("SUSPENDED")
    till.now = at("2029-02-01T09:00Z")
    till.status("ACTIVE")

    assert till.state() == (0, 0, 0, 0)
    till.now = at("2029-03-02T09:00Z")
    till.settle()
    assert [entry.data.breakdown[0].rule for entry in till.journal() if entry.points] == [
        "bonus:birthday"
    ]
    sound(till)


def test_a_full_account_has_its_own_points_back() -> None:
    till = Till(document())
    till.enroll()
    for _ in range(10):
        till.adjust(10**15)
    hold = till.hold(10**15)
    with pytest.raises(InvalidArgument):
        till.adjust(1)  # what is held counts

    till.capture(hold, 1)

    assert till.state() == (10**16 - 1, 0, 0, 0)
    sound(till)

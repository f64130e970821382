"""Balances that expire because nothing is bought or redeemed for long."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.commands import RecordReturn, Settle
from ledger.core.errors import InsufficientPoints
from ledger.core.ids import hold_id
from ledger.core.instants import DAY, MINUTE
from ledger.core.model import Entry
from ledger.core.schedule import schedule
from tests.core.spending import Till, lots, redemption_of, rows, sound
from tests.memory import PROGRAM, Document, at, document

#: of 10 January with two months: midnight after 31 March in Berlin
END = at("2026-04-01T00:00+02:00")


def rules(months: int | None = 2, earning: Document | None = None, **sections: Any) -> Document:
    expiry = {**sections.pop("expiry", {}), **({"inactivity_months": months} if months else {})}
    return document(earning, expiry=expiry, **sections)


def member(document_: Document | None = None, points: int = 100, **fields: Any) -> Till:
    """A till with ann, enrolled on 10 January, who was given points."""
    till = Till(document_ or rules(), **fields)
    till.enroll()
    if points:
        till.adjust(points)
    return till


def expiries(till: Till) -> list[tuple[str, int, bool]]:
    """When points expired, how many, and whether for want of activity."""
    return [
        (_clock(till, entry), entry.points, entry.data.inactivity)
        for entry in till.journal()
        if entry.kind == "EXPIRY"
    ]


def _clock(till: Till, entry: Entry) -> str:
    seconds = entry.effective_time // 1_000_000
    return datetime.fromtimestamp(seconds, till.program.zone).isoformat()[:16]


# -- when -----------------------------------------------------------------------------------------


def test_the_whole_balance_expires_in_one_entry() -> None:
    till = member(rules(expiry={"after_months": 12}), 0)
    till.buy("30.00")
    till.publish(rules(), till.now)
    till.adjust(7)
    assert lots(till) == [("2027-02-01T00:00", 30), ("never", 7)]

    till.now = END - 1
    assert till.settle() == ()
    till.now = END
    (entry,) = till.settle()

    assert (entry.kind, entry.points, entry.actor) == ("EXPIRY", -37, "time")
    assert (entry.debit_account, entry.credit_account) == ("member:available", "expired")
    assert (entry.effective_time, entry.data.inactivity) == (END, True)
    assert [change.points for change in entry.data.lots] == [-30, -7]
    assert till.state() == (0, 0, 0, 0)
    assert till.settle() == ()
    sound(till)


@pytest.mark.parametrize(
    ("zone", "bought", "months", "ends"),
    [
        ("Europe/Berlin", "2026-01-10T09:00Z", 1, "2026-03-01T00:00"),
        ("Europe/Berlin", "2026-01-31T22:59Z", 1, "2026-03-01T00:00"),
        ("Europe/Berlin", "2026-01-31T23:00Z", 1, "2026-04-01T00:00"),
        ("Europe/Berlin", "2026-07-06T12:00Z", 18, "2028-02-01T00:00"),
        ("Europe/Berlin", "2027-12-31T12:00Z", 2, "2028-03-01T00:00"),
        ("Pacific/Kiritimati", "2026-01-31T10:00Z", 1, "2026-04-01T00:00"),
        ("Pacific/Pago_Pago", "2026-02-01T10:00Z", 1, "2026-03-01T00:00"),
        ("America/New_York", "2026-01-31T12:00Z", 1200, "2126-02-01T00:00"),
    ],
)
def test_it_is_the_end_of_a_local_month(zone: str, bought: str, months: int, ends: str) -> None:
    till = Till(rules(months), now=bought, zone=zone)
    till.enroll()
    till.buy("10.00")
    till.now = at("2127-01-01T00:00Z")
    till.settle()
    assert expiries(till) == [(ends, -10, True)]


def _return(till: Till) -> None:
    till.write(till.request(RecordReturn, purchase_id="p", full=True))


ACTIONS: dict[str, Callable[[Till], object]] = {
    "purchase": lambda till: till.buy("1.00"),
    "purchase of nothing": lambda till: till.buy("0.00"),
    "late purchase": lambda till: till.buy("1.00", when="2026-02-20T12:00Z"),
    "later purchase": lambda till: till.buy("1.00", when="2026-03-01T12:00Z"),
    "redemption": lambda till: till.redeem(1),
    "late redemption": lambda till: till.redeem(1, effective_time=at("2026-02-20T12:00Z")),
    "reward": lambda till: till.redeem(reward_id="perk"),
    "capture": lambda till: till.capture(till.hold(1)),
    "capture of a part": lambda till: till.capture(till.hold(5), 1),
    "hold": lambda till: till.hold(1, ttl=DAY),
    "released hold": lambda till: till.release(till.hold(1)),
    "extended hold": lambda till: till.extend(till.hold(1)),
    "adjustment": lambda till: till.adjust(5),
    "activity": lambda till: till.do("review"),
    "transfer out": lambda till: till.transfer("bob", 5),
    "transfer in": lambda till: till.transfer("ann", 5, member_id="bob"),
    "override": lambda till: till.override("silver", "2026-12-01T00:00Z"),
    "return": _return,
    "status": lambda till: (till.status("EARN_ONLY"), till.status("ACTIVE")),
}


@pytest.mark.parametrize(
    ("action", "ends"),
    [
        ("purchase", "2026-06-01T00:00"),
        ("purchase of nothing", "2026-06-01T00:00"),
        ("late purchase", "2026-05-01T00:00"),
        ("later purchase", "2026-06-01T00:00"),
        ("redemption", "2026-06-01T00:00"),
        ("late redemption", "2026-05-01T00:00"),
        ("reward", "2026-06-01T00:00"),
        ("capture", "2026-06-01T00:00"),
        ("capture of a part", "2026-06-01T00:00"),
        ("hold", "2026-04-01T00:00"),
        ("released hold", "2026-04-01T00:00"),
        ("extended hold", "2026-04-01T00:00"),
        ("adjustment", "2026-04-01T00:00"),
        ("activity", "2026-04-01T00:00"),
        ("transfer out", "2026-04-01T00:00"),
        ("transfer in", "2026-04-01T00:00"),
        ("override", "2026-04-01T00:00"),
        ("return", "2026-04-01T00:00"),
        ("status", "2026-04-01T00:00"),
    ],
)
def test_purchases_and_redemptions_keep_a_balance_alive_and_nothing_else(
    action: str, ends: str
) -> None:
    levels = [{"id": "member"}, {"id": "silver", "visits": 9}]
    program = rules(
        bonuses=[{"id": "review", "on": "ACTIVITY", "activity": "review", "points": 5}],
        rewards=[{"id": "perk", "points": 0, "kind": "PERK"}],
        tiers={"period": {"rolling_days": 365}, "levels": levels},
    )
    till = member(program)
    till.enroll("bob")
    till.adjust(50, member_id="bob")
    till.buy("10.00", purchase_id="p")
    till.now = at("2026-03-10T09:00Z")

    ACTIONS[action](till)
    till.now = at("2026-06-30T09:00Z")
    till.settle()

    assert [when for when, _, inactive in expiries(till) if inactive] == [ends]
    assert till.state() == (0, 0, 0, 0)
    sound(till)


def test_a_purchase_older_than_the_latest_changes_nothing() -> None:
    till = member(points=0)
    till.buy("10.00")
    till.buy("10.00", when="2025-12-20T12:00Z")
    till.now = END
    till.settle()
    assert expiries(till) == [("2026-04-01T00:00", -20, True)]


def test_who_never_bought_counts_from_the_enrolment() -> None:
    till = Till(rules(bonuses=[{"id": "welcome", "on": "ENROLLMENT", "points": 50}]))
    till.enroll(effective_time=at("2025-12-20T12:00Z"))
    till.now = END
    till.settle()
    assert expiries(till) == [("2026-03-01T00:00", -50, True)]


def test_what_comes_after_an_expiry_has_until_the_next() -> None:
    till = member()
    till.now = END
    till.settle()
    till.now = at("2026-05-05T09:00Z")
    till.adjust(3)

    till.now = at("2026-07-01T00:00+02:00") - 1
    assert till.settle() == ()
    till.now += 1
    till.settle()

    assert expiries(till) == [("2026-04-01T00:00", -100, True), ("2026-07-01T00:00", -3, True)]


def test_dates_that_pass_over_an_empty_balance_take_nothing_from_what_comes_later() -> None:
    till = member(points=0)
    till.now = at("2026-05-05T09:00Z")
    till.adjust(3)
    assert till.settle() == ()
    # The date at the end of March had nothing to take; the next lies two months after it.
    till.now = at("2026-08-01T09:00Z")
    till.settle()
    assert expiries(till) == [("2026-07-01T00:00", -3, True)]


def test_an_expiry_for_want_of_activity_and_a_purchase_begin_again() -> None:
    till = member()
    till.now = at("2026-04-10T09:00Z")
    receipt = till.buy("5.00")
    assert rows(till.journal()[-2:]) == [("EXPIRY", -100), ("PURCHASE", 5)]
    assert rows(receipt.entries) == [("PURCHASE", 5)]
    till.now = at("2027-01-01T09:00Z")
    till.settle()
    assert expiries(till)[-1] == ("2026-07-01T00:00", -5, True)


def test_a_late_upload_does_not_bring_back_what_has_expired() -> None:
    till = member()
    till.now = at("2026-04-10T09:00Z")
    till.buy("5.00", when="2026-03-20T12:00Z")
    assert till.state() == (5, 0, 0, 0)
    till.now = at("2026-12-01T09:00Z")
    till.settle()
    # Its own two months count from the expiry, which is the later of the two.
    assert expiries(till) == [("2026-04-01T00:00", -100, True), ("2026-07-01T00:00", -5, True)]


def test_what_is_refused_for_want_of_points_has_expired() -> None:
    till = member()
    till.now = END
    with pytest.raises(InsufficientPoints) as refused:
        till.redeem(1)
    assert refused.value.metadata["available"] == "0"


# -- at one instant -------------------------------------------------------------------------------


def test_at_one_instant_lots_expire_first_then_the_rest_and_bonuses_come_after() -> None:
    birthday = {"id": "birthday", "on": "BIRTHDAY", "points": 9}
    till = Till(rules(earning={"pending_days": 81}, expiry={"after_months": 2}, bonuses=[birthday]))
    till.enroll(birthday=401)
    till.adjust(20)  # ends with March
    till.publish(rules(bonuses=[birthday]), till.now)
    till.adjust(30)
    till.publish(rules(earning={"pending_days": 81}, bonuses=[birthday]), till.now)
    till.buy("5.00")  # spendable from 1 April on
    till.hold(10, ttl=28 * DAY)
    for _ in range(3):
        till.now += 25 * DAY
        if till.now + 28 * DAY < END:
            till.extend(_hold_id(till), 28 * DAY)
    till.now = at("2026-03-20T09:00Z")
    till.extend(_hold_id(till), END - till.now)
    till.now = END

    assert rows(till.settle()) == [
        ("RELEASE", 10),
        ("ACTIVATION", 5),
        ("EXPIRY", -20),
        ("EXPIRY", -35),
        ("BONUS", 9),
    ]
    assert [entry.data.inactivity for entry in till.journal()[-3:]] == [False, True, False]
    sound(till)


def _hold_id(till: Till) -> str:
    return hold_id(till.program, "ann", till.accounts["ann"].holds[0].sequence)


# -- rules that come and go -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("versions", "ends"),
    [
        ([("2026-01-10T09:00Z", None)], None),
        ([("2026-01-10T09:00Z", 2)], "2026-04-01T00:00"),
        # New in May: two months after that, whatever was before.
        ([("2026-01-10T09:00Z", None), ("2026-05-20T09:00Z", 2)], "2026-08-01T00:00"),
        ([("2026-01-10T09:00Z", None), ("2026-05-31T22:00Z", 2)], "2026-09-01T00:00"),
        # The same months go on.
        ([("2026-01-10T09:00Z", 2), ("2026-03-20T09:00Z", 2)], "2026-04-01T00:00"),
        # Other months begin anew.
        ([("2026-01-10T09:00Z", 2), ("2026-03-20T09:00Z", 3)], "2026-07-01T00:00"),
        ([("2026-01-10T09:00Z", 6), ("2026-03-20T09:00Z", 1)], "2026-05-01T00:00"),
        # So do those that were away for a while.
        (
            [
                ("2026-01-10T09:00Z", 2),
                ("2026-03-20T09:00Z", None),
                ("2026-04-20T09:00Z", 2),
            ],
            "2026-07-01T00:00",
        ),
        # A version that was never in force changes nothing.
        (
            [
                ("2026-01-10T09:00Z", 2),
                ("2026-03-20T09:00Z", None),
                ("2026-03-20T09:00Z", 2),
            ],
            "2026-04-01T00:00",
        ),
        ([("2026-01-10T09:00Z", 2), ("2026-03-20T09:00Z", None)], None),
        # It ends at the very instant at which the balance would have expired, or just after.
        ([("2026-01-10T09:00Z", 2), ("2026-03-31T22:00Z", None)], None),
        ([("2026-01-10T09:00Z", 2), ("2026-03-31T22:00:01Z", None)], "2026-04-01T00:00"),
    ],
)
@pytest.mark.parametrize("looks", ["often", "never"])
def test_a_new_rule_counts_from_the_day_it_came_into_force(
    versions: list[tuple[str, int | None]], ends: str | None, looks: str
) -> None:
    till = member(rules(versions[0][1]))
    for instant, months in versions[1:]:
        till.publish(rules(months), at(instant))
    last = at("2027-01-01T09:00Z")
    while looks == "often" and till.now < last:
        till.settle()
        till.now += 7 * DAY
    till.now = last

    till.settle()

    assert expiries(till) == ([] if ends is None else [(ends, -100, True)])
    sound(till)


def test_activity_after_a_rule_is_new_counts_as_ever() -> None:
    till = member(rules(None))
    till.publish(rules(2), at("2026-05-20T09:00Z"))
    till.now = at("2026-06-10T09:00Z")
    till.redeem(1)
    till.now = at("2027-01-01T09:00Z")
    till.settle()
    assert expiries(till) == [("2026-09-01T00:00", -99, True)]


# -- what waits and what is held ------------------------------------------------------------------


def test_what_waits_is_not_spendable_and_stays() -> None:
    till = member(rules(earning={"pending_days": 100}))
    till.buy("5.00")
    till.now = END
    till.settle()
    assert till.state() == (0, 5, 0, 0)
    till.now = at("2026-04-20T00:00+02:00")
    till.settle()
    assert till.state() == (5, 0, 0, 0)
    till.now = at("2026-07-01T00:00+02:00")
    till.settle()
    assert till.state() == (0, 0, 0, 0)


@pytest.mark.parametrize("available", [0, 60])
@pytest.mark.parametrize("end", ["released", "lapsed", "captured in part"])
def test_what_is_held_meanwhile_expires_when_it_comes_back(end: str, available: int) -> None:
    till = member(points=40 + available)
    till.now = END - 10 * DAY
    hold = till.hold(40, ttl=20 * DAY)
    till.now = END
    till.settle()
    assert till.state() == (0, 0, 40, 0)

    till.now = END + 5 * DAY
    if end == "released":
        receipt = till.release(hold)
        assert rows(receipt.entries) == [("RELEASE", 40), ("EXPIRY", -40)]
        assert {entry.effective_time for entry in receipt.entries} == {till.now}
    elif end == "captured in part":
        receipt = till.capture(hold, 30)
        assert rows(receipt.entries) == [("CAPTURE", -30), ("RELEASE", 10), ("EXPIRY", -10)]
    else:
        till.now = END + 20 * DAY
        till.settle()
        released, expired = till.journal()[-2:]
        assert rows((released, expired)) == [("RELEASE", 40), ("EXPIRY", -40)]
        assert released.effective_time == expired.effective_time == END + 10 * DAY
    assert till.state() == (0, 0, 0, 0)
    sound(till)


def test_a_lot_whose_own_date_is_sooner_keeps_it_in_a_hold() -> None:
    till = member(rules(expiry={"after_months": 1}), 40)  # ends with February
    till.now = at("2026-02-25T09:00Z")
    hold = till.hold(40, ttl=28 * DAY)
    till.extend(hold, 28 * DAY)
    till.now = at("2026-03-20T09:00Z")
    till.extend(hold, 28 * DAY)
    till.now = END + DAY
    released, expired = till.release(hold).entries
    (change,) = expired.data.lots
    assert change.expire_time == at("2026-03-01T00:00+01:00")
    assert released.points == -expired.points == 40


def test_what_is_held_after_an_expiry_has_nothing_to_do_with_it() -> None:
    till = member()
    till.now = END
    till.settle()
    till.adjust(30)
    hold = till.hold(30)
    till.release(hold)
    assert till.state() == (30, 0, 0, 0)


def test_of_two_holds_only_the_one_from_before_is_past_its_date() -> None:
    till = member()
    till.now = END - DAY
    before = till.hold(40, ttl=10 * DAY)
    till.now = END
    till.adjust(30)
    after = till.hold(30, ttl=10 * DAY)
    till.release(before)
    assert till.state() == (0, 0, 30, 0)
    till.release(after)
    assert till.state() == (30, 0, 0, 0)
    sound(till)


def test_what_was_redeemed_before_may_come_back_after() -> None:
    till = member()
    redemption = redemption_of(till, till.redeem(40))
    till.now = END
    till.settle()
    till.reverse(redemption)
    assert till.state() == (40, 0, 0, 0)
    till.now = at("2026-07-01T00:00+02:00")
    till.settle()
    assert expiries(till)[-1] == ("2026-07-01T00:00", -40, True)


def test_a_debt_does_not_expire() -> None:
    till = member(points=0)
    till.buy("10.00", purchase_id="p")
    till.redeem(10)
    till.take_back("p")
    till.now = at("2027-01-01T09:00Z")
    assert till.settle() == ()
    assert till.state() == (0, 0, 0, 10)


# -- looking ahead --------------------------------------------------------------------------------


def test_the_next_date_is_known_beforehand() -> None:
    till = member()
    posting = till.decide(Settle(program_id=PROGRAM, member_id="ann"))
    assert posting.due_time == END
    found = schedule(till.accounts["ann"], till.program, till.now)
    assert (found.inactivity_time, found.inactivity_points) == (END, 100)
    assert (found.items, found.never_expiring) == ((), 100)


def test_without_points_there_is_no_date() -> None:
    till = member(points=0)
    assert till.decide(Settle(program_id=PROGRAM, member_id="ann")).due_time is None
    found = schedule(till.accounts["ann"], till.program, till.now)
    assert (found.inactivity_time, found.inactivity_points) == (None, 0)


# -- whenever somebody looks ----------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.integers(1, 50),
        st.sampled_from(["buy", "late", "redeem", "hold", "extend", "release", "adjust", "back"]),
        st.integers(1, 30),
    ),
    min_size=1,
    max_size=8,
)


def _do(till: Till, action: str, points: int) -> None:
    account = till.accounts["ann"]
    if action == "buy":
        till.buy(f"{points}.00")
    elif action == "late":
        till.buy(f"{points}.00", when=till.now - 20 * DAY)
    elif action == "adjust":
        till.adjust(points)
    elif action == "back":
        bought = [entry for entry in till.journal() if entry.kind == "PURCHASE"]
        if bought:
            command = till.request(RecordReturn, purchase_id=bought[-1].purchase_id, full=True)
            till.write(command)
    elif action in ("redeem", "hold"):
        # What is spendable is known only once what is due is posted.
        available = till.decide(Settle(program_id=PROGRAM, member_id="ann")).account.available
        if not available:
            return
        if action == "redeem":
            till.redeem(min(points, available))
        else:
            till.hold(min(points, available), ttl=min(points, 28) * DAY - MINUTE)
    elif account.holds:
        settled = till.decide(Settle(program_id=PROGRAM, member_id="ann")).account
        if settled.holds:
            hold = hold_id(till.program, "ann", settled.holds[0].sequence)
            till.release(hold) if action == "release" else till.extend(hold, 10 * DAY)


@given(
    STEPS,
    st.integers(1, 3),
    st.one_of(st.none(), st.integers(1, 4)),
    st.sampled_from([0, 40]),
    st.sampled_from([None, 0, 1, 2]),
)
def test_it_does_not_matter_when_somebody_looks(
    steps: list[tuple[int, str, int]],
    months: int,
    after_months: int | None,
    pending_days: int,
    change: int | None,
) -> None:
    birthday = {"id": "birthday", "on": "BIRTHDAY", "points": 9}
    expiry = {"warn_days": [30, 7], **({"after_months": after_months} if after_months else {})}

    def program(number: int | None) -> Document:
        earning = {"pending_days": pending_days}
        return rules(number, earning, expiry=expiry, bonuses=[birthday])

    tills = [Till(program(months)) for _ in range(2)]
    for till in tills:
        till.enroll(birthday=301)
        till.buy("10.00")
        if change is not None:
            till.publish(program(change or None), at("2026-03-15T09:00Z"))
    for days, action, points in [*steps, (200, "buy", 1)]:
        for till, often in zip(tills, (True, False), strict=True):
            end = till.now + days * DAY
            while often and till.now < end:
                till.now += DAY
                till.settle()
            till.now = end
            _do(till, action, points)

    kept = [
        [
            (e.kind, e.points, e.effective_time, e.rules_version, e.data.lots, e.available_points)
            for e in till.journal()
        ]
        for till in tills
    ]
    assert kept[0] == kept[1]
    assert tills[0].told == tills[1].told
    for till in tills:
        sound(till)

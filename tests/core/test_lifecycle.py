"""What a journal can not say, though every balance and every hash of it was made to fit."""

from __future__ import annotations

from enum import IntEnum
from functools import cache

import pytest

from ledger.core.instants import DAY, SECOND
from ledger.core.model import (
    ADJUSTMENTS,
    AVAILABLE,
    EXPIRED,
    ISSUANCE,
    REDEEMED,
    BreakdownLine,
    DayChange,
    Entry,
    LotChange,
    MarkChange,
    RedemptionData,
    TierState,
)
from ledger.core.verify import Finding, verify_member
from tests.core.spending import Till, redemption_of
from tests.forging import (
    Edit,
    change,
    copied,
    forged,
    lot,
    points,
    tell,
    together,
    without,
)
from tests.memory import MemoryLedger, at, document

HOUR = 3600 * SECOND
MUG = {
    **{"id": "mug", "name": "Mug", "points": 10, "kind": "ITEM"},
    **{"value": "9.00", "stock": 5, "per_member": {"count": 2}},
}
RULES = document(
    {"pending_days": 1},
    expiry={"after_months": 12, "inactivity_months": 6},
    redemption={"value": {"points": 100, "amount": "1.00"}},
    rewards=[MUG],
    adjustments={"approval_above": 500},
    bonuses=[
        {"id": "welcome", "on": "ENROLLMENT", "points": 50, "expires_days": 20},
        {"id": "big", "on": "PURCHASE_OVER", "amount": "50.00", "points": 5},
        {"id": "survey", "on": "ACTIVITY", "activity": "survey", "points": 3},
    ],
)


class Ann(IntEnum):
    """The entries of Ann's journal: she does all that can be done with points."""

    ENROLLED = 1
    WELCOME_BONUS = 2
    PURCHASE_ONE = 3
    PURCHASE_TWO = 4
    ACTIVATION = 5
    #: of 20 points each
    FIRST_HOLD = 6
    SECOND_HOLD = 7
    SECOND_HOLD_EXTENDED = 8
    #: of 15 of the first hold's points
    CAPTURE = 9
    RELEASE_OF_REST = 10
    SECOND_RELEASE = 11
    MUG_HOLD = 12
    MUG_LAPSE = 13
    #: of 30 points, of which 10 are given back, and of 25
    REDEMPTION = 14
    OTHER_REDEMPTION = 15
    REVERSAL = 16
    MUG_REDEMPTION = 17
    MUG_REVERSAL = 18
    #: of 40 euros, which takes back 40 points, then of the other 60
    PART_RETURN = 19
    FULL_RETURN = 20
    ACTIVITY = 21
    GIFT = 22
    CORRECTION = 23
    TRANSFER_OUT = 24
    SUSPENSION = 25
    REOPENING = 26
    PURCHASE_THREE = 27
    LAST_REDEMPTION = 28
    #: of purchase two, whose points are spent
    OWED_RETURN = 29
    SECOND_ACTIVATION = 30
    PAYMENT = 31
    SECOND_GIFT = 32
    SECOND_PAYMENT = 33


class Dora(IntEnum):
    """The entries of Dora's journal: she stays away for half a year."""

    ENROLLED = 1
    WELCOME_BONUS = 2
    PURCHASE = 3
    ACTIVATION = 4
    EXPIRY = 5
    HOLD = 6
    #: of all that is not held, for want of activity
    FADING = 7
    LAPSE = 8
    EXPIRY_OF_REST = 9
    GIFT = 10


@cache
def ledger() -> Till:
    """Ann's journal and Dora's; nobody may change them."""
    till = Till(RULES)
    for member_id in ("ann", "bob", "dora"):
        till.enroll(member_id)
    till.buy("100.00", purchase_id="one")
    till.buy("30.00", purchase_id="two")
    till.buy("40.00", "dora", purchase_id="four")
    till.now += 2 * DAY
    first, second = till.hold(20), till.hold(20)
    till.now += SECOND
    till.extend(second, HOUR)
    till.capture(first, 15)
    till.release(second)
    till.hold(reward_id="mug")
    till.now += HOUR
    redemption = redemption_of(till, till.redeem(30))
    till.redeem(25)
    till.reverse(redemption, 10)
    till.reverse(redemption_of(till, till.redeem(reward_id="mug")))
    till.now += DAY
    till.take_back("one", "40.00")
    till.take_back("one")
    till.do("survey")
    till.adjust(7)
    till.adjust(-2, "correction")
    till.transfer("bob", 5)
    till.status("SUSPENDED")
    till.status("ACTIVE")
    till.buy("20.00", purchase_id="three")
    till.redeem(till.accounts["ann"].available)
    till.take_back("two")
    till.now += 2 * DAY
    till.settle()
    till.adjust(40)
    till.now = at("2026-07-25T12:00Z")
    till.hold(5, ttl=14 * DAY, member_id="dora")
    till.now = at("2026-09-01T12:00Z")
    till.adjust(1, member_id="dora")
    return till


def found(member_id: str, edit: Edit) -> list[Finding]:
    """What is found in a member's journal with its balances and hashes made to fit an edit."""
    entries = copied(ledger().journal(member_id))
    edit(entries)
    return verify_member(*forged(entries), ledger().program).findings


@pytest.mark.parametrize("member_id", ["ann", "bob", "dora"])
def test_what_the_ledger_wrote_itself_is_sound(member_id: str) -> None:
    assert ledger().verify(member_id) == []
    assert found(member_id, change(1)) == []


@pytest.mark.parametrize(
    ("member_id", "kinds"),
    [
        (
            "ann",
            "ENROLLED BONUS PURCHASE PURCHASE ACTIVATION HOLD HOLD HOLD CAPTURE RELEASE RELEASE"
            " HOLD RELEASE REDEMPTION REDEMPTION REDEMPTION_REVERSAL REDEMPTION"
            " REDEMPTION_REVERSAL RETURN RETURN ACTIVITY ADJUSTMENT ADJUSTMENT TRANSFER_OUT"
            " STATUS_CHANGE STATUS_CHANGE PURCHASE REDEMPTION RETURN ACTIVATION DEBT_PAYMENT"
            " ADJUSTMENT DEBT_PAYMENT",
        ),
        (
            "dora",
            "ENROLLED BONUS PURCHASE ACTIVATION EXPIRY HOLD EXPIRY RELEASE EXPIRY ADJUSTMENT",
        ),
    ],
)
def test_the_journals_are_as_they_are_called(member_id: str, kinds: str) -> None:
    assert [entry.kind for entry in ledger().journal(member_id)] == kinds.split()


def relabelled(sequence: int, kind: str) -> Edit:
    return change(sequence, kind=kind)


def flipped(sequence: int) -> Edit:
    """Let the points of an entry go the other way than its accounts say."""

    def edit(entries: list[Entry]) -> None:
        entries[sequence - 1].points *= -1

    return edit


def later_by(sequence: int, span: int) -> Edit:
    """Let an entry have happened later than it did."""

    def edit(entries: list[Entry]) -> None:
        entries[sequence - 1].effective_time += span

    return edit


def held_until(sequence: int, expire_time: int | None) -> Edit:
    """Let points that are held, and come back, live until another date."""

    def edit(entries: list[Entry]) -> None:
        for entry in entries:
            entry.data.lots = tuple(
                LotChange(each.points, expire_time, hold=sequence)
                if each.hold == sequence
                else each
                for each in entry.data.lots
            )

    return edit


ONE_ENTRY = [
    pytest.param(
        change(Ann.WELCOME_BONUS, points=500, lots=(LotChange(500),)),
        ("shape", Ann.WELCOME_BONUS),
        id="a bonus of more points than its breakdown says",
    ),
    pytest.param(
        points(Ann.PURCHASE_TWO, 3000),
        ("shape", Ann.PURCHASE_TWO),
        id="a purchase of more points than its breakdown says",
    ),
    pytest.param(
        change(Ann.REDEMPTION, credit_account=EXPIRED),
        ("shape", Ann.REDEMPTION),
        id="a redemption that expires",
    ),
    pytest.param(
        change(Ann.WELCOME_BONUS, debit_account=ADJUSTMENTS),
        ("shape", Ann.WELCOME_BONUS),
        id="a bonus out of adjustments",
    ),
    pytest.param(
        change(Ann.GIFT, debit_account=ISSUANCE),
        ("shape", Ann.GIFT),
        id="an adjustment that is issued",
    ),
    pytest.param(
        relabelled(Ann.TRANSFER_OUT, "ADJUSTMENT"),
        ("shape", Ann.TRANSFER_OUT),
        id="a transfer that is called an adjustment",
    ),
    pytest.param(relabelled(Ann.GIFT, "GIFT"), ("shape", Ann.GIFT), id="a kind there is none of"),
    pytest.param(
        relabelled(Ann.REOPENING, "ENROLLED"), ("shape", Ann.REOPENING), id="enrolled twice"
    ),
    *(
        pytest.param(
            flipped(sequence), ("shape", sequence), id=f"the sign of {sequence.name} turned round"
        )
        for sequence in (Ann.PURCHASE_TWO, Ann.PART_RETURN, Ann.GIFT, Ann.SECOND_RELEASE)
    ),
    pytest.param(
        change(Ann.PURCHASE_TWO, purchase_id=""),
        ("shape", Ann.PURCHASE_TWO),
        id="a purchase without a receipt",
    ),
    pytest.param(
        change(Ann.PURCHASE_TWO, eligible=10**6),
        ("shape", Ann.PURCHASE_TWO),
        id="more earns than was paid",
    ),
    pytest.param(
        change(Ann.PURCHASE_TWO, day=DayChange(20_463, 30, 0, spend=10**6)),
        ("shape", Ann.PURCHASE_TWO),
        id="more counts for its day than was paid",
    ),
    pytest.param(
        change(Ann.GIFT, reason_code=""), ("shape", Ann.GIFT), id="an adjustment for no reason"
    ),
    pytest.param(
        change(Ann.WELCOME_BONUS, redemption=RedemptionData(2, 500)),
        ("shape", Ann.WELCOME_BONUS),
        id="a bonus that is a redemption too",
    ),
    pytest.param(
        change(Ann.FIRST_HOLD, status="EARN_ONLY"),
        ("shape", Ann.FIRST_HOLD),
        id="a hold that changes the status",
    ),
    pytest.param(
        change(Ann.REDEMPTION, inactivity=True),
        ("shape", Ann.REDEMPTION),
        id="a redemption for want of activity",
    ),
    pytest.param(
        change(Ann.ACTIVATION, actor="till"),
        ("shape", Ann.ACTIVATION),
        id="an activation that somebody asked for",
    ),
    pytest.param(
        change(Ann.GIFT, actor="time"), ("shape", Ann.GIFT), id="an adjustment that time makes"
    ),
    pytest.param(
        later_by(Ann.PURCHASE_TWO, 400 * DAY),
        ("shape", Ann.PURCHASE_TWO),
        id="recorded before it happened",
    ),
    pytest.param(
        later_by(Ann.FIRST_HOLD, -DAY), ("shape", Ann.FIRST_HOLD), id="held before it was asked for"
    ),
]

REQUESTS = [
    pytest.param(
        together(
            change(Ann.SECOND_RELEASE, consequences=1), change(Ann.MUG_HOLD, cause_sequence=11)
        ),
        ("group", Ann.MUG_HOLD),
        id="two requests made one",
    ),
    pytest.param(
        change(Ann.GIFT, fingerprint=""), ("group", Ann.GIFT), id="a request without fingerprint"
    ),
    pytest.param(
        change(Ann.GIFT, fingerprint="", request_id=""), ("group", Ann.GIFT), id="nobody's request"
    ),
    pytest.param(
        change(Ann.ENROLLED, fingerprint="", request_id=""),
        ("group", Ann.ENROLLED),
        id="a group that nobody asked for",
    ),
]

LOTS = [
    pytest.param(
        together(lot(Ann.FIRST_HOLD, 1, expire_time=None), held_until(Ann.FIRST_HOLD, None)),
        ("lots", Ann.FIRST_HOLD),
        id="points that live for ever once they are held",
    ),
    pytest.param(
        lot(Ann.ACTIVATION, 1, expire_time=None),
        ("lots", Ann.ACTIVATION),
        id="points that live for ever once they can be spent",
    ),
    pytest.param(
        change(
            Ann.GIFT,
            lots=(LotChange(7), LotChange(5), LotChange(-5, at("2027-01-31T23:00Z"))),
        ),
        ("lots", Ann.GIFT),
        id="points moved from lot to lot beside what comes in",
    ),
    pytest.param(
        lot(Ann.REDEMPTION, 0, expire_time=at("2027-01-31T23:00Z")),
        ("lots", Ann.REDEMPTION),
        id="points that would have lived longer are spent first",
    ),
    pytest.param(
        later_by(Ann.ACTIVATION, -DAY), ("lots", Ann.ACTIVATION), id="activated before their time"
    ),
]

HOLDS = [
    pytest.param(
        together(change(Ann.CAPTURE, subject_sequence=7), change(10, subject_sequence=7)),
        ("holds", Ann.CAPTURE),
        id="a capture about another hold",
    ),
    pytest.param(
        change(Ann.SECOND_RELEASE, subject_sequence=Ann.REDEMPTION),
        ("subject", Ann.SECOND_RELEASE),
        id="a release about what is no hold",
    ),
    pytest.param(
        change(Ann.CAPTURE, subject_sequence=0), ("subject", Ann.CAPTURE), id="a capture of nothing"
    ),
    pytest.param(
        without(Ann.RELEASE_OF_REST), ("holds", Ann.CAPTURE), id="a rest that stays held for ever"
    ),
    pytest.param(
        tell(Ann.FIRST_HOLD, "hold", points=25),
        ("holds", Ann.FIRST_HOLD),
        id="a hold that says it holds more",
    ),
    pytest.param(
        tell(Ann.FIRST_HOLD, "hold", state="RELEASED"),
        ("holds", Ann.FIRST_HOLD),
        id="a hold that has ended when it begins",
    ),
    pytest.param(
        tell(Ann.CAPTURE, "hold", points=500),
        ("holds", Ann.CAPTURE),
        id="a capture of a larger hold",
    ),
    pytest.param(
        tell(Ann.CAPTURE, "hold", captured_points=5),
        ("holds", Ann.CAPTURE),
        id="a capture that says it captures less",
    ),
    pytest.param(
        tell(Ann.CAPTURE, "hold", state="RELEASED"),
        ("holds", Ann.CAPTURE),
        id="a capture told as a release",
    ),
    pytest.param(
        tell(Ann.SECOND_RELEASE, "hold", state="CAPTURED"),
        ("holds", Ann.SECOND_RELEASE),
        id="a release told as a capture",
    ),
    pytest.param(
        together(
            tell(Ann.SECOND_RELEASE, "hold", state="LAPSED"),
            change(Ann.SECOND_RELEASE, actor="time", request_id="", fingerprint=""),
        ),
        ("holds", Ann.SECOND_RELEASE),
        id="a lapse before its time",
    ),
    pytest.param(
        tell(Ann.MUG_LAPSE, "hold", state="RELEASED"),
        ("holds", Ann.MUG_LAPSE),
        id="a lapse told as a release",
    ),
    pytest.param(
        later_by(Ann.MUG_LAPSE, SECOND), ("holds", Ann.MUG_LAPSE), id="a lapse later than its time"
    ),
    pytest.param(
        together(
            tell(Ann.FIRST_HOLD, "hold", expire_time=at("2026-01-12T09:00:00.5Z")),
            tell(Ann.CAPTURE, "hold", expire_time=at("2026-01-12T09:00:00.5Z")),
            tell(Ann.RELEASE_OF_REST, "hold", expire_time=at("2026-01-12T09:00:00.5Z")),
        ),
        ("holds", Ann.CAPTURE),
        id="a capture of what has lapsed",
    ),
    pytest.param(
        tell(Ann.SECOND_HOLD_EXTENDED, "hold", expire_time=at("2026-01-12T09:01Z")),
        ("holds", Ann.SECOND_HOLD_EXTENDED),
        id="an extension that shortens",
    ),
    pytest.param(
        tell(Ann.SECOND_HOLD_EXTENDED, "hold", points=9),
        ("holds", Ann.SECOND_HOLD_EXTENDED),
        id="an extension of fewer points",
    ),
    pytest.param(
        together(points(Ann.REDEMPTION, -25), without(Ann.MUG_LAPSE)),
        ("holds", Ann.REDEMPTION - 1),
        id="a hold that outlives its time",
    ),
    pytest.param(
        change(Ann.MUG_LAPSE, reward_id="perk"),
        ("holds", Ann.MUG_LAPSE),
        id="another reward is given back",
    ),
    pytest.param(
        change(Ann.MUG_LAPSE, units=-2), ("holds", Ann.MUG_LAPSE), id="two units are given back"
    ),
    pytest.param(
        change(Ann.MUG_LAPSE, unmarks=()), ("holds", Ann.MUG_LAPSE), id="its use is not taken back"
    ),
    pytest.param(
        change(Ann.MUG_HOLD, units=2), ("holds", Ann.MUG_HOLD), id="two units are reserved at once"
    ),
    pytest.param(
        change(Ann.MUG_HOLD, marks=(MarkChange("bonus:welcome", 20_463, 1),)),
        ("holds", Ann.MUG_HOLD),
        id="the use of something else is counted",
    ),
    pytest.param(
        lot(Ann.SECOND_RELEASE, 1, expire_time=None),
        ("holds", Ann.SECOND_RELEASE),
        id="held points come back to live for ever",
    ),
    pytest.param(
        tell(Ann.CAPTURE, "redemption", units=1, day=20_463),
        ("redemptions", Ann.CAPTURE),
        id="a capture that takes a unit of nothing",
    ),
    pytest.param(
        change(Ann.CAPTURE, rules_version=2),
        ("holds", Ann.CAPTURE),
        id="captured under other rules",
    ),
]

REDEMPTIONS = [
    pytest.param(
        change(Ann.REVERSAL, subject_sequence=Ann.OTHER_REDEMPTION),
        ("redemptions", Ann.REVERSAL),
        id="a reversal about another redemption",
    ),
    pytest.param(
        change(Ann.REVERSAL, subject_sequence=Ann.FIRST_HOLD),
        ("subject", Ann.REVERSAL),
        id="a reversal about a hold",
    ),
    pytest.param(
        points(Ann.REVERSAL, 31),
        ("redemptions", Ann.REVERSAL),
        id="more is given back than redeemed",
    ),
    pytest.param(
        tell(Ann.REDEMPTION, "redemption", points=300),
        ("redemptions", Ann.REDEMPTION),
        id="a redemption that says it redeems more",
    ),
    pytest.param(
        tell(Ann.REVERSAL, "redemption", points=1000, reversed_points=980),
        ("redemptions", Ann.REVERSAL),
        id="a reversal of a larger redemption",
    ),
    pytest.param(
        tell(Ann.REVERSAL, "redemption", value=300_000),
        ("redemptions", Ann.REVERSAL),
        id="a reversal of one worth more",
    ),
    pytest.param(
        tell(Ann.REVERSAL, "redemption", reversed=True),
        ("redemptions", Ann.REVERSAL),
        id="a part told as all",
    ),
    pytest.param(
        tell(Ann.MUG_REVERSAL, "redemption", reversed=False),
        ("redemptions", Ann.MUG_REVERSAL),
        id="all told as a part",
    ),
    pytest.param(
        lot(Ann.REVERSAL, 0, expire_time=None),
        ("redemptions", Ann.REVERSAL),
        id="points come back to live for ever",
    ),
    pytest.param(
        change(Ann.MUG_REVERSAL, unmarks=()),
        ("redemptions", Ann.MUG_REVERSAL),
        id="the use of a reward is not taken back",
    ),
    pytest.param(
        change(Ann.MUG_REDEMPTION, marks=()),
        ("redemptions", Ann.MUG_REDEMPTION),
        id="the use of a reward is not counted",
    ),
    pytest.param(
        together(change(Ann.MUG_REDEMPTION, units=2), change(Ann.MUG_REVERSAL, units=-2)),
        ("redemptions", Ann.MUG_REDEMPTION),
        id="two units are taken at once",
    ),
    pytest.param(
        change(Ann.REVERSAL, units=-1, reward_id="mug"),
        ("redemptions", Ann.REVERSAL),
        id="a unit comes back with points",
    ),
]

RETURNS = [
    pytest.param(
        points(Ann.PART_RETURN, -30), ("returns", Ann.PART_RETURN), id="less is taken than is told"
    ),
    pytest.param(
        points(Ann.PART_RETURN, -41), ("returns", Ann.PART_RETURN), id="more is taken than is told"
    ),
    pytest.param(
        together(points(Ann.FULL_RETURN, -5), tell(Ann.FULL_RETURN, "returned", points=45)),
        ("returns", Ann.FULL_RETURN),
        id="all is returned, and some is kept",
    ),
    pytest.param(
        together(points(Ann.PART_RETURN, -50), tell(Ann.PART_RETURN, "returned", points=50)),
        ("returns", Ann.PART_RETURN),
        id="more is taken than its share",
    ),
    pytest.param(
        change(Ann.PART_RETURN, subject_sequence=Ann.PURCHASE_TWO),
        ("returns", Ann.PART_RETURN),
        id="a return about another purchase",
    ),
    pytest.param(
        tell(Ann.PART_RETURN, "returned", sequence=Ann.PURCHASE_TWO),
        ("returns", Ann.PART_RETURN),
        id="a return that tells of another purchase",
    ),
    pytest.param(
        together(
            tell(Ann.FULL_RETURN, "returned", amount=999_999),
            change(Ann.FULL_RETURN, amount=995_999),
        ),
        ("returns", Ann.FULL_RETURN),
        id="more is returned than was bought",
    ),
    pytest.param(
        tell(Ann.FULL_RETURN, "returned", amount=1),
        ("returns", Ann.FULL_RETURN),
        id="less is returned than before",
    ),
    pytest.param(
        tell(Ann.FULL_RETURN, "returned", full=False),
        ("returns", Ann.FULL_RETURN),
        id="all told as a part",
    ),
    pytest.param(
        together(
            points(Ann.PART_RETURN, -37, forgiven_points=3),
        ),
        ("returns", Ann.PART_RETURN),
        id="points forgiven that could be taken",
    ),
    pytest.param(
        together(
            change(Ann.OWED_RETURN, subject_sequence=Ann.PURCHASE_ONE, purchase_id="one"),
            tell(Ann.OWED_RETURN, "returned", sequence=Ann.PURCHASE_ONE),
        ),
        ("returns", Ann.OWED_RETURN),
        id="a purchase returned once more",
    ),
    pytest.param(
        change(Ann.FULL_RETURN, day=DayChange(20_463, -200, 0)),
        ("returns", Ann.FULL_RETURN),
        id="its day loses more than the purchase brought",
    ),
    pytest.param(
        change(Ann.PURCHASE_THREE, purchase_id="one"),
        ("purchases", Ann.PURCHASE_THREE),
        id="a receipt credited twice",
    ),
]

DEBT = [
    pytest.param(
        without(Ann.PAYMENT), ("debt", Ann.SECOND_ACTIVATION), id="a debt that is not paid at once"
    ),
    pytest.param(
        without(Ann.SECOND_PAYMENT), ("debt", Ann.SECOND_GIFT), id="a debt that is not paid at last"
    ),
    pytest.param(
        change(
            Ann.CORRECTION,
            kind="DEBT_PAYMENT",
            credit_account="member:debt",
            reason_code="",
        ),
        ("debt", Ann.CORRECTION),
        id="a payment of what is not owed",
    ),
    pytest.param(
        change(Ann.SECOND_PAYMENT, actor="time"),
        ("debt", Ann.SECOND_PAYMENT),
        id="a payment that somebody else makes",
    ),
]

STATUS = [
    pytest.param(
        change(Ann.SUSPENSION, status="GOLDEN"),
        ("shape", Ann.SUSPENSION),
        id="a status of no sense",
    ),
    pytest.param(
        change(Ann.SUSPENSION, status="ACTIVE"), ("status", Ann.SUSPENSION), id="the same status"
    ),
    pytest.param(
        change(Ann.SUSPENSION, status="CLOSED"), ("status", Ann.REOPENING), id="back after leaving"
    ),
    pytest.param(
        change(Ann.REOPENING, status="EARN_ONLY"),
        ("status", Ann.LAST_REDEMPTION),
        id="spending though the member only earns",
    ),
    pytest.param(without(Ann.REOPENING), ("status", Ann.REOPENING), id="buying while suspended"),
]

AGAINST_RULES = [
    pytest.param(
        change(Ann.PURCHASE_TWO, rules_version=2),
        ("rules", Ann.PURCHASE_TWO),
        id="under rules that are not there",
    ),
    pytest.param(
        points(Ann.PURCHASE_TWO, 3000, breakdown=(BreakdownLine("base", 3000),)),
        ("rules", Ann.PURCHASE_TWO),
        id="earned at another rate",
    ),
    pytest.param(
        points(Ann.WELCOME_BONUS, 500, breakdown=(BreakdownLine("bonus:welcome", 500),)),
        ("rules", Ann.WELCOME_BONUS),
        id="a larger bonus than there is",
    ),
    *(
        pytest.param(
            lot(sequence, 0, expire_time=None),
            ("rules", sequence),
            id=f"points of {sequence.name} live for ever",
        )
        for sequence in (Ann.WELCOME_BONUS, Ann.PURCHASE_TWO, Ann.ACTIVITY, Ann.GIFT)
    ),
    pytest.param(
        together(
            tell(Ann.REDEMPTION, "redemption", value=300_000),
            tell(Ann.REVERSAL, "redemption", value=300_000),
        ),
        ("rules", Ann.REDEMPTION),
        id="points redeemed for more than they are worth",
    ),
    pytest.param(
        tell(Ann.CAPTURE, "redemption", value=300_000),
        ("rules", Ann.CAPTURE),
        id="points captured for more than they are worth",
    ),
    pytest.param(
        together(
            change(Ann.MUG_REDEMPTION, units=0),
            tell(Ann.MUG_REDEMPTION, "redemption", units=0),
            tell(Ann.MUG_REVERSAL, "redemption", units=0),
            change(Ann.MUG_REVERSAL, units=0),
        ),
        ("rules", Ann.MUG_REDEMPTION),
        id="a reward that takes nothing from the shelf",
    ),
    pytest.param(
        points(Ann.GIFT, 700), ("rules", Ann.GIFT), id="a large gift that nobody approved"
    ),
    pytest.param(
        change(Ann.GIFT, reason_code="friendship"),
        ("rules", Ann.GIFT),
        id="a gift for a reason that the rules do not know",
    ),
    pytest.param(
        change(Ann.MUG_HOLD, reward_id="yacht"),
        ("rules", Ann.MUG_HOLD),
        id="a reward that there is none of",
    ),
]


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        *(*ONE_ENTRY, *REQUESTS, *LOTS, *HOLDS, *REDEMPTIONS, *RETURNS, *DEBT, *STATUS),
        *AGAINST_RULES,
    ],
)
def test_what_can_not_be_is_found(edit: Edit, expected: tuple[str, int]) -> None:
    findings = found("ann", edit)
    assert expected in [(finding.check, finding.sequence) for finding in findings]


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        pytest.param(
            lot(Dora.WELCOME_BONUS, 0, expire_time=at("2026-03-01T00:00Z")),
            ("lots", Dora.EXPIRY),
            id="a lot that nobody has expires",
        ),
        pytest.param(
            later_by(Dora.EXPIRY, -DAY), ("expiry", Dora.EXPIRY), id="a lot expires before its date"
        ),
        pytest.param(
            together(
                later_by(Dora.EXPIRY, -DAY),
                change(Dora.EXPIRY, inactivity=True),
            ),
            ("expiry", Dora.EXPIRY),
            id="a lot expires early, for want of activity, and others do not",
        ),
        pytest.param(
            later_by(Dora.FADING, -200 * DAY),
            ("expiry", Dora.FADING),
            id="all expires after a few days",
        ),
        pytest.param(
            later_by(Dora.FADING, -100 * DAY),
            ("expiry", Dora.FADING),
            id="all expires after three months instead of six",
        ),
        pytest.param(
            points(Dora.FADING, -30),
            ("expiry", Dora.FADING),
            id="a part expires for want of activity",
        ),
        pytest.param(
            change(Dora.FADING, credit_account=REDEEMED),
            ("shape", Dora.FADING),
            id="points expire into redemptions",
        ),
        pytest.param(
            without(Dora.EXPIRY), ("expiry", Dora.HOLD - 1), id="a lot that outlives its date"
        ),
        pytest.param(
            without(Dora.EXPIRY_OF_REST),
            ("expiry", Dora.GIFT - 1),
            id="a rest that outlives its date",
        ),
        pytest.param(
            lot(Dora.LAPSE, 1, expire_time=at("2027-01-31T23:00Z")),
            ("holds", Dora.LAPSE),
            id="what was held outlives what was not",
        ),
        pytest.param(
            change(Dora.EXPIRY, debit_account=AVAILABLE, points=50),
            ("shape", Dora.EXPIRY),
            id="points expire into the account",
        ),
    ],
)
def test_what_can_not_expire_is_found(edit: Edit, expected: tuple[str, int]) -> None:
    findings = found("dora", edit)
    assert expected in [(finding.check, finding.sequence) for finding in findings]


def test_a_tier_that_was_not_reached_is_found() -> None:
    levels = [{"id": "member", "name": "Member"}, {"id": "gold", "name": "Gold", "visits": 9}]
    tiers = {"period": {"rolling_days": 365}, "levels": levels, "keep_months": 12}
    ledger = MemoryLedger(document(tiers=tiers))
    ledger.enroll()
    ledger.buy("10.00")
    entries = copied(ledger.journal())
    change(2, tier=TierState("gold", ledger.now))(entries)

    findings = verify_member(*forged(entries)).findings

    assert [(finding.check, finding.sequence) for finding in findings] == [("tier", 2)]

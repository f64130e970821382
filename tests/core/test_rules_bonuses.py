"""What a document may say of bonuses."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.core.rules import Bonus, Limit, read_rules
from tests.core.documents import FULL, faults
from tests.memory import Document, document

OCCASIONS: dict[str, Document] = {
    "ENROLLMENT": {},
    "BIRTHDAY": {},
    "MEMBERSHIP_ANNIVERSARY": {},
    "EVERY_NTH_VISIT": {"n": 10},
    "PURCHASE_OVER": {"amount": "200.00"},
    "ACTIVITY": {"activity": "review", "per_member": {"count": 1}},
    "REFERRAL": {"referee_points": 100},
    "INACTIVE_DAYS": {"n": 90},
}
SPECIAL: dict[str, Any] = {
    name: value for fields in OCCASIONS.values() for name, value in fields.items()
}


def bonus(on: str, **fields: Any) -> Document:
    """A document with one bonus of the occasion; a field that is None is left out."""
    given = {"id": "a", "on": on, "points": 1, **OCCASIONS[on], **fields}
    return document(bonuses=[{name: value for name, value in given.items() if value is not None}])


def read(on: str, **fields: Any) -> Bonus:
    (found,) = read_rules(bonus(on, **fields), "EUR").bonuses
    return found


def test_the_full_document_compiles() -> None:
    assert read_rules(FULL, "EUR").bonuses == (
        Bonus("welcome", "ENROLLMENT", 50),
        Bonus("birthday", "BIRTHDAY", 200, 60),
        Bonus("anniversary", "MEMBERSHIP_ANNIVERSARY", 100),
        Bonus("tenth-visit", "EVERY_NTH_VISIT", 150, n=10),
        Bonus("big-basket", "PURCHASE_OVER", 250, amount=20_000),
        Bonus("survey", "ACTIVITY", 30, activity="survey-completed", per_member=Limit(1, 90)),
        Bonus("refer", "REFERRAL", 300, referee_points=100),
        Bonus("miss-you", "INACTIVE_DAYS", 100, 30, n=90),
    )


def test_bonuses_are_found_by_their_occasion() -> None:
    rules = read_rules(FULL, "EUR")

    def ids(bonuses: tuple[Bonus, ...]) -> list[str]:
        return [found.id for found in bonuses]

    assert ids(rules.bonuses_on("ENROLLMENT")) == ["welcome"]
    assert ids(rules.bonuses_on("REFERRAL")) == ["refer"]
    assert ids(rules.bonuses_on("FULL_MOON")) == []
    assert ids(rules.purchase_bonuses) == ["big-basket"]
    assert ids(rules.visit_bonuses) == ["tenth-visit"]
    assert ids(rules.dated_bonuses) == ["birthday", "anniversary", "miss-you"]


def test_what_may_be_left_out() -> None:
    assert read("ACTIVITY", per_member=None).per_member is None
    assert read("ACTIVITY", per_member={"count": 3}).per_member == Limit(3, None)
    assert read("REFERRAL", referee_points=None).referee_points == 0
    assert read("REFERRAL", referee_points=0).referee_points == 0


@pytest.mark.parametrize("on", OCCASIONS)
def test_what_an_occasion_does_not_use_is_a_fault(on: str) -> None:
    unused = [name for name in SPECIAL if name not in OCCASIONS[on]]
    found = faults(bonus(on, **{name: SPECIAL[name] for name in unused}))
    assert set(found) == {f"bonuses[0].{name}" for name in unused}
    assert all("is only for a bonus on: " in says for says in found.values())


def test_the_occasions_of_a_field_are_named() -> None:
    found = faults(bonus("BIRTHDAY", n=1))
    assert found == {
        "bonuses[0].n": "is only for a bonus on: EVERY_NTH_VISIT or INACTIVE_DAYS",
    }


def test_of_an_occasion_nobody_knows_only_that_is_said() -> None:
    fields = {"id": "a", "on": "FULL_MOON", "points": 1, **SPECIAL}
    assert list(faults(document(bonuses=[fields]))) == ["bonuses[0].on"]


@pytest.mark.parametrize(
    ("rules", "path", "says"),
    [
        (bonus("ENROLLMENT", points=0), "points", "from 1 to"),
        (bonus("REFERRAL", points=0), "points", "from 1 to"),
        (bonus("BIRTHDAY", expires_days=-1), "expires_days", "from 0 to 3660"),
        (bonus("BIRTHDAY", expires_days=3661), "expires_days", "from 0 to 3660"),
        (bonus("BIRTHDAY", day="2000-02-29"), "day", "not known"),
        (bonus("EVERY_NTH_VISIT", n=None), "n", "is required"),
        (bonus("EVERY_NTH_VISIT", n=0), "n", "from 1 to 1000000"),
        (bonus("EVERY_NTH_VISIT", n=1_000_001), "n", "from 1 to 1000000"),
        (bonus("INACTIVE_DAYS", n=None), "n", "is required"),
        (bonus("INACTIVE_DAYS", n=3661), "n", "from 1 to 3660"),
        (bonus("PURCHASE_OVER", amount=None), "amount", "is required"),
        (bonus("PURCHASE_OVER", amount="0.00"), "amount", "above 0"),
        (bonus("PURCHASE_OVER", amount=200), "amount", "in quotes"),
        (bonus("PURCHASE_OVER", amount="1.999"), "amount", "EUR with 2 decimals"),
        # No purchase is larger.
        (bonus("PURCHASE_OVER", amount="10000000000000.01"), "amount", "at most 10000000000000"),
        (bonus("ACTIVITY", activity=None), "activity", "is required"),
        (bonus("ACTIVITY", activity=""), "activity", "1 to 128"),
        (bonus("ACTIVITY", activity="x" * 129), "activity", "1 to 128"),
        (bonus("ACTIVITY", activity="a\0"), "activity", "printable"),
        (bonus("ACTIVITY", activity=7), "activity", "a printable text"),
        (bonus("ACTIVITY", per_member=1), "per_member", "must be a section"),
        (bonus("ACTIVITY", per_member={}), "per_member.count", "is required"),
        (bonus("ACTIVITY", per_member={"count": 0}), "per_member.count", "from 1 to"),
        (bonus("ACTIVITY", per_member={"count": 1, "days": 0}), "per_member.days", "from 1 to"),
        (bonus("ACTIVITY", per_member={"count": 1, "per": 2}), "per_member.per", "not known"),
        (bonus("REFERRAL", referee_points=-1), "referee_points", "from 0 to"),
        (bonus("REFERRAL", referee_points=10**15 + 1), "referee_points", "from 0 to"),
    ],
)
def test_a_fault_is_named_with_its_path(rules: object, path: str, says: str) -> None:
    found = faults(rules)
    assert list(found) == [f"bonuses[0].{path}"]
    assert says in found[f"bonuses[0].{path}"]

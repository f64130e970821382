"""What a document may say of rewards."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from ledger.core.model import MAX_POINTS
from ledger.core.rules import Limit, Reward, read_rules
from tests.core.documents import FULL, RATE, faults, with_levels
from tests.memory import Document, document

KINDS: dict[str, Document] = {
    "AMOUNT_OFF": {"value": "5.00"},
    "PERCENT_OFF": {"percent": "12.5"},
    "ITEM": {"value": "4.50"},
    "PERK": {},
}
SPECIAL: dict[str, Any] = {"value": "5.00", "percent": "12.5"}


def reward(kind: str = "ITEM", **fields: Any) -> Document:
    """A document with tiers and one reward; a field that is None is left out."""
    given = {"id": "a", "points": 100, "kind": kind, **KINDS.get(kind, {}), **fields}
    found = {name: value for name, value in given.items() if value is not None}
    return {**with_levels({"id": "silver", "visits": 10}), "rewards": [found]}


def read(kind: str = "ITEM", currency: str = "EUR", **fields: Any) -> Reward:
    (found,) = read_rules(reward(kind, **fields), currency).rewards
    return found


def day(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def test_the_full_document_compiles() -> None:
    rules = read_rules(FULL, "EUR")
    coffee = Reward(id="free-coffee", name="Free coffee", points=450, kind="ITEM", value=450)
    fiver = Reward(
        id="fiver",
        name="5.00 off",
        points=500,
        kind="AMOUNT_OFF",
        value=500,
        minimum_tier="silver",
    )
    warranty = Reward(
        id="warranty",
        name="Six months more warranty",
        points=0,
        kind="PERK",
        minimum_tier="gold",
        per_member=Limit(1, 365),
    )
    mug = Reward(id="mug", name="Mug", points=900, kind="ITEM", value=900, stock=200)
    assert rules.rewards == (coffee, fiver, warranty, mug)
    assert (rules.reward("mug"), rules.reward("jug"), rules.reward("")) == (mug, None, None)


def test_a_reward_need_not_say_much() -> None:
    assert read("PERK") == Reward(id="a", name="a", points=100, kind="PERK")
    assert read("ITEM", value=None).value is None


def test_a_reward_may_say_everything() -> None:
    assert read(
        "PERCENT_OFF",
        name="Ein Achtel weniger",
        points="0",
        minimum_tier="member",
        stock="0",
        per_member={"count": 2},
        **{"from": "2028-02-29", "until": "2028-02-29"},
    ) == Reward(
        id="a",
        name="Ein Achtel weniger",
        points=0,
        kind="PERCENT_OFF",
        percent_off="12.5",
        minimum_tier="member",
        stock=0,
        per_member=Limit(2),
        from_day=day("2028-02-29"),
        until_day=day("2028-02-29"),
    )


@pytest.mark.parametrize("percent", ["0.01", "5", "12.50", "99.999", "100", "100.00"])
def test_a_percentage_stays_as_it_is_written(percent: str) -> None:
    assert read("PERCENT_OFF", percent=percent).percent_off == percent


@pytest.mark.parametrize(
    ("currency", "minor"), [("EUR", 500), ("JPY", 5), ("KWD", 5_000), ("CLF", 50_000)]
)
def test_values_count_in_minor_units(currency: str, minor: int) -> None:
    assert read("AMOUNT_OFF", currency, value="5").value == minor


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_kind_does_not_use_is_a_fault(kind: str) -> None:
    unused = [name for name in SPECIAL if name not in KINDS[kind]]
    found = faults(reward(kind, **{name: SPECIAL[name] for name in unused}))
    assert set(found) == {f"rewards[0].{name}" for name in unused}
    assert all("is only for a reward of kind " in says for says in found.values())


def test_the_kinds_of_a_field_are_named() -> None:
    assert faults(reward("PERK", value="1.00")) == {
        "rewards[0].value": "is only for a reward of kind AMOUNT_OFF or ITEM",
    }


def test_of_a_kind_nobody_knows_only_that_is_said() -> None:
    assert list(faults(reward("GIFT", **SPECIAL))) == ["rewards[0].kind"]


@pytest.mark.parametrize(
    ("rules", "path", "says"),
    [
        (reward(id=None), ".id", "is required"),
        (reward(id="Free Coffee"), ".id", "lower-case"),
        (reward(name=""), ".name", "1 to 128"),
        (reward(name="x" * 129), ".name", "1 to 128"),
        (reward(name="Mug\n"), ".name", "printable"),
        (reward(points=None), ".points", "is required: a whole number from 0 to"),
        (reward(points=-1), ".points", "from 0 to"),
        (reward(points=MAX_POINTS + 1), ".points", "from 0 to"),
        (reward(points="free"), ".points", "not 'free'"),
        (reward(points=4.5), ".points", "not 4.5"),
        (reward(kind=""), ".kind", "one of AMOUNT_OFF, PERCENT_OFF, ITEM, PERK"),
        (reward("AMOUNT_OFF", value=None), ".value", "is required"),
        (reward("AMOUNT_OFF", value="0.00"), ".value", "above 0"),
        (reward("AMOUNT_OFF", value=5), ".value", "in quotes"),
        (reward("AMOUNT_OFF", value="-5.00"), ".value", "not '-5.00'"),
        (reward("ITEM", value="0"), ".value", "above 0"),
        (reward("ITEM", value="4.505"), ".value", "EUR with 2 decimals"),
        (reward("ITEM", value="10000000000000.01"), ".value", "at most"),
        (reward("PERCENT_OFF", percent=None), ".percent", "is required"),
        (reward("PERCENT_OFF", percent=10), ".percent", "in quotes"),
        (reward("PERCENT_OFF", percent="0"), ".percent", "above 0"),
        (reward("PERCENT_OFF", percent="0.000"), ".percent", "above 0"),
        (reward("PERCENT_OFF", percent="10%"), ".percent", "not '10%'"),
        (reward("PERCENT_OFF", percent="100.01"), ".percent", "at most 100, not '100.01'"),
        (reward(minimum_tier="gold"), ".minimum_tier", "one of member, silver, not 'gold'"),
        (reward(minimum_tier=["silver"]), ".minimum_tier", "one of member, silver"),
        (reward(minimum_tier=""), ".minimum_tier", "not ''"),
        (reward(stock=-1), ".stock", "from 0 to 1000000000"),
        (reward(stock=10**9 + 1), ".stock", "from 0 to 1000000000"),
        (reward(stock="many"), ".stock", "not 'many'"),
        (reward(per_member=1), ".per_member", "must be a section"),
        (reward(per_member={}), ".per_member.count", "is required"),
        (reward(per_member={"count": 0}), ".per_member.count", "from 1 to"),
        (reward(per_member={"count": 1, "days": 0}), ".per_member.days", "from 1 to 3660"),
        (reward(per_member={"count": 1, "weeks": 1}), ".per_member.weeks", "not known"),
        (reward(**{"from": "2027-02-29"}), ".from", "a date such as"),
        (reward(until=20270101), ".until", "a date such as"),
        (reward(**{"from": "2027-01-02", "until": "2027-01-01"}), ".until", "not be before from"),
        (reward(price="5.00"), ".price", "not known"),
        (reward(percent_off="5"), ".percent_off", "not known"),
    ],
)
def test_a_fault_is_named_with_its_path(rules: object, path: str, says: str) -> None:
    found = faults(rules)
    assert list(found) == [f"rewards[0]{path}"]
    assert says in found[f"rewards[0]{path}"]


@pytest.mark.parametrize(
    ("rewards", "path", "says"),
    [
        ({}, "rewards", "must be a list"),
        ("mug", "rewards", "must be a list"),
        (["mug"], "rewards[0]", "must be a section"),
        ([None], "rewards[0]", "must be a section"),
    ],
)
def test_rewards_are_a_list_of_sections(rewards: object, path: str, says: str) -> None:
    found = faults(document(rewards=rewards))
    assert list(found) == [path]
    assert says in found[path]


def test_there_are_at_most_a_thousand() -> None:
    perk = {"points": 0, "kind": "PERK"}
    rewards = [{"id": f"r-{number}", **perk} for number in range(1001)]
    assert len(read_rules(document(rewards=rewards[:1000]), "EUR").rewards) == 1000
    assert faults(document(rewards=rewards)) == {
        "rewards": "has 1001 items, at most 1000 are allowed",
    }


def test_ids_are_unique_among_rewards_only() -> None:
    rules = reward()
    rules["bonuses"] = [{"id": "a", "on": "ENROLLMENT", "points": 1}]
    assert len(read_rules(rules, "EUR").rewards) == 1
    rules["rewards"] *= 2
    assert faults(rules) == {"rewards[1].id": "a is taken by rewards[0].id"}


def test_without_tiers_a_reward_can_not_be_for_some() -> None:
    rules = {name: part for name, part in reward(minimum_tier="silver").items() if name != "tiers"}
    assert faults(rules) == {
        "rewards[0].minimum_tier": "must not be given: the program has no tiers",
    }


def test_every_fault_of_a_reward_is_reported_at_once() -> None:
    rules = {
        "earning": {"rate": RATE},
        "rewards": [
            {
                "id": "?",
                "name": "",
                "points": -1,
                "kind": "AMOUNT_OFF",
                "value": "much",
                "percent": "5",
                "minimum_tier": "gold",
                "stock": -1,
                "per_member": {"count": 0, "days": 0},
                "from": "soon",
                "until": "later",
                "why": "?",
            }
        ],
    }
    names = ("id", "name", "points", "value", "percent", "minimum_tier", "stock", "from", "until")
    assert set(faults(rules)) == {
        *(f"rewards[0].{name}" for name in names),
        *(f"rewards[0].{name}" for name in ("per_member.count", "per_member.days", "why")),
    }


def test_a_version_may_take_rewards_away_and_change_what_they_cost() -> None:
    previous = read_rules(FULL, "EUR")
    dearer = [{**FULL["rewards"][0], "points": 900}]
    following = read_rules({**FULL, "rewards": dearer}, "EUR", previous)
    assert [(found.id, found.points) for found in following.rewards] == [("free-coffee", 900)]

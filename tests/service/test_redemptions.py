"""Holds, captures, redemptions, rewards and reversals as tills and shops see them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pytest

from ledger.v1 import program_pb2, redemption_pb2, types_pb2
from tests.conftest import RunningServer
from tests.service.client import Client, Failure, GrpcClient, JsonClient, failure_of
from tests.service.journals import document, journal, kind, kinds, moves, points_of
from tests.service.requests import (
    CLOCK,
    PROGRAM,
    adjustment,
    balance,
    batch,
    capture,
    clock,
    enrollment,
    expiry_schedule,
    extension,
    hold,
    instant,
    money,
    open_program,
    override,
    purchase,
    redemption,
    release,
    reversal,
    rewards,
    rules,
    seconds,
    status,
)
from tests.service.together import Tills

pytestmark = pytest.mark.usefixtures("sound")

TIERS: dict[str, Any] = {
    "period": {"rolling_days": 365},
    "levels": [{"id": "member"}, {"id": "silver", "name": "Silver", "visits": 10}],
}
REWARDS: list[dict[str, Any]] = [
    {"id": "coffee", "name": "Free coffee", "points": 45, "kind": "ITEM", "value": "4.50"},
    {"id": "fiver", "points": 50, "kind": "AMOUNT_OFF", "value": "5.00", "minimum_tier": "silver"},
    {"id": "mug", "name": "Mug", "points": 90, "kind": "ITEM", "stock": 2},
    {
        "id": "tasting",
        "name": "Tasting",
        "points": 0,
        "kind": "PERK",
        "per_member": {"count": 1, "days": 7},
    },
    {
        "id": "spring",
        "points": 20,
        "kind": "PERCENT_OFF",
        "percent": "12.5",
        "from": "2026-03-01",
        "until": "2026-03-31",
    },
]
SHOP: dict[str, Any] = {"tiers": TIERS, "rewards": REWARDS}
#: fifteen minutes after CLOCK
LAPSES = "2026-01-10T09:15:00Z"
JANUARY_2027 = "2027-01-31T23:00:00Z"


def open_shop(client: Client, points: int = 200, **sections: Any) -> None:
    """A sandbox with rewards, and a member who has points."""
    open_program(client, ["m-1", "m-2"], **{**SHOP, **sections})
    client.adjust_points(adjustment("start", points))


def refusal(method: Callable[[Any], object], request: Any) -> tuple[str, str, dict[str, str]]:
    failure = failure_of(method, request)
    return failure.code, failure.reason, failure.metadata


def held(client: Client, number: object, points: int = 0, **more: Any) -> str:
    """The id of a new hold."""
    return client.hold_points(hold(number, points, **more)).hold.hold_id


def redeemed(client: Client, number: object, points: int = 0, **more: Any) -> str:
    """The id of a new redemption."""
    return client.redeem_points(redemption(number, points, **more)).redemption.redemption_id


def now_has(client: Client, member_id: str = "m-1") -> tuple[int, int, int, int]:
    return points_of(client.get_balance(balance(member_id)))


# -- hold, capture, release ---------------------------------------------------------------------


def test_a_hold_reserves_points_until_they_are_captured(client: Client) -> None:
    open_shop(client)

    receipt = client.hold_points(hold(1, 80, location_id="shop-1", terminal_id="till-7"))

    hold_id = receipt.hold.hold_id
    assert re.fullmatch(r"h-[a-z2-7]{13}-3", hold_id)
    shown = {
        "holdId": hold_id,
        "state": "HOLD_STATE_OPEN",
        "points": "80",
        "expireTime": LAPSES,
    }
    assert document(receipt) == {
        "entries": [
            {
                "programId": PROGRAM,
                "memberId": "m-1",
                "sequence": "3",
                "kind": "ENTRY_KIND_HOLD",
                "points": "-80",
                "debitAccount": "member:available",
                "creditAccount": "member:held",
                "requestId": "hold-1",
                "rulesVersion": 1,
                "actor": "developer",
                "locationId": "shop-1",
                "terminalId": "till-7",
                "effectiveTime": CLOCK,
                "createTime": CLOCK,
                "availablePoints": "120",
                "heldPoints": "80",
                "tierId": "member",
                "holdId": hold_id,
                "hold": shown,
                "lots": [
                    {"points": "-80", "expireTime": JANUARY_2027},
                    {"points": "80", "expireTime": JANUARY_2027, "held": True},
                ],
            }
        ],
        "balance": {
            "availablePoints": "120",
            "heldPoints": "80",
            "tierId": "member",
            "version": "3",
            "asOfTime": CLOCK,
            "nextExpiry": {"points": "120", "expireTime": JANUARY_2027},
            "value": {"currencyCode": "EUR", "units": "1", "nanos": 200000000},
        },
        "hold": shown,
        "messages": [
            "80 points held until 10:15 on 10 January 2026.",
            "Balance 120, all to be used by 31 January 2027; 80 held.",
        ],
    }

    receipt = client.capture_hold(capture(1, hold_id))

    assert moves(receipt) == [("CAPTURE", -80)]
    entry = receipt.entries[0]
    assert (entry.debit_account, entry.credit_account) == ("member:held", "redeemed")
    assert (entry.hold_id, entry.subject_sequence) == (hold_id, 3)
    assert re.fullmatch(r"r-[a-z2-7]{13}-4", entry.redemption_id)
    assert document(receipt.hold) == {
        "holdId": hold_id,
        "state": "HOLD_STATE_CAPTURED",
        "points": "80",
        "capturedPoints": "80",
        "expireTime": LAPSES,
    }
    assert document(receipt.redemption) == {
        "redemptionId": entry.redemption_id,
        "points": "80",
        "value": {"currencyCode": "EUR", "nanos": 800000000},
    }
    assert (entry.hold, entry.redemption) == (receipt.hold, receipt.redemption)
    assert points_of(receipt.balance) == (120, 0, 0, 0)
    assert receipt.messages == [
        "80 points spent, worth 0.80 EUR.",
        "Balance 120, all to be used by 31 January 2027.",
    ]


def test_what_is_not_captured_comes_back(client: Client) -> None:
    open_shop(client)
    hold_id = held(client, 1, 80)

    receipt = client.capture_hold(capture(1, hold_id, 30))

    assert moves(receipt) == [("CAPTURE", -30), ("RELEASE", 50)]
    rest = receipt.entries[1]
    assert (rest.debit_account, rest.credit_account) == ("member:held", "member:available")
    assert (rest.cause_sequence, rest.subject_sequence, rest.hold_id) == (4, 3, hold_id)
    assert receipt.hold.state == types_pb2.HOLD_STATE_CAPTURED
    assert (receipt.hold.points, receipt.hold.captured_points) == (80, 30)
    assert receipt.redemption.points == 30
    assert receipt.redemption.value == money("0.30")
    assert points_of(receipt.balance) == (170, 0, 0, 0)
    assert refusal(client.capture_hold, capture(2, hold_id, 1)) == (
        "FAILED_PRECONDITION",
        "HOLD_CLOSED",
        {"hold_id": hold_id, "state": "CAPTURED"},
    )


def test_a_released_hold_gives_everything_back(client: Client) -> None:
    open_shop(client)
    hold_id = held(client, 1, 80)

    receipt = client.release_hold(release(1, hold_id))

    assert moves(receipt) == [("RELEASE", 80)]
    assert receipt.hold.state == types_pb2.HOLD_STATE_RELEASED
    assert not receipt.HasField("redemption")
    assert points_of(receipt.balance) == (200, 0, 0, 0)
    closed = {"hold_id": hold_id, "state": "RELEASED"}
    for method, request in (
        (client.capture_hold, capture(1, hold_id)),
        (client.release_hold, release(2, hold_id)),
        (client.extend_hold, extension(1, hold_id)),
    ):
        assert refusal(method, request) == ("FAILED_PRECONDITION", "HOLD_CLOSED", closed)


def test_a_hold_lapses_at_its_instant_whether_or_not_anybody_looks(client: Client) -> None:
    open_shop(client)
    hold_id = held(client, 1, 80)
    just_before = instant("2026-01-10T09:14:59.999999Z")

    assert points_of(client.get_balance(balance(as_of_time=just_before))) == (120, 80, 0, 0)
    assert points_of(client.get_balance(balance(as_of_time=instant(LAPSES)))) == (200, 0, 0, 0)
    client.advance_clock(clock("2026-01-10T09:14:59.999999Z"))
    assert now_has(client) == (120, 80, 0, 0)
    client.advance_clock(clock("2026-01-10T10:00:00Z"))
    assert now_has(client) == (200, 0, 0, 0)

    entry = journal(client)[-1]
    assert (kind(entry), entry.points, entry.actor) == ("RELEASE", 80, "time")
    assert entry.effective_time == instant(LAPSES)
    assert (entry.hold.state, entry.subject_sequence) == (types_pb2.HOLD_STATE_LAPSED, 3)
    expired = {"hold_id": hold_id, "expire_time": LAPSES}
    for method, request in (
        (client.capture_hold, capture(1, hold_id)),
        (client.release_hold, release(1, hold_id)),
        (client.extend_hold, extension(1, hold_id)),
    ):
        assert refusal(method, request) == ("FAILED_PRECONDITION", "HOLD_EXPIRED", expired)


def test_a_hold_lasts_as_long_as_asked_or_as_the_rules_say(client: Client) -> None:
    open_shop(client, redemption={"hold_ttl_seconds": 60, "minimum_points": 10})
    assert client.hold_points(hold(1, 10)).hold.expire_time == instant("2026-01-10T09:01:00Z")
    assert client.hold_points(hold(2, 10, ttl=1)).hold.expire_time == instant(
        "2026-01-10T09:00:01Z"
    )
    longest = client.hold_points(hold(3, 10, ttl=28 * 86_400))
    assert longest.hold.expire_time == instant("2026-02-07T09:00:00Z")


def test_a_hold_is_extended_and_never_shortened(client: Client) -> None:
    open_shop(client)
    hold_id = held(client, 1, 80)

    receipt = client.extend_hold(extension(1, hold_id, ttl=3_600))

    assert moves(receipt) == [("HOLD", 0)]
    assert receipt.hold.expire_time == instant("2026-01-10T10:00:00Z")
    assert receipt.entries[0].subject_sequence == 3
    assert client.extend_hold(extension(2, hold_id, ttl=1)).hold == receipt.hold
    client.advance_clock(clock("2026-01-10T09:30:00Z"))
    assert now_has(client) == (120, 80, 0, 0)
    assert client.extend_hold(extension(3, hold_id)).hold == receipt.hold
    captured = client.capture_hold(capture(1, hold_id))
    assert captured.hold.expire_time == receipt.hold.expire_time


def test_several_holds_end_each_on_its_own(client: Client) -> None:
    open_shop(client)
    first, second, third = (held(client, number, 50, ttl=60 * number) for number in (1, 2, 3))
    assert now_has(client) == (50, 150, 0, 0)
    client.release_hold(release(2, second))
    client.advance_clock(clock("2026-01-10T09:02:00Z"))
    assert now_has(client) == (150, 50, 0, 0)
    assert failure_of(client.capture_hold, capture(1, first)).reason == "HOLD_EXPIRED"
    assert moves(client.capture_hold(capture(3, third))) == [("CAPTURE", -50)]


def test_held_points_do_not_expire_until_they_come_back(client: Client) -> None:
    open_program(client, expiry={"after_months": 1})
    client.record_purchase(purchase(1, "100.00"))
    client.advance_clock(clock("2026-02-28T22:00:00Z"))
    hold_id = held(client, 1, 100, ttl=7_200)
    client.advance_clock(clock("2026-02-28T23:30:00Z"))
    assert now_has(client) == (0, 100, 0, 0)

    receipt = client.release_hold(release(1, hold_id))

    assert moves(receipt) == [("RELEASE", 100), ("EXPIRY", -100)]
    assert receipt.entries[1].effective_time == receipt.entries[0].effective_time
    assert points_of(receipt.balance) == (0, 0, 0, 0)


def test_points_are_worth_what_they_were_when_they_were_held(client: Client) -> None:
    open_shop(client)
    hold_id = held(client, 1, 80)
    cheaper = rules(**SHOP, redemption={"value": {"points": 200, "amount": "1.00"}})
    client.publish_rules(program_pb2.PublishRulesRequest(program_id=PROGRAM, rules=cheaper))
    client.advance_clock(clock("2026-01-10T09:10:00Z"))
    assert client.capture_hold(capture(1, hold_id)).redemption.value == money("0.80")
    assert client.redeem_points(redemption(1, 80)).redemption.value == money("0.40")


# -- in one step --------------------------------------------------------------------------------


def test_points_are_redeemed_in_one_step(client: Client) -> None:
    open_shop(client)
    client.advance_clock(clock("2026-01-11T09:00:00Z"))

    receipt = client.redeem_points(redemption(1, 80, effective_time=instant(CLOCK)))

    assert moves(receipt) == [("REDEMPTION", -80)]
    entry = receipt.entries[0]
    assert (entry.debit_account, entry.credit_account) == ("member:available", "redeemed")
    assert (entry.effective_time, entry.create_time) == (
        instant(CLOCK),
        instant("2026-01-11T09:00:00Z"),
    )
    assert document(entry)["lots"] == [{"points": "-80", "expireTime": JANUARY_2027}]
    assert re.fullmatch(r"r-[a-z2-7]{13}-3", receipt.redemption.redemption_id)
    assert receipt.redemption.value == money("0.80")
    assert not receipt.HasField("hold")
    assert points_of(receipt.balance) == (120, 0, 0, 0)
    late = redemption(2, 10, effective_time=instant("2025-01-01T00:00:00Z"))
    failure = failure_of(client.redeem_points, late)
    assert failure.reason == "EFFECTIVE_TIME_OUT_OF_RANGE"
    assert failure.metadata["earliest"] == "2025-12-11T23:00:00Z"


def test_a_program_without_a_value_says_nothing_of_money(client: Client) -> None:
    open_shop(client, redemption=None)
    receipt = client.redeem_points(redemption(1, 80))
    assert not receipt.redemption.HasField("value")
    assert receipt.messages[0] == "80 points spent."


def test_the_points_that_expire_soonest_are_spent_first(client: Client) -> None:
    open_program(client, expiry={"after_months": 1})
    client.record_purchase(purchase(1, "100.00"))
    client.advance_clock(clock("2026-02-10T09:00:00Z"))
    client.record_purchase(purchase(2, "50.00"))
    receipt = client.redeem_points(redemption(1, 120))
    february, march = "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"
    assert document(receipt.entries[0])["lots"] == [
        {"points": "-100", "expireTime": february},
        {"points": "-20", "expireTime": march},
    ]
    back = client.reverse_redemption(reversal(1, receipt.redemption.redemption_id, 60))
    assert document(back.entries[0])["lots"] == [
        {"points": "20", "expireTime": march},
        {"points": "40", "expireTime": february},
    ]


# -- rewards ------------------------------------------------------------------------------------


def test_every_reward_is_listed_with_what_stands_in_the_way(client: Client) -> None:
    open_shop(client, 60)
    client.redeem_points(redemption(1, reward_id="tasting"))
    listed = document(client.list_rewards(rewards()))
    assert listed["availablePoints"] == "60"
    assert listed["rewards"] == [
        {
            "rewardId": "coffee",
            "name": "Free coffee",
            "points": "45",
            "kind": "REWARD_KIND_ITEM",
            "value": {"currencyCode": "EUR", "units": "4", "nanos": 500000000},
            "available": True,
        },
        {
            "rewardId": "fiver",
            "name": "fiver",
            "points": "50",
            "kind": "REWARD_KIND_AMOUNT_OFF",
            "value": {"currencyCode": "EUR", "units": "5"},
            "minimumTier": "silver",
            "obstacles": [{"reason": "OBSTACLE_REASON_TIER", "text": "it is for Silver and up"}],
        },
        {
            "rewardId": "mug",
            "name": "Mug",
            "points": "90",
            "kind": "REWARD_KIND_ITEM",
            "stockLeft": "2",
            "obstacles": [
                {
                    "reason": "OBSTACLE_REASON_POINTS",
                    "pointsMissing": "30",
                    "text": "30 more points are needed",
                }
            ],
        },
        {
            "rewardId": "tasting",
            "name": "Tasting",
            "kind": "REWARD_KIND_PERK",
            "obstacles": [{"reason": "OBSTACLE_REASON_LIMIT", "text": "once in 7 days"}],
        },
        {
            "rewardId": "spring",
            "name": "spring",
            "points": "20",
            "kind": "REWARD_KIND_PERCENT_OFF",
            "percentOff": "12.5",
            "obstacles": [
                {
                    "reason": "OBSTACLE_REASON_WINDOW",
                    "text": "it can be had from 1 March 2026 on",
                }
            ],
        },
    ]
    client.set_member_status(status("SUSPENDED"))
    for offer in client.list_rewards(rewards()).rewards:
        assert offer.obstacles[0].reason == redemption_pb2.OBSTACLE_REASON_STATUS
        assert not offer.available


def test_a_program_without_rewards_lists_none(client: Client) -> None:
    open_program(client)
    client.record_purchase(purchase(1, "10.00"))
    listed = client.list_rewards(rewards())
    assert (listed.available_points, len(listed.rewards)) == (10, 0)


def test_a_reward_costs_its_points_and_says_what_it_is_worth(client: Client) -> None:
    open_shop(client)
    receipt = client.redeem_points(redemption(1, reward_id="coffee"))
    assert moves(receipt) == [("REDEMPTION", -45)]
    assert receipt.entries[0].reward_id == "coffee"
    assert (receipt.redemption.reward_id, receipt.redemption.points) == ("coffee", 45)
    assert receipt.redemption.value == money("4.50")
    assert receipt.messages[0] == "Free coffee for 45 points."

    hold_id = held(client, 1, reward_id="coffee")
    kept = client.capture_hold(capture(1, hold_id, 45))
    assert (kept.hold.reward_id, kept.redemption.reward_id) == ("coffee", "coffee")
    assert kept.redemption.value == money("4.50")
    part = failure_of(client.capture_hold, capture(2, held(client, 2, reward_id="coffee"), 44))
    assert (part.reason, part.fields) == ("INVALID_FIELD", ["points"])


def test_a_reward_for_a_higher_tier_is_had_once_it_is_held(client: Client) -> None:
    open_shop(client)
    assert refusal(client.redeem_points, redemption(1, reward_id="fiver")) == (
        "FAILED_PRECONDITION",
        "REWARD_NOT_ELIGIBLE",
        {"reward_id": "fiver", "why": "it is for Silver and up"},
    )
    client.override_tier(override("silver", "2026-03-01T00:00:00Z"))
    assert client.redeem_points(redemption(2, reward_id="fiver")).redemption.value == money("5.00")


def test_a_reward_has_a_first_and_a_last_day(client: Client) -> None:
    open_shop(client)
    for time, number, why in (
        ("2026-02-28T22:59:59Z", 1, "it can be had from 1 March 2026 on"),
        ("2026-03-31T22:00:00Z", 2, "it could be had until 31 March 2026"),
    ):
        client.advance_clock(clock(time))
        assert refusal(client.hold_points, hold(number, reward_id="spring"))[1:] == (
            "REWARD_NOT_ELIGIBLE",
            {"reward_id": "spring", "why": why},
        )
        if number == 1:
            client.advance_clock(clock("2026-02-28T23:00:00Z"))
            first_day = client.redeem_points(redemption("first-day", reward_id="spring"))
            assert first_day.redemption.percent_off == "12.5"
            assert not first_day.redemption.HasField("value")


def test_units_come_back_with_a_release_a_lapse_and_a_full_reversal(client: Client) -> None:
    open_shop(client, 1_000)

    def left() -> int:
        mug = client.list_rewards(rewards("m-2")).rewards[2]
        assert mug.reward_id == "mug"
        return mug.stock_left

    first, second = held(client, 1, reward_id="mug"), held(client, 2, reward_id="mug")
    assert left() == 0
    assert refusal(client.redeem_points, redemption(1, reward_id="mug")) == (
        "FAILED_PRECONDITION",
        "REWARD_OUT_OF_STOCK",
        {"reward_id": "mug"},
    )
    client.release_hold(release(1, first))
    assert left() == 1
    client.advance_clock(clock("2026-01-10T09:15:00Z"))
    assert failure_of(client.capture_hold, capture(2, second)).reason == "HOLD_EXPIRED"
    assert left() == 2
    mine = redeemed(client, 2, reward_id="mug")
    held(client, 3, reward_id="mug")
    assert left() == 0
    client.reverse_redemption(reversal(1, mine, 89))
    assert left() == 0
    client.reverse_redemption(reversal(2, mine, 1))
    assert left() == 1
    more = [{**reward, "stock": 5} if reward["id"] == "mug" else reward for reward in REWARDS]
    larger = rules(**{**SHOP, "rewards": more})
    client.publish_rules(program_pb2.PublishRulesRequest(program_id=PROGRAM, rules=larger))
    client.advance_clock(clock("2026-01-10T09:16:00Z"))
    assert left() == 4


def test_a_reward_is_had_as_often_as_allowed(client: Client) -> None:
    open_shop(client)
    limit = ("FAILED_PRECONDITION", "REWARD_LIMIT_REACHED")
    receipt = client.redeem_points(redemption(1, reward_id="tasting"))
    assert moves(receipt) == [("REDEMPTION", 0)]
    assert (receipt.entries[0].debit_account, receipt.entries[0].credit_account) == ("", "")
    assert refusal(client.hold_points, hold(1, reward_id="tasting")) == (
        *limit,
        {"reward_id": "tasting", "limit": "once in 7 days"},
    )
    assert client.hold_points(hold(2, reward_id="tasting", member_id="m-2")).hold.points == 0
    back = client.reverse_redemption(reversal(1, receipt.redemption.redemption_id))
    assert moves(back) == [("REDEMPTION_REVERSAL", 0)]
    client.release_hold(release(1, held(client, 3, reward_id="tasting")))
    client.capture_hold(capture(1, held(client, 4, reward_id="tasting")))
    client.advance_clock(clock("2026-01-16T22:59:59Z"))
    assert refusal(client.redeem_points, redemption(2, reward_id="tasting"))[:2] == limit
    client.advance_clock(clock("2026-01-16T23:00:00Z"))
    client.redeem_points(redemption(3, reward_id="tasting"))


def test_a_day_has_a_limit_and_the_refusal_says_until_when(client: Client) -> None:
    limit = {"redemption": {"per_day": {"count": 2, "points": 100}}}
    open_shop(client, 1_000, **limit)
    holding = held(client, 1, 30)
    client.redeem_points(redemption(1, 60))
    refused = (
        "FAILED_PRECONDITION",
        "REDEMPTION_LIMIT_REACHED",
        {
            "required": "20",
            "limit": "2 times and 100 points",
            "left": "0 times and 10 points",
            "count_left": "0",
            "points_left": "10",
            "again_time": "2026-01-10T23:00:00Z",
        },
    )
    assert refusal(client.redeem_points, redemption(2, 20)) == refused
    assert refusal(client.hold_points, hold(2, 20))[:2] == refused[:2]
    mug = client.list_rewards(rewards()).rewards[2]
    [obstacle] = mug.obstacles
    assert (mug.available, obstacle.reason) == (False, redemption_pb2.OBSTACLE_REASON_DAILY_LIMIT)
    assert obstacle.text == "2 times and 100 points a day are allowed"
    client.release_hold(release(1, holding))
    client.redeem_points(redemption(3, 40))
    client.advance_clock(clock("2026-01-10T23:00:00Z"))
    # A request id has one outcome; a new one is a new request.
    assert refusal(client.redeem_points, redemption(2, 20)) == refused
    client.redeem_points(redemption(4, 20))


@pytest.mark.parametrize("one_step", [True, False])
def test_a_reward_with_a_stock_is_never_given_twice(server: RunningServer, one_step: bool) -> None:
    stock = [{**REWARDS[2], "stock": 3, "points": 1}]
    with Tills([server], 12) as tills:
        people = [f"m-{index}" for index in range(12)]
        open_program(tills.clients[0], people, rewards=stock)
        for person in people:
            tills.clients[0].adjust_points(adjustment(person, 5, member_id=person))
        owners = dict(zip(tills.clients, people, strict=True))

        def take(client: Client) -> types_pb2.Receipt:
            mine = owners[client]
            if one_step:
                return client.redeem_points(redemption(1, reward_id="mug", member_id=mine))
            return client.hold_points(hold(1, reward_id="mug", member_id=mine))

        outcomes = tills.all(take)
    refused = [outcome.reason for outcome in outcomes if isinstance(outcome, Failure)]
    assert refused == ["REWARD_OUT_OF_STOCK"] * 9


# -- reversals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("held_first", [False, True], ids=["redeemed", "captured"])
def test_a_redemption_is_given_back_in_parts_and_never_more(
    client: Client, held_first: bool
) -> None:
    open_shop(client)
    if held_first:
        made = client.capture_hold(capture(1, held(client, 1, 80)))
    else:
        made = client.redeem_points(redemption(1, 80))
    redemption_id = made.redemption.redemption_id

    receipt = client.reverse_redemption(reversal(1, redemption_id, 30))
    assert moves(receipt) == [("REDEMPTION_REVERSAL", 30)]
    entry = receipt.entries[0]
    assert (entry.debit_account, entry.credit_account) == ("redeemed", "member:available")
    assert entry.subject_sequence == made.entries[0].sequence
    assert (receipt.redemption.points, receipt.redemption.reversed_points) == (80, 30)
    assert points_of(receipt.balance) == (150, 0, 0, 0)
    assert refusal(client.reverse_redemption, reversal(2, redemption_id, 51)) == (
        "FAILED_PRECONDITION",
        "REVERSAL_EXCEEDS_REDEMPTION",
        {"redemption_id": redemption_id, "left": "50", "required": "51"},
    )
    rest = client.reverse_redemption(reversal(3, redemption_id))
    assert moves(rest) == [("REDEMPTION_REVERSAL", 50)]
    assert (rest.redemption.reversed_points, rest.messages[0]) == (80, "+50 points given back.")
    assert points_of(rest.balance) == (200, 0, 0, 0)
    for number, points in ((4, None), (5, 1)):
        again = failure_of(client.reverse_redemption, reversal(number, redemption_id, points))
        assert (again.reason, again.metadata["left"]) == ("REVERSAL_EXCEEDS_REDEMPTION", "0")


@pytest.mark.parametrize(
    ("days", "expected"),
    [(None, "2026-04-30T22:00:00Z"), (3, "2026-04-03T22:00:00Z"), (0, None)],
)
def test_points_past_their_date_live_some_days_more(
    client: Client, days: int | None, expected: str | None
) -> None:
    grace = {} if days is None else {"restore_grace_days": days}
    open_program(client, expiry={"after_months": 1}, redemption=grace)
    client.record_purchase(purchase(1, "100.00"))
    redemption_id = redeemed(client, 1, 100)
    client.advance_clock(clock("2026-03-31T10:00:00Z"))

    receipt = client.reverse_redemption(reversal(1, redemption_id, 40))

    if expected is None:
        assert moves(receipt) == [("REDEMPTION_REVERSAL", 40), ("EXPIRY", -40)]
        return
    assert moves(receipt) == [("REDEMPTION_REVERSAL", 40)]
    assert receipt.balance.next_expiry.expire_time == instant(expected)


# -- replays ------------------------------------------------------------------------------------


def test_every_answer_is_repeated_as_it_was(client: Client) -> None:
    open_shop(client, 1_000)
    sent: list[tuple[Callable[[Any], types_pb2.Receipt], Any, types_pb2.Receipt]] = []

    def send(method: Callable[[Any], types_pb2.Receipt], request: Any) -> types_pb2.Receipt:
        receipt = method(request)
        sent.append((method, request, receipt))
        return receipt

    first = send(client.hold_points, hold(1, 80)).hold.hold_id
    second = send(client.hold_points, hold(2, 50)).hold.hold_id
    third = send(client.hold_points, hold(3, reward_id="mug")).hold.hold_id
    send(client.extend_hold, extension(1, first, ttl=1_800))
    part = send(client.capture_hold, capture(1, first, 30)).redemption.redemption_id
    send(client.release_hold, release(2, second))
    mug = send(client.capture_hold, capture(3, third)).redemption.redemption_id
    send(client.redeem_points, redemption(1, reward_id="tasting"))
    whole = send(client.redeem_points, redemption(2, 10)).redemption.redemption_id
    send(client.reverse_redemption, reversal(1, part, 5))
    send(client.reverse_redemption, reversal(2, mug))
    send(client.reverse_redemption, reversal(3, whole))
    client.reverse_redemption(reversal(4, part))
    client.advance_clock(clock("2026-01-10T09:01:00Z"))
    renamed = [{**reward, "name": reward["id"].upper()} for reward in REWARDS]
    later = rules(**{**SHOP, "rewards": renamed, "redemption": None})
    client.publish_rules(program_pb2.PublishRulesRequest(program_id=PROGRAM, rules=later))
    client.advance_clock(clock("2027-06-01T00:00:00Z"))

    written = len(journal(client))
    for method, request, receipt in sent:
        again = method(request)
        assert again.replayed
        again.replayed = False
        assert document(again) == document(receipt)
    assert len(journal(client)) == written


def test_refusals_are_remembered_and_not_found_is_not(client: Client) -> None:
    open_shop(client, 50)
    poor = refusal(client.hold_points, hold(1, 80))
    assert poor == (
        "FAILED_PRECONDITION",
        "INSUFFICIENT_POINTS",
        {"available": "50", "required": "80"},
    )
    missing = failure_of(client.redeem_points, redemption(1, reward_id="tea"))
    assert (missing.code, missing.reason) == ("NOT_FOUND", "REWARD_NOT_FOUND")
    assert missing.metadata == {"reward_id": "tea", "program_id": PROGRAM}
    client.adjust_points(adjustment("more", 500))
    assert refusal(client.hold_points, hold(1, 80)) == poor
    assert failure_of(client.hold_points, hold(1, 81)).reason == "REQUEST_ID_REUSED"
    tea = [*REWARDS, {"id": "tea", "points": 10, "kind": "PERK"}]
    with_tea = rules(**{**SHOP, "rewards": tea})
    client.publish_rules(program_pb2.PublishRulesRequest(program_id=PROGRAM, rules=with_tea))
    client.advance_clock(clock("2026-01-10T09:01:00Z"))
    assert client.redeem_points(redemption(1, reward_id="tea")).redemption.points == 10


def test_a_batch_holds_every_kind_of_redemption(client: Client) -> None:
    open_shop(client)
    first, second = held(client, 1, 50), held(client, 2, 40)
    answered = client.batch_write(
        batch(
            hold(3, 10),
            extension(1, first, ttl=60),
            capture(1, first, 20),
            release(2, second),
            redemption(1, 5),
            reversal(1, "r-nothing"),
            redemption(2, 500),
        )
    )
    results = answered.results
    assert [kinds(result.receipt) for result in results[:5]] == [
        ["HOLD"],
        ["HOLD"],
        ["CAPTURE", "RELEASE"],
        ["RELEASE"],
        ["REDEMPTION"],
    ]
    reasons = [Failure(result.error).reason for result in results[5:]]
    assert reasons == ["REDEMPTION_NOT_FOUND", "INSUFFICIENT_POINTS"]
    assert now_has(client) == (165, 10, 0, 0)


# -- refusals -----------------------------------------------------------------------------------


def test_ids_of_somebody_else_look_like_ids_of_nobody(client: Client) -> None:
    open_shop(client)
    client.create_program(program_with_shop("other"))
    client.enroll_member(enrollment(program_id="other"))
    client.adjust_points(adjustment("start", 200, program_id="other"))
    foreign = held(client, 1, 80, program_id="other")
    hold_id, redemption_id = held(client, 1, 80), redeemed(client, 1, 10)
    sequence = hold_id.rpartition("-")[2]
    for number, wrong in enumerate(
        (foreign, redemption_id, "h", f"{hold_id}0", hold_id.replace(f"-{sequence}", "-1"))
    ):
        missing = failure_of(client.capture_hold, capture(f"w-{number}", wrong))
        assert (missing.code, missing.reason) == ("NOT_FOUND", "HOLD_NOT_FOUND")
        assert missing.metadata == {"member_id": "m-1", "hold_id": wrong}
    for number, wrong in enumerate((foreign, hold_id, "r", redemption_id.replace("-4", "-3"))):
        lost = failure_of(client.reverse_redemption, reversal(f"w-{number}", wrong))
        assert (lost.code, lost.reason) == ("NOT_FOUND", "REDEMPTION_NOT_FOUND")
        assert lost.metadata == {"member_id": "m-1", "redemption_id": wrong}
    others: list[tuple[Any, Any]] = [
        (client.capture_hold, capture(2, hold_id, member_id="m-2")),
        (client.release_hold, release(2, hold_id, member_id="m-2")),
        (client.extend_hold, extension(2, hold_id, member_id="m-2")),
        (client.reverse_redemption, reversal(2, redemption_id, member_id="m-2")),
    ]
    for method, request in others:
        assert failure_of(method, request).reason in ("HOLD_NOT_FOUND", "REDEMPTION_NOT_FOUND")


def program_with_shop(program_id: str) -> program_pb2.CreateProgramRequest:
    request = program_pb2.CreateProgramRequest(
        program=program_pb2.Program(
            program_id=program_id, currency="EUR", time_zone="Europe/Berlin", sandbox=True
        ),
        rules=rules(**SHOP),
    )
    request.program.clock_time.CopyFrom(instant(CLOCK))
    return request


def test_refusals_come_in_their_documented_order(client: Client) -> None:
    open_shop(client, 50, redemption={"minimum_points": 20})
    early = instant("2025-01-01T00:00:00Z")
    client.redeem_points(redemption("tasting", reward_id="tasting"))
    steps: list[tuple[str, redemption_pb2.RedeemPointsRequest]] = [
        ("MEMBER_NOT_FOUND", redemption(1, reward_id="tea", member_id="m-9")),
        ("REWARD_NOT_FOUND", redemption(2, reward_id="tea", effective_time=early)),
        ("EFFECTIVE_TIME_OUT_OF_RANGE", redemption(3, 500, effective_time=early)),
        ("INSUFFICIENT_POINTS", redemption(4, 51)),
        ("REWARD_NOT_ELIGIBLE", redemption(5, reward_id="fiver")),
        ("REWARD_LIMIT_REACHED", redemption(6, reward_id="tasting")),
        ("BELOW_MINIMUM", redemption(7, 19)),
    ]
    for reason, request in steps:
        assert failure_of(client.redeem_points, request).reason == reason
    below = failure_of(client.hold_points, hold(1, 19))
    assert below.metadata == {"points": "19", "minimum": "20"}
    hold_id = held(client, 2, 50)
    too_much = failure_of(client.capture_hold, capture(1, hold_id, 51))
    assert (too_much.reason, too_much.metadata) == (
        "CAPTURE_EXCEEDS_HOLD",
        {"hold_id": hold_id, "held": "50", "required": "51"},
    )
    client.set_member_status(status("SUSPENDED"))
    late: list[tuple[Any, Any]] = [
        (client.redeem_points, redemption(8, 500, effective_time=early)),
        (client.capture_hold, capture(2, hold_id, 51)),
    ]
    for method, asked in late:
        refused = failure_of(method, asked)
        assert (refused.reason, refused.metadata) == (
            "MEMBER_NOT_ACTIVE",
            {"member_id": "m-1", "status": "SUSPENDED"},
        )
    unknown = failure_of(client.capture_hold, capture(3, "h-unknown"))
    assert unknown.reason == "HOLD_NOT_FOUND"


class Bad(NamedTuple):
    """A request that is malformed, and the fields that are named."""

    name: str
    method: Callable[..., Any]
    request: Any
    fields: list[str]


LONG = "x" * 129
ID = "h-aaaaaaaaaaaaa-3"
BAD = [
    Bad("hold nothing", Client.hold_points, hold(1), ["points"]),
    Bad("hold a debt", Client.hold_points, hold(1, -1), ["points"]),
    Bad("hold too much", Client.hold_points, hold(1, 10**15 + 1), ["points"]),
    Bad("hold both", Client.hold_points, hold(1, 1, reward_id="mug"), ["points"]),
    Bad("hold a long name", Client.hold_points, hold(1, reward_id=LONG), ["reward_id"]),
    Bad("hold for no time", Client.hold_points, hold(1, 1, ttl=0), ["ttl"]),
    Bad("hold for ever", Client.hold_points, hold(1, 1, ttl=28 * 86_400 + 1), ["ttl"]),
    Bad("hold backwards", Client.hold_points, hold(1, 1, ttl=-5), ["ttl"]),
    Bad(
        "everything at once",
        Client.hold_points,
        hold(1, 0, request_id="", member_id="a\0", ttl=0, location_id=LONG, terminal_id="\t"),
        ["member_id", "request_id", "points", "ttl", "location_id", "terminal_id"],
    ),
    Bad("no program", Client.hold_points, hold(1, 1, program_id=""), ["program_id"]),
    Bad("capture nothing", Client.capture_hold, capture(1, ID, 0), ["points"]),
    Bad("capture a debt", Client.capture_hold, capture(1, ID, -1), ["points"]),
    Bad("capture no hold", Client.capture_hold, capture(1, ""), ["hold_id"]),
    Bad("capture unnamed", Client.capture_hold, capture(1, ID, request_id=""), ["request_id"]),
    Bad("release no hold", Client.release_hold, release(1, ""), ["hold_id"]),
    Bad("release a long id", Client.release_hold, release(1, LONG), ["hold_id"]),
    Bad("extend no hold", Client.extend_hold, extension(1, ""), ["hold_id"]),
    Bad("extend for no time", Client.extend_hold, extension(1, ID, ttl=0), ["ttl"]),
    Bad("redeem nothing", Client.redeem_points, redemption(1), ["points"]),
    Bad("redeem both", Client.redeem_points, redemption(1, 5, reward_id="mug"), ["points"]),
    Bad("redeem a debt", Client.redeem_points, redemption(1, -5), ["points"]),
    Bad(
        "redeem in year 3000",
        Client.redeem_points,
        redemption(1, 5, effective_time=instant("3000-01-01T00:00:00Z")),
        ["effective_time"],
    ),
    Bad("reverse nothing", Client.reverse_redemption, reversal(1, ID, 0), ["points"]),
    Bad("reverse no redemption", Client.reverse_redemption, reversal(1, ""), ["redemption_id"]),
    Bad("list without a member", Client.list_rewards, rewards(""), ["member_id"]),
    Bad("list without a program", Client.list_rewards, rewards(program_id=""), ["program_id"]),
    Bad(
        "a schedule of nobody",
        Client.get_expiry_schedule,
        expiry_schedule("", ""),
        ["program_id", "member_id"],
    ),
]


def test_what_is_malformed_is_named_and_not_remembered(client: Client) -> None:
    open_shop(client)
    before = journal(client)
    for name, method, request, fields in BAD:
        refused = failure_of(partial(method, client), request)
        assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD"), name
        assert refused.fields == fields, name
    assert journal(client) == before
    assert client.hold_points(hold(1, 10)).hold.points == 10


def test_a_part_of_a_nanosecond_is_no_ttl(grpc_client: GrpcClient) -> None:
    open_shop(grpc_client)
    asked = hold(1, 10)
    asked.ttl.CopyFrom(seconds(5))
    asked.ttl.nanos = -1
    assert failure_of(grpc_client.hold_points, asked).fields == ["ttl"]
    asked.ttl.nanos = 500_000_000
    held_for = grpc_client.hold_points(asked).hold.expire_time
    assert held_for == instant("2026-01-10T09:00:05.500Z")


def test_unknown_members_and_programs_are_not_found(client: Client) -> None:
    open_shop(client)
    for request, reason in (
        (rewards("m-9"), "MEMBER_NOT_FOUND"),
        (rewards(program_id="nowhere"), "PROGRAM_NOT_FOUND"),
    ):
        assert failure_of(client.list_rewards, request).reason == reason
    assert failure_of(client.hold_points, hold(1, 1, member_id="m-9")).reason == "MEMBER_NOT_FOUND"
    elsewhere = hold(1, 1, program_id="nowhere")
    assert failure_of(client.hold_points, elsewhere).reason == "PROGRAM_NOT_FOUND"


def test_a_web_shop_needs_nothing_but_json(server: RunningServer, grpc_client: GrpcClient) -> None:
    open_shop(grpc_client)
    shop = JsonClient(server.http_address)
    common = {"programId": PROGRAM, "memberId": "m-1"}
    held_now = {**common, "requestId": "web-1", "points": "80", "ttl": "60s"}
    answer = shop.post("RedemptionService/HoldPoints", held_now)
    assert answer["hold"]["expireTime"] == "2026-01-10T09:01:00Z"
    captured = {**common, "requestId": "web-2", "holdId": answer["hold"]["holdId"]}
    answer = shop.post("RedemptionService/CaptureHold", captured)
    assert answer["redemption"]["value"] == {"currencyCode": "EUR", "nanos": 800000000}
    shop.close()


def test_a_repeat_is_worth_what_it_was_though_other_rules_came_at_the_same_instant(
    client: Client,
) -> None:
    open_program(client)
    first = client.record_purchase(purchase(1, "50.00"))
    dearer = rules(redemption={"value": {"points": 100, "amount": "5.00"}})
    client.publish_rules(program_pb2.PublishRulesRequest(program_id=PROGRAM, rules=dearer))

    again = client.record_purchase(purchase(1, "50.00"))

    assert again.replayed
    assert again.balance == first.balance
    assert client.get_balance(balance()).value == money("2.50")

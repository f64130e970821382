"""Tiers, bonuses and promotions as tills and shops see them, over gRPC and JSON.

After each test every journal is verified, by the service itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from ledger.core.instants import DAY
from ledger.store.verify import verify
from ledger.v1 import member_pb2, points_pb2, program_pb2, types_pb2
from tests.conftest import RunningServer, running_server
from tests.core.documents import FULL
from tests.service.client import Client, Failure, GrpcClient, failure_of
from tests.service.journals import document, journal, kinds
from tests.service.requests import (
    CLOCK,
    PROGRAM,
    activity,
    balance,
    batch,
    clock,
    enrollment,
    instant,
    line,
    open_program,
    override,
    preview_of,
    purchase,
    rules,
    tier_status,
)
from tests.service.test_operations import metrics, sample
from tests.service.together import Tills

EARNING = {"rate": {"points": 1, "per": "1.00"}, "backdate_days": 30}
TIERS: dict[str, Any] = {"earning": EARNING, "visits": FULL["visits"], "tiers": FULL["tiers"]}
BONUSES = {bonus["id"]: bonus for bonus in FULL["bonuses"]}


pytestmark = pytest.mark.usefixtures("sound")


def bonuses(*ids: str) -> dict[str, Any]:
    return {"bonuses": [BONUSES[bonus_id] for bonus_id in ids]}


def day(number: int) -> str:
    """A day of January 2026, at ten o'clock in Berlin."""
    return f"2026-01-{number:02}T09:00:00Z"


def visit(client: Client, number: int, amount: str = "5.00", **more: Any) -> types_pb2.Receipt:
    """What a purchase on that day of January is answered; the clock is moved there."""
    client.advance_clock(clock(day(number)))
    return client.record_purchase(purchase(number, amount, **more))


def earned(entry: types_pb2.Entry) -> dict[str, int]:
    """The points of an entry by rule."""
    return {line.rule: line.points for line in entry.breakdown}


def given(client: Client, member_id: str = "m-1") -> list[tuple[str, str, int]]:
    """Every bonus of a member: its instant, rule and points."""
    return [
        (entry.effective_time.ToJsonString(), entry.breakdown[0].rule, entry.points)
        for entry in journal(client, member_id)
        if entry.kind == types_pb2.ENTRY_KIND_BONUS
    ]


# -- a till's ten visits ------------------------------------------------------------------------


def test_ten_visits_lead_to_silver(client: Client) -> None:
    open_program(client, **TIERS, **bonuses("tenth-visit"))
    for number in range(11, 20):
        receipt = visit(client, number)
        visits = number - 10
        assert kinds(receipt) == ["PURCHASE"]
        assert earned(receipt.entries[0]) == {"base": 5}
        assert (receipt.tier.tier_id, receipt.tier.visits) == ("member", visits)
        assert receipt.tier.next.visits_missing == 10 - visits
        assert receipt.messages == [
            "+5 points (5 base).",
            f"Balance {5 * visits}, all to be used by 31 January 2027.",
            f"{10 - visits} more visit{'s' if visits < 9 else ''} by 10 January 2027"
            " to reach Silver.",
        ]

    tenth = document(visit(client, 20))

    common = {
        "programId": PROGRAM,
        "memberId": "m-1",
        "rulesVersion": 1,
        "actor": "developer",
        "effectiveTime": day(20),
        "createTime": day(20),
        "availablePoints": "200",
    }
    five = {"currencyCode": "EUR", "units": "5"}
    fifty = {"currencyCode": "EUR", "units": "50"}
    no_money = {"currencyCode": "EUR"}
    end = "2027-01-31T23:00:00Z"
    assert tenth.pop("entries") == [
        {
            **common,
            "sequence": "11",
            "kind": "ENTRY_KIND_PURCHASE",
            "points": "155",
            "debitAccount": "issuance",
            "creditAccount": "member:available",
            "requestId": "request-20",
            "purchaseId": "receipt-20",
            "breakdown": [
                {"rule": "base", "description": "5.00 EUR at 1 per 1.00", "points": "5"},
                {
                    "rule": "bonus:tenth-visit",
                    "description": "bonus tenth-visit",
                    "points": "150",
                },
            ],
            "lots": [{"points": "155", "expireTime": end}],
            "tierId": "member",
            "amount": five,
            "eligibleAmount": five,
        },
        {
            **common,
            "sequence": "12",
            "kind": "ENTRY_KIND_TIER_CHANGE",
            "causeSequence": "11",
            "tierId": "silver",
            "tierChange": {
                "reason": "TIER_CHANGE_REASON_PROMOTED",
                "fromTierId": "member",
                "toTierId": "silver",
                "visits": 10,
                "spend": fifty,
                "visitsNeeded": 10,
                "periodStartTime": "2025-01-20T23:00:00Z",
                "periodEndTime": "2026-01-20T23:00:00Z",
                "validUntilTime": end,
            },
        },
    ]
    assert tenth == {
        "balance": {
            "availablePoints": "200",
            "lifetimePoints": "200",
            "tierId": "silver",
            "version": "12",
            "asOfTime": day(20),
            "nextExpiry": {"points": "200", "expireTime": end},
            "value": {"currencyCode": "EUR", "units": "2"},
        },
        "tier": {
            "tierId": "silver",
            "name": "Silver",
            "benefits": ["free-delivery"],
            "sinceTime": day(20),
            "validUntilTime": end,
            "graceUntilTime": "2027-03-02T23:00:00Z",
            "periodStartTime": "2025-01-20T23:00:00Z",
            "visits": 10,
            "spend": fifty,
            "next": {
                "tierId": "gold",
                "name": "Gold",
                "visitsMissing": 15,
                "spendMissing": {"currencyCode": "EUR", "units": "450"},
                "either": True,
                "fromTime": "2025-01-20T23:00:00Z",
                "byTime": "2027-01-10T23:00:00Z",
            },
            "keep": {
                "tierId": "silver",
                "name": "Silver",
                "visitsMissing": 10,
                "spendMissing": no_money,
                "fromTime": "2026-03-03T23:00:00Z",
                "byTime": end,
            },
        },
        "messages": [
            "+155 points (5 base, 150 tenth-visit).",
            "Welcome to Silver until 31 January 2027.",
            "Balance 200, all to be used by 31 January 2027.",
            "10 visits from 4 March 2026 by 31 January 2027 to keep Silver.",
            "15 more visits or 450.00 EUR more by 10 January 2027 to reach Gold.",
        ],
    }
    eleventh = visit(client, 21)
    assert earned(eleventh.entries[0]) == {"base": 5, "tier:silver": 1}
    assert eleventh.entries[0].breakdown[1].description == "Silver earns 1.25 times the points"
    assert client.get_tier_status(tier_status()) == eleventh.tier


def test_a_repeated_request_is_answered_the_same_whatever_came_later(client: Client) -> None:
    open_program(client, [], **TIERS, **bonuses("survey", "refer", "tenth-visit"))
    sent: list[tuple[Any, Any, types_pb2.Receipt]] = []

    def send(method: Any, request: Any) -> None:
        sent.append((method, request, method(request)))

    send(client.enroll_member, enrollment("m-0"))
    send(client.enroll_member, enrollment(referrer_member_id="m-0"))
    for number in range(11, 26):
        client.advance_clock(clock(day(number)))
        send(client.record_purchase, purchase(number, "35.00"))
        send(client.record_activity, activity(number))
    send(client.override_tier, override("gold", "2026-03-01T00:00:00Z"))

    renamed = [{**level, "name": level["id"].upper()} for level in FULL["tiers"]["levels"]]
    later = rules(**{**TIERS, "tiers": {**FULL["tiers"], "levels": renamed}})
    client.advance_clock(clock("2026-01-26T09:00:00Z"))
    client.publish_rules(program_pb2.PublishRulesRequest(program_id=PROGRAM, rules=later))
    client.record_purchase(purchase("later", "400.00"))
    client.advance_clock(clock("2028-06-01T09:00:00Z"))
    assert client.get_tier_status(tier_status()).name == "MEMBER"

    assert len(sent) == 33
    for method, request, first in sent:
        again = method(request)
        assert again.replayed
        again.replayed = False
        assert again.SerializeToString(deterministic=True) == first.SerializeToString(
            deterministic=True
        )


def test_rules_published_at_the_very_moment_do_not_change_an_answer(client: Client) -> None:
    open_program(client, **TIERS)
    first = client.record_purchase(purchase(1, "5.00"))
    renamed = [{**level, "name": level["id"].upper()} for level in FULL["tiers"]["levels"]]
    later = rules(**{**TIERS, "tiers": {**FULL["tiers"], "levels": renamed}})
    client.publish_rules(program_pb2.PublishRulesRequest(program_id=PROGRAM, rules=later))

    again = client.record_purchase(purchase(1, "5.00"))

    again.replayed = False
    assert again == first


def test_a_late_upload_counts_for_its_own_day(client: Client) -> None:
    open_program(client, clock="2026-02-05T09:00:00Z", **TIERS)
    days = [f"2026-01-{number:02}T10:00:00Z" for number in range(8, 17)]
    requests = [
        purchase(number, "5.00", effective_time=instant(text)) for number, text in enumerate(days)
    ]
    twice = purchase("twice", "5.00", effective_time=instant(days[0]))
    response = client.batch_write(batch(*requests, twice))

    receipts = [result.receipt for result in response.results]
    assert [receipt.tier.visits for receipt in receipts] == [*range(1, 10), 9]
    tenth = client.record_purchase(
        purchase("tenth", "5.00", effective_time=instant("2026-01-17T10:00:00Z"))
    )
    assert kinds(tenth) == ["PURCHASE", "TIER_CHANGE"]
    purchased, changed = tenth.entries
    assert purchased.effective_time.ToJsonString() == "2026-01-17T10:00:00Z"
    # The tier is held from when the ledger heard of it.
    assert changed.effective_time.ToJsonString() == "2026-02-05T09:00:00Z"
    assert tenth.tier.since_time == changed.effective_time
    assert tenth.tier.valid_until_time.ToJsonString() == "2027-02-28T23:00:00Z"
    assert tenth.tier.next.by_time.ToJsonString() == "2027-01-07T23:00:00Z"


def test_spend_alone_leads_to_gold_with_its_entry_bonus(client: Client) -> None:
    open_program(client, **TIERS)
    receipt = client.record_purchase(purchase(1, "612.34"))
    assert kinds(receipt) == ["PURCHASE", "TIER_CHANGE", "BONUS"]
    change = receipt.entries[1].tier_change
    assert (change.from_tier_id, change.to_tier_id) == ("member", "gold")
    assert document(change.spend) == {"currencyCode": "EUR", "units": "612", "nanos": 340_000_000}
    assert document(change.spend_needed)["units"] == "500"
    assert earned(receipt.entries[2]) == {"entry:gold": 100}
    assert receipt.entries[2].breakdown[0].description == "for reaching Gold"
    assert receipt.balance.available_points == 712
    assert not receipt.tier.HasField("next")


def test_without_visits_a_level_is_lost_after_its_grace(client: Client) -> None:
    open_program(client, **TIERS)
    client.record_purchase(purchase(1, "600.00"))
    client.advance_clock(clock("2027-03-02T22:59:59Z"))
    assert client.get_tier_status(tier_status()).tier_id == "gold"
    client.advance_clock(clock("2027-03-02T23:00:00Z"))
    lowered = client.get_tier_status(tier_status())
    assert (lowered.tier_id, lowered.visits) == ("silver", 0)
    assert lowered.since_time.ToJsonString() == "2027-03-02T23:00:00Z"
    assert lowered.valid_until_time.ToJsonString() == "2028-03-31T22:00:00Z"
    change = journal(client)[-1].tier_change
    assert change.reason == types_pb2.TIER_CHANGE_REASON_LOWERED
    assert (change.from_tier_id, change.to_tier_id) == ("gold", "silver")
    assert (change.visits, change.visits_needed) == (0, 25)
    assert journal(client)[-1].actor == "time"
    client.advance_clock(clock("2028-05-01T00:00:00Z"))
    assert client.get_balance(balance()).tier_id == "member"


def test_in_the_grace_what_keeps_the_tier_lies_ahead(client: Client) -> None:
    open_program(client, **TIERS)
    for number in range(11, 21):
        visit(client, number)
    client.advance_clock(clock("2027-02-15T09:00:00Z"))
    status = client.get_tier_status(tier_status())
    assert status.tier_id == "silver"
    assert status.keep.by_time.ToMicroseconds() > instant("2027-02-15T09:00:00Z").ToMicroseconds()


def test_what_is_due_is_shown_before_anybody_posts_it(database_url: str) -> None:
    start = instant("2026-01-10T09:00:00Z").ToMicroseconds()
    now = [start]
    with running_server(database_url, clock=lambda: now[0], scheduler_seconds=0) as running:
        client = GrpcClient(running.grpc_address)
        open_program(client, sandbox=False, **TIERS)
        client.record_purchase(purchase(1, "600.00"))
        now[0] = instant("2027-03-03T00:00:00Z").ToMicroseconds()
        assert client.get_tier_status(tier_status()).tier_id == "silver"
        assert client.get_balance(balance()).tier_id == "silver"
        assert journal(client)[-1].tier_id == "gold"
        client.close()


def test_a_calendar_year_begins_at_nothing(client: Client) -> None:
    tiers = {**FULL["tiers"], "period": {"calendar_year": {}}}
    open_program(client, **{**TIERS, "tiers": tiers})
    status = visit(client, 11).tier
    assert status.period_start_time.ToJsonString() == "2025-12-31T23:00:00Z"
    assert status.period_end_time.ToJsonString() == "2026-12-31T23:00:00Z"
    assert status.next.by_time == status.period_end_time
    client.advance_clock(clock("2027-01-01T00:00:00Z"))
    assert client.get_tier_status(tier_status()).visits == 0


def test_a_program_without_tiers_has_nothing_to_say(client: Client) -> None:
    open_program(client)
    assert client.get_tier_status(tier_status()) == types_pb2.TierStatus()
    receipt = client.record_purchase(purchase(1))
    assert not receipt.HasField("tier")
    assert receipt.messages == [
        "+12 points (12 base).",
        "Balance 12, all to be used by 31 January 2027.",
    ]
    assert failure_of(client.get_tier_status, tier_status("x")).reason == "MEMBER_NOT_FOUND"


def test_who_came_before_there_were_tiers_has_the_lowest(client: Client) -> None:
    open_program(client)
    client.record_purchase(purchase(1))
    client.advance_clock(clock("2026-02-01T09:00:00Z"))
    client.publish_rules(program_pb2.PublishRulesRequest(program_id=PROGRAM, rules=rules(**TIERS)))
    before = client.get_tier_status(tier_status())
    assert (before.tier_id, before.visits) == ("member", 0)
    after = client.record_purchase(purchase(2)).tier
    assert (after.tier_id, after.visits) == ("member", 1)


# -- overrides ----------------------------------------------------------------------------------


def test_an_override_lasts_until_its_end(client: Client) -> None:
    open_program(client, **TIERS)
    receipt = client.override_tier(override("gold", "2026-07-01T00:00:00Z"))
    assert kinds(receipt) == ["TIER_CHANGE"]
    change = receipt.entries[0].tier_change
    assert change.reason == types_pb2.TIER_CHANGE_REASON_OVERRIDDEN
    assert (change.from_tier_id, change.to_tier_id) == ("member", "gold")
    assert change.note == "moved house"
    assert change.valid_until_time.ToJsonString() == "2026-07-01T00:00:00Z"
    assert receipt.entries[0].actor == "developer"
    assert receipt.tier.overridden
    assert receipt.tier.valid_until_time == change.valid_until_time
    assert not receipt.tier.HasField("keep")
    assert receipt.balance.tier_id == "gold"
    assert receipt.balance.available_points == 0  # nothing is given for what is not earned

    assert earned(visit(client, 11, "10.00").entries[0]) == {"base": 10, "tier:gold": 5}
    client.advance_clock(clock("2026-06-30T23:59:59Z"))
    assert client.get_tier_status(tier_status()).tier_id == "gold"
    client.advance_clock(clock("2026-07-01T00:00:00Z"))

    status = client.get_tier_status(tier_status())
    assert (status.tier_id, status.overridden, status.visits) == ("member", False, 1)
    ended = journal(client)[-1]
    assert ended.tier_change.reason == types_pb2.TIER_CHANGE_REASON_OVERRIDE_ENDED
    assert (ended.tier_change.from_tier_id, ended.tier_change.to_tier_id) == ("gold", "member")
    assert ended.effective_time.ToJsonString() == "2026-07-01T00:00:00Z"
    assert ended.actor == "time"


def test_what_is_earned_lives_on_beneath_an_override(client: Client) -> None:
    open_program(client, **TIERS)
    client.override_tier(override("gold", "2026-02-01T00:00:00Z"))
    for number in range(11, 21):
        visit(client, number)
    assert client.get_tier_status(tier_status()).tier_id == "gold"
    client.advance_clock(clock("2026-02-01T00:00:00Z"))
    status = client.get_tier_status(tier_status())
    assert (status.tier_id, status.overridden) == ("silver", False)


def test_an_override_ends_when_its_level_is_earned(client: Client) -> None:
    open_program(client, **TIERS)
    client.override_tier(override("gold", "2026-02-01T00:00:00Z"))
    receipt = client.record_purchase(purchase(1, "600.00"))
    assert (receipt.tier.tier_id, receipt.tier.overridden) == ("gold", False)
    client.advance_clock(clock("2026-03-01T00:00:00Z"))
    assert client.get_tier_status(tier_status()).tier_id == "gold"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (override("platinum", "2026-07-01T00:00:00Z"), "tier_id"),
        (override("member", "2026-07-01T00:00:00Z", request_id="lower"), "tier_id"),
        (override("gold", CLOCK), "until_time"),
        (override("gold", "2020-01-01T00:00:00Z"), "until_time"),
    ],
)
def test_an_override_that_can_not_be_is_refused_and_not_remembered(
    client: Client, request_: points_pb2.OverrideTierRequest, field: str
) -> None:
    open_program(client, **TIERS)
    if request_.tier_id == "member":
        client.override_tier(override("silver", "2026-07-01T00:00:00Z"))
    failure = failure_of(client.override_tier, request_)
    assert (failure.reason, failure.fields) == ("INVALID_FIELD", [field])
    repaired = override("gold", "2026-07-01T00:00:00Z", request_id=request_.request_id)
    assert not client.override_tier(repaired).replayed


# -- what time brings ---------------------------------------------------------------------------

#: of a member born on 29 February who joined on 10 January 2026 and came back on 1 May 2027
THREE_YEARS = [
    ("2026-02-27T23:00:00Z", "bonus:birthday", 200),
    ("2026-04-09T22:00:00Z", "bonus:miss-you", 100),
    ("2027-01-09T23:00:00Z", "bonus:anniversary", 100),
    ("2027-02-27T23:00:00Z", "bonus:birthday", 200),
    ("2027-07-29T22:00:00Z", "bonus:miss-you", 100),
    ("2028-01-09T23:00:00Z", "bonus:anniversary", 100),
    ("2028-02-28T23:00:00Z", "bonus:birthday", 200),
    ("2029-01-09T23:00:00Z", "bonus:anniversary", 100),
]


@pytest.mark.parametrize("months", [1, 16])
def test_three_years_of_occasions(client: Client, months: int) -> None:
    open_program(client, [], **TIERS, **bonuses("birthday", "anniversary", "miss-you"))
    leap = member_pb2.Birthday(month=2, day=29)
    client.enroll_member(enrollment(birthday=leap))
    client.enroll_member(enrollment("m-2"))
    for month in range(1, 37):
        if month % months == 0:
            client.advance_clock(clock(f"{2026 + month // 12}-{month % 12 + 1:02}-01T10:00:00Z"))
        if month == 16:
            client.record_purchase(purchase(1))
    client.advance_clock(clock("2029-01-11T09:00:00Z"))

    assert given(client) == THREE_YEARS
    assert [rule for _, rule, _ in given(client, "m-2")] == [
        "bonus:miss-you",
        *["bonus:anniversary"] * 3,
    ]
    birthday = next(entry for entry in journal(client) if entry.breakdown)
    assert birthday.actor == "time"
    assert not birthday.request_id
    assert birthday.lots[0].expire_time.ToJsonString() == "2026-04-29T22:00:00Z"


# -- referrals ----------------------------------------------------------------------------------


def test_both_sides_of_a_referral_are_thanked_with_the_first_visit(client: Client) -> None:
    open_program(client, ["m-0"], **TIERS, **bonuses("refer"))
    enrolled = client.enroll_member(enrollment(referrer_member_id="m-0"))
    assert enrolled.entries[0].related_member_id == "m-0"

    too_small = client.record_purchase(purchase(1, "2.99", terminal_id="till-7"))
    assert kinds(too_small) == ["PURCHASE"]
    assert given(client, "m-0") == []
    first = client.record_purchase(purchase(2, "3.00", terminal_id="till-7"))
    assert kinds(first) == ["PURCHASE", "BONUS"]
    bonus = first.entries[1]
    assert (earned(bonus), bonus.related_member_id) == ({"bonus:refer": 100}, "m-0")
    assert first.balance.available_points == 105
    thanked = journal(client, "m-0")[-1]
    assert (earned(thanked), thanked.related_member_id) == ({"bonus:refer": 300}, "m-1")
    assert (thanked.actor, thanked.request_id, thanked.cause_sequence) == ("developer", "", 0)
    assert client.get_balance(balance("m-0")).available_points == 300

    assert kinds(client.record_purchase(purchase(3, "30.00"))) == ["PURCHASE"]
    assert client.record_purchase(purchase(2, "3.00", terminal_id="till-7")).replayed
    assert len(given(client, "m-0")) == 1


def test_a_referral_within_one_batch(client: Client) -> None:
    open_program(client, [], **TIERS, **bonuses("refer"))
    response = client.batch_write(
        batch(
            enrollment("m-0"),
            enrollment(referrer_member_id="m-0"),
            purchase(1, "5.00"),
            purchase(2, "7.00", member_id="m-0"),
            enrollment("m-2", referrer_member_id="m-1"),
            purchase(3, "9.00", member_id="m-2"),
        )
    )
    assert [result.WhichOneof("outcome") for result in response.results] == ["receipt"] * 6
    assert [kinds(result.receipt) for result in response.results] == [
        ["ENROLLED"],
        ["ENROLLED"],
        ["PURCHASE", "BONUS"],
        ["PURCHASE"],
        ["ENROLLED"],
        ["PURCHASE", "BONUS"],
    ]
    found = {m: client.get_balance(balance(m)).available_points for m in ("m-0", "m-1", "m-2")}
    assert found == {"m-0": 307, "m-1": 405, "m-2": 109}
    # The second purchase of the referrer saw what the first of the other had brought.
    assert response.results[3].receipt.balance.available_points == 307


def test_a_referrer_must_exist_and_be_somebody_else(client: Client) -> None:
    open_program(client, [], **TIERS, **bonuses("refer"))
    missing = failure_of(client.enroll_member, enrollment(referrer_member_id="m-0"))
    assert (missing.code, missing.reason) == ("NOT_FOUND", "MEMBER_NOT_FOUND")
    assert missing.metadata["member_id"] == "m-0"
    own = failure_of(client.enroll_member, enrollment(referrer_member_id="m-1"))
    assert (own.reason, own.fields) == ("INVALID_FIELD", ["referrer_member_id"])

    # Neither is remembered, nor has it made a member.
    assert failure_of(client.get_balance, balance()).reason == "MEMBER_NOT_FOUND"
    client.enroll_member(enrollment("m-0"))
    assert not client.enroll_member(enrollment(referrer_member_id="m-0")).replayed
    other = failure_of(client.enroll_member, enrollment())
    assert other.reason == "REQUEST_ID_REUSED"


def test_referrals_over_two_servers_all_count_once(
    replicas: tuple[RunningServer, RunningServer],
) -> None:
    opener = GrpcClient(replicas[0].grpc_address)
    open_program(opener, ["r-0"], **TIERS, **bonuses("refer"))
    chain = [f"r-{number}" for number in range(17)]
    for referrer, member in itertools.pairwise(chain):
        opener.enroll_member(enrollment(member, referrer_member_id=referrer))
    # Half of them are referred by one member, too.
    star = [f"s-{number}" for number in range(8)]
    for member in star:
        opener.enroll_member(enrollment(member, referrer_member_id="r-0"))
    with Tills(replicas, 8) as tills:
        places = {client: place for place, client in enumerate(tills.clients)}

        def buy(client: Client) -> None:
            place = places[client]
            for member in (chain[1 + place], chain[9 + place], star[place]):
                client.record_purchase(purchase(member, "5.00", member_id=member))

        assert tills.all(buy) == [None] * 8
    found = {m: opener.get_balance(balance(m)).available_points for m in (*chain, *star)}
    assert found == {
        "r-0": 9 * 300,
        **dict.fromkeys(chain[1:-1], 300 + 105),
        chain[-1]: 105,
        **dict.fromkeys(star, 105),
    }
    opener.close()


# -- activities ---------------------------------------------------------------------------------


def test_an_activity_earns_as_often_as_its_limit_allows(client: Client) -> None:
    open_program(client, **TIERS, **bonuses("survey"))
    first = client.record_activity(activity(1, location_id="web", terminal_id="app"))
    assert kinds(first) == ["ACTIVITY"]
    entry = first.entries[0]
    assert (entry.activity, entry.location_id, entry.terminal_id) == (
        "survey-completed", "web", "app",
    )  # fmt: skip
    assert (entry.points, earned(entry)) == (30, {"bonus:survey": 30})
    assert first.tier.tier_id == "member"
    client.advance_clock(clock("2026-04-09T21:59:59Z"))  # the 90th local day, the first included
    limited = client.record_activity(activity(2))
    assert kinds(limited) == ["ACTIVITY"]
    assert (limited.entries[0].points, earned(limited.entries[0])) == (0, {})
    client.advance_clock(clock("2026-04-09T22:00:00Z"))
    assert client.record_activity(activity(3)).entries[0].points == 30
    assert client.record_activity(activity(2)).replayed
    assert client.get_balance(balance()).available_points == 60


def test_an_activity_that_is_late_or_not_known(client: Client) -> None:
    open_program(client, clock="2026-02-01T09:00:00Z", **TIERS, **bonuses("survey"))
    late = client.record_activity(activity(1, effective_time=instant("2026-01-05T10:00:00Z")))
    assert late.entries[0].effective_time.ToJsonString() == "2026-01-05T10:00:00Z"
    unknown = failure_of(client.record_activity, activity(2, "check-in"))
    assert (unknown.reason, unknown.fields) == ("INVALID_FIELD", ["activity"])
    assert "survey-completed" in dict(unknown.violations)["activity"]
    nobody = failure_of(client.record_activity, activity(3, member_id="x"))
    assert nobody.reason == "MEMBER_NOT_FOUND"
    too_late = activity(4, effective_time=instant("2025-12-01T10:00:00Z"))
    assert failure_of(client.record_activity, too_late).reason == "EFFECTIVE_TIME_OUT_OF_RANGE"
    reused = activity(1, effective_time=instant("2026-01-06T10:00:00Z"))
    assert failure_of(client.record_activity, reused).reason == "REQUEST_ID_REUSED"


def test_a_limit_holds_for_late_activities(client: Client) -> None:
    survey = {**BONUSES["survey"], "per_member": {"count": 1, "days": 10}}
    open_program(client, clock="2026-01-31T09:00:00Z", **TIERS, bonuses=[survey])
    client.record_activity(activity(1))
    late = instant("2026-01-05T09:00:00Z")
    points = [
        client.record_activity(activity(number, effective_time=late)).entries[0].points
        for number in (2, 3)
    ]
    assert points == [30, 0]


def test_a_limit_holds_over_two_servers(replicas: tuple[RunningServer, RunningServer]) -> None:
    opener = GrpcClient(replicas[0].grpc_address)
    open_program(opener, **TIERS, **bonuses("survey"))
    with Tills(replicas, 8) as tills:
        places = {client: place for place, client in enumerate(tills.clients)}
        receipts = tills.all(lambda client: client.record_activity(activity(places[client])))
    points = [r.entries[0].points for r in receipts if isinstance(r, types_pb2.Receipt)]
    assert sorted(points) == [0] * 7 + [30]
    opener.close()


def test_every_kind_of_write_in_one_batch(client: Client) -> None:
    open_program(client, [], **TIERS, **bonuses("survey"))
    request = batch(
        enrollment(),
        purchase(1, "600.00"),
        activity(1),
        activity(1),
        override("gold", "2026-07-01T00:00:00Z"),
        activity(2, "dancing"),
        override("silver", "2026-07-01T00:00:00Z"),
        activity(3, member_id="x"),
    )
    first = client.batch_write(request)
    outcomes = [result.WhichOneof("outcome") for result in first.results]
    assert outcomes == ["receipt"] * 5 + ["error"] * 3
    assert [result.receipt.replayed for result in first.results[:5]] == [False] * 3 + [True, False]
    reasons = [Failure(result.error).reason for result in first.results[5:]]
    assert reasons == ["INVALID_FIELD", "INVALID_FIELD", "MEMBER_NOT_FOUND"]
    again = client.batch_write(request)
    assert again.results[5:] == first.results[5:]
    for before, after in zip(first.results[:5], again.results[:5], strict=True):
        assert after.receipt.replayed
        before.receipt.replayed = True
        assert after == before


# -- promotions and previews --------------------------------------------------------------------

ROAST = {"id": "new-roast", "points": 7, "budget": 100}


def test_a_budget_is_never_overspent_over_two_servers(
    replicas: tuple[RunningServer, RunningServer],
) -> None:
    opener = GrpcClient(replicas[0].grpc_address)
    buyers = [f"m-{number}" for number in range(5)]
    promotions = [ROAST, {"id": "double", "multiplier": "2", "budget": 55}]
    open_program(opener, buyers, **TIERS, promotions=promotions)
    with Tills(replicas, 8) as tills:
        places = {client: place for place, client in enumerate(tills.clients)}

        def buy(client: Client) -> Sequence[types_pb2.Receipt]:
            place = places[client]
            requests = [
                purchase(f"{place}-{number}", "10.00", member_id=buyers[number])
                for number in range(5)
            ]
            if place % 2:
                return [r.receipt for r in client.batch_write(batch(*requests)).results]
            return [client.record_purchase(request) for request in requests]

        answers = tills.all(buy)
    receipts = [receipt for answer in answers for receipt in answer]  # type: ignore[union-attr]
    assert len(receipts) == 40
    for rule, most, each in (("promotion:new-roast", 100, 7), ("promotion:double", 55, 10)):
        shares = sorted(earned(receipt.entries[0]).get(rule, 0) for receipt in receipts)
        assert sum(shares) == most
        whole, rest = divmod(most, each)
        assert shares == [0] * (40 - whole - 1) + [rest] + [each] * whole
    spent = opener.preview_purchase(preview_of(purchase("after", "10.00", member_id="m-0")))
    assert earned_lines(spent.breakdown) == {"base": 10}
    opener.close()


def earned_lines(lines: Any) -> dict[str, int]:
    return {line.rule: line.points for line in lines}


def assert_preview_is_posting(
    client: Client, request: points_pb2.RecordPurchaseRequest
) -> types_pb2.Receipt:
    """The receipt of a purchase that a preview had told exactly."""
    preview = client.preview_purchase(preview_of(request))
    receipt = client.record_purchase(request)
    posted = next(e for e in receipt.entries if e.kind == types_pb2.ENTRY_KIND_PURCHASE)
    assert preview == points_pb2.PreviewPurchaseResponse(
        points=posted.points,
        breakdown=posted.breakdown,
        lots=posted.lots,
        eligible_amount=posted.eligible_amount,
        balance=receipt.balance,
        tier=receipt.tier if receipt.HasField("tier") else None,
        messages=receipt.messages,
    )
    return receipt


def test_a_preview_is_what_is_posted_then(client: Client) -> None:
    promotions = [
        {**ROAST, "budget": 10, "skus": ["roast"]},
        {"id": "once", "multiplier": "2", "once_per_member": True},
    ]
    open_program(
        client,
        ["m-0"],
        **TIERS,
        **bonuses("refer", "tenth-visit", "big-basket"),
        members={"auto_enroll": True},
        promotions=promotions,
    )
    client.enroll_member(enrollment(referrer_member_id="m-0"))
    roast = types_pb2.PurchaseLine(sku="roast", quantity=1, amount=line("5.00").amount)
    first = assert_preview_is_posting(client, purchase(1, "5.00", lines=[roast]))
    assert kinds(first) == ["PURCHASE", "BONUS"]  # the referral
    rest = assert_preview_is_posting(client, purchase(2, "5.00", lines=[roast]))
    assert earned(rest.entries[0]) == {"base": 5, "promotion:new-roast": 3}
    none = assert_preview_is_posting(client, purchase(3, "5.00", lines=[roast]))
    assert earned(none.entries[0]) == {"base": 5}
    gold = assert_preview_is_posting(client, purchase(4, "600.00"))
    assert kinds(gold) == ["PURCHASE", "TIER_CHANGE", "BONUS"]
    new = assert_preview_is_posting(client, purchase(5, "30.00", member_id="new"))
    assert kinds(new) == ["ENROLLED", "PURCHASE"]
    client.advance_clock(clock("2029-01-01T00:00:00Z"))
    assert_preview_is_posting(client, purchase(6, "30.00"))


def test_a_happy_hour_is_by_the_clock_on_the_wall(client: Client) -> None:
    happy = {
        "id": "happy-hour",
        "multiplier": "3",
        "weekdays": ["SAT"],
        "hours": {"from": "15:00", "until": "18:00"},
        "locations": ["mitte"],
        "tiers": ["gold"],
    }
    open_program(client, clock="2026-01-12T09:00:00Z", **TIERS, promotions=[happy])
    client.override_tier(override("gold", "2026-07-01T00:00:00Z"))

    def points(time: str, location_id: str = "mitte") -> int:
        asked = purchase(1, "10.00", location_id=location_id, effective_time=instant(time))
        return client.preview_purchase(preview_of(asked)).points

    assert points("2026-01-10T14:00:00Z") == 35  # Saturday, three o'clock in Berlin
    assert points("2026-01-10T13:59:59Z") == 15
    assert points("2026-01-10T16:59:59Z") == 35
    assert points("2026-01-10T17:00:00Z") == 15
    assert points("2026-01-11T14:00:00Z") == 15
    assert points("2026-01-10T14:00:00Z", "kreuzberg") == 15


def test_new_rules_may_change_a_budget_but_not_what_was_given(client: Client) -> None:
    open_program(client, **TIERS, promotions=[{**ROAST, "budget": 10}])
    client.record_purchase(purchase(1, "1.00"))
    client.record_purchase(purchase(2, "1.00"))
    more = rules(**TIERS, promotions=[{**ROAST, "budget": 16}])
    client.advance_clock(clock("2026-01-11T09:00:00Z"))
    client.publish_rules(program_pb2.PublishRulesRequest(program_id=PROGRAM, rules=more))
    receipt = client.record_purchase(purchase(3, "1.00"))
    assert earned(receipt.entries[0]) == {"base": 1, "promotion:new-roast": 6}


def test_activities_and_tiers_are_counted_from_the_start(
    client: Client, server: RunningServer
) -> None:
    open_program(client, **TIERS, **bonuses("survey"))

    def count(metric: str, **labels: str) -> float | None:
        return sample(metrics(server), metric, program=PROGRAM, **labels)

    for command in ("record_activity", "override_tier"):
        assert count("ledger_commands_total", command=command, outcome="ok") == 0
    for kind in ("ACTIVITY", "TIER_CHANGE"):
        assert count("ledger_points_total", kind=kind) == 0
    client.record_activity(activity(1))
    client.override_tier(override("gold", "2026-07-01T00:00:00Z"))
    for command in ("record_activity", "override_tier"):
        assert count("ledger_commands_total", command=command, outcome="ok") == 1
    assert count("ledger_points_total", kind="ACTIVITY") == 30


def test_a_budget_holds_when_the_clock_steps_back(database_url: str) -> None:
    """Members live on in their own time, in which the promotion has begun already."""
    promotion = {"id": "spring", "points": 100, "budget": 150, "from": "2026-03-10"}
    now = [instant("2026-03-10T12:00:00Z").ToMicroseconds()]
    with running_server(database_url, clock=lambda: now[0], scheduler_seconds=0) as running:
        client = GrpcClient(running.grpc_address)
        open_program(client, ["m-1", "m-2"], sandbox=False, promotions=[promotion])
        now[0] -= 3 * DAY
        receipts = [
            client.record_purchase(purchase(number, "5.00", member_id=f"m-{number % 2 + 1}"))
            for number in range(4)
        ]
        assert [receipt.entries[0].points for receipt in receipts] == [105, 55, 5, 5]
        client.close()
    assert verify(database_url, workers=1).findings == []

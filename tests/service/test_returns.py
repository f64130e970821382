"""Returns of purchases as tills see them: in parts, by lines, in full, and what is owed then."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pytest

from ledger.v1 import points_pb2, program_pb2, types_pb2
from tests.conftest import RunningServer
from tests.core.documents import FULL
from tests.service.client import Client, Failure, GrpcClient, JsonClient, failure_of
from tests.service.journals import document, journal, kinds, moves, points_of
from tests.service.requests import (
    CLOCK,
    PROGRAM,
    balance,
    batch,
    clock,
    hold,
    instant,
    line,
    money,
    open_program,
    override,
    preview_of_return,
    purchase,
    redemption,
    release,
    returned,
    reversal,
    rules,
    status,
    tier_status,
    transfer,
)

pytestmark = pytest.mark.usefixtures("sound")

JANUARY_2027 = "2027-01-31T23:00:00Z"
#: a purchase of two articles, one of which earns nothing
BASKET = [
    types_pb2.PurchaseLine(sku="beans", category="coffee", quantity=2, amount=money("16.00")),
    types_pb2.PurchaseLine(sku="card", category="gift-card", quantity=1, amount=money("10.00")),
]
EXCLUDING: dict[str, Any] = {
    "earning": {"rate": {"points": 1, "per": "1.00"}, "exclude_categories": ["gift-card"]}
}


def shortfall(word: str) -> dict[str, Any]:
    return {"returns": {"shortfall": word}}


def preview(
    client: Client, request: points_pb2.RecordReturnRequest
) -> points_pb2.PreviewReturnResponse:
    return client.preview_return(preview_of_return(request))


def now_has(client: Client, member_id: str = "m-1") -> tuple[int, int, int, int]:
    return points_of(client.get_balance(balance(member_id)))


# -- how much is taken back ---------------------------------------------------------------------


def test_a_return_takes_back_what_was_earned(client: Client) -> None:
    open_program(client)
    client.record_purchase(purchase(1, "30.00"))

    receipt = client.record_return(returned(1, 1, "10.00", location_id="shop-1"))

    euros = {"currencyCode": "EUR", "units": "10"}
    assert document(receipt) == {
        "entries": [
            {
                "programId": PROGRAM,
                "memberId": "m-1",
                "sequence": "3",
                "kind": "ENTRY_KIND_RETURN",
                "points": "-10",
                "debitAccount": "member:available",
                "creditAccount": "issuance",
                "requestId": "return-1",
                "purchaseId": "receipt-1",
                "subjectSequence": "2",
                "lots": [{"points": "-10", "expireTime": JANUARY_2027}],
                "rulesVersion": 1,
                "actor": "developer",
                "locationId": "shop-1",
                "effectiveTime": CLOCK,
                "createTime": CLOCK,
                "availablePoints": "20",
                "amount": euros,
                "eligibleAmount": euros,
                "returned": {"amount": euros, "eligibleAmount": euros, "points": "10"},
            }
        ],
        "balance": {
            "availablePoints": "20",
            "lifetimePoints": "20",
            "version": "3",
            "asOfTime": CLOCK,
            "nextExpiry": {"points": "20", "expireTime": JANUARY_2027},
            "value": {"currencyCode": "EUR", "nanos": 200000000},
        },
        "messages": [
            "-10 points for the return.",
            "Balance 20, all to be used by 31 January 2027.",
        ],
    }


@pytest.mark.parametrize(
    ("bought", "parts", "expected"),
    [
        ("30.00", ["10.00", "10.00", "10.00"], [-10, -10, -10]),
        ("9.99", ["3.33", "3.33", "3.33"], [-3, -3, -3]),
        ("10.00", ["3.33", "3.33", "3.34"], [-3, -3, -4]),
        ("10.00", ["0.99", "9.01"], [0, -10]),
        ("0.99", ["0.99"], [0]),
    ],
)
def test_partial_returns_add_up_exactly(
    client: Client, bought: str, parts: list[str], expected: list[int]
) -> None:
    open_program(client)
    client.record_purchase(purchase(1, bought))
    taken = []
    for number, amount in enumerate(parts):
        receipt = client.record_return(returned(number, 1, amount))
        taken.append(receipt.entries[0].points)
    assert taken == expected
    assert receipt.entries[0].returned.full
    assert now_has(client) == (0, 0, 0, 0)
    assert receipt.balance.lifetime_points == 0


def test_lines_that_come_back_are_found_among_those_bought(client: Client) -> None:
    open_program(client, **EXCLUDING)
    client.record_purchase(purchase(1, "26.00", lines=BASKET))
    assert now_has(client) == (16, 0, 0, 0)
    beans = types_pb2.PurchaseLine(sku="beans", category="coffee", quantity=1, amount=money("8.00"))

    receipt = client.record_return(returned(1, 1, lines=[beans]))
    assert moves(receipt) == [("RETURN", -8)]
    entry = receipt.entries[0]
    assert list(entry.lines) == [beans]
    assert (entry.amount, entry.eligible_amount) == (money("8.00"), money("8.00"))
    card = client.record_return(returned(2, 1, lines=[BASKET[1]]))
    assert moves(card) == [("RETURN", 0)]
    assert card.entries[0].eligible_amount == money("0.00")
    assert not card.entries[0].returned.full
    for number, wrong in enumerate(
        (
            types_pb2.PurchaseLine(sku="beans", category="coffee", amount=money("8.01")),
            types_pb2.PurchaseLine(
                sku="beans", category="coffee", quantity=2, amount=money("8.00")
            ),
            types_pb2.PurchaseLine(sku="beans", category="tea", amount=money("1.00")),
            types_pb2.PurchaseLine(sku="mug", category="coffee", amount=money("1.00")),
            BASKET[1],
        )
    ):
        refused = failure_of(client.record_return, returned(f"w-{number}", 1, lines=[wrong]))
        assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "RETURN_EXCEEDS_PURCHASE")
        assert refused.metadata["purchase_id"] == "receipt-1"
    rest = client.record_return(returned(3, 1, full=True))
    assert moves(rest) == [("RETURN", -8)]
    assert rest.entries[0].returned.full
    assert rest.entries[0].amount == money("8.00")


def test_an_amount_takes_what_earned_and_what_did_not_in_proportion(client: Client) -> None:
    open_program(client, **EXCLUDING)
    client.record_purchase(purchase(1, "26.00", lines=BASKET))
    receipt = client.record_return(returned(1, 1, "13.00"))
    assert moves(receipt) == [("RETURN", -8)]
    assert receipt.entries[0].eligible_amount == money("8.00")
    assert moves(client.record_return(returned(2, 1, "13.00"))) == [("RETURN", -8)]


def test_a_bonus_for_the_purchase_goes_only_with_all_of_it(client: Client) -> None:
    bonus = {"id": "big-basket", "on": "PURCHASE_OVER", "amount": "20.00", "points": 250}
    open_program(client, bonuses=[bonus])
    assert client.record_purchase(purchase(1, "30.00")).balance.available_points == 280
    assert moves(client.record_return(returned(1, 1, "29.99"))) == [("RETURN", -29)]
    assert moves(client.record_return(returned(2, 1, full=True))) == [("RETURN", -251)]


def test_a_purchase_can_not_be_returned_twice(client: Client) -> None:
    open_program(client)
    client.record_purchase(purchase(1, "10.00"))
    client.record_return(returned(1, 1, "4.00"))
    too_much = failure_of(client.record_return, returned(2, 1, "6.01"))
    assert (too_much.code, too_much.reason) == ("FAILED_PRECONDITION", "RETURN_EXCEEDS_PURCHASE")
    assert too_much.metadata == {
        "purchase_id": "receipt-1",
        "left": "6.00 EUR",
        "returned": "6.01 EUR",
    }
    client.record_return(returned(3, 1, full=True))
    for number, more in ((4, {"full": True}), (5, {"amount": "0.01"})):
        again = failure_of(client.record_return, returned(number, 1, **more))
        assert again.reason == "RETURN_EXCEEDS_PURCHASE"
        assert again.metadata["left"] == "0.00 EUR"


def test_a_full_return_takes_its_visit_back(client: Client) -> None:
    open_program(client, tiers=FULL["tiers"], visits=FULL["visits"])
    client.record_purchase(purchase(1, "5.00"))
    client.record_purchase(purchase(2, "5.00"))
    client.record_return(returned(1, 1, full=True))
    assert client.get_tier_status(tier_status()).visits == 1
    receipt = client.record_return(returned(2, 2, full=True))
    assert (receipt.tier.visits, receipt.tier.spend) == (0, money("0.00"))
    assert client.get_tier_status(tier_status()) == receipt.tier


# -- where the points come from -----------------------------------------------------------------


def test_the_purchases_own_points_go_first(client: Client) -> None:
    open_program(client, expiry={"after_months": 1})
    client.record_purchase(purchase(1, "100.00"))
    client.advance_clock(clock("2026-02-10T09:00:00Z"))
    client.record_purchase(purchase(2, "50.00"))
    client.redeem_points(redemption(1, 120))
    client.record_purchase(purchase(3, "40.00"))
    february, march = "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"
    receipt = client.record_return(returned(1, 2, "20.00"))
    assert document(receipt.entries[0])["lots"] == [{"points": "-20", "expireTime": march}]
    client.reverse_redemption(reversal(1, journal(client)[-3].redemption_id, 30))
    rest = client.record_return(returned(2, 2, full=True))
    assert document(rest.entries[0])["lots"] == [{"points": "-30", "expireTime": march}]
    first = client.record_return(returned(3, 1, "50.00"))
    assert document(first.entries[0])["lots"] == [
        {"points": "-10", "expireTime": february},
        {"points": "-40", "expireTime": march},
    ]


def test_pending_points_are_taken_before_spendable_ones(client: Client) -> None:
    earning = {"rate": {"points": 1, "per": "1.00"}, "pending_days": 14}
    open_program(client, earning=earning)
    client.record_purchase(purchase(1, "30.00"))
    client.advance_clock(clock("2026-02-01T09:00:00Z"))
    client.record_purchase(purchase(2, "20.00"))
    assert now_has(client) == (30, 0, 20, 0)

    receipt = client.record_return(returned(1, 2, full=True))

    assert moves(receipt) == [("RETURN", -20)]
    assert receipt.entries[0].debit_account == "member:pending"
    assert receipt.entries[0].lots[0].HasField("activate_time")
    assert points_of(receipt.balance) == (30, 0, 0, 0)
    asked = preview(client, returned(2, 1, "10.00"))
    assert (asked.points, asked.pending_points, asked.available_points) == (10, 0, 10)


def test_held_points_are_not_touched(client: Client) -> None:
    open_program(client)
    client.record_purchase(purchase(1, "10.00"))
    hold_id = client.hold_points(hold(1, 6)).hold.hold_id

    receipt = client.record_return(returned(1, 1, full=True))

    assert moves(receipt) == [("RETURN", -4), ("RETURN", -6)]
    assert [entry.debit_account for entry in receipt.entries] == [
        "member:available",
        "member:debt",
    ]
    assert receipt.entries[1].cause_sequence == receipt.entries[0].sequence
    assert points_of(receipt.balance) == (0, 6, 0, 6)
    assert receipt.messages[:2] == [
        "-4 points for the return.",
        "6 points owed: what comes in next pays them.",
    ]
    back = client.release_hold(release(1, hold_id))
    assert moves(back) == [("RELEASE", 6), ("DEBT_PAYMENT", -6)]
    assert points_of(back.balance) == (0, 0, 0, 0)


# -- when they are spent ------------------------------------------------------------------------


def test_what_comes_in_next_pays_what_is_owed(client: Client) -> None:
    open_program(client, ["m-1", "m-2"])
    client.record_purchase(purchase(1, "10.00"))
    client.redeem_points(redemption(1, 10))
    receipt = client.record_return(returned(1, 1, full=True))
    assert moves(receipt) == [("RETURN", -10)]
    assert (receipt.entries[0].debit_account, receipt.entries[0].credit_account) == (
        "member:debt",
        "issuance",
    )
    assert points_of(receipt.balance) == (0, 0, 0, 10)
    assert receipt.balance.lifetime_points == 0

    paid = client.record_purchase(purchase(2, "25.00"))

    assert moves(paid) == [("PURCHASE", 25), ("DEBT_PAYMENT", -10)]
    payment = paid.entries[1]
    assert (payment.debit_account, payment.credit_account) == ("member:available", "member:debt")
    assert points_of(paid.balance) == (15, 0, 0, 0)
    assert paid.messages[-1] == "Balance 15, all to be used by 31 January 2027."
    client.record_purchase(purchase(3, "5.00", member_id="m-2"))
    client.redeem_points(redemption(2, 15))
    client.record_return(returned(2, 2, full=True))
    handed = client.transfer_points(transfer(1, 5, "m-1", member_id="m-2"))
    assert moves(handed) == [("TRANSFER_OUT", -5)]
    assert now_has(client) == (0, 0, 0, 20)


def test_points_that_are_spent_can_be_forgiven(client: Client) -> None:
    open_program(client, **shortfall("FORGIVE"))
    client.record_purchase(purchase(1, "10.00"))
    client.redeem_points(redemption(1, 7))
    asked = preview(client, returned(1, 1, full=True))
    assert (asked.points, asked.available_points, asked.forgiven_points) == (10, 3, 7)
    receipt = client.record_return(returned(1, 1, full=True))
    assert moves(receipt) == [("RETURN", -3)]
    assert receipt.entries[0].forgiven_points == 7
    assert receipt.entries[0].returned.points == 10
    assert points_of(receipt.balance) == (0, 0, 0, 0)
    assert receipt.messages[0] == (
        "-3 points for the return. 7 points that were spent already are let go."
    )


def test_a_return_of_spent_points_can_be_refused(client: Client) -> None:
    open_program(client, **shortfall("REFUSE"))
    client.record_purchase(purchase(1, "10.00"))
    client.redeem_points(redemption(1, 7))
    for refused in (
        failure_of(client.record_return, returned(1, 1, "4.00")),
        failure_of(client.preview_return, preview_of_return(returned(1, 1, "4.00"))),
    ):
        assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "RETURNED_POINTS_SPENT")
        assert refused.metadata == {"available": "3", "required": "4"}
    assert moves(client.record_return(returned(2, 1, "3.00"))) == [("RETURN", -3)]


# -- the purchase it is about -------------------------------------------------------------------


def test_a_return_that_came_too_early_is_sent_again(client: Client) -> None:
    open_program(client, ["m-1", "m-2"])
    request = returned(1, 1, "5.00")
    missing = failure_of(client.record_return, request)
    assert (missing.code, missing.reason) == ("NOT_FOUND", "PURCHASE_NOT_FOUND")
    assert missing.metadata == {"member_id": "m-1", "purchase_id": "receipt-1"}
    client.record_purchase(purchase(1, "10.00"))
    assert moves(client.record_return(request)) == [("RETURN", -5)]
    assert client.record_return(request).replayed
    foreign = returned(1, 1, "5.00", member_id="m-2")
    assert failure_of(client.record_return, foreign).reason == "PURCHASE_NOT_FOUND"
    asked = preview_of_return(foreign)
    assert failure_of(client.preview_return, asked).reason == "PURCHASE_NOT_FOUND"


def test_a_purchase_and_its_return_may_be_in_one_batch(client: Client) -> None:
    open_program(client)
    answered = client.batch_write(
        batch(
            returned(0, 1, "1.00"),
            purchase(1, "10.00"),
            returned(1, 1, "4.00"),
            returned(2, 1, full=True),
            returned(3, 1, full=True),
        )
    )
    outcomes = [
        kinds(result.receipt) if result.HasField("receipt") else Failure(result.error).reason
        for result in answered.results
    ]
    assert outcomes == [
        "PURCHASE_NOT_FOUND",
        ["PURCHASE"],
        ["RETURN"],
        ["RETURN"],
        "RETURN_EXCEEDS_PURCHASE",
    ]
    assert now_has(client) == (0, 0, 0, 0)


def test_the_rules_of_the_purchase_say_what_a_return_takes(client: Client) -> None:
    open_program(client)
    client.record_purchase(purchase(1, "30.00"))
    client.advance_clock(clock("2026-01-11T09:00:00Z"))
    double = rules(earning={"rate": {"points": 2, "per": "1.00"}})
    client.publish_rules(program_pb2.PublishRulesRequest(program_id=PROGRAM, rules=double))
    client.record_purchase(purchase(2, "30.00"))
    assert moves(client.record_return(returned(1, 1, "10.00"))) == [("RETURN", -10)]
    assert moves(client.record_return(returned(2, 2, "10.00"))) == [("RETURN", -20)]


# -- preview ------------------------------------------------------------------------------------


def test_a_preview_is_what_is_posted_then(client: Client) -> None:
    open_program(client, tiers=FULL["tiers"], visits=FULL["visits"])
    client.record_purchase(purchase(1, "100.00"))
    client.record_purchase(purchase(2, "40.00"))
    client.redeem_points(redemption(1, 90))
    before = journal(client)
    for number, request in enumerate(
        (returned(1, 1, "10.00"), returned(2, 1, full=True), returned(3, 2, full=True))
    ):
        asked = preview(client, request)
        assert journal(client) == before
        receipt = client.record_return(request)
        taken = -sum(entry.points for entry in receipt.entries)
        assert asked.points == taken
        parts = {entry.debit_account: -entry.points for entry in receipt.entries}
        assert asked.available_points == parts.get("member:available", 0)
        assert asked.debt_points == parts.get("member:debt", 0)
        assert (asked.balance, asked.tier) == (receipt.balance, receipt.tier), number
        assert list(asked.messages) == list(receipt.messages)
        before = journal(client)
    assert now_has(client) == (0, 0, 0, 90)


def test_a_preview_tells_which_tier_is_at_risk(client: Client) -> None:
    tiers = {
        "period": {"rolling_days": 365},
        "levels": [{"id": "member"}, {"id": "silver", "spend": "50.00"}],
    }
    open_program(client, tiers=tiers)
    client.record_purchase(purchase(1, "30.00"))
    client.record_purchase(purchase(2, "25.00"))
    assert client.get_tier_status(tier_status()).tier_id == "silver"
    assert preview(client, returned(1, 2, "5.00")).tier_at_risk == ""
    risky = preview(client, returned(1, 2, "5.01"))
    assert (risky.tier_at_risk, risky.tier.tier_id) == ("silver", "silver")
    receipt = client.record_return(returned(1, 2, "5.01"))
    assert receipt.tier.tier_id == "silver"
    # It does not hang on this purchase any more.
    assert preview(client, returned(2, 2, "1.00")).tier_at_risk == ""


def test_a_level_that_was_given_is_not_at_risk(client: Client) -> None:
    open_program(client, tiers=FULL["tiers"])
    client.record_purchase(purchase(1, "30.00"))
    client.override_tier(override("gold", "2026-06-01T00:00:00Z"))
    assert preview(client, returned(1, 1, full=True)).tier_at_risk == ""


# -- answers again, and refusals ----------------------------------------------------------------


def test_returns_are_answered_again_as_they_were(client: Client) -> None:
    open_program(client, tiers=FULL["tiers"])
    client.record_purchase(purchase(1, "30.00"))
    client.redeem_points(redemption(1, 20))
    sent = [
        (request, client.record_return(request))
        for request in (returned(1, 1, "5.00"), returned(2, 1, full=True))
    ]
    client.advance_clock(clock("2027-06-01T00:00:00Z"))
    client.record_purchase(purchase(2, "500.00"))
    for request, first in sent:
        again = client.record_return(request)
        assert again.replayed
        again.replayed = False
        assert document(again) == document(first)
    other = returned(2, 1, "1.00")
    assert failure_of(client.record_return, other).reason == "REQUEST_ID_REUSED"


def test_refusals_come_in_their_documented_order(client: Client) -> None:
    open_program(client, **shortfall("REFUSE"))
    client.record_purchase(purchase(1, "10.00"))
    client.redeem_points(redemption(1, 10))
    early = instant("2025-01-01T00:00:00Z")
    unknown = returned(1, 2, "99.00", effective_time=early)
    for reason, request in (
        ("MEMBER_NOT_FOUND", returned(1, 2, "99.00", member_id="m-9")),
        ("PURCHASE_NOT_FOUND", unknown),
        ("EFFECTIVE_TIME_OUT_OF_RANGE", returned(2, 1, "99.00", effective_time=early)),
        ("RETURN_EXCEEDS_PURCHASE", returned(3, 1, "99.00")),
        ("RETURNED_POINTS_SPENT", returned(4, 1, "10.00")),
    ):
        assert failure_of(client.record_return, request).reason == reason
        asked = preview_of_return(request)
        assert failure_of(client.preview_return, asked).reason == reason
    client.set_member_status(status("SUSPENDED"))
    assert failure_of(client.record_return, unknown).reason == "PURCHASE_NOT_FOUND"
    late = returned(5, 1, "99.00", effective_time=early)
    assert failure_of(client.record_return, late).reason == "MEMBER_NOT_ACTIVE"
    elsewhere = returned(6, 1, "1.00", program_id="nowhere")
    assert failure_of(client.record_return, elsewhere).reason == "PROGRAM_NOT_FOUND"


class Bad(NamedTuple):
    """A return that is malformed, and the fields that are named."""

    name: str
    request: points_pb2.RecordReturnRequest
    fields: list[str]


LONG = "x" * 129
BAD = [
    Bad("nothing", returned(1, 1), ["amount"]),
    Bad("an amount and full", returned(1, 1, "1.00", full=True), ["amount"]),
    Bad("an amount and lines", returned(1, 1, "1.00", lines=[line("1.00")]), ["amount"]),
    Bad("lines and full", returned(1, 1, lines=[line("1.00")], full=True), ["amount"]),
    Bad("no money", returned(1, 1, "0.00"), ["amount"]),
    Bad("other money", returned(1, 1, "1.00", currency="USD"), ["amount.currency_code"]),
    Bad("no purchase", returned(1, 1, "1.00", purchase_id=""), ["purchase_id"]),
    Bad("a long purchase", returned(1, 1, "1.00", purchase_id=LONG), ["purchase_id"]),
    Bad("1001 lines", returned(1, 1, lines=[line("0.01")] * 1_001), ["lines"]),
    Bad(
        "a faulty line",
        returned(1, 1, lines=[line("1.00"), line("2.00", category="a\0", quantity=-1)]),
        ["lines[1].quantity", "lines[1].category"],
    ),
    Bad(
        "year 3000",
        returned(1, 1, "1.00", effective_time=instant("3000-01-01T00:00:00Z")),
        ["effective_time"],
    ),
    Bad("no member", returned(1, 1, "1.00", member_id=""), ["member_id"]),
    Bad("no program", returned(1, 1, "1.00", program_id=""), ["program_id"]),
    Bad("a long location", returned(1, 1, "1.00", location_id=LONG), ["location_id"]),
    Bad("a tab", returned(1, 1, "1.00", terminal_id="\t"), ["terminal_id"]),
]


def test_what_is_malformed_is_named_and_not_remembered(client: Client) -> None:
    open_program(client)
    client.record_purchase(purchase(1, "10.00"))
    before = journal(client)
    methods: list[tuple[Callable[[Any], Any], Callable[[Any], Any]]] = [
        (client.record_return, lambda request: request),
        (client.preview_return, preview_of_return),
    ]
    for method, made in methods:
        for name, request, fields in BAD:
            refused = failure_of(method, made(request))
            assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD"), name
            assert refused.fields == fields, name
    unnamed = returned(1, 1, "1.00", request_id="")
    assert failure_of(client.record_return, unnamed).fields == ["request_id"]
    assert journal(client) == before
    assert moves(client.record_return(returned(1, 1, "1.00"))) == [("RETURN", -1)]


def test_a_till_needs_nothing_but_json(server: RunningServer, grpc_client: GrpcClient) -> None:
    open_program(grpc_client)
    grpc_client.record_purchase(purchase(1, "10.00"))
    till = JsonClient(server.http_address)
    post = partial(till.post, "PointsService/RecordReturn")
    common = {"programId": PROGRAM, "memberId": "m-1", "purchaseId": "receipt-1"}
    amount = {"currencyCode": "EUR", "units": "2"}
    answer = post({**common, "requestId": "till-1", "amount": amount})
    assert answer["entries"][0]["points"] == "-2"
    answer = post({**common, "requestId": "till-2", "full": True})
    assert answer["entries"][0]["returned"]["full"] is True
    till.close()

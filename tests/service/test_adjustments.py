"""What operators do by hand, what members hand over, and what will expire when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import pytest

from ledger.v1 import balance_pb2, member_pb2, types_pb2
from tests.conftest import RunningServer
from tests.service.client import Client, Failure, GrpcClient, JsonClient, failure_of
from tests.service.journals import document, journal, kind, kinds, moves, points_of
from tests.service.requests import (
    CLOCK,
    PROGRAM,
    activity,
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
    now,
    open_program,
    preview_of,
    purchase,
    redemption,
    release,
    returned,
    reversal,
    status,
    transfer,
)

pytestmark = pytest.mark.usefixtures("sound")

JANUARY_2027 = "2027-01-31T23:00:00Z"
SURVEY = {"id": "survey", "on": "ACTIVITY", "activity": "survey-completed", "points": 30}


def now_has(client: Client, member_id: str = "m-1") -> tuple[int, int, int, int]:
    return points_of(client.get_balance(balance(member_id)))


def refusal(method: Callable[[Any], object], request: Any) -> tuple[str, str, dict[str, str]]:
    failure = failure_of(method, request)
    return failure.code, failure.reason, failure.metadata


# -- adjustments --------------------------------------------------------------------------------


def test_points_are_given_and_taken_by_hand(client: Client) -> None:
    open_program(client)

    given = client.adjust_points(adjustment(1, 50, note="cold coffee"))

    assert moves(given) == [("ADJUSTMENT", 50)]
    entry = given.entries[0]
    assert (entry.debit_account, entry.credit_account) == ("adjustments", "member:available")
    assert (entry.reason_code, entry.note, entry.approver) == ("goodwill", "cold coffee", "")
    assert document(entry)["lots"] == [{"points": "50", "expireTime": JANUARY_2027}]
    assert given.messages[0] == "+50 points (goodwill)."

    taken = client.adjust_points(adjustment(2, -20, reason_code="correction"))

    assert moves(taken) == [("ADJUSTMENT", -20)]
    entry = taken.entries[0]
    assert (entry.debit_account, entry.credit_account) == ("member:available", "adjustments")
    assert points_of(taken.balance) == (30, 0, 0, 0)
    assert refusal(client.adjust_points, adjustment(3, -31)) == (
        "FAILED_PRECONDITION",
        "INSUFFICIENT_POINTS",
        {"available": "30", "required": "31"},
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_a_large_adjustment_needs_somebody_else_to_approve_it(client: Client, sign: int) -> None:
    open_program(client, adjustments={"approval_above": 100, "reason_codes": ["gift"]})
    client.record_purchase(purchase(1, "1000.00"))
    ask = partial(adjustment, reason_code="gift")
    assert client.adjust_points(ask(1, 100 * sign)).entries[0].approver == ""
    required = ("FAILED_PRECONDITION", "APPROVAL_REQUIRED", {"limit": "100"})
    assert refusal(client.adjust_points, ask(2, 101 * sign)) == required
    assert refusal(client.adjust_points, ask(3, 101 * sign, approver="developer")) == required
    approved = client.adjust_points(ask(4, 101 * sign, approver="manager-2"))
    assert approved.entries[0].approver == "manager-2"
    assert refusal(client.adjust_points, ask(2, 101 * sign)) == required
    assert failure_of(client.adjust_points, ask(2, sign)).reason == "REQUEST_ID_REUSED"


def test_an_adjustment_names_a_reason_of_the_rules(client: Client) -> None:
    open_program(client, adjustments={"reason_codes": ["gift"]})
    unknown = failure_of(client.adjust_points, adjustment(1, 10))
    assert (unknown.reason, unknown.fields) == ("INVALID_FIELD", ["reason_code"])
    assert "gift" in unknown.violations[0][1]
    assert client.adjust_points(adjustment(1, 10, reason_code="gift")).balance.version == 2


# -- transfers ----------------------------------------------------------------------------------


def test_points_keep_their_dates_in_other_hands(client: Client) -> None:
    open_program(client, ["m-1", "m-2"], expiry={"after_months": 1})
    client.record_purchase(purchase(1, "100.00"))
    client.advance_clock(clock("2026-02-10T09:00:00Z"))
    client.record_purchase(purchase(2, "50.00"))
    february, march = "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"

    receipt = client.transfer_points(transfer(1, 120))

    assert moves(receipt) == [("TRANSFER_OUT", -120)]
    out = receipt.entries[0]
    assert (out.debit_account, out.credit_account) == ("member:available", "transfers")
    assert out.related_member_id == "m-2"
    assert points_of(receipt.balance) == (30, 0, 0, 0)
    arrived = journal(client, "m-2")[-1]
    assert (kind(arrived), arrived.points, arrived.related_member_id) == ("TRANSFER_IN", 120, "m-1")
    assert (arrived.debit_account, arrived.credit_account) == ("transfers", "member:available")
    assert document(arrived)["lots"] == [
        {"points": "100", "expireTime": february},
        {"points": "20", "expireTime": march},
    ]
    assert client.get_balance(balance("m-2")).lifetime_points == 0
    client.advance_clock(clock("2026-03-01T00:00:00Z"))
    assert (now_has(client)[0], now_has(client, "m-2")[0]) == (30, 20)


def test_transfers_are_refused_for_either_side(client: Client) -> None:
    open_program(client, ["m-1", "m-2", "m-3"])
    client.record_purchase(purchase(1, "10.00"))
    client.set_member_status(status("SUSPENDED", member_id="m-3"))
    assert refusal(client.transfer_points, transfer(1, 11)) == (
        "FAILED_PRECONDITION",
        "INSUFFICIENT_POINTS",
        {"available": "10", "required": "11"},
    )
    unknown = failure_of(client.transfer_points, transfer(2, 1, "m-9"))
    assert (unknown.reason, unknown.metadata["member_id"]) == ("MEMBER_NOT_FOUND", "m-9")
    unknown = failure_of(client.transfer_points, transfer(2, 1, member_id="m-9"))
    assert (unknown.reason, unknown.metadata["member_id"]) == ("MEMBER_NOT_FOUND", "m-9")
    oneself = failure_of(client.transfer_points, transfer(3, 1, "m-1"))
    assert (oneself.reason, oneself.fields) == ("INVALID_FIELD", ["to_member_id"])
    assert refusal(client.transfer_points, transfer(4, 1, "m-3")) == (
        "FAILED_PRECONDITION",
        "MEMBER_NOT_ACTIVE",
        {"member_id": "m-3", "status": "SUSPENDED"},
    )
    assert now_has(client) == (10, 0, 0, 0)
    client.set_member_status(status("EARN_ONLY", member_id="m-2"))
    assert moves(client.transfer_points(transfer(5, 4))) == [("TRANSFER_OUT", -4)]
    own = failure_of(client.transfer_points, transfer(6, 1, "m-1", member_id="m-2"))
    assert own.metadata == {"member_id": "m-2", "status": "EARN_ONLY"}


# -- status -------------------------------------------------------------------------------------


def member_of(client: Client, member_id: str = "m-1") -> member_pb2.Member:
    return client.get_member(member_pb2.GetMemberRequest(program_id=PROGRAM, member_id=member_id))


def test_a_status_says_what_a_member_may_do(client: Client) -> None:
    open_program(client, ["m-1", "m-2"], bonuses=[SURVEY])
    client.record_purchase(purchase(1, "100.00"))
    kept = client.hold_points(hold("kept", 10)).hold.hold_id
    other = client.hold_points(hold("other", 10)).hold.hold_id
    spent = client.redeem_points(redemption("spent", 10)).redemption.redemption_id
    earning: list[tuple[Any, Any]] = [
        (client.record_purchase, purchase(2)),
        (client.record_activity, activity(1)),
        (client.record_return, returned(1, 1, "1.00")),
        (client.capture_hold, capture(1, kept, 5)),
        (client.release_hold, release(1, other)),
        (client.reverse_redemption, reversal(1, spent)),
        (client.adjust_points, adjustment(1, 5)),
    ]
    spending: list[tuple[Any, Any]] = [
        (client.hold_points, hold(1, 1)),
        (client.extend_hold, extension(1, kept)),
        (client.redeem_points, redemption(1, 1)),
        (client.transfer_points, transfer(1, 1)),
    ]

    receipt = client.set_member_status(status("EARN_ONLY", reason="lost card"))

    assert moves(receipt) == [("STATUS_CHANGE", 0)]
    entry = receipt.entries[0]
    assert (entry.status, entry.note) == (types_pb2.MEMBER_STATUS_EARN_ONLY, "lost card")
    assert receipt.messages[0] == "Points can be earned now, not spent."
    assert member_of(client).status == types_pb2.MEMBER_STATUS_EARN_ONLY
    for method, request in spending:
        assert refusal(method, request) == (
            "FAILED_PRECONDITION",
            "MEMBER_NOT_ACTIVE",
            {"member_id": "m-1", "status": "EARN_ONLY"},
        )
    for method, request in earning:
        method(request)
    client.set_member_status(status("SUSPENDED"))
    for method, request in (*spending, *earning):
        request.request_id += "-again"
        if request.DESCRIPTOR.name == "RecordPurchaseRequest":
            request.purchase_id = "receipt-3"
            refused = failure_of(client.preview_purchase, preview_of(request))
            assert refused.reason == "MEMBER_NOT_ACTIVE"
        refused = failure_of(method, request)
        assert refused.metadata == {"member_id": "m-1", "status": "SUSPENDED"}
    assert now_has(client)[0] == client.get_balance(balance()).available_points > 0
    client.set_member_status(status("ACTIVE"))
    assert client.hold_points(hold("after", 1)).hold.points == 1


def test_a_closed_membership_stays_closed(client: Client) -> None:
    open_program(client)
    client.set_member_status(status("CLOSED"))
    for name in ("ACTIVE", "EARN_ONLY", "SUSPENDED"):
        refused = failure_of(client.set_member_status, status(name))
        assert (refused.reason, refused.metadata["status"]) == ("MEMBER_NOT_ACTIVE", "CLOSED")
    assert client.set_member_status(status("CLOSED")).replayed
    assert member_of(client).status == types_pb2.MEMBER_STATUS_CLOSED


def test_the_status_that_a_member_has_can_not_be_set(client: Client) -> None:
    open_program(client)
    same = failure_of(client.set_member_status, status("ACTIVE"))
    assert (same.reason, same.fields) == ("INVALID_FIELD", ["status"])


# -- answers again ------------------------------------------------------------------------------


def test_every_answer_is_repeated_as_it_was(client: Client) -> None:
    open_program(client, ["m-1", "m-2"])
    sent: list[tuple[Callable[[Any], types_pb2.Receipt], Any]] = [
        (client.adjust_points, adjustment(1, 100)),
        (client.adjust_points, adjustment(2, -10)),
        (client.transfer_points, transfer(1, 40)),
        (client.set_member_status, status("EARN_ONLY")),
        (client.set_member_status, status("ACTIVE")),
    ]
    answers = [method(request) for method, request in sent]
    client.transfer_points(transfer(2, 5, "m-1", member_id="m-2"))
    client.advance_clock(clock("2027-06-01T00:00:00Z"))
    for (method, request), first in zip(sent, answers, strict=True):
        again = method(request)
        assert again.replayed
        again.replayed = False
        assert document(again) == document(first)


def test_a_batch_holds_what_operators_do(client: Client) -> None:
    open_program(client, ["m-1", "m-2"])
    answered = client.batch_write(
        batch(
            adjustment(1, 100),
            transfer(1, 30),
            status("EARN_ONLY"),
            transfer(2, 30),
            status("ACTIVE"),
            transfer(3, 30),
        )
    )
    outcomes = [
        kinds(result.receipt) if result.HasField("receipt") else Failure(result.error).reason
        for result in answered.results
    ]
    assert outcomes == [
        ["ADJUSTMENT"],
        ["TRANSFER_OUT"],
        ["STATUS_CHANGE"],
        "MEMBER_NOT_ACTIVE",
        ["STATUS_CHANGE"],
        ["TRANSFER_OUT"],
    ]
    assert (now_has(client)[0], now_has(client, "m-2")[0]) == (40, 60)


# -- what will expire ---------------------------------------------------------------------------


def test_a_schedule_tells_what_expires_when(client: Client) -> None:
    earning = {"rate": {"points": 1, "per": "1.00"}, "pending_days": 10}
    open_program(client, expiry={"after_months": 12, "inactivity_months": 6}, earning=earning)
    client.record_purchase(purchase(1, "100.00"))
    client.advance_clock(clock("2026-02-10T09:00:00Z"))
    client.record_purchase(purchase(2, "50.00"))
    client.hold_points(hold(1, 30))

    schedule = client.get_expiry_schedule(expiry_schedule())

    january, february = "2027-01-31T23:00:00Z", "2027-02-28T23:00:00Z"
    assert document(schedule) == {
        "items": [
            {"points": "70", "expireTime": january, "state": "LOT_STATE_AVAILABLE"},
            {"points": "30", "expireTime": january, "state": "LOT_STATE_HELD"},
            {
                "points": "50",
                "expireTime": february,
                "state": "LOT_STATE_PENDING",
                "activateTime": "2026-02-19T23:00:00Z",
            },
        ],
        "inactivityExpireTime": "2026-08-31T22:00:00Z",
        "inactivityPoints": "120",
        "asOfTime": "2026-02-10T09:00:00Z",
    }


def test_what_expires_on_its_own_before_is_not_counted_as_forgotten(client: Client) -> None:
    open_program(client, expiry={"after_months": 1, "inactivity_months": 6})
    client.record_purchase(purchase(1, "100.00"))

    schedule = client.get_expiry_schedule(expiry_schedule())

    assert [item.points for item in schedule.items] == [100]
    assert not schedule.HasField("inactivity_expire_time")
    assert not schedule.HasField("inactivity_points")


def test_points_that_never_expire_are_told_apart(client: Client) -> None:
    bonus = {"id": "welcome", "on": "ENROLLMENT", "points": 25, "expires_days": 5}
    open_program(client, expiry=None, bonuses=[bonus])
    assert document(client.get_expiry_schedule(expiry_schedule())) == {
        "items": [
            {
                "points": "25",
                "expireTime": "2026-01-15T23:00:00Z",
                "state": "LOT_STATE_AVAILABLE",
            }
        ],
        "asOfTime": CLOCK,
    }
    client.record_purchase(purchase(1, "40.00"))
    schedule = client.get_expiry_schedule(expiry_schedule())
    assert (schedule.never_expiring_points, len(schedule.items)) == (40, 1)
    assert not schedule.HasField("inactivity_expire_time")
    assert not schedule.HasField("inactivity_points")
    client.advance_clock(clock("2026-01-16T00:00:00Z"))
    assert not client.get_expiry_schedule(expiry_schedule()).items


def test_a_balance_expires_for_want_of_activity(client: Client) -> None:
    open_program(client, expiry={"inactivity_months": 3})
    client.record_purchase(purchase(1, "100.00"))
    client.advance_clock(clock("2026-03-10T09:00:00Z"))
    client.redeem_points(redemption(1, 10))
    schedule = client.get_expiry_schedule(expiry_schedule())
    assert schedule.inactivity_expire_time == instant("2026-06-30T22:00:00Z")
    assert (schedule.inactivity_points, schedule.never_expiring_points) == (90, 90)
    client.advance_clock(clock("2026-07-01T00:00:00Z"))
    expired = journal(client)[-1]
    assert (kind(expired), expired.points, expired.inactivity) == ("EXPIRY", -90, True)
    assert expired.effective_time == instant("2026-06-30T22:00:00Z")


def test_a_balance_to_come_counts_what_happens_by_then(client: Client) -> None:
    bonus = {"id": "anniversary", "on": "MEMBERSHIP_ANNIVERSARY", "points": 5}
    open_program(client, expiry={"after_months": 1}, bonuses=[bonus])
    client.record_purchase(purchase(1, "100.00"))
    client.hold_points(hold(1, 30))

    def at(text: str) -> tuple[int, int, int, int]:
        return points_of(client.get_balance(balance(as_of_time=instant(text))))

    assert at("2026-01-10T09:14:59Z") == (70, 30, 0, 0)
    assert at("2026-01-10T09:15:00Z") == (100, 0, 0, 0)
    assert at("2026-02-28T22:59:59Z") == (100, 0, 0, 0)
    assert at("2026-02-28T23:00:00Z") == (0, 0, 0, 0)
    assert at("2027-01-10T00:00:00Z") == (5, 0, 0, 0)
    farthest = instant(CLOCK).ToDatetime() + timedelta(days=3_653)
    assert at(farthest.isoformat() + "Z") == (5, 0, 0, 0)
    too_far = instant((farthest + timedelta(seconds=1)).isoformat() + "Z")
    refused = failure_of(client.get_balance, balance(as_of_time=too_far))
    assert (refused.reason, refused.fields) == ("INVALID_FIELD", ["as_of_time"])
    assert len(journal(client)) == 3


def test_ten_years_ahead_are_counted_from_the_present(client: Client) -> None:
    open_program(client, sandbox=False)
    client.get_balance(balance(as_of_time=instant(now() + timedelta(days=3_652))))
    too_far = balance(as_of_time=instant(now() + timedelta(days=3_655)))
    assert failure_of(client.get_balance, too_far).fields == ["as_of_time"]


# -- what is malformed --------------------------------------------------------------------------


class Bad(NamedTuple):
    """A request that is malformed, and the fields that are named."""

    name: str
    method: Callable[..., Any]
    request: Any
    fields: list[str]


def any_status(number: int, **more: Any) -> member_pb2.SetMemberStatusRequest:
    request = status("ACTIVE", **more)
    request.status = number  # type: ignore[assignment]
    return request


LONG = "x" * 129
BAD = [
    Bad("no points", Client.adjust_points, adjustment(1, 0), ["points"]),
    Bad("too many points", Client.adjust_points, adjustment(1, 10**15 + 1), ["points"]),
    Bad("too few points", Client.adjust_points, adjustment(1, -(10**15) - 1), ["points"]),
    Bad("the least int64", Client.adjust_points, adjustment(1, -(2**63)), ["points"]),
    Bad("no reason", Client.adjust_points, adjustment(1, 1, reason_code=""), ["reason_code"]),
    Bad("a long note", Client.adjust_points, adjustment(1, 1, note="x" * 501), ["note"]),
    Bad("a NUL in a note", Client.adjust_points, adjustment(1, 1, note="a\0"), ["note"]),
    Bad("a long approver", Client.adjust_points, adjustment(1, 1, approver=LONG), ["approver"]),
    Bad("no request", Client.adjust_points, adjustment(1, 1, request_id=""), ["request_id"]),
    Bad("nobody", Client.transfer_points, transfer(1, 1, ""), ["to_member_id"]),
    Bad("a long name", Client.transfer_points, transfer(1, 1, LONG), ["to_member_id"]),
    Bad("nothing", Client.transfer_points, transfer(1, 0), ["points"]),
    Bad("a debt", Client.transfer_points, transfer(1, -1), ["points"]),
    Bad("too much", Client.transfer_points, transfer(1, 10**15 + 1), ["points"]),
    Bad("no program", Client.transfer_points, transfer(1, 1, program_id=""), ["program_id"]),
    Bad("no status", Client.set_member_status, any_status(0), ["status"]),
    Bad("no reason", Client.set_member_status, status("CLOSED", reason=""), ["reason"]),
    Bad("a novel", Client.set_member_status, status("CLOSED", reason="x" * 501), ["reason"]),
    Bad("no member", Client.set_member_status, status("CLOSED", member_id=""), ["member_id"]),
    Bad(
        "a schedule without a member",
        Client.get_expiry_schedule,
        balance_pb2.GetExpiryScheduleRequest(program_id=PROGRAM),
        ["member_id"],
    ),
]


def test_what_is_malformed_is_named_and_not_remembered(client: Client) -> None:
    open_program(client)
    before = journal(client)
    for name, method, request, fields in BAD:
        refused = failure_of(partial(method, client), request)
        assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD"), name
        assert refused.fields == fields, name
    assert journal(client) == before
    assert moves(client.adjust_points(adjustment(1, 1))) == [("ADJUSTMENT", 1)]


def test_a_status_that_nobody_knows_is_refused(grpc_client: GrpcClient) -> None:
    open_program(grpc_client)
    refused = failure_of(grpc_client.set_member_status, any_status(99))
    assert (refused.reason, refused.fields) == ("INVALID_FIELD", ["status"])


def test_unknown_members_have_no_schedule(client: Client) -> None:
    open_program(client)
    unknown = failure_of(client.get_expiry_schedule, expiry_schedule("m-9"))
    assert (unknown.code, unknown.reason) == ("NOT_FOUND", "MEMBER_NOT_FOUND")
    nowhere = failure_of(client.get_expiry_schedule, expiry_schedule(program_id="nowhere"))
    assert nowhere.reason == "PROGRAM_NOT_FOUND"


def test_a_desk_needs_nothing_but_json(server: RunningServer, grpc_client: GrpcClient) -> None:
    open_program(grpc_client)
    grpc_client.enroll_member(enrollment("m-2"))
    desk = JsonClient(server.http_address)
    common = {"programId": PROGRAM, "memberId": "m-1"}
    given = {**common, "requestId": "d-1", "points": "50", "reasonCode": "goodwill"}
    answer = desk.post("PointsService/AdjustPoints", given)
    assert answer["balance"]["availablePoints"] == "50"
    answer = desk.post(
        "PointsService/TransferPoints",
        {**common, "requestId": "d-2", "toMemberId": "m-2", "points": "20"},
    )
    assert answer["entries"][0]["relatedMemberId"] == "m-2"
    answer = desk.post(
        "MemberService/SetMemberStatus",
        {
            **common,
            "requestId": "d-3",
            "status": "MEMBER_STATUS_SUSPENDED",
            "reason": "card reported stolen",
        },
    )
    assert answer["entries"][0]["status"] == "MEMBER_STATUS_SUSPENDED"
    answer = desk.post("BalanceService/GetExpirySchedule", common)
    assert answer["items"][0]["points"] == "30"
    desk.close()

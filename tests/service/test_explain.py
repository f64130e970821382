"""Why a member has so many points, told over both transports."""

from __future__ import annotations

import pytest

from ledger.v1 import balance_pb2, types_pb2
from tests.service.client import Client, failure_of
from tests.service.journals import document
from tests.service.requests import (
    CLOCK,
    PROGRAM,
    enrollment,
    hold,
    open_program,
    purchase,
    redemption,
    returned,
)

pytestmark = pytest.mark.usefixtures("sound")

JANUARY_2027 = "2027-01-31T23:00:00Z"


def asked(member_id: str = "m-1") -> balance_pb2.ExplainBalanceRequest:
    return balance_pb2.ExplainBalanceRequest(program_id=PROGRAM, member_id=member_id)


def test_a_balance_is_explained_lot_by_lot_and_entry_by_entry(client: Client) -> None:
    open_program(client, bonuses=[{"id": "welcome", "on": "ENROLLMENT", "points": 50}])
    client.record_purchase(purchase(1, "100.00"))
    client.redeem_points(redemption(1, 120))
    held = client.hold_points(hold(1, 10))

    explained = client.explain_balance(asked())

    assert document(explained) == {
        "origins": [
            {
                "points": "20",
                "state": "LOT_STATE_AVAILABLE",
                "expireTime": JANUARY_2027,
                "sources": [
                    {
                        "sequence": "2",
                        "kind": "ENTRY_KIND_BONUS",
                        "points": "50",
                        "effectiveTime": CLOCK,
                        "text": "+50 on 10 January 2026: bonus welcome",
                    },
                    {
                        "sequence": "3",
                        "kind": "ENTRY_KIND_PURCHASE",
                        "points": "100",
                        "effectiveTime": CLOCK,
                        "text": "+100 on 10 January 2026: purchase receipt-1",
                    },
                    {
                        "sequence": "4",
                        "kind": "ENTRY_KIND_REDEMPTION",
                        "points": "-120",
                        "effectiveTime": CLOCK,
                        "text": "-120 on 10 January 2026: redeemed",
                    },
                    {
                        "sequence": "5",
                        "kind": "ENTRY_KIND_HOLD",
                        "points": "-10",
                        "effectiveTime": CLOCK,
                        "text": "-10 on 10 January 2026: taken by a hold",
                    },
                ],
            },
            {
                "points": "10",
                "state": "LOT_STATE_HELD",
                "expireTime": JANUARY_2027,
                "holdId": held.hold.hold_id,
                "sources": [
                    {
                        "sequence": "5",
                        "kind": "ENTRY_KIND_HOLD",
                        "points": "10",
                        "effectiveTime": CLOCK,
                        "text": "+10 on 10 January 2026: held",
                    }
                ],
            },
        ],
        "version": "5",
    }


def test_what_is_owed_says_why(client: Client) -> None:
    open_program(client)
    client.record_purchase(purchase(1, "30.00"))
    client.redeem_points(redemption(1, 30))
    client.record_return(returned(1, 1, full=True))

    (origin,) = client.explain_balance(asked()).origins

    assert (origin.owed, origin.points) == (True, 30)
    assert origin.state == balance_pb2.LOT_STATE_UNSPECIFIED
    assert [source.kind for source in origin.sources] == [types_pb2.ENTRY_KIND_RETURN]


def test_who_has_nothing_has_nothing_to_explain(client: Client) -> None:
    open_program(client, [])
    client.enroll_member(enrollment("m-1"))

    assert document(client.explain_balance(asked())) == {"version": "1"}


def test_nobody_is_not_explained(client: Client) -> None:
    open_program(client)

    assert failure_of(client.explain_balance, asked("nobody")).reason == "MEMBER_NOT_FOUND"
    faults = failure_of(client.explain_balance, asked("")).violations
    assert [name for name, _ in faults] == ["member_id"]

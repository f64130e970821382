"""Numbers and sizes at the limits, over both transports."""

from __future__ import annotations

import pytest

from ledger.v1 import types_pb2
from tests.service.client import Client
from tests.service.journals import document, moves, points_of
from tests.service.requests import (
    activity,
    adjustment,
    balance,
    batch,
    capture,
    hold,
    money,
    open_program,
    purchase,
    release,
    returned,
)

pytestmark = pytest.mark.usefixtures("sound")

#: the first whole number that a double can not hold
HUGE = 2**53 + 1
MOST_AT_ONCE = 10**15


def test_a_balance_that_no_double_can_hold_is_exact(client: Client) -> None:
    open_program(client)
    pieces = [MOST_AT_ONCE] * (HUGE // MOST_AT_ONCE) + [HUGE % MOST_AT_ONCE]
    answers = client.batch_write(
        batch(*[adjustment(number, points) for number, points in enumerate(pieces)])
    )
    assert [result.WhichOneof("outcome") for result in answers.results] == ["receipt"] * len(pieces)

    found = client.get_balance(balance())

    assert points_of(found)[0] == HUGE
    assert document(found)["availablePoints"] == "9007199254740993"
    held = client.hold_points(hold(1, 1))
    assert held.balance.available_points == HUGE - 1
    client.capture_hold(capture(1, held.hold.hold_id))
    assert points_of(client.get_balance(balance()))[:3] == (HUGE - 1, 0, 0)


def test_a_purchase_of_a_thousand_lines_is_returned_line_by_line(client: Client) -> None:
    open_program(client)
    lines = [
        types_pb2.PurchaseLine(sku=f"sku-{number}", quantity=1, amount=money("1.37"))
        for number in range(1_000)
    ]
    client.record_purchase(purchase(1, "1370.00", lines=lines))

    most = client.record_return(returned(1, 1, lines=lines[:999]))
    last = client.record_return(returned(2, 1, lines=lines[999:]))

    # 1,370 points of which 1,370 × 1,368.63 ÷ 1,370.00 are taken back first.
    assert moves(most) == [("RETURN", -1_368)]
    assert moves(last) == [("RETURN", -2)]
    assert last.entries[0].returned.full
    assert points_of(last.balance) == (0, 0, 0, 0)


def test_a_thousand_lots_are_held_and_come_back(client: Client) -> None:
    bonuses = [
        {
            "id": f"day-{days}",
            "on": "ACTIVITY",
            "activity": f"day-{days}",
            "points": days,
            "expires_days": days,
        }
        for days in range(1, 1_001)
    ]
    open_program(client, bonuses=bonuses)
    answers = client.batch_write(
        batch(*[activity(days, f"day-{days}") for days in range(1, 1_001)])
    )
    assert {result.WhichOneof("outcome") for result in answers.results} == {"receipt"}
    every = sum(range(1, 1_001))

    held = client.hold_points(hold(1, every))
    assert points_of(held.balance)[0] == 0
    assert len(held.entries[0].lots) == 2_000
    partly = client.capture_hold(capture(1, held.hold.hold_id, 1))
    assert moves(partly) == [("CAPTURE", -1), ("RELEASE", every - 1)]
    again = client.hold_points(hold(2, every - 1))
    released = client.release_hold(release(2, again.hold.hold_id))

    assert released.balance.available_points == every - 1
    assert released.balance.next_expiry.points == 2  # that of one day is spent

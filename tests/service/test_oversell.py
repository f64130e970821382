"""Fifty tills at once, over two service processes: nothing is spent twice, sold twice, ended twice.

Which of them win is chance; how many do is not.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from psycopg2.extensions import connection as Connection

from ledger.store.embedded import EmbeddedServer
from ledger.store.verify import verify
from ledger.v1 import types_pb2
from tests.conftest import fresh_database
from tests.faults.processes import ServiceProcess, eventually
from tests.service.client import Failure, GrpcClient
from tests.service.journals import kind
from tests.service.requests import (
    adjustment,
    balance,
    batch,
    capture,
    enrollment,
    entries,
    hold,
    program,
    purchase,
    redemption,
    release,
    returned,
    reversal,
    transfer,
)
from tests.service.together import at_once

TILLS = 50
MUG = {"id": "mug", "name": "Mug", "points": 20, "kind": "ITEM", "stock": 1}
_numbers = count(1)
Call = Callable[[], types_pb2.Receipt]
Answer = types_pb2.Receipt | Failure


class Shop(NamedTuple):
    """Clients of two processes in turn, and their database."""

    tills: list[GrpcClient]
    database_url: str


@pytest.fixture(scope="module")
def shop(
    cluster: EmbeddedServer,
    administrator: Connection,
    template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shop]:
    logs: Path = tmp_path_factory.mktemp("services")
    with fresh_database(cluster, administrator, template) as url, contextlib.ExitStack() as stack:
        environment = {"LEDGER_DATABASE_URL": url, "LEDGER_SCHEDULER_SECONDS": "0.05"}
        services = [
            stack.enter_context(ServiceProcess(environment, logs / f"{number}.log"))
            for number in (1, 2)
        ]
        for service in services:
            service.start(wait=False)
        for service in services:
            service.wait_until_ready(120)
        tills = [GrpcClient(services[number % 2].grpc_address) for number in range(TILLS)]
        for till in tills:
            stack.callback(till.close)
        yield Shop(tills, url)


@pytest.fixture
def opened(shop: Shop) -> Iterator[str]:
    """The id of a program of the test's own; it verifies when the test is over."""
    name = f"shop-{next(_numbers)}"
    yield name
    report = verify(shop.database_url, program_id=name, workers=1)
    assert report.findings == []
    assert sum(report.totals[name].values()) == 0


def open_shop(shop: Shop, name: str, points: int, members: Sequence[str], **rules: Any) -> None:
    """A program whose members have so many points each."""
    till = shop.tills[0]
    till.create_program(program(name, sandbox=False, **rules))
    gift = [adjustment("gift", points, program_id=name, member_id=member) for member in members]
    enrolled = [enrollment(member, program_id=name) for member in members]
    for result in till.batch_write(batch(*enrolled, *gift)).results:
        assert result.WhichOneof("outcome") == "receipt", result


def receipts(answers: Sequence[Answer]) -> list[types_pb2.Receipt]:
    return [answer for answer in answers if isinstance(answer, types_pb2.Receipt)]


def reasons(answers: Sequence[Answer]) -> Counter[str]:
    return Counter(answer.reason for answer in answers if isinstance(answer, Failure))


@pytest.mark.parametrize("ways", [["redeem"], ["hold"], ["redeem", "hold"]], ids="-".join)
def test_a_balance_is_spent_once(shop: Shop, opened: str, ways: list[str]) -> None:
    open_shop(shop, opened, 1_000, ["m-1"])
    calls: list[Call] = []
    for number, till in enumerate(shop.tills):
        if ways[number // 2 % len(ways)] == "redeem":
            asked = redemption(number, 30, program_id=opened)
            calls.append(partial(till.redeem_points, asked))
        else:
            calls.append(partial(till.hold_points, hold(number, 30, program_id=opened)))

    answers = at_once(calls)

    assert len(receipts(answers)) == 33
    assert reasons(answers) == {"INSUFFICIENT_POINTS": TILLS - 33}
    left = shop.tills[0].get_balance(balance(program_id=opened))
    held = sum(kind(receipt.entries[0]) == "HOLD" for receipt in receipts(answers))
    assert (left.available_points, left.held_points) == (10, 30 * held)


@pytest.mark.parametrize(
    ("limit", "points", "allowed"),
    [({"count": 1}, 5, 1), ({"count": 7, "points": 500}, 5, 7), ({"points": 99}, 10, 9)],
)
def test_a_member_redeems_no_more_than_a_day_allows(
    shop: Shop, opened: str, limit: dict[str, int], points: int, allowed: int
) -> None:
    """Fifty tills race for what is left of the day: in one step, and by holds."""
    rules = {"redemption": {"per_day": limit}, "transfers": {"per_day": limit}}
    open_shop(shop, opened, 1_000, ["m-1", "m-2"], **rules)

    def spend(till: GrpcClient, number: int) -> types_pb2.Receipt:
        if number % 3:
            return till.redeem_points(redemption(number, points, program_id=opened))
        return till.hold_points(hold(number, points, program_id=opened))

    answers = at_once([partial(spend, till, number) for number, till in enumerate(shop.tills)])
    assert len(receipts(answers)) == allowed
    assert reasons(answers) == {"REDEMPTION_LIMIT_REACHED": TILLS - allowed}

    handed = [
        partial(till.transfer_points, transfer(number, points, "m-2", program_id=opened))
        for number, till in enumerate(shop.tills)
    ]
    answers = at_once(handed)
    assert len(receipts(answers)) == allowed
    assert reasons(answers) == {"TRANSFER_LIMIT_REACHED": TILLS - allowed}
    left = shop.tills[0].get_balance(balance(program_id=opened))
    assert left.available_points == 1_000 - 2 * allowed * points


@pytest.mark.parametrize("stock", [1, 7])
def test_units_of_a_reward_are_had_once(shop: Shop, opened: str, stock: int) -> None:
    """Every till has a member of its own; only the stock is common to them."""
    members = [f"m-{number}" for number in range(TILLS)]
    open_shop(shop, opened, 100, members, rewards=[{**MUG, "stock": stock}])

    for sale in range(3):
        calls: list[Call] = []
        for number, till in enumerate(shop.tills):
            own: dict[str, Any] = {"program_id": opened, "member_id": members[number]}
            own["reward_id"] = "mug"
            asked = f"{sale}-{number}"
            if (number // 2 + sale) % 2:
                calls.append(partial(till.redeem_points, redemption(asked, **own)))
            else:
                calls.append(partial(till.hold_points, hold(asked, **own)))

        answers = at_once(calls)

        assert len(receipts(answers)) == stock
        assert reasons(answers) == {"REWARD_OUT_OF_STOCK": TILLS - stock}
        give_back(shop, opened, f"{sale}", receipts(answers))


def give_back(shop: Shop, name: str, number: str, had: Sequence[types_pb2.Receipt]) -> None:
    """Let everybody who has a reward return it, at once."""
    calls: list[Call] = []
    for till, receipt in zip(shop.tills, had, strict=False):
        entry = receipt.entries[0]
        own: dict[str, Any] = {"program_id": name, "member_id": entry.member_id}
        if kind(entry) == "HOLD":
            asked = release(number, receipt.hold.hold_id, **own)
            calls.append(partial(till.release_hold, asked))
        else:
            back = reversal(number, receipt.redemption.redemption_id, **own)
            calls.append(partial(till.reverse_redemption, back))
    assert not reasons(at_once(calls))


def test_a_hold_ends_once(shop: Shop, opened: str) -> None:
    """Captured, released or by time: of some members tills try just before it lapses, of others
    just after."""
    members = [f"m-{number}" for number in range(5)]
    open_shop(shop, opened, 100, members, rewards=[{**MUG, "stock": 100}])
    for turn in range(3):
        price: dict[str, Any] = {"reward_id": "mug"} if turn == 1 else {"points": 20}
        calls: list[Call] = []
        for index, member in enumerate(members):
            own: dict[str, Any] = {"program_id": opened, "member_id": member}
            receipt = shop.tills[turn].hold_points(hold(turn, ttl=2, **price, **own))
            hold_id = receipt.hold.hold_id
            lapse = receipt.hold.expire_time.ToDatetime(UTC).timestamp()
            for number, till in enumerate(shop.tills[index :: len(members)]):
                asked = f"{turn}-{number}"
                call: Call = partial(till.release_hold, release(asked, hold_id, **own))
                if number // 2 % 2:
                    call = partial(till.capture_hold, capture(asked, hold_id, **own))
                calls.append(partial(at, lapse + 0.01 * (index - 2) + 0.002 * number, call))

        answers = at_once(calls)

        assert set(reasons(answers)) <= {"HOLD_CLOSED", "HOLD_EXPIRED"}
        ended = Counter(receipt.entries[0].member_id for receipt in receipts(answers))
        assert set(ended.values()) <= {1}
        for member in members:
            eventually("it has ended", partial(has_ended, shop, opened, member, turn + 1))
            ends = ends_of(shop, opened, member)
            assert len(ends) == turn + 1
            assert (ends[0].actor == "time") is (member not in ended)


def at(moment: float, call: Call) -> types_pb2.Receipt:
    """What a call is answered that is made at a moment (seconds since 1970)."""
    time.sleep(max(0.0, moment - time.time()))
    return call()


def ends_of(shop: Shop, name: str, member: str) -> list[types_pb2.Entry]:
    """The entries that ended holds of a member, newest first: captured whole, or given back."""
    page = shop.tills[0].list_entries(entries(member, program_id=name, page_size=1_000))
    return [entry for entry in page.entries if kind(entry) in ("CAPTURE", "RELEASE")]


def has_ended(shop: Shop, name: str, member: str, holds: int) -> bool:
    return len(ends_of(shop, name, member)) >= holds


def test_transfers_both_ways_lose_nothing(shop: Shop, opened: str) -> None:
    open_shop(shop, opened, 100, ["m-1", "m-2", "m-3"])
    calls: list[Call] = []
    for number, till in enumerate(shop.tills):
        giver, taker = (f"m-{(number + step) % 3 + 1}" for step in (0, 1 + number // 3 % 2))
        moved = transfer(number, 40, taker, member_id=giver, program_id=opened)
        calls.append(partial(till.transfer_points, moved))

    answers = at_once(calls)

    assert set(reasons(answers)) <= {"INSUFFICIENT_POINTS"}
    found = [
        shop.tills[0].get_balance(balance(member, program_id=opened)).available_points
        for member in ("m-1", "m-2", "m-3")
    ]
    assert sum(found) == 300
    assert min(found) >= 0


def test_everything_at_once_verifies(shop: Shop, opened: str) -> None:
    """Tills that buy, return, hold, redeem and give back for few members, as it comes."""
    members = ["m-1", "m-2", "m-3", "m-4"]
    open_shop(
        shop,
        opened,
        40,
        members,
        rewards=[{**MUG, "stock": 9}],
        promotions=[{"id": "opening", "points": 5, "budget": 200}],
    )
    answers = at_once(
        [partial(spend, till, opened, number) for number, till in enumerate(shop.tills)]
    )

    found: Counter[str] = Counter()
    for answer in answers:
        assert isinstance(answer, Counter)
        found.update(answer)
    assert sum(found.values()) == TILLS * 12
    assert found["OK"] > TILLS
    assert not {"INTERNAL", "STORAGE_UNAVAILABLE", "COMMIT_UNKNOWN", "INVALID_FIELD"} & {*found}


def spend(till: GrpcClient, name: str, number: int) -> Counter[str]:
    """What one till is answered to a dozen requests."""
    chance = random.Random(number)
    found: Counter[str] = Counter()
    holds: list[tuple[str, str]] = []
    redeemed: list[tuple[str, str]] = []
    receipt_numbers: list[tuple[str, str]] = []
    for step in range(12):
        asked = f"{number}-{step}"
        own: dict[str, Any] = {
            "program_id": name,
            "member_id": f"m-{chance.randint(1, 4)}",
        }
        price: dict[str, Any] = chance.choice([{"points": 70}, {"reward_id": "mug"}])
        try:
            match chance.choice(["buy", "return", "hold", "end", "redeem", "reverse", "transfer"]):
                case "return" if receipt_numbers:
                    bought, own["member_id"] = receipt_numbers.pop()
                    till.record_return(returned(asked, bought, full=True, **own))
                case "hold":
                    receipt = till.hold_points(hold(asked, **price, **own))
                    holds.append((receipt.hold.hold_id, own["member_id"]))
                case "end" if holds:
                    hold_id, own["member_id"] = holds.pop()
                    if step % 2:
                        till.capture_hold(capture(asked, hold_id, **own))
                    else:
                        till.release_hold(release(asked, hold_id, **own))
                case "redeem":
                    receipt = till.redeem_points(redemption(asked, **price, **own))
                    redeemed.append((receipt.redemption.redemption_id, own["member_id"]))
                case "reverse" if redeemed:
                    redemption_id, own["member_id"] = redeemed.pop()
                    till.reverse_redemption(reversal(asked, redemption_id, **own))
                case "transfer":
                    to = f"m-{int(own['member_id'][2:]) % 4 + 1}"
                    till.transfer_points(transfer(asked, 10, to, **own))
                case _:
                    till.record_purchase(purchase(asked, "20.00", **own))
                    receipt_numbers.append((asked, own["member_id"]))
            found["OK"] += 1
        except Failure as failure:
            found[failure.reason] += 1
    return found

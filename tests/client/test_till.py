"""A till with the ledger at hand, without it, and in between: against a real ledger."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.client import (
    Allowance,
    AllowanceExceeded,
    InvalidRequest,
    LedgerClient,
    NoAnswer,
    NotFound,
    OfflineQueue,
    QueueFull,
    Refused,
    Till,
    till,
)
from tests.client.conftest import OpenTill, Shop, TillMaker
from tests.faults.processes import eventually
from tests.service.journals import journal, kind
from tests.service.requests import PROGRAM, purchase


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger is looked for more often than in a shop."""
    monkeypatch.setattr(till, "FIRST_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(till, "LONGEST_LOOK_SECONDS", 0.2)


def kinds(shop: Shop, member_id: str) -> list[str]:
    return [kind(entry) for entry in journal(shop.ledger, member_id)]


def until(what: str, attempt: Callable[[], object]) -> None:
    eventually(what, lambda: bool(attempt()))


def drained(opened: OpenTill) -> None:
    until("the queue is empty", lambda: opened.till.queue.counts()[0] == 0)


def test_with_the_ledger_at_hand_a_purchase_is_recorded_at_once(open_till: TillMaker) -> None:
    with open_till() as opened:
        item = opened.till.purchase("a-1", "12.99")
        assert item.receipt is not None
        assert item.receipt.balance.available_points == 12
        assert item.purchase_id.startswith("till-7-")
        assert opened.till.queue.answered() == [item]
        opened.till.acknowledge(item)

    assert opened.till.queue.counts() == (0, 0)
    assert opened.events == []


def test_without_the_ledger_it_is_queued_and_goes_up_when_it_is_back(
    shop: Shop, open_till: TillMaker
) -> None:
    with open_till() as opened:
        opened.till.purchase("b-1", "1.00")
        shop.proxy.cut()
        first = opened.till.purchase("b-1", "2.00")
        began = time.monotonic()
        second = opened.till.return_("b-1", first.purchase_id)
        third = opened.till.purchase("b-2", "3.00")
        assert time.monotonic() - began < 0.5  # nobody waits for a ledger that is known to be away
        assert {item.state for item in (first, second, third)} == {"waiting"}
        assert not opened.till.online
        shop.proxy.mend()
        drained(opened)

    assert kinds(shop, "b-1") == ["ENROLLED", "PURCHASE", "PURCHASE", "RETURN"]
    assert kinds(shop, "b-2") == ["ENROLLED", "PURCHASE"]
    assert [event.kind for event in opened.events[:2]] == ["offline", "online"]
    told = [event.item for event in opened.events if event.item]
    assert {item.request_id for item in told} == {
        item.request_id for item in (first, second, third)
    }
    recorded = journal(shop.ledger, "b-2")[-1]
    assert third.effective_time is not None
    assert recorded.effective_time.ToDatetime(third.effective_time.tzinfo) == third.effective_time


@pytest.mark.parametrize("weather", ["swallow", "deafen"])
def test_a_network_that_is_gone_without_a_word_ends_in_the_queue_and_doubles_nothing(
    weather: str, shop: Shop, queue: OfflineQueue
) -> None:
    with shop.client(timeout_seconds=0.5) as client, Till(client, queue) as opened:
        opened.purchase(f"c-{weather}", "1.00")
        getattr(shop.proxy, weather)()
        assert opened.purchase(f"c-{weather}", "2.00").state == "waiting"
        shop.proxy.mend()
        until("the queue is empty", lambda: queue.counts()[0] == 0)

    assert kinds(shop, f"c-{weather}") == ["ENROLLED", "PURCHASE", "PURCHASE"]


def test_kept_offline_nothing_is_sent_until_it_comes_back(shop: Shop, open_till: TillMaker) -> None:
    with open_till(offline=True) as opened:
        opened.till.purchase("d-1", "5.00")
        time.sleep(0.3)
        assert opened.till.queue.counts() == (1, 0)
        with pytest.raises(NoAnswer, match="kept offline"):
            opened.till.balance("d-1")
        assert opened.till.go_online()
        drained(opened)

    assert kinds(shop, "d-1") == ["ENROLLED", "PURCHASE"]


def test_a_till_that_was_online_once_starts_without_the_ledger(
    shop: Shop, queue_path: Path
) -> None:
    with OfflineQueue(queue_path, PROGRAM) as queue:
        with LedgerClient("127.0.0.1:1", PROGRAM) as nowhere, pytest.raises(NoAnswer):
            Till(nowhere, queue).purchase("e-1", "1.00")
        with shop.client() as client:
            assert Till(client, queue).program.currency == "EUR"
        with LedgerClient("127.0.0.1:1", PROGRAM) as nowhere:
            item = Till(nowhere, queue).purchase("e-1", "1.00")

    assert item.state == "waiting"


def test_a_refusal_is_raised_and_stays_until_it_is_acknowledged(open_till: TillMaker) -> None:
    with open_till() as opened:
        bought = opened.till.purchase("f-1", "5.00")
        with pytest.raises(Refused) as refused:
            opened.till.purchase("f-2", "5.00", purchase_id=bought.purchase_id)
        with pytest.raises(InvalidRequest):
            opened.till.purchase("f-1", "5.001")
        states = [item.state for item in opened.till.queue.answered()]

    assert refused.value.reason == "PURCHASE_ALREADY_RECORDED"
    assert states == ["recorded", "refused"]


def test_a_redemption_is_recorded_at_once_and_stays(shop: Shop, open_till: TillMaker) -> None:
    with open_till() as opened:
        opened.till.purchase("g-1", "200.00")
        item = opened.till.redeem("g-1", points=120)
        coffee = opened.till.redeem("g-1", reward_id="coffee")
        with pytest.raises(Refused, match="INSUFFICIENT_POINTS"):
            opened.till.redeem("g-1", points=1)
        time.sleep(0.3)

    assert item.receipt is not None
    assert item.receipt.redemption is not None
    assert item.receipt.redemption.points == 120
    assert coffee.receipt is not None
    assert kinds(shop, "g-1") == ["ENROLLED", "PURCHASE", "REDEMPTION", "REDEMPTION"]


def test_offline_a_redemption_is_bounded_by_the_allowance(shop: Shop, open_till: TillMaker) -> None:
    with open_till() as opened:
        opened.till.purchase("h-1", "90.00")
        opened.till.rewards("h-1")
        opened.till.go_offline()
        assert opened.till.redeem("h-1", reward_id="coffee").points == 80
        with pytest.raises(AllowanceExceeded) as beyond:
            opened.till.redeem("h-1", points=30)
        with pytest.raises(AllowanceExceeded, match="REWARD_NOT_KNOWN_OFFLINE"):
            opened.till.redeem("h-1", reward_id="unheard-of")
        with pytest.raises(AllowanceExceeded, match="costs nothing"):
            opened.till.redeem("h-1", reward_id="tasting")
        opened.till.go_online()
        drained(opened)

    assert beyond.value.metadata == {"allowance": "100", "waiting": "80", "required": "30"}
    assert kinds(shop, "h-1") == ["ENROLLED", "PURCHASE", "REDEMPTION"]


def test_a_redemption_that_the_ledger_refuses_later_is_listed_for_somebody_to_look_at(
    open_till: TillMaker,
) -> None:
    with open_till() as opened:
        opened.till.purchase("i-1", "10.00")
        opened.till.go_offline()
        promised = opened.till.redeem("i-1", points=50)
        opened.till.go_online()
        drained(opened)
        listed = opened.till.queue.get(promised.item_id)

    assert listed.state == "refused"
    assert listed.error is not None
    assert listed.error.metadata == {"available": "10", "required": "50"}


def test_a_redemption_without_an_answer_beyond_the_allowance_is_given_back(
    shop: Shop, queue_path: Path
) -> None:
    with (
        shop.client(timeout_seconds=0.5) as client,
        OfflineQueue(queue_path, PROGRAM, allowance=Allowance(50, 50)) as queue,
        Till(client, queue) as opened,
    ):
        opened.purchase("j-1", "200.00")
        shop.proxy.deafen()
        with pytest.raises(AllowanceExceeded):  # though the ledger has taken the points
            opened.redeem("j-1", points=150)
        assert kinds(shop, "j-1")[-1] == "REDEMPTION"
        shop.proxy.mend()
        until("the queue is empty", lambda: queue.counts()[0] == 0)
        assert opened.balance("j-1").available_points == 200

    assert kinds(shop, "j-1") == ["ENROLLED", "PURCHASE", "REDEMPTION", "REDEMPTION_REVERSAL"]


def test_a_redemption_without_an_answer_within_the_allowance_is_kept(
    shop: Shop, queue_path: Path
) -> None:
    with (
        shop.client(timeout_seconds=0.5) as client,
        OfflineQueue(queue_path, PROGRAM, allowance=Allowance(50, 50)) as queue,
        Till(client, queue) as opened,
    ):
        opened.purchase("k-1", "200.00")
        shop.proxy.deafen()
        assert opened.redeem("k-1", points=50).state == "waiting"
        shop.proxy.mend()
        until("the queue is empty", lambda: queue.counts()[0] == 0)

    assert kinds(shop, "k-1") == ["ENROLLED", "PURCHASE", "REDEMPTION"]


def test_what_waits_of_a_member_goes_up_before_a_redemption_of_theirs(
    shop: Shop, open_till: TillMaker
) -> None:
    with open_till(offline=True) as opened:
        opened.till.purchase("l-1", "100.00")
        opened.till.purchase("l-2", "100.00")
        opened.till._kept_offline, opened.till._reached = False, True
        item = opened.till.redeem("l-1", points=100)

    assert item.receipt is not None
    assert kinds(shop, "l-1") == ["ENROLLED", "PURCHASE", "REDEMPTION"]


def test_two_tills_on_one_file_record_everything_once(shop: Shop, queue_path: Path) -> None:
    def sell(number: int) -> None:
        with (
            shop.client() as client,
            OfflineQueue(queue_path, PROGRAM) as queue,
            Till(client, queue) as opened,
        ):
            for index in range(15):
                if index % 5 == number:
                    opened.go_offline()
                opened.purchase(f"n-{index % 3}", "1.00")
                opened.go_online()

    sellers = [threading.Thread(target=sell, args=(number,)) for number in range(3)]
    for seller in sellers:
        seller.start()
    for seller in sellers:
        seller.join(60)
    with (
        shop.client() as client,
        OfflineQueue(queue_path, PROGRAM) as queue,
        contextlib.suppress(NoAnswer),
    ):
        Till(client, queue).upload()
        assert queue.counts()[0] == 0

    for member_id in ("n-0", "n-1", "n-2"):
        assert kinds(shop, member_id) == ["ENROLLED", *["PURCHASE"] * 15]


def test_a_return_that_overtook_its_purchase_is_sent_again(
    shop: Shop, open_till: TillMaker
) -> None:
    with open_till() as opened:
        opened.till.purchase("o-1", "1.00")
        with pytest.raises(NotFound) as overtaken:
            opened.till.return_("o-1", "receipt-o")
        (refused,) = [item for item in opened.till.queue.answered() if item.error]
        shop.ledger.record_purchase(purchase("o", "30.00", member_id="o-1"))
        opened.till.retry(refused.item_id)
        drained(opened)

    assert overtaken.value.reason == "PURCHASE_NOT_FOUND"
    assert kinds(shop, "o-1") == ["ENROLLED", "PURCHASE", "PURCHASE", "RETURN"]


def test_an_answer_that_can_not_be_noted_is_asked_for_again_and_nobody_rings_up_twice(
    shop: Shop, open_till: TillMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_till() as opened:
        opened.till.purchase("p-1", "1.00")
        with monkeypatch.context() as patch:
            patch.setattr(opened.till.queue, "settle", no_room)
            item = opened.till.purchase("p-1", "2.00")
            assert item.state == "waiting"
        drained(opened)

    assert kinds(shop, "p-1") == ["ENROLLED", "PURCHASE", "PURCHASE"]
    assert "trouble" in [event.kind for event in opened.events]


def test_whatever_happens_in_the_background_it_goes_on(
    shop: Shop, open_till: TillMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_till() as opened:
        opened.till.purchase("q-1", "1.00")
        opened.till.go_offline()
        with monkeypatch.context() as patch:
            patch.setattr(opened.till.queue, "counts", lambda: 1 / 0)
            opened.till._kept_offline = False
            opened.till._wake.set()
            until("it has failed", lambda: opened.events)
        opened.till.purchase("q-1", "2.00")
        drained(opened)

    assert opened.events[0].kind == "trouble"
    assert kinds(shop, "q-1") == ["ENROLLED", "PURCHASE", "PURCHASE"]


def no_room(*arguments: object, **options: object) -> None:
    raise QueueFull(Path("till.queue"), "no room")

"""The client's calls, against a real ledger: typed answers, typed errors."""

from __future__ import annotations

import doctest
import socket
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from ledger.client import (
    AlreadyExists,
    InvalidRequest,
    LedgerClient,
    Line,
    Money,
    NoAnswer,
    NotFound,
    Refused,
    ledger_client,
)
from tests.client.conftest import Shop
from tests.service.requests import PROGRAM


def test_a_purchase_is_answered_with_exact_values(client: LedgerClient) -> None:
    at = datetime(2026, 1, 10, 9, 30, tzinfo=UTC)
    with pytest.raises(Refused) as late:
        client.purchase("m-old", "12.99", purchase_id="r-old", effective_time=at)
    assert late.value.reason == "EFFECTIVE_TIME_OUT_OF_RANGE"

    before = datetime.now(UTC)
    receipt = client.purchase(
        "m-1",
        Decimal("13.40"),
        purchase_id="r-1",
        lines=[Line("6.40", category="coffee", quantity=2), Line("7.00", category="gift-card")],
        request_id="q-1",
    )

    assert (receipt.points, receipt.balance.available_points, receipt.replayed) == (6, 6, False)
    assert receipt.balance.value == Money(Decimal("0.06"), "EUR")
    enrolled, bought = receipt.entries
    assert (enrolled.kind, bought.kind, bought.sequence) == ("ENROLLED", "PURCHASE", 2)
    assert bought.amount == Money(Decimal("13.40"), "EUR")
    assert before - timedelta(seconds=1) < bought.effective_time < datetime.now(UTC)
    assert (bought.terminal_id, bought.purchase_id) == ("till-7", "r-1")
    assert receipt.messages[:2] == ("Welcome.", "+6 points (6 base).")
    again = client.purchase(
        "m-1",
        Decimal("13.4"),
        purchase_id="r-1",
        lines=[Line("6.40", category="coffee", quantity=2), Line("7.00", category="gift-card")],
        request_id="q-1",
    )
    assert again.replayed
    assert again.entries == receipt.entries


def test_points_are_spent_held_and_given_back(client: LedgerClient) -> None:
    client.purchase("m-2", "300.00", purchase_id="r-2")

    held = client.hold("m-2", points=200, ttl=timedelta(minutes=5))
    assert held.hold is not None
    assert (held.hold.state, held.hold.points) == ("OPEN", 200)
    captured = client.capture("m-2", held.hold.hold_id, points=150)
    assert captured.redemption is not None
    assert captured.redemption.value == Money(Decimal("1.50"), "EUR")
    client.reverse("m-2", captured.redemption.redemption_id, points=50)
    coffee = client.redeem("m-2", reward_id="coffee")
    assert coffee.redemption is not None
    assert coffee.redemption.value == Money(Decimal("4.50"), "EUR")
    other = client.hold("m-2", points=100)
    assert other.hold is not None
    client.release("m-2", other.hold.hold_id)

    assert client.balance("m-2").available_points == 300 - 150 + 50 - 80
    offers = {reward.reward_id: reward for reward in client.rewards("m-2")}
    assert (offers["coffee"].available, offers["mug"].available) == (True, False)
    assert offers["mug"].obstacles == ("780 more points are needed",)
    assert next(client.entries("m-2")).kind == "RELEASE"


def test_goods_come_back(client: LedgerClient) -> None:
    client.purchase("m-3", "50.00", purchase_id="r-3")

    assert client.preview_return("m-3", "r-3", amount="20.00").points == 20
    assert client.return_("m-3", "r-3", amount="20.00").points == -20
    assert client.return_("m-3", "r-3").balance.available_points == 0
    assert client.preview_purchase("m-3", "9.99").points == 9


def test_members_are_enrolled_and_shown(client: LedgerClient) -> None:
    made = client.enroll().entries[0].member_id

    assert client.member(made).status == "ACTIVE"
    assert client.tier(made).tier_id == ""
    with pytest.raises(AlreadyExists, match="MEMBER_ALREADY_ENROLLED"):
        client.enroll(made)


def test_each_kind_of_no_is_an_error_of_its_own(client: LedgerClient) -> None:
    with pytest.raises(NotFound) as unknown:
        client.balance("nobody")
    with pytest.raises(InvalidRequest) as malformed:
        client.redeem("m-1", points=1, reward_id="coffee")
    with pytest.raises(InvalidRequest) as fine:
        client.purchase("m-1", "1.005", purchase_id="r-4")
    with pytest.raises(InvalidRequest) as naive:
        client.purchase("m-1", "1.00", purchase_id="r-4", effective_time=datetime(2026, 1, 1))
    with pytest.raises(TypeError, match="Decimal"):
        client.purchase("m-1", 12.99, purchase_id="r-4")  # type: ignore[arg-type]
    client.purchase("m-poor", "10.00", purchase_id="r-poor")
    with pytest.raises(Refused) as poor:
        client.redeem("m-poor", points=500, request_id="q-poor")

    assert unknown.value.reason == "MEMBER_NOT_FOUND"
    assert malformed.value.violations[0][0] == "points"
    assert fine.value.violations == [("amount", "has more decimals than EUR, which has 2: 1.005")]
    assert "time zone" in str(naive.value)
    assert poor.value.metadata == {"available": "10", "required": "500"}
    assert poor.value.request_id == "q-poor"


def test_a_write_without_an_answer_is_asked_again_under_its_request_id(shop: Shop) -> None:
    with shop.client(timeout_seconds=0.5) as client:
        client.program()
        shop.proxy.deafen()
        with pytest.raises(NoAnswer) as lost:
            client.purchase("m-5", "8.00", purchase_id="r-5")
        shop.proxy.mend()
        receipt = client.purchase(
            "m-5", "8.00", purchase_id="r-5", request_id=lost.value.request_id
        )

    assert lost.value.code == "DEADLINE_EXCEEDED"
    assert not lost.value.from_ledger
    assert receipt.replayed
    assert receipt.balance.available_points == 8


def test_nobody_there_is_said_in_plain_words() -> None:
    with LedgerClient("127.0.0.1:1", PROGRAM) as client, pytest.raises(NoAnswer) as caught:
        client.balance("m-1")

    assert caught.value.reason == "UNREACHABLE"
    assert caught.value.message.startswith("no ledger answers at 127.0.0.1:1 (")


def test_the_example_of_the_documentation_runs(shop: Shop) -> None:
    source = (ledger_client.__doc__ or "").replace("127.0.0.1:50051", shop.address)
    example = doctest.DocTestParser().get_doctest(
        source.replace("m-1", "m-doc"), {}, "ledger_client", None, None
    )
    enrolled = shop.client()
    enrolled.purchase("m-doc", "50.00", purchase_id="r-doc")
    enrolled.close()

    results = doctest.DocTestRunner().run(example)

    assert results.attempted == 3
    assert results.failed == 0


@pytest.mark.parametrize("port_is_open", [True, False])
def test_a_call_during_which_the_connection_is_closed_has_no_answer(port_is_open: bool) -> None:
    """Neither one that the ledger has not answered, nor one that waits for its next try."""
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            client.program()
        except Exception as failure:
            failures.append(failure)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}" if port_is_open else "127.0.0.1:1"
        client = LedgerClient(address, PROGRAM, timeout_seconds=30.0)
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        if port_is_open:
            silent.accept()
        client.close()
        for thread in threads:
            thread.join()
        ask()

    assert len(failures) == 9
    assert {type(failure) for failure in failures} == {NoAnswer}, failures
    assert isinstance(failures[-1], NoAnswer)
    assert failures[-1].reason == "CLOSED"

"""One request id has one outcome, and one receipt earns once, for ever and on every replica."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

import pytest

from ledger.v1 import member_pb2, types_pb2
from tests.conftest import RunningServer
from tests.service.client import Client, Failure, GrpcClient, failure_of
from tests.service.requests import (
    PROGRAM,
    balance,
    batch,
    clock,
    contents,
    enrollment,
    entries,
    instant,
    open_program,
    purchase,
)
from tests.service.together import Tills, at_once

AUTO = {"members": {"auto_enroll": True}}
BONUS = [{"id": "welcome", "on": "ENROLLMENT", "points": 50}]


@pytest.fixture
def pair(replicas: tuple[RunningServer, RunningServer]) -> Iterator[tuple[GrpcClient, GrpcClient]]:
    """A client of each of two replicas."""
    clients = GrpcClient(replicas[0].grpc_address), GrpcClient(replicas[1].grpc_address)
    yield clients
    for client in clients:
        client.close()


def receipts(answers: Sequence[types_pb2.Receipt | Failure]) -> list[types_pb2.Receipt]:
    """The answers that are receipts."""
    return [answer for answer in answers if isinstance(answer, types_pb2.Receipt)]


def failures(answers: Sequence[types_pb2.Receipt | Failure]) -> list[Failure]:
    """The answers that are refusals."""
    return [answer for answer in answers if isinstance(answer, Failure)]


def agree_but_for_replayed(receipts: Sequence[types_pb2.Receipt]) -> None:
    """One is the first answer, all others repeat it to the letter."""
    assert Counter(receipt.replayed for receipt in receipts) == Counter(
        {False: 1, True: len(receipts) - 1}
    )
    for receipt in receipts:
        receipt.replayed = False
    assert all(receipt == receipts[0] for receipt in receipts)


def test_a_repeat_is_answered_as_the_first_call_was(client: Client) -> None:
    open_program(client, bonuses=BONUS)
    request = purchase(1, "12.99", location_id="loc", terminal_id="till")
    first = client.record_purchase(request)
    client.record_purchase(purchase(2, "100.00"))
    again = client.record_purchase(request)
    agree_but_for_replayed([first, again])
    assert again.balance.available_points == 62
    enrolled = client.enroll_member(enrollment())
    assert enrolled.replayed
    assert [entry.sequence for entry in enrolled.entries] == [1, 2]
    assert [entry.cause_sequence for entry in enrolled.entries] == [0, 1]
    assert enrolled.balance.available_points == 50


def test_a_repeat_after_time_went_on_is_answered_as_the_first_call_was(client: Client) -> None:
    open_program(client, expiry={"after_months": 1}, earning={
        "rate": {"points": 1, "per": "1.00"}, "pending_days": 3})  # fmt: skip
    first = client.record_purchase(purchase(1))
    client.advance_clock(clock("2027-01-01T00:00:00Z"))
    again = client.record_purchase(purchase(1))
    agree_but_for_replayed([first, again])


def test_changed_content_under_a_used_request_id_is_refused(
    client: Client, server: RunningServer
) -> None:
    open_program(client)
    original = purchase(1, "12.99", location_id="a")
    client.record_purchase(original)
    before = contents(server.database_url)
    for changed in (
        purchase(1, "13.00", location_id="a"),
        purchase(1, "12.99", location_id="b"),
        purchase(1, "12.99"),
        purchase(1, "12.99", location_id="a", effective_time=instant("2026-01-10T09:00:00Z")),
        purchase(2, "12.99", location_id="a", request_id="request-1"),
    ):
        failure = failure_of(client.record_purchase, changed)
        assert (failure.code, failure.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
        assert failure.metadata == {"request_id": "request-1"}
    other_kind = failure_of(client.enroll_member, enrollment(request_id="request-1"))
    assert other_kind.reason == "REQUEST_ID_REUSED"
    assert contents(server.database_url) == before
    assert client.record_purchase(original).replayed


def test_the_same_request_id_of_another_member_is_another_request(client: Client) -> None:
    open_program(client, ["m-1", "m-2"])
    client.record_purchase(purchase(1, request_id="r"))
    receipt = client.record_purchase(purchase(2, member_id="m-2", request_id="r"))
    assert not receipt.replayed
    assert receipt.entries[0].member_id == "m-2"


def test_equal_requests_at_once_over_two_replicas_are_one(
    replicas: tuple[RunningServer, RunningServer], pair: tuple[GrpcClient, GrpcClient]
) -> None:
    open_program(pair[0])
    with Tills(replicas, 12) as tills:
        for number in range(8):
            answers = tills.all(
                lambda client, number=number: client.record_purchase(purchase(number))  # type: ignore[misc]
            )
            assert len(receipts(answers)) == 12, failures(answers)
            agree_but_for_replayed(receipts(answers))
    assert pair[1].get_balance(balance()).available_points == 8 * 12
    assert pair[1].get_balance(balance()).version == 1 + 8


def test_unequal_requests_at_once_over_two_replicas_are_one_and_refusals(
    replicas: tuple[RunningServer, RunningServer], pair: tuple[GrpcClient, GrpcClient]
) -> None:
    open_program(pair[0])
    with Tills(replicas, 12) as tills:
        for number in range(6):
            answers = at_once(
                [
                    partial(client.record_purchase, purchase(number, f"{10 + index % 3}.00"))
                    for index, client in enumerate(tills.clients)
                ]
            )
            done = receipts(answers)
            # Four tills sent each content: those of the first one to arrive were all answered.
            assert len(done) == 4
            agree_but_for_replayed(done)
            assert {failure.reason for failure in failures(answers)} == {"REQUEST_ID_REUSED"}
    assert pair[0].get_balance(balance()).version == 1 + 6


def test_a_receipt_earns_once_whoever_sends_it(
    replicas: tuple[RunningServer, RunningServer], pair: tuple[GrpcClient, GrpcClient]
) -> None:
    members = [f"m-{index}" for index in range(6)]
    open_program(pair[0], members)
    with Tills(replicas, 6) as tills:
        for number in range(8):
            answers = at_once(
                [
                    partial(client.record_purchase, purchase(number, member_id=member))
                    for client, member in zip(tills.clients, members, strict=True)
                ]
            )
            assert len(receipts(answers)) == 1
            for failure in failures(answers):
                assert failure.code == "FAILED_PRECONDITION"
                assert failure.reason == "PURCHASE_ALREADY_RECORDED"
                # Whose it is and where it stands is nobody else's business.
                assert failure.metadata == {"purchase_id": f"receipt-{number}"}
    total = sum(pair[0].get_balance(balance(member)).lifetime_points for member in members)
    assert total == 8 * 12


def test_its_own_receipt_is_named_to_a_member(client: Client) -> None:
    open_program(client)
    client.record_purchase(purchase(1))
    failure = failure_of(client.record_purchase, purchase(1, request_id="another"))
    assert failure.reason == "PURCHASE_ALREADY_RECORDED"
    assert failure.metadata == {"purchase_id": "receipt-1", "sequence": "2"}


def test_a_refused_request_stays_refused(client: Client, server: RunningServer) -> None:
    open_program(client)
    future = purchase(1, effective_time=instant("2026-02-01T00:00:00Z"))
    first = failure_of(client.record_purchase, future)
    assert first.reason == "EFFECTIVE_TIME_OUT_OF_RANGE"
    client.advance_clock(clock("2026-02-02T00:00:00Z"))
    before = contents(server.database_url)
    again = failure_of(client.record_purchase, future)
    assert (again.code, again.reason, again.message, again.metadata) == (
        first.code,
        first.reason,
        first.message,
        first.metadata,
    )
    changed = failure_of(client.record_purchase, purchase(1))
    assert changed.reason == "REQUEST_ID_REUSED"
    assert contents(server.database_url) == before
    # The receipt has not been used up by a refusal.
    future.request_id = "another"
    assert client.record_purchase(future).entries[0].points == 12


def test_refusals_at_once_over_two_replicas_are_one_refusal(
    replicas: tuple[RunningServer, RunningServer], pair: tuple[GrpcClient, GrpcClient]
) -> None:
    open_program(pair[0])
    request = purchase(1, effective_time=instant("2027-01-01T00:00:00Z"))
    with Tills(replicas, 8) as tills:
        answers = tills.all(lambda client: client.record_purchase(request))
    assert len(failures(answers)) == 8
    assert {str(failure) for failure in failures(answers)} == {str(failures(answers)[0])}
    assert len(contents(replicas[0].database_url)["refusals"]) == 1


def test_a_refusal_of_an_unknown_member_is_not_remembered(client: Client) -> None:
    open_program(client, [])
    assert failure_of(client.record_purchase, purchase(1)).reason == "MEMBER_NOT_FOUND"
    client.enroll_member(enrollment())
    assert client.record_purchase(purchase(1)).entries[0].points == 12


def test_malformed_requests_are_not_remembered(client: Client) -> None:
    open_program(client)
    wrong = purchase(1)
    wrong.amount.nanos = 1
    assert failure_of(client.record_purchase, wrong).reason == "INVALID_FIELD"
    assert not client.record_purchase(purchase(1)).replayed


def test_repeats_within_one_batch_are_repeats(client: Client) -> None:
    open_program(client)
    enroll = enrollment("m-2")
    late = purchase(9, effective_time=instant("2027-01-01T00:00:00Z"))
    request = batch(
        purchase(1),
        purchase(1),
        purchase(1, "99.00"),
        purchase(1, request_id="another"),
        enroll,
        purchase(2, member_id="m-2"),
        enroll,
        purchase(1, member_id="m-2"),
        late,
        late,
        purchase(9),
    )
    results = client.batch_write(request).results
    first, again = results[0].receipt, results[1].receipt
    assert (first.replayed, again.replayed) == (False, True)
    assert first.entries == again.entries
    assert Failure(results[2].error).reason == "REQUEST_ID_REUSED"
    same = Failure(results[3].error)
    assert (same.reason, same.metadata["sequence"]) == ("PURCHASE_ALREADY_RECORDED", "2")
    assert [results[4].receipt.replayed, results[6].receipt.replayed] == [False, True]
    assert results[5].receipt.entries[0].sequence == 2
    foreign = Failure(results[7].error)
    assert foreign.reason == "PURCHASE_ALREADY_RECORDED"
    assert "sequence" not in foreign.metadata
    refused = [Failure(result.error).reason for result in results[8:]]
    assert refused == ["EFFECTIVE_TIME_OUT_OF_RANGE"] * 2 + ["REQUEST_ID_REUSED"]

    repeated = client.batch_write(request).results
    for before, after in zip(results, repeated, strict=True):
        assert after.WhichOneof("outcome") == before.WhichOneof("outcome")
        assert after.error == before.error
        assert after.receipt.entries == before.receipt.entries
        assert after.receipt.replayed == after.HasField("receipt")


def test_the_same_batch_at_once_over_two_replicas_is_written_once(
    replicas: tuple[RunningServer, RunningServer], pair: tuple[GrpcClient, GrpcClient]
) -> None:
    members = [f"m-{index}" for index in range(20)]
    open_program(pair[0], [], **AUTO, bonuses=BONUS)
    forwards = [purchase(i, member_id=member) for i, member in enumerate(members)]
    # Backwards, so that replicas that lock in the order of arrival would block one another.
    requests = [batch(*forwards), batch(*reversed(forwards))] * 2
    with Tills(replicas, 4) as tills:
        answers = at_once(
            [
                partial(client.batch_write, request)
                for client, request in zip(tills.clients, requests, strict=True)
            ]
        )
    outcomes: Counter[tuple[str, bool]] = Counter()
    for answer in answers:
        assert not isinstance(answer, Failure), answer
        for result in answer.results:
            assert result.HasField("receipt"), result
            entry = result.receipt.entries[0]
            assert [e.kind for e in result.receipt.entries] == [
                types_pb2.ENTRY_KIND_ENROLLED,
                types_pb2.ENTRY_KIND_BONUS,
                types_pb2.ENTRY_KIND_PURCHASE,
            ]
            outcomes[entry.member_id, result.receipt.replayed] += 1
    assert all(outcomes[member, False] == 1 for member in members)
    assert all(outcomes[member, True] == 3 for member in members)


def test_a_member_is_enrolled_once_by_many_first_purchases(
    replicas: tuple[RunningServer, RunningServer], pair: tuple[GrpcClient, GrpcClient]
) -> None:
    open_program(pair[0], [], **AUTO, bonuses=BONUS)
    with Tills(replicas, 8) as tills:
        for round_number in range(5):
            member = f"new-{round_number}"
            answers = at_once(
                [
                    partial(
                        client.record_purchase,
                        purchase(f"{round_number}-{index}", "5.00", member_id=member),
                    )
                    for index, client in enumerate(tills.clients)
                ]
            )
            assert not failures(answers)
            listed = pair[1].list_entries(entries(member)).entries
            kinds = Counter(entry.kind for entry in listed)
            assert kinds == {
                types_pb2.ENTRY_KIND_ENROLLED: 1,
                types_pb2.ENTRY_KIND_BONUS: 1,
                types_pb2.ENTRY_KIND_PURCHASE: 8,
            }
            assert pair[0].get_balance(balance(member)).available_points == 50 + 8 * 5


def test_enrolling_and_buying_at_once_both_succeed_or_say_why(
    replicas: tuple[RunningServer, RunningServer], pair: tuple[GrpcClient, GrpcClient]
) -> None:
    open_program(pair[0], [], **AUTO, bonuses=BONUS)
    for number in range(8):
        member = f"new-{number}"
        bought, enrolled = at_once(
            [
                partial(pair[0].record_purchase, purchase(number, member_id=member)),
                partial(pair[1].enroll_member, enrollment(member)),
            ]
        )
        assert isinstance(bought, types_pb2.Receipt), bought
        if isinstance(enrolled, Failure):
            assert enrolled.reason == "MEMBER_ALREADY_ENROLLED"
        assert pair[0].get_balance(balance(member)).available_points == 62


def test_a_member_without_an_id_gets_one_that_a_repeat_finds(
    replicas: tuple[RunningServer, RunningServer], pair: tuple[GrpcClient, GrpcClient]
) -> None:
    open_program(pair[0], [], bonuses=BONUS)
    request = member_pb2.EnrollMemberRequest(program_id=PROGRAM, request_id="register-7")
    with Tills(replicas, 8) as tills:
        answers = tills.all(lambda client: client.enroll_member(request))
    assert not failures(answers)
    agree_but_for_replayed(receipts(answers))
    member_id = receipts(answers)[0].entries[0].member_id
    assert len(member_id) > 20
    assert "register" not in member_id
    assert pair[1].get_balance(balance(member_id)).available_points == 50

    other = pair[0].enroll_member(
        member_pb2.EnrollMemberRequest(program_id=PROGRAM, request_id="register-8")
    )
    assert other.entries[0].member_id != member_id
    # Another program has another secret.
    open_program(pair[0], [], program_id="elsewhere")
    elsewhere = pair[0].enroll_member(
        member_pb2.EnrollMemberRequest(program_id="elsewhere", request_id="register-7")
    )
    assert elsewhere.entries[0].member_id != member_id

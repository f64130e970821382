"""What is read is what was written: balances at any time, entries with their proofs, previews."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
from datetime import timedelta
from time import sleep
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp
from structlog.testing import capture_logs

from ledger.store import stalls
from ledger.v1 import audit_pb2, balance_pb2, member_pb2, points_pb2, program_pb2, types_pb2
from tests.conftest import RunningServer, running_server
from tests.service.client import Client, GrpcClient, JsonClient, failure_of
from tests.service.requests import (
    PROGRAM,
    balance,
    clock,
    contents,
    enrollment,
    entries,
    instant,
    line,
    money,
    now,
    open_program,
    purchase,
)

PENDING: dict[str, Any] = {"earning": {"rate": {"points": 1, "per": "1.00"}, "pending_days": 14}}
SHORT: dict[str, Any] = {"expiry": {"after_months": 1}}


def entry(sequence: int, **more: Any) -> balance_pb2.GetEntryRequest:
    return balance_pb2.GetEntryRequest(
        program_id=PROGRAM, member_id="m-1", sequence=sequence, **more
    )


def pages(client: Client, request: balance_pb2.ListEntriesRequest) -> list[types_pb2.Entry]:
    """All entries, page by page."""
    found: list[types_pb2.Entry] = []
    while True:
        page = client.list_entries(request)
        assert len(page.entries) <= request.page_size
        found.extend(page.entries)
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


# -- balances -----------------------------------------------------------------------------------


def test_a_past_balance_is_what_was_answered_then(client: Client) -> None:
    open_program(client, expiry={"after_months": 2}, **PENDING)
    days = [f"2026-{month:02}-{day:02}T10:00:00Z" for month in range(1, 7) for day in (11, 27)]
    answered = []
    for number, day in enumerate(days):
        client.advance_clock(clock(day))
        if number < 6:
            client.record_purchase(purchase(number, f"{number + 1}.50"))
        answered.append(client.get_balance(balance()))
    assert len({b.available_points for b in answered}) > 4
    assert answered[-1].available_points == 0
    assert answered[-1].lifetime_points == sum(range(1, 7))
    for then in answered:
        assert client.get_balance(balance(as_of_time=then.as_of_time)) == then


def test_a_future_balance_is_what_will_be_answered_then(client: Client) -> None:
    open_program(client, expiry={"after_months": 2}, **PENDING)
    client.record_purchase(purchase(1, "30.00"))
    client.advance_clock(clock("2026-02-05T10:00:00Z"))
    client.record_purchase(purchase(2, "20.00"))
    days = [
        "2026-02-18T23:00:00Z",  # local midnight: the 14th day after the purchase begins
        "2026-03-31T21:59:59Z",
        "2026-03-31T22:00:00Z",  # local midnight after the last day of March
        "2026-05-01T00:00:00Z",
    ]
    foretold = [client.get_balance(balance(as_of_time=instant(day))) for day in days]
    assert [b.available_points for b in foretold] == [50, 50, 20, 0]
    assert [b.pending_points for b in foretold] == [0, 0, 0, 0]
    for then, day in zip(foretold, days, strict=True):
        client.advance_clock(clock(day))
        came = client.get_balance(balance())
        came.version = then.version  # by then, time has posted entries of its own
        assert came == then


def test_before_a_member_joined_there_was_nothing(client: Client) -> None:
    open_program(client)
    client.record_purchase(purchase(1))
    then = client.get_balance(balance(as_of_time=instant("2025-12-31T00:00:00Z")))
    assert (then.available_points, then.lifetime_points, then.version) == (0, 0, 0)


def test_what_is_due_is_shown_before_anything_is_posted(client: Client) -> None:
    open_program(client, **SHORT, sandbox=False)
    time = instant(now() + timedelta(days=3_652))
    receipt = client.record_purchase(purchase(1, "40.00"))
    assert receipt.balance.value == money("0.40")
    assert receipt.balance.next_expiry.points == 40
    later = client.get_balance(balance(as_of_time=time))
    assert (later.available_points, later.version) == (0, receipt.balance.version)
    assert not later.HasField("next_expiry")
    assert [e.kind for e in client.list_entries(entries()).entries] == [
        types_pb2.ENTRY_KIND_PURCHASE,
        types_pb2.ENTRY_KIND_ENROLLED,
    ]


def test_a_write_is_read_on_any_replica_by_its_version(
    replicas: tuple[RunningServer, RunningServer],
) -> None:
    writer, reader = GrpcClient(replicas[0].grpc_address), JsonClient(replicas[1].http_address)
    open_program(writer)
    for number in range(30):
        receipt = writer.record_purchase(purchase(number, "1.00"))
        read = reader.get_balance(balance(min_version=receipt.balance.version))
        assert read.available_points == number + 1
        assert read.version == receipt.balance.version
    early = failure_of(reader.get_balance, balance(min_version=32))
    assert (early.code, early.reason) == ("FAILED_PRECONDITION", "VERSION_MISMATCH")
    assert early.metadata == {"expected": "32", "actual": "31"}
    writer.close()
    reader.close()


def test_a_member_is_shown_as_enrolled(client: Client) -> None:
    open_program(client, [])
    client.enroll_member(enrollment(effective_time=instant("2026-01-02T03:04:05Z")))
    client.record_purchase(purchase(1))
    member = client.get_member(member_pb2.GetMemberRequest(program_id=PROGRAM, member_id="m-1"))
    assert member.status == types_pb2.MEMBER_STATUS_ACTIVE
    assert member.enroll_time == instant("2026-01-02T03:04:05Z")
    assert (member.member_id, member.version) == ("m-1", 2)


# -- entries ------------------------------------------------------------------------------------


def test_entries_are_listed_newest_first_page_by_page(client: Client) -> None:
    open_program(client, ["m-1", "m-2"])
    for number in range(9):
        client.record_purchase(purchase(number))
        client.record_purchase(purchase(f"other-{number}", member_id="m-2"))
    everything = client.list_entries(entries()).entries
    assert [e.sequence for e in everything] == list(range(10, 0, -1))
    assert {e.member_id for e in everything} == {"m-1"}
    for size in (1, 3, 5, 10, 1_000):
        assert pages(client, entries(page_size=size)) == list(everything)

    # Entries that arrive between two pages do not move the second one.
    first = client.list_entries(entries(page_size=4))
    client.record_purchase(purchase("late"))
    second = client.list_entries(entries(page_size=4, page_token=first.next_page_token))
    assert [e.sequence for e in second.entries] == [6, 5, 4, 3]


def test_entries_are_filtered_by_kind_and_purchase(client: Client) -> None:
    open_program(client, bonuses=[{"id": "welcome", "on": "ENROLLMENT", "points": 5}], **SHORT)
    for number in range(5):
        client.record_purchase(purchase(number))
    client.advance_clock(clock("2026-06-01T00:00:00Z"))
    kinds = [types_pb2.ENTRY_KIND_PURCHASE]
    bought = pages(client, entries(kinds=kinds, page_size=2))
    assert [e.purchase_id for e in bought] == [f"receipt-{n}" for n in (4, 3, 2, 1, 0)]
    both = [types_pb2.ENTRY_KIND_EXPIRY, types_pb2.ENTRY_KIND_BONUS]
    assert [e.kind for e in client.list_entries(entries(kinds=both)).entries] == both
    (one,) = client.list_entries(entries(purchase_id="receipt-3")).entries
    assert one.request_id == "request-3"
    assert not client.list_entries(entries(purchase_id="receipt-77")).entries
    (own,) = client.list_entries(entries(purchase_id="receipt-3", kinds=kinds)).entries
    assert own == client.get_entry(entry(own.sequence))


def test_an_entry_says_how_its_points_came_about(client: Client) -> None:
    open_program(
        client,
        earning={
            "rate": {"points": 3, "per": "2.00"},
            "exclude_categories": ["gift-card"],
            "caps": {"per_purchase": 100},
        },
    )
    lines = [line("5.00", "gift-card"), line("194.99", "coffee", quantity=3)]
    receipt = client.record_purchase(
        purchase(1, "199.99", lines=lines, location_id="berlin-1", terminal_id="till-2",
                 effective_time=instant("2026-01-09T23:30:00Z"))
    )  # fmt: skip
    (posted,) = receipt.entries
    shown = client.get_entry(entry(2))
    posted.previous_hash, posted.hash = shown.previous_hash, shown.hash
    assert shown == posted
    assert list(shown.lines) == lines
    assert (shown.amount, shown.eligible_amount) == (money("199.99"), money("194.99"))
    assert [(b.rule, b.points) for b in shown.breakdown] == [
        ("base", 292),
        ("cap:per_purchase", -192),
    ]
    assert all(b.description for b in shown.breakdown)
    assert (shown.points, shown.debit_account, shown.credit_account) == (
        100,
        "issuance",
        "member:available",
    )
    assert [lot.points for lot in shown.lots] == [100]
    assert shown.lots[0].expire_time == instant("2027-01-31T23:00:00Z")
    assert (shown.location_id, shown.terminal_id) == ("berlin-1", "till-2")
    assert shown.effective_time == instant("2026-01-09T23:30:00Z")
    assert shown.create_time == instant("2026-01-10T09:00:00Z")
    assert (shown.rules_version, shown.available_points) == (1, 100)


# -- the chain of hashes ------------------------------------------------------------------------

NODE_CHECK = """
const { createHash } = require("node:crypto");
let previous = Buffer.alloc(32);
for (const entry of JSON.parse(require("node:fs").readFileSync(0, "utf8"))) {
  const canonical = Buffer.from(entry.canonicalForm, "base64");
  const hash = createHash("sha256").update(previous).update(canonical).digest();
  const fact = JSON.parse(canonical.toString("utf8"));
  if (!previous.equals(Buffer.from(entry.previousHash, "base64"))
      || !hash.equals(Buffer.from(entry.hash, "base64"))
      || String(fact.sequence) !== entry.sequence
      || fact.member_id !== entry.memberId) throw "wrong: " + JSON.stringify(entry);
  previous = hash;
}
console.log(previous.toString("hex"));
"""


def journal_of_all_kinds(client: Client) -> list[types_pb2.Entry]:
    """A journal with every kind of entry and awkward text, oldest first."""
    open_program(
        client,
        [],
        bonuses=[{"id": "welcome", "on": "ENROLLMENT", "points": 5, "expires_days": 3}],
        **SHORT,
        **PENDING,
    )
    client.enroll_member(enrollment())
    awkward = 'Grüße "\\/" <&> 日本 🫘'
    client.record_purchase(purchase(1, "12.99", location_id=awkward))
    client.record_purchase(
        purchase(awkward, "0.00", lines=[line("0.00", awkward)], terminal_id="'; --")
    )
    client.advance_clock(clock("2026-04-01T00:00:00Z"))
    listed = client.list_entries(entries(include_canonical_form=True)).entries
    return list(reversed(listed))


def test_anyone_can_check_the_chain_with_a_hash_function(client: Client) -> None:
    journal = journal_of_all_kinds(client)
    assert {types_pb2.EntryKind.Name(e.kind) for e in journal} == {
        "ENTRY_KIND_ENROLLED",
        "ENTRY_KIND_BONUS",
        "ENTRY_KIND_PURCHASE",
        "ENTRY_KIND_ACTIVATION",
        "ENTRY_KIND_EXPIRY",
    }
    previous = bytes(32)
    for sequence, shown in enumerate(journal, 1):
        assert shown.sequence == sequence
        assert shown.previous_hash == previous
        previous = hashlib.sha256(previous + shown.canonical_form).digest()
        assert shown.hash == previous
        fact = json.loads(shown.canonical_form)
        # The bytes that are hashed say the same as the entry that is shown.
        assert fact["member_id"] == shown.member_id
        assert fact["sequence"] == shown.sequence
        assert fact["kind"] == types_pb2.EntryKind.Name(shown.kind).removeprefix("ENTRY_KIND_")
        assert fact["points"] == shown.points
        assert fact.get("available_points", 0) == shown.available_points
        assert fact.get("purchase_id", "") == shown.purchase_id
        assert fact.get("location_id", "") == shown.location_id
        assert fact["create_time"] == shown.create_time.ToMicroseconds()
        compact = json.dumps(fact, ensure_ascii=False, separators=(",", ":"))
        assert compact.encode() == shown.canonical_form
        assert client.get_entry(entry(sequence, include_canonical_form=True)) == shown
        assert not client.get_entry(entry(sequence)).canonical_form
    verified = client.verify_member(
        audit_pb2.VerifyMemberRequest(program_id=PROGRAM, member_id="m-1")
    )
    assert (verified.entries, verified.head_hash) == (len(journal), previous)
    assert not verified.findings


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not on the PATH")
def test_anyone_can_check_the_chain_in_another_language(grpc_client: GrpcClient) -> None:
    journal = journal_of_all_kinds(grpc_client)
    document = json.dumps([json_format.MessageToDict(shown) for shown in journal])
    checked = subprocess.run(
        ["node", "-e", NODE_CHECK], input=document, capture_output=True, text=True, timeout=30
    )
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.strip() == journal[-1].hash.hex()


def test_the_trial_balance_is_zero(client: Client) -> None:
    journal_of_all_kinds(client)
    total = client.get_trial_balance(audit_pb2.GetTrialBalanceRequest(program_id=PROGRAM))
    points = {account.account: account.points for account in total.accounts}
    assert points == {
        "issuance": -17,
        "expired": 17,
        "member:available": 0,
        "member:pending": 0,
    }
    assert (total.total_points, total.entries) == (0, 7)


# -- time and rules -----------------------------------------------------------------------------


def test_a_sandbox_lives_by_its_own_clock(client: Client) -> None:
    open_program(client, **SHORT, **PENDING)
    receipt = client.record_purchase(purchase(1, "12.00"))
    assert receipt.entries[0].create_time == instant("2026-01-10T09:00:00Z")
    assert (receipt.balance.available_points, receipt.balance.pending_points) == (0, 12)

    moved = client.advance_clock(clock("2026-01-23T22:59:59Z"))
    assert moved.posted_entries == 0
    moved = client.advance_clock(clock("2026-01-23T23:00:00Z"))
    assert moved.posted_entries == 1
    assert moved.program.clock_time == instant("2026-01-23T23:00:00Z")
    activation = client.get_entry(entry(3))
    assert activation.kind == types_pb2.ENTRY_KIND_ACTIVATION
    assert (activation.debit_account, activation.credit_account) == (
        "member:pending",
        "member:available",
    )
    moved = client.advance_clock(clock("2027-01-01T00:00:00Z"))
    assert moved.posted_entries == 1
    expiry = client.get_entry(entry(4))
    assert (expiry.kind, expiry.points) == (types_pb2.ENTRY_KIND_EXPIRY, -12)
    # It is recorded now, but happened when the lot ended.
    assert expiry.effective_time == instant("2026-02-28T23:00:00Z")
    assert expiry.create_time == instant("2027-01-01T00:00:00Z")
    assert client.advance_clock(clock("2027-01-01T00:00:00Z")).posted_entries == 0


def test_a_clock_moves_forward_only_and_only_in_a_sandbox(client: Client) -> None:
    open_program(client)
    back = failure_of(client.advance_clock, clock("2026-01-10T08:59:59.999999Z"))
    assert (back.code, back.reason) == ("FAILED_PRECONDITION", "EFFECTIVE_TIME_OUT_OF_RANGE")
    open_program(client, program_id="real", sandbox=False)
    real = failure_of(client.advance_clock, clock("2100-01-01T00:00:00Z", "real"))
    assert (real.code, real.reason) == ("FAILED_PRECONDITION", "NOT_A_SANDBOX")
    assert real.metadata == {"program_id": "real"}


def publish(
    points: int, time: Timestamp | None = None, **more: Any
) -> program_pb2.PublishRulesRequest:
    document = {"earning": {"rate": {"points": points, "per": "1.00"}}}
    request = program_pb2.PublishRulesRequest(program_id=PROGRAM, **more)
    json_format.ParseDict(document, request.rules)
    if time is not None:
        request.effective_time.CopyFrom(time)
    return request


def test_the_rules_in_force_when_it_happened_apply(client: Client) -> None:
    open_program(client)
    second = client.publish_rules(publish(2, instant("2026-01-20T00:00:00Z"), expected_version=1))
    assert (second.version, second.effective_time) == (2, instant("2026-01-20T00:00:00Z"))
    wrong = failure_of(client.publish_rules, publish(9, expected_version=1))
    assert (wrong.code, wrong.reason) == ("FAILED_PRECONDITION", "VERSION_MISMATCH")
    assert wrong.metadata == {"expected": "1", "actual": "2"}
    client.publish_rules(publish(3, instant("2026-01-25T00:00:00Z")))

    assert client.record_purchase(purchase(1, "10.00")).entries[0].points == 10
    client.advance_clock(clock("2026-01-26T00:00:00Z"))
    for number, time, version, points in (
        (2, "2026-01-19T23:59:59.999999Z", 1, 10),
        (3, "2026-01-20T00:00:00Z", 2, 20),
        (4, "2026-01-24T23:59:59Z", 2, 20),
        (5, "2026-01-25T00:00:00Z", 3, 30),
    ):
        request = purchase(number, "10.00", effective_time=instant(time))
        (posted,) = client.record_purchase(request).entries
        assert (posted.rules_version, posted.points) == (version, points)
    assert client.record_purchase(purchase(6, "10.00")).entries[0].rules_version == 3


def test_versions_take_effect_in_their_order(client: Client) -> None:
    open_program(client)
    client.publish_rules(publish(2, instant("2026-02-01T00:00:00Z")))
    early = failure_of(client.publish_rules, publish(3, instant("2026-01-31T00:00:00Z")))
    assert (early.code, early.reason) == ("FAILED_PRECONDITION", "EFFECTIVE_TIME_OUT_OF_RANGE")
    third = client.publish_rules(publish(3))
    assert (third.version, third.effective_time) == (3, instant("2026-02-01T00:00:00Z"))


def test_rules_of_a_program_in_real_time_are_published_ahead(client: Client) -> None:
    open_program(client, sandbox=False)
    second = client.publish_rules(publish(2))
    lead = second.effective_time.ToMicroseconds() - second.create_time.ToMicroseconds()
    assert lead >= 5_000_000
    assert client.record_purchase(purchase(1, "10.00")).entries[0].rules_version == 1
    soon = Timestamp()
    soon.FromMicroseconds(second.create_time.ToMicroseconds() + 1_000_000)
    failure = failure_of(client.publish_rules, publish(3, soon))
    assert failure.reason == "EFFECTIVE_TIME_OUT_OF_RANGE"


def test_sandbox_rules_are_in_force_at_once_on_every_replica(
    replicas: tuple[RunningServer, RunningServer],
) -> None:
    publisher, other = GrpcClient(replicas[0].grpc_address), GrpcClient(replicas[1].grpc_address)
    open_program(publisher)
    for number in range(2, 12):
        other.record_purchase(purchase(f"{number}-before", "1.00"))  # it has the program cached
        publisher.publish_rules(publish(number))
        answers = [
            other.record_purchase(purchase(number, "1.00")),
            other.batch_write(
                points_pb2.BatchWriteRequest(
                    items=[
                        points_pb2.BatchWriteItem(record_purchase=purchase(f"{number}-b", "1.00"))
                    ]
                )
            )
            .results[0]
            .receipt,
        ]
        assert [receipt.entries[0].points for receipt in answers] == [number, number]
        assert other.list_entries(entries(page_size=1)).entries[0].rules_version == number
        preview = points_pb2.PreviewPurchaseRequest(
            program_id=PROGRAM, member_id="m-1", amount=money("1.00")
        )
        assert other.preview_purchase(preview).points == number
    publisher.close()
    other.close()


def test_programs_and_versions_are_listed_newest_first(client: Client) -> None:
    names = ["b-second", "c-third", "a-fourth", "d-fifth"]
    open_program(client, [])
    for name in names:
        open_program(client, [], program_id=name)
    expected = [*reversed(names), PROGRAM]
    for size in (1, 2, 3, 50):
        found: list[str] = []
        request = program_pb2.ListProgramsRequest(page_size=size)
        while True:
            page = client.list_programs(request)
            found += [listed.program_id for listed in page.programs]
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        assert found == expected

    for points in range(2, 8):
        client.publish_rules(publish(points))
    versions: list[program_pb2.RulesVersion] = []
    ask = program_pb2.ListRulesVersionsRequest(program_id=PROGRAM, page_size=3)
    while True:
        listed = client.list_rules_versions(ask)
        versions += listed.rules_versions
        if not listed.next_page_token:
            break
        ask.page_token = listed.next_page_token
    assert [version.version for version in versions] == [7, 6, 5, 4, 3, 2, 1]
    assert [version.rules.earning.rate.points for version in versions] == [7, 6, 5, 4, 3, 2, 1]
    got = client.get_program(program_pb2.GetProgramRequest(program_id=PROGRAM))
    assert (got.rules_version, got.display_name, got.currency) == (7, PROGRAM, "EUR")


# -- previews -----------------------------------------------------------------------------------


def test_a_preview_is_the_posting_that_follows(client: Client, server: RunningServer) -> None:
    dice = random.Random(20260110)
    open_program(
        client,
        earning={
            "rate": {"points": 7, "per": "3.00"},
            "rounding": "NEAREST",
            "exclude_categories": ["tobacco"],
            "caps": {"per_purchase": 400, "per_day": 900},
            "pending_days": 3,
        },
        members={"auto_enroll": True},
        bonuses=[{"id": "welcome", "on": "ENROLLMENT", "points": 50}],
        **SHORT,
    )
    hour = 0
    for number in range(40):
        hour += dice.randrange(0, 30)
        day, rest = divmod(hour, 24)
        month, day = divmod(day, 28)
        client.advance_clock(clock(f"2026-{2 + month:02}-{day + 1:02}T{rest:02}:00:00Z"))
        cents = [dice.randrange(0, 30_000) for _ in range(dice.randrange(0, 4))]
        lines = [
            line(f"{c // 100}.{c % 100:02}", dice.choice(["coffee", "tobacco"])) for c in cents
        ]
        total = sum(cents) if cents else dice.randrange(0, 60_000)
        request = purchase(
            number,
            f"{total // 100}.{total % 100:02}",
            member_id=f"m-{dice.randrange(1, 4)}",
            lines=lines,
        )
        asked = points_pb2.PreviewPurchaseRequest.FromString(request.SerializeToString())
        asked.DiscardUnknownFields()
        before = contents(server.database_url)
        preview = client.preview_purchase(asked)
        assert contents(server.database_url) == before
        receipt = client.record_purchase(request)
        posted = receipt.entries[-1]
        assert preview.points == posted.points
        assert preview.breakdown == posted.breakdown
        assert preview.lots == posted.lots
        assert preview.eligible_amount == posted.eligible_amount
        assert preview.balance == receipt.balance


def test_a_preview_refuses_what_the_posting_would(client: Client) -> None:
    open_program(client)
    client.record_purchase(purchase(1))
    for member, purchase_id, time, reason in (
        ("m-1", "receipt-1", None, "PURCHASE_ALREADY_RECORDED"),
        ("nobody", "", None, "MEMBER_NOT_FOUND"),
        ("m-1", "", "2026-02-01T00:00:00Z", "EFFECTIVE_TIME_OUT_OF_RANGE"),
    ):
        request = points_pb2.PreviewPurchaseRequest(
            program_id=PROGRAM, member_id=member, purchase_id=purchase_id, amount=money("1.00")
        )
        if time is not None:
            request.effective_time.CopyFrom(instant(time))
        # A preview has no request id under which a refusal could be remembered.
        for _ in range(2):
            assert failure_of(client.preview_purchase, request).reason == reason


def test_a_past_balance_that_does_not_reach_the_version_asked_for_is_refused(
    client: Client,
) -> None:
    open_program(client)
    client.advance_clock(clock("2026-05-01T00:00:00Z"))
    client.record_purchase(purchase("late", "10.00"))
    past = instant("2026-04-01T00:00:00Z")

    failure = failure_of(client.get_balance, balance(as_of_time=past, min_version=2))

    assert failure.reason == "VERSION_MISMATCH"


def test_a_reader_with_nothing_to_read_keeps_its_connection(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stalls, "QUERY_SECONDS", 0.5)
    with capture_logs() as logs, running_server(database_url) as server:
        client = GrpcClient(server.grpc_address)
        open_program(client)
        client.enroll_member(enrollment())
        for _ in range(3):
            client.get_balance(balance())
            sleep(0.9)
        client.close()

    assert [log["event"] for log in logs if log["log_level"] == "warning"] == []

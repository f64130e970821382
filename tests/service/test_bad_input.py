"""What is wrong with a request is said, with its place, on every transport; nothing is left behind.

Each case runs on gRPC and on JSON. All rows of all tables are compared before and after.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from google.protobuf import timestamp_pb2
from google.protobuf.message import Message
from google.type import money_pb2

from ledger.v1 import (
    audit_pb2,
    balance_pb2,
    member_pb2,
    points_pb2,
    program_pb2,
    rules_pb2,
    types_pb2,
)
from tests.conftest import RunningServer
from tests.service.client import Client, Failure, GrpcClient, HttpClient, JsonClient, failure_of
from tests.service.conftest import TRANSPORTS, client_of
from tests.service.requests import (
    PROGRAM,
    activity,
    balance,
    batch,
    clock,
    contents,
    enrollment,
    entries,
    instant,
    line,
    money,
    now,
    open_program,
    override,
    program,
    purchase,
    rules,
    tier_status,
)

LONG = "x" * 129
REAL = "real-time"


@pytest.fixture(scope="module")
def stocked(shared_server: RunningServer) -> RunningServer:
    """A server with a sandbox, a program in real time, a member of each and a purchase."""
    client = GrpcClient(shared_server.grpc_address)
    open_program(client)
    open_program(client, program_id=REAL, sandbox=False)
    client.record_purchase(purchase(1))
    client.close()
    return shared_server


@pytest.fixture(params=TRANSPORTS)
def intruder(request: pytest.FixtureRequest, stocked: RunningServer) -> Iterator[Client]:
    """A client whose calls must leave everything as it was."""
    before = contents(stocked.database_url)
    client = client_of(stocked, request.param)
    yield client
    client.close()
    assert contents(stocked.database_url) == before


class Case(NamedTuple):
    """A request, and what it must be answered with."""

    name: str
    method: Callable[..., Any]
    request: Message
    code: str
    reason: str
    fields: tuple[str, ...] = ()


def malformed(name: str, method: Any, request: Message, *fields: str) -> Case:
    return Case(name, method, request, "INVALID_ARGUMENT", "INVALID_FIELD", fields)


def buys(name: str, request: points_pb2.RecordPurchaseRequest, *fields: str) -> Case:
    return malformed(name, Client.record_purchase, request, *fields)


def raw_money(code: str = "EUR", units: int = 0, nanos: int = 0) -> money_pb2.Money:
    return money_pb2.Money(currency_code=code, units=units, nanos=nanos)


def paid(amount: money_pb2.Money, **more: Any) -> points_pb2.RecordPurchaseRequest:
    request = purchase("bad", **more)
    request.amount.CopyFrom(amount)
    return request


def at(time: timestamp_pb2.Timestamp, **more: Any) -> points_pb2.RecordPurchaseRequest:
    return purchase("bad", effective_time=time, **more)


def far_time(seconds: int, nanos: int = 0) -> timestamp_pb2.Timestamp:
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos)


def without(request: points_pb2.RecordPurchaseRequest, field: str) -> Any:
    request.ClearField(field)
    return request


def named_program(**settings: Any) -> program_pb2.CreateProgramRequest:
    request = program("other")
    for name, value in settings.items():
        setattr(request.program, name, value)
    return request


def token(filters: object, position: object) -> str:
    return base64.urlsafe_b64encode(json.dumps([filters, position]).encode()).decode()


def list_rules(**more: Any) -> program_pb2.ListRulesVersionsRequest:
    return program_pb2.ListRulesVersionsRequest(program_id=PROGRAM, **more)


def list_programs(**more: Any) -> program_pb2.ListProgramsRequest:
    return program_pb2.ListProgramsRequest(**more)


OWN_ENTRIES = ["entries", PROGRAM, "m-1", [], ""]
MAX_MINOR = 10**15

PURCHASES = [
    buys("no request_id", purchase("bad", request_id=""), "request_id"),
    buys("no member_id", purchase("bad", member_id=""), "member_id"),
    buys("no program_id", purchase("bad", program_id=""), "program_id"),
    buys("no purchase_id", without(purchase("bad"), "purchase_id"), "purchase_id"),
    buys("no amount", without(purchase("bad"), "amount"), "amount"),
    buys("long request_id", purchase("bad", request_id=LONG), "request_id"),
    buys("long member_id", purchase("bad", member_id=LONG), "member_id"),
    buys("long purchase_id", purchase(LONG, request_id="r"), "purchase_id"),
    buys("long location_id", purchase("bad", location_id=LONG), "location_id"),
    buys("long terminal_id", purchase("bad", terminal_id=LONG), "terminal_id"),
    buys("long program_id", purchase("bad", program_id="p" * 64), "program_id"),
    buys("program_id of other letters", purchase("bad", program_id="Café"), "program_id"),
    buys("NUL in request_id", purchase("bad", request_id="a\0b"), "request_id"),
    buys("NUL in member_id", purchase("bad", member_id="a\0b"), "member_id"),
    buys("NUL in program_id", purchase("bad", program_id="a\0b"), "program_id"),
    buys("NUL in purchase_id", purchase("a\0b", request_id="r"), "purchase_id"),
    buys("NUL in location_id", purchase("bad", location_id="\0"), "location_id"),
    buys("tab in terminal_id", purchase("bad", terminal_id="a\tb"), "terminal_id"),
    buys("newline in member_id", purchase("bad", member_id="a\nb"), "member_id"),
    buys("wrong currency", paid(money("1.00", "USD")), "amount.currency_code"),
    buys("no currency", paid(raw_money("", 1)), "amount.currency_code"),
    buys("unknown currency", paid(raw_money("EURO", 1)), "amount.currency_code"),
    buys("endless currency", paid(raw_money("E" * 100_000, 1)), "amount.currency_code"),
    buys("negative units", paid(raw_money(units=-1)), "amount"),
    buys("negative nanos", paid(raw_money(nanos=-10_000_000)), "amount"),
    buys("mixed signs", paid(raw_money(units=1, nanos=-10_000_000)), "amount"),
    buys("smallest amount", paid(raw_money(units=-(2**63))), "amount"),
    buys("part of a cent", paid(raw_money(nanos=1)), "amount.nanos"),
    buys("nanos of a whole unit", paid(raw_money(nanos=1_000_000_000)), "amount.nanos"),
    buys("amount above the maximum", paid(raw_money(units=10**13, nanos=10_000_000)), "amount"),
    buys("largest int64", paid(raw_money(units=2**63 - 1)), "amount"),
    buys("year 1", at(far_time(-62_135_596_800)), "effective_time"),
    buys("year 9999", at(far_time(253_402_300_799)), "effective_time"),
    buys("lines above the amount", purchase("bad", "3.00", lines=[line("3.01")]), "lines"),
    buys(
        "lines below the amount",
        purchase("bad", "3.00", lines=[line("1.00"), line("1.99")]),
        "lines",
    ),
    buys("1001 lines", purchase("bad", "10.01", lines=[line("0.01")] * 1_001), "lines"),
    buys(
        "a faulty line",
        purchase("bad", "3.00", lines=[line("1.00"), line("2.00", category="a\0", quantity=-1)]),
        "lines[1].quantity",
        "lines[1].category",
    ),
    buys(
        "quantity above the maximum",
        purchase("bad", "3.00", lines=[line("3.00", quantity=1_000_001)]),
        "lines[0].quantity",
    ),
    buys(
        "a line in another currency",
        purchase(
            "bad",
            "3.00",
            lines=[types_pb2.PurchaseLine(amount=money("3.00", "USD"))],
        ),
        "lines[0].amount.currency_code",
    ),
    buys(
        "everything at once",
        purchase("\0", member_id=LONG, request_id="", effective_time=far_time(253_402_300_799)),
        "request_id",
        "member_id",
        "purchase_id",
        "effective_time",
    ),
    buys(
        "malformed before not found",
        purchase("bad", "1", program_id="no-such", member_id=""),
        "member_id",
    ),
    Case(
        "unknown program",
        Client.record_purchase,
        purchase("bad", program_id="no-such-program"),
        "NOT_FOUND",
        "PROGRAM_NOT_FOUND",
    ),
    Case(
        "unknown member",
        Client.record_purchase,
        purchase("bad", member_id="nobody"),
        "NOT_FOUND",
        "MEMBER_NOT_FOUND",
    ),
]

QUERIES = [
    Case("unknown member", Client.get_balance, balance("x"), "NOT_FOUND", "MEMBER_NOT_FOUND"),
    Case("unknown member", Client.list_entries, entries("x"), "NOT_FOUND", "MEMBER_NOT_FOUND"),
    Case(
        "unknown program",
        Client.get_balance,
        balance(program_id="nowhere"),
        "NOT_FOUND",
        "PROGRAM_NOT_FOUND",
    ),
    Case(
        "unknown program",
        Client.get_program,
        program_pb2.GetProgramRequest(program_id="nowhere"),
        "NOT_FOUND",
        "PROGRAM_NOT_FOUND",
    ),
    Case(
        "unknown program",
        Client.list_rules_versions,
        program_pb2.ListRulesVersionsRequest(program_id="nowhere"),
        "NOT_FOUND",
        "PROGRAM_NOT_FOUND",
    ),
    Case(
        "unknown program",
        Client.get_trial_balance,
        audit_pb2.GetTrialBalanceRequest(program_id="nowhere"),
        "NOT_FOUND",
        "PROGRAM_NOT_FOUND",
    ),
    Case(
        "unknown member",
        Client.verify_member,
        audit_pb2.VerifyMemberRequest(program_id=PROGRAM, member_id="x"),
        "NOT_FOUND",
        "MEMBER_NOT_FOUND",
    ),
    Case(
        "unknown member",
        Client.get_member,
        member_pb2.GetMemberRequest(program_id=PROGRAM, member_id="x"),
        "NOT_FOUND",
        "MEMBER_NOT_FOUND",
    ),
    Case(
        "unknown entry",
        Client.get_entry,
        balance_pb2.GetEntryRequest(program_id=PROGRAM, member_id="m-1", sequence=2**62),
        "NOT_FOUND",
        "ENTRY_NOT_FOUND",
    ),
    malformed("NUL in member_id", Client.get_balance, balance("\0"), "member_id"),
    malformed("long member_id", Client.list_entries, entries(LONG), "member_id"),
    malformed(
        "time beyond the calendar",
        Client.get_balance,
        balance(as_of_time=far_time(253_402_300_799)),
        "as_of_time",
    ),
    malformed("negative version", Client.get_balance, balance(min_version=-1), "min_version"),
    malformed(
        "no sequence",
        Client.get_entry,
        balance_pb2.GetEntryRequest(program_id=PROGRAM, member_id="m-1"),
        "sequence",
    ),
    malformed("huge page", Client.list_entries, entries(page_size=1_001), "page_size"),
    malformed("negative page", Client.list_entries, entries(page_size=-1), "page_size"),
    malformed("huge page", Client.list_programs, list_programs(page_size=1_001), "page_size"),
    malformed("huge page", Client.list_rules_versions, list_rules(page_size=-5), "page_size"),
    malformed("no kind", Client.list_entries, entries(kinds=[0]), "kinds[0]"),
    malformed("bad purchase_id", Client.list_entries, entries(purchase_id="\0"), "purchase_id"),
]

TOKENS = [
    malformed("token " + name, method, request, "page_token")
    for name, method, request in [
        ("of noise", Client.list_entries, entries(page_token="noise")),
        ("of no base64", Client.list_entries, entries(page_token="ü!")),
        ("of JSON", Client.list_entries, entries(page_token=token(1, 2))),
        (
            "of another member",
            Client.list_entries,
            entries(page_token=token(["entries", PROGRAM, "m-2", [], ""], 7)),
        ),
        (
            "of other filters",
            Client.list_entries,
            entries(kinds=[1], page_token=token(OWN_ENTRIES, 7)),
        ),
        ("of a text", Client.list_entries, entries(page_token=token(OWN_ENTRIES, "7"))),
        ("of nothing", Client.list_entries, entries(page_token=token(OWN_ENTRIES, None))),
        ("of truth", Client.list_entries, entries(page_token=token(OWN_ENTRIES, True))),
        ("beyond int64", Client.list_entries, entries(page_token=token(OWN_ENTRIES, 2**64))),
        ("below zero", Client.list_entries, entries(page_token=token(OWN_ENTRIES, -1))),
        ("of a list", Client.list_entries, entries(page_token=token(OWN_ENTRIES, [1]))),
        (
            "of deep nesting",
            Client.list_entries,
            entries(page_token=base64.urlsafe_b64encode(b"[" * 100_000).decode()),
        ),
        ("of noise", Client.list_programs, list_programs(page_token="noise")),
        ("with NUL", Client.list_programs, list_programs(page_token=token(["programs"], "\0"))),
        ("of a number", Client.list_programs, list_programs(page_token=token(["programs"], 1))),
        (
            "of another program",
            Client.list_rules_versions,
            list_rules(page_token=token(["rules", REAL], 1)),
        ),
        (
            "of a text",
            Client.list_rules_versions,
            list_rules(page_token=token(["rules", PROGRAM], "x'; DROP TABLE entries; --")),
        ),
    ]
]

PROGRAMS = [
    malformed("no program", Client.create_program, program_pb2.CreateProgramRequest(),
              "program.program_id", "program.currency", "program.time_zone"),
    malformed("bad id", Client.create_program, named_program(program_id="-x"),
              "program.program_id"),
    malformed("no such currency", Client.create_program, named_program(currency="XXX"),
              "program.currency"),
    malformed("lower-case currency", Client.create_program, named_program(currency="eur"),
              "program.currency"),
    malformed("no such zone", Client.create_program, named_program(time_zone="Mars/Olympus"),
              "program.time_zone"),
    malformed("a zone that is a path", Client.create_program,
              named_program(time_zone="../../etc/passwd"), "program.time_zone"),
    malformed("a zone that is a folder", Client.create_program,
              named_program(time_zone="Europe"), "program.time_zone"),
    malformed("a zone with NUL", Client.create_program, named_program(time_zone="\0"),
              "program.time_zone"),
    malformed("an endless zone", Client.create_program, named_program(time_zone="Z" * 5_000),
              "program.time_zone"),
    malformed("a long name", Client.create_program, named_program(display_name=LONG),
              "program.display_name"),
    malformed("NUL in the name", Client.create_program, named_program(display_name="\0"),
              "program.display_name"),
    malformed("a clock without a sandbox", Client.create_program, named_program(sandbox=False),
              "program.clock_time"),
    Case("the same program again", Client.create_program, program(), "ALREADY_EXISTS",
         "PROGRAM_ALREADY_EXISTS"),
    Case("no rules", Client.create_program,
         program_pb2.CreateProgramRequest(program=program("other").program), "INVALID_ARGUMENT",
         "RULES_INVALID"),
    malformed("no clock_time", Client.advance_clock,
              program_pb2.AdvanceClockRequest(program_id=PROGRAM), "clock_time"),
    malformed("a clock beyond the calendar", Client.advance_clock, clock("2200-01-01T00:00:00Z"),
              "clock_time"),
    Case("a clock that goes back", Client.advance_clock, clock("2026-01-10T08:59:59Z"),
         "FAILED_PRECONDITION", "EFFECTIVE_TIME_OUT_OF_RANGE"),
    Case("a clock of real time", Client.advance_clock, clock("2100-01-10T09:00:00Z", REAL),
         "FAILED_PRECONDITION", "NOT_A_SANDBOX"),
    Case("a clock of no program", Client.advance_clock, clock("2100-01-10T09:00:00Z", "none"),
         "NOT_FOUND", "PROGRAM_NOT_FOUND"),
    Case("rules of no program", Client.publish_rules,
         program_pb2.PublishRulesRequest(program_id="none", rules=rules()), "NOT_FOUND",
         "PROGRAM_NOT_FOUND"),
    Case("rules of another version", Client.publish_rules,
         program_pb2.PublishRulesRequest(program_id=PROGRAM, rules=rules(), expected_version=7),
         "FAILED_PRECONDITION", "VERSION_MISMATCH"),
    Case("rules of the past", Client.publish_rules,
         program_pb2.PublishRulesRequest(
             program_id=REAL, rules=rules(), effective_time=instant("2020-01-01T00:00:00Z")),
         "FAILED_PRECONDITION", "EFFECTIVE_TIME_OUT_OF_RANGE"),
    malformed("no request_id", Client.enroll_member, enrollment("new", ""), "request_id"),
    malformed("long member_id", Client.enroll_member, enrollment(LONG, "r"), "member_id"),
    Case("enrolled before", Client.enroll_member, enrollment("m-1", "another"), "ALREADY_EXISTS",
         "MEMBER_ALREADY_ENROLLED"),
    Case("enrolled nowhere", Client.enroll_member, enrollment("m-1", "r", "none"), "NOT_FOUND",
         "PROGRAM_NOT_FOUND"),
    malformed("no items", Client.batch_write, batch(), "items"),
    malformed("1001 items", Client.batch_write,
              points_pb2.BatchWriteRequest(items=[points_pb2.BatchWriteItem()] * 1_001), "items"),
]  # fmt: skip

LATER = "2027-01-01T00:00:00Z"


def does(name: str, request: points_pb2.RecordActivityRequest, *fields: str) -> Case:
    return malformed(name, Client.record_activity, request, *fields)


def overrides(name: str, request: points_pb2.OverrideTierRequest, *fields: str) -> Case:
    return malformed(name, Client.override_tier, request, *fields)


def born(month: int, day: int) -> member_pb2.EnrollMemberRequest:
    return enrollment("new", birthday=member_pb2.Birthday(month=month, day=day))


def until(time: timestamp_pb2.Timestamp | None) -> points_pb2.OverrideTierRequest:
    request = override("gold", LATER)
    request.ClearField("until_time")
    if time is not None:
        request.until_time.CopyFrom(time)
    return request


TIERS = [
    *(
        malformed(f"born on {month}-{day}", Client.enroll_member, born(month, day), field)
        for month, day, field in [
            (0, 1, "birthday.month"),
            (13, 1, "birthday.month"),
            (-1, 1, "birthday.month"),
            (1, 0, "birthday.day"),
            (1, 32, "birthday.day"),
            (2, 30, "birthday.day"),
            (4, 31, "birthday.day"),
            (12, -1, "birthday.day"),
            (12, 2**31 - 1, "birthday.day"),
        ]
    ),
    malformed("long referrer", Client.enroll_member,
              enrollment("new", referrer_member_id=LONG), "referrer_member_id"),
    malformed("NUL in referrer", Client.enroll_member,
              enrollment("new", referrer_member_id="a\0b"), "referrer_member_id"),
    malformed("referred by itself", Client.enroll_member,
              enrollment("new", referrer_member_id="new"), "referrer_member_id"),
    Case("unknown referrer", Client.enroll_member, enrollment("new", referrer_member_id="x"),
         "NOT_FOUND", "MEMBER_NOT_FOUND"),
    does("no request_id", activity("bad", request_id=""), "request_id"),
    does("no member_id", activity("bad", member_id=""), "member_id"),
    does("no program_id", activity("bad", program_id=""), "program_id"),
    does("no activity", activity("bad", ""), "activity"),
    does("long activity", activity("bad", LONG), "activity"),
    does("NUL in activity", activity("bad", "a\0b"), "activity"),
    does("an activity that no bonus names", activity("bad", "dancing"), "activity"),
    does("tab in location_id", activity("bad", location_id="a\tb"), "location_id"),
    does("long terminal_id", activity("bad", terminal_id=LONG), "terminal_id"),
    does("year 9999", activity("bad", effective_time=far_time(253_402_300_799)),
         "effective_time"),
    does("everything at once", activity("bad", "", request_id="\0", member_id=LONG),
         "request_id", "member_id", "activity"),
    Case("unknown program", Client.record_activity, activity("bad", program_id="none"),
         "NOT_FOUND", "PROGRAM_NOT_FOUND"),
    Case("unknown member", Client.record_activity, activity("bad", member_id="x"),
         "NOT_FOUND", "MEMBER_NOT_FOUND"),
    overrides("no request_id", override("gold", LATER, request_id=""), "request_id"),
    overrides("no member_id", override("gold", LATER, member_id=""), "member_id"),
    overrides("no program_id", override("gold", LATER, program_id=""), "program_id"),
    overrides("no tier_id", override("", LATER), "tier_id"),
    overrides("long tier_id", override(LONG, LATER, request_id="r"), "tier_id"),
    overrides("NUL in tier_id", override("a\0b", LATER, request_id="r"), "tier_id"),
    overrides("a tier where there are none", override("gold", LATER), "tier_id"),
    overrides("no reason", override("gold", LATER, reason=""), "reason"),
    overrides("long reason", override("gold", LATER, reason="x" * 501), "reason"),
    overrides("newline in reason", override("gold", LATER, reason="a\nb"), "reason"),
    overrides("no end", until(None), "until_time"),
    overrides("an end beyond the calendar", until(far_time(253_402_300_799)), "until_time"),
    Case("unknown program", Client.override_tier, override("gold", LATER, program_id="none"),
         "NOT_FOUND", "PROGRAM_NOT_FOUND"),
    Case("unknown member", Client.override_tier, override("gold", LATER, member_id="x"),
         "NOT_FOUND", "MEMBER_NOT_FOUND"),
    Case("unknown member", Client.get_tier_status, tier_status("x"), "NOT_FOUND",
         "MEMBER_NOT_FOUND"),
    Case("unknown program", Client.get_tier_status, tier_status("m-1", "none"), "NOT_FOUND",
         "PROGRAM_NOT_FOUND"),
    malformed("no member_id", Client.get_tier_status, tier_status(""), "member_id"),
    malformed("NUL in member_id", Client.get_tier_status, tier_status("\0"), "member_id"),
]  # fmt: skip

CASES = [*PURCHASES, *QUERIES, *TOKENS, *PROGRAMS, *TIERS]


@pytest.mark.parametrize("case", CASES, ids=[f"{c.method.__name__}: {c.name}" for c in CASES])
def test_a_bad_request_is_refused_where_it_is_bad(case: Case, intruder: Client) -> None:
    failure = failure_of(lambda request: case.method(intruder, request), case.request)

    assert (failure.code, failure.reason) == (case.code, case.reason)
    assert failure.domain == "ledger"
    assert failure.retry_seconds is None
    if case.reason == "INVALID_FIELD":
        assert sorted(failure.fields) == sorted(case.fields)
        assert all(description for _, description in failure.violations)
        assert len(failure.message) < 500


@pytest.mark.parametrize(
    ("case"), [c for c in PURCHASES if c.fields], ids=[c.name for c in PURCHASES if c.fields]
)
def test_a_preview_is_as_strict_as_the_purchase(case: Case, intruder: Client) -> None:
    recorded = case.request
    assert isinstance(recorded, points_pb2.RecordPurchaseRequest)
    required = {"request_id"}
    if not recorded.purchase_id:
        required.add("purchase_id")
    expected = sorted(set(case.fields) - required)
    data = recorded.SerializeToString()
    request = points_pb2.PreviewPurchaseRequest.FromString(data)
    request.DiscardUnknownFields()
    if not expected:
        intruder.preview_purchase(request)
    else:
        assert sorted(failure_of(intruder.preview_purchase, request).fields) == expected


@pytest.mark.parametrize(
    ("time", "legal"),
    [
        ("2025-12-10T22:59:59Z", False),  # the day before the earliest one, in Berlin
        ("2025-12-10T23:00:00Z", True),
        ("2026-01-10T09:05:00Z", True),  # a till's clock may be ahead
        ("2026-01-10T09:05:00.000001Z", False),
    ],
)
def test_an_effective_time_is_refused_outside_its_window(
    time: str, legal: bool, stocked: RunningServer
) -> None:
    for transport in TRANSPORTS:
        client = client_of(stocked, transport)
        number = f"{time}-{transport}"
        request = purchase(number, effective_time=instant(time), program_id=PROGRAM)
        before = contents(stocked.database_url)
        if legal:
            preview = points_pb2.PreviewPurchaseRequest.FromString(request.SerializeToString())
            client.preview_purchase(preview)
        else:
            failure = failure_of(client.record_purchase, request)
            assert failure.code == "FAILED_PRECONDITION"
            assert failure.reason == "EFFECTIVE_TIME_OUT_OF_RANGE"
            assert failure.metadata["effective_time"] == time
            assert failure.metadata["earliest"] == "2025-12-10T23:00:00Z"
            assert failure.metadata["latest"] == "2026-01-10T09:05:00Z"
            # A business "no" is remembered, and that is all that is written.
            after = contents(stocked.database_url)
            assert len(after.pop("refusals")) == len(before.pop("refusals")) + 1
            assert after == before
        client.close()


def test_future_and_old_purchases_are_refused_in_real_time(stocked: RunningServer) -> None:
    for transport in TRANSPORTS:
        client = client_of(stocked, transport)
        for name, time in (
            ("future", now() + timedelta(minutes=6)),
            ("old", now() - timedelta(days=32)),
        ):
            request = purchase(f"{name}-{transport}", program_id=REAL, effective_time=instant(time))
            failure = failure_of(client.record_purchase, request)
            assert failure.reason == "EFFECTIVE_TIME_OUT_OF_RANGE"
        client.close()


# -- what no well-behaved library sends ---------------------------------------------------------


def test_text_that_is_not_utf8_is_refused(intruder: Client) -> None:
    if isinstance(intruder, JsonClient):
        faults = [b'"\\ud800"', b'"\\udfff\\ud800"', b'"\xed\xa0\x80"', b'"\xff"', b'"a\\u0000b"']
        bodies = [b'{"programId":"bean-street","memberId":%s}' % fault for fault in faults]
    else:
        faults = [b"\xed\xa0\x80", b"\xff", b"\xc0\x80", b"a\0b"]
        bodies = [b"\x0a\x0bbean-street\x12" + bytes([len(fault)]) + fault for fault in faults]
    for body in bodies:
        failure = failure_of(lambda data: intruder.send("BalanceService/GetBalance", data), body)
        assert (failure.code, failure.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD"), body
        assert failure.fields in (["request"], ["member_id"]), body


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"nonsense",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 5_000,
        b'{"memberId": "m-1", "member_id": "m-2"}',
        b'{"loyaltyCard": "1"}',
        b'{"memberId": 7}',
        b'{"amount": {"currencyCode": "EUR", "units": "9223372036854775808"}}',
        b'{"amount": {"currencyCode": "EUR", "units": 1e30}}',
        b'{"amount": {"currencyCode": "EUR", "units": 1.5}}',
        b'{"amount": {"currencyCode": "EUR", "units": "12.99"}}',
        b'{"amount": {"currencyCode": "EUR", "nanos": 2147483648}}',
        b'{"amount": {"currencyCode": "EUR", "units": NaN}}',
        b'{"amount": 12.99}',
        b'{"effectiveTime": "0000-01-01T00:00:00Z"}',
        b'{"effectiveTime": "10000-01-01T00:00:00Z"}',
        b'{"effectiveTime": "2026-02-30T00:00:00Z"}',
        b'{"effectiveTime": "yesterday"}',
        b'{"effectiveTime": 1767225600}',
        b'{"lines": {}}',
        b'{"lines": [{"quantity": 99999999999}]}',
    ],
)
def test_malformed_json_is_refused(body: bytes, stocked: RunningServer) -> None:
    before = contents(stocked.database_url)
    client = JsonClient(stocked.http_address)
    failure = failure_of(lambda data: client.send("PointsService/RecordPurchase", data), body)
    assert (failure.code, failure.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert failure.fields[0]
    assert len(failure.message) < 400
    client.close()
    assert contents(stocked.database_url) == before


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b"\x0a\xff\xff\xff\xff\x0f",  # a length beyond the end
        b"\x0a\x05ab",  # cut short
        b"\x0b" * 200,  # groups that never end
        b"\x00\x01",  # field number 0
    ],
)
def test_malformed_protobuf_is_refused(data: bytes, stocked: RunningServer) -> None:
    client = GrpcClient(stocked.grpc_address)
    failure = failure_of(lambda data: client.send("PointsService/RecordPurchase", data), data)
    assert (failure.code, failure.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert failure.fields == ["request"]
    client.close()


def test_unknown_values_of_an_enum_are_no_kinds(intruder: Client) -> None:
    if isinstance(intruder, JsonClient):
        failure = failure_of(
            lambda document: intruder.post("BalanceService/ListEntries", document),
            {"programId": PROGRAM, "memberId": "m-1", "kinds": ["ENTRY_KIND_MAGIC"]},
        )
    else:
        request = balance_pb2.ListEntriesRequest.FromString(
            entries().SerializeToString() + b"\x2a\x01\x63"
        )
        failure = failure_of(intruder.list_entries, request)
        assert failure.fields == ["kinds[0]"]
    assert (failure.code, failure.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")


def test_a_message_of_more_than_one_mebibyte_is_refused(intruder: Client) -> None:
    request = purchase("big", "0.00", lines=[line("0.00", category="x" * 128)] * 8_000)
    assert request.ByteSize() > 1024 * 1024
    assert failure_of(intruder.record_purchase, request).code == "RESOURCE_EXHAUSTED"
    # The connection is good for the next call.
    assert intruder.get_balance(balance()).version == 2


def test_metadata_of_more_than_its_limit_is_refused(stocked: RunningServer) -> None:
    client = GrpcClient(stocked.grpc_address)
    data = balance().SerializeToString()
    with pytest.raises(Failure) as raised:
        client.send("BalanceService/GetBalance", data, metadata=[("x-big", "x" * 40_000)])
    assert raised.value.code == "RESOURCE_EXHAUSTED"
    assert client.get_balance(balance()).version == 2
    client.close()
    http = HttpClient(stocked.http_address)
    headers = {"content-type": "application/json", "x-big": "x" * 200_000}
    # Refused while it is still being sent, so that the answer may not arrive.
    with contextlib.suppress(ConnectionError):
        path = "/ledger.v1.BalanceService/GetBalance"
        assert http.exchange("POST", path, b"{}", headers)[0] == 400
    http.close()
    json_client = JsonClient(stocked.http_address)
    assert json_client.get_balance(balance()).version == 2
    json_client.close()


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "application/grpc"])
def test_other_content_types_are_refused(content_type: str, stocked: RunningServer) -> None:
    client = HttpClient(stocked.http_address)
    code, _, _ = client.exchange(
        "POST", "/ledger.v1.BalanceService/GetBalance", b"{}", {"content-type": content_type}
    )
    assert code == 415
    client.close()


def test_an_item_of_a_batch_is_refused_alone(stocked: RunningServer) -> None:
    for transport in TRANSPORTS:
        client = client_of(stocked, transport)
        request = batch(
            purchase(f"{transport}-good"),
            purchase(f"{transport}-bad", member_id=LONG),
            purchase(f"{transport}-stranger", member_id="nobody"),
            purchase(f"{transport}-elsewhere", program_id="nowhere"),
        )
        request.items.add()
        results = client.batch_write(request).results
        assert results[0].receipt.entries[0].points == 12
        failures = [Failure(result.error) for result in results[1:]]
        assert [(failure.code, failure.reason, failure.fields) for failure in failures] == [
            ("INVALID_ARGUMENT", "INVALID_FIELD", ["member_id"]),
            ("NOT_FOUND", "MEMBER_NOT_FOUND", []),
            ("NOT_FOUND", "PROGRAM_NOT_FOUND", []),
            ("INVALID_ARGUMENT", "INVALID_FIELD", ["items"]),
        ]
        client.close()


# -- a rules document with a hundred faults -----------------------------------------------------


def faulty_rules(bonuses: int) -> tuple[rules_pb2.Rules, list[str]]:
    """A document with two faults for every bonus, and the path of each."""
    document = rules()
    paths = []
    for index in range(bonuses):
        document.bonuses.add(id=f"bonus {index}", on="FULL_MOON", points=1)
        paths += [f"bonuses[{index}].id", f"bonuses[{index}].on"]
    return document, paths


def faulty_program(bonuses: int) -> tuple[program_pb2.CreateProgramRequest, list[str]]:
    document, paths = faulty_rules(bonuses)
    request = program("faulty")
    request.rules.CopyFrom(document)
    return request, paths


def test_a_hundred_faults_are_all_reported_with_their_paths(intruder: Client) -> None:
    request, paths = faulty_program(50)
    publish = program_pb2.PublishRulesRequest(program_id=PROGRAM, rules=request.rules)
    for failure in (
        failure_of(intruder.create_program, request),
        failure_of(intruder.publish_rules, publish),
    ):
        assert (failure.code, failure.reason) == ("INVALID_ARGUMENT", "RULES_INVALID")
        assert failure.message.endswith("(and 99 more)")
        assert failure.fields == paths
        if isinstance(intruder, JsonClient):
            assert all(description for _, description in failure.violations)


def test_a_hundred_different_faults_are_found_at_once(intruder: Client) -> None:
    document = rules_pb2.Rules()
    earning = document.earning
    earning.rate.per = "-1.00"
    earning.rounding = "SIDEWAYS"
    earning.pending_days = -1
    earning.backdate_days = 10_000
    earning.caps.per_purchase = 0
    earning.exclude_categories.extend(["", "x" * 200])
    document.expiry.after_months = 0
    document.redemption.value.amount = "free"
    for index in range(22):
        document.bonuses.add(id="B?", on="", points=-1, expires_days=-1 - index)
    document.bonuses.add(id="twice", on="ENROLLMENT", points=1)
    document.bonuses.add(id="twice", on="ENROLLMENT", points=1)
    request = program("faulty")
    request.rules.CopyFrom(document)

    failure = failure_of(intruder.create_program, request)

    assert (failure.code, failure.reason) == ("INVALID_ARGUMENT", "RULES_INVALID")
    assert len(failure.fields) == len(set(failure.fields)) == 100
    assert {
        "earning.rate.points",
        "earning.rate.per",
        "earning.rounding",
        "earning.pending_days",
        "earning.backdate_days",
        "earning.caps.per_purchase",
        "earning.exclude_categories[0]",
        "earning.exclude_categories[1]",
        "expiry.after_months",
        "redemption.value.points",
        "redemption.value.amount",
        "bonuses[21].expires_days",
        "bonuses[23].id",
    } <= set(failure.fields)


@pytest.mark.parametrize("bonuses", [100, 400, 1_000])
@pytest.mark.parametrize("options", [[], [("grpc.max_metadata_size", 1024 * 1024)]])
def test_any_number_of_faults_reaches_any_grpc_client(
    bonuses: int, options: list[tuple[str, Any]], stocked: RunningServer
) -> None:
    request, paths = faulty_program(bonuses)
    client = GrpcClient(stocked.grpc_address, options)
    failure = failure_of(client.create_program, request)
    client.close()
    assert (failure.code, failure.reason) == ("INVALID_ARGUMENT", "RULES_INVALID")
    # What did not fit is counted.
    assert failure.metadata == {"violations": str(2 * bonuses)}
    assert failure.fields == paths[: len(failure.fields)]
    assert len(failure.fields) >= 190
    assert failure.violations[0][1]


def test_any_number_of_faults_is_complete_on_http(stocked: RunningServer) -> None:
    request, paths = faulty_program(1_000)
    client = JsonClient(stocked.http_address)
    failure = failure_of(client.create_program, request)
    client.close()
    assert failure.fields == paths
    assert all(description for _, description in failure.violations)
    assert failure.metadata == {}


def test_a_rule_that_this_version_does_not_know_is_refused(stocked: RunningServer) -> None:
    client = GrpcClient(stocked.grpc_address)
    request = program("faulty")
    unknown = rules_pb2.Rules.FromString(request.rules.SerializeToString() + b"\x9a\x01\x00")
    request.rules.CopyFrom(unknown)
    failure = failure_of(client.create_program, request)
    assert (failure.code, failure.reason) == ("INVALID_ARGUMENT", "RULES_INVALID")
    client.close()
    json_client = JsonClient(stocked.http_address)
    failure = failure_of(
        lambda document: json_client.post("ProgramService/CreateProgram", document),
        {"program": {"programId": "faulty"}, "rules": {"earning": {"karma": 1}}},
    )
    assert (failure.code, failure.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert "karma" in failure.message
    json_client.close()

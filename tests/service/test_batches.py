"""Promise P7: what a batch does is what its commands do one by one.

Batches exist to be fast; nobody may be able to tell from a journal or an answer how the commands
were put together. So the same history runs twice on PostgreSQL, in batches and one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import connection as Connection

from ledger.core.chain import canonical_form
from ledger.core.commands import Command, EnrollMember, RecordPurchase, Settle
from ledger.core.instants import DAY, MINUTE, SECOND
from ledger.core.model import PurchaseLine, Receipt
from ledger.engine.batch import Item, Outcome
from ledger.engine.writer import Writer
from ledger.metrics import Metrics
from ledger.store.database import open_database
from ledger.store.embedded import EmbeddedServer
from ledger.store.programs import RULES_LEAD, Catalog, create_program, publish_rules
from ledger.store.queries import read_member
from ledger.store.stalls import StallGuard
from tests.conftest import fresh_database
from tests.memory import at, document

NOON = at("2026-01-30T12:00Z")
MEMBERS = ["ann", "bob", "cem"]

FIRST = document(
    {"caps": {"per_day": 150}, "pending_days": 1},
    expiry={"after_months": 1},
    members={"auto_enroll": True},
    bonuses=[{"id": "welcome", "on": "ENROLLMENT", "points": 50, "expires_days": 3}],
)
#: from the day after
SECOND_DAY = document({"rounding": "CEILING", "backdate_days": 1}, members={"auto_enroll": False})


class Place(NamedTuple):
    """A database with its writer; `clock` holds the present instant."""

    database: Any
    writer: Writer
    clock: list[int]


class Stored(NamedTuple):
    """All that a program has in the database, times of storing left out."""

    journals: dict[str, list[tuple[bytes, bytes]]]
    accounts: dict[str, Any]
    refusals: list[tuple[Any, ...]]
    purchases: list[tuple[Any, ...]]


@contextmanager
def place(database_url: str) -> Iterator[Place]:
    database = open_database(database_url)
    clock = [NOON]
    writer = Writer(
        database,
        Catalog(database),
        lambda: clock[0],
        Metrics(),
        StallGuard(database),
        recovery_seconds=8.0,
        stall_seconds=8.0,
    )
    yield Place(database, writer, clock)
    writer.close()
    database.dispose()


@pytest.fixture(scope="module")
def places(
    cluster: EmbeddedServer, administrator: Connection, template: str
) -> Iterator[tuple[Place, Place]]:
    """Two databases that know nothing of each other."""
    with (
        fresh_database(cluster, administrator, template) as first_url,
        fresh_database(cluster, administrator, template) as second_url,
        place(first_url) as first,
        place(second_url) as second,
    ):
        yield first, second


@st.composite
def commands(draw: st.DrawFn) -> Command:
    """One of few members, requests and receipts, so that they often meet again."""
    member_id = draw(st.sampled_from(MEMBERS))
    common: dict[str, Any] = {"program_id": "?", "member_id": member_id}
    kind = draw(st.sampled_from(["enroll", "settle", "purchase", "purchase", "purchase"]))
    if kind == "settle":
        return Settle(**common)
    common["request_id"] = f"r-{draw(st.integers(1, 12))}"
    offsets = [None, -5 * MINUTE, -DAY, -20 * DAY, -31 * DAY, MINUTE, 6 * MINUTE]
    offset = draw(st.sampled_from(offsets))
    common["effective_time"] = None if offset is None else NOON + offset
    if kind == "enroll":
        return EnrollMember(**common)
    amount = draw(st.sampled_from([0, 99, 1000, 12345]))
    lines = (PurchaseLine("sku", "coffee", 1, amount),) if draw(st.booleans()) else ()
    purchase_id = f"p-{draw(st.integers(1, 12))}"
    return RecordPurchase(**common, purchase_id=purchase_id, amount=amount, lines=lines)


#: a batch is a list of commands; batches at one instant, and how long after it the next ones are
HISTORIES = st.lists(
    st.tuples(
        st.lists(st.lists(commands(), min_size=1, max_size=12), min_size=1, max_size=3),
        st.sampled_from([0, SECOND, DAY // 2, 2 * DAY, 40 * DAY]),
    ),
    min_size=1,
    max_size=4,
)
History = list[tuple[list[list[Command]], int]]


def found(place: Place, program_id: str) -> None:
    """The same program wherever it is."""
    create_program(
        place.database,
        program_id=program_id,
        display_name="",
        currency="EUR",
        time_zone="Europe/Berlin",
        clock_time=None,
        document=FIRST,
        actor="test",
        now=NOON - 365 * DAY,
    )
    publish_rules(
        place.database,
        program_id=program_id,
        document=SECOND_DAY,
        effective_time=NOON + DAY,
        expected_version=1,
        actor="test",
        now=NOON - RULES_LEAD,
    )


def play(place: Place, program_id: str, history: History, *, split: bool) -> list[Outcome]:
    """The outcome of every command, run in the batches of the history or one by one."""
    found(place, program_id)
    place.clock[0] = NOON
    outcomes: list[Outcome] = []
    for batches, pause in history:
        for batch in batches:
            items = [Item(of(program_id, command), "till") for command in batch]
            for part in [[item] for item in items] if split else [items]:
                outcomes += place.writer.write(part)
        place.clock[0] += pause
    return outcomes


def of(program_id: str, command: Command) -> Command:
    fields = {name: getattr(command, name) for name in command.__struct_fields__}
    return type(command)(**{**fields, "program_id": program_id})


def said(outcomes: Sequence[Outcome]) -> list[object]:
    """Everything a caller can see of answers."""
    return [
        (outcome.entries, outcome.balance, outcome.replayed)
        if isinstance(outcome, Receipt)
        else (outcome.code, outcome.reason, outcome.metadata)
        for outcome in outcomes
    ]


def stored(place: Place, program_id: str) -> Stored:
    journals, accounts = {}, {}
    for member_id in MEMBERS:
        accounts[member_id], journal = read_member(place.database, (program_id, member_id))
        journals[member_id] = [(canonical_form(sealed.entry), sealed.hash) for sealed in journal]
    with place.database.connect() as connection:
        refusals, purchases = (
            [
                tuple(row)
                for row in connection.exec_driver_sql(
                    f"SELECT {columns} FROM {table} WHERE program_id = %s ORDER BY 1, 2",
                    (program_id,),
                )
            ]
            for table, columns in (
                ("refusals", "member_id, request_id, fingerprint::text, reason, metadata, actor"),
                ("purchases", "member_id, purchase_id, sequence"),
            )
        )
    return Stored(journals, accounts, refusals, purchases)


numbers = count(1)


@settings(
    max_examples=60,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(history=HISTORIES)
def test_a_batch_does_what_its_commands_do_one_by_one(
    places: tuple[Place, Place], history: History
) -> None:
    program_id = f"program-{next(numbers)}"
    together, alone = places

    in_batches = play(together, program_id, history, split=False)
    one_by_one = play(alone, program_id, history, split=True)

    assert said(in_batches) == said(one_by_one)
    assert stored(together, program_id) == stored(alone, program_id)


def test_one_batch_may_hold_a_whole_membership(places: tuple[Place, Place]) -> None:
    """The example that every shortcut within a batch would break."""
    ann: dict[str, Any] = {"program_id": "?", "member_id": "ann"}
    bob: dict[str, Any] = {"program_id": "?", "member_id": "bob"}
    bought = RecordPurchase(**ann, request_id="r-1", purchase_id="p-1", amount=1000)
    history: History = [
        (
            [
                [
                    Settle(**ann),
                    bought,
                    bought,
                    RecordPurchase(**ann, request_id="r-1", purchase_id="p-1", amount=1001),
                    RecordPurchase(**bob, request_id="r-1", purchase_id="p-1", amount=1000),
                    EnrollMember(**bob, request_id="r-1"),
                    RecordPurchase(**bob, request_id="r-2", purchase_id="p-1", amount=1000),
                    RecordPurchase(**bob, request_id="r-2", purchase_id="p-1", amount=1000),
                    EnrollMember(**bob, request_id="r-3"),
                    RecordPurchase(**ann, request_id="r-2", purchase_id="p-2", amount=15000),
                ]
            ],
            0,
        )
    ]
    program_id = f"program-{next(numbers)}"
    together, alone = places

    in_batches = play(together, program_id, history, split=False)

    assert said(in_batches) == said(play(alone, program_id, history, split=True))
    assert stored(together, program_id) == stored(alone, program_id)
    assert [type(outcome).__name__ for outcome in in_batches] == [
        "Receipt",
        "Receipt",
        "Receipt",
        "RequestIdReused",
        "PurchaseAlreadyRecorded",
        "Receipt",
        "PurchaseAlreadyRecorded",
        "PurchaseAlreadyRecorded",
        "MemberAlreadyEnrolled",
        "Receipt",
    ]

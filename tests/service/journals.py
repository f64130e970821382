"""Looks at what receipts and journals say, short enough for a test's one line."""

from __future__ import annotations

import contextlib
from typing import Any

import psycopg2
from google.protobuf import json_format
from google.protobuf.message import Message

from ledger.v1 import audit_pb2, types_pb2
from tests.service.client import Client
from tests.service.requests import PROGRAM, entries


def document(message: Message) -> Any:
    """A message as plain JSON."""
    return json_format.MessageToDict(message)


def kind(entry: types_pb2.Entry) -> str:
    return types_pb2.EntryKind.Name(entry.kind).removeprefix("ENTRY_KIND_")


def kinds(receipt: types_pb2.Receipt) -> list[str]:
    return [kind(entry) for entry in receipt.entries]


def moves(receipt: types_pb2.Receipt) -> list[tuple[str, int]]:
    """Kind and points of each entry."""
    return [(kind(entry), entry.points) for entry in receipt.entries]


def points_of(balance: types_pb2.Balance) -> tuple[int, int, int, int]:
    """What is available, held, pending and owed."""
    return (
        balance.available_points,
        balance.held_points,
        balance.pending_points,
        balance.debt_points,
    )


def journal(client: Client, member_id: str = "m-1") -> list[types_pb2.Entry]:
    """All entries of a member, oldest first."""
    page = client.list_entries(entries(member_id, page_size=1_000))
    assert not page.next_page_token
    return list(reversed(page.entries))


def members(database_url: str) -> list[str]:
    """Everybody, as a superuser sees them."""
    with contextlib.closing(psycopg2.connect(database_url)) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT member_id FROM accounts")
        return [member_id for (member_id,) in cursor.fetchall()]


def require_sound(client: Client, database_url: str) -> None:
    """Fails the test when a journal contradicts itself."""
    found = members(database_url)
    assert found
    for member_id in found:
        asked = audit_pb2.VerifyMemberRequest(program_id=PROGRAM, member_id=member_id)
        assert not client.verify_member(asked).findings, member_id
    totals = audit_pb2.GetTrialBalanceRequest(program_id=PROGRAM)
    assert client.get_trial_balance(totals).total_points == 0

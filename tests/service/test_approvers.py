"""The second principal of a large adjustment, and the items of a batch: each asked for its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.core.instants import SECOND
from ledger.engine import real_clock
from ledger.v1 import member_pb2
from tests.conftest import RunningServer, running_server
from tests.service.client import GrpcClient, failure_of
from tests.service.credentials import id_of, make_key, revoke, token_keys_file
from tests.service.requests import (
    adjustment,
    balance,
    batch,
    contents,
    enrollment,
    hold,
    open_program,
    purchase,
    redemption,
    status,
)

DAY = 86_400 * SECOND


class Desk:
    """A server with the program `own`, where more than 100 points need a second principal, and the
    program `foreign`; and who works there."""

    def __init__(self, server: RunningServer, root: str) -> None:
        self.server = server
        self.url = server.database_url
        self.maria = self.key("support", ["own"], "maria")
        self.paul = self.key("support", ["own"], "paul")
        self.root = root
        self.clients = contextlib.ExitStack()

    def key(self, role: str, programs: list[str] | None, name: str) -> str:
        return make_key(self.url, role, programs, name=name)

    def client(self, credential: str) -> GrpcClient:
        client = GrpcClient(self.server.grpc_address, credential=credential)
        self.clients.callback(client.close)
        return client


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    root = make_key(database_url, "admin", name="root")
    path, _ = token_keys_file(tmp_path)
    with running_server(database_url, token_keys=path) as server:
        desk = Desk(server, root)
        rules = {"reason_codes": ["goodwill"], "approval_above": 100}
        for program_id in ("own", "foreign"):
            open_program(desk.client(root), program_id=program_id, adjustments=rules)
        yield desk
        desk.clients.close()


def test_a_second_principal_approves_and_the_entry_keeps_who_it_was(desk: Desk) -> None:
    maria = desk.client(desk.maria)
    request = adjustment(1, 500, program_id="own", approver=f" {desk.paul} ")

    entry = maria.adjust_points(request).entries[0]

    assert entry.actor == f"key:maria/{id_of(desk.maria)}"
    assert entry.approver == f"key:paul/{id_of(desk.paul)}"
    again = maria.adjust_points(request)
    assert (again.replayed, again.entries[0]) == (True, entry)
    assert desk.paul.split("_", 2)[2] not in str(contents(desk.url))


def test_nobody_approves_for_themselves_nor_without_being_allowed_to(desk: Desk) -> None:
    late = make_key(
        desk.url, "support", ["own"], now=real_clock() - 2 * DAY, expires=real_clock() - DAY
    )
    lost = desk.key("support", ["own"], "lost")
    revoke(desk.url, lost)
    token = desk.client(desk.root).call(
        "MemberService/CreateMemberToken",
        member_pb2.CreateMemberTokenRequest(program_id="own", member_id="m-1"),
        member_pb2.CreateMemberTokenResponse,
    )
    nobody = {
        "a name": "paul",
        "an actor": f"key:paul/{id_of(desk.paul)}",
        "an id": f"lk_{id_of(desk.paul)}",
        "the caller": desk.maria,
        "another key of the caller": desk.key("support", ["own"], "maria"),
        "a role that may not": desk.key("till", ["own"], "till-7"),
        "one who looks": desk.key("auditor", None, "auditor"),
        "somebody from elsewhere": desk.key("support", ["foreign"], "jo"),
        "a wrong secret": desk.paul[:-2] + ("AA" if desk.paul[-2:] != "AA" else "BB"),
        "somebody whose key expired": late,
        "somebody whose key was revoked": lost,
        "a member": token.token[:128],
    }
    maria = desk.client(desk.maria)
    before = contents(desk.url)
    for what, approver in nobody.items():
        for points in (500, 5):  # where it is not needed, too: it was meant to count
            request = adjustment(what, points, program_id="own", approver=approver)
            failure = failure_of(maria.adjust_points, request)
            assert failure.code == "PERMISSION_DENIED", what
            assert failure.reason == "APPROVER_NOT_ALLOWED", what
            assert approver not in f"{failure.message} {failure.metadata}"
            alone = maria.batch_write(batch(request)).results[0].error
            assert alone.code == 7, what
    assert contents(desk.url) == before


def test_a_batch_is_not_prolonged_by_approvers_that_nobody_knows(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would go on when its sender may not write any more. One look tells of all of them."""
    maria, access = desk.client(desk.maria), desk.server.service.access
    assert maria.adjust_points(adjustment("known", 1, program_id="own"))
    looks: list[int] = []
    look = access._look

    async def counted() -> None:
        looks.append(1)
        await look()

    monkeypatch.setattr(access, "_look", counted)
    unknown = (f"lk_{letter * 12}_{'A' * 43}" for letter in "abcdefghijkmnpqrstuvwxyz")
    items = [adjustment(each, 500, program_id="own", approver=each) for each in unknown]
    results = maria.batch_write(batch(*items)).results

    assert {result.error.code for result in results} == {7}
    assert 1 <= len(looks) < len(items) / 3


def test_a_key_made_just_now_approves_in_a_batch(desk: Desk) -> None:
    fresh = desk.key("support", ["own"], "jo")
    items = adjustment(1, 500, program_id="own", approver=fresh)
    result = desk.client(desk.maria).batch_write(batch(items)).results[0]
    assert result.receipt.entries[0].approver == f"key:jo/{id_of(fresh)}"


def test_without_an_approver_a_large_adjustment_waits_for_one(desk: Desk) -> None:
    maria = desk.client(desk.maria)
    failure = failure_of(maria.adjust_points, adjustment(1, 500, program_id="own"))
    assert failure.reason == "APPROVAL_REQUIRED"
    small = maria.adjust_points(adjustment(2, 100, program_id="own"))
    assert small.entries[0].approver == ""


def test_in_development_mode_an_approver_is_a_name_and_never_a_key(
    server: RunningServer,
) -> None:
    with contextlib.closing(GrpcClient(server.grpc_address)) as client:
        rules = {"reason_codes": ["goodwill"], "approval_above": 100}
        open_program(client, program_id="own", adjustments=rules)
        entry = client.adjust_points(adjustment(1, 500, program_id="own", approver="paul"))
        assert entry.entries[0].approver == "paul"
        key = f"lk_{'a' * 12}_{'B' * 43}"
        for approver in (key, f"see {key}", key[:30]):
            request = adjustment(2, 500, program_id="own", approver=approver)
            assert failure_of(client.adjust_points, request).fields == ["approver"]
    assert "B" * 10 not in str(contents(server.database_url))


def test_each_item_of_a_batch_is_asked_for_as_if_it_was_sent_alone(desk: Desk) -> None:
    till = desk.client(desk.key("till", ["own"], "till-7"))
    items: list[tuple[Any, str]] = [
        (purchase(1, "5.00", program_id="own"), ""),
        (purchase(2, "5.00", program_id="foreign"), "PROGRAM_NOT_ALLOWED"),
        (adjustment(3, 5, program_id="own"), "ROLE_NOT_ALLOWED"),
        (enrollment("m-9", program_id="own"), ""),
        (status("SUSPENDED", program_id="own"), "ROLE_NOT_ALLOWED"),
        (redemption(5, 1, program_id="own"), ""),
        (hold(6, 1, program_id="no-such-program"), "PROGRAM_NOT_ALLOWED"),
    ]
    written = till.batch_write(batch(*(item for item, _ in items)))

    for (item, reason), result in zip(items, written.results, strict=True):
        if not reason:
            assert result.WhichOneof("outcome") == "receipt", item
            continue
        assert result.error.code == 7
        assert reason in str(result.error.details)
    root = desk.client(desk.root)
    assert root.get_balance(balance("m-1", program_id="foreign")).lifetime_points == 0
    assert root.get_balance(balance("m-1", program_id="own")).available_points == 4

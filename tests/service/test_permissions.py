"""Every method, tried by every role, for its own program and for another one, on both ports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection

from ledger.metrics import Metrics
from ledger.rpc.dispatch import Dispatcher, methods_of
from ledger.rpc.permissions import BY_ITEM, CREATED, ITEMS, OWN, REQUEST, TABLE
from ledger.rpc.principals import MEMBER, MEMBER_HOLDS, ROLES
from ledger.store.embedded import EmbeddedServer
from ledger.v1 import balance_pb2, member_pb2, points_pb2
from tests.conftest import RunningServer, fresh_database, running_server
from tests.service.client import GrpcClient
from tests.service.credentials import (
    METHODS,
    ask,
    bearer,
    make_key,
    reasons,
    request_for,
    token_keys_file,
)
from tests.service.requests import open_program

OWN_PROGRAM, FOREIGN = "own", "foreign"
TOKENS = (MEMBER, MEMBER_HOLDS)


@dataclass(frozen=True)
class Guarded:
    """A server with two programs, and a credential of each role for one of them."""

    server: RunningServer
    root: str
    credentials: dict[str, str]


@pytest.fixture(scope="module")
def guarded(
    cluster: EmbeddedServer,
    administrator: Connection,
    template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Guarded]:
    path, _ = token_keys_file(tmp_path_factory.mktemp("keys"))
    with fresh_database(cluster, administrator, template) as url:
        root = make_key(url, "admin", name="root")
        credentials = {role: make_key(url, role, [OWN_PROGRAM]) for role in ROLES}
        with running_server(url, token_keys=path) as server:
            client = GrpcClient(server.grpc_address, credential=root)
            for program_id in (OWN_PROGRAM, FOREIGN):
                open_program(client, program_id=program_id)
            for role in TOKENS:
                answer = client.call(
                    "MemberService/CreateMemberToken",
                    member_pb2.CreateMemberTokenRequest(
                        program_id=OWN_PROGRAM, member_id="m-1", holds=role == MEMBER_HOLDS
                    ),
                    member_pb2.CreateMemberTokenResponse,
                )
                credentials[role] = answer.token
            client.close()
            yield Guarded(server, root, credentials)


def test_every_method_has_a_row_and_every_row_a_method() -> None:
    assert METHODS.keys() <= TABLE.keys(), "who may call them?"
    assert TABLE.keys() <= METHODS.keys(), "they are no methods"


def test_the_documentation_has_the_same_table() -> None:
    text = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
    table = text.partition("<!-- roles: compared with the code by a test -->\n")[2]
    lines = table.partition("\n\n")[0].splitlines()
    heads = [cell.strip() for cell in lines[0].strip("|").split("|")[1:]]
    documented = {}
    for line in lines[2:]:
        name, *cells = (cell.strip() for cell in line.removeprefix("|").split("|")[:-1])
        roles = {role for role, cell in zip(heads, cells, strict=True) if cell == "✓"}
        if cells[-1]:  # ✓ with every token, ✓* with one for holds
            roles.add(MEMBER_HOLDS)
        documented[name] = roles
    assert documented == {name: set(rule.roles) for name, rule in TABLE.items()}


@pytest.mark.parametrize("name", METHODS)
def test_a_row_finds_the_program_and_the_member_where_the_request_has_them(name: str) -> None:
    fields, rule = METHODS[name].input_type.fields_by_name, TABLE[name]

    if "program_id" in fields:
        assert rule.scope == REQUEST
    elif "program" in fields:
        assert rule.scope == CREATED
        message = fields["program"].message_type
        assert message is not None
        assert "program_id" in message.fields_by_name
    elif "items" in fields:
        assert rule.scope == ITEMS
    else:
        assert rule.scope == OWN
        assert name == "ProgramService/ListPrograms", "does it leave out foreign programs?"
    if rule.roles & set(TOKENS):
        assert "member_id" in fields
        assert rule.scope == REQUEST


def test_every_item_of_a_batch_is_ruled_as_the_method_with_its_request() -> None:
    items = points_pb2.BatchWriteItem.DESCRIPTOR.fields
    for item in items:
        assert item.message_type is METHODS[BY_ITEM[item.name]].input_type
        assert TABLE[BY_ITEM[item.name]].scope == REQUEST
    assert items


@pytest.mark.parametrize("transport", ["grpc", "http"])
@pytest.mark.parametrize("role", [*ROLES, *TOKENS])
def test_a_role_may_do_what_the_table_says_in_its_own_program_only(
    role: str, transport: str, guarded: Guarded
) -> None:
    headers, wrong = bearer(guarded.credentials[role]), []
    for name, method in METHODS.items():
        for program_id in (OWN_PROGRAM, FOREIGN, "no-such-program"):
            # A member's token is tried on its member, and then on nobody.
            member_id = "m-1" if role in TOKENS else "nobody"
            request = request_for(method, program_id, member_id)
            failure = ask(guarded.server, transport, method, request, headers)
            rule = TABLE[name]
            if role not in rule.roles:
                expected = "ROLE_NOT_ALLOWED"
            elif rule.scope in (REQUEST, CREATED) and program_id != OWN_PROGRAM:
                expected = "PROGRAM_NOT_ALLOWED"
            else:
                expected = ""
            denied = failure is not None and failure.code in (
                "PERMISSION_DENIED",
                "UNAUTHENTICATED",
            )
            if (reasons(failure) if denied else "") != expected:
                wrong.append((name, program_id, expected, str(failure)))
    assert not wrong


@pytest.mark.parametrize("transport", ["grpc", "http"])
@pytest.mark.parametrize("role", TOKENS)
def test_a_member_token_is_for_its_member_only(role: str, transport: str, guarded: Guarded) -> None:
    headers = bearer(guarded.credentials[role])
    allowed = [name for name in METHODS if role in TABLE[name].roles]
    assert len(allowed) >= 9
    for name in allowed:
        for member_id in ("m-2", "", "M-1", "m-1 "):
            request = request_for(METHODS[name], OWN_PROGRAM, member_id)
            failure = ask(guarded.server, transport, METHODS[name], request, headers)
            assert reasons(failure) == "MEMBER_NOT_ALLOWED", (name, member_id)


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_without_a_credential_nothing_is_answered(transport: str, guarded: Guarded) -> None:
    for name, method in METHODS.items():
        request = request_for(method, OWN_PROGRAM, "m-1")
        failure = ask(guarded.server, transport, method, request, {})
        assert failure is not None, name
        assert (failure.code, failure.reason) == ("UNAUTHENTICATED", "CREDENTIAL_MISSING"), name


def test_a_server_does_not_start_with_a_method_that_nobody_has_ruled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(TABLE, "BalanceService/GetBalance")
    service = balance_pb2.DESCRIPTOR.services_by_name["BalanceService"]
    methods = methods_of(service, SimpleNamespace(**dict.fromkeys(service.methods_by_name)))
    nothing: Any = None

    with pytest.raises(LookupError, match="who may call BalanceService/GetBalance"):
        Dispatcher(methods, Metrics(), nothing, nothing, nothing, nothing)

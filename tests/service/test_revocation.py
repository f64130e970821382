"""Access that has ended is over: also for what began before, and however busy the server is."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import psycopg2
import pytest
from google.protobuf import json_format
from google.rpc import code_pb2

from ledger.rpc import access
from ledger.rpc.access import REFRESH_SECONDS
from ledger.rpc.tokens import load_token_keys, rotated, save_token_keys
from ledger.v1 import member_pb2
from tests.conftest import RunningServer, running_server
from tests.faults.processes import eventually
from tests.service.client import Failure, GrpcClient, JsonClient, connect_status
from tests.service.credentials import (
    METHODS,
    ask,
    bearer,
    make_key,
    reasons,
    request_for,
    revoke,
    token_keys_file,
)
from tests.service.requests import adjustment, batch, open_program, purchase

BALANCE = METHODS["BalanceService/GetBalance"]
SOON = 2 * REFRESH_SECONDS + 2


class Shop:
    """A server with the program `own` and the member m-1, whose callers need credentials."""

    def __init__(self, server: RunningServer, root: str, token_keys: Path) -> None:
        self.server = server
        self.root = root
        self.token_keys = token_keys
        self.key = make_key(server.database_url, "shop", ["own"])

    def client(self, credential: str) -> GrpcClient:
        return GrpcClient(self.server.grpc_address, credential=credential)

    def token(self) -> str:
        with contextlib.closing(self.client(self.key)) as client:
            minted = client.call(
                "MemberService/CreateMemberToken",
                member_pb2.CreateMemberTokenRequest(program_id="own", member_id="m-1"),
                member_pb2.CreateMemberTokenResponse,
            )
        return minted.token

    def refused(self, headers: dict[str, str], member_id: str = "m-1") -> str:
        """Why a balance is not shown; `OK` if it is."""
        request = request_for(BALANCE, "own", member_id)
        return reasons(ask(self.server, "grpc", BALANCE, request, headers))


@pytest.fixture
def shop(database_url: str, tmp_path: Path) -> Iterator[Shop]:
    root = make_key(database_url, "admin", name="root")
    path, _ = token_keys_file(tmp_path)
    with running_server(database_url, token_keys=path) as server:
        shop = Shop(server, root, path)
        with contextlib.closing(shop.client(root)) as client:
            open_program(client, program_id="own")
        yield shop


@contextlib.contextmanager
def half_sent(
    server: RunningServer, credential: str, data: bytes
) -> Iterator[Callable[[], Failure | None]]:
    """A purchase over HTTP, sent but for its end; what to call to send that, and how it failed."""
    connection = http.client.HTTPConnection(server.http_address, timeout=10)
    with contextlib.closing(connection):
        connection.putrequest("POST", "/ledger.v1.PointsService/RecordPurchase")
        headers = {"content-type": "application/json", "content-length": str(len(data))}
        for name, value in {**headers, **(bearer(credential) if credential else {})}.items():
            connection.putheader(name, value)
        connection.endheaders(data[:-1])

        def finish() -> Failure | None:
            connection.send(data[-1:])
            answer = connection.getresponse()
            told = json.loads(answer.read())
            return None if answer.status == 200 else Failure(connect_status(told))

        yield finish


def bought(number: object) -> bytes:
    request = purchase(number, "5.00", program_id="own")
    return json_format.MessageToJson(request).encode()


def test_who_is_revoked_while_a_request_is_sent_is_not_answered(shop: Shop) -> None:
    """Whoever steals a key could otherwise begin requests and keep them for later."""
    server = shop.server
    with (
        half_sent(server, shop.key, bought(1)) as finish,
        half_sent(server, shop.root, bought(2)) as finish_other,
    ):
        assert shop.refused(bearer(shop.key)) == "OK"
        time.sleep(0.2)
        revoke(server.database_url, shop.key)
        eventually(
            "the revocation is known",
            lambda: shop.refused(bearer(shop.key)) == "CREDENTIAL_REVOKED",
            SOON,
        )

        failure = finish()

        assert failure is not None, "it was written"
        assert (failure.code, failure.reason) == ("UNAUTHENTICATED", "CREDENTIAL_REVOKED")
        assert finish_other() is None


def test_a_request_that_began_in_development_mode_does_not_outlive_it(database_url: str) -> None:
    with running_server(database_url) as server:
        with contextlib.closing(GrpcClient(server.grpc_address)) as client:
            open_program(client, program_id="own")
        with half_sent(server, "", bought(1)) as finish:
            time.sleep(0.2)
            make_key(database_url, "admin")
            eventually(
                "the first key is known", lambda: not server.service.access.in_development, SOON
            )
            assert reasons(finish()) == "CREDENTIAL_MISSING"


@pytest.mark.parametrize("how", ["the key that signed it", "the key that asked for it"])
def test_a_stream_ends_with_every_key_that_its_token_stands_on(how: str, shop: Shop) -> None:
    token = shop.token()
    request = request_for(METHODS["BalanceService/WatchBalance"], "own", "m-1")
    with shop.server.channel() as channel, contextlib.closing(shop.client(shop.root)) as root:
        open_stream: Any = channel.unary_stream("/ledger.v1.BalanceService/WatchBalance")
        stream = open_stream(
            request.SerializeToString(), timeout=30, metadata=list(bearer(token).items())
        )
        assert next(stream)
        if how == "the key that signed it":
            keys, _ = rotated(load_token_keys(shop.token_keys), keep=0, stage=False)
            save_token_keys(shop.token_keys, keys)
        else:
            revoke(shop.server.database_url, shop.key)
        eventually("the token is refused", lambda: shop.refused(bearer(token)) != "OK", SOON)

        root.record_purchase(purchase("unseen", "5.00", program_id="own"))

        with pytest.raises(grpc.RpcError) as caught:
            next(stream)
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED


def test_keys_are_looked_at_often_enough_for_what_is_promised() -> None:
    """Two seconds (docs/operating.md): a look takes some time, too."""
    assert REFRESH_SECONDS <= 1.5


def test_a_revocation_does_not_wait_for_the_questions_of_others(shop: Shop) -> None:
    """Entries are locked, so each of them takes a second, and a hundred are asked for."""
    server, url = shop.server, shop.server.database_url
    list_entries = METHODS["BalanceService/ListEntries"]
    request = request_for(list_entries, "own", "m-1")
    assert shop.refused(bearer(shop.key)) == "OK"
    with contextlib.closing(psycopg2.connect(url)) as other, server.channel() as channel:
        other.cursor().execute("LOCK TABLE entries IN ACCESS EXCLUSIVE MODE")
        call: Any = channel.unary_unary("/ledger.v1.BalanceService/ListEntries")
        waiting = [
            call.future(
                request.SerializeToString(), timeout=60, metadata=list(bearer(shop.root).items())
            )
            for _ in range(100)
        ]
        # Refused for what it asks before anything is looked up.
        assert shop.refused(bearer(shop.key), member_id="") == "INVALID_FIELD"
        revoke(url, shop.key)
        eventually(
            "the revocation is known",
            lambda: shop.refused(bearer(shop.key), member_id="") == "CREDENTIAL_REVOKED",
            SOON,
        )
        assert not all(each.done() for each in waiting), "nobody waited: this says nothing"
        for each in waiting:
            each.cancel()
        other.rollback()


@contextlib.contextmanager
def keys_closed(url: str) -> Iterator[None]:
    """The service can not read which keys there are, and everything else as before."""
    with contextlib.closing(psycopg2.connect(url)) as owner:
        owner.autocommit = True
        owner.cursor().execute("REVOKE SELECT ON api_keys FROM ledger_service")
        yield
        owner.cursor().execute("GRANT SELECT ON api_keys TO ledger_service")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are looked at often, and believed for a moment only."""
    monkeypatch.setattr(access, "REFRESH_SECONDS", 0.1)
    monkeypatch.setattr(access, "BELIEVED_SECONDS", 3.0)


@pytest.mark.usefixtures("impatient")
def test_nobody_is_an_administrator_where_the_keys_can_not_be_read(database_url: str) -> None:
    """One may have been made meanwhile, which ends development mode."""
    request = request_for(BALANCE, "own", "m-1")
    with running_server(database_url) as server:

        def refused() -> str:
            return reasons(ask(server, "http", BALANCE, request, {}))

        with contextlib.closing(GrpcClient(server.grpc_address)) as client:
            open_program(client, program_id="own")
        assert refused() == "OK"
        with keys_closed(database_url), half_sent(server, "", bought(1)) as finish:
            make_key(database_url, "admin")
            eventually("it is refused", lambda: refused() == "STORAGE_UNAVAILABLE")
            assert reasons(finish()) == "STORAGE_UNAVAILABLE"
        eventually("the key is known", lambda: refused() == "CREDENTIAL_MISSING")


@pytest.mark.usefixtures("impatient")
def test_a_key_that_nobody_can_look_for_is_not_called_wrong(shop: Shop) -> None:
    """A till whose key is wrong gives up, and one that is told to wait comes again."""
    with keys_closed(shop.server.database_url):
        fresh = make_key(shop.server.database_url, "till", ["own"])
        assert shop.refused(bearer(fresh)) == "STORAGE_UNAVAILABLE"
    eventually("it is recognised", lambda: shop.refused(bearer(fresh)) == "OK")


@pytest.mark.usefixtures("impatient")
def test_a_batch_does_not_look_again_and_again_for_what_can_not_be_read(shop: Shop) -> None:
    support, own = make_key(shop.server.database_url, "support", ["own"]), shop.server.service
    assert shop.refused(bearer(support)) == "OK"
    letters = "abcdefghijkmnpqrstuvwxyz"
    items = (
        adjustment(each, 1, program_id="own", approver=f"lk_{each * 12}_{'A' * 43}")
        for each in letters
    )
    waits: list[int] = []
    look_again = own.access._look_again

    async def counted() -> bool:
        waits.append(1)
        return await look_again()

    with (
        keys_closed(shop.server.database_url),
        pytest.MonkeyPatch.context() as patch,
        contextlib.closing(shop.client(support)) as client,
    ):
        patch.setattr(own.access, "_look_again", counted)
        results = client.batch_write(batch(*items)).results
    assert {result.error.code for result in results} == {code_pb2.UNAVAILABLE}
    assert 1 <= len(waits) < len(letters) / 3


@pytest.mark.usefixtures("impatient")
def test_the_metrics_tell_of_a_database_that_is_away_for_long(shop: Shop) -> None:
    auditor = make_key(shop.server.database_url, "auditor", name="prometheus")

    def seen(credential: str) -> int:
        client = JsonClient(shop.server.http_address, credential=credential)
        with contextlib.closing(client):
            return client.exchange("GET", "/metrics", None, {})[0]

    assert seen(auditor) == 200
    with keys_closed(shop.server.database_url):
        eventually("it is refused", lambda: shop.refused(bearer(shop.key)) == "STORAGE_UNAVAILABLE")
        assert seen(auditor) == 200
        assert seen(shop.key) == 403
        assert seen(make_key(shop.server.database_url, "auditor")) == 503

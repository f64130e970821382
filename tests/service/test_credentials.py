"""Credentials: which are recognised, which are refused and why, and that nobody sees them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from grpc_health.v1 import health_pb2, health_pb2_grpc
from psycopg2.extensions import connection as Connection

from ledger.core.errors import StorageUnavailable
from ledger.core.instants import SECOND
from ledger.engine import real_clock
from ledger.rpc import access
from ledger.rpc.access import MAX_SEEN, REFRESH_SECONDS
from ledger.rpc.principals import DEVELOPER
from ledger.rpc.tokens import (
    AUDIENCE,
    ISSUER,
    TokenKey,
    load_token_keys,
    new_token_key,
    rotated,
    save_token_keys,
)
from ledger.store.embedded import EmbeddedServer
from ledger.v1 import member_pb2, program_pb2
from tests.conftest import RunningServer, fresh_database, running_server
from tests.service.client import Client, Failure, GrpcClient, JsonClient, failure_of
from tests.service.credentials import (
    METHODS,
    ask,
    bearer,
    described,
    id_of,
    make_key,
    request_for,
    revoke,
    token_keys_file,
)
from tests.service.requests import (
    adjustment,
    balance,
    contents,
    entries,
    hold,
    open_program,
    purchase,
)

PORTS = ("grpc", "http")
BALANCE = METHODS["BalanceService/GetBalance"]
DAY = 86_400 * SECOND


@dataclass(frozen=True)
class Shop:
    """A server whose callers need credentials: a program, and keys for it."""

    server: RunningServer
    root: str
    shop: str
    token_keys: Path
    token_key: TokenKey

    def client(self, credential: str, port: str = "grpc") -> Client:
        if port == "grpc":
            return GrpcClient(self.server.grpc_address, credential=credential)
        return JsonClient(self.server.http_address, credential=credential)

    def asked(self, port: str, headers: dict[str, str]) -> Failure | None:
        """How m-1's balance is refused to a caller with these headers."""
        return ask(self.server, port, BALANCE, request_for(BALANCE, "own", "m-1"), headers)

    def token(self, **changes: Any) -> str:
        """A good token for m-1, or what becomes of it with other claims (None: without)."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "m-1",
            "program": "own",
            "by": f"key:shop/{id_of(self.shop)}",
            "iat": now,
            "exp": now + 600,
        }
        changed = {name: value for name, value in (claims | changes).items() if value is not None}
        return jwt.encode(changed, self.token_key.secret, headers={"kid": self.token_key.kid})


@pytest.fixture(scope="module")
def shop(
    cluster: EmbeddedServer,
    administrator: Connection,
    template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shop]:
    path, token_key = token_keys_file(tmp_path_factory.mktemp("keys"))
    with fresh_database(cluster, administrator, template) as url:
        root = make_key(url, "admin", name="root")
        key = make_key(url, "shop", ["own"])
        with running_server(url, token_keys=path) as server:
            shop = Shop(server, root, key, path, token_key)
            with contextlib.closing(shop.client(root)) as client:
                for program_id in ("own", "foreign"):
                    open_program(client, program_id=program_id)
            yield shop


def eventually(check: Callable[[], bool], seconds: float = 2 * REFRESH_SECONDS + 2) -> float:
    """How long it took until something held."""
    began = time.monotonic()
    while not check():
        assert time.monotonic() - began < seconds, f"not within {seconds} s"
        time.sleep(0.05)
    return time.monotonic() - began


def tampered(text: str) -> str:
    """The text with one character changed, and as long as before."""
    middle = len(text) - 10
    return text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1 :]


def unsigned(token: str) -> str:
    """The token as somebody would write it who says that it needs no signature."""
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode())
    return f"{header.decode().rstrip('=')}.{token.split('.')[1]}."


def altered(token: str, **changes: Any) -> str:
    """The token with other claims under the signature that it had."""
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    text = base64.urlsafe_b64encode(json.dumps(claims | changes).encode()).decode().rstrip("=")
    return f"{header}.{text}.{signature}"


def signed_by(secret: Any, algorithm: str = "HS256", **header: str) -> Callable[[Shop], str]:
    def sign(shop: Shop) -> str:
        claims = jwt.decode(shop.token(), options={"verify_signature": False})
        return jwt.encode(claims, secret or shop.token_key.secret, algorithm, headers=header)

    return sign


def now(seconds: int = 0) -> int:
    """So many seconds from now, as tokens tell times."""
    return int(time.time()) + seconds


#: by name: a credential that is none, and the reason it is refused for
REFUSED: dict[str, tuple[Callable[[Shop], str], str]] = {
    "nothing": (lambda shop: "", "CREDENTIAL_INVALID"),
    "a word": (lambda shop: "developer", "CREDENTIAL_INVALID"),
    "only the id of a key": (lambda shop: f"lk_{id_of(shop.shop)}", "CREDENTIAL_INVALID"),
    "a key with another secret": (lambda shop: tampered(shop.shop), "CREDENTIAL_INVALID"),
    "a key cut off": (lambda shop: shop.shop[:-1], "CREDENTIAL_INVALID"),
    "a key and more": (lambda shop: shop.shop + "A", "CREDENTIAL_INVALID"),
    "a key in capitals": (lambda shop: shop.shop.upper(), "CREDENTIAL_INVALID"),
    "the id of another key": (
        lambda shop: shop.shop.replace(id_of(shop.shop), id_of(shop.root)),
        "CREDENTIAL_INVALID",
    ),
    "a key that was never made": (
        lambda shop: shop.shop.replace(id_of(shop.shop), "a" * 12),
        "CREDENTIAL_INVALID",
    ),
    "more than any credential has": (lambda shop: "x" * 5_000, "CREDENTIAL_INVALID"),
    "a token that says it needs no signature": (
        lambda shop: unsigned(shop.token()),
        "CREDENTIAL_INVALID",
    ),
    "a token without its signature": (
        lambda shop: shop.token().rpartition(".")[0] + ".",
        "CREDENTIAL_INVALID",
    ),
    "a token with another signature": (lambda shop: tampered(shop.token()), "CREDENTIAL_INVALID"),
    "a token for somebody else, under its signature": (
        lambda shop: altered(shop.token(), sub="m-2"),
        "CREDENTIAL_INVALID",
    ),
    "a token for another audience": (
        lambda shop: shop.token(aud="somebody-else"),
        "CREDENTIAL_INVALID",
    ),
    "a token without an audience": (lambda shop: shop.token(aud=None), "CREDENTIAL_INVALID"),
    "a token of another issuer": (lambda shop: shop.token(iss="elsewhere"), "CREDENTIAL_INVALID"),
    "a token that expired": (
        lambda shop: shop.token(iat=now(-900), exp=now(-1)),
        "CREDENTIAL_EXPIRED",
    ),
    "a token that never expires": (lambda shop: shop.token(exp=None), "CREDENTIAL_INVALID"),
    "a token that ends in infinity": (lambda shop: shop.token(exp=math.inf), "CREDENTIAL_INVALID"),
    "a token for longer than an hour": (
        lambda shop: shop.token(exp=now(4_000)),
        "CREDENTIAL_INVALID",
    ),
    "a token from the future": (
        lambda shop: shop.token(iat=now(3_000), exp=now(3_100)),
        "CREDENTIAL_INVALID",
    ),
    "a token for no member": (lambda shop: shop.token(sub=""), "CREDENTIAL_INVALID"),
    "a token for no program": (lambda shop: shop.token(program=None), "CREDENTIAL_INVALID"),
    "a token made by a key that never was": (
        lambda shop: shop.token(by="key:shop/aaaaaaaaaaaa"),
        "CREDENTIAL_INVALID",
    ),
    "a token signed with a key that is not in the file": (
        signed_by(b"x" * 32, kid="unknown"),
        "CREDENTIAL_INVALID",
    ),
    "a token that names no key": (signed_by(b""), "CREDENTIAL_INVALID"),
}


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_credential_is_refused(what: str, port: str, shop: Shop) -> None:
    make, reason = REFUSED[what]
    failure = shop.asked(port, bearer(make(shop)))

    assert failure is not None, "it was answered"
    assert (failure.code, failure.reason) == ("UNAUTHENTICATED", reason)


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("algorithm", ["HS384", "HS512", "RS256", "EdDSA"])
@pytest.mark.filterwarnings("ignore:The HMAC key:jwt.InsecureKeyLengthWarning")
def test_a_token_is_read_with_the_one_algorithm_whatever_it_says_itself(
    algorithm: str, port: str, shop: Shop
) -> None:
    own: dict[str, Any] = {
        "RS256": lambda: rsa.generate_private_key(65_537, 2_048),
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
    }
    secret = own[algorithm]() if algorithm in own else shop.token_key.secret
    token = signed_by(secret, algorithm, kid=shop.token_key.kid)(shop)
    assert jwt.get_unverified_header(token)["alg"] == algorithm

    failure = shop.asked(port, bearer(token))

    assert failure is not None
    assert failure.reason == "CREDENTIAL_INVALID"


@pytest.mark.parametrize("port", PORTS)
def test_other_schemes_are_refused_and_the_scheme_may_be_written_in_any_way(
    port: str, shop: Shop
) -> None:
    for text in (shop.shop, f"Basic {shop.shop}", f"Bearer{shop.shop}", f"Bearer  {shop.shop}"):
        failure = shop.asked(port, {"authorization": text})
        assert failure is not None
        assert failure.reason == "CREDENTIAL_INVALID"
    for scheme in ("bearer", "Bearer", "BEARER"):
        assert shop.asked(port, {"authorization": f"{scheme} {shop.shop}"}) is None


@pytest.mark.parametrize("first", ["good", "bad"])
def test_of_two_credentials_neither_counts(first: str, shop: Shop) -> None:
    """Who is in between may have looked at the other one."""
    said = [f"Bearer {shop.root}", "Bearer nonsense"]
    said = said if first == "good" else said[::-1]
    request = request_for(BALANCE, "own", "m-1").SerializeToString()
    with shop.server.channel() as channel:
        call: Any = channel.unary_unary("/ledger.v1.BalanceService/GetBalance")
        with pytest.raises(grpc.RpcError) as caught:
            call(request, timeout=5, metadata=[("authorization", each) for each in said])
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    for method, path in (("POST", "/ledger.v1.BalanceService/GetBalance"), ("GET", "/metrics")):
        assert sent(shop.server, method, path, [each.encode() for each in said]) == 401


def test_headers_may_have_bytes_that_are_not_utf_8(shop: Shop) -> None:
    path = "/ledger.v1.BalanceService/GetBalance"
    good = f"Bearer {shop.shop}".encode()
    assert sent(shop.server, "POST", path, [good], **{"x-cashier": b"Jos\xe9"}) == 200
    assert sent(shop.server, "POST", path, [good + b"\xff"]) == 401


def sent(
    server: RunningServer, method: str, path: str, authorization: list[bytes], **headers: bytes
) -> int:
    """The status of the answer to a request with these headers, as they are."""
    body = b'{"programId": "own", "memberId": "m-1"}'
    connection = http.client.HTTPConnection(server.http_address, timeout=5)
    with contextlib.closing(connection):
        connection.putrequest(method, path)
        for each in authorization:
            connection.putheader("authorization", each)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.putheader("content-type", "application/json")
        connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        return connection.getresponse().status


@pytest.mark.parametrize("port", PORTS)
def test_a_good_token_is_answered_and_only_in_its_own_program(port: str, shop: Shop) -> None:
    assert shop.asked(port, bearer(shop.token())) is None
    failure = shop.asked(port, bearer(shop.token(program="foreign")))
    assert failure is not None
    assert failure.reason == "PROGRAM_NOT_ALLOWED"


@pytest.mark.parametrize("port", PORTS)
def test_a_key_that_expired_or_was_revoked_is_told_so_to_whoever_has_it(
    port: str, shop: Shop
) -> None:
    url, now = shop.server.database_url, real_clock()
    expired = make_key(url, "till", name="old", now=now - 2 * DAY, expires=now - DAY)
    soon = make_key(url, "till", name="soon", expires=now + DAY)
    revoked = make_key(url, "till", name="lost")
    assert shop.asked(port, bearer(soon)) is None
    revoke(url, revoked)
    eventually(lambda: shop.asked(port, bearer(revoked)) is not None)

    for key, reason in ((expired, "CREDENTIAL_EXPIRED"), (revoked, "CREDENTIAL_REVOKED")):
        failure = shop.asked(port, bearer(key))
        assert failure is not None
        assert (failure.code, failure.reason) == ("UNAUTHENTICATED", reason)
        guess = shop.asked(port, bearer(tampered(key)))
        assert guess is not None
        assert guess.reason == "CREDENTIAL_INVALID"


def test_a_key_ends_at_its_instant_while_it_is_used(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = real_clock() + DAY
    key = make_key(shop.server.database_url, "till", expires=ends)
    assert shop.asked("grpc", bearer(key)) is None

    monkeypatch.setattr("ledger.rpc.access.time.time", lambda: ends / SECOND)
    failure = shop.asked("grpc", bearer(key))

    assert failure is not None
    assert failure.reason == "CREDENTIAL_EXPIRED"


@pytest.mark.parametrize("port", PORTS)
def test_malformed_requests_of_strangers_are_not_even_read(port: str, shop: Shop) -> None:
    client = shop.client("nonsense", port)
    data = b"\xff\xff\xff" if port == "grpc" else b'{"memberId": '
    with pytest.raises(Failure) as caught:
        client.send("BalanceService/GetBalance", data)
    client.close()
    assert caught.value.code == "UNAUTHENTICATED"


@pytest.mark.parametrize("port", PORTS)
def test_a_member_of_a_foreign_program_is_like_one_that_does_not_exist(
    port: str, shop: Shop
) -> None:
    """The same answer, and in the same time: nothing is looked up for either."""
    headers = bearer(shop.shop)
    asked = {
        "there": request_for(BALANCE, "foreign", "m-1"),
        "not there": request_for(BALANCE, "foreign", "nobody"),
        "no program": request_for(BALANCE, "no-such-program", "m-1"),
    }
    answers, seconds = set(), {name: float("inf") for name in asked}
    for _ in range(25):
        for name, request in asked.items():
            began = time.perf_counter()
            failure = ask(shop.server, port, BALANCE, request, headers)
            seconds[name] = min(seconds[name], time.perf_counter() - began)
            answers.add(str(described(failure)))

    assert len(answers) == 1
    assert "PROGRAM_NOT_ALLOWED" in answers.pop()
    slowest, quickest = max(seconds.values()), min(seconds.values())
    assert slowest - quickest < 0.001 + 0.5 * quickest, seconds


@pytest.mark.parametrize("port", PORTS)
def test_a_caller_lists_its_own_programs_and_can_not_ask_where_others_stand(
    port: str, shop: Shop
) -> None:
    with contextlib.closing(shop.client(shop.shop, port)) as client:
        everything = client.list_programs(program_pb2.ListProgramsRequest())
        assert [program.program_id for program in everything.programs] == ["own"]
        for program_id in ("foreign", "no-such-program"):
            token = base64.urlsafe_b64encode(json.dumps([["programs"], program_id]).encode())
            request = program_pb2.ListProgramsRequest(page_token=token.decode())
            failure = failure_of(client.list_programs, request)
            assert failure.fields == ["page_token"]
    with contextlib.closing(shop.client(shop.root, port)) as client:
        everything = client.list_programs(program_pb2.ListProgramsRequest())
        assert {program.program_id for program in everything.programs} == {"own", "foreign"}


def mint(client: Client, member_id: str = "m-1", **more: Any) -> Any:
    return client.call(
        "MemberService/CreateMemberToken",
        member_pb2.CreateMemberTokenRequest(program_id="own", member_id=member_id, **more),
        member_pb2.CreateMemberTokenResponse,
    )


@pytest.mark.parametrize("port", PORTS)
def test_a_shop_mints_tokens_for_members_that_there_are(port: str, shop: Shop) -> None:
    with contextlib.closing(shop.client(shop.shop, port)) as client:
        minted = mint(client)
        lasts = minted.expire_time.seconds - time.time()
        assert 890 < lasts <= 901
        assert shop.asked(port, bearer(minted.token)) is None
        request = member_pb2.CreateMemberTokenRequest(program_id="own", member_id="m-1")
        request.ttl.FromSeconds(3_600)
        longest = client.call(
            "MemberService/CreateMemberToken", request, member_pb2.CreateMemberTokenResponse
        )
        assert 3_590 < longest.expire_time.seconds - time.time() <= 3_601
        for seconds in (0, 3_601, -1):
            request.ttl.FromSeconds(seconds)
            failure = failure_of(
                lambda asked: client.call(
                    "MemberService/CreateMemberToken", asked, member_pb2.CreateMemberTokenResponse
                ),
                request,
            )
            assert failure.fields == ["ttl"]
        failure = failure_of(lambda _: mint(client, "nobody"), None)
        assert failure.reason == "MEMBER_NOT_FOUND"


def test_a_token_ends_with_the_key_that_asked_for_it(shop: Shop) -> None:
    ends = real_clock() + 60 * SECOND
    key = make_key(shop.server.database_url, "shop", ["own"], expires=ends)
    with contextlib.closing(shop.client(key)) as client:
        assert mint(client).expire_time.seconds == ends // SECOND


def test_without_signing_keys_there_are_no_tokens(server: RunningServer) -> None:
    with contextlib.closing(GrpcClient(server.grpc_address)) as client:
        open_program(client, program_id="own")
        failure = failure_of(lambda _: mint(client), None)
    assert (failure.code, failure.reason) == ("FAILED_PRECONDITION", "TOKENS_NOT_CONFIGURED")


def test_a_revocation_is_known_to_every_server_within_seconds(
    database_url: str, tmp_path: Path
) -> None:
    path, _ = token_keys_file(tmp_path)
    root = make_key(database_url, "admin", name="root")
    key = make_key(database_url, "shop", ["own"])
    with (
        running_server(database_url, token_keys=path) as first,
        running_server(database_url, token_keys=path) as second,
    ):
        with contextlib.closing(GrpcClient(first.grpc_address, credential=root)) as client:
            open_program(client, program_id="own")
        with contextlib.closing(GrpcClient(first.grpc_address, credential=key)) as client:
            token = mint(client).token

        def refused(server: RunningServer, credential: str) -> str:
            request = request_for(BALANCE, "own", "m-1")
            failure = ask(server, "http", BALANCE, request, bearer(credential))
            return "" if failure is None else failure.reason

        servers, credentials = (first, second), (key, token)
        assert not any(refused(server, each) for server in servers for each in credentials)
        revoke(database_url, key)
        for server in servers:
            for each in credentials:
                eventually(lambda s=server, c=each: refused(s, c) == "CREDENTIAL_REVOKED")  # type: ignore[misc]
        assert not refused(first, root)


def test_a_stream_tells_nothing_more_once_its_credential_is_revoked(shop: Shop) -> None:
    url, method = shop.server.database_url, METHODS["BalanceService/WatchBalance"]
    key = make_key(url, "shop", ["own"], name="watching")
    with contextlib.closing(shop.client(key)) as client:
        token = mint(client).token
    request = request_for(method, "own", "m-1").SerializeToString()
    with shop.server.channel() as channel, contextlib.closing(shop.client(shop.root)) as root:
        open_stream: Any = channel.unary_stream("/ledger.v1.BalanceService/WatchBalance")
        streams = [
            open_stream(request, timeout=30, metadata=list(bearer(each).items()))
            for each in (key, token)
        ]
        assert all(next(stream) for stream in streams)
        revoke(url, key)
        eventually(lambda: shop.asked("grpc", bearer(key)) is not None)
        root.record_purchase(purchase("unseen", "5.00", program_id="own"))
        for stream in streams:
            with pytest.raises(grpc.RpcError) as caught:
                next(stream)
            error: Any = caught.value
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_key_is_good_the_moment_it_is_made(shop: Shop) -> None:
    for number in range(3):
        key = make_key(shop.server.database_url, "till", ["own"], name=f"till-{number}")
        assert shop.asked("grpc", bearer(key)) is None


def test_the_first_key_ends_development_mode_on_running_servers(
    database_url: str,
) -> None:
    with running_server(database_url) as server:
        request = request_for(BALANCE, "own", "m-1")

        def reason() -> str:
            failure = ask(server, "grpc", BALANCE, request, {})
            return "" if failure is None else failure.reason

        assert reason() == "PROGRAM_NOT_FOUND"
        key = make_key(database_url, "admin")
        eventually(lambda: reason() == "CREDENTIAL_MISSING")
        revoke(database_url, key)
        eventually(
            lambda: "REVOKED" in str(described(ask(server, "grpc", BALANCE, request, bearer(key))))
        )
        assert reason() == "CREDENTIAL_MISSING"
    with running_server(database_url) as server:  # a revoked key is a key that there was
        assert reason() == "CREDENTIAL_MISSING"


@pytest.mark.parametrize("options", [{"development": False}, {"token_keys": True}])
def test_without_any_key_a_server_may_still_ask_for_one(
    options: dict[str, Any], database_url: str, tmp_path: Path
) -> None:
    if "token_keys" in options:
        options = {"token_keys": token_keys_file(tmp_path)[0]}
    with running_server(database_url, **options) as server:
        for port in PORTS:
            failure = ask(server, port, BALANCE, request_for(BALANCE, "own", "m-1"), {})
            assert failure is not None
            assert failure.reason == "CREDENTIAL_MISSING"


def test_health_reflection_and_probes_are_open_and_metrics_are_not(shop: Shop) -> None:
    with shop.server.channel() as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        answer = health.Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        stream: Any = channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        )
        assert b"ledger.v1.BalanceService" in next(iter(stream(iter([b"\x3a\x00"]))))
    auditor = make_key(shop.server.database_url, "auditor")
    expected = {
        "": 401,
        "nonsense": 401,
        shop.shop: 403,
        make_key(shop.server.database_url, "auditor", ["own"]): 403,
        shop.token(): 403,
        auditor: 200,
        shop.root: 200,
    }
    for credential, code in expected.items():
        client = JsonClient(shop.server.http_address, credential=credential)
        assert client.exchange("GET", "/metrics", None, {})[0] == code
        for path in ("/healthz", "/readyz"):
            assert client.exchange("GET", path, None, {})[0] == 200
        client.close()


def test_signing_keys_are_rotated_without_a_restart(database_url: str, tmp_path: Path) -> None:
    path, _ = token_keys_file(tmp_path)
    root = make_key(database_url, "admin")
    with running_server(database_url, token_keys=path) as server:
        client = GrpcClient(server.grpc_address, credential=root)
        open_program(client, program_id="own")
        request = request_for(BALANCE, "own", "m-1")

        def answered(token: str) -> bool:
            return ask(server, "http", BALANCE, request, bearer(token)) is None

        def signed_with() -> str:
            kid: str = jwt.get_unverified_header(mint(client).token)["kid"]
            return kid

        first = mint(client).token
        keys, signing = rotated(load_token_keys(path), keep=2, stage=False)
        save_token_keys(path, keys)
        eventually(lambda: signed_with() == signing)
        assert answered(first)
        assert answered(mint(client).token)

        path.write_text("{not json")  # what was read before stays
        time.sleep(0.3)
        assert answered(first)

        keys, signing = rotated(keys, keep=0, stage=False)
        save_token_keys(path, keys)
        eventually(lambda: not answered(first))
        assert answered(mint(client).token)
        client.close()


def test_a_token_signed_a_moment_ago_by_another_server_is_answered(shop: Shop) -> None:
    """The other one has seen the new file, this one has not looked yet."""
    keys, _ = rotated(load_token_keys(shop.token_keys), keep=2, stage=False)
    save_token_keys(shop.token_keys, keys)
    token = jwt.decode(shop.token(), options={"verify_signature": False})
    fresh = jwt.encode(token, keys[0].secret, headers={"kid": keys[0].kid})

    assert shop.asked("http", bearer(fresh)) is None


def test_a_staged_key_verifies_before_it_signs() -> None:
    first = new_token_key()
    staged, signing = rotated([first], keep=2, stage=True)
    assert (signing, [key.kid for key in staged]) == (first.kid, [first.kid, staged[1].kid])

    promoted, signing = rotated(staged, keep=2, stage=False)
    assert signing == staged[1].kid
    assert [key.kid for key in promoted] == [signing, first.kid]
    assert not any(key.staged for key in promoted)


def test_keys_are_believed_for_a_while_when_the_database_is_away(shop: Shop) -> None:
    ours = shop.server.service.access
    believed_until = ours._believed_until

    async def recognised() -> str:
        return (await ours.authenticate(f"Bearer {shop.shop}")).actor

    assert believed_until > time.monotonic()
    assert asyncio.run(recognised()) == f"key:shop/{id_of(shop.shop)}"
    ours._believed_until = time.monotonic() - 1
    try:
        with pytest.raises(StorageUnavailable):
            asyncio.run(recognised())
    finally:
        ours._believed_until = believed_until


def test_credentials_in_mind_are_bounded(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "MAX_SEEN", 5)
    assert MAX_SEEN >= 1_000
    for number in range(9):
        assert shop.asked("grpc", bearer(shop.token(jti=str(number)))) is None
    assert len(shop.server.service.access._seen) <= 5


def test_the_actor_on_an_entry_is_the_principal(shop: Shop) -> None:
    with contextlib.closing(shop.client(shop.shop)) as client:
        receipt = client.record_purchase(purchase("actor", "5.00", program_id="own"))
        assert {entry.actor for entry in receipt.entries} == {f"key:shop/{id_of(shop.shop)}"}
        token = mint(client, holds=True).token
    with contextlib.closing(shop.client(token)) as client:
        held = client.hold_points(hold("own-token", 1, program_id="own"))
        assert held.entries[0].actor == "member:m-1"
        journal = client.list_entries(entries(program_id="own"))
        assert len({entry.actor for entry in journal.entries}) >= 3
    assert DEVELOPER.actor not in {entry.actor for entry in journal.entries}


class Everything(logging.Handler):
    """All that is logged, at any level, with whatever values it has."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(repr(record.__dict__) + self.format(record))


def test_secrets_are_nowhere(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    """Not in logs, errors, metrics, reprs, or the database, whatever is done with them."""
    logged = Everything()
    root_logger = logging.getLogger()
    level = root_logger.level
    root_logger.addHandler(logged)
    root_logger.setLevel(logging.DEBUG)
    told: list[str] = []

    def keep(_: Any, __: str, event: Any) -> Any:
        told.append(repr(event))
        return event

    configured = structlog.get_config()["processors"]
    structlog.configure(processors=[keep, *configured])
    url = shop.server.database_url
    secrets = {
        "key": make_key(url, "shop", ["own"], name="secretive"),
        "approver": make_key(url, "support", ["own"], name="approver"),
        "lost": make_key(url, "support", ["own"], name="lost"),
        "token": shop.token(jti="secretive"),
        "late": shop.token(iat=now(-900), exp=now(-1)),
        "unknown": shop.shop.replace(id_of(shop.shop), "b" * 12),
    }
    said: list[str] = []
    try:
        revoke(url, secrets["lost"])
        for port in PORTS:
            for secret in secrets.values():
                said.append(str(described(shop.asked(port, bearer(secret)))))
                said.append(str(described(shop.asked(port, {"authorization": secret}))))
        support = make_key(url, "support", ["own"], name="maria")
        with contextlib.closing(shop.client(support)) as client:
            for number, (name, secret) in enumerate(secrets.items()):
                request = adjustment(f"secret-{number}", 1, program_id="own", approver=secret[:128])
                try:
                    said.append(str(client.adjust_points(request)))
                except Failure as failure:
                    said.append(f"{name}: {described(failure)}")
            said.append(str(client.list_entries(entries(program_id="own"))))
        auditor = make_key(url, "auditor")
        with contextlib.closing(JsonClient(shop.server.http_address, credential=auditor)) as http:
            said.append(http.exchange("GET", "/metrics", None, {})[1].decode())
    finally:
        structlog.configure(processors=configured)
        root_logger.removeHandler(logged)
        root_logger.setLevel(level)
    ours = shop.server.service.access
    reprs = [repr(vars(ours)), repr(ours._keys), repr(shop.token_key), repr(ours._seen)]
    captured = capfd.readouterr()
    everywhere = {
        "logs": " ".join([*logged.lines, *told, captured.out, captured.err]),
        "answers": " ".join(said),
        "reprs": " ".join(reprs),
        "database": json.dumps(contents(url)),
    }
    assert "approver" in everywhere["answers"], "the approved adjustment was not looked at"
    assert len(everywhere["database"]) > 1_000
    for where, text in everywhere.items():
        for name, secret in [*secrets.items(), ("root", shop.root)]:
            # The part that nobody else knows: the secret of a key, the signature of a token.
            part = secret.rpartition(".")[2] if "." in secret else secret.split("_", 2)[2]
            assert part not in text, f"{name} is in {where}"
        assert base64.urlsafe_b64encode(shop.token_key.secret).decode().rstrip("=") not in text


def test_a_grpc_error_says_what_is_missing_to_plain_clients(shop: Shop) -> None:
    with shop.server.channel() as channel:
        call: Any = channel.unary_unary("/ledger.v1.BalanceService/GetBalance")
        with pytest.raises(grpc.RpcError) as caught:
            call(balance("m-1").SerializeToString(), timeout=5)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "authorization: Bearer" in error.details()

"""What a service logs: whom it served is not in it, and what went wrong is."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import json
import logging
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import psycopg2
import pytest
import structlog

from ledger import discreet
from ledger.cli import logging as logging_of_commands
from ledger.cli.logging import configure
from ledger.rpc import serve
from ledger.rpc.calls import HEADER, CallLog, begin_call, call_id
from ledger.v1 import member_pb2, points_pb2
from tests.conftest import RunningServer
from tests.faults.processes import ServiceProcess, eventually
from tests.service.client import Failure, GrpcClient, failure_of
from tests.service.credentials import make_key, token_keys_file
from tests.service.requests import (
    PROGRAM,
    adjustment,
    balance,
    batch,
    entries,
    hold,
    open_program,
    purchase,
    redemption,
    returned,
)

#: stands in everything that is somebody's own: members, receipts, requests, places, secrets
MARK = "zq7"
MEMBERS = (f"{MARK}-ann", f"{MARK}-bob")
BROKEN = f"{MARK}-eve"


def own(number: object, amount: str = "12.99", member_id: str = MEMBERS[0], **more: Any) -> Any:
    """A purchase with the mark in every text."""
    request = purchase(f"{MARK}-{number}", amount, member_id=member_id, **more)
    request.location_id, request.terminal_id = f"{MARK}-shop", f"{MARK}-till"
    return request


def sabotage(url: str, statement: str) -> None:
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        connection.commit()


#: the database says in full whose entry it does not take
REFUSING = f"""
CREATE FUNCTION refuse_entry() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'no entry for %', NEW.member_id USING DETAIL = NEW.request_id;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON entries FOR EACH ROW
    WHEN (NEW.member_id = '{MEMBERS[1]}') EXECUTE FUNCTION refuse_entry();
"""


def be_busy(client: GrpcClient, url: str) -> None:
    """Calls that are answered in every way there is."""
    settings: dict[str, Any] = {"sandbox": False, "members": {"auto_enroll": True}}
    open_program(client, enrolled=(*MEMBERS, BROKEN), **settings)
    for number in range(5):
        client.record_purchase(own(number))
    client.record_purchase(own(0))
    client.get_balance(balance(MEMBERS[0]))
    client.list_entries(entries(MEMBERS[0]))
    client.hold_points(hold(f"{MARK}-1", 5, member_id=MEMBERS[0]))
    client.record_return(returned(f"{MARK}-1", f"{MARK}-2", full=True, member_id=MEMBERS[0]))
    client.batch_write(batch(own("a"), own("b"), own("b", "1.00")))
    failure_of(client.redeem_points, redemption(f"{MARK}-1", 10_000, member_id=MEMBERS[0]))
    failure_of(client.record_purchase, own(0, "13.00"))
    failure_of(client.record_purchase, own(9, member_id=f"{MARK}-\n"))
    failure_of(client.get_balance, balance(f"{MARK}-nobody"))
    failure_of(client.get_balance, balance(MEMBERS[0], program_id=f"{MARK}-program"))
    client.adjust_points(adjustment(f"{MARK}-1", 5, member_id=MEMBERS[0], note=MARK))
    sabotage(url, REFUSING)
    failure_of(client.record_purchase, own("c", member_id=MEMBERS[1]))
    sabotage(url, f"UPDATE accounts SET state = '{{\"{MARK}' WHERE member_id = '{BROKEN}'")
    sabotage(url, f"UPDATE accounts SET due_at = now() WHERE member_id = '{BROKEN}'")
    failure_of(client.get_balance, balance(BROKEN))
    failure_of(client.record_purchase, own("d", member_id=BROKEN))


def token_of(client: GrpcClient, member_id: str) -> str:
    """A member's token, as a shop gets it."""
    request = member_pb2.CreateMemberTokenRequest(program_id=PROGRAM, member_id=member_id)
    response = member_pb2.CreateMemberTokenResponse
    return client.call("MemberService/CreateMemberToken", request, response).token


def post(url: str, data: bytes) -> str:
    """The number of a call that is refused."""
    headers = {"content-type": "application/json", "authorization": f"Bearer {MARK}-secret"}
    request = urllib.request.Request(url, data, {**headers, "traceparent": MARK})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    return str(refused.value.headers.get(HEADER, ""))


@pytest.fixture
def key(database_url: str) -> str:
    """An administrator's API key."""
    return make_key(database_url, "admin", name=f"{MARK} Eve's laptop")


@pytest.fixture
def service(database_url: str, tmp_path: Path, key: str) -> Iterator[ServiceProcess]:
    token_keys, _ = token_keys_file(tmp_path)
    environment = {
        "LEDGER_TOKEN_KEYS": str(token_keys),
        # The server trusts whoever comes by its socket, whatever the password.
        "LEDGER_DATABASE_URL": database_url.replace("postgres@", f"postgres:{MARK}-password@"),
        "LEDGER_LOG_FORMAT": "json",
        "LEDGER_LOG_LEVEL": "debug",
        "LEDGER_SLOW_SECONDS": "0.000001",
        "LEDGER_VERIFY_RATE": "100000",
        "LEDGER_SCHEDULER_SECONDS": "0.1",
    }
    with ServiceProcess(environment, tmp_path / "service.log") as service:
        yield service.start()


def test_nothing_that_is_somebodys_own_is_logged_or_measured(
    service: ServiceProcess, database_url: str, key: str
) -> None:
    with contextlib.closing(GrpcClient(service.grpc_address, credential=key)) as client:
        be_busy(client, database_url)
        token = token_of(client, MEMBERS[0])
        metadata = (("authorization", f"Bearer {MARK}-secret"), ("x-member", MARK))
        with pytest.raises(Failure):
            client.send("BalanceService/GetBalance", b"\xff" + MARK.encode(), metadata=metadata)
    with contextlib.closing(GrpcClient(service.grpc_address, credential=token)) as member:
        member.get_balance(balance(MEMBERS[0]))
        failure_of(member.get_balance, balance(MEMBERS[1]))
        failure_of(member.record_purchase, own("e"))
    url = f"{service.http_url}/ledger.v1.BalanceService/GetBalance"
    assert len(post(url, b'{"memberId": "%s", "x": ' % MARK.encode())) == 16
    assert post(f"{service.http_url}/{MARK}", b"{}") == ""
    sabotage(database_url, "UPDATE background_work SET due_time = now(), state = ''")
    for event in ("verification found a contradiction", "member can not be settled"):
        service.wait_for_log(event)
    shown = urllib.request.Request(
        f"{service.http_url}/metrics", headers={"authorization": f"Bearer {key}"}
    )
    with urllib.request.urlopen(shown, timeout=10) as page:
        metrics = page.read().decode()
    assert service.terminate() == 0

    lines = service.log_lines()
    for secret in (MARK, key, key.split("_", 2)[2], token, token.split(".")[1]):
        assert secret not in metrics
        for line in lines:
            assert secret not in line, line
    logged = [json.loads(line) for line in lines]
    assert all({"event", "level", "timestamp"} <= line.keys() for line in logged)
    events = {line["event"] for line in logged}
    assert events >= {
        *("serving", "stopped", "slow call", "call ended", "call failed", "command failed"),
        *("batch failed", "account can not be read"),
    }
    failed = [line["exception"] for line in logged if line["event"] == "command failed"]
    assert any("SQLSTATE P0001" in text and "journal.py" in text for text in failed), failed
    ended = [line for line in logged if line["event"] == "call ended"]
    codes = {line["code"] for line in ended}
    assert codes >= {"NOT_FOUND", "FAILED_PRECONDITION", "PERMISSION_DENIED", "UNAUTHENTICATED"}
    assert all(len(line["call"]) == 16 and line["seconds"] >= 0 for line in ended)
    assert len({line["call"] for line in ended}) == len(ended)


def test_what_is_no_request_fills_no_log(service: ServiceProcess) -> None:
    host, _, port = service.http_url.removeprefix("http://").rpartition(":")
    for body in (b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n", b"Content-Length: -1\r\n\r\n"):
        with socket.create_connection((host, int(port)), timeout=10) as stranger:
            path = b"/ledger.v1.PointsService/RecordPurchase"
            content = b"Host: localhost\r\nContent-Type: application/json\r\n"
            stranger.sendall(b"POST %s HTTP/1.1\r\n%s%s" % (path, content, body))
            assert b" 400 " in stranger.recv(1_000)
    with grpc.insecure_channel(service.grpc_address) as channel:
        for method in ("grpc.health.v1.Health/Check", "ledger.v1.PointsService/RecordPurchase"):
            call: Any = channel.unary_unary(f"/{method}")
            with pytest.raises(grpc.RpcError):
                call(b"\xff", timeout=10)
    assert service.terminate() == 0
    lines = [json.loads(line) for line in service.log_lines()]
    assert [line["event"] for line in lines if line["level"] == "error"] == []


def test_who_gets_an_internal_error_is_told_the_number_of_the_call(server: RunningServer) -> None:
    with contextlib.closing(GrpcClient(server.grpc_address)) as client:
        open_program(client)
        sabotage(server.database_url, "UPDATE accounts SET state = '{'")
        failure = failure_of(client.get_balance, balance())
    assert failure.code == "INTERNAL"
    assert len(failure.call_id) == 16


def test_a_failure_on_grpc_has_the_number_of_the_call_in_its_trailers(
    server: RunningServer,
) -> None:
    with server.channel() as channel:
        call: Any = channel.unary_unary("/ledger.v1.PointsService/RecordPurchase")
        numbers = set()
        for _ in range(2):
            with pytest.raises(grpc.RpcError) as refused:
                call(points_pb2.RecordPurchaseRequest().SerializeToString(), timeout=10)
            answer: Any = refused.value
            numbers.add(dict(answer.trailing_metadata())[HEADER])
    assert len(numbers) == 2


def test_slow_calls_are_logged_and_not_all_of_thousands(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("ledger.rpc.calls.time.monotonic", lambda: now[0])
    log = CallLog(slow_seconds=0.5)
    with structlog.testing.capture_logs() as logged:
        log.ended("/S/Quick", "OK", "", 0.4)
        for _ in range(100):
            log.ended("/S/Slow", "OK", "", 0.6)
        now[0] += 1
        log.ended("/S/Slow", "UNAVAILABLE", "OVERLOADED", 5.0)
    slow = [line for line in logged if line["event"] == "slow call"]
    assert [line["method"] for line in slow] == ["/S/Slow"] * 6
    assert [line["calls"] for line in logged if line["event"] == "more slow calls"] == [95]
    with structlog.testing.capture_logs() as logged:
        CallLog(slow_seconds=0).ended("/S/Slow", "OK", "", 100.0)
    assert logged == []


def test_an_outcome_that_is_unknown_is_a_warning() -> None:
    with structlog.testing.capture_logs() as logged:
        CallLog(slow_seconds=0).ended("/S/M", "UNAVAILABLE", "COMMIT_UNKNOWN", 0.1)
    assert [(line["event"], line["log_level"]) for line in logged] == [
        ("outcome unknown", "warning")
    ]


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


def test_an_error_is_told_by_its_kind_and_place_and_not_by_its_text() -> None:
    inner = raised(KeyError(MARK))
    try:
        raise ExceptionGroup(MARK, [raised(ValueError(MARK))]) from inner
    except ExceptionGroup as error:
        text = "".join(discreet.lines(error))
    assert MARK not in text
    for kind in ("KeyError", "ExceptionGroup", "ValueError"):
        assert f"\n{kind}\n" in text
    assert "was the cause of" in text
    assert "test_logs.py" in text


def test_errors_of_a_database_have_their_code_and_constraint(database_url: str) -> None:
    with contextlib.closing(psycopg2.connect(database_url)) as connection:
        cursor = connection.cursor()
        with pytest.raises(psycopg2.Error) as caught:
            cursor.execute(
                "INSERT INTO accounts VALUES ('p', %s, -1, 0, 0, '', '', NULL, '', '')", (MARK,)
            )
    assert MARK in str(caught.value)
    assert discreet.what(caught.value) == (
        "psycopg2.errors.CheckViolation: SQLSTATE 23514, accounts_version_check"
    )
    assert discreet.what(OSError(2, MARK)) == "FileNotFoundError: No such file or directory"
    with pytest.raises(psycopg2.OperationalError) as lost:
        psycopg2.connect("host=127.0.0.1 port=1 dbname=x")
    assert "refused" in discreet.what(lost.value)


@pytest.mark.parametrize("form", ["json", "console"])
def test_either_form_tells_errors_and_calls(form: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers, root.level
    try:
        configure(form, "info")
        number = begin_call()
        try:
            raise ValueError(MARK)
        except ValueError:
            structlog.get_logger("one").exception("by structlog")
            logging.getLogger("two").exception("by the standard library")
        logging.getLogger("sqlalchemy.engine").info("SELECT %s", MARK)
    finally:
        call_id.set("")
        structlog.configure(**before)
        root.handlers, root.level = handlers, level
    text = stream.getvalue()
    assert MARK not in text
    assert text.count("Traceback") == text.count(number) == 2
    assert text.count("ValueError") >= 2


def test_failures_that_nobody_waits_for_are_told_without_their_texts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def forgotten() -> None:
        raise ValueError(MARK)

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(serve._tell_failure)
        task = asyncio.get_running_loop().create_task(forgotten(), name=MARK)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task
        gc.collect()

    monkeypatch.setattr("threading.excepthook", logging_of_commands._tell_thread)
    with structlog.testing.capture_logs() as logged:
        asyncio.run(main())
        thread = threading.Thread(target=lambda: 1 // 0, name="one of ours")
        thread.start()
        thread.join()
    assert [line["event"] for line in logged] == [
        "something failed beside any call",
        "thread failed",
    ]
    assert MARK not in "".join(capsys.readouterr())


def test_thousands_of_numbers_are_all_different() -> None:
    assert len({begin_call() for _ in range(10_000)}) == 10_000
    call_id.set("")


def test_waiting_for_logs_can_fail(service: ServiceProcess) -> None:
    with pytest.raises(TimeoutError):
        eventually("it logs a mark", lambda: MARK in "".join(service.log_lines()), 0.2)

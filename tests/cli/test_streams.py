"""`ledger watch` and `ledger events`: what happens, a line each, for people and for programs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection

from tests.cli.conftest import Cli, Result
from tests.conftest import RunningServer, running_server
from tests.service.client import GrpcClient
from tests.service.requests import clock, open_program, purchase

AHEAD = "WyJiZWFucyIsNDYxMTY4NjAxODQyNzM4NzkwNCwwXQ=="


@pytest.fixture
def ledger(cli: Cli, server: RunningServer, program_file: Path) -> Cli:
    """Runs commands against a server that has one program and one member."""

    def command(*arguments: object) -> Result:
        return cli(*arguments, "--server", server.grpc_address)

    assert command("program", "apply", program_file).code == 0
    assert command("purchase", "m-1", "30.00", "--purchase-id", "r-1").code == 0
    return command


def documents(result: Result) -> list[Any]:
    assert result.code == 0, result.err
    return [json.loads(line) for line in result.out.splitlines()]


def later(server: RunningServer, *numbers: int) -> threading.Thread:
    """Purchases of 5.00, while a command runs that listens."""

    def buy() -> None:
        client = GrpcClient(server.grpc_address)
        eventually(lambda: server.service._feed._open == 1)
        for number in numbers:
            time.sleep(0.7)  # what comes sooner may be shown together
            client.record_purchase(purchase(number, "5.00", program_id="beans"))
        client.close()

    thread = threading.Thread(target=buy)
    thread.start()
    return thread


def test_a_balance_is_printed_whenever_it_changes(ledger: Cli, server: RunningServer) -> None:
    buying = later(server, 1, 2)
    told = ledger("watch", "m-1", "--limit", 3)
    buying.join()

    assert told.code == 0
    assert [line.split("  ", 1)[1] for line in told.out.splitlines()] == [
        "80 points  worth 0.80 EUR",
        "85 points  +5  worth 0.85 EUR",
        "90 points  +5  worth 0.90 EUR",
    ]


def test_programs_get_a_balance_a_line(ledger: Cli, server: RunningServer) -> None:
    buying = later(server, 1)
    balances = documents(ledger("watch", "m-1", "--limit", 2, "--json"))
    buying.join()

    assert [balance["availablePoints"] for balance in balances] == ["80", "85"]


def test_what_happens_is_printed_as_it_does(
    ledger: Cli, server: RunningServer, administrator: Connection
) -> None:
    nothing_open(administrator)
    buying = later(server, 1)
    told = ledger("events", "--limit", 1)
    buying.join()

    assert told.code == 0
    (line,) = told.out.splitlines()
    assert line.endswith("  m-1  #4  Purchase receipt-1  5.00 EUR  +5  balance 85")
    assert told.err.splitlines()[-1].startswith("To go on from here: --after ")


def test_everything_so_far_can_be_printed_and_gone_on_from(ledger: Cli) -> None:
    first = documents(ledger("events", "--from-start", "--limit", 2, "--json"))
    rest = documents(ledger("events", "--after", first[-1]["cursor"], "--until-now", "--json"))
    everything = documents(ledger("events", "--until-now", "--json"))

    assert [event["entry"]["sequence"] for event in everything] == ["1", "2", "3"]
    assert [event["entry"] for event in first + rest] == [event["entry"] for event in everything]


def test_warnings_are_events(ledger: Cli, server: RunningServer) -> None:
    client = GrpcClient(server.grpc_address)
    open_program(client, program_id="tea", expiry={"after_months": 1, "warn_days": [7]})
    client.record_purchase(purchase(1, "10.00", program_id="tea"))
    client.advance_clock(clock("2026-02-26T00:00:00Z", "tea"))
    client.close()

    told = ledger("events", "-p", "tea", "--until-now", "--kind", "expiry-warning")

    assert told.out.splitlines() == [
        "2026-02-26 01:00:00  m-1  Warning  10 points good through 28 Feb 2026"
    ]


def test_only_the_kinds_that_are_named_are_printed(ledger: Cli) -> None:
    told = documents(ledger("events", "--until-now", "-k", "purchase", "-k", "HOLD", "--json"))

    assert [event["entry"]["kind"] for event in told] == ["ENTRY_KIND_PURCHASE"]


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("events", "--kind", "gift"), 2, "USAGE"),
        (("events", "--after", "x", "--from-start"), 2, "USAGE"),
        (("events", "--after", "garbage"), 1, "INVALID_FIELD"),
        (("events", "--after", AHEAD), 1, "INVALID_FIELD"),
        (("watch", "nobody"), 1, "MEMBER_NOT_FOUND"),
    ],
)
def test_what_can_not_be_followed_is_said(
    arguments: tuple[str, ...], code: int, reason: str, ledger: Cli
) -> None:
    told = ledger(*arguments, "--json")

    assert (told.code, told.out) == (code, "")
    assert told.failure["reason"] == reason


def test_nobody_to_ask_is_no_answer(cli: Cli) -> None:
    told = cli("watch", "m-1", "-p", "beans", "--server", "127.0.0.1:1", "--timeout", 0.5)

    assert told.code == 3


def test_a_server_that_comes_back_is_followed_further(
    ledger: Cli, server: RunningServer, database_url: str
) -> None:
    """The stream's server stops; another one takes its place on the same port."""
    with running_server(database_url) as first:
        port = first.service.grpc_port
        lines: list[str] = []
        process = command("watch", "m-1", "-p", "beans", "--server", first.grpc_address, "--json")
        reading = threading.Thread(target=lambda: lines.extend(process.stdout or ()))
        reading.start()
        eventually(lambda: first.service._feed._open == 1)
    client = GrpcClient(server.grpc_address)
    client.record_purchase(purchase(1, "5.00", program_id="beans"))
    client.close()
    with running_server_at(database_url, port) as second:
        eventually(lambda: len(lines) == 2)
        assert second.service._feed._open == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    reading.join()
    assert [json.loads(line)["availablePoints"] for line in lines] == ["80", "85"]


def nothing_open(administrator: Connection) -> None:
    """Wait until every transaction that has begun on this database server by now has ended: what is
    committed waits for those before it, to be told in order, and would count as new."""
    with administrator.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        (begun,) = cursor.fetchone() or (0,)

        def ended() -> bool:
            cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
            (oldest,) = cursor.fetchone() or (0,)
            return bool(oldest >= begun)

        eventually(ended)


def running_server_at(database_url: str, port: int) -> Any:
    return running_server(database_url, grpc_address=f"127.0.0.1:{port}")


def command(*arguments: str) -> subprocess.Popen[str]:
    # Tests that run in the background have Ctrl-C ignored, and a child would have that from them.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "ledger", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "LEDGER_SERVER": ""},
        )
    finally:
        signal.signal(signal.SIGINT, before)


def eventually(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < give_up, "it did not come to hold"
        time.sleep(0.05)

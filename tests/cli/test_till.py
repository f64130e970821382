"""`ledger till` from a pipe and at a terminal, against a real server and without one."""

from __future__ import annotations

import io
import json
import os
import pty
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.cli import output
from ledger.cli.till_commands import Command, parse
from ledger.cli.till_screen import big
from ledger.client import OfflineQueue
from ledger.client.requests import Requests
from tests.cli.conftest import Cli, Result
from tests.conftest import RunningServer

PROGRAM = """
program: {program_id: beans, display_name: Beans, currency: EUR, time_zone: Europe/Berlin}
rules:
  earning: {rate: {points: 1, per: "1.00"}}
  redemption: {value: {points: 100, amount: "1.00"}}
  members: {auto_enroll: true}
  rewards: [{id: coffee, name: Coffee, points: 10, kind: ITEM, value: "2.50"}]
"""
NOWHERE = "127.0.0.1:1"


@dataclass(frozen=True)
class TillCli:
    """Runs `ledger till` with lines from a pipe."""

    cli: Cli
    monkeypatch: pytest.MonkeyPatch
    address: str
    queue: Path

    def __call__(self, script: str, *arguments: str, server: str = "") -> Result:
        self.monkeypatch.setattr(sys, "stdin", io.StringIO(script))
        address = server or self.address
        return self.cli("till", "--queue", self.queue, "--server", address, *arguments)

    def events(self, script: str, *arguments: str, server: str = "") -> list[dict[str, Any]]:
        return events_of(self(script, "--json", *arguments, server=server))


def events_of(result: Result) -> list[dict[str, Any]]:
    """The lines of the till; the server's log, in the same process, goes to stdout as well."""
    return [json.loads(line) for line in result.out.splitlines() if line.startswith("{")]


@pytest.fixture
def till(
    cli: Cli, server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> TillCli:
    for name in ("LEDGER_TILL_QUEUE", "LEDGER_TERMINAL"):
        monkeypatch.delenv(name, raising=False)
    document = tmp_path / "beans.yaml"
    document.write_text(PROGRAM)
    assert cli("program", "apply", document, "--server", server.grpc_address).code == 0
    return TillCli(cli, monkeypatch, server.grpc_address, tmp_path / "till.queue")


def of(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == kind]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("m-1", Command("member", ("m-1",))),
        ("  4006381333931 ", Command("member", ("4006381333931",))),
        ("member done", Command("member", ("done",))),
        ("12.99", Command("buy", ("12.99",))),
        ("12,99", Command("buy", ("12.99",))),
        ("buy 1200 r-1", Command("buy", ("1200", "r-1"))),
        ("return r-1 3,50", Command("return", ("r-1", "3.50"))),
        ("redeem free-coffee", Command("redeem", ("free-coffee",))),
        ("seen #4 5", Command("seen", ("#4", "5"))),
        ("seen all", Command("seen", ("all",))),
        ("", None),
        ("# a remark", None),
    ],
)
def test_a_line_is_a_command(line: str, command: Command | None) -> None:
    assert parse(line) == command


@pytest.mark.parametrize("line", ["buy", "hm hm", "retry x", "seen", "redeem 1 2", "seen ²"])
def test_a_line_that_is_none_is_told(line: str) -> None:
    with pytest.raises(ValueError, match=r"help|queue"):
        parse(line)


@pytest.mark.parametrize(
    "line",
    ["1,299.00", "1.299,00", "-5.00", "-5", "€12.99", "12.99€", "+3", ".99", "5.-", "1'299.00"],
)
def test_what_looks_like_an_amount_is_nobodys_number(line: str) -> None:
    """Whoever buys next would be that member, and the one at the till would get nothing."""
    with pytest.raises(ValueError, match="an amount"):
        parse(line)


@pytest.mark.parametrize("line", ["4006-381", "m.1", "a-1", "2026-11-28", "m+1"])
def test_numbers_of_cards_may_have_signs(line: str) -> None:
    assert parse(line) == Command("member", (line,))


def test_the_balance_is_big() -> None:
    rows = big("1,204").splitlines()

    assert len(rows) == 3
    assert len({len(row) for row in rows}) == 1


def test_a_day_at_the_till_as_json(till: TillCli) -> None:
    events = till.events(
        "m-1\n20.00\nbuy 5 r-1\nredeem coffee\nreturn r-1 2.50\nbalance\ndone\n5.00\n",
        "--terminal", "till-7",
    )  # fmt: skip

    assert [event["event"] for event in events] == [
        "started", "member", "purchase", "purchase", "redemption", "return", "member", "done",
        "failed", "stopped",
    ]  # fmt: skip
    assert events[0]["online"] is True
    assert events[1]["error"]["reason"] == "MEMBER_NOT_FOUND"
    first = events[2]["item"]
    assert (first["state"], first["amount"]) == ("recorded", {"amount": "20.00", "currency": "EUR"})
    assert first["receipt"]["entries"][1]["terminalId"] == "till-7"
    value = events[4]["item"]["receipt"]["redemption"]["value"]
    assert value == {"amount": "2.50", "currency": "EUR"}
    assert events[6]["balance"]["availablePoints"] == 20 + 5 - 10 - 2
    assert "Scan a card" in events[8]["error"]["message"]
    assert events[-1]["waiting"] == 0


def test_a_day_at_the_till_for_people(till: TillCli) -> None:
    result = till("m-1\n112.00\nrewards\nredeem coffee\nredeem 5000\nqueue\nhelp\n")

    assert result.code == 1
    for text in (
        "● online",
        "Not a member yet",
        " of 112.00 EUR for m-1",
        big("112").splitlines()[0],
        "worth 1.12 EUR",
        "✓ can be had",
        "Take 2.50 EUR off the bill.",
        "INSUFFICIENT_POINTS",
        "Nothing waits",
        "return RECEIPT [AMOUNT]",
    ):
        assert text in result.out


def test_without_a_ledger_it_goes_on_and_comes_back(till: TillCli) -> None:
    till.events("")
    away = till.events(
        "m-1\n20.00\nredeem 5\nredeem 6\nqueue\n", "--allowance", "10", server=NOWHERE
    )
    back = till.events("queue\n")

    assert of(away, "started")[0]["online"] is False
    assert of(away, "member")[0]["error"]["reason"] == "UNREACHABLE"
    assert of(away, "purchase")[0]["item"]["state"] == "waiting"
    assert of(away, "redemption")[0]["item"]["state"] == "waiting"
    assert of(away, "failed")[0]["error"]["metadata"]["waiting"] == "5"
    assert [item["kind"] for item in of(away, "queue")[0]["waiting"]] == ["purchase", "redemption"]
    assert of(away, "stopped")[0]["waiting"] == 2
    recorded = [event["item"] for event in of(back, "answered")]
    recorded += [item for event in of(back, "uploaded") for item in event["items"]]
    assert {(item["kind"], item["state"]) for item in recorded} == {
        ("purchase", "recorded"),
        ("redemption", "recorded"),
    }
    assert of(back, "stopped")[0]["waiting"] == 0


def test_a_till_kept_offline_sends_nothing_until_it_is_told(till: TillCli) -> None:
    till.events("")
    events = till.events("m-1\n20.00\nqueue\nonline\nupload\n", "--offline")

    assert of(events, "started")[0]["online"] is False
    assert of(events, "purchase")[0]["item"]["state"] == "waiting"
    assert len(of(events, "queue")[0]["waiting"]) == 1
    assert of(events, "online")
    assert of(events, "stopped")[0]["waiting"] == 0


def test_what_is_refused_later_stays_until_somebody_has_seen_it(till: TillCli) -> None:
    till.events("")
    till.events("m-1\nredeem 5\n", "--allowance", "5", "--offline")
    till.events("upload\n")
    events = till.events("queue\nseen all\nqueue\n")

    assert [item["state"] for item in of(events, "started")[0]["answered"]] == ["refused"]
    assert [len(event["answered"]) for event in of(events, "queue")] == [1, 0]


def test_a_till_that_was_never_online_says_so(till: TillCli) -> None:
    result = till("m-1\n", "--program", "beans", server=NOWHERE)

    assert result.code == 3
    assert f"no ledger answers at {NOWHERE}" in result.err


def test_a_damaged_queue_is_named_and_can_be_set_aside(till: TillCli) -> None:
    till.events("m-1\n20.00\n5.00\n", "--offline")
    damaged = bytearray(till.queue.read_bytes())
    damaged[:16] = b"\xff" * 16
    till.queue.write_bytes(damaged)

    refused = till("", "--json", "--program", "beans")
    assert refused.code == 1
    assert refused.failure["reason"] == "QUEUE_DAMAGED"
    advised = till("", "--program", "beans")
    assert "ledger till --set-aside" in advised.err
    assert till.queue.read_bytes() == damaged

    aside = till("queue\n", "--set-aside", "--json")
    assert aside.code == 0, aside.err
    events = events_of(aside)
    assert of(events, "started")
    assert (till.queue.parent / "till.queue.aside-1").read_bytes() == damaged
    assert of(events, "stopped")[0]["waiting"] == 0
    assert till.events("m-1\n")[1]["balance"]["availablePoints"] == 25


def test_a_queue_of_another_program_is_refused(till: TillCli) -> None:
    OfflineQueue(till.queue, "tea").close()

    result = till("", "--json", "--program", "beans")

    assert result.code == 1
    assert result.failure["reason"] == "QUEUE_FOREIGN"


def _typed(command: list[str], lines: Sequence[str | Callable[[], str]], until: str) -> str:
    """What a terminal shows after these lines were typed, each once a prompt has come, or as soon
    as it is there where it is still to be made."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(command[0], command)
    shown = b""

    def read_until(condition: Callable[[str], bool]) -> None:
        nonlocal shown
        deadline = time.monotonic() + 30
        while not condition(shown.decode(errors="replace")):
            assert time.monotonic() < deadline, shown.decode(errors="replace")
            shown += os.read(terminal, 4096)

    try:
        prompts = 0
        for line in lines:
            if not isinstance(line, str):
                os.write(terminal, line().encode())
                continue
            prompts += 1
            read_until(lambda text, count=prompts: text.count("›") >= count)  # type: ignore[misc]
            os.write(terminal, f"{line}\r".encode())
        read_until(lambda text: until in text)
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
    return shown.decode()


@pytest.mark.parametrize("scanned", ["m-2\x1b[2J", "m-\x9b31m", "m" * 129, "m-\udcff"])
def test_after_a_card_that_was_misread_nobody_is_at_the_till(scanned: str, till: TillCli) -> None:
    for arguments in ((), ("--offline",)):
        events = till.events(f"m-1\n{scanned}\n5.00\n", *arguments)
        assert [event["event"] for event in events][1:4] == ["member", "failed", "failed"]
        assert "Scan" in events[3]["error"]["message"]
        shown = till(f"m-1\n{scanned}\n", *arguments).out
        assert "\x1b" not in shown
        assert "\x9b" not in shown


def _run(till: TillCli, script: bytes, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A till of its own process, with bytes from a pipe."""
    ledger = str(Path(sys.executable).with_name("ledger"))
    command = [ledger, "till", "--queue", str(till.queue), "--server", till.address]
    return subprocess.run(
        command, input=script, capture_output=True, env={**os.environ, **environment}, timeout=60
    )


def test_bytes_that_are_no_text_end_no_till(till: TillCli) -> None:
    for locale in ("C.UTF-8", "C"):
        result = _run(till, b"m-1\n\xff\xfe\nm-1\n5.00\n", LC_ALL=locale)
        assert b"no member's number" in result.stdout
        assert b" of 5.00 EUR for m-1" in result.stdout, result.stderr


def test_letters_that_the_terminal_has_not_end_no_till(till: TillCli) -> None:
    result = _run(till, b"m-1\n5.00\n", PYTHONIOENCODING="latin-1")

    assert result.returncode == 0, result.stderr
    assert b"Balance 5" in result.stdout


def test_in_a_narrow_window_nothing_is_cut_off(
    till: TillCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "_PLAIN_WIDTH", 40)
    receipt = "receipt-of-a-till-with-a-long-name-1"

    shown = till(f"m-1\nbuy 5.00 {receipt}\nrewards\nqueue\n", "--program", "beans").out
    queued = till(f"m-1\nbuy 6.00 {receipt}\nqueue\n", "--offline").out

    assert "10 points" in shown
    assert "…" not in shown + queued
    assert queued.replace("\n", "").count(receipt) == 2


def test_a_write_that_is_damaged_is_not_said_to_be_queued_again(till: TillCli) -> None:
    till.events("m-1\n5.00\n", "--offline")
    with OfflineQueue(till.queue, "beans") as queue:
        queue._connection.execute("UPDATE items SET checksum = x'00'")

    shown = " ".join(till("upload\nretry 1\nqueue\n").out.split())

    assert "✗ 1 can not be sent again: the file has damaged this write" in shown
    assert "⧗ queued" not in shown


def test_what_to_do_about_a_clock_that_is_wrong_is_said(till: TillCli) -> None:
    till.events("m-1\n50.00\n")
    late = datetime.now(UTC) - timedelta(days=400)
    with OfflineQueue(till.queue, "beans") as queue:
        request = Requests("beans", "EUR").purchase(
            "m-1", "5.00", purchase_id="r-1", request_id="q-1", effective_time=late
        )
        queue.add(request)

    shown = " ".join(till("upload\nqueue\n").out.split())

    assert "✗ purchase r-1 of 5.00 EUR for m-1: effective_time" in shown
    assert "Set the clock, then ring it up again." in shown


def test_a_redemption_that_nobody_was_told_of_does_not_look_like_one_to_give_goods_for(
    till: TillCli,
) -> None:
    till.events("m-1\n50.00\n")
    with OfflineQueue(till.queue, "beans") as queue:  # as a till that was killed has left it
        request = Requests("beans", "EUR").redeem("m-1", points=5, request_id="d-1")
        queue.add(request, points=5, promised=False)

    shown = " ".join(till("upload\n").out.split())

    assert "redemption of 5 points for m-1: give nothing" in shown


def test_ctrl_c_while_something_is_sent_ends_the_command_and_not_the_till(till: TillCli) -> None:
    till.events("")
    ledger = str(Path(sys.executable).with_name("ledger"))
    with socket.create_server(("127.0.0.1", 0)) as silent:

        def once_it_has_called() -> str:
            silent.accept()
            return "\x03"

        server = f"127.0.0.1:{silent.getsockname()[1]}"
        arguments = ["till", "--queue", str(till.queue), "--server", server, "--timeout", "60"]
        shown = _typed(
            [ledger, *arguments, "--offline"],
            ["m-1", "5.00", "upload", once_it_has_called, "done"],
            "The next, please.",
        )

    assert "interrupted" in shown


def test_at_a_terminal_there_is_a_prompt(till: TillCli) -> None:
    ledger = str(Path(sys.executable).with_name("ledger"))
    arguments = ["till", "--queue", str(till.queue), "--server", till.address]

    shown = _typed([ledger, *arguments], ["m-1", "113,00", "done"], "The next, please.")

    assert " m-1 ›" in shown
    assert big("113").splitlines()[1] in shown

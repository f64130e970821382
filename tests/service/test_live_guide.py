"""What docs/integrating.md shows of streams works as it stands there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any

import grpc
import pytest

from ledger.v1 import balance_pb2, balance_pb2_grpc
from tests.conftest import RunningServer
from tests.guides import DOCS, Block, blocks
from tests.service.client import GrpcClient
from tests.service.requests import open_program, purchase

LIVE = [each for each in blocks(DOCS / "integrating.md") if "WatchBalance" in each.text]
EVENTS = [each for each in blocks(DOCS / "integrating.md") if "StreamEvents" in each.text]


def block(found: list[Block], language: str) -> str:
    (text,) = (each.text for each in found if each.language == language)
    return text


@pytest.fixture
def served(server: RunningServer, grpc_client: GrpcClient) -> RunningServer:
    open_program(grpc_client)
    grpc_client.record_purchase(purchase(1, "10.00"))
    return server


@pytest.mark.parametrize(
    ("shown", "expected"),
    [(LIVE, '"availablePoints":"10"'), (EVENTS, '"kind":"ENTRY_KIND_PURCHASE"')],
    ids=["WatchBalance", "StreamEvents"],
)
def test_curl_prints_what_is_streamed(
    shown: list[Block], expected: str, served: RunningServer
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    commands = block(shown, "console").replace("127.0.0.1:8080", served.http_address)
    script = "\n".join(line.removeprefix("$ ") for line in commands.splitlines())
    told = subprocess.run(
        ["bash", "-c", script.replace("curl -sN", "curl -sN --max-time 2")],
        capture_output=True,
        check=False,
    )
    assert told.returncode == 28, "it goes on until it is ended"
    assert expected in told.stdout.decode(errors="replace").replace(" ", "")


def test_a_browser_sees_the_balance_and_why_a_stream_ends(served: RunningServer) -> None:
    if shutil.which("node") is None:
        pytest.skip("there is no Node.js here")
    script = f"""
        {block(LIVE, "js")}
        const url = "http://{served.http_address}";
        for await (const balance of watch(url, {{programId: "bean-street", memberId: "m-1"}})) {{
          console.log(JSON.stringify(balance));
          break;
        }}
        try {{
          for await (const _ of watch(url, {{programId: "bean-street", memberId: "nobody"}})) {{}}
        }} catch (error) {{
          console.log(JSON.stringify(error));
        }}
        process.exit(0);
    """
    told = subprocess.run(
        ["node", "--input-type=module", "-e", script],
        capture_output=True,
        check=True,
        text=True,
        timeout=20,
        env={**os.environ, "NODE_NO_WARNINGS": "1"},
    )
    balance, error = map(json.loads, told.stdout.splitlines())
    assert (balance["availablePoints"], balance["version"]) == ("10", "2")
    assert error["code"] == "not_found"


def test_python_sees_balances_and_keeps_cursors(
    served: RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    class Enough(Exception):
        pass

    kept: list[str] = []
    booked: list[Any] = []

    def save_cursor(cursor: str) -> None:
        kept.append(cursor)
        if len(kept) == 3:
            raise Enough

    def say(text: object) -> None:
        booked.append(text)
        raise Enough

    with grpc.insecure_channel(served.grpc_address) as channel:
        names: dict[str, Any] = {
            "channel": channel,
            "balance_pb2": balance_pb2,
            "balance_pb2_grpc": balance_pb2_grpc,
            "print": say,
            "load_cursor": lambda: "",
            "save_cursor": save_cursor,
            "book": booked.append,
            "warn": booked.append,
        }
        with pytest.raises(Enough):
            exec(block(LIVE, "python"), names)
        assert booked == [10]
        booked.clear()
        with pytest.raises(Enough):
            exec(block(EVENTS, "python"), names)
    assert [entry.sequence for entry in booked] == [1, 2]

"""A till whose network is cut at random, and which is killed in between, loses or doubles nothing.

A cashier works at `ledger till` without pause: purchases, redemptions, returns. Meanwhile the
network is cut, swallows what is sent, or loses the answers, and the process is killed with SIGKILL
and started again on the same queue. What the till has said is then compared with the journal.
"""

from __future__ import annotations

import contextlib
import json
import queue
import random
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ledger.v1 import types_pb2
from tests.client.tcp_proxy import TcpProxy
from tests.conftest import RunningServer
from tests.faults.processes import meanwhile
from tests.service.client import GrpcClient
from tests.service.journals import journal, require_sound
from tests.service.requests import PROGRAM, adjustment, enrollment, program

pytestmark = pytest.mark.timeout(180)

MEMBERS = [f"m-{number}" for number in range(6)]
FIRST_POINTS = 400
#: purchases that a test of a till must have seen
ENOUGH = 10
#: how long a cashier waits for a word of the till before it counts as dead
_PATIENCE_SECONDS = 20.0

Event = dict[str, Any]


@dataclass
class Told:
    """What the till has said, over all its lives."""

    #: request id → the last item it told under it
    items: dict[str, Event] = field(default_factory=dict)
    #: request ids in the order in which they were told first, by member
    order: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    failures: list[Event] = field(default_factory=list)
    lives: int = 0

    def note(self, event: Event) -> None:
        for item in [event.get("item"), *event.get("items", []), *event.get("answered", [])]:
            if item is None:
                continue
            if item["requestId"] not in self.items:
                self.order[item["memberId"]].append(item["requestId"])
            self.items[item["requestId"]] = item
        if event["event"] == "failed":
            self.failures.append(event)


class TillProcess:
    """`ledger till --json` as a child process, one command at a time."""

    def __init__(self, address: str, path: Path, told: Told) -> None:
        told.lives += 1
        self._told = told
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "ledger", "till", "--json", "--terminal", "till-7"),
                *("--server", address, "--program", PROGRAM, "--queue", str(path)),
                *("--timeout", "0.5", "--allowance", "60", "--allowance-total", "200"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith("\n"):  # not one that the kill has cut short: it was not told
                event = json.loads(line)
                self._told.note(event)
                self._events.put(event)
        self._events.put(None)

    def do(self, command: str, *kinds: str) -> Event | None:
        """The event that answers a command; None when the till has died first."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{command}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return None
        return self.wait_for(*kinds, "failed")

    def wait_for(self, *kinds: str) -> Event | None:
        while True:
            event = self._events.get(timeout=_PATIENCE_SECONDS)
            if event is None or event["event"] in kinds:
                return event

    def kill(self) -> None:
        """SIGKILL; returns when everything it has said was read."""
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def finish(self) -> Event | None:
        """The last event of a till whose input ends."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        stopped = self.wait_for("stopped")
        self._process.wait(_PATIENCE_SECONDS)
        return stopped


class Cashier:
    """Works at one till after the other, until told to stop."""

    def __init__(self, address: str, path: Path, told: Told, chance: random.Random) -> None:
        self._address, self._path, self._told = address, path, told
        self._chance = chance
        self._number = 0
        self._bought: list[tuple[str, str]] = []
        #: rung up when the till died: whoever stands there rings it up once more
        self._unheard: tuple[str, str] | None = None
        self.till = TillProcess(address, path, told)
        self.rung_up: set[str] = set()

    def work(self, until: float) -> None:
        dies = time.monotonic() + 1.0
        while time.monotonic() < until:
            if time.monotonic() > dies:
                threading.Timer(self._chance.uniform(0, 0.05), self.till._process.kill).start()
                dies = time.monotonic() + self._chance.uniform(1.5, 4.0)
            if not self._act():
                self.till.kill()
                self.till = TillProcess(self._address, self._path, self._told)

    def _act(self) -> bool:
        """Whether the till has answered what the cashier did."""
        chance = self._chance
        member_id = chance.choice(MEMBERS)
        if self._unheard is not None:
            member_id, receipt = self._unheard
            return self._buy(member_id, receipt)
        what = chance.random()
        if what < 0.6:
            self._number += 1
            return self._buy(member_id, f"receipt-{self._number}")
        if what < 0.85:
            return self._at(member_id, f"redeem {chance.randint(1, 40)}", "redemption")
        if what < 0.95 and self._bought:
            member_id, receipt = self._bought.pop(chance.randrange(len(self._bought)))
            return self._at(member_id, f"return {receipt}", "return")
        way = chance.choice(["offline", "online", "online"])
        return self.till.do(way, way) is not None

    def _buy(self, member_id: str, receipt: str) -> bool:
        self.rung_up.add(receipt)
        self._unheard = (member_id, receipt)
        if not self._at(member_id, f"buy 7.00 {receipt}", "purchase"):
            return False
        self._unheard = None
        self._bought.append((member_id, receipt))
        return True

    def _at(self, member_id: str, command: str, kind: str) -> bool:
        return (
            self.till.do(f"member {member_id}", "member") is not None
            and self.till.do(command, kind) is not None
        )


@contextlib.contextmanager
def bad_weather(proxy: TcpProxy, chance: random.Random) -> Iterator[None]:
    """Within the block the network comes and goes."""

    def blow() -> None:
        chance.choice([proxy.mend, proxy.mend, proxy.cut, proxy.swallow, proxy.deafen])()

    try:
        with meanwhile(blow, lambda: chance.uniform(0.1, 1.2)):
            yield
    finally:
        proxy.mend()


@pytest.mark.parametrize(
    ("seconds", "seed"),
    [
        pytest.param(12, 1, marks=pytest.mark.faults),
        pytest.param(60, 2, marks=pytest.mark.faults_long),
    ],
)
def test_a_till_with_a_bad_network_loses_nothing_and_doubles_nothing(
    seconds: int, seed: int, server: RunningServer, tmp_path: Path
) -> None:
    print(f"seed {seed}")
    told = Told()
    path = tmp_path / "till.queue"
    with (
        contextlib.closing(GrpcClient(server.grpc_address)) as ledger,
        TcpProxy(server.grpc_address) as proxy,
    ):
        open_shop(ledger)
        cashier = Cashier(proxy.address, path, told, random.Random(seed))
        assert cashier.till.wait_for("started") is not None
        with bad_weather(proxy, random.Random(seed + 1_000)):
            cashier.work(time.monotonic() + seconds)
            while len(purchases(told)) <= ENOUGH or told.lives <= seconds / 6:  # a slow machine
                cashier.work(time.monotonic() + 1)
        finish(cashier, proxy.address, path, told)

        journals = {member_id: journal(ledger, member_id) for member_id in MEMBERS}
        require_sound(ledger, server.database_url)
    print(f"{told.lives} lives, {len(told.items)} items, {proxy.connections} connections")
    check_purchases(told, journals, cashier.rung_up)
    check_redemptions(told, journals)
    check_order(told, journals)


def open_shop(ledger: GrpcClient) -> None:
    """A program in real time whose members have something to spend."""
    ledger.create_program(program(sandbox=False, adjustments={"reason_codes": ["goodwill"]}))
    for member_id in MEMBERS:
        ledger.enroll_member(enrollment(member_id))
        ledger.adjust_points(adjustment(member_id, FIRST_POINTS, member_id=member_id))


def finish(cashier: Cashier, address: str, path: Path, told: Told) -> None:
    """The network is there again: everything that waits goes up."""
    cashier.till.kill()
    waiting = -1
    for _ in range(5):
        till = TillProcess(address, path, told)
        till.do("upload", "uploaded")
        stopped = till.finish()
        assert stopped is not None
        waiting = stopped["waiting"]
        if not waiting:
            return
    raise AssertionError(f"{waiting} items still wait")


def purchases(told: Told) -> list[Event]:
    return [item for item in told.items.values() if item["kind"] == "purchase"]


def check_purchases(
    told: Told, journals: dict[str, list[types_pb2.Entry]], rung_up: set[str]
) -> None:
    """Every purchase that was told is in the journal once; none is there twice."""
    recorded: dict[str, int] = defaultdict(int)
    for entries in journals.values():
        for entry in entries:
            if entry.kind == types_pb2.ENTRY_KIND_PURCHASE:
                recorded[entry.purchase_id] += 1
    bought = purchases(told)

    assert len(bought) > ENOUGH
    assert {item["purchaseId"] for item in bought} <= set(recorded) <= rung_up
    assert set(recorded.values()) == {1}
    # What was rung up once more after a crash was refused, if the ledger had it already.
    refused = [item for item in bought if item["state"] != "recorded"]
    assert {item["error"]["reason"] for item in refused} <= {"PURCHASE_ALREADY_RECORDED"}


def check_redemptions(told: Told, journals: dict[str, list[types_pb2.Entry]]) -> None:
    """What was told to be redeemed is, once; what nobody was told of has been given back."""
    redeemed = [item for item in told.items.values() if item["kind"] == "redemption"]
    promised = {item["requestId"]: item for item in redeemed if item["promised"]}
    in_journal: dict[str, int] = {}
    for entries in journals.values():
        reversals = {
            entry.subject_sequence: entry.redemption.reversed_points
            for entry in entries
            if entry.kind == types_pb2.ENTRY_KIND_REDEMPTION_REVERSAL
        }
        for entry in entries:
            if entry.kind == types_pb2.ENTRY_KIND_REDEMPTION:
                left = -entry.points - reversals.get(entry.sequence, 0)
                assert left in (0, -entry.points), entry
                in_journal[entry.request_id] = left

    assert len(promised) > 2
    for request_id, item in promised.items():
        if item["state"] == "recorded":
            assert in_journal.get(request_id) == item["points"], item
        else:
            assert item["error"]["reason"] == "INSUFFICIENT_POINTS"
            assert request_id not in in_journal
    for request_id, left in in_journal.items():
        assert left == 0 or request_id in promised, f"{request_id} was never told"


def check_order(told: Told, journals: dict[str, list[types_pb2.Entry]]) -> None:
    """What a member did is in the journal in the order it was done, with the till's times."""
    for member_id, entries in journals.items():
        sequences = {entry.request_id: entry.sequence for entry in entries if entry.request_id}
        known = [r for r in told.order[member_id] if r in sequences and "/undo" not in r]
        done = sorted(known, key=lambda request_id: told.items[request_id]["itemId"])
        assert [sequences[r] for r in done] == sorted(sequences[r] for r in done)
        for entry in entries:
            if entry.request_id in told.items and told.items[entry.request_id]["effectiveTime"]:
                stamp = told.items[entry.request_id]["effectiveTime"]
                assert entry.effective_time.ToJsonString()[:19] == stamp[:19]

"""Tills that are killed while they sell, their network coming and going: against a real ledger."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from ledger.client import LedgerError, OfflineQueue, Till
from tests.client.conftest import Shop
from tests.faults.processes import eventually
from tests.service.journals import journal, kind
from tests.service.requests import PROGRAM

MEMBERS = ("s-0", "s-1", "s-2", "s-3")
ENTRIES = {
    "purchase": "PURCHASE",
    "redemption": "REDEMPTION",
    "reversal": "REDEMPTION_REVERSAL",
}

#: sells until it is killed, and says what it has told a cashier
_SELLING = """
import random, sys
from pathlib import Path
from ledger.client import Allowance, LedgerClient, LedgerError, OfflineQueue, Till

address, path, seed, *members = sys.argv[1:]
chance = random.Random(int(seed))
with (
    OfflineQueue(Path(path), "bean-street", allowance=Allowance(50, 500)) as queue,
    LedgerClient(address, "bean-street", timeout_seconds=0.5) as client,
    Till(client, queue) as till,
):
    print("open", flush=True)
    while True:
        if chance.random() < 0.1:
            till.go_offline()
        if chance.random() < 0.2:
            till.go_online()
        try:
            if chance.random() < 0.5:
                item = till.purchase(chance.choice(members), "10.00")
            else:
                item = till.redeem(chance.choice(members), points=chance.choice([5, 60]))
        except LedgerError:
            continue  # and nothing was given
        print(item.request_id, item.kind, item.state, flush=True)
"""


def sold_until_killed(shop: Shop, path: Path, chance: random.Random) -> list[list[str]]:
    """Request id, kind and state of whatever a till has told before it was killed."""
    command = [sys.executable, "-c", _SELLING, shop.address, str(path), str(chance.random())[2:]]
    with subprocess.Popen([*command, *MEMBERS], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        lines = []
        for _ in range(chance.randint(1, 12)):
            getattr(
                shop.proxy, chance.choice(["cut", "mend", "mend", "deafen", "deafen", "swallow"])
            )()
            lines.append(process.stdout.readline())
        time.sleep(chance.uniform(0.0, 0.1))
        process.kill()
        lines += process.stdout.read().split("\n")[:-1]  # the last may be half a line
    return [line.split() for line in lines]


def test_tills_that_are_killed_lose_nothing_double_nothing_and_give_nothing_twice(
    shop: Shop, queue_path: Path
) -> None:
    chance = random.Random(5)
    with OfflineQueue(queue_path, PROGRAM) as queue, shop.client() as client:
        for member_id in MEMBERS:
            Till(client, queue).purchase(member_id, "1000.00")
    told = [line for _ in range(10) for line in sold_until_killed(shop, queue_path, chance)]
    shop.proxy.mend()

    with OfflineQueue(queue_path, PROGRAM) as queue, shop.client() as client:

        def uploaded() -> bool:
            try:
                Till(client, queue).upload()
            except LedgerError:
                return False
            return not queue.counts()[0]

        eventually("all is uploaded", uploaded)
        items = {item.request_id: item for item in queue.answered()}

    given_back = {
        i.request_id.removesuffix("/undo") for i in items.values() if i.kind == "reversal"
    }
    for request_id, what, state in told:
        item = items[request_id]
        # A redemption within the allowance may be refused later: that is the shop's risk.
        assert item.state == "recorded" or (what, state) == ("redemption", "waiting")
        assert request_id not in given_back
    for item in items.values():
        if item.kind == "redemption" and item.state == "recorded":
            assert item.promised == (item.request_id not in given_back)
    for member_id in MEMBERS:
        recorded = [
            item
            for item in sorted(items.values(), key=lambda item: item.item_id)
            if item.member_id == member_id and item.receipt is not None
        ]
        entries = Counter(kind(entry) for entry in journal(shop.ledger, member_id))
        assert entries - Counter(["ENROLLED"]) == Counter(ENTRIES[i.kind] for i in recorded)
        sequences = [i.receipt.entries[-1].sequence for i in recorded if i.receipt is not None]
        assert sequences == sorted(sequences)

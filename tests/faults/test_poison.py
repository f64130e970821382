"""One poisonous command fails alone, through the real write path: the others are written once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import pytest

from ledger.core.commands import Command
from ledger.core.decide import decide
from ledger.core.model import PurchaseLine
from ledger.core.posting import Context
from ledger.engine import batch as engine_batch
from tests.faults.engines import (
    RunningEngine,
    assert_sound,
    buy,
    enroll,
    requests_posted,
    running_engine,
    summary,
)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(60)]

#: What the edge refuses, put straight into the engine. Each fails somewhere else: in the driver, in
#: the server, while it is hashed, or not at all but for a check.
POISON: dict[str, Command] = {
    "NUL in the member": buy("p", "m-\0"),
    "NUL in the request": buy("p", request_id="r-\0"),
    "NUL in the receipt": buy("p", purchase_id="p-\0"),
    "NUL in the terminal": buy("p", terminal_id="\0"),
    "lone surrogate in the member": buy("p", "m-\ud800"),
    "lone surrogate in the receipt": buy("p", purchase_id="\udfff"),
    "lone surrogate in a line": buy("p", lines=(PurchaseLine("\ud800", "", 1, 1000),)),
    "separator of the arrays in the member": buy("p", "m-1\x01m-2"),
    "separator of the arrays in the receipt": buy("p", purchase_id="p-1\x01p-2"),
    "mark of NULL in the request": buy("p", request_id="\x02"),
    "mark of NULL in the terminal": buy("p", terminal_id="\x01"),
    "tab in the location": buy("p", location_id="a\tb"),
    "line feed in the location": buy("p", location_id="a\nb"),
    "carriage return in the location": buy("p", location_id="a\rb"),
    "end of COPY in the location": buy("p", location_id="a\n\\.\nb"),
    "key too long for the index": buy("p", "".join(random.Random(1).choices("abcdef", k=9000))),
    "time beyond the calendar": enroll("late", effective_time=-(2**62)),
    "amount that is no number": buy("p", amount="ten"),
    "amount beyond everything": buy("p", amount=10**30, lines=(PurchaseLine("", "", 1, 10**30),)),
    "nothing that can be decided": Command(
        program_id="bean-street", member_id="m-1", request_id="p"
    ),
}


@pytest.fixture
def running(shop_url: str) -> Iterator[RunningEngine]:
    with running_engine(shop_url) as running:
        asyncio.run(running.write(*(enroll(f"m-{number}") for number in range(1, 4))))
        yield running


@pytest.mark.parametrize("name", POISON)
async def test_a_poisonous_command_fails_alone(
    name: str, running: RunningEngine, shop_url: str
) -> None:
    good = [buy(number, f"m-{number % 3 + 1}") for number in range(12)]
    good += [buy("new", "new-1"), buy("known", "m-1", purchase_id="receipt-0")]
    commands = [*good[:7], POISON[name], *good[7:]]

    outcomes = summary(await running.write(*commands))

    assert outcomes[7] in ("INTERNAL", "INVALID_FIELD", "EFFECTIVE_TIME_OUT_OF_RANGE")
    del outcomes[7]
    assert outcomes == ["first"] * 13 + ["PURCHASE_ALREADY_RECORDED"]
    assert "p" not in requests_posted(shop_url)
    assert summary(await running.write(*good)) == ["replayed"] * 13 + ["PURCHASE_ALREADY_RECORDED"]
    assert_sound(shop_url)


async def test_all_of_them_at_once_and_a_hundred_good_ones(
    running: RunningEngine, shop_url: str
) -> None:
    seed = 3
    print(f"seed {seed}")
    commands = [*POISON.values(), *(buy(number, f"m-{number % 3 + 1}") for number in range(100))]
    random.Random(seed).shuffle(commands)

    outcomes = summary(await running.write(*commands))

    poison = {id(command) for command in POISON.values()}
    for command, outcome in zip(commands, outcomes, strict=True):
        assert (outcome == "first") == (id(command) not in poison), command
    assert running.metric("ledger_commit_unknown_total") == 0
    assert_sound(shop_url)


async def test_an_exception_while_deciding_fails_one_command(
    running: RunningEngine, shop_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poisoned(account: object, command: Command, context: Context) -> object:
        if command.request_id == "request-poison":
            raise RuntimeError("a rule nobody thought of")
        return decide(account, command, context)  # type: ignore[arg-type]

    monkeypatch.setattr(engine_batch, "decide", poisoned)
    outcomes = await running.write(buy(1), buy("poison"), buy(2), buy(3, "new-1"))
    assert summary(outcomes) == ["first", "INTERNAL", "first", "first"]
    monkeypatch.undo()
    assert summary(await running.write(buy("poison"))) == ["first"]
    assert_sound(shop_url)


async def test_poison_among_the_reads_fails_alone(running: RunningEngine) -> None:
    members = ["m-1", "m-\0", "m-2", "m-\ud800", "m-3"]
    reads = await asyncio.gather(
        *(running.engine.read("bean-street", member) for member in members),
        return_exceptions=True,
    )
    failed = [isinstance(read, BaseException) for read in reads]
    assert failed == [False, True, False, True, False]

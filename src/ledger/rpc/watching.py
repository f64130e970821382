"""WatchBalance: a member's balance as it changes."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncGenerator
from typing import NamedTuple

from ledger.core.errors import Unavailable, VersionMismatch
from ledger.core.instants import SECOND
from ledger.engine import Engine, balance_at
from ledger.feed import HEARTBEAT_SECONDS, RETRY_SECONDS, Feed
from ledger.rpc.answers import balance_message
from ledger.rpc.dispatch import Call
from ledger.rpc.fields import Fields
from ledger.v1 import balance_pb2, types_pb2

#: however soon time is to change a balance
_LEAST_SECONDS = 0.02


class _Look(NamedTuple):
    """A balance as it stands, and for how many seconds at most it stays so by itself."""

    balance: types_pb2.Balance
    seconds: float


async def watch_balance(
    engine: Engine, feed: Feed, request: balance_pb2.WatchBalanceRequest, call: Call
) -> AsyncGenerator[balance_pb2.WatchBalanceResponse, None]:
    """The balance now, each balance that is another than the last one sent, and heartbeats.

    Raises INVALID_FIELD, TOO_MANY_STREAMS, PROGRAM_NOT_FOUND, MEMBER_NOT_FOUND, VERSION_MISMATCH;
    later SHUTTING_DOWN, and STORAGE_UNAVAILABLE or OVERLOADED when that lasts.
    """
    fields = Fields()
    fields.program_id(request.program_id)
    fields.text("member_id", request.member_id, required=True)
    if request.min_version < 0:
        fields.fault("min_version", "must not be negative")
    fields.finish()
    owner = call.principal.caller if call.principal.member_id else ""
    async with feed.listen(request.program_id, request.member_id, owner=owner) as listener:
        look = await _look(engine, request.program_id, request.member_id)
        if look.balance.version < request.min_version:
            raise VersionMismatch(expected=request.min_version, actual=look.balance.version)
        yield _message(look.balance)
        sent, said_at = look.balance, time.monotonic()
        # Streams that were opened together need not be heard together for ever.
        pause = HEARTBEAT_SECONDS * random.uniform(0.5, 1)
        while True:
            rest = said_at + pause - time.monotonic()
            await listener.wait(max(_LEAST_SECONDS, min(rest, look.seconds)))
            try:
                look = await _look(engine, request.program_id, request.member_id)
            except Unavailable:
                if time.monotonic() - said_at > HEARTBEAT_SECONDS:
                    raise
                look = look._replace(seconds=RETRY_SECONDS)
                continue
            # A database that has just taken over may lag behind the one before for a moment.
            behind = look.balance.version < sent.version
            if not behind and _differ(look.balance, sent):
                yield _message(look.balance)
                sent = look.balance
            elif time.monotonic() - said_at >= pause:
                if behind:
                    raise VersionMismatch(expected=sent.version, actual=look.balance.version)
                yield balance_pb2.WatchBalanceResponse(as_of_time=look.balance.as_of_time)
            else:
                continue
            said_at, pause = time.monotonic(), HEARTBEAT_SECONDS


async def _look(engine: Engine, program_id: str, member_id: str) -> _Look:
    program, read = await engine.read(program_id, member_id)
    now = engine.now(program, read.account)
    balance, due_time = balance_at(read.account, program, member_id, now)
    seconds = HEARTBEAT_SECONDS
    if due_time is not None and program.clock_time is None:
        seconds = min(seconds, (due_time - now) / SECOND)
    return _Look(balance_message(balance, program), seconds)


def _differ(one: types_pb2.Balance, other: types_pb2.Balance) -> bool:
    """Whether they tell of more than different instants."""
    same = types_pb2.Balance()
    same.CopyFrom(other)
    same.as_of_time.CopyFrom(one.as_of_time)
    return same != one


def _message(balance: types_pb2.Balance) -> balance_pb2.WatchBalanceResponse:
    return balance_pb2.WatchBalanceResponse(balance=balance, as_of_time=balance.as_of_time)

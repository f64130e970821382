"""One way from a write's request to its receipt, for every service and for batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ledger.core.commands import Command
from ledger.core.program import Program
from ledger.engine import Engine
from ledger.rpc import commands, purchases
from ledger.rpc.answers import receipt_message
from ledger.rpc.dispatch import Call
from ledger.rpc.lookup import program_covering, program_or_refuse
from ledger.v1 import types_pb2

#: makes a command of a request
Reader = Callable[[Any, Program | None], Command]

#: the writes that a batch may hold, by the names of its items
WRITES: Mapping[str, Reader] = {
    "enroll_member": commands.enroll_member,
    "record_purchase": purchases.record_purchase,
    "record_activity": commands.record_activity,
    "record_return": purchases.record_return,
    "hold_points": commands.hold_points,
    "redeem_points": commands.redeem_points,
    "override_tier": commands.override_tier,
    "adjust_points": commands.adjust_points,
    "transfer_points": commands.transfer_points,
    "capture_hold": commands.capture_hold,
    "release_hold": commands.release_hold,
    "extend_hold": commands.extend_hold,
    "reverse_redemption": commands.reverse_redemption,
    "set_member_status": commands.set_member_status,
}


async def write(engine: Engine, name: str, request: Any, call: Call) -> types_pb2.Receipt:
    """The receipt of one write, durable. Raises the write's refusal."""
    program, command = await program_or_refuse(engine, request.program_id, WRITES[name], request)
    receipt = await engine.submit(command, call.actor, call.deadline)
    program = await program_covering(engine, program, receipt.entries)
    return receipt_message(receipt, program)

"""The program of a request, with errors in their documented order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from ledger.core.errors import ProgramNotFound
from ledger.core.model import Entry
from ledger.core.program import Program
from ledger.engine import Engine
from ledger.rpc.fields import PROGRAM_ID

Q = TypeVar("Q")
C = TypeVar("C")


async def program_or_refuse(
    engine: Engine,
    program_id: str,
    convert: Callable[[Q, Program | None], C],
    request: Q,
) -> tuple[Program, C]:
    """The program and the command of a request.

    Raises INVALID_FIELD for a malformed request before PROGRAM_NOT_FOUND, although the currency of
    an amount can only be checked with the program at hand.
    """
    program = engine.catalog.known(program_id)
    if program is None and PROGRAM_ID.fullmatch(program_id):
        try:
            program = await engine.program(program_id)
        except ProgramNotFound:
            convert(request, None)
            raise
    command = convert(request, program)
    assert program is not None  # a malformed program_id has been refused
    return program, command


async def program_covering(engine: Engine, program: Program, entries: Iterable[Entry]) -> Program:
    """The program with every rules version that the entries were decided and told under.

    They may know one that came after `program` was looked up. Whoever wrote them has read the
    program since, so the one that is known now is the better one.
    """
    program = engine.catalog.known(program.program_id) or program
    for entry in entries:
        told = entry.data.progress
        version = max(entry.rules_version, told.version if told is not None else 0)
        if version > program.versions[-1].version:
            program = await engine.program(program.program_id, version)
    return program

"""The connection of a command: `ledger.client`'s, with failures as CommandFailed.

The one place of the command line that knows how to reach a ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from zoneinfo import ZoneInfo

from ledger.cli.credentials import from_environment
from ledger.cli.failure import NO_ANSWER, REFUSED, CommandFailed, usage
from ledger.cli.output import note
from ledger.client import connection as client
from ledger.client.connection import AnswerT
from ledger.client.errors import LedgerError, NoAnswer
from ledger.core.money import CURRENCIES
from ledger.v1 import program_pb2

_CREDENTIAL_WANTED: Final = (
    "Put an API key into LEDGER_API_KEY, or name a file that holds one with --api-key-file. "
    "`ledger keys create`, where the database is, makes one."
)
_CREDENTIAL_REFUSED: Final = (
    "`ledger keys list --all`, where the database is, shows which keys there are, and which have "
    "expired or been revoked."
)
_NOT_ALLOWED: Final = (
    "`ledger keys list`, where the database is, shows the role and the programs of each key; send "
    "one that may do this, with LEDGER_API_KEY or --api-key-file."
)


class Connection(client.Connection):
    """The services of one server. Made by `connect`."""

    def call(
        self, method: Any, request: Any, answer: type[AnswerT], timeout_seconds: float = 0.0
    ) -> AnswerT:
        """What a method of a stub answers; `answer` is its type. Raises CommandFailed."""
        try:
            return super().call(method, request, answer, timeout_seconds)
        except LedgerError as error:
            raise command_failed(error) from None

    def stream(self, method: Any, request: Any, answer: type[AnswerT]) -> Iterator[AnswerT]:
        """As in the client. Raises CommandFailed."""
        try:
            yield from super().stream(method, request, answer)
        except LedgerError as error:
            raise command_failed(error) from None

    def program(self, program_id: str) -> program_pb2.Program:
        """The named program, or, without a name, the only one of the server.

        Raises CommandFailed when it does not exist, or a name is needed.
        """
        if program_id:
            request = program_pb2.GetProgramRequest(program_id=program_id)
            return self.call(self.programs.GetProgram, request, program_pb2.Program)
        page = self.call(
            self.programs.ListPrograms,
            program_pb2.ListProgramsRequest(page_size=10),
            program_pb2.ListProgramsResponse,
        )
        if len(page.programs) == 1:
            program = page.programs[0]
            note(f"Using program {program.program_id}, the only one here.")
            return program
        if not page.programs:
            raise usage("this server has no program yet: `ledger program apply FILE` makes one")
        names = ", ".join(program.program_id for program in page.programs)
        more = " …" if page.next_page_token else ""
        raise usage(f"which program? Name one with --program or LEDGER_PROGRAM: {names}{more}")


@contextmanager
def connect(address: str, timeout_seconds: float) -> Iterator[Connection]:
    """A connection, closed at the end. Nothing is sent before the first call.

    Raises CommandFailed (usage) for an address or a file of credentials that can not be used.
    """
    try:
        connection = Connection(address, timeout_seconds, from_environment())
    except (ValueError, OSError) as error:
        raise usage(f"no way to call {address}: {error}") from None
    with connection:
        yield connection


def command_failed(error: LedgerError) -> CommandFailed:
    """What a command ends with when a call was not answered."""
    no_answer = isinstance(error, NoAnswer)
    advice = ""
    if no_answer and not error.from_ledger:
        advice = "Start one with `ledger serve`, or name another with --server or LEDGER_SERVER."
    elif error.reason == "CREDENTIAL_MISSING":
        advice = _CREDENTIAL_WANTED
    elif error.code == "UNAUTHENTICATED":
        advice = _CREDENTIAL_REFUSED
    elif error.code == "PERMISSION_DENIED":
        advice = _NOT_ALLOWED
    return CommandFailed(
        error.message,
        exit_code=NO_ANSWER if no_answer else REFUSED,
        code=error.code,
        reason=error.reason,
        metadata=error.metadata,
        violations=error.violations,
        advice=advice,
    )


def zone_of(program: program_pb2.Program) -> ZoneInfo:
    """The program's time zone; one this machine does not know is a CommandFailed."""
    try:
        return ZoneInfo(program.time_zone)
    except (OSError, ValueError, KeyError):
        raise usage(f"this machine does not know the time zone {program.time_zone}") from None


def currency_of(program: program_pb2.Program) -> str:
    """The program's currency; one this version does not know is a CommandFailed."""
    if program.currency not in CURRENCIES:
        raise usage(f"this version does not know the currency {program.currency}: update it")
    return program.currency

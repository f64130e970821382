"""How every command that writes runs: which program and request id, and what is said at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from zoneinfo import ZoneInfo

from google.protobuf.message import Message

from ledger.cli import output
from ledger.cli.connection import Connection, connect, currency_of, zone_of
from ledger.cli.messages import as_json
from ledger.cli.present_receipts import receipt_text
from ledger.cli.requests import new_request_id, telling_request_id
from ledger.v1 import program_pb2, types_pb2


class Writer:
    """Sends one request and tells its outcome. Made by `writing`."""

    def __init__(
        self, connection: Connection, program: program_pb2.Program, request_id: str, json: bool
    ) -> None:
        self.connection = connection
        self.program = program
        self.program_id: str = program.program_id
        self.request_id = request_id or new_request_id()
        self.zone: ZoneInfo = zone_of(program)
        self._json = json

    @property
    def currency(self) -> str:
        """The program's; one this version does not know is a CommandFailed."""
        return currency_of(self.program)

    def send(self, method: Any, request: Message) -> types_pb2.Receipt:
        """What a method that writes answers. Raises CommandFailed, with how to repeat the request
        where there is no answer.
        """
        with telling_request_id(self.request_id):
            return self.connection.call(method, request, types_pb2.Receipt)

    def tell(
        self,
        receipt: types_pb2.Receipt,
        what: str,
        done: str,
        before: str = "was recorded before",
        *,
        key_is_told: bool = False,
    ) -> None:
        """Say what was done, or that it was before, and what it posted; as JSON where wanted.

        `what`, `done` and `before` are rich markup. `key_is_told`: `what` names the request id.
        """
        if self._json:
            output.print_json(as_json(receipt))
            return
        if receipt.replayed:
            output.done(f"{what} {before}; this repeats the first answer")
        else:
            output.done(f"{what} {done}")
        output.console().print(receipt_text(receipt, self.zone))
        if not key_is_told:
            output.note(f"  request id {self.request_id}")


@contextmanager
def writing(
    program_id: str, request_id: str, server: str, timeout: float, json: bool
) -> Iterator[Writer]:
    """What a write needs: a connection, the program, and a request id where none was given."""
    with connect(server, timeout) as connection:
        yield Writer(connection, connection.program(program_id), request_id, json)

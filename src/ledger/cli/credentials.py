"""The credentials that commands call with, from files or the environment. Imports typer only.

A key is never an argument: what stands on a command line is seen by everybody on the machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli.failure import usage

if TYPE_CHECKING:
    from ledger.client.credentials import Credentials

#: more than any credential has
_MAX_CHARACTERS = 4_096

_key_file: ContextVar[Path | None] = ContextVar("key_file", default=None)


def _choose(path: Path | None) -> Path | None:
    _key_file.set(path)
    return path


def connection_options(
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            "--api-key-file",
            envvar="LEDGER_API_KEY_FILE",
            metavar="FILE",
            help="A file with the API key or member token to send. Default: LEDGER_API_KEY, which "
            "holds the key itself.",
            rich_help_panel="Connection",
            callback=_choose,
            expose_value=False,
        ),
    ] = None,
) -> None:
    """What every command that asks a server can be told besides, without a parameter of its own."""


def from_environment() -> Credentials:
    """What --api-key-file, or else LEDGER_API_KEY, and LEDGER_CA_FILE, LEDGER_CLIENT_CERTIFICATE
    and LEDGER_CLIENT_KEY say.

    An empty variable counts as not set. Raises CommandFailed (usage).
    """
    from ledger.client.credentials import Credentials

    key_file = _key_file.get()
    try:
        return Credentials(
            api_key=os.environ.get("LEDGER_API_KEY", "").strip()
            if key_file is None
            else read_key("--api-key-file", key_file),
            ca_file=_file("LEDGER_CA_FILE"),
            client_certificate=_file("LEDGER_CLIENT_CERTIFICATE"),
            client_key=_file("LEDGER_CLIENT_KEY"),
        )
    except ValueError as error:
        raise usage(str(error)) from None


def read_key(option: str, path: Path) -> str:
    """The one credential in a file. Raises CommandFailed (usage), which repeats nothing of it."""
    try:
        with path.open() as file:
            text = file.read(_MAX_CHARACTERS + 1).strip()
    except OSError as error:
        raise usage(f"{option}: {path} can not be read: {error.strerror}") from None
    except ValueError:
        text = ""
    if not 0 < len(text) <= _MAX_CHARACTERS or len(text.split()) > 1:
        raise usage(f"{option}: {path} must hold one API key or member token, and nothing else")
    return text


def approver_of(name: str, key_file: Path | None) -> str:
    """Who approves: a name, or the credential in a file. Raises CommandFailed (usage)."""
    if name.startswith("lk_"):
        raise usage("--approver: a key on a command line is seen by others: --approver-key-file")
    if key_file is None:
        return name
    if name:
        raise usage("--approver-key-file: give it or --approver, not both")
    return read_key("--approver-key-file", key_file)


@contextmanager
def new_key_file(path: Path | None) -> Iterator[Callable[[str], None]]:
    """Something to write a secret with, into a new file that only its owner can read, if any; the
    file is there before there is a secret to lose, and goes again when there is none."""
    if path is None:
        yield lambda text: None
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise usage(f"--to: {path} can not be made: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "w") as file:
            yield lambda text: print(text, file=file, flush=True)
    except BaseException:
        path.unlink()
        raise


def _file(name: str) -> Path | None:
    value = os.environ.get(name, "")
    return Path(value) if value else None

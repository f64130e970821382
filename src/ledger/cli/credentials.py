"""The credentials that commands call with, from the environment. Imports the client only.

They are not flags: what stands on a command line is seen by everybody on the machine.
"""

from __future__ import annotations

import os
from pathlib import Path

from ledger.cli.failure import usage
from ledger.client.credentials import Credentials


def from_environment() -> Credentials:
    """What LEDGER_API_KEY, LEDGER_CA_FILE, LEDGER_CLIENT_CERTIFICATE and LEDGER_CLIENT_KEY say.

    An empty variable counts as not set. Raises CommandFailed (usage).
    """
    try:
        return Credentials(
            api_key=os.environ.get("LEDGER_API_KEY", "").strip(),
            ca_file=_file("LEDGER_CA_FILE"),
            client_certificate=_file("LEDGER_CLIENT_CERTIFICATE"),
            client_key=_file("LEDGER_CLIENT_KEY"),
        )
    except ValueError as error:
        raise usage(str(error)) from None


def _file(name: str) -> Path | None:
    value = os.environ.get(name, "")
    return Path(value) if value else None

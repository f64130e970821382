"""One of the processes of `ledger serve --workers`, which starts it: no command for people."""

from __future__ import annotations

import pickle
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ledger.rpc.options import ServeOptions


@dataclass(frozen=True)
class Setup:
    """What a worker is told on stdin."""

    options: ServeOptions
    log_format: Literal["console", "json"]
    log_level: str


def main() -> None:
    """Serve as the worker of the number, and with the link, in the arguments."""
    import structlog

    from ledger.cli import logging
    from ledger.rpc.link import Sibling
    from ledger.rpc.processors import keep_to_one
    from ledger.rpc.serve import run
    from ledger.store.database import DatabaseUnusable

    number, descriptor = map(int, sys.argv[1:])
    setup: Setup = pickle.load(sys.stdin.buffer)
    if setup.options.pin:
        keep_to_one(number)
    logging.configure(setup.log_format, setup.log_level)

    def name_worker(_: Any, __: str, event: Any) -> Any:
        event["worker"] = number
        return event

    structlog.configure(processors=[name_worker, *structlog.get_config()["processors"]])
    log = structlog.get_logger(__name__)
    try:
        run(setup.options, sibling=Sibling(socket.socket(fileno=descriptor)))
    except DatabaseUnusable as error:  # its text is for whoever starts the program
        log.error("worker can not serve", reason=str(error))
        raise SystemExit(1) from None
    except Exception:
        log.exception("worker failed")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()

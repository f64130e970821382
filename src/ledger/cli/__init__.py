"""The command line: `ledger`. Talks gRPC to a server, except serve, migrate and verify.

Importing it is cheap, so that `ledger --help` is: grpc, protobuf, pydantic and sqlalchemy are
imported by the commands that need them, when they run.

Exit codes: 0 done · 1 refused by the ledger, or faults were found · 2 wrong usage · 3 no answer:
the server (or the database) can not be reached, and trying again is safe.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main() -> None:
    """Run the command of this process and end with its exit code."""
    # grpc's own complaints on stderr would come between ours; whoever looks for a fault sets it.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # `ledger statement m-1 | head`: whoever read has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    raise SystemExit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command; its exit code. Failures are printed, as JSON when --json was given."""
    from typer.exceptions import Abort, TyperException

    from ledger.cli.app import command
    from ledger.cli.failure import NOT_DONE, CommandFailed, usage

    as_json = "--json" in arguments
    try:
        result = command().main(args=list(arguments), prog_name="ledger", standalone_mode=False)
    except CommandFailed as failure:
        failed = failure
    except TyperException as fault:
        if not as_json:
            fault.show()  # type: ignore[attr-defined]
            return fault.exit_code
        failed = usage(fault.format_message())
    except (Abort, KeyboardInterrupt):
        return NOT_DONE
    else:
        return result if isinstance(result, int) else 0
    from ledger.cli.output import print_failure

    print_failure(failed, as_json)
    return failed.exit_code

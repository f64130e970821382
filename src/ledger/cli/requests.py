"""Request ids: made where none is given, and told when an answer is missing. Standard library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from ledger.cli.failure import NO_ANSWER, CommandFailed


def new_request_id() -> str:
    """An idempotency key nobody has used."""
    return str(uuid4())


@contextmanager
def telling_request_id(request_id: str) -> Iterator[None]:
    """Adds to a failure without an answer how to repeat the very same request."""
    try:
        yield
    except CommandFailed as failure:
        if failure.exit_code == NO_ANSWER:
            failure.metadata.setdefault("request_id", request_id)
            repeat = f"To repeat exactly this one: --request-id {request_id}"
            failure.advice = f"{failure.advice}\n  {repeat}" if failure.advice else repeat
        raise

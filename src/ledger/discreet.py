"""Errors as logs may tell them: what they are and where, and nothing of what was being done.

The text of an error may hold a member, a receipt, a request or a secret: an entry that violates a
constraint is shown in full by the database, and a KeyError says which key. So logs get the kind of
an error, the code and constraint of a database's, and the lines of the program. Imports the
standard library only.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator


def what(error: BaseException) -> str:
    """The kind of an error, and what can be told of it."""
    original = getattr(error, "orig", None)
    if isinstance(original, BaseException):
        return what(original)
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else _name(kind)
    details = _details(error)
    return f"{name}: {details}" if details else name


def lines(error: BaseException) -> Iterator[str]:
    """The traceback of an error, with those it came of, without their texts."""
    yield from _chain(error, set())


def _chain(error: BaseException, told: set[int]) -> Iterator[str]:
    told.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in told:
        yield from _chain(before, told)
        why = "was the cause of" if before is error.__cause__ else "was being handled, then came"
        yield f"\nThe error above {why} the one below:\n\n"
    yield "Traceback (most recent call last):\n"
    yield from traceback.format_tb(error.__traceback__)
    yield f"{what(error)}\n"
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            if id(each) not in told:
                yield "\nOne of its errors:\n\n"
                yield from _chain(each, told)


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _details(error: BaseException) -> str:
    reason = getattr(error, "reason", None)
    if isinstance(reason, str) and reason.isupper():  # one of the ledger's own
        return reason
    if hasattr(error, "pgcode"):
        return _of_database(error)
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return ""


def _of_database(error: BaseException) -> str:
    """The SQLSTATE, and what was violated. Without a code no server has answered: then the driver
    says why it could not connect, or that the connection is lost."""
    code = getattr(error, "pgcode", None)
    if not code:
        return " ".join(str(error).split()) if "OperationalError" in type(error).__name__ else ""
    constraint = getattr(getattr(error, "diag", None), "constraint_name", None)
    return f"SQLSTATE {code}" + (f", {constraint}" if constraint else "")

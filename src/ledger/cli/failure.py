"""How a command fails: one exception with everything a person or a program wants to know.

Imports the standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

REFUSED: Final = 1
USAGE: Final = 2
NO_ANSWER: Final = 3
#: stopped from the keyboard
NOT_DONE: Final = 130


class CommandFailed(Exception):
    """Ends a command. `code` is a google.rpc.Code name, `reason` the stable word for programs."""

    def __init__(
        self,
        message: str,
        *,
        exit_code: int = REFUSED,
        code: str = "FAILED_PRECONDITION",
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: Iterable[tuple[str, str]] = (),
        advice: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.code = code
        self.reason = reason
        self.metadata = dict(metadata or {})
        #: (path, what is wrong and what is allowed there)
        self.violations = [(field, description) for field, description in violations]
        #: what to do next, for people
        self.advice = advice

    def as_dict(self) -> dict[str, Any]:
        """The failure as the JSON document that goes to stderr."""
        return {
            "code": self.code,
            "reason": self.reason,
            "message": self.message,
            "metadata": self.metadata,
            "violations": [
                {"field": field, "description": description}
                for field, description in self.violations
            ],
        }


def usage(message: str, violations: Iterable[tuple[str, str]] = ()) -> CommandFailed:
    """The command was called wrongly; nothing was sent."""
    return CommandFailed(
        message, exit_code=USAGE, code="INVALID_ARGUMENT", reason="USAGE", violations=violations
    )

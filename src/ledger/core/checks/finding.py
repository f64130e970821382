"""What a check of the journal answers with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple


class Finding(NamedTuple):
    """Something that contradicts the journal. sequence 0 = the account as a whole."""

    check: str
    sequence: int
    detail: str


def compare(check: str, sequence: int, *facts: tuple[str, Any, Any]) -> Iterator[Finding]:
    """A finding for each fact (its name, what is said, what should be) that is not as it should."""
    for name, said, due in facts:
        if said != due:
            yield Finding(check, sequence, f"{name} is {said!r}, should be {due!r}")

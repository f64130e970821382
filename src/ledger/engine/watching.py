"""Lets somebody follow single commands through the queue and their transaction.

Nobody does unless tracing is on, and then it costs nothing more than to see that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ledger.engine.batch import Item


class Instants(NamedTuple):
    """When the phases of a transaction ended (time.perf_counter), and when the first began."""

    began: float
    loaded: float
    decided: float
    saved: float
    committed: float


class Watcher(Protocol):
    """Is told of what becomes of commands. It must neither raise nor wait."""

    def submitted(self, items: Sequence[Item]) -> None:
        """They wait from now on. Called where they are submitted."""

    def transacted(self, items: Sequence[Item], instants: Instants) -> None:
        """They were done together. Called in the writer's thread: callers wait for it."""

"""A till for programs: one JSON line for each thing that is done or happens. Imports the client.

Names are those of the API in camel case, numbers are numbers; money has an `amount`, which is text,
and a `currency`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from ledger.client import Balance, Event, Item, LedgerError, QueueError, Reward, Tier, Till
from ledger.core.instants import format_instant, to_instant


class JsonFace:
    """Prints events, each on a line, at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def started(self, till: Till, waiting: Sequence[Item], answered: Sequence[Item]) -> None:
        self._emit(
            "started", online=till.online, queue=str(till.queue.path), waiting=len(waiting),
            waits=waiting, answered=answered,
        )  # fmt: skip

    def member(
        self,
        member_id: str,
        balance: Balance | None,
        tier: Tier | None,
        rewards: Sequence[Reward],
        why_not: LedgerError | None,
    ) -> None:
        self._emit(
            "member", member_id=member_id, balance=balance, tier=tier, rewards=rewards,
            error=why_not,
        )  # fmt: skip

    def written(self, item: Item) -> None:
        self._emit(item.kind, item=item)

    def rewards(self, member_id: str, rewards: Sequence[Reward]) -> None:
        self._emit("rewards", member_id=member_id, rewards=rewards)

    def queue(self, waiting: Sequence[Item], answered: Sequence[Item]) -> None:
        self._emit("queue", waiting=waiting, answered=answered)

    def uploaded(self, items: Sequence[Item], waiting: int) -> None:
        self._emit("uploaded", items=items, waiting=waiting)

    def happened(self, event: Event, waiting: int) -> None:
        more: dict[str, Any] = {"text": event.text} if event.text else {}
        if event.item is not None:
            more["item"] = event.item
        self._emit(event.kind, waiting=waiting, **more)

    def failed(self, command: str, error: Exception) -> None:
        self._emit("failed", command=command, error=error)

    def said(self, what: str, text: str) -> None:
        self._emit(what, text=text)

    def stopped(self, waiting: int, path: str) -> None:
        self._emit("stopped", waiting=waiting, queue=path)

    def _emit(self, event: str, **values: Any) -> None:
        document = {"event": event, **{_camel(name): plain(v) for name, v in values.items()}}
        with self._lock:
            line = json.dumps(document, ensure_ascii=False)
            # What was typed need not be text: half a character can only be told as an escape.
            print(line.encode(errors="backslashreplace").decode(), flush=True)


def plain(value: Any) -> Any:
    """The value as JSON can say it."""
    if is_dataclass(value):
        return {_camel(f.name): plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, datetime):
        return format_instant(to_instant(value))
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, LedgerError):
        return {
            "code": value.code,
            "reason": value.reason,
            "message": value.message,
            "metadata": value.metadata,
        }
    if isinstance(value, QueueError):
        return {"code": "UNAVAILABLE", "reason": value.reason, "message": value.message}
    if isinstance(value, Exception):
        return {"code": "INVALID_ARGUMENT", "reason": "USAGE", "message": str(value)}
    return value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)

"""Work that is done again and again beside the calls, until the service stops."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from ledger.core.errors import LedgerError

log = structlog.get_logger(__name__)


class Repeated:
    """Does `piece` again and again, which answers in how many seconds it may be done next; after a
    failure, which is logged under the work's name, in `retry_seconds`."""

    def __init__(
        self, name: str, piece: Callable[[], Awaitable[float]], retry_seconds: float
    ) -> None:
        self._name = name
        self._piece = piece
        self._retry_seconds = retry_seconds
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Begin no more. What was handed to the engine is finished by it."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            pause = self._retry_seconds
            try:
                pause = await self._piece()
            except LedgerError as error:
                log.warning(f"{self._name} waits", reason=error.reason)
            except Exception:
                log.exception(f"{self._name} failed")
            await asyncio.sleep(pause)

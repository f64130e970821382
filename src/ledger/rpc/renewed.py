"""What is read from files and read again when they change, while the server runs.

A file that can not be used any more changes nothing: what was read before stays, and that is said
once in the log and for as long as it lasts in the metrics. Imports nothing of the rest of rpc.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import structlog

from ledger.metrics import Metrics

log = structlog.get_logger(__name__)

#: between two looks at the files
LOOK_SECONDS = 1.0

T = TypeVar("T")


class FilesUnusable(Exception):
    """A file that can not be used: which, and why. Never what is in it."""


class Renewed(Generic[T]):
    """`value` is what `read` makes of the files as they are now, or as they last could be used.

    Raises what `read` raises: FilesUnusable.
    """

    def __init__(
        self, name: str, files: Sequence[Path], read: Callable[[], T], metrics: Metrics
    ) -> None:
        self._name = name
        self._files = tuple(files)
        self._read = read
        self._unusable = metrics.files_unusable.labels(name)
        self._unusable.set(0)
        self._seen = self._marks()
        #: the files that failed at the last look, and whether that has been said
        self._failed: object = None
        self._said = False
        self.value = read()

    def look(self) -> None:
        """Read again what has changed. Takes as long as the files do."""
        marks = self._marks()
        if marks == self._seen:
            return
        try:
            self.value = self._read()
        except Exception as error:  # or what is looked at after it would not be any more
            detail = str(error) if isinstance(error, FilesUnusable) else type(error).__name__
            # Several files are rarely written at one moment: look twice before saying so.
            if marks == self._failed and not self._said:
                self._said = True
                self._unusable.set(1)
                log.error("files can not be used; what was read before stays", detail=detail)
            elif marks != self._failed:
                self._failed, self._said = marks, False
            return
        self._seen, self._failed = marks, None
        self._unusable.set(0)
        log.info("files were read anew", files=self._name)

    def _marks(self) -> tuple[object, ...]:
        """What is different once a file was written or replaced, also by way of a link."""
        marks: list[object] = []
        for file in self._files:
            try:
                status = file.stat()
            except OSError as error:
                marks.append(error.errno)
            else:
                marks.append((status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))
        return tuple(marks)


class Renewing:
    """Looks at files again and again, in a thread of its own so that nobody waits for a disk."""

    def __init__(self, renewed: Sequence[Renewed[Any]]) -> None:
        self._renewed = renewed
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_looking())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await asyncio.to_thread(self._look)
            except Exception:
                log.exception("files can not be looked at")

    def _look(self) -> None:
        for each in self._renewed:
            each.look()


def read_file(setting: str, path: Path) -> bytes:
    """What is in a file that a setting names. Raises FilesUnusable."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise FilesUnusable(f"{setting}: {path}: {error.strerror}") from None

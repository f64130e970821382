"""Several service processes on one pair of ports: the process that starts and watches them.

It serves nothing itself. It reserves both ports, which the workers share by SO_REUSEPORT (the
kernel deals connections out to them), starts another worker when one has ended or does not move any
more, stops all of them in order, and adds up their metrics. Imports no server.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import pickle
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import structlog
from prometheus_client.core import Metric

from ledger import signals
from ledger.exposition import lasting, merged
from ledger.rpc.link import Link

log = structlog.get_logger(__name__)

#: A worker ends by itself sooner than that after a stop signal, or not at all; and before whoever
#: sent that signal loses patience.
STOP_SECONDS = 25.0
#: A worker that serves is asked so often whether it still does, and killed when it has not said so
#: this many times in a row. Asked several times, because this process may have stood still itself.
BEAT_SECONDS = 2.0
MISSED_BEATS = 4
#: for a worker to say what its metrics are; then the last that it said is shown
MEASURE_SECONDS = 2.0
_FIRST_DELAY_SECONDS = 0.1
_LONGEST_DELAY_SECONDS = 10.0
#: a worker that served so long did not end because of how it was started
_STEADY_SECONDS = 60.0
#: nobody serves, and so many starts in a row have failed: there is no use in trying again
_STARTS = 5


class WorkerFailed(Exception):
    """The workers do not start; what they said is in their log."""


@contextlib.contextmanager
def reserved(address: str, what: str) -> Iterator[str]:
    """The address, with its port if it was 0, for workers to share and nobody else to take.

    Raises OSError when it is taken, or not this machine's.
    """
    host, _, port = address.rpartition(":")
    number = int(port)
    with contextlib.ExitStack() as stack:
        try:
            places = socket.getaddrinfo(host.strip("[]"), number, type=socket.SOCK_STREAM)
            for family, _, _, _, place in places:
                try:
                    number = _reserve(stack, family, (place[0], number, *place[2:]))
                except OSError as error:
                    if error.errno != errno.EADDRNOTAVAIL or len(places) == 1:
                        raise  # not only localhost where there is no IPv6
        except OSError as error:
            message = f"can not listen on {address} for {what}: {error.strerror}"
            raise OSError(message) from error
        yield f"{host}:{number}"


def _reserve(stack: contextlib.ExitStack, family: int, place: tuple[Any, ...]) -> int:
    """The port, held by a socket that does not listen, until the stack is closed.

    Sockets that share a port can not tell whose they are. So the first one does not share it: it
    listens, which the kernel lets nobody else do from then on. Once the one that holds the port is
    there too, neither lets in a server that does not share, and every server begins like that.
    """
    alone, held = (socket.socket(family, socket.SOCK_STREAM) for _ in range(2))
    stack.callback(held.close)
    with alone:
        # Connections that linger from a server before this one do not count.
        for each in (alone, held):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        alone.bind(place)
        alone.listen()
        place = alone.getsockname()
        for each in (alone, held):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(place)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return int(place[1])


class _Worker:
    """One of the workers, whichever process it is at the moment."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.ready = False
        #: what it measured when it was last asked
        self.metrics: list[Metric] = []
        self._link: Link | None = None
        self._measuring: asyncio.Future[None] | None = None
        self._alive = True

    async def listen(
        self, link: Link, on_message: Callable[[_Worker, tuple[Any, ...]], None]
    ) -> None:
        """Until the process has ended."""
        self._link = link
        while (message := await link.receive()) is not None:
            if message[0] == "measured":
                self.metrics = message[1]
                self._measured()
            elif message[0] == "alive":
                self._alive = True
            else:
                on_message(self, message)
        self._link = None
        self._measured()

    def tell(self, *message: Any) -> None:
        if self._link is not None:
            self._link.send(*message)

    async def hangs(self) -> None:
        """Return when it is ready, and has not answered for a while."""
        missed = 0
        while missed < MISSED_BEATS:
            self._alive = not self.ready
            self.tell("beat")
            await asyncio.sleep(BEAT_SECONDS)
            missed = 0 if self._alive else missed + 1

    async def measure(self) -> None:
        """Bring `metrics` up to date, if it answers in time."""
        if self._measuring is None or self._measuring.done():
            self._measuring = asyncio.get_running_loop().create_future()
            self.tell("measure")
        await asyncio.wait((self._measuring,), timeout=MEASURE_SECONDS)

    def _measured(self) -> None:
        if self._measuring is not None and not self._measuring.done():
            self._measuring.set_result(None)


class Workers:
    """`count` workers, each started by a command that gets the number of the worker and of a
    descriptor of its link as arguments, and `setup`, pickled, on stdin."""

    def __init__(
        self, count: int, command: Sequence[str], setup: object, on_ready: Callable[[], None]
    ) -> None:
        self._command = command
        self._setup = pickle.dumps(setup)
        self._on_ready = on_ready
        self._workers = [_Worker(number) for number in range(1, count + 1)]
        #: of processes that have ended
        self._kept: list[Metric] = []
        self._all_were_ready = False
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until SIGTERM, SIGINT or SIGHUP, and all workers have stopped. Raises WorkerFailed."""
        with signals.calling(self._stopping.set):
            results = await asyncio.gather(
                *(self._keep(worker) for worker in self._workers), return_exceptions=True
            )
        for result in results:
            if result is not None:
                raise result

    async def _keep(self, worker: _Worker) -> None:
        """Have a process be this worker until all shall stop."""
        failures = 0
        try:
            while not self._stopping.is_set():
                began = time.monotonic()
                code = await self._live(worker)
                if self._stopping.is_set():
                    break
                failures = 0 if time.monotonic() - began > _STEADY_SECONDS else failures + 1
                serving = any(each.ready for each in self._workers)
                if not self._all_were_ready or (failures >= _STARTS and not serving):
                    how = (
                        "could not be started"
                        if code is None
                        else f"ended with {code} at its start"
                    )
                    raise WorkerFailed(f"worker {worker.number} {how}")
                delay = min(_FIRST_DELAY_SECONDS * 2 ** (failures - 1), _LONGEST_DELAY_SECONDS)
                log.error("worker ended", worker=worker.number, code=code, restart_seconds=delay)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), delay)
        finally:
            self._stopping.set()  # whatever happened: none without the others

    async def _live(self, worker: _Worker) -> int | None:
        """Start a process, and stop it when all shall stop; its exit code. None: there was none."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    *(str(worker.number), str(theirs.fileno())),
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.PIPE,
                    process_group=0,  # a Ctrl-C is for this process to handle
                )
            except OSError as error:  # no memory, no more processes, or an update of the program
                log.error("worker can not be started", worker=worker.number, error=error.strerror)
                ours.close()
                return None
        link = await Link.open(ours)
        listening = asyncio.create_task(worker.listen(link, self._on_message))
        stop = asyncio.create_task(self._stopping.wait())
        ended = asyncio.create_task(process.communicate(self._setup))
        hangs = asyncio.create_task(worker.hangs())
        try:
            await asyncio.wait((stop, ended, hangs), return_when=asyncio.FIRST_COMPLETED)
            if hangs.done() and not ended.done():
                log.error("worker hangs", worker=worker.number)
                process.kill()
            elif not ended.done():
                process.terminate()
                if not (await asyncio.wait((ended,), timeout=STOP_SECONDS))[0]:
                    log.error("worker does not stop", worker=worker.number)
                    process.kill()
            await ended
        finally:
            worker.ready = False
            stop.cancel()
            hangs.cancel()
            await listening
            link.close()
            self._kept = merged({worker.number: lasting(worker.metrics)}, self._kept)
            worker.metrics = []
        assert process.returncode is not None
        return process.returncode

    def _on_message(self, worker: _Worker, message: tuple[Any, ...]) -> None:
        match message:
            case ("ready",):
                worker.ready = True
                if not self._all_were_ready and all(each.ready for each in self._workers):
                    self._all_were_ready = True
                    self._on_ready()
            case ("ask", metrics):
                worker.metrics = metrics
                task = asyncio.create_task(self._answer(worker))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _answer(self, asking: _Worker) -> None:
        others = (each for each in self._workers if each.ready and each is not asking)
        await asyncio.gather(*(each.measure() for each in others))
        measured = {each.number: each.metrics for each in self._workers}
        asking.tell("shown", merged(measured, self._kept))

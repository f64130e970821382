"""A load of writes by clients that keep the rules, and what must be true of the journal after it.

Each client repeats what was answered UNAVAILABLE, with the same request id, a few times; whatever
was then not answered with certainty stays open. `Load.settle` repeats every request that was ever
sent, and `Load.check` compares the journal with what was answered, by plain counting. Imports the
clients of the service tests and the verification only.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator

from ledger.store.verify import verify
from ledger.v1 import member_pb2, points_pb2, types_pb2
from tests.faults.processes import connect, eventually
from tests.service.client import Failure, GrpcClient
from tests.service.requests import PROGRAM, batch, enrollment, program, purchase

Write = points_pb2.RecordPurchaseRequest | member_pb2.EnrollMemberRequest
#: (member_id, request_id)
Key = tuple[str, str]

BONUS_POINTS = 50
#: refusals of members that are known are remembered, so they are known from the beginning
MEMBERS = [f"m-{number}" for number in range(40)]
_RECONNECT: list[tuple[str, int | str]] = [
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 250),
]
_IN_TURN: list[tuple[str, int | str]] = [
    ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}')
]
_RETRIES = 4
_LONGEST_DELAY_SECONDS = 2.0


def open_shop(client: GrpcClient) -> None:
    """A program in real time that enrols whoever buys, with a bonus; and its first members."""
    client.create_program(
        program(
            sandbox=False,
            bonuses=[{"id": "welcome", "on": "ENROLLMENT", "points": BONUS_POINTS}],
            members={"auto_enroll": True},
        )
    )
    answer = client.batch_write(batch(*(first_enrollment(member_id) for member_id in MEMBERS)))
    assert all(result.HasField("receipt") for result in answer.results)


def first_enrollment(member_id: str) -> member_pb2.EnrollMemberRequest:
    return enrollment(member_id, request_id="first")


def client_of(address: str) -> GrpcClient:
    """A client that notices soon when the service is back; several servers it asks in turn."""
    return GrpcClient(address, options=_RECONNECT + (_IN_TURN if "," in address else []))


def repeat_unavailable(
    call: Callable[[], types_pb2.Receipt], chance: random.Random
) -> types_pb2.Receipt:
    """The answer of a call that is repeated by the rules: UNAVAILABLE only, at most four times,
    with full jitter. Raises Failure."""
    delay = 0.1
    for _ in range(_RETRIES):
        try:
            return call()
        except Failure as failure:
            if failure.code != "UNAVAILABLE":
                raise
        time.sleep(chance.uniform(0, delay))
        delay = min(2 * delay, _LONGEST_DELAY_SECONDS)
    return call()


class Load:
    """Clients in threads that write until `stop`. Everything random comes from the seed."""

    def __init__(self, address: str, *, clients: int = 6, seed: int) -> None:
        self._address = address
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        #: every write that was ever sent
        self.sent: dict[Key, Write] = {
            (member_id, "first"): first_enrollment(member_id) for member_id in MEMBERS
        }
        #: what was answered with OK, with `replayed` set
        self.receipts: dict[Key, types_pb2.Receipt] = {}
        #: reasons of refusals that a request id keeps
        self.refusals: dict[Key, str] = {}
        #: how often a write was answered as if for the first time
        self.first_answers: Counter[Key] = Counter()
        #: why requests were answered with something else
        self.failures: Counter[str] = Counter()
        #: what contradicts a promise, found while it happened
        self.contradictions: list[str] = []
        self._threads = [
            threading.Thread(target=self._run, args=(number, random.Random(f"{seed}/{number}")))
            for number in range(clients)
        ]

    def start(self) -> None:
        """Begin to write."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_seconds: float = 30.0) -> None:
        """Return when no client writes any more."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout_seconds)
            assert not thread.is_alive(), "a client still waits for its answer"

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Within the block the clients write."""
        self.start()
        try:
            yield
        finally:
            self.stop()

    def wait_for_answers(self, count: int = 20, timeout_seconds: float = 15.0) -> None:
        """Return when so many more writes were answered with OK; raises TimeoutError."""
        until = len(self.receipts) + count
        eventually(f"{count} more answers", lambda: len(self.receipts) >= until, timeout_seconds)

    def write(self, client: GrpcClient, write: Write, chance: random.Random) -> None:
        """Send one write more, as one of the clients would."""
        with self._lock:
            self.sent[write.member_id, write.request_id] = write
        self._send(client, write, chance)

    # -- writing ---------------------------------------------------------------------------------

    def _run(self, number: int, chance: random.Random) -> None:
        client = client_of(self._address)
        try:
            serial = 0
            while not self._stopping.is_set():
                if chance.random() < 0.15:
                    writes = [
                        self._write(number, serial + i, chance) for i in range(chance.randint(2, 6))
                    ]
                    serial += len(writes)
                    self._send_batch(client, writes)
                else:
                    self._send(client, self._write(number, serial, chance), chance)
                    serial += 1
        except Exception as error:
            self.contradictions.append(f"client {number} failed: {error!r}")
            raise
        finally:
            client.close()

    def _write(self, number: int, serial: int, chance: random.Random) -> Write:
        """Mostly purchases; some enrolments, some repeats, some receipts that were there before."""
        member_id = chance.choice(MEMBERS)
        kind = chance.random()
        write: Write
        if kind < 0.1:
            member_id = chance.choice([member_id, f"guest-{number}-{serial}"])
            write = enrollment(member_id, request_id=f"enroll-{number}-{serial}")
        elif kind < 0.25:  # a member that nobody has seen
            newcomer = f"new-{number}-{serial}"
            write = purchase(f"{number}-{serial}", self._amount(chance), member_id=newcomer)
        elif kind < 0.35 and serial:  # a receipt of this client's, under another request
            write = purchase(
                f"{number}-{chance.randrange(serial)}",
                self._amount(chance),
                member_id=member_id,
                request_id=f"other-{number}-{serial}",
            )
        else:
            write = purchase(f"{number}-{serial}", self._amount(chance), member_id=member_id)
        with self._lock:
            if kind > 0.95 and self.sent:  # a request once more
                return chance.choice(list(self.sent.values()))
            self.sent[write.member_id, write.request_id] = write
        return write

    def _amount(self, chance: random.Random) -> str:
        return f"{chance.randrange(1, 100)}.{chance.randrange(100):02}"

    def _send(self, client: GrpcClient, write: Write, chance: random.Random) -> None:
        def call() -> types_pb2.Receipt:
            if isinstance(write, member_pb2.EnrollMemberRequest):
                return client.enroll_member(write)
            return client.record_purchase(write)

        try:
            receipt = repeat_unavailable(call, chance)
        except Failure as failure:
            self._failed(write, failure)
        else:
            self._answered(write, receipt)

    def _send_batch(self, client: GrpcClient, writes: list[Write]) -> bool:
        """Whether each of them has its outcome."""
        try:
            results = client.batch_write(batch(*writes)).results
        except Failure as failure:
            for write in writes:
                self._failed(write, failure)
            return False
        certain = True
        for write, result in zip(writes, results, strict=True):
            if result.HasField("receipt"):
                self._answered(write, result.receipt)
            else:
                refusal = Failure(result.error)
                self._failed(write, refusal)
                certain = certain and refusal.code != "UNAVAILABLE"
        return certain

    def _answered(self, write: Write, receipt: types_pb2.Receipt) -> None:
        key = (write.member_id, write.request_id)
        with self._lock:
            if not receipt.replayed:
                self.first_answers[key] += 1
            receipt.replayed = True
            if self.receipts.setdefault(key, receipt) != receipt:
                self.contradictions.append(f"{key} was answered with two receipts")
            if key in self.refusals:
                self.contradictions.append(f"{key} was refused, then answered with a receipt")

    def _failed(self, write: Write, failure: Failure) -> None:
        key = (write.member_id, write.request_id)
        with self._lock:
            self.failures[failure.reason or failure.code] += 1
            if failure.code == "FAILED_PRECONDITION":
                if self.refusals.setdefault(key, failure.reason) != failure.reason:
                    self.contradictions.append(f"{key} was refused for two reasons")
                if key in self.receipts:
                    self.contradictions.append(f"{key} was answered with a receipt, then refused")
            elif failure.code not in ("UNAVAILABLE", "ALREADY_EXISTS", "DEADLINE_EXCEEDED"):
                self.contradictions.append(f"{key}: {failure}")

    # -- afterwards ------------------------------------------------------------------------------

    def settle(self, timeout_seconds: float = 30.0) -> None:
        """Repeat every request that was ever sent, until each has its outcome."""
        deadline = time.monotonic() + timeout_seconds
        with contextlib.closing(client_of(self._address)) as client:
            writes = list(self.sent.values())
            for start in range(0, len(writes), 500):
                while not self._send_batch(client, writes[start : start + 500]):
                    assert time.monotonic() < deadline, dict(self.failures)
                    time.sleep(0.1)

    def check_answers(self, database_url: str) -> None:
        """Whatever was answered is in the journal, once, as it was answered; nothing is there
        twice. Other requests may be there or not."""
        with self._lock:
            receipts, refusals = dict(self.receipts), set(self.refusals)
        posted, refused = _outcomes(database_url)
        assert self.contradictions == []
        assert {key: n for key, n in self.first_answers.items() if n > 1} == {}
        assert {key: n for key, n in Counter(key for key, _ in posted).items() if n > 1} == {}
        assert {key for key, _ in posted} & refused == set()
        assert {key for key, _ in posted} | refused <= set(self.sent)
        sequences = dict(posted)
        for key, receipt in receipts.items():
            assert sequences.get(key) == receipt.entries[0].sequence, f"{key} was lost"
        assert self._remembered(refusals) <= refused

    def check(self, database_url: str) -> None:
        """After `settle`: as `check_answers`, and everything that was sent has its one outcome,
        points are what the receipts say, and the whole ledger verifies."""
        self.check_answers(database_url)
        posted, refused = _outcomes(database_url)
        # An enrolment of somebody who is enrolled leaves nothing behind, nor does a refusal of
        # somebody who is not known.
        nothing = {
            key
            for key, write in self.sent.items()
            if isinstance(write, member_pb2.EnrollMemberRequest) and key not in dict(posted)
        } | (set(self.refusals) - self._remembered(self.refusals))
        assert {key for key, _ in posted} | refused | nothing == set(self.sent)
        assert set(self.receipts) == {key for key, _ in posted}
        assert self._remembered(self.refusals) == refused
        assert _balances(database_url) == self._expected_balances()
        report = verify(database_url, workers=1)
        assert report.findings == []
        assert sum(report.totals[PROGRAM].values()) == 0

    def _remembered(self, refusals: Iterable[Key]) -> set[Key]:
        """Those of the refused requests that are about members who are known."""
        known = {member_id for member_id, _ in list(self.receipts)}
        return {key for key in refusals if key[0] in known}

    def _expected_balances(self) -> dict[str, int]:
        """What every member has, counted from the requests that were answered with OK alone."""
        points: dict[str, int] = defaultdict(lambda: BONUS_POINTS)
        earned: set[str] = set()
        for key in self.receipts:
            write = self.sent[key]
            points[write.member_id] += 0
            if isinstance(write, points_pb2.RecordPurchaseRequest):
                assert write.purchase_id not in earned, f"{write.purchase_id} earned twice"
                earned.add(write.purchase_id)
                points[write.member_id] += write.amount.units
        return dict(points)


def _outcomes(database_url: str) -> tuple[list[tuple[Key, int]], set[Key]]:
    """Every request that posted, with the sequence of its entry; every request that was refused."""
    with contextlib.closing(connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT member_id, request_id, sequence FROM entries WHERE request_id IS NOT NULL"
        )
        posted = [((member_id, request_id), number) for member_id, request_id, number in cursor]
        cursor.execute("SELECT member_id, request_id FROM refusals")
        return posted, {(member_id, request_id) for member_id, request_id in cursor}


def _balances(database_url: str) -> dict[str, int]:
    with contextlib.closing(connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT member_id, available FROM accounts")
        return dict(cursor)

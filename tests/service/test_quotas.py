"""Rate quotas: how much one caller may ask for in a second."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request

import pytest

from ledger.core.errors import QuotaExceeded
from ledger.metrics import Metrics
from ledger.rpc import quotas
from ledger.rpc.principals import Principal
from ledger.rpc.quotas import Quotas
from ledger.v1 import points_pb2, program_pb2
from tests.conftest import running_server
from tests.service.client import Client, failure_of
from tests.service.conftest import TRANSPORTS, client_of
from tests.service.credentials import METHODS, ask, bearer, make_key, reasons
from tests.service.requests import balance, batch, open_program, purchase

TILL, SHOP = Principal("key:till-7/x", "till"), Principal("key:web/y", "shop")
LIST = program_pb2.ListProgramsRequest()


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def test_a_bucket_fills_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, metrics = Clock(monkeypatch), Metrics()
    spent = Quotas(10, metrics)
    for _ in range(20):
        spent.spend(TILL, LIST)
    with pytest.raises(QuotaExceeded) as refused:
        spent.spend(TILL, LIST)
    assert refused.value.retry_after == pytest.approx(0.1)
    assert refused.value.metadata == {"per_second": "10"}
    assert refused.value.code == "RESOURCE_EXHAUSTED"
    spent.spend(SHOP, LIST)
    clock.now += 0.1
    spent.spend(TILL, LIST)
    clock.now += 3_600
    for _ in range(20):
        spent.spend(TILL, LIST)
    with pytest.raises(QuotaExceeded):
        spent.spend(TILL, LIST)
    assert metrics.registry.get_sample_value("ledger_quota_refusals_total") == 2


def test_a_batch_costs_each_of_its_items_and_is_paid_for_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    spent = Quotas(10, Metrics())
    items = points_pb2.BatchWriteRequest(items=[points_pb2.BatchWriteItem()] * 100)
    spent.spend(TILL, items)
    with pytest.raises(QuotaExceeded) as refused:
        spent.spend(TILL, LIST)
    assert refused.value.retry_after == pytest.approx(8.1)
    clock.now += 8
    with pytest.raises(QuotaExceeded) as refused:
        spent.spend(TILL, items)
    assert refused.value.retry_after == pytest.approx(0.1)
    clock.now += 0.1
    spent.spend(TILL, items)


def test_a_principal_may_have_a_quota_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    spent = Quotas(1, Metrics())
    fast = Principal("key:fast/z", "shop", quota_per_second=5)
    free = Principal("key:free/z", "shop", quota_per_second=0)
    for _ in range(10):
        spent.spend(fast, LIST)
    for _ in range(100):
        spent.spend(free, LIST)
    with pytest.raises(QuotaExceeded) as refused:
        spent.spend(fast, LIST)
    assert refused.value.metadata == {"per_second": "5"}


def test_members_of_two_programs_are_two_callers_whatever_their_ids(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or else one would learn from refusals how much the other one asks for."""
    Clock(monkeypatch)
    spent = Quotas(5, Metrics())
    own, foreign, same = (
        Principal("member:m-1", role, frozenset((program_id,)), "m-1")
        for role, program_id in (("member", "own"), ("member", "foreign"), ("member-holds", "own"))
    )
    for _ in range(5):
        spent.spend(own, LIST)
        spent.spend(same, LIST)
    with pytest.raises(QuotaExceeded):
        spent.spend(own, LIST)
    spent.spend(foreign, LIST)


def test_buckets_that_are_full_again_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    monkeypatch.setattr(quotas, "_MANY", 10)
    spent = Quotas(1, Metrics())
    for number in range(1_000):
        spent.spend(Principal(f"member-{number}", "member"), LIST)
        clock.now += 0.5
        assert len(spent._buckets) <= 11


def test_without_a_quota_nothing_is_counted() -> None:
    spent = Quotas(0, Metrics())
    for _ in range(10_000):
        spent.spend(TILL, LIST)
    assert not spent._buckets


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_caller_who_asks_too_often_is_told_when_to_come_again(
    database_url: str, transport: str
) -> None:
    with running_server(database_url, quota_per_second=4) as running:
        client: Client = client_of(running, transport)
        open_program(client)
        items = batch(*(purchase(str(number)) for number in range(30)))
        results = client.batch_write(items).results
        assert {result.WhichOneof("outcome") for result in results} == {"receipt"}

        refused = failure_of(client.get_balance, balance())

        assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")
        assert refused.metadata == {"per_second": "4"}
        assert refused.retry_seconds is not None
        assert 4 < refused.retry_seconds < 7
        assert failure_of(client.record_purchase, purchase("31")).reason == "QUOTA_EXCEEDED"
        page = urllib.request.urlopen(f"http://{running.http_address}/metrics", timeout=5)
        assert "ledger_quota_refusals_total 2.0" in page.read().decode()
        client.close()


def test_a_key_may_have_a_quota_of_its_own(database_url: str) -> None:
    command = [sys.executable, "-m", "ledger", "keys", "create", "web", "--role", "admin"]
    made = subprocess.run(
        [*command, "--all-programs", "--quota", "2", "--json"],
        env={**os.environ, "LEDGER_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert made.returncode == 0, made.stderr
    told = json.loads(made.stdout)
    assert told["quotaPerSecond"] == 2
    slow, other = told["apiKey"], make_key(database_url, "admin")
    with running_server(database_url, quota_per_second=1_000, development=False) as running:

        def said(key: str, transport: str) -> str:
            method = METHODS["ProgramService/ListPrograms"]
            return reasons(ask(running, transport, method, LIST, bearer(key)))

        told_so = [said(slow, TRANSPORTS[number % 2]) for number in range(12)]
        assert told_so[:4] == ["OK"] * 4
        assert {"OK", "QUOTA_EXCEEDED"} == set(told_so)
        assert {said(other, transport) for transport in TRANSPORTS} == {"OK"}

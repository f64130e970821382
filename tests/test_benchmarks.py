"""How the benchmarks count: waiting is not hidden, ratios are of what was measured alike."""

from __future__ import annotations

import asyncio
import time
from datetime import date
from typing import Any
from xml.etree import ElementTree

import pytest
from benchmarks.loops import Loop
from benchmarks.plot import Line, chart
from benchmarks.requests import Call, Requests
from benchmarks.results import Result, Usage, compared, percentile, result_of
from benchmarks.shop import Shop
from benchmarks.workloads import MIX, Kind, Workload, open_loop

from ledger.v1 import points_pb2, redemption_pb2

_MS = 1_000_000
_CALL = Call(Kind.EMPTY, "/", b"")


async def test_an_open_loop_counts_waiting_from_the_intended_start() -> None:
    """A server that can do one call at a time, 10 ms each, is asked twice as often."""
    free = asyncio.Lock()

    async def send(call: Call) -> Any:
        async with free:
            await asyncio.sleep(0.01)

    loop = Loop([send], [_CALL] * 100)
    timing = await loop.open(200.0, "seed", 0.4)
    assert len(timing.latencies_ns) == len(loop.answered) > 40
    # The last ones stood in a queue that had grown all the time.
    assert max(timing.latencies_ns) > 150 * _MS
    assert min(timing.latencies_ns) >= 9 * _MS


async def test_an_open_loop_that_is_late_itself_counts_that_too() -> None:
    async def send(call: Call) -> Any:
        time.sleep(0.02)  # noqa: ASYNC251 the generator itself is busy

    timing = await Loop([send], [_CALL] * 20).open(500.0, "seed", 1.0)
    assert max(timing.latencies_ns) > 200 * _MS


async def test_a_closed_loop_has_no_more_under_way_than_its_callers() -> None:
    under_way = most = 0

    async def send(call: Call) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001)
        under_way -= 1

    loop = Loop([send], [_CALL] * 1_000)
    timing = await loop.closed(4, 0.1)
    assert most == 4
    assert len(timing.latencies_ns) == len(loop.answered) < 1_000


def test_a_mixed_day_has_its_shares_and_is_drawn_from_the_seed(shop: Shop) -> None:
    requests = Requests(shop, "p", "EUR", json=False)
    workload = Workload(Kind.MIXED, 64, 1, full_rules=True)
    bought = tuple(shop.purchases("before", 1_000))
    calls = requests.prepare(workload, "day", 5_000, bought)
    assert calls == requests.prepare(workload, "day", 5_000, bought)
    ids = [request_id_of(call) for call in calls if call.kind is not Kind.BALANCE]
    assert len(set(ids)) == len(ids)
    for kind, share in MIX.items():
        count = sum(call.kind is kind for call in calls)
        assert count == pytest.approx(50 * share, rel=0.25)


def request_id_of(call: Call) -> str:
    writes: dict[Kind, Any] = {
        Kind.PURCHASE: points_pb2.RecordPurchaseRequest,
        Kind.RETURN: points_pb2.RecordReturnRequest,
        Kind.REDEEM: redemption_pb2.RedeemPointsRequest,
    }
    request_id: str = writes[call.kind].FromString(call.request).request_id
    return request_id


@pytest.fixture
def shop() -> Shop:
    return Shop(1, 100, "Europe/Berlin", date(2026, 3, 2))


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentile([10, 20, 30, 40], 0.5) == 20
    assert percentile([10, 20, 30, 40], 0.99) == 40
    assert percentile([10], 0.5) == 10


def test_ratios_are_to_the_empty_rpc_with_as_many_in_flight_and_to_pgbench() -> None:
    results = compared(
        [
            _result(Workload(Kind.EMPTY, 64, 1), 1_000),
            _result(Workload(Kind.EMPTY, 256, 1, baseline_in_flight=256), 2_000),
            _result(Workload(Kind.PURCHASE, 256, 1, baseline_in_flight=256), 500),
            _result(Workload(Kind.PGBENCH, 32, 1), 250),
            _result(open_loop(0.25, 400.0), 100),
        ]
    )
    assert [one.ratio_to_empty for one in results] == [1.0, 1.0, 0.25, None, None]
    assert [one.ratio_to_pgbench for one in results] == [4.0, 8.0, 2.0, 1.0, None]


def test_ratios_are_to_an_empty_rpc_that_as_many_processes_serve() -> None:
    empty, purchase = Workload(Kind.EMPTY, 64, 1), Workload(Kind.PURCHASE, 64, 1)
    results = compared(
        [
            _result(empty, 1_000),
            _result(empty, 1_500, workers=2),
            _result(purchase, 500),
            _result(purchase, 900, workers=2),
        ]
    )
    assert [one.ratio_to_empty for one in results] == [1.0, 1.0, 0.5, 0.6]
    assert [one.ratio_to_one_worker for one in results] == [1.0, 1.5, 1.0, 1.8]


def _result(workload: Workload, calls: int, workers: int = 1) -> Result:
    return result_of(workload, workers, 1.0, [_MS] * calls, Usage(0, 0, 0, 0, 0, 0))


@pytest.mark.parametrize("logarithmic", [False, True])
def test_charts_are_svg_with_every_point_inside(logarithmic: bool) -> None:
    lines = [Line("a & b", [(1, 3.0), (16, 170.0), (256, 6_100.0)]), Line("none", [])]
    root = ElementTree.fromstring(chart("Title", "below", lines, logarithmic=logarithmic))
    dots = [each for each in root if each.tag.endswith("circle")]
    assert len(dots) == 3
    assert all(70 <= float(dot.attrib["cx"]) <= 530 for dot in dots)
    assert all(50 <= float(dot.attrib["cy"]) <= 350 for dot in dots)
    ups = [float(dot.attrib["cy"]) for dot in dots]
    assert ups == sorted(ups, reverse=True)


def test_a_chart_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        chart("Title", "below", [])

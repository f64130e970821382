"""Charts as SVG, written by hand: lines over concurrency. Imports nothing but results."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from benchmarks.results import Result

_WIDTH, _HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 190, 50, 50
#: told apart by people who see few colours, too
_COLOURS: Final = ("#555555", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
_STEPS: Final = (1, 2, 5)


@dataclass(frozen=True)
class Line:
    """Points (x, y), x growing."""

    name: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


def write_plots(results: Sequence[Result], workers: int, directory: Path) -> list[Path]:
    """Write `throughput.svg` and `latency.svg` of the single calls to a service of so many
    processes; where they are."""
    directory.mkdir(parents=True, exist_ok=True)
    names = ("empty RPC", "RecordPurchase", "RecordPurchase full", "naive RecordPurchase")

    def lines(
        value: Callable[[Result], float], suffix: str = "", dashed: bool = False
    ) -> list[Line]:
        return [
            Line(
                name + suffix,
                [
                    (one.in_flight, value(one))
                    for one in results
                    if (one.workload, one.workers) == (name, workers)
                    and one.offered_per_second is None
                ],
                dashed,
            )
            for name in names
        ]

    throughput = directory / "throughput.svg"
    throughput.write_text(
        chart("Commands per second", "calls in flight", lines(lambda one: one.commands_per_second))
    )
    latency = directory / "latency.svg"
    latency.write_text(
        chart(
            "Latency in ms: p50, and p99 dashed",
            "calls in flight",
            lines(lambda one: one.p50_ms) + lines(lambda one: one.p99_ms, " p99", dashed=True),
            logarithmic=True,
        )
    )
    return [throughput, latency]


def chart(title: str, below: str, lines: Sequence[Line], *, logarithmic: bool = False) -> str:
    """A chart whose x is logarithmic, and its y too if asked for; y begins at 0 otherwise.

    Dashed lines take the colours of the others again. ValueError when there is nothing to draw.
    """
    lines = [line for line in lines if line.points]
    xs = sorted({x for line in lines for x, _ in line.points})
    ys = [y for line in lines for _, y in line.points]
    if not ys:
        raise ValueError("there is nothing to draw")
    ticks = _decades(min(ys), max(ys)) if logarithmic else _even(max(ys))
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def across(x: float) -> float:
        span = math.log(xs[-1] / xs[0]) or 1.0
        return _LEFT + (right - _LEFT) * math.log(x / xs[0]) / span

    def up(y: float) -> float:
        if logarithmic:
            share = math.log(y / ticks[0]) / math.log(ticks[-1] / ticks[0])
        else:
            share = y / ticks[-1]
        return bottom - (bottom - _TOP) * share

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        _text(_LEFT, 26, title, size=15),
        _text((_LEFT + right) / 2, _HEIGHT - 12, below, "middle"),
    ]
    for tick in ticks:
        y = up(tick)
        parts.append(
            f'<line x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>'
        )
        parts.append(_text(_LEFT - 8, y + 4, f"{tick:,g}", "end"))
    parts += [_text(across(x), bottom + 18, f"{x:g}", "middle") for x in xs]
    names = [line for line in lines if not line.dashed]
    for number, line in enumerate(names):
        y = _TOP + 20 * number + 6
        parts.append(
            f'<rect x="{right + 16}" y="{y - 6}" width="14" height="4" '
            f'fill="{_COLOURS[number % len(_COLOURS)]}"/>'
        )
        parts.append(_text(right + 36, y, line.name))
    for chosen in (names, [line for line in lines if line.dashed]):
        for number, line in enumerate(chosen):
            parts.append(_line(line, _COLOURS[number % len(_COLOURS)], across, up))
    return "\n".join([*parts, "</svg>", ""])


def _line(
    line: Line, colour: str, across: Callable[[float], float], up: Callable[[float], float]
) -> str:
    points = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in line.points)
    dashes = ' stroke-dasharray="5 4"' if line.dashed else ""
    dots = "".join(
        f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3" fill="{colour}"/>'
        for x, y in line.points
    )
    stroke = f'stroke="{colour}" stroke-width="2"{dashes}'
    return f'<polyline points="{points}" fill="none" {stroke}/>{dots}'


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'fill="#222222">{escape(text)}</text>'
    )


def _even(largest: float) -> list[float]:
    """Even numbers from 0 to one that is not below the largest, about five of them."""
    step = 10.0 ** math.floor(math.log10(largest / 5)) if largest > 0 else 1.0
    step = next(step * factor for factor in (*_STEPS, 10) if largest <= 6 * step * factor)
    return [step * number for number in range(math.ceil(largest / step) + 1)]


def _decades(smallest: float, largest: float) -> list[float]:
    """1, 2, 5, 10, 20 … from one that is not above the smallest to one not below the largest."""
    first = 10.0 ** math.floor(math.log10(smallest))
    ticks = [first * factor * 10**power for power in range(20) for factor in _STEPS]
    begin = max(number for number, tick in enumerate(ticks) if tick <= smallest)
    end = next(number for number, tick in enumerate(ticks) if tick >= largest)
    return ticks[begin : max(end, begin + 1) + 1]

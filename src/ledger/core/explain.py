"""Sentences for people: why points were given, from an entry and its rules version alone."""

from __future__ import annotations

from functools import lru_cache

from ledger.core.model import BreakdownLine, Entry
from ledger.core.money import format_minor
from ledger.core.program import Program


def describe(line: BreakdownLine, entry: Entry, program: Program) -> str:
    """What a breakdown line gave its points for, e.g. `12.99 EUR at 1 per 1.00`."""
    rules = program.versions[entry.rules_version - 1].rules
    kind, _, detail = line.rule.partition(":")
    if kind == "base":
        return _at_rate(entry.data.eligible or 0, program.currency, rules.rate_text)
    if kind == "bonus":
        return f"bonus {detail}"
    limit = rules.cap_per_purchase if detail == "per_purchase" else rules.cap_per_day
    return f"at most {limit} points {detail.replace('_', ' ')}"


@lru_cache(maxsize=4096)
def _at_rate(eligible: int, currency: str, rate_text: str) -> str:
    return f"{format_minor(eligible, currency)} at {rate_text}"

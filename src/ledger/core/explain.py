"""Sentences for people: why points were given, from an entry and its rules version alone."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from ledger.core.model import BreakdownLine, Entry
from ledger.core.money import format_minor
from ledger.core.program import Program
from ledger.core.rules import Rules


def describe(line: BreakdownLine, entry: Entry, program: Program) -> str:
    """What a breakdown line gave its points for, e.g. `12.99 EUR at 1 per 1.00`."""
    rules = program.versions[entry.rules_version - 1].rules
    kind, _, detail = line.rule.partition(":")
    if kind == "base":
        return _at_rate(entry.data.eligible or 0, program.currency, rules.rate_text)
    if kind == "bonus":
        return f"bonus {detail}"
    if kind == "tier":
        return _of_level(detail, rules)
    if kind == "entry":
        return f"for reaching {tier_name(detail, rules)}"
    if kind == "promotion":
        return _of_promotion(detail, line.points, rules)
    limit = rules.cap_per_purchase if detail == "per_purchase" else rules.cap_per_day
    return f"at most {limit} points {detail.replace('_', ' ')}"


def tier_name(tier_id: str, rules: Rules) -> str:
    """The name of a level, for people; the id of one that the rules do not know."""
    for level in rules.tiers.levels if rules.tiers is not None else ():
        if level.id == tier_id:
            return level.name
    return tier_id


def _of_level(tier_id: str, rules: Rules) -> str:
    """`Gold earns 1.5 times the points`."""
    assert rules.tiers is not None  # or the line would not be there
    level = rules.tiers.levels[rules.tiers.rank(tier_id)]
    return f"{level.name} earns {_decimal(level.multiplier)} times the points"


def _of_promotion(promotion_id: str, points: int, rules: Rules) -> str:
    """`promotion double-tuesday: 2 times the points`."""
    promotion = next(each for each in rules.promotions if each.id == promotion_id)
    if promotion.multiplier is not None:
        return f"promotion {promotion_id}: {_decimal(promotion.multiplier)} times the points"
    short = promotion.points is not None and points < promotion.points
    return f"promotion {promotion_id}" + (", as far as its budget went" if short else "")


def _decimal(exact: Fraction) -> str:
    """An exact fraction that was given as a decimal, as a decimal again."""
    return format(Decimal(exact.numerator) / Decimal(exact.denominator), "f")


@lru_cache(maxsize=4096)
def _at_rate(eligible: int, currency: str, rate_text: str) -> str:
    return f"{format_minor(eligible, currency)} at {rate_text}"

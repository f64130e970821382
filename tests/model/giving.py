"""Bonuses that are entries of their own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.model.days import expires, local_day
from tests.model.points import AVAILABLE, ISSUANCE, Member, Program, bring, entry


def give(
    program: Program,
    member: Member,
    bonus: dict[str, Any],
    points: int,
    instant: datetime,
    version: dict[str, Any],
    related: str = "",
) -> None:
    """A bonus of the rules, spendable at once."""
    rule, lives = f"bonus:{bonus['id']}", bonus.get("expires_days")
    give_points(program, member, rule, points, instant, version, lives, related)


def give_points(
    program: Program,
    member: Member,
    rule: str,
    points: int,
    instant: datetime,
    version: dict[str, Any],
    lives: int | None = None,
    related: str = "",
) -> None:
    """Points that live for some days, or as the rules say."""
    day = local_day(instant, program["zone"])
    date = expires(day, lives, version["rules"], program["zone"])
    moves = bring(program, member, points, ISSUANCE, AVAILABLE, instant, date)
    more = {"related": related} if related else {}
    breakdown = [(rule, points)]
    entry(program, member, "BONUS", points, instant, version, moves, breakdown=breakdown, **more)

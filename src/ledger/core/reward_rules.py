"""Rewards: what points can be spent on by name, or what comes free of points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from ledger.core.limit_rules import Limit, read_limit
from ledger.core.model import MAX_POINTS
from ledger.core.section import Section

#: money off, a part off, goods, or something that has no price
KINDS: Final = ("AMOUNT_OFF", "PERCENT_OFF", "ITEM", "PERK")
#: the fields that only some kinds use
_ONLY_WITH: Final = {
    "value": ("AMOUNT_OFF", "ITEM"),
    "percent": ("PERCENT_OFF",),
}
_MAX_STOCK = 1_000_000_000


class Reward(msgspec.Struct, frozen=True, kw_only=True):
    """Something that members can have. Fields that the kind does not use keep their defaults."""

    id: str
    name: str
    #: what it costs; 0 = nothing
    points: int
    #: one of KINDS
    kind: str
    #: minor units; AMOUNT_OFF always has it, ITEM may
    value: int | None = None
    #: PERCENT_OFF: above 0, at most 100, as the document writes it; "" for every other kind
    percent_off: str = ""
    #: the least level that may have it; "" = any member
    minimum_tier: str = ""
    #: units ever offered, over all versions; None = there is no end to it
    stock: int | None = None
    #: None = as often as a member wants
    per_member: Limit | None = None
    #: first and last local day, in days since 1970-01-01; None = open
    from_day: int | None = None
    until_day: int | None = None


def read_reward(section: Section, currency: str, levels: Sequence[str]) -> Reward:
    """One item of the list `rewards`; `levels` are the ids it may name as its minimum."""
    identifier = section.identifier("id")
    name = section.text("name")
    points = section.integer("points", 0, MAX_POINTS, required=True)
    kind = section.choice("kind", KINDS, required=True)
    for field, kinds in _ONLY_WITH.items():
        if section.given(field) and kind and kind not in kinds:
            section.fault(field, f"is only for a reward of kind {' or '.join(kinds)}")
    value = None
    if kind in ("AMOUNT_OFF", "ITEM"):
        value = section.amount("value", currency, required=kind == "AMOUNT_OFF")
    from_day, until_day = section.days("from", "until")
    return Reward(
        id=identifier,
        name=name or identifier,
        points=points or 0,
        kind=kind,
        value=value,
        percent_off=_read_percent(section) if kind == "PERCENT_OFF" else "",
        minimum_tier=_read_tier(section, levels),
        stock=section.integer("stock", 0, _MAX_STOCK),
        per_member=read_limit(section.section("per_member")),
        from_day=from_day,
        until_day=until_day,
    )


def _read_percent(section: Section) -> str:
    exact = section.decimal("percent", required=True)
    if exact is None:
        return ""
    written = section.written("percent")
    if exact > 100:
        section.fault("percent", f"must be at most 100, not {written!r}")
    return written


def _read_tier(section: Section, levels: Sequence[str]) -> str:
    if not levels:
        if section.given("minimum_tier"):
            section.fault("minimum_tier", "must not be given: the program has no tiers")
        return ""
    return section.choice("minimum_tier", levels)

"""Limits: how often, and how much, one member may have of something."""

from __future__ import annotations

import msgspec

from ledger.core.model import MAX_POINTS
from ledger.core.section import Section

_MAX_DAYS = 3_660
_MAX_COUNT = 1_000_000


class Limit(msgspec.Struct, frozen=True):
    """How often something is given to one member."""

    count: int
    #: within this many local days, the present one included; None = ever
    days: int | None = None


class DailyLimit(msgspec.Struct, frozen=True):
    """How often, and how many points, one member may spend on one local day; None = any number."""

    count: int | None = None
    points: int | None = None


def read_limit(section: Section) -> Limit | None:
    """How often one member is given something; None: there is no limit."""
    count = section.integer("count", 1, _MAX_COUNT, required=True)
    days = section.integer("days", 1, _MAX_DAYS)
    return None if count is None else Limit(count, days)


def read_daily_limit(section: Section) -> DailyLimit | None:
    """What one member may spend on one local day; None: there is no limit."""
    count = section.integer("count", 1, _MAX_COUNT)
    points = section.integer("points", 1, MAX_POINTS)
    if section.present and not section.given("count") and not section.given("points"):
        section.fault(None, "must say count, points or both")
    return None if count is None and points is None else DailyLimit(count, points)

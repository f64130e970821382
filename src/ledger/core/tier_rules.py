"""The tiers of a program: what its levels need and give, and how long they are kept."""

from __future__ import annotations

from fractions import Fraction

import msgspec


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """One tier, as the document describes it."""

    id: str
    name: str
    #: visits needed within the period; None = visits do not matter
    visits: int | None = None
    #: minor units needed within the period; None = spend does not matter
    spend: int | None = None
    #: "ALL" or "ANY" of those given
    match: str = "ALL"
    #: of what a purchase earns at the program's rate; at least 1
    multiplier: Fraction = Fraction(1)
    #: points per minor unit on top of the program's rate: rate * (multiplier - 1)
    extra_rate: Fraction = Fraction(0)
    benefits: tuple[str, ...] = ()
    #: points on reaching the level; 0 = none
    entry_bonus: int = 0


class Tiers(msgspec.Struct, frozen=True, kw_only=True):
    """The levels of a program, lowest first, and the period they are judged over."""

    #: "rolling_days", "calendar_year" or "membership_year"
    period: str
    #: length of the period in local days; 0 unless it is rolling
    rolling_days: int = 0
    #: never empty; the first needs nothing
    levels: tuple[Level, ...]
    keep_months: int = 12
    grace_days: int = 0
    #: "ONE_LEVEL", "TO_QUALIFIED" or "NEVER"
    downgrade: str = "ONE_LEVEL"

    def rank(self, level_id: str) -> int:
        """The position of a level, the lowest being 0; 0 also for an id that is not known."""
        for position, level in enumerate(self.levels):
            if level.id == level_id:
                return position
        return 0

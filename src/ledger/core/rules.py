"""The program document: read as a whole, every fault reported with its path, then compiled.

`read_rules` takes the document as plain data (from YAML, JSON or a protobuf message turned into a
dict) and answers the compiled Rules or every Violation. Unknown names are faults: a misspelt rule
must not be silently without effect. Decimals are strings, so that no float rounds them.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import msgspec

from ledger.core.bonus_rules import DATED, Bonus, Limit, read_bonus
from ledger.core.errors import RulesInvalid, Violation
from ledger.core.model import MAX_POINTS
from ledger.core.money import CURRENCIES
from ledger.core.promotion_rules import Hours, Promotion, read_promotion
from ledger.core.section import Section
from ledger.core.tier_rules import Level, Tiers, read_tiers

__all__ = [
    "Bonus",
    "Hours",
    "Level",
    "Limit",
    "Promotion",
    "Rules",
    "Tiers",
    "read_rules",
    "round_points",
]

ROUNDINGS: Final = ("FLOOR", "NEAREST", "CEILING")
_MAX_DAYS = 3_660
_MAX_MONTHS = 1_200
_MAX_VISITS_PER_DAY = 1_000
_GROUPS = {
    "purchase_bonuses": ("PURCHASE_OVER",),
    "visit_bonuses": ("EVERY_NTH_VISIT",),
    "dated_bonuses": DATED,
}


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """A program document, checked and ready to compute with."""

    #: points per minor unit of the program's currency
    rate: Fraction
    #: the rate as the document says it: "1 per 1.00"
    rate_text: str
    rounding: str
    exclude_categories: frozenset[str]
    cap_per_purchase: int | None
    cap_per_day: int | None
    pending_days: int
    backdate_days: int
    #: None = points never expire
    after_months: int | None
    #: minor units per point; None = the program states no value
    value: Fraction | None
    auto_enroll: bool
    #: least eligible amount of a visit, in minor units; above 0 it must be in any case
    visit_minimum: int = 0
    #: visits that one local day can count
    visits_per_day: int = 1
    tiers: Tiers | None = None
    #: in the order of the document
    promotions: tuple[Promotion, ...] = ()
    #: in the order of the document
    bonuses: tuple[Bonus, ...] = ()
    # What follows is made of `bonuses`, for whoever looks at every purchase.
    #: on PURCHASE_OVER
    purchase_bonuses: tuple[Bonus, ...] = ()
    #: on EVERY_NTH_VISIT
    visit_bonuses: tuple[Bonus, ...] = ()
    #: on BIRTHDAY, MEMBERSHIP_ANNIVERSARY and INACTIVE_DAYS
    dated_bonuses: tuple[Bonus, ...] = ()

    def __post_init__(self) -> None:
        for name, occasions in _GROUPS.items():
            group = tuple(bonus for bonus in self.bonuses if bonus.on in occasions)
            msgspec.structs.force_setattr(self, name, group)

    def bonuses_on(self, trigger: str) -> tuple[Bonus, ...]:
        return tuple(bonus for bonus in self.bonuses if bonus.on == trigger)


def round_points(numerator: int, denominator: int, rounding: str) -> int:
    """Whole points of an exact fraction ≥ 0; NEAREST rounds halves up."""
    if rounding == "FLOOR":
        return numerator // denominator
    if rounding == "CEILING":
        return -(-numerator // denominator)
    return (2 * numerator + denominator) // (2 * denominator)


def read_rules(document: object, currency: str, previous: Rules | None = None) -> Rules:
    """The compiled rules of a document, which take the place of the `previous` ones.

    Raises RulesInvalid with one violation per fault; nothing is left out.
    """
    faults: list[Violation] = []
    root = Section(document, "", faults, required=True)
    minor = 10 ** CURRENCIES[currency]

    earning = root.section("earning", required=True)
    rate_section = earning.section("rate", required=True)
    rate_points = rate_section.integer("points", 1, MAX_POINTS, required=True)
    rate_per = rate_section.decimal("per", required=True)
    rate = Fraction(rate_points or 0) / ((rate_per or 1) * minor)
    rounding = earning.choice("rounding", ROUNDINGS, default="FLOOR")
    excluded = earning.texts("exclude_categories")
    caps = earning.section("caps")
    cap_per_purchase = caps.integer("per_purchase", 1, MAX_POINTS)
    cap_per_day = caps.integer("per_day", 1, MAX_POINTS)
    pending_days = earning.integer("pending_days", 0, _MAX_DAYS)
    backdate_days = earning.integer("backdate_days", 0, _MAX_DAYS)

    visits = root.section("visits")
    visit_minimum = visits.amount("minimum", currency, zero=True)
    visits_per_day = visits.integer("per_day", 1, _MAX_VISITS_PER_DAY) or 1
    held = None if previous is None else previous.tiers
    tiers = read_tiers(root.section("tiers"), currency, rate, visits_per_day, held)

    after_months = root.section("expiry").integer("after_months", 1, _MAX_MONTHS)

    value = root.section("redemption").section("value")
    value_points = value.integer("points", 1, MAX_POINTS, required=True)
    value_amount = value.decimal("amount", required=True, zero=True)

    auto_enroll = root.section("members").flag("auto_enroll")

    bonuses = tuple(read_bonus(item, currency) for item in root.sections("bonuses"))
    root.unique("bonuses", [bonus.id for bonus in bonuses])
    levels = [] if tiers is None else [level.id for level in tiers.levels]
    promotions = tuple(
        read_promotion(item, rate, levels, excluded) for item in root.sections("promotions")
    )
    root.unique("promotions", [promotion.id for promotion in promotions])
    root.finish()
    if faults:
        raise RulesInvalid(faults)

    return Rules(
        rate=rate,
        rate_text=f"{rate_points} per {rate_section.written('per')}",
        rounding=rounding,
        exclude_categories=frozenset(excluded),
        cap_per_purchase=cap_per_purchase,
        cap_per_day=cap_per_day,
        pending_days=pending_days or 0,
        backdate_days=30 if backdate_days is None else backdate_days,
        after_months=after_months,
        value=value_amount * minor / value_points
        if value_points is not None and value_amount is not None
        else None,
        auto_enroll=auto_enroll,
        visit_minimum=visit_minimum or 0,
        visits_per_day=visits_per_day,
        tiers=tiers,
        promotions=promotions,
        bonuses=bonuses,
    )

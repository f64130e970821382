"""The program document: read as a whole, every fault reported with its path, then compiled.

`read_rules` takes the document as plain data (from YAML, JSON or a protobuf message turned into a
dict) and answers the compiled Rules or every Violation. Unknown names are faults: a misspelt rule
must not be silently without effect. Decimals are strings, so that no float rounds them.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

import msgspec

from ledger.core.bonus_rules import DATED, Bonus, read_bonus
from ledger.core.errors import RulesInvalid, Violation
from ledger.core.instants import DAY, SECOND
from ledger.core.limit_rules import DailyLimit, Limit, read_daily_limit
from ledger.core.model import MAX_POINTS
from ledger.core.money import CURRENCIES
from ledger.core.promotion_rules import Hours, Promotion, read_promotion
from ledger.core.reward_rules import Reward, read_reward
from ledger.core.section import Section
from ledger.core.tier_rules import Level, Tiers, read_tiers

__all__ = [
    "Bonus",
    "DailyLimit",
    "Hours",
    "Level",
    "Limit",
    "Promotion",
    "Reward",
    "Rules",
    "Tiers",
    "read_rules",
    "round_points",
]

ROUNDINGS: Final = ("FLOOR", "NEAREST", "CEILING")
#: owed, let go, or the return is refused
SHORTFALLS: Final = ("DEBT", "FORGIVE", "REFUSE")
_MAX_DAYS = 3_660
_MAX_MONTHS = 1_200
_MAX_VISITS_PER_DAY = 1_000
_MAX_WARN_DAYS = 365
#: each is looked at with every command
_MAX_WARNINGS = 10
_MAX_HOLD_TTL = 28 * DAY
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
    #: one of ROUNDINGS
    rounding: str = "FLOOR"
    exclude_categories: frozenset[str] = frozenset()
    cap_per_purchase: int | None = None
    cap_per_day: int | None = None
    pending_days: int = 0
    backdate_days: int = 30
    #: None = points do not expire by their age
    after_months: int | None = None
    #: None = points do not expire because nothing is bought or redeemed
    inactivity_months: int | None = None
    #: how many local days ahead an expiry is warned of, most first
    warn_days: tuple[int, ...] = ()
    #: minor units per point; None = the program states no value
    value: Fraction | None = None
    #: the least that is redeemed or held at once, rewards apart
    minimum_points: int = 1
    #: how long a hold lasts that does not say (µs)
    hold_ttl: int = 900 * SECOND
    #: local days that points given back live at least
    restore_grace_days: int = 30
    #: what one member may hold and redeem on one local day; None = as much as there is
    redemption_limit: DailyLimit | None = None
    #: what one member may hand on to others on one local day; None = as much as there is
    transfer_limit: DailyLimit | None = None
    #: one of SHORTFALLS: what becomes of returned points that are spent already
    shortfall: str = "DEBT"
    auto_enroll: bool = False
    #: adjustments of more points need a second principal; None = none does
    approval_above: int | None = None
    #: what an adjustment may be for
    reason_codes: tuple[str, ...] = ("goodwill", "correction")
    #: least eligible amount of a visit, in minor units; above 0 it must be in any case
    visit_minimum: int = 0
    #: visits that one local day can count
    visits_per_day: int = 1
    tiers: Tiers | None = None
    #: in the order of the document
    promotions: tuple[Promotion, ...] = ()
    #: in the order of the document
    bonuses: tuple[Bonus, ...] = ()
    #: in the order of the document
    rewards: tuple[Reward, ...] = ()
    # What follows is made of `bonuses` and `rewards`, for whoever looks at every command.
    #: on PURCHASE_OVER
    purchase_bonuses: tuple[Bonus, ...] = ()
    #: on EVERY_NTH_VISIT
    visit_bonuses: tuple[Bonus, ...] = ()
    #: on BIRTHDAY, MEMBERSHIP_ANNIVERSARY and INACTIVE_DAYS
    dated_bonuses: tuple[Bonus, ...] = ()
    #: `rewards` by id
    rewards_by_id: dict[str, Reward] = {}

    def __post_init__(self) -> None:
        for name, occasions in _GROUPS.items():
            group = tuple(bonus for bonus in self.bonuses if bonus.on in occasions)
            msgspec.structs.force_setattr(self, name, group)
        by_id = {reward.id: reward for reward in self.rewards}
        msgspec.structs.force_setattr(self, "rewards_by_id", by_id)

    def bonuses_on(self, trigger: str) -> tuple[Bonus, ...]:
        return tuple(bonus for bonus in self.bonuses if bonus.on == trigger)

    def reward(self, reward_id: str) -> Reward | None:
        """The reward of that id; None: there is none."""
        return self.rewards_by_id.get(reward_id)


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

    fields = _read_earning(root.section("earning", required=True), currency)
    rate, excluded = fields["rate"], fields["exclude_categories"]
    visits = root.section("visits")
    visits_per_day = visits.integer("per_day", 1, _MAX_VISITS_PER_DAY)
    held = None if previous is None else previous.tiers
    tiers = read_tiers(root.section("tiers"), currency, rate, visits_per_day or 1, held)
    fields |= {
        "visit_minimum": visits.amount("minimum", currency, zero=True),
        "visits_per_day": visits_per_day,
        "tiers": tiers,
    }
    fields |= _read_expiry(root.section("expiry"))
    fields |= _read_redemption(root.section("redemption"), currency)
    fields["transfer_limit"] = read_daily_limit(root.section("transfers").section("per_day"))
    fields["shortfall"] = root.section("returns").choice("shortfall", SHORTFALLS, default="DEBT")
    fields["auto_enroll"] = root.section("members").flag("auto_enroll")
    fields |= _read_adjustments(root.section("adjustments"))

    levels = [] if tiers is None else [level.id for level in tiers.levels]
    for name, read in (
        ("bonuses", lambda item: read_bonus(item, currency)),
        ("promotions", lambda item: read_promotion(item, rate, levels, excluded)),
        ("rewards", lambda item: read_reward(item, currency, levels)),
    ):
        items = tuple(read(item) for item in root.sections(name))
        root.unique(name, [item.id for item in items])
        fields[name] = items
    root.finish()
    if faults:
        raise RulesInvalid(faults)
    return Rules(**{name: value for name, value in fields.items() if value is not None})


def _read_earning(section: Section, currency: str) -> dict[str, Any]:
    """The fields of Rules that the section `earning` says; None or left out: the default."""
    rate = section.section("rate", required=True)
    points = rate.integer("points", 1, MAX_POINTS, required=True)
    per = rate.decimal("per", required=True)
    rounding = section.choice("rounding", ROUNDINGS, default="FLOOR")
    excluded = section.texts("exclude_categories")
    caps = section.section("caps")
    return {
        "rate": Fraction(points or 0) / ((per or 1) * 10 ** CURRENCIES[currency]),
        "rate_text": f"{points} per {rate.written('per')}" if per is not None else "",
        "rounding": rounding,
        "exclude_categories": frozenset(excluded),
        "cap_per_purchase": caps.integer("per_purchase", 1, MAX_POINTS),
        "cap_per_day": caps.integer("per_day", 1, MAX_POINTS),
        "pending_days": section.integer("pending_days", 0, _MAX_DAYS),
        "backdate_days": section.integer("backdate_days", 0, _MAX_DAYS),
    }


def _read_expiry(section: Section) -> dict[str, Any]:
    after_months = section.integer("after_months", 1, _MAX_MONTHS)
    inactivity_months = section.integer("inactivity_months", 1, _MAX_MONTHS)
    warn_days = section.integers("warn_days", 1, _MAX_WARN_DAYS)
    if len(warn_days) > _MAX_WARNINGS:
        section.fault("warn_days", f"must be at most {_MAX_WARNINGS} distances")
    return {
        "after_months": after_months,
        "inactivity_months": inactivity_months,
        "warn_days": tuple(sorted(warn_days, reverse=True)),
    }


def _read_redemption(section: Section, currency: str) -> dict[str, Any]:
    value = section.section("value")
    points = value.integer("points", 1, MAX_POINTS, required=True)
    amount = value.decimal("amount", required=True, zero=True)
    minimum_points = section.integer("minimum_points", 1, MAX_POINTS)
    hold_ttl_seconds = section.integer("hold_ttl_seconds", 1, _MAX_HOLD_TTL // SECOND)
    priced = points is not None and amount is not None
    return {
        "value": amount * 10 ** CURRENCIES[currency] / points if priced else None,
        "minimum_points": minimum_points,
        "hold_ttl": None if hold_ttl_seconds is None else hold_ttl_seconds * SECOND,
        "restore_grace_days": section.integer("restore_grace_days", 0, _MAX_DAYS),
        "redemption_limit": read_daily_limit(section.section("per_day")),
    }


def _read_adjustments(section: Section) -> dict[str, Any]:
    return {
        "approval_above": section.integer("approval_above", 0, MAX_POINTS),
        "reason_codes": tuple(section.identifiers("reason_codes")) or None,
    }

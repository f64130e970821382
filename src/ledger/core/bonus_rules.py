"""Bonuses: points given on an occasion other than the amount of a purchase."""

from __future__ import annotations

from typing import Final

import msgspec

from ledger.core.limit_rules import Limit, read_limit
from ledger.core.model import MAX_POINTS
from ledger.core.section import Section

#: occasions that time brings, at the start of a local day
DATED: Final = ("BIRTHDAY", "MEMBERSHIP_ANNIVERSARY", "INACTIVE_DAYS")
OCCASIONS: Final = (
    "ENROLLMENT",
    "BIRTHDAY",
    "MEMBERSHIP_ANNIVERSARY",
    "EVERY_NTH_VISIT",
    "PURCHASE_OVER",
    "ACTIVITY",
    "REFERRAL",
    "INACTIVE_DAYS",
)
#: the fields that only some occasions use
_ONLY_WITH: Final = {
    "n": ("EVERY_NTH_VISIT", "INACTIVE_DAYS"),
    "amount": ("PURCHASE_OVER",),
    "activity": ("ACTIVITY",),
    "per_member": ("ACTIVITY",),
    "referee_points": ("REFERRAL",),
}
_MAX_DAYS = 3_660
_MAX_COUNT = 1_000_000


class Bonus(msgspec.Struct, frozen=True):
    """Points given on an occasion. Fields that the occasion does not use keep their defaults."""

    id: str
    #: one of OCCASIONS
    on: str
    points: int
    #: the bonus lives through this many days after its day; None = as the expiry rule says
    expires_days: int | None = None
    #: EVERY_NTH_VISIT: given with every n-th visit; INACTIVE_DAYS: days without activity
    n: int = 0
    #: PURCHASE_OVER: least eligible amount, in minor units
    amount: int = 0
    #: ACTIVITY: the name of the activity
    activity: str = ""
    #: ACTIVITY: None = each time
    per_member: Limit | None = None
    #: REFERRAL: points for the member who was referred; `points` are the referrer's
    referee_points: int = 0


def read_bonus(section: Section, currency: str) -> Bonus:
    """One item of the list `bonuses`."""
    identifier = section.identifier("id")
    on = section.choice("on", OCCASIONS, required=True)
    points = section.integer("points", 1, MAX_POINTS, required=True) or 0
    expires_days = section.integer("expires_days", 0, _MAX_DAYS)
    for name, occasions in _ONLY_WITH.items():
        if section.given(name) and on and on not in occasions:
            section.fault(name, f"is only for a bonus on: {' or '.join(occasions)}")
    n = amount = referee_points = None
    activity, per_member = "", None
    if on == "EVERY_NTH_VISIT":
        n = section.integer("n", 1, _MAX_COUNT, required=True)
    elif on == "INACTIVE_DAYS":
        n = section.integer("n", 1, _MAX_DAYS, required=True)
    elif on == "PURCHASE_OVER":
        amount = section.amount("amount", currency, required=True)
    elif on == "ACTIVITY":
        activity = section.text("activity", required=True)
        per_member = read_limit(section.section("per_member"))
    elif on == "REFERRAL":
        referee_points = section.integer("referee_points", 0, MAX_POINTS)
    return Bonus(
        id=identifier,
        on=on,
        points=points,
        expires_days=expires_days,
        n=n or 0,
        amount=amount or 0,
        activity=activity,
        per_member=per_member,
        referee_points=referee_points or 0,
    )

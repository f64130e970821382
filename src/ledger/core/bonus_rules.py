"""Bonuses: points given on an occasion other than the amount of a purchase."""

from __future__ import annotations

from typing import Final

import msgspec

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


class Limit(msgspec.Struct, frozen=True):
    """How often something is given to one member."""

    count: int
    #: within this many local days, the present one included; None = ever
    days: int | None = None


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

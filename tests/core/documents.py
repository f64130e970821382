"""Rules documents for tests of what a document may say."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.core.errors import RulesInvalid
from ledger.core.rules import Rules, read_rules

RATE = {"points": 1, "per": "1.00"}
ROLLING = {"rolling_days": 365}

#: everything a document can say
FULL: dict[str, Any] = {
    "earning": {
        "rate": RATE,
        "rounding": "FLOOR",
        "exclude_categories": ["gift-card", "tobacco"],
        "caps": {"per_purchase": 5000, "per_day": 10000},
        "pending_days": 0,
        "backdate_days": 30,
    },
    "visits": {"minimum": "3.00", "per_day": 1},
    "tiers": {
        "period": ROLLING,
        "levels": [
            {"id": "member", "name": "Member"},
            {
                "id": "silver",
                "name": "Silver",
                "visits": 10,
                "multiplier": "1.25",
                "benefits": ["free-delivery"],
            },
            {
                "id": "gold",
                "name": "Gold",
                "visits": 25,
                "spend": "500.00",
                "match": "ANY",
                "multiplier": "1.5",
                "benefits": ["free-delivery", "extended-warranty", "event-invitations"],
                "entry_bonus": 100,
            },
        ],
        "keep_months": 12,
        "grace_days": 30,
        "downgrade": "ONE_LEVEL",
    },
    "expiry": {"after_months": 12, "inactivity_months": 18, "warn_days": [30, 7]},
    "redemption": {
        "value": {"points": 100, "amount": "1.00"},
        "minimum_points": 100,
        "hold_ttl_seconds": 900,
        "restore_grace_days": 30,
    },
    "returns": {"shortfall": "DEBT"},
    "members": {"auto_enroll": False},
    "adjustments": {"approval_above": 5000, "reason_codes": ["goodwill", "correction"]},
    "bonuses": [
        {"id": "welcome", "on": "ENROLLMENT", "points": 50},
        {"id": "birthday", "on": "BIRTHDAY", "points": 200, "expires_days": 60},
        {"id": "anniversary", "on": "MEMBERSHIP_ANNIVERSARY", "points": 100},
        {"id": "tenth-visit", "on": "EVERY_NTH_VISIT", "n": 10, "points": 150},
        {"id": "big-basket", "on": "PURCHASE_OVER", "amount": "200.00", "points": 250},
        {
            "id": "survey",
            "on": "ACTIVITY",
            "activity": "survey-completed",
            "points": 30,
            "per_member": {"count": 1, "days": 90},
        },
        {"id": "refer", "on": "REFERRAL", "points": 300, "referee_points": 100},
        {"id": "miss-you", "on": "INACTIVE_DAYS", "n": 90, "points": 100, "expires_days": 30},
    ],
    "promotions": [
        {
            "id": "double-tuesday",
            "multiplier": "2",
            "weekdays": ["TUE"],
            "from": "2027-01-01",
            "until": "2027-03-31",
            "locations": [],
            "tiers": [],
            "categories": ["coffee"],
            "once_per_member": False,
        }
    ],
    "rewards": [
        {
            "id": "free-coffee",
            "name": "Free coffee",
            "points": 450,
            "kind": "ITEM",
            "value": "4.50",
        },
        {
            "id": "fiver",
            "name": "5.00 off",
            "points": 500,
            "kind": "AMOUNT_OFF",
            "value": "5.00",
            "minimum_tier": "silver",
        },
        {
            "id": "warranty",
            "name": "Six months more warranty",
            "points": 0,
            "kind": "PERK",
            "minimum_tier": "gold",
            "per_member": {"count": 1, "days": 365},
        },
        {
            "id": "mug",
            "name": "Mug",
            "points": 900,
            "kind": "ITEM",
            "value": "9.00",
            "stock": 200,
        },
    ],
}


def with_levels(*levels: Any, **more: Any) -> dict[str, Any]:
    """A document with a first level and these above it."""
    return {
        "earning": {"rate": RATE},
        "tiers": {"period": ROLLING, "levels": [{"id": "member"}, *levels], **more},
    }


def faults(
    document: object, currency: str = "EUR", previous: Rules | None = None
) -> dict[str, str]:
    """What is wrong with a document, by path."""
    with pytest.raises(RulesInvalid) as invalid:
        read_rules(document, currency, previous)
    found = {violation.field: violation.description for violation in invalid.value.violations}
    assert len(found) == len(invalid.value.violations), "a path is named twice"
    return found

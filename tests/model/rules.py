"""What rules documents say, in the words of the API."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from typing import Any

DEFAULT_BACKDATE_DAYS = 30
DEFAULT_KEEP_MONTHS = 12
DEFAULT_HOLD_SECONDS = 900
DEFAULT_RESTORE_GRACE_DAYS = 30
DEFAULT_REASON_CODES = ("goodwill", "correction")


def in_force(program: dict[str, Any], instant: datetime) -> dict[str, Any]:
    """The last version that had begun; before all of them, the first."""
    versions: list[dict[str, Any]] = program["versions"]
    begun = [version for version in versions if version["from"] <= instant]
    return begun[-1] if begun else versions[0]


def ever_in_force(versions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All but those that another one followed at once; the first has had all time before."""
    following = [*(version["from"] for version in versions[1:]), None]
    return [
        v
        for v, end in zip(versions, following, strict=True)
        if v["version"] == 1 or v["from"] != end
    ]


def bonuses(rules: dict[str, Any], occasion: str) -> list[dict[str, Any]]:
    return [bonus for bonus in rules.get("bonuses", []) if bonus["on"] == occasion]


def levels(rules: dict[str, Any]) -> list[str]:
    return [level["id"] for level in (rules.get("tiers") or {}).get("levels", [])]


def rank(rules: dict[str, Any], level: str) -> int:
    """The position of a level, the lowest being 0; 0 also for nothing that is known."""
    known = levels(rules)
    return known.index(level) if level in known else 0


def reward(rules: dict[str, Any], reward_id: str) -> dict[str, Any] | None:
    return next((r for r in rules.get("rewards", []) if r["id"] == reward_id), None)


def redemption(rules: dict[str, Any]) -> dict[str, Any]:
    return rules.get("redemption") or {}


def has_room(limit: dict[str, int] | None, given: list[date], day: date) -> bool:
    """Whether something may be given on a day once more: it may have been given before that day
    and, when the day is told of late, after it, and no run of so many days may have too many."""
    if limit is None:
        return True
    if limit.get("days") is None:
        return len(given) < limit["count"]
    runs = [day - timedelta(back) for back in range(limit["days"])]
    return all(
        sum(first <= one < first + timedelta(limit["days"]) for one in given) < limit["count"]
        for first in runs
    )


def within(limit: dict[str, int] | None, spent: list[int]) -> bool:
    """Whether what was spent on one day, each time so many points, is what the limit allows."""
    if not limit:
        return True
    most = math.inf
    return len(spent) <= limit.get("count", most) and sum(spent) <= limit.get("points", most)


def among(one: str, those: list[str] | None) -> bool:
    return not those or one in those

"""Rules documents of every kind, and what may follow one another in a program."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from tests.histories.requests import CATEGORIES, LOCATIONS, SKUS
from tests.model import WEEKDAYS

Rules = dict[str, Any]

#: occasions that depend on what was bought on which day
BY_DAY = {"EVERY_NTH_VISIT", "REFERRAL", "INACTIVE_DAYS"}

#: what is given on which occasion: bonuses of one id are alike in all versions but for their points
BONUSES: list[dict[str, Any]] = [
    {"id": "welcome", "on": "ENROLLMENT"},
    {"id": "app", "on": "ENROLLMENT"},
    {"id": "birthday", "on": "BIRTHDAY"},
    {"id": "cake", "on": "BIRTHDAY"},
    {"id": "anniversary", "on": "MEMBERSHIP_ANNIVERSARY"},
    {"id": "third-visit", "on": "EVERY_NTH_VISIT", "n": 3},
    {"id": "every-visit", "on": "EVERY_NTH_VISIT", "n": 1},
    {"id": "big-basket", "on": "PURCHASE_OVER", "amount": "100.00"},
    {"id": "basket", "on": "PURCHASE_OVER", "amount": "0.01"},
    {
        "id": "survey",
        "on": "ACTIVITY",
        "activity": "survey",
        "per_member": {"count": 1, "days": 5},
    },
    {"id": "quiz", "on": "ACTIVITY", "activity": "survey", "per_member": {"count": 2}},
    {"id": "poll", "on": "ACTIVITY", "activity": "survey", "per_member": {"count": 2, "days": 30}},
    {"id": "review", "on": "ACTIVITY", "activity": "review"},
    {"id": "refer", "on": "REFERRAL", "referee_points": 30},
    {"id": "invite", "on": "REFERRAL"},
]
WIN_BACKS = [{"id": "miss-you", "on": "INACTIVE_DAYS"}, {"id": "long-gone", "on": "INACTIVE_DAYS"}]
#: as bonuses: whether one has a budget or is for once is its own, the rest may change
PROMOTIONS: list[dict[str, Any]] = [
    {"id": "happy-hour"},
    {"id": "launch", "budget": 60},
    {"id": "grand-launch", "budget": 500},
    {"id": "first-time", "once_per_member": True},
]
#: as bonuses: whether one has a stock, a limit or a window is its own, the rest may change
REWARDS: list[dict[str, Any]] = [
    {"id": "coffee", "kind": "ITEM", "value": "4.50"},
    {"id": "sticker", "kind": "ITEM"},
    {"id": "fiver", "kind": "AMOUNT_OFF", "value": "5.00", "per_member": {"count": 2}},
    {"id": "tenth", "kind": "PERCENT_OFF", "percent": "12.5"},
    {"id": "warranty", "kind": "PERK", "per_member": {"count": 1, "days": 5}},
    {"id": "mug", "kind": "ITEM", "value": "9.00", "stock": 1},
    {"id": "shirt", "kind": "ITEM", "stock": 2, "per_member": {"count": 1}},
    {"id": "spring", "kind": "PERK", "from": "2026-01-31", "until": "2026-03-29"},
]
REASON_CODES = ["goodwill", "correction", "mistake"]
#: of levels, lowest first; what an earlier version had, a later one still has
LEVELS = ["member", "silver", "gold", "platinum"]
DAYS = ["2026-02-01", "2026-03-29", "2026-04-24", "2026-12-31", "2027-01-01", "2028-02-29"]


@st.composite
def bonuses(draw: st.DrawFn) -> list[Rules]:
    kinds = st.sampled_from(BONUSES)
    found = draw(st.lists(kinds, unique_by=lambda each: each["id"], max_size=len(BONUSES)))
    for win_back in draw(st.lists(st.sampled_from(WIN_BACKS), unique_by=str, max_size=2)):
        found.append({**win_back, "n": draw(st.sampled_from([1, 3, 30]))})
    with_points = [{**bonus, "points": draw(st.integers(1, 200))} for bonus in found]
    return [
        {**bonus, "expires_days": days} if days is not None else bonus
        for bonus in with_points
        for days in [draw(st.none() | st.integers(0, 5))]
    ]


@st.composite
def promotions(draw: st.DrawFn, levels: list[str]) -> list[Rules]:
    found = []
    for promotion in draw(
        st.lists(st.sampled_from(PROMOTIONS), unique_by=lambda each: each["id"], max_size=3)
    ):
        times = st.sampled_from(["1.5", "2", "3.1"]).map(lambda times: {"multiplier": times})
        points = st.integers(1, 100).map(lambda points: {"points": points})
        drawn: Rules = draw(st.one_of(times, points))
        conditions: dict[str, st.SearchStrategy[Any]] = {
            "from": st.sampled_from(DAYS),
            "until": st.sampled_from(DAYS),
            "weekdays": st.lists(st.sampled_from(WEEKDAYS), unique=True),
            "hours": st.sampled_from(
                [
                    {"from": "00:00", "until": "02:30"},
                    {"from": "02:00", "until": "12:00"},
                    {"from": "11:30", "until": "24:00"},
                ]
            ),
            "locations": st.lists(st.sampled_from(LOCATIONS[1:]), unique=True),
            "categories": st.just(["coffee"]),
            "skus": st.lists(st.sampled_from(SKUS[1:]), unique=True),
        }
        if levels:
            conditions["tiers"] = st.lists(st.sampled_from(levels), unique=True)
        names = draw(st.lists(st.sampled_from(sorted(conditions)), unique=True, max_size=2))
        drawn |= {name: draw(conditions[name]) for name in names}
        if drawn.get("from", "") > drawn.get("until", "9999"):
            drawn["from"], drawn["until"] = drawn["until"], drawn["from"]
        found.append({**promotion, **drawn})
    return found


@st.composite
def rewards(draw: st.DrawFn, levels: list[str]) -> list[Rules]:
    found = []
    kinds = st.sampled_from(REWARDS)
    for reward in draw(st.lists(kinds, unique_by=lambda each: each["id"], max_size=len(REWARDS))):
        drawn = {**reward, "points": draw(st.sampled_from([0, 1, 7, 30, 100]))}
        if "stock" in reward:
            more = draw(st.integers(-1, 2))
            drawn["stock"] = reward["stock"] + more
        if levels and draw(st.integers(0, 3)) == 0:
            drawn["minimum_tier"] = draw(st.sampled_from(levels))
        found.append(drawn)
    return found


#: what one member may spend in a day: at most so often, so many points, or both
DAILY = st.fixed_dictionaries({}, optional={"count": st.integers(1, 3)}).flatmap(
    lambda limit: st.sampled_from([{**limit, "points": 30}, {**limit, "points": 150}, limit])
)


@st.composite
def spending(draw: st.DrawFn) -> Rules:
    """What becomes of points: the sections about expiry, redemption, returns and adjustments."""
    prices = [{"points": 100, "amount": "1.00"}, {"points": 3, "amount": "0.10"}]
    return {
        "expiry": draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "after_months": st.integers(1, 2),
                    "inactivity_months": st.integers(1, 2),
                    "warn_days": st.lists(st.sampled_from([1, 3, 7, 30, 60]), unique=True),
                },
            )
        ),
        "redemption": draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "value": st.sampled_from(prices),
                    "minimum_points": st.sampled_from([1, 5, 20]),
                    "hold_ttl_seconds": st.sampled_from([1, 3_600, 86_400 * 28]),
                    "restore_grace_days": st.sampled_from([0, 1, 30]),
                    "per_day": DAILY.filter(bool),
                },
            )
        ),
        "transfers": draw(st.just({}) | DAILY.filter(bool).map(lambda limit: {"per_day": limit})),
        "returns": {"shortfall": draw(st.sampled_from(["DEBT", "DEBT", "FORGIVE", "REFUSE"]))},
        "adjustments": draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "approval_above": st.sampled_from([0, 50]),
                    "reason_codes": st.lists(
                        st.sampled_from(REASON_CODES), unique=True, min_size=1
                    ),
                },
            )
        ),
    }


@st.composite
def tiers(draw: st.DrawFn) -> Rules:
    """Tiers whose levels may be reached within a history."""
    levels: list[Rules] = [{"id": LEVELS[0]}]
    for name in draw(st.lists(st.sampled_from(LEVELS[1:]), unique=True, min_size=1)):
        asked = draw(st.sampled_from(["visits", "spend", "ALL", "ANY"]))
        level: Rules = {"id": name}
        if asked != "spend":
            level["visits"] = draw(st.integers(1, 3))
        if asked != "visits":
            level["spend"] = draw(st.sampled_from(["0.50", "40.00", "150.00", "400.00"]))
        if asked in ("ALL", "ANY"):
            level["match"] = asked
        if draw(st.booleans()):
            level["entry_bonus"] = draw(st.integers(1, 100))
        levels.append(level)
    for level in levels:
        level["multiplier"] = draw(st.sampled_from(["1", "1.25", "1.5", "2.333"]))
    rolling = st.sampled_from([7, 30, 365]).map(lambda days: {"rolling_days": days})
    yearly: list[Rules] = [{"calendar_year": {}}, {"membership_year": {}}]
    period: Rules = draw(st.one_of(rolling, st.sampled_from(yearly)))
    return {
        "period": period,
        "levels": in_order(levels),
        "keep_months": draw(st.integers(1, 3)),
        "grace_days": draw(st.sampled_from([0, 1, 30])),
        "downgrade": draw(st.sampled_from(["ONE_LEVEL", "TO_QUALIFIED", "NEVER"])),
    }


def in_order(levels: list[Rules]) -> list[Rules]:
    """Levels from the lowest up, each asking for more than those below."""
    visits, spend = 0, Decimal(0)
    ordered = []
    for level in sorted(levels, key=lambda each: LEVELS.index(each["id"])):
        raised = dict(level)
        if "visits" in level:
            raised["visits"] = visits = max(level["visits"], visits + 1)
        if "spend" in level:
            spend = max(Decimal(level["spend"]), spend + 1)
            raised["spend"] = str(spend)
        ordered.append(raised)
    return ordered


@st.composite
def documents(draw: st.DrawFn) -> Rules:
    """Rules of every kind."""
    rate = {"points": draw(st.integers(1, 5)), "per": draw(st.sampled_from(["1", "0.50", "3.33"]))}
    earning = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "rounding": st.sampled_from(["FLOOR", "NEAREST", "CEILING"]),
                "exclude_categories": st.lists(st.sampled_from(CATEGORIES[2:]), unique=True),
                "pending_days": st.sampled_from([0, 1, 14, 70]),
                "backdate_days": st.sampled_from([0, 1, 2, 60]),
            },
        )
    )
    caps = draw(
        st.fixed_dictionaries(
            {}, optional={"per_day": st.integers(1, 500), "per_purchase": st.integers(1, 300)}
        )
    )
    rules: Rules = {"earning": {**earning, "rate": rate, "caps": caps}, "bonuses": draw(bonuses())}
    rules |= draw(spending())
    if draw(st.booleans()):
        rules["members"] = {"auto_enroll": draw(st.booleans())}
    rules["visits"] = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "minimum": st.sampled_from(["0.01", "3.00", "50.00"]),
                "per_day": st.integers(1, 3),
            },
        )
    )
    if draw(st.integers(0, 3)):
        rules["tiers"] = draw(tiers())
    levels = [level["id"] for level in rules.get("tiers", {}).get("levels", [])]
    rules["promotions"] = draw(promotions(levels))
    rules["rewards"] = draw(rewards(levels))
    return rules


def fitting(rules: Rules, published: list[Rules]) -> Rules:
    """Rules made such that they may follow those published before, and look at nothing that was
    forgotten.

    Days are remembered from when rules that look at them are first known of, for as long as the
    longest period known then.
    """
    first, latest = published[0], published[-1]
    rules = {**rules}
    if not looks_at_days(first):
        rules.pop("tiers", None)
        caps = {name: cap for name, cap in rules["earning"]["caps"].items() if name != "per_day"}
        rules["earning"] = {**rules["earning"], "caps": caps}
        rules["bonuses"] = [b for b in rules["bonuses"] if b["on"] not in BY_DAY]
    if "tiers" not in first:
        rules.pop("tiers", None)
        rules["promotions"] = [
            {name: value for name, value in promotion.items() if name != "tiers"}
            for promotion in rules["promotions"]
        ]
        rules["rewards"] = [
            {name: value for name, value in reward.items() if name != "minimum_tier"}
            for reward in rules["rewards"]
        ]
    else:
        rules["tiers"] = fitting_tiers(
            rules.get("tiers") or latest["tiers"], [version["tiers"] for version in published]
        )
    return rules


def fitting_tiers(drawn: Rules, published: list[Rules]) -> Rules:
    """Tiers that may follow those published before."""
    latest = published[-1]
    names = {level["id"] for level in drawn["levels"]}
    held = [level for level in latest["levels"] if level["id"] not in names]
    fits = any(covers(tiers["period"], drawn["period"]) for tiers in published)
    return {
        **drawn,
        "levels": in_order([*drawn["levels"], *held]),
        "period": drawn["period"] if fits else latest["period"],
    }


def looks_at_days(rules: Rules) -> bool:
    """Whether what was bought on a day matters for anything."""
    occasions = {bonus["on"] for bonus in rules["bonuses"]}
    return "per_day" in rules["earning"]["caps"] or "tiers" in rules or bool(occasions & BY_DAY)


def covers(known: Rules, period: Rules) -> bool:
    """Whether all days of a period are remembered for the sake of another one."""
    if "rolling_days" in known:
        return int(known["rolling_days"]) >= int(period.get("rolling_days", 366))
    return known == period

"""What members and tills may ask for, and where and when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from tests.model import TOLERANCE

Request = dict[str, Any]

MICROSECOND = timedelta(microseconds=1)


def amounts(most: int = 30_000) -> st.SearchStrategy[str]:
    """Amounts in euros, whole ones more often than not, and those that rules ask for."""
    cents = st.integers(0, most) | st.integers(0, most // 100).map(lambda whole: whole * 100)
    asked = st.sampled_from(["0.01", "3.00", "2.99", "40.00", "50.00", "49.99", "100.00"])
    return asked | cents.map(lambda minor: f"{minor // 100}.{minor % 100:02}")


def total(lines: list[dict[str, Any]]) -> str:
    minor = sum(int(line["amount"].replace(".", "")) for line in lines)
    return f"{minor // 100}.{minor % 100:02}"


CATEGORIES = ["", "coffee", "gift-card", "tobacco"]
SKUS = ["", "espresso", "mug"]
LOCATIONS = ["", "mitte", "wedding"]
LINES = st.lists(
    st.fixed_dictionaries(
        {
            "category": st.sampled_from(CATEGORIES),
            "sku": st.sampled_from(SKUS),
            "amount": amounts(10_000),
            "quantity": st.sampled_from([0, 0, 1, 3]),
        }
    ),
    min_size=1,
    max_size=4,
)
#: what is bought, and where: an amount, or lines with their sum
BASKETS = st.builds(
    lambda basket, location: {**basket, "location_id": location} if location else basket,
    amounts().map(lambda amount: {"amount": amount})
    | LINES.map(lambda lines: {"amount": total(lines), "lines": lines}),
    st.sampled_from(LOCATIONS),
)
ACTIVITIES = st.sampled_from(["survey", "survey", "review", "unheard-of"])
#: born on days near those of STARTS
BIRTHDAYS = st.sampled_from(
    [(1, 1), (1, 31), (2, 28), (2, 29), (3, 1), (3, 29), (4, 24), (12, 31)]
).map(lambda born: {"month": born[0], "day": born[1]})
NAMES = ["m-1", "m-2", "m-3"]
MEMBERS = st.sampled_from(NAMES)
ZONES = st.sampled_from(
    [
        "Africa/Cairo",
        "America/Havana",
        "Asia/Kathmandu",
        "Europe/Berlin",
        "Pacific/Honolulu",
        "Pacific/Kiritimati",
        "UTC",
    ]
)
#: at and around the ends of months and years, and clock changes
STARTS = st.sampled_from(
    ["2026-01-30", "2026-03-07", "2026-03-28", "2026-04-23", "2026-12-30", "2028-02-28"]
).map(lambda day: datetime.fromisoformat(f"{day}T21:30:00Z"))
DURATIONS = st.sampled_from(
    [
        MICROSECOND,
        timedelta(seconds=1),
        timedelta(minutes=5),
        timedelta(hours=1),
        timedelta(hours=11),
        timedelta(days=1),
        timedelta(days=3),
        timedelta(days=31),
        timedelta(days=100),
    ]
)
#: how far ahead a till's clock is
AHEAD = st.sampled_from(
    [timedelta(0), MICROSECOND, TOLERANCE, TOLERANCE + MICROSECOND, timedelta(days=2)]
)
#: how long a hold is to last; None: as the rules say
TTLS = st.none() | st.sampled_from(
    [timedelta(seconds=1), timedelta(hours=1), timedelta(days=1), timedelta(days=28)]
)
#: fourths of what is there to be spent: nothing is 1 point, 5 of them are too many
FOURTHS = st.integers(0, 5)
#: what is asked for: points or a reward
WANTED = FOURTHS | st.sampled_from(
    ["coffee", "sticker", "fiver", "tenth", "warranty", "mug", "shirt", "spring", "unheard-of"]
)
#: what of a purchase is returned: all, an amount, so many fourths of the price, or some lines with
#: fourths of their amount
RETURNED = st.one_of(
    st.just({"full": True}),
    st.builds(lambda amount: {"amount": amount}, amounts().filter(lambda a: float(a) > 0)),
    st.builds(lambda fourths: {"fourths": fourths}, st.integers(1, 4)),
    st.builds(
        lambda first, count, fourths: {"lines": (first, count), "fourths": fourths},
        st.integers(0, 3),
        st.integers(1, 3),
        st.integers(0, 5),
    ),
)
STATUSES = st.sampled_from(["ACTIVE", "ACTIVE", "EARN_ONLY", "SUSPENDED", "CLOSED"])

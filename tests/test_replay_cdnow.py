"""Real purchases through the command line and a real server: every point is accounted for, and
every tier is reached and lost on the day that an independent computation says.
"""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

from benchmarks.cdnow import Purchase
from benchmarks.cdnow_tiers import Change, held_on, tier_changes
from benchmarks.replay_cdnow import replay


def test_the_independent_tiers_are_those_worked_out_by_hand() -> None:
    bought = [
        *((day, "5.00") for day in (*range(1, 12), 11, 28)),  # twelve days, thirteen purchases
        *((day, "4.99") for day in range(12, 28)),
    ]
    purchases = [
        Purchase(f"p-{number}", "m-1", datetime(1997, 1, day, 12), amount)
        for number, (day, amount) in enumerate(bought)
    ]

    changes = tier_changes(purchases, date(1999, 5, 1))

    assert changes == {
        "m-1": [
            Change(date(1997, 1, 5), "PROMOTED", "silver"),
            Change(date(1997, 1, 28), "PROMOTED", "gold"),
            # 31 January 1998 and 30 days more; then 31 March 1999 and 30 days more.
            Change(date(1998, 3, 3), "LOWERED", "silver"),
            Change(date(1999, 5, 1), "LOWERED", "member"),
        ]
    }
    assert held_on(changes, date(1998, 3, 2)) == {"gold": 1}


def test_a_sample_of_real_purchases_comes_out_exactly_also_the_second_time(
    cdnow_file: Path,
) -> None:
    assert replay(cdnow_file, members=100) == []

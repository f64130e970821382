"""Real purchases through the command line and a real server: every point is accounted for."""

from __future__ import annotations

from pathlib import Path

from benchmarks.replay_cdnow import replay


def test_a_sample_of_real_purchases_comes_out_exactly_also_the_second_time(
    cdnow_file: Path,
) -> None:
    assert replay(cdnow_file, members=100) == []

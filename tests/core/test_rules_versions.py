"""What a program makes of its rules versions: rules that time applies, and stocks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.instants import DAY, local_day
from ledger.core.program import InactivityRule, Program
from tests.memory import Document, MemoryLedger, at, document

#: months of inactivity (0: no such rule) by the instant from which they count
Versions = list[tuple[int, int]]
START = at("2026-01-10T09:00Z")


def rules_with(months: int) -> Document:
    return document(expiry={"inactivity_months": months} if months else {})


def program(versions: Versions) -> Program:
    """A program with a version of each."""
    first, *following = versions
    ledger = MemoryLedger(rules_with(first[1]), now=first[0])
    for instant, months in following:
        ledger.publish(rules_with(months), instant)
    return ledger.program


def local(text: str) -> int:
    """The local day of a date."""
    return at(f"{text}T00:00Z") // DAY


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        pytest.param([("2026-01-10T09:00Z", 0)], [], id="no rule"),
        pytest.param([("2026-01-10T09:00Z", 18)], [(18, None, None, None)], id="since ever"),
        pytest.param(
            [("2026-01-10T09:00Z", 18), ("2026-03-01T09:00Z", 18), ("2026-04-01T09:00Z", 18)],
            [(18, None, None, None)],
            id="the same goes on",
        ),
        pytest.param(
            [("2026-01-10T09:00Z", 0), ("2026-02-28T23:30Z", 18), ("2026-04-01T09:00Z", 18)],
            [(18, "2026-02-28T23:30Z", None, "2026-03-01")],
            id="a new rule, by the local day",
        ),
        pytest.param(
            [("2026-01-10T09:00Z", 18), ("2026-03-01T09:00Z", 12)],
            [
                (18, None, "2026-03-01T09:00Z", None),
                (12, "2026-03-01T09:00Z", None, "2026-03-01"),
            ],
            id="other months begin anew",
        ),
        pytest.param(
            [("2026-01-10T09:00Z", 18), ("2026-03-01T09:00Z", 0), ("2026-04-01T09:00Z", 18)],
            [
                (18, None, "2026-03-01T09:00Z", None),
                (18, "2026-04-01T09:00Z", None, "2026-04-01"),
            ],
            id="so does what was away",
        ),
        pytest.param(
            [("2026-01-10T09:00Z", 18), ("2026-03-01T09:00Z", 0), ("2026-03-01T09:00Z", 18)],
            [(18, None, None, None)],
            id="a version never in force breaks nothing",
        ),
        pytest.param(
            [("2026-01-10T09:00Z", 0), ("2026-03-01T09:00Z", 18), ("2026-03-01T09:00Z", 0)],
            [],
            id="nor does it introduce anything",
        ),
        pytest.param(
            [("2026-01-10T09:00Z", 18), ("2026-01-10T09:00Z", 12)],
            [
                (18, None, "2026-01-10T09:00Z", None),
                (12, "2026-01-10T09:00Z", None, "2026-01-10"),
            ],
            id="the first covers what was before it",
        ),
        pytest.param(
            [
                ("2026-01-10T09:00Z", 0),
                ("2026-03-01T09:00Z", 18),
                ("2026-04-01T09:00Z", 18),
                ("2026-05-01T09:00Z", 0),
            ],
            [(18, "2026-03-01T09:00Z", "2026-05-01T09:00Z", "2026-03-01")],
            id="a rule that is gone",
        ),
    ],
)
def test_a_rule_of_inactivity_runs_over_versions(
    versions: list[tuple[str, int]],
    expected: list[tuple[int, str | None, str | None, str | None]],
) -> None:
    found = program([(at(instant), months) for instant, months in versions]).inactivity
    assert found == tuple(
        InactivityRule(
            months,
            at(start) if start else None,
            at(end) if end else None,
            local(since) if since else None,
        )
        for months, start, end, since in expected
    )


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0, 0, 6, 12])), min_size=1, max_size=8)
)
def test_at_every_instant_the_run_says_what_the_version_in_force_says(
    steps: list[tuple[int, int]],
) -> None:
    versions: Versions = []
    instant = START
    for days, months in steps:
        instant += days * DAY if versions else 0
        versions.append((instant, months))
    made = program(versions)
    runs = made.inactivity

    for now in range(START - DAY, instant + 2 * DAY, DAY // 2):
        counting = [
            run
            for run in runs
            if (run.start is None or run.start <= now) and (run.end is None or now < run.end)
        ]
        said = made.in_force(now).rules.inactivity_months
        assert [run.months for run in counting] == ([] if said is None else [said])
        for run in counting:
            before = None if run.start is None else made.in_force(run.start - 1)
            assert before is None or before.rules.inactivity_months != said
            since = None if run.start is None else local_day(run.start, made.zone)
            assert run.since_day == since
    assert [run.start for run in runs[1:]] == sorted(run.start or 0 for run in runs[1:])


def test_stocked_is_what_ever_had_a_stock() -> None:
    perk = {"points": 0, "kind": "PERK"}
    ledger = MemoryLedger(document(rewards=[{"id": "a", "stock": 5, **perk}, {"id": "b", **perk}]))
    assert ledger.program.stocked == {"a"}

    ledger.publish(document(rewards=[{"id": "b", "stock": 0, **perk}]), ledger.now)
    assert ledger.program.stocked == {"a", "b"}

    ledger.publish(document(), ledger.now)
    assert ledger.program.stocked == {"a", "b"}
    assert MemoryLedger().program.stocked == frozenset()

"""Promise P8: nothing ends before its instant, and nothing spendable is left after it.

Whether a scheduler comes by often, late or never is nobody's business: the journal that comes of it
is the same up to when things were written down, and what a member is shown is the same altogether.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.core.apply import fold
from ledger.core.chain import canonical_form
from ledger.core.due import settle
from ledger.core.instants import DAY, MINUTE, SECOND
from ledger.core.model import Account, Entry
from ledger.core.posting import Context, Posting
from tests.memory import PROGRAM, Document, MemoryLedger, at, document

START = at("2026-01-30T21:30Z")

#: points wait for days, live for a month, and a bonus for two days
RULES = st.builds(
    lambda pending_days, after_months, zero: document(
        {"pending_days": pending_days, "backdate_days": 90, "caps": {"per_day": 500}},
        bonuses=[{"id": "welcome", "on": "ENROLLMENT", "points": 7, "expires_days": zero}],
        **({} if after_months is None else {"expiry": {"after_months": after_months}}),
    ),
    st.sampled_from([0, 1, 29, 60]),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([0, 2]),
)


class Step(NamedTuple):
    """Time passes, a scheduler may come by, and 10 points are earned, perhaps some time ago."""

    pause: int
    settled: bool
    late: int


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from([0, 1, SECOND, 150 * MINUTE, DAY, 28 * DAY, 29 * DAY, 60 * DAY]),
        st.booleans(),
        st.sampled_from([0, DAY, 29 * DAY, 80 * DAY]),
    ),
    max_size=12,
)


def play(rules: list[Document], steps: list[Step], *, scheduler: bool) -> MemoryLedger:
    """Ann's history, settled whenever a step says so or only by her own purchases."""
    ledger = MemoryLedger(rules[0], now=START)
    for month, later in enumerate(rules[1:], 1):
        ledger.publish(later, START + 30 * month * DAY)
    ledger.enroll()
    for step in steps:
        ledger.now += step.pause
        if scheduler and step.settled:
            ledger.settle()
        ledger.buy("10.00", when=ledger.now - step.late)
        if scheduler and step.settled:
            assert ledger.settle() == ()
    return ledger


def when_written(ledger: MemoryLedger) -> list[bytes]:
    """The journal but for when each entry was written down."""
    return [
        canonical_form(msgspec.structs.replace(entry, create_time=0)) for entry in ledger.journal()
    ]


def settled(ledger: MemoryLedger, account: Account, instant: int) -> Account:
    context = Context(program=ledger.program, now=instant, actor="", purchases={})
    posting = Posting(account, "ann", context)
    settle(posting)
    return posting.account


@settings(max_examples=200)
@given(st.lists(RULES, min_size=1, max_size=3), STEPS)
def test_the_journal_does_not_depend_on_who_settles_when(
    rules: list[Document], steps: list[Step]
) -> None:
    with_scheduler = play(rules, steps, scheduler=True)
    without = play(rules, steps, scheduler=False)
    for ledger in (with_scheduler, without):
        ledger.now += 365 * DAY
        ledger.settle()

    assert when_written(with_scheduler) == when_written(without)
    assert with_scheduler.verify() == without.verify() == []


@settings(max_examples=200)
@given(st.lists(RULES, min_size=1, max_size=3), STEPS, st.integers(0, 400 * DAY))
@example([document({"pending_days": 60}, expiry={"after_months": 1})], [Step(0, False, 0)], 0)
def test_whoever_looks_sees_what_is_spendable_then(
    rules: list[Document], steps: list[Step], later: int
) -> None:
    with_scheduler = play(rules, steps, scheduler=True)
    without = play(rules, steps, scheduler=False)
    for instant in instants_of_interest(without, without.now + later):
        seen = settled(with_scheduler, with_scheduler.accounts["ann"], instant)
        account = settled(without, without.accounts["ann"], instant)

        assert (seen.lots, seen.pending_lots) == (account.lots, account.pending_lots)
        assert all(lot.expire_time is None or lot.expire_time > instant for lot in account.lots)
        assert all(lot.activate_time > instant for lot in account.pending_lots)
        assert account.available == sum(lot.points for lot in account.lots)


@settings(max_examples=200)
@given(st.lists(RULES, min_size=1, max_size=3), STEPS)
def test_nothing_happens_before_its_instant(rules: list[Document], steps: list[Step]) -> None:
    ledger = play(rules, steps, scheduler=True)
    ledger.now += 365 * DAY
    ledger.settle()

    journal = ledger.journal()
    for number, entry in enumerate(journal):
        assert entry.effective_time <= entry.create_time
        for change in entry.data.lots:
            if entry.kind == "EXPIRY":
                assert change.expire_time is not None
                assert change.expire_time <= entry.effective_time
                # Later only when the points became spendable no sooner.
                if change.expire_time < entry.effective_time:
                    assert became_spendable(journal[:number], change.expire_time) == (
                        entry.effective_time
                    )
            elif entry.kind == "ACTIVATION" and change.activate_time is not None:
                assert change.activate_time == entry.effective_time
    assert fold(journal).pending == 0


def instants_of_interest(ledger: MemoryLedger, another: int) -> list[int]:
    """Now, every instant at which a lot begins or ends and the one before it, and another."""
    account = ledger.accounts["ann"]
    due = [lot.expire_time for lot in account.lots if lot.expire_time is not None]
    for lot in account.pending_lots:
        due += [lot.activate_time, *([lot.expire_time] if lot.expire_time is not None else [])]
    edges = {instant for each in due for instant in (each - 1, each) if instant >= ledger.now}
    return sorted({ledger.now, another, *edges})


def became_spendable(journal: list[Entry], expire_time: int) -> int:
    """When points of the lot that ends at an instant last became spendable."""
    return next(
        entry.effective_time
        for entry in reversed(journal)
        if entry.kind == "ACTIVATION"
        and any(change.expire_time == expire_time for change in entry.data.lots)
    )


def test_the_program_of_these_histories_has_everything() -> None:
    """A history in which all that time does is done, so that the properties above say something."""
    rules = [document({"pending_days": 29, "backdate_days": 90}, expiry={"after_months": 1})]
    ledger = play(rules, [Step(0, True, 0), Step(60 * DAY, True, 80 * DAY)], scheduler=False)
    assert [entry.kind for entry in ledger.journal()] == [
        *("ENROLLED", "PURCHASE", "ACTIVATION", "EXPIRY"),
        *("PURCHASE", "ACTIVATION", "EXPIRY"),
    ]
    assert {entry.program_id for entry in ledger.journal()} == {PROGRAM}

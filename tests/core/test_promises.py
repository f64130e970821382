"""What time brings is never refused, and rules that were never in force change nothing."""

from __future__ import annotations

from ledger.core.commands import SetMemberStatus
from tests.memory import PROGRAM, MemoryLedger, at, document

#: just under the most that one entry may move
HUGE = "9999999999999.90"
EARNING = {"rate": {"points": 1, "per": "0.01"}}
WIN_BACK = {"id": "miss-you", "on": "INACTIVE_DAYS", "n": 90, "points": 25}


def rich(ledger: MemoryLedger, member_id: str) -> None:
    """Let a member have as much as an account may hold."""
    ledger.enroll(member_id, birthday=301)
    for _ in range(10):
        ledger.buy(HUGE, member_id=member_id)


def test_a_birthday_comes_to_who_has_all_that_an_account_may_hold() -> None:
    birthday = {"id": "birthday", "on": "BIRTHDAY", "points": 200}
    ledger = MemoryLedger(document(EARNING, bonuses=[birthday]), now="2026-01-10T09:00Z")
    rich(ledger, "ann")
    ledger.now = at("2026-03-02T09:00Z")

    ledger.settle()

    assert [entry.kind for entry in ledger.journal()][-1] == "BONUS"
    assert ledger.verify() == []


def test_a_referrer_who_has_it_all_does_not_keep_friends_from_buying() -> None:
    refer = {"id": "refer", "on": "REFERRAL", "points": 300, "referee_points": 100}
    ledger = MemoryLedger(document(EARNING, bonuses=[refer]), now="2026-01-10T09:00Z")
    rich(ledger, "ann")
    ledger.enroll("ben", referrer_member_id="ann")

    ledger.buy("5.00", member_id="ben")

    assert [entry.points for entry in ledger.journal("ben")] == [0, 500, 100]
    assert ledger.journal("ann")[-1].points == 300


def test_a_version_that_was_never_in_force_does_not_make_a_rule_new() -> None:
    ledger = MemoryLedger(document(bonuses=[WIN_BACK]), now="2026-01-10T09:00Z")
    ledger.enroll()
    ledger.publish(document(), at("2026-03-01T00:00Z"))
    ledger.publish(document(bonuses=[WIN_BACK]), at("2026-03-01T00:00Z"))
    ledger.now = at("2026-06-30T09:00Z")

    ledger.settle()

    given = [entry.effective_time for entry in ledger.journal() if entry.kind == "BONUS"]
    assert given == [at("2026-04-10T00:00+02:00")]


def test_a_gift_of_the_instant_at_which_a_balance_ends_is_kept() -> None:
    """Balances end before gifts are given: it must not end twice at one instant."""
    birthday = {"id": "birthday", "on": "BIRTHDAY", "points": 200}
    rules = document(expiry={"inactivity_months": 1}, bonuses=[birthday])
    for bought in (False, True):
        ledger = MemoryLedger(rules, now="2026-01-10T09:00Z")
        ledger.enroll(birthday=301)
        if bought:
            ledger.buy("5.00")
        ledger.now = at("2026-03-01T09:00Z")

        ledger.settle()

        assert ledger.accounts["ann"].available == 200


def test_to_earn_only_costs_no_gift_that_a_late_purchase_brings() -> None:
    win_back = {"id": "miss-you", "on": "INACTIVE_DAYS", "n": 3, "points": 25}
    ledger = MemoryLedger(document(bonuses=[win_back]), now="2026-01-10T09:00Z")
    ledger.enroll()
    ledger.now = at("2026-02-01T09:00Z")
    for member_status in ("EARN_ONLY", "ACTIVE"):
        status = SetMemberStatus(
            program_id=PROGRAM,
            member_id="ann",
            request_id=member_status,
            status=member_status,
            reason="asked for it",
        )
        ledger.write(status)

    ledger.buy("5.00", when="2026-01-20T09:00Z")

    given = [entry.effective_time for entry in ledger.journal() if entry.kind == "BONUS"]
    assert given == [at("2026-01-13T00:00+01:00"), at("2026-01-23T00:00+01:00")]


def test_nobody_is_warned_of_a_rule_before_it_is_in_force() -> None:
    ledger = MemoryLedger(document(expiry={"warn_days": [60]}), now="2026-01-10T09:00Z")
    ledger.enroll()
    ledger.buy("5.00")
    ledger.now = at("2026-03-01T09:00Z")
    ledger.settle()
    # From 2 March on, so that the balance ends with 30 April; 60 days ahead of that is 2 March.
    fading = document(expiry={"warn_days": [60], "inactivity_months": 1})
    ledger.publish(fading, at("2026-03-02T09:00Z"))
    ledger.now = at("2026-03-05T09:00Z")

    ledger.settle()

    assert ledger.told == {}

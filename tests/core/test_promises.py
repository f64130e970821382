"""What time brings is never refused, and rules that were never in force change nothing."""

from __future__ import annotations

from tests.memory import MemoryLedger, at, document

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

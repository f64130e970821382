"""Any history on the core alone goes as the model says, and everything it keeps adds up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from ledger.core.apply import fold
from ledger.core.commands import (
    Command,
    EnrollMember,
    OverrideTier,
    RecordActivity,
    RecordPurchase,
)
from ledger.core.due import settle
from ledger.core.errors import LedgerError
from ledger.core.instants import to_datetime, to_instant
from ledger.core.model import (
    Account,
    Balance,
    Entry,
    PurchaseLine,
    balance_of,
    encode,
)
from ledger.core.posting import TIME_ACTOR, Context, Posting
from ledger.core.status import Missing, TierStatus, present_status, status_after
from tests.histories import SECONDS_TO_SHRINK, SETTINGS, Histories, Request, Rules
from tests.memory import MemoryLedger, cents
from tests.model import Outcome


class CoreLedger:
    """The core in dictionaries. Its clock settles nobody: only commands and `settle` do."""

    def create_program(self, program: dict[str, Any], rules: Rules) -> None:
        self.ledger = MemoryLedger(
            rules,
            now=to_instant(program["clock_time"]),
            zone=program["time_zone"],
            currency=program["currency"],
        )

    def publish_rules(self, rules: Rules, effective_time: datetime | None) -> Outcome:
        latest = self.ledger.program.versions[-1]
        earliest = max(self.ledger.now, latest.effective_time)
        asked = earliest if effective_time is None else to_instant(effective_time)
        if asked < earliest:
            return "refused", "EFFECTIVE_TIME_OUT_OF_RANGE"
        if asked == self.ledger.now:
            # What has fallen due by now did so under the rules before.
            for member_id in self.ledger.accounts:
                self.ledger.settle(member_id)
        self.ledger.publish(rules, asked)
        return "ok", {"version": latest.version + 1}

    def advance_clock(self, clock_time: datetime) -> Outcome:
        self.ledger.now = to_instant(clock_time)
        return "ok", {"clock_time": clock_time}

    def enroll(self, request: Request) -> Outcome:
        return told(lambda: self._receipt(enrolment(request)))

    def record_purchase(self, request: Request) -> Outcome:
        return told(lambda: self._receipt(purchase(request)))

    def preview_purchase(self, request: Request) -> Outcome:
        def preview() -> dict[str, Any]:
            posting = self.ledger.decide(purchase(request))
            [bought] = [entry for entry in posting.entries if entry.kind == "PURCHASE"]
            return {"points": bought.points, "breakdown": lines_of(bought)}

        return told(preview)

    def record_activity(self, request: Request) -> Outcome:
        command = RecordActivity(**common(request), activity=request["activity"])
        return told(lambda: self._receipt(command))

    def override_tier(self, request: Request) -> Outcome:
        return told(lambda: self._receipt(override(request)))

    def settle(self, member_id: str) -> None:
        self.ledger.settle(member_id)
        assert self.ledger.settle(member_id) == ()

    def balance(self, member_id: str, as_of: datetime | None) -> dict[str, Any]:
        now = self.ledger.now
        instant = now if as_of is None else to_instant(as_of)
        account = self.ledger.accounts[member_id]
        if instant < now:
            known = [e for e in self.ledger.journal(member_id) if e.create_time <= instant]
            account = fold(known)
        return shown(balance_of(self._settled(account, member_id, instant).account, instant))

    def tier_status(self, member_id: str) -> dict[str, Any]:
        account = self.ledger.accounts[member_id]
        now, program = self.ledger.now, self.ledger.program
        account = self._settled(account, member_id, now).account
        return status_dict(present_status(account, program, now))

    def journal(self, member_id: str) -> list[dict[str, Any]]:
        account = self.ledger.accounts[member_id]
        due = self._settled(account, member_id, self.ledger.now).entries
        return [entry_dict(entry) for entry in [*self.ledger.journal(member_id), *due]]

    def check(self, member_id: str) -> None:
        account, journal = self.ledger.accounts[member_id], self.ledger.journal(member_id)
        assert encode(fold(journal)) == encode(account)
        assert [entry.sequence for entry in journal] == list(range(1, len(journal) + 1))
        assert sum(lot.points for lot in account.lots) == account.available >= 0
        assert sum(lot.points for lot in account.pending_lots) == account.pending >= 0
        assert sum(self.ledger.trial_balance().values()) == 0
        assert self.ledger.verify(member_id) == []
        for entry in journal:
            # Nothing happens before its instant.
            assert entry.effective_time <= entry.create_time

    def trial_balance(self) -> dict[str, int]:
        totals = Counter(self.ledger.trial_balance())
        for member_id, account in self.ledger.accounts.items():
            for entry in self._settled(account, member_id, self.ledger.now).entries:
                if entry.points:
                    totals[entry.debit_account] -= abs(entry.points)
                    totals[entry.credit_account] += abs(entry.points)
        return dict(totals)

    def _receipt(self, command: Command) -> dict[str, Any]:
        outcome = self.ledger.write(command)
        if isinstance(outcome, LedgerError):
            raise outcome
        return {
            "entries": [entry_dict(e) for e in outcome.entries if e.actor != TIME_ACTOR],
            "balance": shown(outcome.balance),
            "tier": status_dict(status_after(outcome.entries, self.ledger.program)),
            "replayed": outcome.replayed,
        }

    def _settled(self, account: Account, member_id: str, instant: int) -> Posting:
        """What time will have posted by an instant, and the account then."""
        context = Context(program=self.ledger.program, now=instant, actor="", purchases={})
        posting = Posting(account, member_id, context)
        settle(posting)
        return posting


def moment(instant: int | None) -> datetime | None:
    return None if instant is None else to_datetime(instant)


def status_dict(status: TierStatus | None) -> dict[str, Any]:
    if status is None:
        return {}
    return {
        "tier_id": status.tier_id,
        "since": moment(status.since_time),
        "valid_until": moment(status.valid_until_time),
        "grace_until": moment(status.grace_until_time),
        "visits": status.visits,
        "spend": Fraction(status.spend, 100),
        "period_start": moment(status.period_start_time),
        "next": missing(status.next),
        "keep": missing(status.keep),
    }


def missing(what: Missing | None) -> dict[str, Any] | None:
    if what is None:
        return None
    return {
        "tier_id": what.tier_id,
        "visits": what.visits,
        "spend": Fraction(what.spend, 100),
        "by_time": moment(what.by_time),
    }


def told(answer: Callable[[], dict[str, Any]]) -> Outcome:
    """An answer or a refusal in the words of the model."""
    try:
        return "ok", answer()
    except LedgerError as error:
        return "refused", error.reason


def common(request: Request) -> dict[str, Any]:
    moment = request.get("effective_time")
    return {
        "program_id": request["program_id"],
        "member_id": request["member_id"],
        "request_id": request["request_id"],
        "effective_time": None if moment is None else to_instant(moment),
    }


def enrolment(request: Request) -> Command:
    born = request.get("birthday", {"month": 0, "day": 0})
    return EnrollMember(
        **common(request),
        birthday=born["month"] * 100 + born["day"],
        referrer_member_id=request.get("referrer_member_id", ""),
    )


def purchase(request: Request) -> Command:
    return RecordPurchase(
        **common(request),
        purchase_id=request["purchase_id"],
        amount=cents(request["amount"]),
        lines=tuple(
            PurchaseLine(line["sku"], line["category"], 0, cents(line["amount"]))
            for line in request.get("lines", [])
        ),
        location_id=request.get("location_id", ""),
    )


def override(request: Request) -> Command:
    return OverrideTier(
        program_id=request["program_id"],
        member_id=request["member_id"],
        request_id=request["request_id"],
        tier_id=request["tier_id"],
        reason=request["reason"],
        until_time=to_instant(request["until_time"]),
    )


def shown(balance: Balance) -> dict[str, Any]:
    lot = balance.next_expiry
    ends = None if lot is None or lot.expire_time is None else to_datetime(lot.expire_time)
    return {
        "available": balance.available,
        "pending": balance.pending,
        "lifetime": balance.lifetime,
        "next_expiry": (ends, lot.points) if lot is not None else None,
        "tier_id": balance.tier_id,
    }


def lines_of(entry: Entry) -> list[tuple[str, int]]:
    return [(line.rule, line.points) for line in entry.data.breakdown]


def entry_dict(entry: Entry) -> dict[str, Any]:
    shown = {
        "kind": entry.kind,
        "points": entry.points,
        "effective_time": to_datetime(entry.effective_time),
        "create_time": to_datetime(entry.create_time),
        "rules_version": entry.rules_version,
        "tier_id": entry.tier_id,
        "by_time": entry.actor == TIME_ACTOR,
    }
    if entry.data.activity:
        shown["activity"] = entry.data.activity
    if entry.data.why is not None:
        shown["reason"] = entry.data.why.reason
    if entry.purchase_id:
        shown["purchase_id"] = entry.purchase_id
    if entry.data.breakdown:
        shown["breakdown"] = lines_of(entry)
    return shown


class CoreHistories(Histories):
    """Histories of the core alone."""

    def make_ledger(self) -> CoreLedger:
        return CoreLedger()


@pytest.mark.timeout(SECONDS_TO_SHRINK)
def test_any_history_goes_as_the_model_says() -> None:
    run_state_machine_as_test(
        CoreHistories,
        settings=settings(SETTINGS, max_examples=150, stateful_step_count=40),
    )

"""Any history on the core alone goes as the model says, and everything it keeps adds up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from ledger.core.apply import fold
from ledger.core.commands import (
    AdjustPoints,
    CaptureHold,
    Command,
    EnrollMember,
    ExtendHold,
    HoldPoints,
    OverrideTier,
    RecordActivity,
    RecordPurchase,
    RecordReturn,
    RedeemPoints,
    ReleaseHold,
    ReverseRedemption,
    SetMemberStatus,
    TransferPoints,
)
from ledger.core.due import settle
from ledger.core.errors import LedgerError
from ledger.core.ids import hold_id, redemption_id
from ledger.core.instants import to_datetime, to_instant
from ledger.core.model import (
    AVAILABLE,
    HELD,
    PENDING,
    Account,
    Balance,
    Entry,
    HoldData,
    PurchaseLine,
    RedemptionData,
    ReturnData,
    balance_of,
    encode,
)
from ledger.core.posting import TIME_ACTOR, Context, Posting
from ledger.core.rewards import offers
from ledger.core.status import Missing, TierStatus, present_status, status_after
from tests.histories import SECONDS_TO_SHRINK, SETTINGS, Histories, Names, Request, Rules
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
        self.names = Names()

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
        for member_id, account in self.ledger.accounts.items():
            # What there was to warn of by now was so by the rules known until now.
            for due in self._settled(account, member_id, self.ledger.now).warnings:
                key = (member_id, due.expire_time, due.days, due.inactivity)
                self.ledger.told.setdefault(key, due)
        self.ledger.publish(rules, asked)
        return "ok", {"version": latest.version + 1}

    def advance_clock(self, clock_time: datetime) -> Outcome:
        self.ledger.now = to_instant(clock_time)
        return "ok", {"clock_time": clock_time}

    def write(self, method: str, request: Request) -> Outcome:
        if request.get("reward_id"):
            # A unit that a lapsed hold reserved is there again once its member is settled.
            for member_id in self.ledger.accounts:
                self.ledger.settle(member_id)
        return told(lambda: self._receipt(COMMANDS[method](self, request)))

    def preview_purchase(self, request: Request) -> Outcome:
        def preview() -> dict[str, Any]:
            posting = self.ledger.decide(purchase(self, request))
            [bought] = [entry for entry in posting.entries if entry.kind == "PURCHASE"]
            return {"points": bought.points, "breakdown": lines_of(bought)}

        return told(preview)

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
        return [self.shown(entry) for entry in [*self.ledger.journal(member_id), *due]]

    def warnings(self, member_id: str) -> dict[Any, int]:
        """Those noted, and those that time has made due since."""
        account = self.ledger.accounts[member_id]
        noted = [told for key, told in self.ledger.told.items() if key[0] == member_id]
        points: dict[Any, int] = {}
        for due in [*noted, *self._settled(account, member_id, self.ledger.now).warnings]:
            key = (to_datetime(due.expire_time), due.days, due.inactivity)
            points.setdefault(key, due.points)
        return points

    def offers(self, member_id: str) -> dict[str, tuple[bool, int | None]]:
        now, program = self.ledger.now, self.ledger.program
        account = self._settled(self.ledger.accounts[member_id], member_id, now).account
        rules = program.in_force(now).rules
        units = Counter(self.ledger.units)
        if any(reward.stock is not None for reward in rules.rewards):
            for name, other in self.ledger.accounts.items():
                units.update(self._settled(other, name, now).taken)
        return {
            offer.reward.id: (not offer.obstacles, offer.stock_left)
            for offer in offers(account, rules, program, now, units)
        }

    def check(self, member_id: str) -> None:
        account, journal = self.ledger.accounts[member_id], self.ledger.journal(member_id)
        assert encode(fold(journal)) == encode(account)
        assert [entry.sequence for entry in journal] == list(range(1, len(journal) + 1))
        assert sum(lot.points for lot in account.lots) == account.available >= 0
        assert sum(lot.points for lot in account.pending_lots) == account.pending >= 0
        held = [lot for hold in account.holds for lot in hold.lots]
        assert sum(lot.points for lot in held) == account.held >= 0
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

    def shown(self, entry: Entry) -> dict[str, Any]:
        """An entry as the model shows it."""
        data = entry.data
        shown = {
            "kind": entry.kind,
            "points": entry.points,
            "effective_time": to_datetime(entry.effective_time),
            "create_time": to_datetime(entry.create_time),
            "rules_version": entry.rules_version,
            "tier_id": entry.tier_id,
            "by_time": entry.actor == TIME_ACTOR,
            "debit": entry.debit_account,
            "credit": entry.credit_account,
            "lots": lots_of(entry),
        }
        said: dict[str, Any] = {
            "activity": data.activity,
            "purchase_id": entry.purchase_id,
            "breakdown": lines_of(entry),
            "related": data.related_member_id,
            "reason_code": data.reason_code,
            "status": data.status,
            "inactivity": data.inactivity,
        }
        if data.why is not None:
            said["reason"] = data.why.reason
        shown |= {name: value for name, value in said.items() if value}
        if data.hold is not None or data.redemption is not None:
            shown["reward"] = data.reward_id
        if data.hold is not None:
            shown["hold"] = self._hold(entry.member_id, data.hold)
        if data.redemption is not None:
            shown["redemption"] = self._redemption(entry.member_id, data.redemption)
        if data.returned is not None:
            shown["amount"], shown["eligible"] = euros(data.amount), euros(data.eligible)
            shown["returned"] = returned_dict(data.returned)
            shown["forgiven"] = data.forgiven_points
        return shown

    def _hold(self, member_id: str, hold: HoldData) -> dict[str, Any]:
        real = hold_id(self.ledger.program, member_id, hold.sequence)
        return {
            "hold_id": self.names.name(member_id, "h", real),
            "points": hold.points,
            "state": hold.state,
            "captured": hold.captured_points,
            "expires": to_datetime(hold.expire_time),
        }

    def _redemption(self, member_id: str, made: RedemptionData) -> dict[str, Any]:
        real = redemption_id(self.ledger.program, member_id, made.sequence)
        return {
            "redemption_id": self.names.name(member_id, "r", real),
            "points": made.points,
            "value": euros(made.value),
            "percent": made.percent_off or None,
            "reversed": made.reversed_points,
        }

    def _receipt(self, command: Command) -> dict[str, Any]:
        outcome = self.ledger.write(command)
        if isinstance(outcome, LedgerError):
            raise outcome
        entries = [self.shown(e) for e in outcome.entries if e.actor != TIME_ACTOR]
        said: dict[str, Any] = {"hold": None, "redemption": None}
        for entry in entries:
            said |= {name: entry[name] for name in said if name in entry}
        return {
            "entries": entries,
            "balance": shown(outcome.balance),
            "tier": status_dict(status_after(outcome.entries, self.ledger.program)),
            "replayed": outcome.replayed,
            **said,
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


def enrolment(_: CoreLedger, request: Request) -> Command:
    born = request.get("birthday", {"month": 0, "day": 0})
    return EnrollMember(
        **common(request),
        birthday=born["month"] * 100 + born["day"],
        referrer_member_id=request.get("referrer_member_id", ""),
    )


def purchase(_: CoreLedger, request: Request) -> Command:
    return RecordPurchase(
        **common(request),
        purchase_id=request["purchase_id"],
        amount=cents(request["amount"]),
        lines=lines_bought(request),
        location_id=request.get("location_id", ""),
    )


def goods_return(_: CoreLedger, request: Request) -> Command:
    return RecordReturn(
        **common(request),
        purchase_id=request["purchase_id"],
        amount=cents(request["amount"]) if "amount" in request else None,
        lines=lines_bought(request),
        full=request.get("full", False),
    )


def override(_: CoreLedger, request: Request) -> Command:
    until_time = to_instant(request["until_time"])
    return OverrideTier(**{**request, "until_time": until_time})


def plain(kind: Callable[..., Command]) -> Callable[[CoreLedger, Request], Command]:
    """A command whose fields are those of its request."""

    def make(ledger: CoreLedger, request: Request) -> Command:
        fields = dict(request)
        for name in ("hold_id", "redemption_id"):
            if name in fields:
                fields[name] = ledger.names.real(fields[name])
        if "effective_time" in fields:
            fields["effective_time"] = to_instant(fields["effective_time"])
        if "ttl" in fields:
            fields["ttl"] = fields["ttl"] // timedelta(microseconds=1)
        return kind(**fields)

    return make


COMMANDS: dict[str, Callable[[CoreLedger, Request], Command]] = {
    "enroll": enrolment,
    "record_purchase": purchase,
    "record_activity": plain(RecordActivity),
    "record_return": goods_return,
    "override_tier": override,
    "hold_points": plain(HoldPoints),
    "capture_hold": plain(CaptureHold),
    "release_hold": plain(ReleaseHold),
    "extend_hold": plain(ExtendHold),
    "redeem_points": plain(RedeemPoints),
    "reverse_redemption": plain(ReverseRedemption),
    "adjust_points": plain(AdjustPoints),
    "transfer_points": plain(TransferPoints),
    "set_member_status": plain(SetMemberStatus),
}


def lines_bought(request: Request) -> tuple[PurchaseLine, ...]:
    return tuple(
        PurchaseLine(line["sku"], line["category"], line.get("quantity", 0), cents(line["amount"]))
        for line in request.get("lines", [])
    )


def euros(minor: int | None) -> Fraction | None:
    return None if minor is None else Fraction(minor, 100)


def returned_dict(returned: ReturnData) -> dict[str, Any]:
    return {
        "amount": euros(returned.amount),
        "eligible": euros(returned.eligible),
        "points": returned.points,
        "full": returned.full,
    }


def shown(balance: Balance) -> dict[str, Any]:
    lot = balance.next_expiry
    ends = None if lot is None or lot.expire_time is None else to_datetime(lot.expire_time)
    return {
        "available": balance.available,
        "held": balance.held,
        "debt": balance.debt,
        "pending": balance.pending,
        "lifetime": balance.lifetime,
        "next_expiry": (ends, lot.points) if lot is not None else None,
        "tier_id": balance.tier_id,
    }


def lines_of(entry: Entry) -> list[tuple[str, int]]:
    return [(line.rule, line.points) for line in entry.data.breakdown]


def lots_of(entry: Entry) -> dict[Any, int]:
    """What an entry changes in lots: points by account, activation and expiry."""
    lots: Counter[Any] = Counter()
    for change in entry.data.lots:
        account = HELD if change.hold else AVAILABLE if change.activate_time is None else PENDING
        lots[account, moment(change.activate_time), moment(change.expire_time)] += change.points
    return {lot: points for lot, points in lots.items() if points}


class CoreHistories(Histories):
    """Histories of the core alone."""

    def make_ledger(self) -> CoreLedger:
        return CoreLedger()


@pytest.mark.timeout(SECONDS_TO_SHRINK)
def test_any_history_goes_as_the_model_says() -> None:
    run_state_machine_as_test(
        CoreHistories,
        settings=settings(SETTINGS, max_examples=100, stateful_step_count=40),
    )

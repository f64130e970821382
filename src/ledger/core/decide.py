"""Decide what a command posts: `decide(account, command, context) -> Posting` or a LedgerError.

Pure: everything known about the world outside the account comes in the Context. Whatever time has
made due is posted before the command (`settle`) and once more after it, because what a late upload
brings may be due already. A refusal posts nothing at all.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ledger.core.apply import apply
from ledger.core.commands import Command, EnrollMember, RecordPurchase, Settle, fingerprint
from ledger.core.earning import earn, eligible_amount, lot_of
from ledger.core.errors import (
    EffectiveTimeOutOfRange,
    MemberAlreadyEnrolled,
    MemberNotFound,
    PurchaseAlreadyRecorded,
    invalid,
)
from ledger.core.instants import MINUTE, day_start, format_instant, local_day
from ledger.core.model import (
    AVAILABLE,
    EXPIRED,
    ISSUANCE,
    MAX_BALANCE,
    MAX_POINTS,
    PENDING,
    Account,
    BreakdownLine,
    DayChange,
    Entry,
    EntryData,
    LotChange,
    PurchaseRef,
)
from ledger.core.program import Program, RulesVersion

#: a till's clock may be this far ahead; such an effective_time counts as now
CLOCK_TOLERANCE = 5 * MINUTE
#: the actor of entries that time itself posts
TIME_ACTOR = "time"


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision may know besides the account."""

    program: Program
    #: the program's present instant (µs)
    now: int
    #: the authenticated principal
    actor: str
    #: where the receipts that the command names are already credited
    purchases: Mapping[str, PurchaseRef]


class Posting:
    """An open page of one member's journal: entries are added at its end, never changed after.

    `account` is always the fold up to the last entry added. The entries that time made due before
    the command come first; `own` is where the command's own group begins.
    """

    __slots__ = ("account", "actor", "entries", "member_id", "now", "own", "program")

    def __init__(self, account: Account | None, member_id: str, context: Context) -> None:
        self.account = account or Account()
        self.program = context.program
        self.member_id = member_id
        self.actor = context.actor
        #: create_time never goes back within a member, whatever the clock does
        self.now = max(context.now, account.create_time) if account else context.now
        self.entries: list[Entry] = []
        #: index of the command's first entry
        self.own = 0

    def post(
        self,
        kind: str,
        points: int,
        data: EntryData,
        *,
        debit: str = "",
        credit: str = "",
        effective_time: int,
        rules_version: int,
        command: Command | None = None,
        purchase_id: str = "",
    ) -> None:
        """Add an entry; one with a command is part of what that command posts."""
        entry = Entry(
            program_id=self.program.program_id,
            member_id=self.member_id,
            sequence=self.account.version + 1,
            kind=kind,
            points=points,
            debit_account=debit,
            credit_account=credit,
            purchase_id=purchase_id,
            rules_version=rules_version,
            actor=self.actor if command is not None else TIME_ACTOR,
            effective_time=effective_time,
            create_time=self.now,
            data=data,
        )
        if command is not None:
            entry.location_id = getattr(command, "location_id", "")
            entry.terminal_id = getattr(command, "terminal_id", "")
        account = apply(self.account, entry)
        if account.available > MAX_BALANCE or account.lifetime > MAX_BALANCE:
            raise invalid("amount", f"the account would hold more than {MAX_BALANCE} points")
        entry.available_points = account.available
        entry.held_points = account.held
        entry.tier_id = account.tier_id
        data.pending_points = account.pending
        data.lifetime_points = account.lifetime
        data.next_expiry = account.next_expiry
        self.account = account
        self.entries.append(entry)

    def close(self, command: Command) -> None:
        """Tie the command's entries together: the first carries its request id."""
        group = self.entries[self.own :]
        if not group:
            return
        first = group[0]
        first.request_id = command.request_id
        first.fingerprint = fingerprint(command)
        first.consequences = len(group) - 1
        for entry in group[1:]:
            entry.cause_sequence = first.sequence


def decide(account: Account | None, command: Command, context: Context) -> Posting:
    """The entries that a command posts, and the account after them.

    Raises in this order: MEMBER_ALREADY_ENROLLED, MEMBER_NOT_FOUND, PURCHASE_ALREADY_RECORDED,
    EFFECTIVE_TIME_OUT_OF_RANGE, INVALID_FIELD (what it earns does not fit the ledger).
    """
    posting = Posting(account, command.member_id, context)
    settle(posting)
    posting.own = len(posting.entries)
    match command:
        case RecordPurchase():
            _record_purchase(posting, account is None, command, context)
        case EnrollMember():
            _enroll_member(posting, account is None, command)
        case Settle():
            posting.own = 0
            return posting
        case _:
            raise TypeError(f"no rule decides {type(command).__name__}")
    settle(posting)
    posting.close(command)
    return posting


def settle(posting: Posting) -> None:
    """Post everything that fell due up to now, each with its own instant, in the order it fell due.

    At one instant pending points become spendable before lots expire.
    """
    instant = None
    while (due := posting.account.due_time) is not None and due <= posting.now:
        # Points that waited past their own expiry expire when they would have become spendable.
        instant = due if instant is None else max(instant, due)
        if not _activate(posting, instant):
            _expire(posting, instant)


def _activate(posting: Posting, instant: int) -> bool:
    ready = [lot for lot in posting.account.pending_lots if lot.activate_time <= instant]
    if not ready:
        return False
    changes = [LotChange(-lot.points, lot.expire_time, lot.activate_time) for lot in ready]
    changes += [LotChange(lot.points, lot.expire_time) for lot in ready]
    posting.post(
        "ACTIVATION",
        sum(lot.points for lot in ready),
        EntryData(lots=tuple(changes)),
        debit=PENDING,
        credit=AVAILABLE,
        effective_time=instant,
        rules_version=posting.program.in_force(instant).version,
    )
    return True


def _expire(posting: Posting, instant: int) -> None:
    lot = posting.account.lots[0]
    posting.post(
        "EXPIRY",
        -lot.points,
        EntryData(lots=(LotChange(-lot.points, lot.expire_time),)),
        debit=AVAILABLE,
        credit=EXPIRED,
        effective_time=instant,
        rules_version=posting.program.in_force(instant).version,
    )


def _enroll_member(posting: Posting, unknown: bool, command: EnrollMember) -> None:
    if not unknown:
        raise MemberAlreadyEnrolled(member_id=command.member_id)
    effective_time, version = _when(posting, command.effective_time)
    _require_in_range(posting, effective_time, version)
    _open_account(posting, command, effective_time, version)


def _open_account(
    posting: Posting, command: Command, effective_time: int, version: RulesVersion
) -> None:
    """Post ENROLLED and what the program gives for enrolling."""
    posting.post(
        "ENROLLED",
        0,
        EntryData(),
        effective_time=effective_time,
        rules_version=version.version,
        command=command,
    )
    zone = posting.program.zone
    for bonus in version.rules.bonuses_on("ENROLLMENT"):
        lot = lot_of(
            bonus.points,
            local_day(effective_time, zone),
            zone,
            version.rules,
            expires_days=bonus.expires_days,
        )
        posting.post(
            "BONUS",
            bonus.points,
            EntryData(breakdown=(BreakdownLine(f"bonus:{bonus.id}", bonus.points),), lots=(lot,)),
            debit=ISSUANCE,
            credit=AVAILABLE,
            effective_time=effective_time,
            rules_version=version.version,
            command=command,
        )


def _record_purchase(
    posting: Posting, unknown: bool, command: RecordPurchase, context: Context
) -> None:
    effective_time, version = _when(posting, command.effective_time)
    if unknown and not version.rules.auto_enroll:
        raise MemberNotFound(member_id=command.member_id, program_id=command.program_id)
    credited = context.purchases.get(command.purchase_id)
    if credited is not None:
        # Only the member who has the receipt may learn where it stands.
        own = credited.member_id == command.member_id
        place = {"sequence": credited.sequence} if own else {}
        raise PurchaseAlreadyRecorded(purchase_id=command.purchase_id, **place)
    _require_in_range(posting, effective_time, version)
    if unknown:
        _open_account(posting, command, effective_time, version)
    _credit_purchase(posting, command, effective_time, version)


def _credit_purchase(
    posting: Posting, command: RecordPurchase, effective_time: int, version: RulesVersion
) -> None:
    program, rules = posting.program, version.rules
    day = local_day(effective_time, program.zone)
    earned_that_day = sum([known.points for known in posting.account.days if known.day == day])
    eligible = eligible_amount(command.amount, command.lines, rules)
    breakdown = earn(rules, eligible, earned_that_day)
    points = sum([line.points for line in breakdown])
    if breakdown[0].points > MAX_POINTS:  # the base; caps only take of it
        raise invalid("amount", f"would earn more than {MAX_POINTS} points before any cap")
    lots: tuple[LotChange, ...] = ()
    if points:
        lots = (lot_of(points, day, program.zone, rules, pending_days=rules.pending_days),)
    change = None
    if program.caps_days:
        today = local_day(posting.now, program.zone)
        change = DayChange(day, points, today - program.longest_backdate_days)
    waiting = bool(lots) and lots[0].activate_time is not None
    posting.post(
        "PURCHASE",
        points,
        EntryData(
            breakdown=breakdown,
            lots=lots,
            amount=command.amount,
            eligible=eligible,
            lines=command.lines,
            day=change,
        ),
        debit=ISSUANCE if points else "",
        credit=(PENDING if waiting else AVAILABLE) if points else "",
        effective_time=effective_time,
        rules_version=version.version,
        command=command,
        purchase_id=command.purchase_id,
    )


def _when(posting: Posting, requested: int | None) -> tuple[int, RulesVersion]:
    """When it happened, possible or not, and the rules in force then."""
    now, program = posting.now, posting.program
    if requested is None or now <= requested <= now + CLOCK_TOLERANCE:
        requested = now
    return requested, program.in_force(requested)


def _require_in_range(posting: Posting, effective_time: int, version: RulesVersion) -> None:
    """Raises EFFECTIVE_TIME_OUT_OF_RANGE for the future and for what is too long ago."""
    now, zone = posting.now, posting.program.zone
    earliest = day_start(local_day(now, zone) - version.rules.backdate_days, zone)
    if not earliest <= effective_time <= now:
        raise EffectiveTimeOutOfRange(
            effective_time=format_instant(effective_time),
            earliest=format_instant(earliest),
            latest=format_instant(now + CLOCK_TOLERANCE),
        )

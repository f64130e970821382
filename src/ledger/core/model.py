"""The nouns of the ledger: entry, lot, account, receipt. Data only; the verbs are in their modules.

An account is a fold of its entries. Everything in it is a function of those entries alone, and its
JSON (`encode`) is the same byte for byte however often it is folded. None of it can be part of a
reference cycle, so the garbage collector need not look at it (gc=False).
"""

from __future__ import annotations

from typing import Final

import msgspec

# Ledger accounts. Points leave the debit account and arrive at the credit account of an entry.
ISSUANCE: Final = "issuance"
AVAILABLE: Final = "member:available"
PENDING: Final = "member:pending"
HELD: Final = "member:held"
#: what members owe stands here as less than nothing
DEBT: Final = "member:debt"
REDEEMED: Final = "redeemed"
EXPIRED: Final = "expired"
ADJUSTMENTS: Final = "adjustments"
#: between two members; nothing stays here
TRANSFERS: Final = "transfers"

#: no entry moves more points than this, no account ever holds more than MAX_BALANCE
MAX_POINTS: Final = 10**15
MAX_BALANCE: Final = 10**16


class Lot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Spendable points that expire together."""

    expire_time: int | None
    points: int


class PendingLot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Points that become spendable together, and then expire together."""

    activate_time: int
    expire_time: int | None
    points: int


class Hold(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An open hold: points reserved until it is captured, released or lapses."""

    #: of the HOLD entry; its hold_id is made of it
    sequence: int
    #: when it lapses (µs)
    expire_time: int
    #: as many as were asked for
    points: int
    #: what is still reserved, soonest to expire first
    lots: tuple[Lot, ...]
    #: the rules version it was made under, which says what it is worth
    version: int
    #: the reward it is for; empty: points
    reward_id: str = ""
    #: local day that it counts towards the limits of; 0: none
    day: int = 0
    #: units of the reward's stock that it reserves
    units: int = 0


class Day(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a member bought on one local day, kept while a cap or a tier can still look at it."""

    day: int
    #: points earned from its purchases
    earned: int
    #: purchases large enough to make it a visit
    purchases: int = 0
    #: eligible minor units of all its purchases
    spend: int = 0


class Mark(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The latest local days on which a rule with a limit gave something, oldest first."""

    rule: str
    days: tuple[int, ...]


class DayUse(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What counts towards the limit of a local day; in an entry what it adds, or (negative) takes
    back."""

    day: int
    #: how often
    count: int
    points: int


class TierState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The level a member has earned, and the one that stands in for it while an override lasts."""

    level: str
    #: since when the level that counts is held (µs)
    since: int
    #: until when it was earned at least (µs); None: for good, as the lowest level is
    valid_until: int | None = None
    #: when it is decided anew (µs), the grace after valid_until being over
    grace_until: int | None = None
    #: the level held instead; empty without an override
    override: str = ""
    override_until: int | None = None

    @property
    def held(self) -> str:
        """The level that counts now."""
        return self.override or self.level

    @property
    def due_time(self) -> int | None:
        """When time next changes it (µs)."""
        if self.override_until is None:
            return self.grace_until
        if self.grace_until is None:
            return self.override_until
        return min(self.override_until, self.grace_until)


class Progress(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What counted towards tiers when an entry was recorded, so that it can be told again."""

    visits: int
    #: eligible minor units
    spend: int
    #: first local day of the period counted
    start_day: int
    #: at the start of this local day some of it will count no more; None: nothing counts yet
    by_day: int | None
    #: what of it still counts when the tier held is decided anew, and from which local day on
    #: purchases do; 0: it is held for good
    keep_visits: int = 0
    keep_spend: int = 0
    keep_day: int = 0
    #: the rules version that it was told under
    version: int = 0


class TierReason(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Why a tier changed: what was counted, from which day to which, and what was asked."""

    #: PROMOTED, RENEWED, LOWERED, OVERRIDDEN or OVERRIDE_ENDED
    reason: str
    from_tier: str
    visits: int = 0
    spend: int = 0
    start_day: int = 0
    end_day: int = 0
    #: what the level asks for; None: nothing
    visits_needed: int | None = None
    spend_needed: int | None = None
    #: what an operator said
    note: str = ""


class BreakdownLine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Why points were given: one rule and what it gave (negative for a cap)."""

    rule: str
    points: int


class LotChange(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Points put into (or, negative, taken out of) one lot."""

    points: int
    expire_time: int | None = None
    #: set when the lot is a pending one
    activate_time: int | None = None
    #: set when the points are held: sequence of the HOLD entry
    hold: int = 0


class PurchaseLine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One line of a receipt; `amount` is the whole line's, in minor units."""

    sku: str
    category: str
    quantity: int
    amount: int


class DayChange(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What a purchase adds to its local day, or a return (negative) takes from it, and the oldest
    day still worth remembering."""

    day: int
    earned: int
    forget_before: int
    #: 1 when it is large enough for a visit
    purchases: int = 0
    #: eligible minor units
    spend: int = 0
    #: 1 when it is a visit more, of all the member's visits
    visits: int = 0


class MarkChange(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A rule with a limit gave something on a local day: what is remembered of that.

    Days before `forget_before` are not, and of the others the `keep` latest; 0 = all.
    """

    rule: str
    day: int
    keep: int
    forget_before: int = 0


class HoldData(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A hold as an entry leaves it."""

    #: of the HOLD entry
    sequence: int
    #: OPEN, CAPTURED, RELEASED or LAPSED
    state: str
    #: as many as were asked for
    points: int
    #: when it lapses, or would have (µs)
    expire_time: int
    captured_points: int = 0


class RedemptionData(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A redemption as an entry leaves it."""

    #: of the REDEMPTION or CAPTURE entry
    sequence: int
    points: int
    #: what it is worth, in minor units; None: nothing is said of it
    value: int | None = None
    #: what a PERCENT_OFF reward takes off, as the rules write it
    percent_off: str = ""
    #: units of the reward's stock, and the local day that it counts towards the limits of; 0: none
    units: int = 0
    day: int = 0
    reversed_points: int = 0
    #: all of it has been given back
    reversed: bool = False


class ReturnData(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What of a purchase has been returned so far, this return included."""

    #: of the PURCHASE entry
    sequence: int
    #: minor units
    amount: int
    #: minor units of what had earned
    eligible: int
    #: points of it that are taken back, owed or forgiven
    points: int
    #: all of it has been returned
    full: bool = False
    #: lines that were returned as such, one for each sku and category
    lines: tuple[PurchaseLine, ...] = ()


class EntryData(msgspec.Struct, omit_defaults=True, gc=False):
    """The part of an entry that has no SQL column of its own. Balances are those after it."""

    breakdown: tuple[BreakdownLine, ...] = ()
    lots: tuple[LotChange, ...] = ()
    amount: int | None = None
    eligible: int | None = None
    lines: tuple[PurchaseLine, ...] = ()
    day: DayChange | None = None
    marks: tuple[MarkChange, ...] = ()
    #: marks that are taken back
    unmarks: tuple[MarkChange, ...] = ()
    #: towards the limit of a local day: of transfers for a TRANSFER_OUT, else of redemptions
    counted: DayUse | None = None
    hold: HoldData | None = None
    redemption: RedemptionData | None = None
    #: the reward held, redeemed, released or given back; empty: points
    reward_id: str = ""
    #: units of its stock that are taken, or (negative) given back
    units: int = 0
    returned: ReturnData | None = None
    #: points that a return could not take and lets go
    forgiven_points: int = 0
    #: the tier after this entry, where the entry says something about it
    tier: TierState | None = None
    progress: Progress | None = None
    why: TierReason | None = None
    #: the activity recorded
    activity: str = ""
    #: month * 100 + day, of who was enrolled
    birthday: int = 0
    #: the other member concerned: who referred, who was referred
    related_member_id: str = ""
    #: why points were adjusted, in the words of the rules
    reason_code: str = ""
    #: what was said about an adjustment or a status
    note: str = ""
    #: the second principal who approved it
    approver: str = ""
    #: the status from now on
    status: str = ""
    #: the balance expires because nothing was bought or redeemed for long
    inactivity: bool = False
    pending_points: int = 0
    debt_points: int = 0
    lifetime_points: int = 0
    #: the lot that expires next after this entry
    next_expiry: Lot | None = None

    @property
    def limit_day(self) -> int:
        """The local day that a hold or a redemption counts towards the limits of; 0: none."""
        if self.counted is not None:
            return self.counted.day
        return self.marks[0].day if self.marks else 0


class Entry(msgspec.Struct, omit_defaults=True, kw_only=True, gc=False):
    """An immutable fact in a member's journal. The field order is the canonical form's.

    `points` is the effect on the member (an expiry is negative); |points| move from the debit to
    the credit account. The balances are those after the entry.
    """

    program_id: str
    member_id: str
    sequence: int
    kind: str
    points: int
    debit_account: str = ""
    credit_account: str = ""
    #: on the first entry of a command only
    request_id: str = ""
    #: hex; on the first entry of a command only
    fingerprint: str = ""
    #: how many entries after this one the same command posted
    consequences: int = 0
    #: the command's first entry, on the others
    cause_sequence: int = 0
    #: the earlier entry that this one is about: the PURCHASE of a RETURN, the HOLD of a CAPTURE,
    #: RELEASE or later HOLD, the REDEMPTION or CAPTURE of a REDEMPTION_REVERSAL
    subject_sequence: int = 0
    purchase_id: str = ""
    rules_version: int
    actor: str
    location_id: str = ""
    terminal_id: str = ""
    effective_time: int
    create_time: int
    available_points: int = 0
    held_points: int = 0
    tier_id: str = ""
    data: EntryData


class Account(msgspec.Struct, omit_defaults=True, kw_only=True, gc=False):
    """A member's present: the fold of the journal up to `version`. Never changed in place."""

    version: int = 0
    status: str = ""
    tier_id: str = ""
    available: int = 0
    pending: int = 0
    held: int = 0
    debt: int = 0
    lifetime: int = 0
    #: soonest to expire first, never-expiring last
    lots: tuple[Lot, ...] = ()
    #: soonest to become spendable first
    pending_lots: tuple[PendingLot, ...] = ()
    #: open ones, soonest to lapse first
    holds: tuple[Hold, ...] = ()
    #: oldest first
    days: tuple[Day, ...] = ()
    tier: TierState | None = None
    #: of all time
    visits: int = 0
    #: local day of the latest purchase; 0 before the first
    last_day: int = 0
    #: in the order in which they were first made
    marks: tuple[Mark, ...] = ()
    #: on the latest local day with a limit, what was redeemed and what was handed on to others
    redeemed: DayUse | None = None
    transferred: DayUse | None = None
    #: month * 100 + day; 0 = not known
    birthday: int = 0
    #: who referred this member, until the first visit has settled that
    referrer: str = ""
    enroll_time: int = 0
    #: when a suspension last ended (µs)
    resume_time: int = 0
    #: latest purchase or redemption, or when the balance expired for want of one (µs)
    active_time: int = 0
    #: when the balance last expired for want of activity (µs), and the sequence of that entry
    faded_time: int = 0
    faded_sequence: int = 0
    #: of the latest entry; never goes back
    create_time: int = 0

    @property
    def due_time(self) -> int | None:
        """The instant (µs) at which its lots, holds or tier next change; None: they never do."""
        due = self.lots[0].expire_time if self.lots else None
        if self.holds:
            lapse = self.holds[0].expire_time
            due = lapse if due is None else min(due, lapse)
        if self.pending_lots:
            activation = self.pending_lots[0].activate_time
            due = activation if due is None else min(due, activation)
        if self.tier is not None and (tier_due := self.tier.due_time) is not None:
            due = tier_due if due is None else min(due, tier_due)
        return due

    def marked(self, rule: str) -> tuple[int, ...]:
        """The remembered local days on which a rule gave something, oldest first."""
        for mark in self.marks:
            if mark.rule == rule:
                return mark.days
        return ()

    @property
    def next_expiry(self) -> Lot | None:
        """The lot that expires next; None when none ever does."""
        lot = self.lots[0] if self.lots else None
        return lot if lot is not None and lot.expire_time is not None else None


class Balance(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a member has at `as_of_time`, in points; version is the sequence it was read at."""

    available: int
    held: int
    pending: int
    debt: int
    lifetime: int
    tier_id: str
    version: int
    as_of_time: int
    next_expiry: Lot | None


class Receipt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The answer to a write: the entries it posted and the balance right after them."""

    entries: tuple[Entry, ...]
    balance: Balance
    replayed: bool = False


class PurchaseRef(msgspec.Struct, frozen=True, gc=False):
    """Where a receipt was credited."""

    member_id: str
    sequence: int


_encoder = msgspec.json.Encoder()
encode = _encoder.encode
decode_account = msgspec.json.Decoder(Account).decode
decode_entry_data = msgspec.json.Decoder(EntryData).decode


def balance_of(account: Account, as_of_time: int) -> Balance:
    """The balance an account shows; the account must have been settled up to `as_of_time`."""
    return Balance(
        available=account.available,
        held=account.held,
        pending=account.pending,
        debt=account.debt,
        lifetime=account.lifetime,
        tier_id=account.tier_id,
        version=account.version,
        as_of_time=as_of_time,
        next_expiry=account.next_expiry,
    )


def balance_after(entry: Entry) -> Balance:
    """The balance right after an entry, as the entry itself records it."""
    return Balance(
        available=entry.available_points,
        held=entry.held_points,
        pending=entry.data.pending_points,
        debt=entry.data.debt_points,
        lifetime=entry.data.lifetime_points,
        tier_id=entry.tier_id,
        version=entry.sequence,
        as_of_time=entry.create_time,
        next_expiry=entry.data.next_expiry,
    )

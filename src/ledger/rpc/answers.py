"""Facts to messages: receipts, balances, entries, programs.

Messages are filled in place: handing a message to another's constructor costs as much as ten
fields set, and every write answers several. Whatever a receipt says is made of its entries alone,
so that a repeated answer says what the first one said.
"""

from __future__ import annotations

from ledger.core.chain import canonical_form
from ledger.core.earning import worth
from ledger.core.explain import describe
from ledger.core.ids import hold_id, redemption_id
from ledger.core.messages import messages
from ledger.core.model import Balance, Entry, LotChange, PurchaseLine, Receipt
from ledger.core.program import Program
from ledger.core.rules import Rules
from ledger.core.status import status_after
from ledger.rpc.tiers import fill_tier_change, fill_tier_status
from ledger.rpc.wellknown import fill_timestamp, money, timestamp
from ledger.store.queries import JournalEntry
from ledger.v1 import program_pb2, types_pb2

#: the proto numbers of the kinds of entry, by the names that the journal uses
KIND_NUMBERS = {
    name.removeprefix("ENTRY_KIND_"): types_pb2.EntryKind.Value(name)
    for name in types_pb2.EntryKind.keys()  # noqa: SIM118 (not a mapping)
}
_STATE_NUMBERS = {
    name.removeprefix("HOLD_STATE_"): types_pb2.HoldState.Value(name)
    for name in types_pb2.HoldState.keys()  # noqa: SIM118
}
_STATUS_NUMBERS = {
    name.removeprefix("MEMBER_STATUS_"): types_pb2.MemberStatus.Value(name)
    for name in types_pb2.MemberStatus.keys()  # noqa: SIM118
}
#: kinds that say nothing of holds, redemptions, returns or operators
_PLAIN = frozenset({"ENROLLED", "PURCHASE", "ACTIVITY", "BONUS", "ACTIVATION", "TIER_CHANGE"})


def receipt_message(receipt: Receipt, program: Program) -> types_pb2.Receipt:
    message = types_pb2.Receipt()
    fill_receipt(message, receipt, program)
    return message


def balance_message(balance: Balance, program: Program) -> types_pb2.Balance:
    message = types_pb2.Balance()
    fill_balance(message, balance, program)
    return message


def entry_message(entry: Entry, program: Program) -> types_pb2.Entry:
    """An entry without its hashes, which a receipt does not need."""
    message = types_pb2.Entry()
    fill_entry(message, entry, program)
    return message


def sealed_message(
    row: JournalEntry, program: Program, with_canonical: bool = False
) -> types_pb2.Entry:
    """An entry with the hashes that tie it to the one before it."""
    entry = row.stored.entry
    message = entry_message(entry, program)
    message.previous_hash = row.previous_hash
    message.hash = row.stored.hash
    if with_canonical:
        message.canonical_form = canonical_form(entry)
    return message


def fill_receipt(message: types_pb2.Receipt, receipt: Receipt, program: Program) -> None:
    """The answer to a write."""
    for entry in receipt.entries:
        fill_entry(message.entries.add(), entry, program)
    rules = _rules_then(receipt, program)
    fill_balance(message.balance, receipt.balance, program, rules)
    message.replayed = receipt.replayed
    status = status_after(receipt.entries, program)
    if status is not None:
        fill_tier_status(message.tier, status, program)
    for entry in reversed(receipt.entries):
        if entry.data.hold is not None:
            _fill_hold(message.hold, entry, program)
            break
    for entry in reversed(receipt.entries):
        if entry.data.redemption is not None:
            _fill_redemption(message.redemption, entry, program)
            break
    message.messages.extend(messages(receipt.entries, receipt.balance, status, program))


def _rules_then(receipt: Receipt, program: Program) -> Rules:
    """The rules in force when a receipt was first given.

    While a sandbox's clock stands still, other rules can be published for the very same instant.
    """
    instant = receipt.balance.as_of_time
    version = program.in_force(instant)
    known = max((entry.rules_version for entry in receipt.entries), default=version.version)
    while version.version > known and version.effective_time == instant:
        version = program.versions[version.version - 2]
    return version.rules


def fill_balance(
    message: types_pb2.Balance, balance: Balance, program: Program, rules: Rules | None = None
) -> None:
    """A balance, with what it is worth under the rules, which are those in force at its as_of_time
    unless others are given."""
    message.available_points = balance.available
    message.held_points = balance.held
    message.pending_points = balance.pending
    message.debt_points = balance.debt
    message.lifetime_points = balance.lifetime
    message.tier_id = balance.tier_id
    message.version = balance.version
    fill_timestamp(message.as_of_time, balance.as_of_time)
    lot = balance.next_expiry
    if lot is not None and lot.expire_time is not None:
        expiry = message.next_expiry
        expiry.points = lot.points
        expiry.expire_time.CopyFrom(timestamp(lot.expire_time))
    value = worth(balance.available, rules or program.in_force(balance.as_of_time).rules)
    if value is not None:
        message.value.CopyFrom(money(value, program.currency))


def fill_entry(message: types_pb2.Entry, entry: Entry, program: Program) -> None:
    """An entry without its hashes."""
    message.program_id = entry.program_id
    message.member_id = entry.member_id
    message.sequence = entry.sequence
    message.kind = KIND_NUMBERS[entry.kind]  # type: ignore[assignment]
    message.points = entry.points
    message.debit_account = entry.debit_account
    message.credit_account = entry.credit_account
    if entry.request_id:
        message.request_id = entry.request_id
    if entry.cause_sequence:
        message.cause_sequence = entry.cause_sequence
    if entry.purchase_id:
        message.purchase_id = entry.purchase_id
    message.rules_version = entry.rules_version
    message.actor = entry.actor
    if entry.location_id:
        message.location_id = entry.location_id
    if entry.terminal_id:
        message.terminal_id = entry.terminal_id
    fill_timestamp(message.effective_time, entry.effective_time)
    fill_timestamp(message.create_time, entry.create_time)
    message.available_points = entry.available_points
    if entry.held_points:
        message.held_points = entry.held_points
    if entry.tier_id:
        message.tier_id = entry.tier_id
    data = entry.data
    for line in data.breakdown:
        part = message.breakdown.add()
        part.rule = line.rule
        part.description = describe(line, entry, program)
        part.points = line.points
    for change in data.lots:
        _fill_lot(message.lots.add(), change)
    if data.amount is not None:
        message.amount.CopyFrom(money(data.amount, program.currency))
        message.eligible_amount.CopyFrom(money(data.eligible or 0, program.currency))
        for bought in data.lines:
            _fill_line(message.lines.add(), bought, program)
    if data.activity:
        message.activity = data.activity
    if data.related_member_id:
        message.related_member_id = data.related_member_id
    if data.why is not None and data.tier is not None:
        fill_tier_change(message.tier_change, data.why, data.tier, entry, program)
    if entry.subject_sequence:
        message.subject_sequence = entry.subject_sequence
    if entry.kind not in _PLAIN:
        _fill_facts(message, entry, program)


def _fill_lot(message: types_pb2.LotChange, change: LotChange) -> None:
    message.points = change.points
    if change.expire_time is not None:
        message.expire_time.CopyFrom(timestamp(change.expire_time))
    if change.activate_time is not None:
        message.activate_time.CopyFrom(timestamp(change.activate_time))
    if change.hold:
        message.held = True


def _fill_line(message: types_pb2.PurchaseLine, line: PurchaseLine, program: Program) -> None:
    message.sku = line.sku
    message.category = line.category
    message.quantity = line.quantity
    message.amount.CopyFrom(money(line.amount, program.currency))


def _fill_facts(message: types_pb2.Entry, entry: Entry, program: Program) -> None:
    """What only holds, redemptions, returns and the work of operators have to say."""
    data = entry.data
    if data.reward_id:
        message.reward_id = data.reward_id
    if data.hold is not None:
        _fill_hold(message.hold, entry, program)
        message.hold_id = message.hold.hold_id
    if data.redemption is not None:
        _fill_redemption(message.redemption, entry, program)
        message.redemption_id = message.redemption.redemption_id
    if data.returned is not None:
        returned, currency = message.returned, program.currency
        returned.amount.CopyFrom(money(data.returned.amount, currency))
        returned.eligible_amount.CopyFrom(money(data.returned.eligible, currency))
        returned.points = data.returned.points
        returned.full = data.returned.full
    message.forgiven_points = data.forgiven_points
    message.reason_code = data.reason_code
    message.note = data.note
    message.approver = data.approver
    if data.status:
        message.status = _STATUS_NUMBERS[data.status]  # type: ignore[assignment]
    message.inactivity = data.inactivity


def _fill_hold(message: types_pb2.Hold, entry: Entry, program: Program) -> None:
    """The hold as an entry leaves it."""
    hold = entry.data.hold
    assert hold is not None
    message.hold_id = hold_id(program, entry.member_id, hold.sequence)
    message.state = _STATE_NUMBERS[hold.state]  # type: ignore[assignment]
    message.points = hold.points
    message.captured_points = hold.captured_points
    message.reward_id = entry.data.reward_id
    fill_timestamp(message.expire_time, hold.expire_time)


def _fill_redemption(message: types_pb2.Redemption, entry: Entry, program: Program) -> None:
    """The redemption as an entry leaves it."""
    redemption = entry.data.redemption
    assert redemption is not None
    message.redemption_id = redemption_id(program, entry.member_id, redemption.sequence)
    message.points = redemption.points
    message.reversed_points = redemption.reversed_points
    message.reward_id = entry.data.reward_id
    if redemption.value is not None:
        message.value.CopyFrom(money(redemption.value, program.currency))
    message.percent_off = redemption.percent_off


def program_message(program: Program) -> program_pb2.Program:
    message = program_pb2.Program(
        program_id=program.program_id,
        display_name=program.display_name,
        currency=program.currency,
        time_zone=program.zone.key,
        sandbox=program.clock_time is not None,
        create_time=timestamp(program.create_time),
        rules_version=program.versions[-1].version,
    )
    if program.clock_time is not None:
        message.clock_time.CopyFrom(timestamp(program.clock_time))
    return message

"""What a write would do, decided on as it would be and not written."""

from __future__ import annotations

from ledger.core.commands import RecordPurchase, RecordReturn
from ledger.core.decide import decide, other_member, subject_sequence
from ledger.core.errors import MemberNotFound
from ledger.core.messages import messages
from ledger.core.model import AVAILABLE, DEBT, PENDING, Account, PurchaseRef, balance_after
from ledger.core.posting import Context, Posting, Subject
from ledger.core.program import Program
from ledger.core.status import present_status, status_after
from ledger.core.tier_rules import reaches
from ledger.engine import Engine, settled
from ledger.rpc.answers import entry_message, fill_balance
from ledger.rpc.tiers import fill_tier_status
from ledger.store.queries import read_budgets, read_purchase, read_subject
from ledger.v1 import points_pb2


async def preview_purchase(
    engine: Engine, command: RecordPurchase, actor: str
) -> points_pb2.PreviewPurchaseResponse:
    """What a purchase would earn now. Raises what recording it would."""
    account, context = await _look(engine, command, actor)
    program = context.program
    posting = decide(account, command, context)
    own = posting.entries[posting.own :]
    purchase = next(entry for entry in own if entry.kind == "PURCHASE")
    message = entry_message(purchase, program)
    response = points_pb2.PreviewPurchaseResponse(
        points=message.points,
        breakdown=message.breakdown,
        lots=message.lots,
        eligible_amount=message.eligible_amount,
    )
    _fill_outcome(response, posting, program)
    return response


async def preview_return(
    engine: Engine, command: RecordReturn, actor: str
) -> points_pb2.PreviewReturnResponse:
    """What a return would take back now. Raises what recording it would."""
    account, context = await _look(engine, command, actor)
    program = context.program
    posting = decide(account, command, context)
    own = posting.entries[posting.own :]
    response = points_pb2.PreviewReturnResponse()
    for entry in own:
        if entry.kind != "RETURN":
            continue
        response.forgiven_points += entry.data.forgiven_points
        if entry.debit_account == PENDING:
            response.pending_points -= entry.points
        elif entry.debit_account == AVAILABLE:
            response.available_points -= entry.points
        elif entry.debit_account == DEBT:
            response.debt_points -= entry.points
    response.points = (
        response.pending_points
        + response.available_points
        + response.debt_points
        + response.forgiven_points
    )
    _fill_outcome(response, posting, program)
    assert account is not None  # or the return would have been refused
    before = settled(account, program, command.member_id, posting.now).account
    response.tier_at_risk = _tier_at_risk(before, posting, program)
    return response


def _fill_outcome(
    response: points_pb2.PreviewPurchaseResponse | points_pb2.PreviewReturnResponse,
    posting: Posting,
    program: Program,
) -> None:
    """The balance and tier that a command would leave, and what its receipt would say."""
    own = posting.entries[posting.own :]
    balance = balance_after(own[-1])
    fill_balance(response.balance, balance, program)
    status = status_after(own, program)
    if status is not None:
        fill_tier_status(response.tier, status, program)
    response.messages.extend(messages(own, balance, status, program))


def _tier_at_risk(before: Account, posting: Posting, program: Program) -> str:
    """The level held, if what counts was enough for it before and is no more; else empty."""
    tiers = posting.rules_now.rules.tiers
    was = present_status(before, program, posting.now)
    now = present_status(posting.account, program, posting.now)
    if tiers is None or was is None or now is None:
        return ""
    level = tiers.levels[tiers.rank(now.tier_id)]
    enough = reaches(level, was.visits, was.spend)
    return level.id if enough and not reaches(level, now.visits, now.spend) else ""


async def _look(
    engine: Engine, command: RecordPurchase | RecordReturn, actor: str
) -> tuple[Account | None, Context]:
    """What a command would be decided on if it were written now. Raises PROGRAM_NOT_FOUND."""
    program_id = command.program_id
    account: Account | None = None
    try:
        program, read = await engine.read(program_id, command.member_id)
        account = read.account
    except MemberNotFound:
        program = await engine.run(engine.catalog.refresh, program_id)
    now = engine.now(program, account)
    purchase, others, budgets, subject = None, {}, {}, None
    if command.purchase_id:
        credited = await engine.query(read_purchase, program_id, command.purchase_id)
        purchase = PurchaseRef(*credited) if credited else None
    if other := other_member(account, command):
        others[other] = (await engine.read(program_id, other))[1].account
    if isinstance(command, RecordPurchase) and program.budgeted(now):
        budgets = await engine.query(read_budgets, program_id)
    sequence = subject_sequence(command, program, purchase)
    if sequence is not None:
        found = await engine.query(read_subject, (program_id, command.member_id), sequence)
        subject = Subject(*found) if found is not None else None
    context = Context(
        program=program,
        now=now,
        actor=actor,
        purchases={command.purchase_id: purchase} if purchase is not None else {},
        others=others,
        budgets=budgets,
        subject=subject,
    )
    return account, context

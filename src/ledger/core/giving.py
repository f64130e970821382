"""Bonuses that are entries of their own: for enrolling, for a tier, for a day, for a friend."""

from __future__ import annotations

from ledger.core.commands import Command
from ledger.core.earning import lot_of
from ledger.core.instants import local_day
from ledger.core.model import AVAILABLE, ISSUANCE, BreakdownLine, EntryData, MarkChange
from ledger.core.posting import TIME_ACTOR, Posting
from ledger.core.program import RulesVersion
from ledger.core.rules import Bonus


def give_bonus(
    posting: Posting,
    bonus: Bonus,
    points: int,
    effective_time: int,
    version: RulesVersion,
    *,
    once: bool = False,
    command: Command | None = None,
    actor: str = TIME_ACTOR,
    related_member_id: str = "",
) -> None:
    """Post the points of a bonus of the rules, which live as long as it says."""
    give(
        posting,
        f"bonus:{bonus.id}",
        points,
        effective_time,
        version,
        expires_days=bonus.expires_days,
        once=once,
        command=command,
        actor=actor,
        related_member_id=related_member_id,
    )


def give(
    posting: Posting,
    rule: str,
    points: int,
    effective_time: int,
    version: RulesVersion,
    *,
    expires_days: int | None = None,
    once: bool = False,
    command: Command | None = None,
    actor: str = TIME_ACTOR,
    related_member_id: str = "",
) -> None:
    """Post points that a rule gives at an instant (µs), spendable at once.

    `once` leaves a mark of the local day, by which the rule knows not to give them again.
    """
    zone = posting.program.zone
    day = local_day(effective_time, zone)
    lot = lot_of(points, day, zone, version.rules, expires_days=expires_days)
    posting.post(
        "BONUS",
        points,
        EntryData(
            breakdown=(BreakdownLine(rule, points),),
            lots=(lot,),
            marks=(MarkChange(rule, day, 1),) if once else (),
            related_member_id=related_member_id,
        ),
        debit=ISSUANCE,
        credit=AVAILABLE,
        effective_time=effective_time,
        rules_version=version.version,
        command=command,
        actor=actor,
    )

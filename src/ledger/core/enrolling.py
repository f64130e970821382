"""A member joins, and is given what the program gives for that."""

from __future__ import annotations

from ledger.core.commands import Command, EnrollMember
from ledger.core.errors import MemberAlreadyEnrolled, MemberNotFound, invalid
from ledger.core.giving import give_bonus
from ledger.core.model import EntryData
from ledger.core.posting import Context, Posting
from ledger.core.program import RulesVersion
from ledger.core.tiering import tell_tier
from ledger.core.timing import happened, require_in_range


def enroll_member(posting: Posting, command: EnrollMember, context: Context) -> None:
    """Post ENROLLED. Raises MEMBER_ALREADY_ENROLLED, INVALID_FIELD, MEMBER_NOT_FOUND (the
    referrer), EFFECTIVE_TIME_OUT_OF_RANGE."""
    if posting.known:
        raise MemberAlreadyEnrolled(member_id=command.member_id)
    referrer = command.referrer_member_id
    if referrer == command.member_id:
        raise invalid("referrer_member_id", "must be another member")
    if referrer and referrer not in context.others:
        raise MemberNotFound(member_id=referrer, program_id=command.program_id)
    effective_time, version = happened(posting, command.effective_time)
    require_in_range(posting, effective_time, version)
    data = EntryData(birthday=command.birthday, related_member_id=referrer)
    open_account(posting, command, data, effective_time, version)


def open_account(
    posting: Posting,
    command: Command,
    data: EntryData,
    effective_time: int,
    version: RulesVersion,
) -> None:
    """Post ENROLLED and what the program gives for enrolling."""
    tell_tier(posting, data, enroll_time=effective_time)
    posting.post(
        "ENROLLED",
        0,
        data,
        effective_time=effective_time,
        rules_version=version.version,
        command=command,
    )
    for bonus in version.rules.bonuses_on("ENROLLMENT"):
        give_bonus(posting, bonus, bonus.points, effective_time, version, command=command)

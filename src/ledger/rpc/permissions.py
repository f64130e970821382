"""Which role may call which method, and for which programs: one table, and one check against it.

Nothing is looked up for the check, so that its answer, and how long it takes, are the same for
members and programs that exist and for those that do not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ledger.core.errors import MemberNotAllowed, ProgramNotAllowed, RoleNotAllowed
from ledger.rpc.principals import (
    ADMIN,
    AUDITOR,
    MEMBER,
    MEMBER_HOLDS,
    SHOP,
    SUPPORT,
    TILL,
    Principal,
)

#: where a request names its program: in a field of that path …
REQUEST: Final = "program_id"
CREATED: Final = "program.program_id"
#: … in each of its items, which are checked one by one …
ITEMS: Final = "items"
#: … or nowhere: the method itself answers of the caller's own programs only
OWN: Final = ""


class Rule(NamedTuple):
    """Who may call a method, and where its requests name their program."""

    roles: frozenset[str]
    scope: str = REQUEST


def _rule(*roles: str, scope: str = REQUEST) -> Rule:
    return Rule(frozenset((ADMIN, *roles)), scope)


#: by `Service/Method`. An admin may do everything, in the programs that the key is for.
TABLE: Final[Mapping[str, Rule]] = {
    "ProgramService/CreateProgram": _rule(scope=CREATED),
    "ProgramService/GetProgram": _rule(TILL, SHOP, SUPPORT, AUDITOR),
    "ProgramService/ListPrograms": _rule(TILL, SHOP, SUPPORT, AUDITOR, scope=OWN),
    "ProgramService/PublishRules": _rule(),
    "ProgramService/ListRulesVersions": _rule(SUPPORT, AUDITOR),
    "ProgramService/AdvanceClock": _rule(),
    "MemberService/EnrollMember": _rule(TILL, SHOP, SUPPORT),
    "MemberService/GetMember": _rule(TILL, SHOP, SUPPORT, AUDITOR, MEMBER, MEMBER_HOLDS),
    "MemberService/SetMemberStatus": _rule(SUPPORT),
    "MemberService/CreateMemberToken": _rule(SHOP),
    "PointsService/RecordPurchase": _rule(TILL, SHOP),
    "PointsService/PreviewPurchase": _rule(TILL, SHOP, SUPPORT),
    "PointsService/RecordActivity": _rule(TILL, SHOP),
    "PointsService/RecordReturn": _rule(TILL, SHOP, SUPPORT),
    "PointsService/PreviewReturn": _rule(TILL, SHOP, SUPPORT),
    "PointsService/AdjustPoints": _rule(SUPPORT),
    "PointsService/TransferPoints": _rule(SHOP, SUPPORT),
    "PointsService/OverrideTier": _rule(SUPPORT),
    "PointsService/BatchWrite": _rule(TILL, SHOP, SUPPORT, scope=ITEMS),
    "RedemptionService/ListRewards": _rule(TILL, SHOP, SUPPORT, AUDITOR, MEMBER, MEMBER_HOLDS),
    "RedemptionService/HoldPoints": _rule(TILL, SHOP, MEMBER_HOLDS),
    "RedemptionService/CaptureHold": _rule(TILL, SHOP),
    "RedemptionService/ReleaseHold": _rule(TILL, SHOP, SUPPORT, MEMBER_HOLDS),
    "RedemptionService/ExtendHold": _rule(TILL, SHOP),
    "RedemptionService/RedeemPoints": _rule(TILL, SHOP),
    "RedemptionService/ReverseRedemption": _rule(TILL, SHOP, SUPPORT),
    "BalanceService/GetBalance": _rule(TILL, SHOP, SUPPORT, AUDITOR, MEMBER, MEMBER_HOLDS),
    "BalanceService/ExplainBalance": _rule(TILL, SHOP, SUPPORT, AUDITOR, MEMBER, MEMBER_HOLDS),
    "BalanceService/GetTierStatus": _rule(TILL, SHOP, SUPPORT, AUDITOR, MEMBER, MEMBER_HOLDS),
    "BalanceService/ListEntries": _rule(TILL, SHOP, SUPPORT, AUDITOR, MEMBER, MEMBER_HOLDS),
    "BalanceService/GetEntry": _rule(TILL, SHOP, SUPPORT, AUDITOR, MEMBER, MEMBER_HOLDS),
    "BalanceService/GetExpirySchedule": _rule(TILL, SHOP, SUPPORT, AUDITOR, MEMBER, MEMBER_HOLDS),
    "BalanceService/WatchBalance": _rule(TILL, SHOP, SUPPORT, AUDITOR, MEMBER, MEMBER_HOLDS),
    "BalanceService/StreamEvents": _rule(SHOP, AUDITOR),
    "AuditService/VerifyMember": _rule(AUDITOR),
    "AuditService/GetTrialBalance": _rule(AUDITOR),
}

#: who may see /metrics, with a credential for all programs
METRICS: Final = frozenset((ADMIN, AUDITOR))


def snake(method: str) -> str:
    """The name of a batch's item that holds a request of this method."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", method).lower()


#: the same methods by the names of a batch's items
BY_ITEM: Final = {snake(method.partition("/")[2]): method for method in TABLE}


def check_role(principal: Principal, method: str) -> None:
    """Raises ROLE_NOT_ALLOWED. Needs no request, so that none is read in vain."""
    if principal.role not in TABLE[method].roles:
        raise RoleNotAllowed(method=method, role=principal.role)


def check_scope(principal: Principal, method: str, request: Any) -> None:
    """Raises PROGRAM_NOT_ALLOWED, MEMBER_NOT_ALLOWED."""
    if principal.programs is None and not principal.member_id:
        return
    scope = TABLE[method].scope
    if scope in (REQUEST, CREATED):
        named = request.program_id if scope == REQUEST else request.program.program_id
        if principal.programs is not None and named not in principal.programs:
            raise ProgramNotAllowed()
    if principal.member_id and request.member_id != principal.member_id:
        raise MemberNotAllowed()


def check_item(principal: Principal, name: str, request: Any) -> None:
    """The same for one write of a batch, by the name of its item: as if it was sent alone."""
    method = BY_ITEM[name]
    check_role(principal, method)
    check_scope(principal, method, request)


def check_metrics(principal: Principal) -> None:
    """Raises ROLE_NOT_ALLOWED, PROGRAM_NOT_ALLOWED: metrics tell of all programs."""
    if principal.role not in METRICS:
        raise RoleNotAllowed(method="/metrics", role=principal.role)
    if principal.programs is not None:
        raise ProgramNotAllowed()

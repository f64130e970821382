"""Every refusal the ledger can answer, as small classes with a reason and named fields.

LedgerError
├── Unauthenticated          CREDENTIAL_MISSING, CREDENTIAL_INVALID, CREDENTIAL_EXPIRED, …
├── PermissionDenied         ROLE_NOT_ALLOWED, PROGRAM_NOT_ALLOWED, MEMBER_NOT_ALLOWED, …
├── InvalidArgument          INVALID_FIELD, RULES_INVALID: the request itself is malformed
├── AlreadyExists            REQUEST_ID_REUSED, PROGRAM_ALREADY_EXISTS, MEMBER_ALREADY_ENROLLED
├── NotFound                 PROGRAM_NOT_FOUND, MEMBER_NOT_FOUND, PURCHASE_NOT_FOUND, …
├── FailedPrecondition       a business "no" to a known member; remembered under its request id
├── QuotaExceeded            a caller's own rate quota
├── DeadlineExceeded         before running: not executed
├── ReaderTooSlow            the reader of a stream
└── Unavailable              OVERLOADED, STORAGE_UNAVAILABLE, COMMIT_UNKNOWN, TOO_MANY_STREAMS,
                             SHUTTING_DOWN

The metadata of an answer is exactly the fields an error was made with, so that a program can read
what a person reads in the message. Imports nothing of the rest of the package.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, NamedTuple


class Violation(NamedTuple):
    """One fault of a request or document: where it is, and what is allowed there."""

    field: str
    description: str


class LedgerError(Exception):
    """A typed refusal. `code` is a google.rpc.Code name, `reason` the stable word for programs."""

    code: ClassVar[str] = "UNKNOWN"
    reason: ClassVar[str] = ""
    #: str.format template over the fields the error is made with
    template: ClassVar[str] = "{reason}"
    #: seconds after which repeating the same request makes sense; None = repeating does not help
    retry_after: float | None = None

    def __init__(self, **fields: object) -> None:
        self.metadata = {name: str(value) for name, value in fields.items()}
        super().__init__(self.template.format_map(_Fields(self.metadata)))

    @property
    def message(self) -> str:
        return str(self.args[0])

    @property
    def violations(self) -> tuple[Violation, ...]:
        return ()


class _Fields(dict[str, str]):
    """Lets a template name an optional field: an absent one reads as `-`."""

    def __missing__(self, name: str) -> str:
        return "-"


class Unauthenticated(LedgerError):
    """Says nothing of the credential itself: an answer may be logged where it arrives."""

    code = "UNAUTHENTICATED"


class CredentialMissing(Unauthenticated):
    reason = "CREDENTIAL_MISSING"
    template = "a credential is needed: authorization: Bearer <API key or member token>"


class CredentialInvalid(Unauthenticated):
    reason = "CREDENTIAL_INVALID"
    template = "the credential is not one of this ledger"


class CredentialExpired(Unauthenticated):
    reason = "CREDENTIAL_EXPIRED"
    template = "the credential expired at {expire_time}"


class CredentialRevoked(Unauthenticated):
    reason = "CREDENTIAL_REVOKED"
    template = "the credential has been revoked"


class CertificateNotListed(Unauthenticated):
    reason = "CERTIFICATE_NOT_LISTED"
    template = "no caller goes by a name of the client certificate, and no other credential came"


class PermissionDenied(LedgerError):
    """Answered before anything is looked up, so that it is the same whatever there is."""

    code = "PERMISSION_DENIED"


class RoleNotAllowed(PermissionDenied):
    reason = "ROLE_NOT_ALLOWED"
    template = "{method} is not for the role {role}"


class ProgramNotAllowed(PermissionDenied):
    reason = "PROGRAM_NOT_ALLOWED"
    template = "this credential is not for the program that the request names"


class MemberNotAllowed(PermissionDenied):
    reason = "MEMBER_NOT_ALLOWED"
    template = "this credential is for another member than the request names"


class ApproverNotAllowed(PermissionDenied):
    reason = "APPROVER_NOT_ALLOWED"
    template = "the approver must be a credential of somebody else who may do the same"


class InvalidArgument(LedgerError):
    code = "INVALID_ARGUMENT"
    reason = "INVALID_FIELD"

    def __init__(self, violations: Iterable[Violation]) -> None:
        self._violations = tuple(violations)
        super().__init__()
        first = self._violations[0]
        more = len(self._violations) - 1
        self.args = (
            f"{first.field}: {first.description}" + (f" (and {more} more)" if more else ""),
        )

    @property
    def violations(self) -> tuple[Violation, ...]:
        return self._violations


class RulesInvalid(InvalidArgument):
    reason = "RULES_INVALID"


def invalid(field: str, description: str) -> InvalidArgument:
    """An INVALID_FIELD with a single violation."""
    return InvalidArgument([Violation(field, description)])


class AlreadyExists(LedgerError):
    code = "ALREADY_EXISTS"


class RequestIdReused(AlreadyExists):
    reason = "REQUEST_ID_REUSED"
    template = "request_id {request_id} was used before for a request with other content"


class ProgramAlreadyExists(AlreadyExists):
    reason = "PROGRAM_ALREADY_EXISTS"
    template = "program {program_id} exists already"


class MemberAlreadyEnrolled(AlreadyExists):
    reason = "MEMBER_ALREADY_ENROLLED"
    template = "member {member_id} is enrolled already"


class NotFound(LedgerError):
    code = "NOT_FOUND"


class ProgramNotFound(NotFound):
    reason = "PROGRAM_NOT_FOUND"
    template = "no program {program_id}"


class MemberNotFound(NotFound):
    reason = "MEMBER_NOT_FOUND"
    template = "no member {member_id} in program {program_id}"


class EntryNotFound(NotFound):
    reason = "ENTRY_NOT_FOUND"
    template = "member {member_id} has no entry {sequence}"


class PurchaseNotFound(NotFound):
    reason = "PURCHASE_NOT_FOUND"
    template = "member {member_id} has no purchase {purchase_id}"


class HoldNotFound(NotFound):
    reason = "HOLD_NOT_FOUND"
    template = "member {member_id} has no hold {hold_id}"


class RedemptionNotFound(NotFound):
    reason = "REDEMPTION_NOT_FOUND"
    template = "member {member_id} has no redemption {redemption_id}"


class RewardNotFound(NotFound):
    reason = "REWARD_NOT_FOUND"
    template = "program {program_id} has no reward {reward_id}"


class FailedPrecondition(LedgerError):
    code = "FAILED_PRECONDITION"


class MemberNotActive(FailedPrecondition):
    reason = "MEMBER_NOT_ACTIVE"
    template = "member {member_id} is {status}"


class PurchaseAlreadyRecorded(FailedPrecondition):
    reason = "PURCHASE_ALREADY_RECORDED"
    template = "purchase {purchase_id} earned its points already"


class EffectiveTimeOutOfRange(FailedPrecondition):
    reason = "EFFECTIVE_TIME_OUT_OF_RANGE"
    template = "effective_time {effective_time} is outside {earliest} to {latest}"


class InsufficientPoints(FailedPrecondition):
    reason = "INSUFFICIENT_POINTS"
    template = "points required: {required}, available: {available}"


class HoldClosed(FailedPrecondition):
    reason = "HOLD_CLOSED"
    template = "hold {hold_id} is {state}"


class HoldExpired(FailedPrecondition):
    reason = "HOLD_EXPIRED"
    template = "hold {hold_id} lapsed at {expire_time}"


class CaptureExceedsHold(FailedPrecondition):
    reason = "CAPTURE_EXCEEDS_HOLD"
    template = "hold {hold_id} holds {held} points, not {required}"


class ReturnExceedsPurchase(FailedPrecondition):
    reason = "RETURN_EXCEEDS_PURCHASE"
    template = "of purchase {purchase_id}, {left} is left to return, not {returned}"


class ReversalExceedsRedemption(FailedPrecondition):
    reason = "REVERSAL_EXCEEDS_REDEMPTION"
    template = "of redemption {redemption_id} {left} points are left to give back"


class ReturnedPointsSpent(FailedPrecondition):
    reason = "RETURNED_POINTS_SPENT"
    template = "{required} points are to be taken back, {available} are there"


class RewardNotEligible(FailedPrecondition):
    reason = "REWARD_NOT_ELIGIBLE"
    template = "reward {reward_id} is not for this member now: {why}"


class RewardOutOfStock(FailedPrecondition):
    reason = "REWARD_OUT_OF_STOCK"
    template = "reward {reward_id} is out of stock"


class RewardLimitReached(FailedPrecondition):
    reason = "REWARD_LIMIT_REACHED"
    template = "this member has had reward {reward_id} as often as allowed: {limit}"


class RedemptionLimitReached(FailedPrecondition):
    reason = "REDEMPTION_LIMIT_REACHED"
    template = (
        "{required} points are more than this member may redeem now: {limit} a day are allowed, "
        "{left} are left today; all of it again from {again_time}"
    )


class TransferLimitReached(FailedPrecondition):
    reason = "TRANSFER_LIMIT_REACHED"
    template = (
        "{required} points are more than this member may hand on now: {limit} a day are allowed, "
        "{left} are left today; all of it again from {again_time}"
    )


class BelowMinimum(FailedPrecondition):
    reason = "BELOW_MINIMUM"
    template = "{points} points are below the minimum of {minimum}"


class ApprovalRequired(FailedPrecondition):
    reason = "APPROVAL_REQUIRED"
    template = "more than {limit} points need the approval of a second principal"


class TokensNotConfigured(FailedPrecondition):
    reason = "TOKENS_NOT_CONFIGURED"
    template = "this server has no keys to sign member tokens with"


class NotASandbox(FailedPrecondition):
    reason = "NOT_A_SANDBOX"
    template = "program {program_id} is not a sandbox: its clock is the real one"


class VersionMismatch(FailedPrecondition):
    reason = "VERSION_MISMATCH"
    template = "version {expected} was expected, but it is {actual}"


class QuotaExceeded(LedgerError):
    """Too much for one caller just now. Nothing was executed."""

    code = "RESOURCE_EXHAUSTED"
    reason = "QUOTA_EXCEEDED"
    template = "this caller may make {per_second} calls a second; nothing was executed"
    #: each says itself when it is worth asking again
    retry_after = 1.0


class DeadlineExceeded(LedgerError):
    code = "DEADLINE_EXCEEDED"
    reason = "DEADLINE_EXCEEDED"
    template = "the deadline passed while the request was waiting; it was not executed"


class ReaderTooSlow(LedgerError):
    code = "RESOURCE_EXHAUSTED"
    reason = "READER_TOO_SLOW"
    template = "a message of the stream was not taken within {seconds} s: open it again"


class Unavailable(LedgerError):
    code = "UNAVAILABLE"
    retry_after = 0.2


class Overloaded(Unavailable):
    reason = "OVERLOADED"
    template = "too many requests are waiting; repeat this one with the same request_id"


class StorageUnavailable(Unavailable):
    reason = "STORAGE_UNAVAILABLE"
    template = "the database does not answer; nothing was written, repeat with the same request_id"
    retry_after = 1.0


class CommitUnknown(Unavailable):
    reason = "COMMIT_UNKNOWN"
    template = (
        "the database was lost while committing; repeat with the same request_id to learn the "
        "outcome, it is never applied twice"
    )
    retry_after = 1.0


class TooManyStreams(Unavailable):
    reason = "TOO_MANY_STREAMS"
    template = "{limit} streams are open here, as many as there may be; try again later"
    retry_after = 5.0


class ShuttingDown(Unavailable):
    reason = "SHUTTING_DOWN"
    template = "this server is stopping; repeat with the same request_id on another"


class Internal(LedgerError):
    """An unexpected failure: it says nothing of the inside, which is in the server's log."""

    code = "INTERNAL"
    reason = "INTERNAL"
    template = "unexpected failure; nothing was written for this request"


def _remembered() -> dict[str, type[FailedPrecondition]]:
    return {kind.reason: kind for kind in FailedPrecondition.__subclasses__()}


def recall(reason: str, metadata: Mapping[str, str]) -> FailedPrecondition:
    """The refusal that was stored under a request id, made again from its reason and fields."""
    return _remembered()[reason](**metadata)

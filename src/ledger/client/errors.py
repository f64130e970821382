"""What calls fail with: one tree of exceptions, made from the google.rpc.Status of an answer.

    LedgerError              whatever a ledger, or the way to it, answers instead of a result
    ├── Refused              a business "no" (FAILED_PRECONDITION), remembered under the request id
    ├── InvalidRequest       malformed (INVALID_ARGUMENT): `violations` names each fault
    ├── NotFound             no such program, member, purchase, hold, reward …
    ├── AlreadyExists        the request id, or the member, is taken by something else
    ├── NotAllowed           no credential, a bad one, or one that may not do this
    ├── QuotaExceeded        too many calls: wait `retry_after_seconds`
    ├── NoAnswer             not reached, not ready, or too late: what became of a write is not
    │                        known, and the same request under the same request id asks again
    └── ServerFailed         the ledger failed in a way it should not

Imports protobuf, grpc and the standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

import grpc
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status


class LedgerError(Exception):
    """A call that was not answered with a result.

    `code` is the name of a google.rpc.Code and `reason` the stable word for programs, both as
    docs/integrating.md lists them. `metadata` has the values of the message by name.
    """

    #: the codes that this class stands for
    codes: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        message: str,
        *,
        code: str = "UNKNOWN",
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: Iterable[tuple[str, str]] = (),
        retry_after_seconds: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.metadata = dict(metadata or {})
        #: of a malformed request: (path of the field, what is wrong and what is allowed there)
        self.violations = list(violations)
        #: how long the ledger asks to wait; 0 where it does not say
        self.retry_after_seconds = retry_after_seconds
        #: of a write: the id to ask again with
        self.request_id = ""
        #: whether it was a ledger that said so, and not the way to it
        self.from_ledger = bool(reason)

    def __str__(self) -> str:
        return f"{self.reason or self.code}: {self.message}"


class Refused(LedgerError):
    """A business "no". The same request id is refused the same way for ever."""

    codes = ("FAILED_PRECONDITION",)


class InvalidRequest(LedgerError):
    """The request is malformed; nothing was written or remembered."""

    codes = ("INVALID_ARGUMENT", "OUT_OF_RANGE")


class NotFound(LedgerError):
    """What the request names is not there; nothing was written or remembered."""

    codes = ("NOT_FOUND",)


class AlreadyExists(LedgerError):
    """What is to be made is there already, or the request id was used for something else."""

    codes = ("ALREADY_EXISTS",)


class NotAllowed(LedgerError):
    """No credential, one that is not valid (any more), or one that may not do this."""

    codes = ("UNAUTHENTICATED", "PERMISSION_DENIED")


class QuotaExceeded(LedgerError):
    """Too many calls of this caller: wait `retry_after_seconds`, then ask again."""

    codes = ("RESOURCE_EXHAUSTED",)


class NoAnswer(LedgerError):
    """The ledger was not reached, was not ready, or answered too late.

    Whether a write was done is not known: send the same request with the same request id again.
    """

    codes = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "ABORTED")


class ServerFailed(LedgerError):
    """The ledger failed in a way it should not, or does not know the method."""


_KINDS = {code: kind for kind in LedgerError.__subclasses__() for code in kind.codes}


def error_of(status: status_pb2.Status) -> LedgerError:
    """The exception of a status, with the details that the ledger packed into it."""
    code = code_pb2.Code.Name(status.code) if status.code in code_pb2.Code.values() else "UNKNOWN"
    reason, metadata = "", {}
    violations: list[tuple[str, str]] = []
    retry_after_seconds = 0.0
    for detail in status.details:
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        retry, call = error_details_pb2.RetryInfo(), error_details_pb2.RequestInfo()
        if detail.Unpack(info):
            reason, metadata = info.reason, dict(sorted(info.metadata.items()))
        elif detail.Unpack(bad):
            violations = [(fault.field, fault.description) for fault in bad.field_violations]
        elif detail.Unpack(retry):
            retry_after_seconds = max(0.0, retry.retry_delay.ToTimedelta().total_seconds())
        elif detail.Unpack(call):  # by which the ledger's log knows it
            metadata["call"] = call.request_id
    return _KINDS.get(code, ServerFailed)(
        status.message,
        code=code,
        reason=reason,
        metadata=metadata,
        violations=violations,
        retry_after_seconds=retry_after_seconds,
    )


def error_of_call(error: grpc.RpcError, address: str) -> LedgerError:
    """The exception of a call to that address which grpc gave up."""
    assert isinstance(error, grpc.Call)
    try:
        status = rpc_status.from_call(error)
    except ValueError:  # details that contradict the call: believe the call
        status = None
    if status is None:
        code, _ = error.code().value
        status = status_pb2.Status(code=code, message=error.details() or "")
    if (status.code, status.message) == (code_pb2.CANCELLED, "CANCELLED"):
        return _not_read()
    made = error_of(status)
    if isinstance(made, NoAnswer) and not made.from_ledger:
        cause = " ".join(made.message.split()).rpartition(": ")[2]
        why = "in time" if made.code == "DEADLINE_EXCEEDED" else f"({cause})"
        made.message = f"no ledger answers at {address} {why}"
        made.reason = "UNREACHABLE" if made.code == "UNAVAILABLE" else made.code
    return made


def _not_read() -> LedgerError:
    """So many calls came that the ledger did not even read this one: its gRPC library answers that
    with CANCELLED, in a word that no call has which was cancelled here."""
    return NoAnswer(
        "too many calls came at once; this one was not executed",
        code="UNAVAILABLE",
        reason="OVERLOADED",
        retry_after_seconds=0.2,
    )

"""A ledger error as google.rpc.Status, for both transports and for items of a batch."""

from __future__ import annotations

from google.protobuf import duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from ledger.core.errors import LedgerError

DOMAIN = "ledger"


def to_status(error: LedgerError) -> status_pb2.Status:
    """Code, message and details: ErrorInfo always, BadRequest and RetryInfo where they apply."""
    status = status_pb2.Status(code=code_pb2.Code.Value(error.code), message=error.message)
    status.details.add().Pack(
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    )
    if error.violations:
        request = error_details_pb2.BadRequest()
        for violation in error.violations:
            request.field_violations.add(
                field=violation.field, description=violation.description
            )
        status.details.add().Pack(request)
    if error.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(error.retry_after * 1e9))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status

"""A ledger error as google.rpc.Status, for both transports and for items of a batch."""

from __future__ import annotations

from google.protobuf import duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from ledger.core.errors import LedgerError

DOMAIN = "ledger"

#: what a field of a message takes beside its text, at most
_FRAME_BYTES = 6
_ROOM_FOR_COUNT = 64


def to_status(error: LedgerError) -> status_pb2.Status:
    """Code, message and details: ErrorInfo always, BadRequest and RetryInfo where they apply."""
    status = status_pb2.Status(code=code_pb2.Code.Value(error.code), message=error.message)
    status.details.add().Pack(
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    )
    if error.violations:
        request = error_details_pb2.BadRequest()
        for violation in error.violations:
            request.field_violations.add(field=violation.field, description=violation.description)
        status.details.add().Pack(request)
    if error.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(error.retry_after * 1e9))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status


def with_call(status: status_pb2.Status, call_id: str) -> status_pb2.Status:
    """The status, with the number that the log knows the call by."""
    status.details.add().Pack(error_details_pb2.RequestInfo(request_id=call_id))
    return status


def shortened(status: status_pb2.Status, most_bytes: int) -> status_pb2.Status:
    """The status itself, or one that says as much of it as fits.

    Field violations at the end lose first their descriptions, then their paths; the ErrorInfo's
    metadata then tells in `violations` how many there are.
    """
    request = error_details_pb2.BadRequest()
    if status.ByteSize() <= most_bytes or not _unpack(status, request):
        return status
    # What is left for the violations beside the message and the other details; a part of it is for
    # descriptions, however many paths there are.
    room = most_bytes - (status.ByteSize() - request.ByteSize()) - _ROOM_FOR_COUNT
    reserved = room // 4
    short = error_details_pb2.BadRequest()
    for violation in request.field_violations:
        room -= len(violation.field.encode()) + _FRAME_BYTES
        if room < reserved:
            break
        short.field_violations.add(field=violation.field)
    for full, violation in zip(request.field_violations, short.field_violations, strict=False):
        room -= len(full.description.encode()) + _FRAME_BYTES
        if room < 0:
            break
        violation.description = full.description
    info = error_details_pb2.ErrorInfo()
    _unpack(status, info)
    info.metadata["violations"] = str(len(request.field_violations))
    short_status = status_pb2.Status(code=status.code, message=status.message)
    for detail in (info, short):
        short_status.details.add().Pack(detail)
    return short_status


def _unpack(status: status_pb2.Status, detail: Message) -> bool:
    """Fill `detail` from the status's details of that type; False when there is none."""
    return any(any_.Unpack(detail) for any_ in status.details)

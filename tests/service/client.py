"""Clients for tests, one per transport, that answer a message or raise what was refused.

All of them speak the same typed methods, so that one test runs on every transport. Only the gRPC
one uses a gRPC library; the others put their bytes on an HTTP connection by hand, so that what is
tested is what anyone's client would receive. Imports the generated messages only.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, unquote

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from ledger.v1 import (
    audit_pb2,
    balance_pb2,
    member_pb2,
    points_pb2,
    program_pb2,
    redemption_pb2,
    types_pb2,
)

Q = TypeVar("Q")
M = TypeVar("M", bound=Message)

TIMEOUT_SECONDS = 20.0


class Failure(Exception):
    """A google.rpc.Status, decoded. `violations` are (field, description) in the order answered."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(f"{code_pb2.Code.Name(status.code)}: {status.message}")
        self.code: str = code_pb2.Code.Name(status.code)
        self.message: str = status.message
        self.reason = ""
        self.domain = ""
        self.metadata: dict[str, str] = {}
        self.violations: list[tuple[str, str]] = []
        self.retry_seconds: float | None = None
        #: the number by which the service's log knows the call; empty: not told
        self.call_id = ""
        for detail in status.details:
            self._read(detail)

    def _read(self, detail: Any) -> None:
        info = error_details_pb2.ErrorInfo()
        request = error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        call = error_details_pb2.RequestInfo()
        if detail.Unpack(info):
            self.reason, self.domain = info.reason, info.domain
            self.metadata = dict(info.metadata)
        elif detail.Unpack(request):
            self.violations = [(v.field, v.description) for v in request.field_violations]
        elif detail.Unpack(retry):
            self.retry_seconds = retry.retry_delay.ToNanoseconds() / 1e9
        elif detail.Unpack(call):
            self.call_id = call.request_id

    @property
    def fields(self) -> list[str]:
        """The paths of the violations."""
        return [field for field, _ in self.violations]


class Client:
    """The service's methods, typed. Each raises Failure when it is not answered with OK."""

    def call(self, method: str, request: Message, response: type[M]) -> M:
        """The response of `Service/Method`."""
        return response.FromString(self.send(method, request.SerializeToString()))

    def send(self, method: str, data: bytes) -> bytes:
        """Bytes of a request to those of its answer, as this transport encodes them."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def create_program(self, request: program_pb2.CreateProgramRequest) -> program_pb2.Program:
        return self.call("ProgramService/CreateProgram", request, program_pb2.Program)

    def get_program(self, request: program_pb2.GetProgramRequest) -> program_pb2.Program:
        return self.call("ProgramService/GetProgram", request, program_pb2.Program)

    def list_programs(
        self, request: program_pb2.ListProgramsRequest
    ) -> program_pb2.ListProgramsResponse:
        return self.call("ProgramService/ListPrograms", request, program_pb2.ListProgramsResponse)

    def publish_rules(self, request: program_pb2.PublishRulesRequest) -> program_pb2.RulesVersion:
        return self.call("ProgramService/PublishRules", request, program_pb2.RulesVersion)

    def list_rules_versions(
        self, request: program_pb2.ListRulesVersionsRequest
    ) -> program_pb2.ListRulesVersionsResponse:
        response = program_pb2.ListRulesVersionsResponse
        return self.call("ProgramService/ListRulesVersions", request, response)

    def advance_clock(
        self, request: program_pb2.AdvanceClockRequest
    ) -> program_pb2.AdvanceClockResponse:
        return self.call("ProgramService/AdvanceClock", request, program_pb2.AdvanceClockResponse)

    def enroll_member(self, request: member_pb2.EnrollMemberRequest) -> types_pb2.Receipt:
        return self.call("MemberService/EnrollMember", request, types_pb2.Receipt)

    def get_member(self, request: member_pb2.GetMemberRequest) -> member_pb2.Member:
        return self.call("MemberService/GetMember", request, member_pb2.Member)

    def set_member_status(self, request: member_pb2.SetMemberStatusRequest) -> types_pb2.Receipt:
        return self.call("MemberService/SetMemberStatus", request, types_pb2.Receipt)

    def record_purchase(self, request: points_pb2.RecordPurchaseRequest) -> types_pb2.Receipt:
        return self.call("PointsService/RecordPurchase", request, types_pb2.Receipt)

    def preview_purchase(
        self, request: points_pb2.PreviewPurchaseRequest
    ) -> points_pb2.PreviewPurchaseResponse:
        response = points_pb2.PreviewPurchaseResponse
        return self.call("PointsService/PreviewPurchase", request, response)

    def record_activity(self, request: points_pb2.RecordActivityRequest) -> types_pb2.Receipt:
        return self.call("PointsService/RecordActivity", request, types_pb2.Receipt)

    def record_return(self, request: points_pb2.RecordReturnRequest) -> types_pb2.Receipt:
        return self.call("PointsService/RecordReturn", request, types_pb2.Receipt)

    def preview_return(
        self, request: points_pb2.PreviewReturnRequest
    ) -> points_pb2.PreviewReturnResponse:
        response = points_pb2.PreviewReturnResponse
        return self.call("PointsService/PreviewReturn", request, response)

    def adjust_points(self, request: points_pb2.AdjustPointsRequest) -> types_pb2.Receipt:
        return self.call("PointsService/AdjustPoints", request, types_pb2.Receipt)

    def transfer_points(self, request: points_pb2.TransferPointsRequest) -> types_pb2.Receipt:
        return self.call("PointsService/TransferPoints", request, types_pb2.Receipt)

    def override_tier(self, request: points_pb2.OverrideTierRequest) -> types_pb2.Receipt:
        return self.call("PointsService/OverrideTier", request, types_pb2.Receipt)

    def batch_write(self, request: points_pb2.BatchWriteRequest) -> points_pb2.BatchWriteResponse:
        return self.call("PointsService/BatchWrite", request, points_pb2.BatchWriteResponse)

    def list_rewards(
        self, request: redemption_pb2.ListRewardsRequest
    ) -> redemption_pb2.ListRewardsResponse:
        response = redemption_pb2.ListRewardsResponse
        return self.call("RedemptionService/ListRewards", request, response)

    def hold_points(self, request: redemption_pb2.HoldPointsRequest) -> types_pb2.Receipt:
        return self.call("RedemptionService/HoldPoints", request, types_pb2.Receipt)

    def capture_hold(self, request: redemption_pb2.CaptureHoldRequest) -> types_pb2.Receipt:
        return self.call("RedemptionService/CaptureHold", request, types_pb2.Receipt)

    def release_hold(self, request: redemption_pb2.ReleaseHoldRequest) -> types_pb2.Receipt:
        return self.call("RedemptionService/ReleaseHold", request, types_pb2.Receipt)

    def extend_hold(self, request: redemption_pb2.ExtendHoldRequest) -> types_pb2.Receipt:
        return self.call("RedemptionService/ExtendHold", request, types_pb2.Receipt)

    def redeem_points(self, request: redemption_pb2.RedeemPointsRequest) -> types_pb2.Receipt:
        return self.call("RedemptionService/RedeemPoints", request, types_pb2.Receipt)

    def reverse_redemption(
        self, request: redemption_pb2.ReverseRedemptionRequest
    ) -> types_pb2.Receipt:
        return self.call("RedemptionService/ReverseRedemption", request, types_pb2.Receipt)

    def get_balance(self, request: balance_pb2.GetBalanceRequest) -> types_pb2.Balance:
        return self.call("BalanceService/GetBalance", request, types_pb2.Balance)

    def get_tier_status(self, request: balance_pb2.GetTierStatusRequest) -> types_pb2.TierStatus:
        return self.call("BalanceService/GetTierStatus", request, types_pb2.TierStatus)

    def list_entries(
        self, request: balance_pb2.ListEntriesRequest
    ) -> balance_pb2.ListEntriesResponse:
        return self.call("BalanceService/ListEntries", request, balance_pb2.ListEntriesResponse)

    def get_entry(self, request: balance_pb2.GetEntryRequest) -> types_pb2.Entry:
        return self.call("BalanceService/GetEntry", request, types_pb2.Entry)

    def get_expiry_schedule(
        self, request: balance_pb2.GetExpiryScheduleRequest
    ) -> balance_pb2.GetExpiryScheduleResponse:
        response = balance_pb2.GetExpiryScheduleResponse
        return self.call("BalanceService/GetExpirySchedule", request, response)

    def explain_balance(
        self, request: balance_pb2.ExplainBalanceRequest
    ) -> balance_pb2.ExplainBalanceResponse:
        response = balance_pb2.ExplainBalanceResponse
        return self.call("BalanceService/ExplainBalance", request, response)

    def verify_member(
        self, request: audit_pb2.VerifyMemberRequest
    ) -> audit_pb2.VerifyMemberResponse:
        return self.call("AuditService/VerifyMember", request, audit_pb2.VerifyMemberResponse)

    def get_trial_balance(
        self, request: audit_pb2.GetTrialBalanceRequest
    ) -> audit_pb2.GetTrialBalanceResponse:
        response = audit_pb2.GetTrialBalanceResponse
        return self.call("AuditService/GetTrialBalance", request, response)


def failure_of(method: Callable[[Q], object], request: Q) -> Failure:
    """The Failure that a call is answered with; fails the test when it is answered with OK."""
    try:
        answer = method(request)
    except Failure as failure:
        return failure
    raise AssertionError(f"answered instead of refused: {answer}")


class GrpcClient(Client):
    """Native gRPC. `options` are grpcio channel options; by default there are none. With a `ca`
    (PEM) it speaks TLS."""

    def __init__(
        self,
        address: str,
        options: list[tuple[str, Any]] | None = None,
        *,
        credential: str = "",
        ca: bytes | None = None,
    ) -> None:
        self._channel = (
            grpc.insecure_channel(address, options=options)
            if ca is None
            else grpc.secure_channel(address, grpc.ssl_channel_credentials(ca), options=options)
        )
        self._own = [("authorization", f"Bearer {credential}")] if credential else []

    def send(
        self,
        method: str,
        data: bytes,
        *,
        timeout: float = TIMEOUT_SECONDS,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> bytes:
        call: Callable[..., bytes] = self._channel.unary_unary(f"/ledger.v1.{method}")
        try:
            answer = call(data, timeout=timeout, metadata=[*self._own, *metadata])
        except grpc.RpcError as error:
            raise Failure(status_of(error)) from None
        return answer

    def close(self) -> None:
        self._channel.close()


def status_of(error: Any) -> status_pb2.Status:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = status_pb2.Status.FromString(value)
            assert status.code == error.code().value[0]
            assert status.message == error.details()
            return status
    return status_pb2.Status(code=error.code().value[0], message=error.details())


class HttpClient(Client):
    """Common to everything on the HTTP port: one connection, kept open. With a `ca` (PEM) it
    speaks TLS."""

    content_type = ""

    def __init__(self, address: str, *, credential: str = "", ca: bytes | None = None) -> None:
        self._connection = (
            http.client.HTTPConnection(address, timeout=TIMEOUT_SECONDS)
            if ca is None
            else http.client.HTTPSConnection(
                address,
                timeout=TIMEOUT_SECONDS,
                context=ssl.create_default_context(cadata=ca.decode()),
            )
        )
        self._own = {"authorization": f"Bearer {credential}"} if credential else {}

    def exchange(
        self, verb: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes, str]:
        """Status, body and content type of one answer."""
        self._connection.request(verb, path, body=body, headers={**self._own, **headers})
        answer = self._connection.getresponse()
        return answer.status, answer.read(), answer.headers.get("content-type", "")

    def send(self, method: str, data: bytes, *, headers: Mapping[str, str] | None = None) -> bytes:
        given = {"content-type": self.content_type, **(headers or {})}
        code, body, kind = self.exchange("POST", f"/ledger.v1.{method}", data, given)
        return self.unwrap(code, body, kind)

    def unwrap(self, code: int, body: bytes, content_type: str) -> bytes:
        """The answer's bytes. Raises Failure for a Connect error."""
        if code == 200:
            return body
        assert content_type == "application/json", (code, content_type, body)
        raise Failure(connect_status(json.loads(body)))

    def close(self) -> None:
        self._connection.close()


def connect_status(error: Mapping[str, Any]) -> status_pb2.Status:
    name = error["code"].upper().replace("CANCELED", "CANCELLED")
    status = status_pb2.Status(code=code_pb2.Code.Value(name), message=error.get("message", ""))
    for detail in error.get("details", ()):
        value = base64.b64decode(detail["value"] + "=" * (-len(detail["value"]) % 4))
        status.details.add(type_url="type.googleapis.com/" + detail["type"], value=value)
    return status


class JsonClient(HttpClient):
    """Connect with JSON: what curl and a web shop send."""

    content_type = "application/json"

    def call(self, method: str, request: Message, response: type[M]) -> M:
        data = json_format.MessageToJson(request).encode()
        return json_format.Parse(self.send(method, data), response())

    def post(self, method: str, document: object) -> dict[str, Any]:
        """The answer to a document, as plain JSON both ways."""
        answer: dict[str, Any] = json.loads(self.send(method, json.dumps(document).encode()))
        return answer


class ConnectClient(HttpClient):
    """Connect with binary messages."""

    content_type = "application/proto"


class ConnectGetClient(JsonClient):
    """Connect GET, which only methods without side effects answer."""

    def call(self, method: str, request: Message, response: type[M]) -> M:
        message = quote(json_format.MessageToJson(request, indent=None))
        path = f"/ledger.v1.{method}?connect=v1&encoding=json&message={message}"
        return json_format.Parse(self.unwrap(*self.exchange("GET", path, None, {})), response())


class GrpcWebClient(HttpClient):
    """gRPC-Web, framed by hand: flag, length, message; the trailers are a frame of the body."""

    content_type = "application/grpc-web+proto"

    def send(self, method: str, data: bytes, *, headers: Mapping[str, str] | None = None) -> bytes:
        return super().send(method, struct.pack(">BI", 0, len(data)) + data, headers=headers)

    def unwrap(self, code: int, body: bytes, content_type: str) -> bytes:
        assert (code, content_type) == (200, self.content_type)
        message = b""
        while body:
            flag, length = struct.unpack(">BI", body[:5])
            frame, body = body[5 : 5 + length], body[5 + length :]
            if not flag & 0x80:
                message = frame
            elif (status := grpc_web_status(frame)) is not None:
                raise Failure(status)
        return message


def grpc_web_status(frame: bytes) -> status_pb2.Status | None:
    """What the trailers of gRPC-Web, a frame of the body, say; None: OK."""
    lines = frame.decode().strip().split("\r\n")
    trailers = {k.lower(): v.strip() for k, _, v in (s.partition(":") for s in lines)}
    if trailers["grpc-status"] == "0":
        return None
    details = trailers.get("grpc-status-details-bin")
    if details:
        return status_pb2.Status.FromString(base64.b64decode(details + "=" * (-len(details) % 4)))
    code, message = int(trailers["grpc-status"]), unquote(trailers["grpc-message"])
    return status_pb2.Status(code=code, message=message)

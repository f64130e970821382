"""`LedgerClient`: the calls of a till or a shop's back end, typed.

    >>> from decimal import Decimal
    >>> from ledger.client import LedgerClient
    >>> with LedgerClient("127.0.0.1:50051", "bean-street", terminal_id="till-7") as ledger:
    ...     receipt = ledger.purchase("m-1", Decimal("12.99"), purchase_id="r-1041")
    ...     print(receipt.points, receipt.balance.available_points)
    12 62

Every write takes the request id under which it is to be known. Without one it gets a new one; when
it then fails with NoAnswer, the error's `request_id` is the one to ask again with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from google.protobuf.message import Message

from ledger.client.connection import AnswerT, Connection
from ledger.client.credentials import Credentials
from ledger.client.requests import Line, Requests, new_request_id
from ledger.client.results import (
    Balance,
    Entry,
    Member,
    Preview,
    Program,
    Receipt,
    Reward,
    Tier,
)
from ledger.client.values import Amount, timestamp_of
from ledger.v1 import (
    balance_pb2,
    member_pb2,
    points_pb2,
    program_pb2,
    redemption_pb2,
    types_pb2,
)

_PAGE = 500


class LedgerClient:
    """One program of a ledger, for any number of threads. Every method may raise LedgerError."""

    def __init__(
        self,
        address: str,
        program_id: str,
        *,
        credentials: Credentials | None = None,
        location_id: str = "",
        terminal_id: str = "",
        timeout_seconds: float = 10.0,
    ) -> None:
        """`address` is `host:port`, with `https://` or `http://` before it to say whether TLS is
        spoken. `timeout_seconds` is how long a call may take, all its tries together.

        Nothing is sent before the first call. Raises ValueError and OSError for an address and for
        files of credentials that can not be used.
        """
        self.program_id = program_id
        self.location_id = location_id
        self.terminal_id = terminal_id
        self.connection = Connection(address, timeout_seconds, credentials)
        self._program: Program | None = None

    def close(self) -> None:
        """Drop the connection."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # -- the program ----------------------------------------------------------------------------

    def program(self) -> Program:
        """The program; asked for anew with each call."""
        request = program_pb2.GetProgramRequest(program_id=self.program_id)
        answer = self._call("programs", "GetProgram", request, program_pb2.Program)
        self._program = Program.of(answer)
        return self._program

    @property
    def requests(self) -> Requests:
        """Makes requests of this terminal. The first time it asks for the program's currency."""
        currency = (self._program or self.program()).currency
        return Requests(self.program_id, currency, self.location_id, self.terminal_id)

    # -- members --------------------------------------------------------------------------------

    def enroll(
        self, member_id: str = "", *, referrer_member_id: str = "", request_id: str = ""
    ) -> Receipt:
        """Make somebody a member. Without a `member_id` the ledger makes one, which the entries of
        the receipt tell."""
        request = self.requests.enroll(
            member_id,
            referrer_member_id=referrer_member_id,
            request_id=request_id or new_request_id(),
        )
        return self._write("members", "EnrollMember", request)

    def member(self, member_id: str) -> Member:
        """The member: status, and since when."""
        request = member_pb2.GetMemberRequest(program_id=self.program_id, member_id=member_id)
        return Member.of(self._call("members", "GetMember", request, member_pb2.Member))

    def balance(
        self, member_id: str, *, as_of_time: datetime | None = None, min_version: int = 0
    ) -> Balance:
        """What the member has, now or at another instant.

        `min_version`, such as that of a receipt's balance, makes sure that this write is in it.
        """
        request = balance_pb2.GetBalanceRequest(
            program_id=self.program_id,
            member_id=member_id,
            as_of_time=timestamp_of("as_of_time", as_of_time) if as_of_time else None,
            min_version=min_version,
        )
        return Balance.of(self._call("balances", "GetBalance", request, types_pb2.Balance))

    def tier(self, member_id: str) -> Tier:
        """The tier held, and what is missing for the next one. Empty where there are no tiers."""
        request = balance_pb2.GetTierStatusRequest(program_id=self.program_id, member_id=member_id)
        return Tier.of(self._call("balances", "GetTierStatus", request, types_pb2.TierStatus))

    def entries(self, member_id: str) -> Iterator[Entry]:
        """The member's journal, newest first; fetched as it is read."""
        token = ""
        while True:
            request = balance_pb2.ListEntriesRequest(
                program_id=self.program_id, member_id=member_id, page_size=_PAGE, page_token=token
            )
            answer = balance_pb2.ListEntriesResponse
            page = self._call("balances", "ListEntries", request, answer)
            yield from (Entry.of(entry) for entry in page.entries)
            token = page.next_page_token
            if not token:
                return

    # -- buying and bringing back ---------------------------------------------------------------

    def purchase(
        self,
        member_id: str,
        amount: Amount,
        *,
        purchase_id: str,
        lines: Sequence[Line] = (),
        effective_time: datetime | None = None,
        request_id: str = "",
    ) -> Receipt:
        """Record a purchase and what it earns. `purchase_id` is the receipt's number: it earns
        once. `effective_time` is when it was paid; default now."""
        request = self.requests.purchase(
            member_id,
            amount,
            purchase_id=purchase_id,
            lines=lines,
            effective_time=effective_time,
            request_id=request_id or new_request_id(),
        )
        return self._write("points", "RecordPurchase", request)

    def preview_purchase(
        self, member_id: str, amount: Amount, *, lines: Sequence[Line] = ()
    ) -> Preview:
        """What a purchase would earn now. Writes nothing."""
        purchase = self.requests.purchase(
            member_id, amount, purchase_id="-", lines=lines, request_id="-"
        )
        request = points_pb2.PreviewPurchaseRequest(
            program_id=purchase.program_id,
            member_id=purchase.member_id,
            amount=purchase.amount,
            lines=purchase.lines,
            location_id=purchase.location_id,
            terminal_id=purchase.terminal_id,
        )
        answer = points_pb2.PreviewPurchaseResponse
        return Preview.of_purchase(self._call("points", "PreviewPurchase", request, answer))

    def return_(
        self,
        member_id: str,
        purchase_id: str,
        *,
        amount: Amount | None = None,
        lines: Sequence[Line] = (),
        effective_time: datetime | None = None,
        request_id: str = "",
    ) -> Receipt:
        """Take back what a purchase earned: for an amount of it, for some lines, or (with neither)
        for all that is left of it."""
        request = self.requests.return_(
            member_id,
            purchase_id,
            amount=amount,
            lines=lines,
            effective_time=effective_time,
            request_id=request_id or new_request_id(),
        )
        return self._write("points", "RecordReturn", request)

    def preview_return(
        self,
        member_id: str,
        purchase_id: str,
        *,
        amount: Amount | None = None,
        lines: Sequence[Line] = (),
    ) -> Preview:
        """What a return would take back now. Writes nothing."""
        made = self.requests.return_(
            member_id, purchase_id, amount=amount, lines=lines, request_id="-"
        )
        request = points_pb2.PreviewReturnRequest(
            program_id=made.program_id,
            member_id=made.member_id,
            purchase_id=made.purchase_id,
            amount=made.amount if made.HasField("amount") else None,
            lines=made.lines,
            full=made.full,
        )
        answer = points_pb2.PreviewReturnResponse
        return Preview.of_return(self._call("points", "PreviewReturn", request, answer))

    # -- spending -------------------------------------------------------------------------------

    def rewards(self, member_id: str) -> list[Reward]:
        """What the program gives for points, and what this member can have now."""
        request = redemption_pb2.ListRewardsRequest(program_id=self.program_id, member_id=member_id)
        answer = redemption_pb2.ListRewardsResponse
        page = self._call("redemptions", "ListRewards", request, answer)
        return [Reward.of(reward) for reward in page.rewards]

    def redeem(
        self,
        member_id: str,
        *,
        points: int = 0,
        reward_id: str = "",
        effective_time: datetime | None = None,
        request_id: str = "",
    ) -> Receipt:
        """Spend points, or get a reward for them, in one step."""
        request = self.requests.redeem(
            member_id,
            points=points,
            reward_id=reward_id,
            effective_time=effective_time,
            request_id=request_id or new_request_id(),
        )
        return self._write("redemptions", "RedeemPoints", request)

    def reverse(
        self,
        member_id: str,
        redemption_id: str,
        *,
        points: int | None = None,
        request_id: str = "",
    ) -> Receipt:
        """Give back what was redeemed or captured, all that is left of it or a part."""
        request = self.requests.reverse(
            member_id, redemption_id, points=points, request_id=request_id or new_request_id()
        )
        return self._write("redemptions", "ReverseRedemption", request)

    def hold(
        self,
        member_id: str,
        *,
        points: int = 0,
        reward_id: str = "",
        ttl: timedelta | None = None,
        request_id: str = "",
    ) -> Receipt:
        """Reserve points, or a reward, while the customer pays; `receipt.hold` says until when."""
        request = self.requests.hold(
            member_id,
            points=points,
            reward_id=reward_id,
            ttl=ttl,
            request_id=request_id or new_request_id(),
        )
        return self._write("redemptions", "HoldPoints", request)

    def capture(
        self, member_id: str, hold_id: str, *, points: int | None = None, request_id: str = ""
    ) -> Receipt:
        """Spend what is held, or a part of it; the rest comes back at once."""
        request = self.requests.capture(
            member_id, hold_id, points=points, request_id=request_id or new_request_id()
        )
        return self._write("redemptions", "CaptureHold", request)

    def release(self, member_id: str, hold_id: str, *, request_id: str = "") -> Receipt:
        """Give back what is held."""
        request = self.requests.release(
            member_id, hold_id, request_id=request_id or new_request_id()
        )
        return self._write("redemptions", "ReleaseHold", request)

    # -- calls ----------------------------------------------------------------------------------

    def _write(self, service: str, method: str, request: Message) -> Receipt:
        return Receipt.of(self._call(service, method, request, types_pb2.Receipt))

    def _call(self, service: str, method: str, request: Message, answer: type[AnswerT]) -> AnswerT:
        stub: Any = getattr(self.connection, service)
        return self.connection.call(getattr(stub, method), request, answer)

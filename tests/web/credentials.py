"""Keys of a ledger that asks for credentials, and the tokens that a shop's back end mints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import RunningServer, running_server
from tests.service.client import GrpcClient, JsonClient
from tests.service.credentials import make_key, token_keys_file
from tests.service.requests import PROGRAM, open_program


@dataclass(frozen=True)
class GuardedLedger:
    """A ledger that asks for credentials, and keys for it."""

    server: RunningServer
    till_key: str = field(repr=False)
    shop_key: str = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://{self.server.http_address}"

    def call(self, method: str, key: str, **request: Any) -> dict[str, Any]:
        """The JSON answer of `Service/Method` to the bearer of a key. Raises Failure."""
        client = JsonClient(self.server.http_address, credential=key)
        try:
            return client.post(method, {"programId": PROGRAM, **request})
        finally:
            client.close()

    def token(self, member: str, seconds: int = 600) -> str:
        """A member token."""
        asked = {"memberId": member, "ttl": f"{seconds}s"}
        made: str = self.call("MemberService/CreateMemberToken", self.shop_key, **asked)["token"]
        return made

    def sell(self, member: str, number: object, euros: int) -> None:
        """A purchase at the till."""
        self.call(
            "PointsService/RecordPurchase",
            self.till_key,
            memberId=member,
            requestId=f"request-{number}",
            purchaseId=f"receipt-{number}",
            amount={"currencyCode": "EUR", "units": str(euros)},
        )


@contextmanager
def guarded_ledger(
    database_url: str, directory: Path, rules: dict[str, Any], **options: Any
) -> Iterator[GuardedLedger]:
    """A ledger with one program, and keys for a till and a shop."""
    with running_server(database_url, scheduler_seconds=0) as open_to_all:
        client = GrpcClient(open_to_all.grpc_address)
        open_program(client, (), sandbox=False, **rules)
        client.close()
    till_key, shop_key = (make_key(database_url, role, [PROGRAM]) for role in ("till", "shop"))
    token_keys, _ = token_keys_file(directory)
    with running_server(
        database_url, development=False, token_keys=token_keys, **options
    ) as server:
        yield GuardedLedger(server, till_key, shop_key)

"""The client of a ledger, for tills and the back ends of shops.

`LedgerClient` makes calls: typed, with deadlines and retries. `Till` and `OfflineQueue` record
purchases, returns and redemptions whether or not the ledger can be reached. Errors: `LedgerError`
(the ledger, or the way to it) and `QueueError` (the queue's file). docs/integrating-a-till.md has a
session.

It runs where no server does: it imports grpc, protobuf and, of the ledger, the messages and the
core's currencies and calendars.
"""

from ledger.client.credentials import Credentials
from ledger.client.errors import (
    AlreadyExists,
    InvalidRequest,
    LedgerError,
    NoAnswer,
    NotAllowed,
    NotFound,
    QuotaExceeded,
    Refused,
    ServerFailed,
)
from ledger.client.items import Item
from ledger.client.ledger_client import LedgerClient
from ledger.client.queue import Allowance, AllowanceExceeded, OfflineQueue
from ledger.client.queue_file import (
    QueueBusy,
    QueueDamaged,
    QueueError,
    QueueForeign,
    QueueFull,
    QueueTooNew,
    QueueUnusable,
    set_aside,
)
from ledger.client.requests import Line
from ledger.client.results import (
    Balance,
    BreakdownLine,
    Entry,
    Hold,
    Member,
    Missing,
    NextExpiry,
    Preview,
    Program,
    Receipt,
    Redemption,
    Reward,
    Tier,
)
from ledger.client.salvaging import Salvage, replace_damaged, salvage
from ledger.client.till import Event, Till
from ledger.client.values import Money

__all__ = [
    "Allowance",
    "AllowanceExceeded",
    "AlreadyExists",
    "Balance",
    "BreakdownLine",
    "Credentials",
    "Entry",
    "Event",
    "Hold",
    "InvalidRequest",
    "Item",
    "LedgerClient",
    "LedgerError",
    "Line",
    "Member",
    "Missing",
    "Money",
    "NextExpiry",
    "NoAnswer",
    "NotAllowed",
    "NotFound",
    "OfflineQueue",
    "Preview",
    "Program",
    "QueueBusy",
    "QueueDamaged",
    "QueueError",
    "QueueForeign",
    "QueueFull",
    "QueueTooNew",
    "QueueUnusable",
    "QuotaExceeded",
    "Receipt",
    "Redemption",
    "Refused",
    "Reward",
    "Salvage",
    "ServerFailed",
    "Tier",
    "Till",
    "replace_damaged",
    "salvage",
    "set_aside",
]

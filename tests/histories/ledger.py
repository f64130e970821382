"""What a history is played to."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from tests.histories.requests import Request
from tests.histories.rules import Rules
from tests.model import Outcome


class Ledger(Protocol):
    """One sandbox program on the ledger under test. Answers are those of `Model`; entries are dicts
    as the model's, `by_time` when time posted them."""

    def create_program(self, program: dict[str, Any], rules: Rules) -> None: ...

    def publish_rules(self, rules: Rules, effective_time: datetime | None) -> Outcome: ...

    def advance_clock(self, clock_time: datetime) -> Outcome: ...

    def write(self, method: str, request: Request) -> Outcome: ...

    def preview_purchase(self, request: Request) -> Outcome: ...

    def settle(self, member_id: str) -> None:
        """Post what time has made due for a member, as a scheduler might at any moment."""

    def balance(self, member_id: str, as_of: datetime | None) -> dict[str, Any]: ...

    def tier_status(self, member_id: str) -> dict[str, Any]: ...

    def journal(self, member_id: str) -> list[dict[str, Any]]:
        """All entries in order, with what time has made due by now whether posted or not."""

    def check(self, member_id: str) -> None:
        """Assert all that must hold within a member's account and the journal, asked for last."""

    def warnings(self, member_id: str) -> dict[Any, int] | None:
        """What a member was warned of by now, as the model tells it; None: it can not be seen."""

    def offers(self, member_id: str) -> dict[str, tuple[bool, int | None]]:
        """By reward: whether a member can have it now, and how many units are left."""

    def trial_balance(self) -> dict[str, int]:
        """Points by ledger account."""

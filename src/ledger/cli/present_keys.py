"""API keys as commands show them: never the keys themselves."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from ledger.cli.values import format_date
from ledger.core.instants import format_instant, to_datetime
from ledger.store.api_keys import ApiKey


def state_of(key: ApiKey, now: int) -> str:
    if key.revoke_time is not None:
        return "REVOKED"
    return "EXPIRED" if key.expire_time is not None and key.expire_time <= now else "ACTIVE"


def as_dict(key: ApiKey, now: int) -> dict[str, Any]:
    def time(instant: int | None) -> str | None:
        return None if instant is None else format_instant(instant)

    return {
        "keyId": key.key_id,
        "name": key.name,
        "role": key.role,
        "programs": None if key.programs is None else sorted(key.programs),
        "actor": key.actor,
        "state": state_of(key, now),
        "createTime": time(key.create_time),
        "expireTime": time(key.expire_time),
        "revokeTime": time(key.revoke_time),
        "quotaPerSecond": key.quota_per_second,
    }


def keys_table(keys: list[ApiKey], now: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Id", style="bold", no_wrap=True)
    for title in ("Name", "Role", "Programs", "Made", "Good until", "State"):
        table.add_column(title, no_wrap=title != "Programs")
    for key in keys:
        state, ends = state_of(key, now), key.expire_time
        table.add_row(
            key.key_id,
            key.name,
            key.role,
            "all" if key.programs is None else ", ".join(sorted(key.programs)),
            format_date(to_datetime(key.create_time).date()),
            "-" if ends is None else format_date(to_datetime(ends).date()),
            Text(state.lower(), "green" if state == "ACTIVE" else "red"),
        )
    return table

"""API keys: how one is made, recognised and kept. Only a hash of the secret is.

A key reads `lk_<id>_<secret>`. The id is public; the secret is 256 random bits, so that one round
of SHA-256 keeps it: there is no list of likely ones to try, which is what slow hashes are for.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from ledger.core.instants import to_datetime, to_instant
from ledger.store.rows import optional_instant
from ledger.store.tables import api_keys

PREFIX = "lk_"
#: of the names of keys: short, and plain wherever an actor is shown
NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,39}", re.ASCII)
#: what entries call those who have no credential
RESERVED_NAMES = frozenset({"time", "scheduler", "developer"})
_ID_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_ID_LENGTH = 12
_SECRET_BYTES = 32
_BEGINNING = re.compile(rf"lk_[{_ID_ALPHABET}]{{{_ID_LENGTH}}}_", re.ASCII)
_KEY = re.compile(rf"lk_([{_ID_ALPHABET}]{{{_ID_LENGTH}}})_([A-Za-z0-9_-]{{43}})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept. Times in µs."""

    key_id: str
    name: str
    role: str
    #: None: all
    programs: frozenset[str] | None
    secret_hash: bytes = field(repr=False)
    create_time: int
    expire_time: int | None
    revoke_time: int | None
    #: calls in a second; 0: any number; None: as everybody
    quota_per_second: int | None = None

    @property
    def actor(self) -> str:
        """What entries call whoever used it."""
        return f"key:{self.name}/{self.key_id}"

    def opens_with(self, secret: str) -> bool:
        """Whether this is its secret, found out in the same time whatever is given."""
        return hmac.compare_digest(self.secret_hash, _hash(secret))


def looks_like_key(text: str) -> bool:
    """Whether somebody has put a key here, or a part of one."""
    return _BEGINNING.search(text) is not None


def parts_of(credential: str) -> tuple[str, str] | None:
    """Id and secret of what has the form of a key."""
    match = _KEY.fullmatch(credential)
    return None if match is None else (match[1], match[2])


def create_key(
    connection: sa.Connection,
    *,
    name: str,
    role: str,
    programs: Sequence[str] | None,
    now: int,
    expire_time: int | None,
    quota_per_second: int | None = None,
) -> tuple[ApiKey, str]:
    """A new key, kept, and the text that its owner needs: nobody can tell it again."""
    key_id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    key = ApiKey(
        key_id=key_id,
        name=name,
        role=role,
        programs=None if programs is None else frozenset(programs),
        secret_hash=_hash(secret),
        create_time=now,
        expire_time=expire_time,
        revoke_time=None,
        quota_per_second=quota_per_second,
    )
    connection.execute(
        sa.insert(api_keys),
        {
            "key_id": key_id,
            "name": name,
            "role": role,
            "programs": None if programs is None else sorted(programs),
            "secret_hash": key.secret_hash,
            "create_time": to_datetime(now),
            "expire_time": None if expire_time is None else to_datetime(expire_time),
            "quota_per_second": quota_per_second,
        },
    )
    return key, f"{PREFIX}{key_id}_{secret}"


def revoke_key(connection: sa.Connection, key_id: str, now: int) -> ApiKey | None:
    """The key, revoked now or before; None when there is none of that id."""
    change = sa.update(api_keys).where(
        api_keys.c.key_id == key_id, api_keys.c.revoke_time.is_(None)
    )
    connection.execute(change.values(revoke_time=to_datetime(now)))
    row = connection.execute(sa.select(api_keys).where(api_keys.c.key_id == key_id)).first()
    return None if row is None else _key_of(row)


def read_keys(connection: sa.Connection) -> list[ApiKey]:
    """All keys, newest first, also those that are good no more."""
    rows = connection.execute(
        sa.select(api_keys).order_by(api_keys.c.create_time.desc(), api_keys.c.key_id)
    )
    return [_key_of(row) for row in rows]


def read_mark(connection: sa.Connection) -> tuple[Any, ...]:
    """What is the same as long as the keys are, and cheap to ask for: how many there are, how many
    are revoked, and the last time of each. No key is ever deleted, changed otherwise, or good
    again."""
    made, revoked = api_keys.c.create_time, api_keys.c.revoke_time
    query = sa.select(
        sa.func.count(made), sa.func.count(revoked), sa.func.max(made), sa.func.max(revoked)
    )
    return tuple(connection.execute(query).one())


def _hash(secret: str) -> bytes:
    return sha256(secret.encode()).digest()


def _key_of(row: sa.Row[Any]) -> ApiKey:
    return ApiKey(
        key_id=row.key_id,
        name=row.name,
        role=row.role,
        programs=None if row.programs is None else frozenset(row.programs),
        secret_hash=bytes(row.secret_hash),
        create_time=to_instant(row.create_time),
        expire_time=optional_instant(row.expire_time),
        revoke_time=optional_instant(row.revoke_time),
        quota_per_second=row.quota_per_second,
    )

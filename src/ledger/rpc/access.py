"""Who calls, and whether they may: from the text of a credential to a principal, and to a yes.

A credential that was recognised once costs a look-up by its digest. What it may do and whether it
is still good is checked for every call. The keys are those of the database, looked at every
REFRESH_SECONDS, which is how long a revocation takes, and what a look takes.

**Development mode.** While no key was ever made and no token keys are given, every caller is the
administrator `developer`, if whoever started the server allows that, which `ledger serve` does on
loopback addresses only. Keys are never deleted, so a ledger that has had a credential asks for one
ever after; and a server that sees the first one while it runs asks from then on.

**Client certificates.** `Terminals` makes a principal of one. A credential in the header goes over
it, unless the certificate is good no more. Whoever configures them starts without `development`.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog

from ledger.core.errors import (
    ApproverNotAllowed,
    CredentialExpired,
    CredentialInvalid,
    CredentialMissing,
    CredentialRevoked,
    LedgerError,
    PermissionDenied,
    StorageUnavailable,
    TokensNotConfigured,
    Unauthenticated,
    invalid,
)
from ledger.core.instants import SECOND, format_instant
from ledger.metrics import Metrics
from ledger.rpc.permissions import check_item
from ledger.rpc.principals import DEVELOPER, Principal
from ledger.rpc.tokens import Tokens
from ledger.store.api_keys import ApiKey, looks_like_key, parts_of, read_keys, read_mark
from ledger.v1 import points_pb2

if TYPE_CHECKING:
    from ledger.rpc.terminals import Terminals

log = structlog.get_logger(__name__)

#: between two looks at the keys, so that a revocation is known within the two seconds promised
REFRESH_SECONDS = 1.5
#: how long keys are believed while the database does not answer
BELIEVED_SECONDS = 60.0
#: credentials in mind; more than that are recognised anew
MAX_SEEN = 10_000
MAX_CREDENTIAL = 4_096
#: between two looks that somebody asks for whose credential nobody knows
_IMPATIENT_SECONDS = 0.25
_SCHEME = "bearer "

#: Engine.query_apart: what a question reads, however many others wait for answers
Query = Callable[[Callable[[sa.Connection], Any]], Awaitable[Any]]


class Access:
    """What this process knows of credentials. `start` keeps it up to date.

    `database` is asked at once for the keys there are, so that no call comes before them.
    """

    def __init__(
        self,
        database: sa.Engine,
        query: Query,
        metrics: Metrics,
        *,
        development: bool,
        token_keys: Path | None,
        terminals: Terminals | None = None,
    ) -> None:
        self._query = query
        self._development = development
        self._terminals = terminals
        self._tokens = None if token_keys is None else Tokens(token_keys, metrics)
        self._keys: Mapping[str, ApiKey] = {}
        self._mark: tuple[Any, ...] | None = None
        #: principals by the digest of their credential, the oldest first
        self._seen: dict[bytes, Principal] = {}
        self._believed_until = 0.0
        self._looking: asyncio.Task[bool] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        #: when the last look began, the last one that has ended, and the last one that saw
        #: something (monotonic seconds)
        self._looked = self._tried_since = self._known_since = 0.0
        self._one_at_a_time = asyncio.Lock()
        with database.connect() as connection:
            self._learn(read_mark(connection), read_keys(connection))
        self._believed_until = time.monotonic() + BELIEVED_SECONDS

    @property
    def in_development(self) -> bool:
        """Whether every caller is an administrator."""
        return self._development

    def start(self) -> None:
        self._refreshing = asyncio.create_task(self._refresh())

    async def stop(self) -> None:
        for task in (self._refreshing, self._looking):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def authenticate(
        self, authorization: str | None, certificate: bytes = b"", *, believing: bool = False
    ) -> Principal:
        """Who sent this header or, without one, who has shown this client certificate (PEM).

        Raises CREDENTIAL_MISSING, CREDENTIAL_INVALID, CREDENTIAL_EXPIRED, CREDENTIAL_REVOKED,
        CERTIFICATE_NOT_LISTED; STORAGE_UNAVAILABLE when the database has not been heard of for too
        long, unless it is for something that tells of just that: `believing` is to take the keys
        for what they were, however long ago.
        """
        if self._development:
            if not believing:
                self._require_fresh()
            return DEVELOPER
        if certificate and self._terminals is not None:
            if not authorization:
                return self._terminals.recognise(certificate)
            self._terminals.require_good(certificate)
        if not authorization:
            raise CredentialMissing()
        if authorization[: len(_SCHEME)].lower() != _SCHEME:
            raise CredentialInvalid()
        if not believing:
            self._require_fresh()
        return await self._recognise(authorization[len(_SCHEME) :], time.monotonic())

    def check(self, principal: Principal) -> None:
        """Whether somebody who was recognised some time ago still would be: asked when a request
        has been read, and for each message of a stream.

        Raises CREDENTIAL_EXPIRED, CREDENTIAL_REVOKED, CREDENTIAL_MISSING, CERTIFICATE_NOT_LISTED,
        STORAGE_UNAVAILABLE.
        """
        if principal.key_id or principal is DEVELOPER:
            self._require_fresh()
        self._require_good(principal)

    def _require_fresh(self) -> None:
        """Raises STORAGE_UNAVAILABLE when nobody knows any more which keys there are."""
        if time.monotonic() > self._believed_until:
            raise StorageUnavailable()

    def _require_good(self, principal: Principal) -> None:
        """Raises CREDENTIAL_EXPIRED, CREDENTIAL_REVOKED, CREDENTIAL_MISSING,
        CERTIFICATE_NOT_LISTED."""
        if principal.expire_time <= time.time():
            ended = format_instant(int(principal.expire_time * SECOND))
            raise CredentialExpired(expire_time=ended)
        if principal.certificate and self._terminals is not None:
            now = self._terminals.recognise(principal.certificate)
            if now != principal:  # its name is still listed, as something else
                raise CredentialRevoked()
        if principal.key_id:
            key = self._keys.get(principal.key_id)
            if key is None or key.revoke_time is not None:
                raise CredentialRevoked()
        if principal.signed_by and not (self._tokens and self._tokens.knows(principal.signed_by)):
            raise CredentialRevoked()
        if principal is DEVELOPER and not self._development:
            raise CredentialMissing()

    async def approve(
        self, principal: Principal, request: points_pb2.AdjustPointsRequest, since: float
    ) -> None:
        """Put the actor in the place of the credential in `request.approver`, so that no secret
        goes any further. The request has come by then (`since`, monotonic seconds).

        Raises APPROVER_NOT_ALLOWED.
        """
        given = request.approver.strip()
        if not given:
            return
        if self._development:
            if looks_like_key(given):
                raise invalid("approver", "is a name while no credentials are configured")
            return
        try:
            self._require_fresh()
            approver = await self._recognise(given, since)
            check_item(approver, "adjust_points", request)
        except (Unauthenticated, PermissionDenied):
            raise ApproverNotAllowed() from None
        if approver.name == principal.name:
            raise ApproverNotAllowed()
        request.approver = approver.actor

    def mint(
        self, principal: Principal, program_id: str, member_id: str, ttl: int, holds: bool
    ) -> tuple[str, int]:
        """A member token, and when it ends (seconds since 1970). Raises TOKENS_NOT_CONFIGURED."""
        if self._tokens is None:
            raise TokensNotConfigured()
        return self._tokens.mint(principal, program_id, member_id, ttl, holds)

    async def _recognise(self, credential: str, since: float) -> Principal:
        """Whose credential it is, which was sent by then. Raises as authenticate."""
        if len(credential) > MAX_CREDENTIAL:
            raise CredentialInvalid()
        # The digest, so that what is kept for long is no secret.
        digest = sha256(credential.encode(errors="replace")).digest()
        principal = self._seen.get(digest)
        if principal is not None and principal.expire_time > time.time():
            return principal
        principal = self._read(credential)
        looked = self._known_since >= since
        if principal is None and self._tried_since < since:  # made a moment ago, perhaps
            looked = await self._look_again()
            principal = self._read(credential)
        if principal is None:
            # A till that is told that its key is wrong does not come again by itself.
            raise CredentialInvalid() if looked else StorageUnavailable()
        if len(self._seen) >= MAX_SEEN:
            del self._seen[next(iter(self._seen))]
        self._seen[digest] = principal
        return principal

    def _read(self, credential: str) -> Principal | None:
        """Whose it is; None when its key is not known."""
        if parts := parts_of(credential):
            return self._read_key(*parts)
        if self._tokens is None or credential.count(".") != 2:
            raise CredentialInvalid()
        found = self._tokens.read(credential)
        if found is None:
            return None
        if found.key_id:  # with a key go the tokens that it had made
            key = self._keys.get(found.key_id)
            if key is None:
                return None
            if key.revoke_time is not None:
                raise CredentialRevoked()
        return found

    def _read_key(self, key_id: str, secret: str) -> Principal | None:
        key = self._keys.get(key_id)
        if key is None:
            return None
        if not key.opens_with(secret):
            raise CredentialInvalid()
        if key.revoke_time is not None:
            raise CredentialRevoked()
        ends = math.inf if key.expire_time is None else key.expire_time / SECOND
        principal = Principal(
            key.actor,
            key.role,
            key.programs,
            key_id=key_id,
            expire_time=ends,
            quota_per_second=key.quota_per_second,
        )
        self._require_good(principal)
        return principal

    async def _look_again(self) -> bool:
        """Look at once, together with everybody else who wants that, but not too often; whether
        there was anything to see."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_soon())
        return await asyncio.shield(self._looking)

    async def _look_soon(self) -> bool:
        await asyncio.sleep(max(0.0, self._looked + _IMPATIENT_SECONDS - time.monotonic()))
        try:
            await self._look()
        except Exception:  # said by whoever looks again and again
            return False
        return True

    async def _refresh(self) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await self._look()
            except LedgerError as error:
                log.warning("keys can not be looked at", reason=error.reason)
            except Exception:
                log.exception("keys can not be looked at")

    async def _look(self) -> None:
        """Learn what has changed. Raises STORAGE_UNAVAILABLE."""
        async with self._one_at_a_time:  # or else what was read first might be learnt last
            self._looked = began = time.monotonic()
            try:
                await self._look_for_news()
            finally:
                self._tried_since = began
            self._known_since, self._believed_until = began, began + BELIEVED_SECONDS

    async def _look_for_news(self) -> None:
        if self._tokens is not None and await asyncio.to_thread(self._tokens.look):
            self._seen.clear()
        mark = await self._query(read_mark)
        if mark != self._mark:
            # Read after the mark: what comes between is read again next time.
            self._learn(mark, await self._query(read_keys))

    def _learn(self, mark: tuple[Any, ...], keys: list[ApiKey]) -> None:
        self._mark = mark
        self._keys = {key.key_id: key for key in keys}
        self._seen.clear()
        if self._development and (keys or self._tokens is not None):
            self._development = False
            log.info("credentials are needed from now on")

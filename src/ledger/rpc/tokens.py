"""Member tokens: a JWT for one member, short-lived, signed and read by the servers of one ledger.

The signing keys are in a file that all servers are given: the first signs, all verify. The one
algorithm is HS256, with keys of 256 random bits: who verifies is who signs, so there is no public
key to hand out, none to mistake for a secret, and nothing to negotiate.

    {"keys": [{"kid": "2kfh…", "secret": "<base64url of 32 bytes>"}, …]}
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import secrets
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import jwt

from ledger.core.errors import CredentialExpired, CredentialInvalid
from ledger.core.instants import SECOND, format_instant
from ledger.metrics import Metrics
from ledger.rpc.principals import MEMBER, MEMBER_HOLDS, Principal
from ledger.rpc.renewed import FilesUnusable, Renewed, read_file

ISSUER: Final = "ledger"
AUDIENCE: Final = "ledger-member"
_ALGORITHM: Final = "HS256"
MAX_TTL_SECONDS: Final = 3_600
DEFAULT_TTL_SECONDS: Final = 900
#: how far the clocks of two servers may be apart
_LEEWAY_SECONDS: Final = 5
_SECRET_BYTES: Final = 32
_CLAIMS: Final = ["iss", "aud", "sub", "iat", "exp"]


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A signing key: its public id, and the secret."""

    kid: str
    secret: bytes = field(repr=False)
    #: whether it only verifies, and will sign after the next rotation
    staged: bool = False

    @property
    def fingerprint(self) -> bytes:
        """Tells it from all others, also from one that was put in its place under the same id, and
        says nothing of the secret."""
        return sha256(self.secret).digest()


def new_token_key(*, staged: bool = False) -> TokenKey:
    return TokenKey(secrets.token_hex(6), secrets.token_bytes(_SECRET_BYTES), staged)


def load_token_keys(path: Path) -> list[TokenKey]:
    """The keys of a file, in its order. Raises FilesUnusable."""
    text = read_file("LEDGER_TOKEN_KEYS", path)
    try:
        document = json.loads(text)
        keys = [
            TokenKey(each["kid"], _secret(each["secret"]), each.get("staged") is True)
            for each in document["keys"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise FilesUnusable(
            f"{path} is not a file of signing keys: `ledger keys rotate-token-key` makes one"
        ) from None
    kids = [key.kid for key in keys]
    if not all(isinstance(kid, str) and 1 <= len(kid) <= 64 for kid in kids):
        raise FilesUnusable(f"{path}: each kid must be a text of 1 to 64 characters")
    if not keys or len(set(kids)) < len(kids):
        raise FilesUnusable(f"{path} must hold at least one key, and each kid once")
    if any(len(key.secret) < _SECRET_BYTES for key in keys):
        raise FilesUnusable(f"{path}: each secret must have at least {_SECRET_BYTES} bytes")
    return keys


def save_token_keys(path: Path, keys: Sequence[TokenKey]) -> None:
    """Replace the file as a whole: owner and mode stay, a new one is its owner's only.

    Raises OSError.
    """
    path = path.resolve()
    document = {"keys": [_plain(key) for key in keys]}
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            if path.exists():
                before = path.stat()
                os.fchown(descriptor, before.st_uid, before.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
            file.write(json.dumps(document, indent=1) + "\n")
            file.flush()
            os.fsync(descriptor)
        unfinished.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise


def rotated(keys: Sequence[TokenKey], *, keep: int, stage: bool) -> tuple[list[TokenKey], str]:
    """The keys after a rotation, and the id of the one that signs.

    A new one signs, or the one that was staged, which is the last and so far only verifies; so
    many earlier ones still verify. To `stage` is to add a key that does not sign yet.
    """
    if stage and keys:
        return [*(key for key in keys if not key.staged), new_token_key(staged=True)], keys[0].kid
    staged = next((key for key in keys if key.staged), None)
    first = new_token_key() if staged is None else replace(staged, staged=False)
    earlier = [key for key in keys if not key.staged]
    return [first, *earlier[:keep]], first.kid


def _secret(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError from None


def _plain(key: TokenKey) -> dict[str, Any]:
    text = base64.urlsafe_b64encode(key.secret).decode().rstrip("=")
    staged = {"staged": True} if key.staged else {}
    return {"kid": key.kid, "secret": text, **staged}


class Tokens:
    """Mints and reads member tokens with the keys of a file, which may change meanwhile."""

    def __init__(self, path: Path, metrics: Metrics) -> None:
        """Raises FilesUnusable."""
        self._keys = Renewed("token keys", [path], partial(load_token_keys, path), metrics)

    def look(self) -> bool:
        """Whether there are other keys now."""
        before = self._keys.value
        self._keys.look()
        return self._keys.value is not before

    def knows(self, fingerprint: bytes) -> bool:
        """Whether the key still verifies."""
        return any(key.fingerprint == fingerprint for key in self._keys.value)

    def mint(
        self, minter: Principal, program_id: str, member_id: str, ttl: int, holds: bool
    ) -> tuple[str, int]:
        """A token for so many seconds, and when it ends (seconds since 1970): with the credential
        of whoever asks for it, at the latest."""
        now = int(time.time())
        ends = int(min(now + ttl, minter.expire_time))
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": member_id,
            "program": program_id,
            "by": minter.actor,
            "iat": now,
            "exp": ends,
        }
        if holds:
            claims["holds"] = True
        key = self._keys.value[0]
        return jwt.encode(claims, key.secret, _ALGORITHM, headers={"kid": key.kid}), ends

    def read(self, token: str) -> Principal | None:
        """Whose token it is; None when no key here has signed it.

        Raises CREDENTIAL_EXPIRED, CREDENTIAL_INVALID.
        """
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            key = next((key for key in self._keys.value if key.kid == kid), None)
            if key is None:
                return None
            claims = jwt.decode(
                token,
                key.secret,
                algorithms=[_ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                leeway=_LEEWAY_SECONDS,
                options={"require": _CLAIMS, "verify_exp": False},
            )
        except jwt.PyJWTError:
            raise CredentialInvalid() from None
        return _principal_of(claims, key)


def _principal_of(claims: dict[str, Any], key: TokenKey) -> Principal:
    """What signed claims say. Raises CREDENTIAL_EXPIRED, CREDENTIAL_INVALID."""
    try:
        program_id, member_id, by = (str(claims[name]) for name in ("program", "sub", "by"))
        begins, ends = int(claims["iat"]), int(claims["exp"])
    except (KeyError, OverflowError, TypeError, ValueError):
        raise CredentialInvalid() from None
    holds = claims.get("holds") is True
    if not program_id or not member_id or ends - begins > MAX_TTL_SECONDS:
        raise CredentialInvalid()
    if ends <= time.time():
        raise CredentialExpired(expire_time=format_instant(ends * SECOND))
    return Principal(
        actor=f"member:{member_id}",
        role=MEMBER_HOLDS if holds else MEMBER,
        programs=frozenset((program_id,)),
        member_id=member_id,
        key_id=by.rpartition("/")[2] if by.startswith("key:") else "",
        signed_by=key.fingerprint,
        expire_time=ends,
    )

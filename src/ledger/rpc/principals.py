"""Who calls: principals and their roles. Imports nothing of the rest of the package."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

TILL: Final = "till"
SHOP: Final = "shop"
SUPPORT: Final = "support"
ADMIN: Final = "admin"
AUDITOR: Final = "auditor"
#: what a key or a certificate may be for
ROLES: Final = (TILL, SHOP, SUPPORT, ADMIN, AUDITOR)

#: what a member token is for: one member's reads
MEMBER: Final = "member"
#: a member token that may also hold points, and release holds
MEMBER_HOLDS: Final = "member-holds"


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who was recognised, by whichever kind of credential. Holds no secret.

    A new kind of credential makes one of these and is done: what it may do follows from `role`,
    `programs` and `member_id`. `actor` must be another one for each principal of a program, at most
    140 printable characters, and begin with its kind: `key:…`, `certificate:…`, `member:…`.
    """

    #: what entries call it
    actor: str
    role: str
    #: the programs it is for; None: all
    programs: frozenset[str] | None = None
    #: the only member that it is for; empty: all
    member_id: str = ""
    #: the API key that it stands and falls with, if any: its own, or that of who minted its token
    key_id: str = ""
    #: tells which key signed the token that it stands and falls with, if any
    signed_by: bytes = b""
    #: the client certificate (PEM) that it stands and falls with, if any
    certificate: bytes = field(default=b"", repr=False)
    #: when its credential ends (seconds since 1970): a stream must not last longer
    expire_time: float = math.inf
    #: calls that it may make in a second; 0: any number; None: as everybody
    quota_per_second: float | None = None

    @property
    def name(self) -> str:
        """Whose it is: the same for several keys of one name."""
        return self.actor.partition("/")[0] if self.actor.startswith("key:") else self.actor

    @property
    def caller(self) -> str:
        """Tells it from everybody else: members of two programs may have one id."""
        return "/".join((*(self.programs or ()), self.actor)) if self.member_id else self.actor


#: every caller, while nobody has ever been given a credential
DEVELOPER: Final = Principal(actor="developer", role=ADMIN)

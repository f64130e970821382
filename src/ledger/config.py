"""The settings of a server: one frozen object from environment variables LEDGER_* and flags.

Flags go over the environment. Imported by the command line only, and there as late as possible:
pydantic takes a quarter of a second to load. Imports nothing of the rest of the package.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, ValidationInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_SCHEMES = ("postgresql://", "postgres://", "postgresql+psycopg2://")


class SettingsInvalid(Exception):
    """Settings that can not be used; `faults` has one (name, what is allowed) for each."""

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{name}: {description}" for name, description in faults))


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:50051`, `localhost:0` or `[::1]:50051`.

    Raises ValueError with what is allowed.
    """
    host, colon, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(
            f"must be HOST:PORT, such as 127.0.0.1:50051 (port 0: any free one), not {address!r}"
        )
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address. Names other than localhost are not asked."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _listening(address: str, known: ValidationInfo) -> str:
    host, _ = split_address(address)
    private = known.data.get("tls_certificate") or known.data.get("behind_tls_proxy")
    if not private and not is_loopback(host):
        raise ValueError(
            f"{host} can be reached from other machines, and whoever is in between could read "
            "credentials and what is known of members. It takes LEDGER_TLS_CERTIFICATE and "
            "LEDGER_TLS_KEY or, where a proxy speaks TLS and nobody gets past it, "
            "LEDGER_BEHIND_TLS_PROXY=true. Without them only loopback addresses are allowed, such "
            "as 127.0.0.1 or localhost"
        )
    return address


def _postgresql(url: str) -> str:
    if not url.startswith(_SCHEMES):  # never repeated: it may hold a password
        raise ValueError(
            "must be the address of a PostgreSQL database, such as "
            "postgresql://user:password@host:5432/database"
        )
    return url


def _listed(text: object) -> object:
    """The parts of a list with commas."""
    if not isinstance(text, str):
        return text
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        _check_origin(origin)
    return origins


def _check_origin(origin: str) -> None:
    """Raises ValueError unless a browser sends exactly this text as the origin of a page.

    A page that came by plain HTTP may have been changed on its way, and would be given the
    members' tokens: only this machine's may.
    """
    expected = "" if "*" in origin else _origin_as_sent(origin)
    if origin != expected:
        hint = f", so {expected}" if expected else ""
        raise ValueError(
            f"{origin!r} is no origin. Each must be written as browsers send it{hint}: scheme and "
            "host in small letters, a port only if it is not the usual one, no path and no "
            "wildcard, such as https://shop.example or https://shop.example:8443"
        )
    parts = urlsplit(origin)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError(
            f"{origin} is not safe: pages that come by plain http can be changed on their way and "
            "would get members' tokens. It must be https; http is for this machine only, such as "
            "http://localhost:8000"
        )


def _origin_as_sent(text: str) -> str:
    """The origin that a browser sends for pages of this address; empty if it is none."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
        host = f"[{ip_address(host).compressed}]" if ":" in host else host
    except ValueError:
        return ""
    known = {"http": 80, "https": 443}
    if parts.scheme not in known or not re.fullmatch(r"[a-z0-9._-]+|\[[0-9a-f:]+\]", host):
        return ""
    suffix = "" if port in (None, known[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{suffix}"


def _beside(other: str, *, always: bool = False) -> AfterValidator:
    """A file that is of use with another one only and, if so said, which that one takes."""

    def check(file: Path | None, known: ValidationInfo) -> Path | None:
        given = known.data.get(other)
        if always and given is not None and file is None:
            raise ValueError(f"must be given together with LEDGER_{other.upper()}")
        if file is not None and given is None and other in known.data:
            raise ValueError(f"is of no use without LEDGER_{other.upper()}")
        return file

    return AfterValidator(check)


#: Settings that keep somebody out. One of them misspelt must not leave the door open unnoticed.
_GUARDS = (
    "tls_certificate",
    "tls_key",
    "tls_client_ca",
    "tls_client_names",
    "tls_revoked",
    "behind_tls_proxy",
    "quota_per_second",
    "require_credentials",
    "token_keys",
)
#: from where on a name is taken for another one misspelt (difflib's ratio)
_ALIKE = 0.8
#: a name of more characters is taken for the beginning of another one
_SHORT = 4

#: no file, which is looked at all the same
_CHECKED: Any = Field(default=None, validate_default=True)


class Settings(BaseSettings):
    """What `ledger serve`, `migrate`, `verify` and `embedded` run with."""

    model_config = SettingsConfigDict(
        env_prefix="LEDGER_", frozen=True, extra="forbid", env_ignore_empty=True
    )

    #: None: an embedded PostgreSQL under data_dir
    database_url: Annotated[str, AfterValidator(_postgresql)] | None = None
    data_dir: Path = Path(".ledger")
    #: PEM files; both or neither: then both ports speak TLS
    tls_certificate: Path | None = None
    tls_key: Annotated[Path | None, _beside("tls_certificate", always=True)] = _CHECKED
    #: PEM: the CAs of client certificates, which make principals by the names in the other file
    tls_client_ca: Annotated[Path | None, _beside("tls_certificate")] = None
    tls_client_names: Annotated[Path | None, _beside("tls_client_ca", always=True)] = _CHECKED
    #: CRLs, or serial numbers, of client certificates that are good no more
    tls_revoked: Annotated[Path | None, _beside("tls_client_ca")] = None
    #: a proxy in front of this server speaks TLS, and nobody gets past it
    behind_tls_proxy: bool = False
    grpc_address: Annotated[str, AfterValidator(_listening)] = "127.0.0.1:50051"
    http_address: Annotated[str, AfterValidator(_listening)] = "127.0.0.1:8080"
    #: origins, such as https://shop.example, whose pages may call the HTTP port
    web_origins: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(_listed), AfterValidator(_origins)
    ] = ()
    #: calls that one principal may make in a second, each item of a batch being one; 0: any number
    quota_per_second: float = Field(default=0.0, ge=0, le=1_000_000)
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    #: commands that may wait to be written; more are refused as OVERLOADED
    queue_limit: int = Field(default=10_000, ge=1, le=1_000_000)
    #: commands that are written in one transaction, at most
    batch_limit: int = Field(default=1_000, ge=1, le=10_000)
    #: streams of balances and events that may be open in one service process
    stream_limit: int = Field(default=1_000, ge=0, le=100_000)
    #: between two looks for what has fallen due; 0: other servers look
    scheduler_seconds: float = Field(default=1.0, ge=0, le=3600)
    #: calls that take so long are logged; 0: none is
    slow_seconds: float = Field(default=1.0, ge=0, le=3600)
    #: make spans of calls, for OpenTelemetry
    tracing: bool = False
    #: between two counts of what members have; 0: other servers count
    census_seconds: float = Field(default=15.0, ge=0, le=3600)
    #: entries that are verified in the background in a second; 0: other servers verify
    verify_rate: float = Field(default=200.0, ge=0, le=100_000)
    #: service processes that share both ports
    workers: int = Field(default=1, ge=1, le=64)
    #: each service process keeps to a processor of its own; None: several do, if there are enough
    pin: bool | None = None
    #: ask every caller for a credential, even before there is one
    require_credentials: bool = False
    #: the file of keys that sign member tokens; None: there are no such tokens
    token_keys: Path | None = None
    #: accept a database that could lose what was confirmed; for tests only
    allow_unsafe_database: bool = False

    @property
    def development(self) -> bool:
        """Whether every caller is an administrator as long as nobody was ever given a credential:
        never where somebody else can reach the server, by itself or by way of a proxy."""
        hosts = (split_address(each)[0] for each in (self.grpc_address, self.http_address))
        files = (self.token_keys, self.tls_client_ca)
        wanted = self.require_credentials or any(file is not None for file in files)
        return not (wanted or self.behind_tls_proxy) and all(is_loopback(host) for host in hosts)


def load(flags: Mapping[str, object]) -> Settings:
    """The settings: flags that are not None, then the environment, then defaults.

    Raises SettingsInvalid with every fault, named as the caller gave it.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    faults = list(_misspelt(os.environ))
    try:
        settings = Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        faults += [
            (_where(str(fault["loc"][0]), given), _what(fault["msg"]))
            for fault in error.errors(include_url=False)
        ]
        raise SettingsInvalid(faults) from None
    if faults:
        raise SettingsInvalid(faults)
    return settings


def _misspelt(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    """The variables that look like one of _GUARDS and are none."""
    prefix = "LEDGER_"
    for name in names:
        setting = name.lower().removeprefix(prefix.lower())
        if not name.upper().startswith(prefix) or setting in Settings.model_fields:
            continue
        meant = get_close_matches(setting, _GUARDS, 1, _ALIKE)
        if not meant and len(setting) > _SHORT:
            meant = [guard for guard in _GUARDS if guard.startswith(setting)]
        if meant:
            yield name, f"is no setting; {prefix}{meant[0].upper()} is"


def _where(name: str, given: Mapping[str, object]) -> str:
    flag = f"--{name.replace('_', '-')}"
    return flag if name in given else f"LEDGER_{name.upper()}"


def _what(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return text.replace("Input should be", "must be")

"""What a server needs to know. Imports nothing, so that whoever starts servers need not be one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TlsOptions:
    """The files of TLS. They are looked at again and again while the server runs."""

    #: PEM: the certificate and whatever leads from it to a CA that clients know
    certificate: Path
    #: PEM, not encrypted
    key: Path
    #: PEM: the CAs of client certificates; None: nobody is asked for one
    client_ca: Path | None = None
    #: YAML: which of their names may call, as what; with client_ca only, and always
    client_names: Path | None = None
    #: CRLs, or serial numbers: the client certificates that are good no more
    revoked: Path | None = None


@dataclass(frozen=True)
class ServeOptions:
    """What a server needs to know; the command line makes it from Settings."""

    database_url: str
    grpc_address: str
    http_address: str
    #: commands that may wait to be written
    queue_limit: int = 10_000
    #: commands written in one transaction
    batch_limit: int = 1_000
    #: streams of balances and events that may be open
    stream_limit: int = 1_000
    #: between two looks for what has fallen due; 0: this server does not look
    scheduler_seconds: float = 1.0
    #: calls that take so long are logged; 0: none is
    slow_seconds: float = 1.0
    #: make spans of calls; needs OpenTelemetry
    tracing: bool = False
    #: between two counts of what members have; 0: this server does not count
    census_seconds: float = 15.0
    #: entries that are verified in a second; 0: this server does not verify
    verify_rate: float = 200.0
    #: accept a database that may lose what it acknowledged (tests only)
    allow_unsafe_database: bool = False
    #: other processes of the same service listen on the same ports
    share_ports: bool = False
    #: each process keeps to a processor of its own
    pin: bool = False
    #: origins, such as https://shop.example, whose pages may call the HTTP port
    web_origins: tuple[str, ...] = ()
    #: None: both ports speak plain text
    tls: TlsOptions | None = None
    #: calls that one principal may make in a second, each item of a batch being one; 0: any number
    quota_per_second: float = 0.0
    #: while nobody was ever given a credential, every caller is an administrator: only where nobody
    #: else can reach the server
    development: bool = False
    #: the file of keys that sign member tokens; None: there are no such tokens
    token_keys: Path | None = None

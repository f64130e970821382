"""Who calls, and how the channel is secured: an API key, a CA, a client certificate.

The key goes with each call and is never shown: not in a repr, an error or a log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import grpc

#: schemes that say whether TLS is spoken, whatever else is given
_PLAIN, _SECURE = "http://", "https://"

_OPTIONS: Final = [
    ("grpc.enable_retries", 0),  # one layer of retries only: ours
    # A connection of its own, so that one client's trouble is not another's backoff.
    ("grpc.use_local_subchannel_pool", 1),
    # A network that is gone without a word is noticed while nothing is asked, too.
    # Servers allow a ping every 20 s. What is not acknowledged in time ends the connection, too.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", 16 << 20),
    # A document with a hundred faults is answered in the trailing metadata.
    ("grpc.max_metadata_size", 64 << 10),
    ("grpc.absolute_max_metadata_size", 64 << 10),
]


@dataclass(frozen=True, slots=True)
class Credentials:
    """How a client shows who it is, and knows whom it talks to. All of it may be absent.

    `api_key` is the whole key, `lk_…`. `ca_file` has the certificates (PEM) that the server's must
    be signed by; default: those the system trusts. `client_certificate` and `client_key` are files
    (PEM) for mutual TLS, given together or not at all.
    """

    api_key: str = field(default="", repr=False)
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None

    def __post_init__(self) -> None:
        if (self.client_certificate is None) != (self.client_key is None):
            raise ValueError("a client certificate and its key are given together, or neither")
        if not (self.api_key.isascii() and self.api_key.isprintable()) or " " in self.api_key:
            raise ValueError("the API key has characters that no key has: was it copied whole?")

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with each call."""
        return (("authorization", f"Bearer {self.api_key}"),) if self.api_key else ()


def open_channel(address: str, credentials: Credentials) -> grpc.Channel:
    """A channel to `host:port`. Nothing is sent before the first call.

    TLS is spoken unless the host is this machine itself and no certificate is named. `https://` and
    `http://` before the address say which it is. Raises ValueError for an address, and OSError for
    a file, that can not be used.
    """
    target, secure = _target(address, credentials)
    if not secure:
        return grpc.insecure_channel(target, options=_OPTIONS)
    certificate, key = credentials.client_certificate, credentials.client_key
    tls = grpc.ssl_channel_credentials(
        root_certificates=credentials.ca_file.read_bytes() if credentials.ca_file else None,
        private_key=key.read_bytes() if key else None,
        certificate_chain=certificate.read_bytes() if certificate else None,
    )
    return grpc.secure_channel(target, tls, options=_OPTIONS)


def _target(address: str, credentials: Credentials) -> tuple[str, bool]:
    """`host:port`, and whether TLS is spoken there."""
    for scheme in (_PLAIN, _SECURE):
        if address.startswith(scheme):
            rest = address.removeprefix(scheme).rstrip("/")
            if scheme == _PLAIN and (credentials.ca_file or credentials.client_certificate):
                raise ValueError(f"certificates are of no use at {address}: it is not https://")
            return _checked(rest, address), scheme == _SECURE
    target = _checked(address, address)
    named = credentials.ca_file or credentials.client_certificate
    return target, bool(named) or not _is_this_machine(target)


def _checked(target: str, address: str) -> str:
    host, colon, port = target.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise ValueError(f"the address must be HOST:PORT such as 127.0.0.1:50051, not {address!r}")
    return target


def _is_this_machine(target: str) -> bool:
    host = target.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False

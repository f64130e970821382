"""TLS on both ports, with files that may change while the server runs.

New connections get what the files say now; those that are open keep what they began with.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from ledger.metrics import Metrics
from ledger.rpc.options import TlsOptions
from ledger.rpc.renewed import FilesUnusable, Renewed, Renewing, read_file


class Material(NamedTuple):
    """What a server shows, and whom it believes, ready for both ports."""

    grpc: grpc.ServerCertificateConfiguration
    http: ssl.SSLContext


class Tls:
    """The TLS of one server process. Raises FilesUnusable."""

    def __init__(self, options: TlsOptions, metrics: Metrics) -> None:
        def read() -> Material:
            return read_material(options, metrics)

        files = [options.certificate, options.key]
        self._material = Renewed("certificate", files, read, metrics)
        self._renewing = Renewing([self._material])

    def start(self) -> None:
        """Look at the files from now on."""
        self._renewing.start()

    async def stop(self) -> None:
        await self._renewing.stop()

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """What a gRPC port is opened with: each new connection begins with the latest files."""
        given = self._material.value

        def fetch() -> grpc.ServerCertificateConfiguration | None:
            """Asked for each new connection. None: nothing has changed."""
            nonlocal given
            latest = self._material.value
            if latest is given:
                return None
            given = latest
            return latest.grpc

        # The type of grpc's parameter leaves out that None is an answer.
        fetcher = cast(Callable[[], grpc.ServerCertificateConfiguration], fetch)
        return grpc.dynamic_ssl_server_credentials(given.grpc, fetcher, False)

    def http_context(self) -> ssl.SSLContext:
        """What the HTTP port is opened with: each new connection begins with the latest files."""
        context = _LatestContext(ssl.PROTOCOL_TLS_SERVER)
        context.latest = lambda: self._material.value.http
        return context


class _LatestContext(ssl.SSLContext):
    """Leaves every connection to the context of the latest files: one that is in use can be given
    other certificates, but no CA can be taken out of it."""

    latest: Callable[[], ssl.SSLContext]

    def wrap_bio(self, *arguments: Any, **named: Any) -> ssl.SSLObject:
        return self.latest().wrap_bio(*arguments, **named)


def read_material(options: TlsOptions, metrics: Metrics) -> Material:
    """The files, each of them sound and all of them fitting together. Raises FilesUnusable."""
    where = f"LEDGER_TLS_CERTIFICATE: {options.certificate}"
    chain_pem = read_file("LEDGER_TLS_CERTIFICATE", options.certificate)
    key_pem = read_file("LEDGER_TLS_KEY", options.key)
    chain = certificates_of(where, chain_pem)
    if _spki(chain[0].public_key()) != _spki(_key(options, key_pem).public_key()):
        raise FilesUnusable(
            f"LEDGER_TLS_KEY: {options.key}: is not the key of {options.certificate}"
        )
    ends = min(certificate.not_valid_after_utc for certificate in chain)
    if ends <= datetime.now(UTC):
        raise FilesUnusable(f"{where}: expired at {ends.isoformat()}")
    material = Material(
        grpc.ssl_server_certificate_configuration([(key_pem, chain_pem)], None), _context(options)
    )
    metrics.certificate_expiry.labels("server").set(ends.timestamp())
    return material


def certificates_of(where: str, pem: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM file, at least one. Raises FilesUnusable."""
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except ValueError:
        raise FilesUnusable(f"{where}: is no certificate in PEM") from None


def _key(options: TlsOptions, pem: bytes) -> Any:
    where = f"LEDGER_TLS_KEY: {options.key}"
    try:
        return load_pem_private_key(pem, None)
    except TypeError:
        raise FilesUnusable(f"{where}: is encrypted; the key must be readable as it is") from None
    except Exception:  # whatever it says may tell of the key
        raise FilesUnusable(f"{where}: is no private key in PEM") from None


def _spki(public_key: Any) -> bytes:
    return cast(bytes, public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _context(options: TlsOptions) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(options.certificate, options.key)
    except (ssl.SSLError, OSError) as error:
        detail = getattr(error, "reason", None) or error.strerror
        raise FilesUnusable(f"LEDGER_TLS_CERTIFICATE: {options.certificate}: {detail}") from None
    return context

"""The files of TLS: read, and checked as a whole before anything is done with them.

Imports no grpc, so that the process that only watches workers can check them, too.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from ledger.metrics import Metrics
from ledger.rpc.options import TlsOptions
from ledger.rpc.renewed import FilesUnusable, read_file
from ledger.rpc.terminals import read_clients, read_revoked

#: what a part of a PEM file ends with
_END = re.compile(rb"-----END [A-Z0-9 ]+-----")


@dataclass(frozen=True, slots=True, repr=False)
class Material:
    """What a server shows, and whom it believes. Has no repr: one would show the key."""

    #: PEM
    chain: bytes
    key: bytes
    client_ca: bytes
    #: the same for Python's TLS
    context: ssl.SSLContext
    #: the CAs of client certificates; empty: nobody is asked for one
    client_cas: tuple[x509.Certificate, ...]


def check_files(options: TlsOptions) -> None:
    """Raises FilesUnusable unless a server could start with these files."""
    metrics = Metrics()
    material = read_material(options, metrics)
    if options.client_names is not None:
        read_clients(options.client_names)
    if options.revoked is not None:
        read_revoked(options.revoked, material.client_cas, metrics)


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
    # What leads to a CA may hold more than is needed, and some of it may be past its time.
    if chain[0].not_valid_after_utc <= datetime.now(UTC):
        raise FilesUnusable(f"{where}: expired at {chain[0].not_valid_after_utc.isoformat()}")
    ends = min(certificate.not_valid_after_utc for certificate in chain)
    client_ca, client_cas = b"", tuple[x509.Certificate, ...]()
    if options.client_ca is not None:
        client_ca = read_file("LEDGER_TLS_CLIENT_CA", options.client_ca)
        client_cas = certificates_of(f"LEDGER_TLS_CLIENT_CA: {options.client_ca}", client_ca)
    context = _context(options, client_ca)
    expiry = metrics.certificate_expiry
    expiry.labels("server").set(ends.timestamp())
    if client_cas:
        last = max(certificate.not_valid_after_utc for certificate in client_cas)
        expiry.labels("client_ca").set(last.timestamp())
    return Material(chain_pem, key_pem, client_ca, context, client_cas)


def certificates_of(where: str, pem: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM file, at least one. Raises FilesUnusable."""
    if pem.count(b"-----BEGIN") != len(
        _END.findall(pem)
    ):  # somebody writes it, or the disk is full
        raise FilesUnusable(f"{where}: is not whole: a part of it does not end")
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


def _context(options: TlsOptions, client_ca: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(options.certificate, options.key)
        if client_ca:
            context.load_verify_locations(cadata=client_ca.decode("ascii", "replace"))
            context.verify_mode = ssl.CERT_OPTIONAL
    except (ssl.SSLError, OSError) as error:
        detail = getattr(error, "reason", None) or error.strerror
        raise FilesUnusable(f"LEDGER_TLS_CERTIFICATE: {options.certificate}: {detail}") from None
    return context

"""Certificates for tests: an authority of the test's own, and the files that servers are given."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from ledger.rpc.options import TlsOptions


def chain_of(certificate: trustme.LeafCert) -> bytes:
    return b"".join(blob.bytes() for blob in certificate.cert_chain_pems)


def key_of(certificate: trustme.LeafCert) -> bytes:
    return certificate.private_key_pem.bytes()


def parsed(certificate: trustme.LeafCert) -> x509.Certificate:
    return x509.load_pem_x509_certificate(certificate.cert_chain_pems[0].bytes())


def write(path: Path, data: bytes) -> Path:
    """Put a file in the place of another one in one step, as careful tools do."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(data)
    os.replace(new, path)
    return path


class Files:
    """The files of a server, in a directory of the test's own."""

    def __init__(self, directory: Path, authority: trustme.CA) -> None:
        self.authority = authority
        self.certificate = directory / "server.pem"
        self.key = directory / "server.key"
        self.ca = write(directory / "ca.pem", authority.cert_pem.bytes())
        self.renew()

    @property
    def options(self) -> TlsOptions:
        return TlsOptions(self.certificate, self.key)

    def renew(self, authority: trustme.CA | None = None) -> int:
        """A new certificate and key for localhost; its serial number."""
        issued = (authority or self.authority).issue_cert("localhost", "127.0.0.1")
        write(self.certificate, chain_of(issued))
        write(self.key, key_of(issued))
        return parsed(issued).serial_number


def expired(authority: trustme.CA, *names: str) -> trustme.LeafCert:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    return authority.issue_cert(*names, not_before=yesterday - timedelta(1), not_after=yesterday)


def encrypted(key: bytes) -> bytes:
    loaded = load_pem_private_key(key, None)
    return loaded.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )

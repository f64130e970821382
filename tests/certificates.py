"""Certificates for tests: an authority of the test's own, and the files that servers are given."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from ledger.rpc.options import TlsOptions


def chain_of(certificate: trustme.LeafCert) -> bytes:
    return b"".join(blob.bytes() for blob in certificate.cert_chain_pems)


def key_of(certificate: trustme.LeafCert) -> bytes:
    return certificate.private_key_pem.bytes()


def certificate_of(certificate: trustme.LeafCert) -> x509.Certificate:
    return x509.load_pem_x509_certificate(certificate.cert_chain_pems[0].bytes())


def write(path: Path, data: bytes) -> Path:
    """Put a file in the place of another one in one step, as careful tools do."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(data)
    os.replace(new, path)
    return path


class Files:
    """The files of a server, in a directory of the test's own; of terminals, if it knows a CA."""

    def __init__(
        self, directory: Path, authority: trustme.CA, terminals: trustme.CA | None = None
    ) -> None:
        self.authority = authority
        self.terminals = terminals
        self.client_ca = directory / "client-ca.pem"
        self.client_names = directory / "names.yaml"
        self.revoked = directory / "revoked.pem"
        if terminals is not None:
            write(self.client_ca, terminals.cert_pem.bytes())
        self.certificate = directory / "server.pem"
        self.key = directory / "server.key"
        self.ca = write(directory / "ca.pem", authority.cert_pem.bytes())
        self.renew()

    @property
    def options(self) -> TlsOptions:
        if self.terminals is None:
            return TlsOptions(self.certificate, self.key)
        clients = self.client_ca, self.client_names, self.revoked
        return TlsOptions(self.certificate, self.key, *clients)

    def renew(self, authority: trustme.CA | None = None) -> int:
        """A new certificate and key for localhost; its serial number."""
        issued = (authority or self.authority).issue_cert("localhost", "127.0.0.1")
        write(self.certificate, chain_of(issued))
        write(self.key, key_of(issued))
        return certificate_of(issued).serial_number


def with_names(
    authority: trustme.CA,
    *names: str,
    common_name: str = "",
    extension: x509.ExtensionType | None = None,
) -> bytes:
    """A certificate (PEM) for DNS names and URIs, however odd."""
    now = datetime.now(UTC)
    key: Any = load_pem_private_key(authority.private_key_pem.bytes(), None)
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    sans = [x509.UniformResourceIdentifier(n) if ":" in n else x509.DNSName(n) for n in names]
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(subject))
        .issuer_name(x509.load_pem_x509_certificate(authority.cert_pem.bytes()).subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=True)
    if extension is not None:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def expired(authority: trustme.CA, *names: str) -> trustme.LeafCert:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    return authority.issue_cert(*names, not_before=yesterday - timedelta(1), not_after=yesterday)


def encrypted(key: bytes) -> bytes:
    loaded = load_pem_private_key(key, None)
    return loaded.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )


def revoking(
    authority: trustme.CA,
    *certificates: trustme.LeafCert,
    days: int = 30,
    extension: x509.ExtensionType | None = None,
    issuer: x509.Name | None = None,
) -> bytes:
    """The authority's list of revoked certificates (PEM), to be renewed after so many days."""
    now = datetime.now(UTC)
    key: Any = load_pem_private_key(authority.private_key_pem.bytes(), None)
    own = x509.load_pem_x509_certificate(authority.cert_pem.bytes()).subject
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer or own)
        .last_update(now - timedelta(days=60))
        .next_update(now + timedelta(days=days))
    )
    if extension is not None:
        builder = builder.add_extension(extension, critical=True)
    for certificate in certificates:
        revoked = x509.RevokedCertificateBuilder().revocation_date(now)
        revoked = revoked.serial_number(certificate_of(certificate).serial_number)
        builder = builder.add_revoked_certificate(revoked.build())
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)

"""Who calls with which client certificate: names that may call, and certificates revoked.

TLS has made sure that a certificate is of the CA for clients and in its time. Here its name becomes
a principal, and it is looked up among the revoked: for every call, so that a revocation reaches
connections that are open.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog
import yaml
from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from ledger.core.errors import (
    CertificateNotListed,
    CredentialExpired,
    CredentialRevoked,
    Violation,
)
from ledger.core.instants import SECOND, format_instant
from ledger.core.section import Section
from ledger.metrics import Metrics
from ledger.rpc.options import TlsOptions
from ledger.rpc.principals import ROLES, Principal
from ledger.rpc.quotas import MAX_QUOTA
from ledger.rpc.renewed import FilesUnusable, Renewed, read_file

log = structlog.get_logger(__name__)

#: certificates in mind; more than that are read anew
MAX_SEEN: Final = 10_000
_MAX_CLIENTS = 10_000
_NAME = re.compile(r"(\*\.)?[A-Za-z0-9_:/.@-]{1,128}", re.ASCII)
_SERIAL = re.compile(r"[0-9a-f]{1,40}", re.ASCII)
_CRL = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)
_CRL_BEGINS = b"-----BEGIN X509 CRL-----"
#: what is raised for a certificate, or a list of the revoked, that is too odd
_UNREADABLE = (
    ValueError,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)

#: the issuer's name, however its texts are encoded (empty: any), and the serial number
Revoked = frozenset[tuple[str, int]]


class Client(NamedTuple):
    """A line of the file of names: who may call with certificates of a name."""

    #: as `_folded` has it; "*." at its beginning stands for one label
    name: str
    role: str
    #: None: all
    programs: frozenset[str] | None
    #: None: as everybody
    quota_per_second: float | None


class _Certificate(NamedTuple):
    """What counts of a certificate."""

    names: tuple[str, ...]
    issuer: str
    serial: int
    #: seconds since 1970
    expire_time: float


class Terminals:
    """Recognises client certificates by files that may change. Raises FilesUnusable."""

    def __init__(
        self,
        options: TlsOptions,
        client_cas: Callable[[], tuple[x509.Certificate, ...]],
        metrics: Metrics,
    ) -> None:
        assert options.client_ca is not None
        assert options.client_names is not None
        names, revoked, ca = options.client_names, options.revoked, options.client_ca
        self._clients = Renewed("client_names", [names], lambda: read_clients(names), metrics)
        self.renewed: list[Renewed[Any]] = [self._clients]
        self._revoked: Renewed[Revoked] | None = None
        if revoked is not None:
            self._revoked = Renewed(
                "revoked",
                [revoked, ca],
                lambda: read_revoked(revoked, client_cas(), metrics),
                metrics,
            )
            self.renewed.append(self._revoked)
        #: by the certificate's bytes
        self._seen: dict[bytes, tuple[_Certificate, Principal | None]] = {}
        self._seen_by: object = None

    def recognise(self, certificate: bytes) -> Principal:
        """Whose certificate (PEM) it is.

        Raises CREDENTIAL_REVOKED, CREDENTIAL_EXPIRED, CERTIFICATE_NOT_LISTED.
        """
        principal = self.require_good(certificate)
        if principal is None:
            raise CertificateNotListed()
        return principal

    def require_good(self, certificate: bytes) -> Principal | None:
        """Whose certificate it is; None: nobody's that is listed. Raises CREDENTIAL_REVOKED,
        CREDENTIAL_EXPIRED, CERTIFICATE_NOT_LISTED for what can not be read."""
        if self._seen_by is not self._clients.value or len(self._seen) > MAX_SEEN:
            self._seen_by = self._clients.value
            self._seen = {}
        known = self._seen.get(certificate)
        if known is None:
            try:
                read = _read(certificate)
            except _UNREADABLE:  # TLS took it, and still nobody can say whose it is
                raise CertificateNotListed() from None
            known = self._seen[certificate] = read, self._principal_of(read, certificate)
        read, principal = known
        if self._revoked is not None:
            revoked = self._revoked.value
            if (read.issuer, read.serial) in revoked or ("", read.serial) in revoked:
                raise CredentialRevoked()
        if read.expire_time <= time.time():
            raise CredentialExpired(expire_time=format_instant(int(read.expire_time) * SECOND))
        return principal

    def _principal_of(self, certificate: _Certificate, pem: bytes) -> Principal | None:
        """The first line of the file that one of the names fits to; None: there is none."""
        for client in self._clients.value:
            for name in certificate.names:
                if _fits(name, client.name):
                    return Principal(
                        f"certificate:{name}",
                        client.role,
                        client.programs,
                        certificate=pem,
                        expire_time=certificate.expire_time,
                        quota_per_second=client.quota_per_second,
                    )
        return None


def _fits(name: str, wanted: str) -> bool:
    if not wanted.startswith("*."):
        return name == wanted
    label, dot, rest = name.partition(".")
    return bool(label and dot) and rest == wanted[2:]


def _read(certificate: bytes) -> _Certificate:
    """What counts of a certificate. Raises one of _UNREADABLE."""
    parsed = x509.load_pem_x509_certificate(certificate)
    return _Certificate(
        _names(parsed),
        parsed.issuer.rfc4514_string(),
        parsed.serial_number,
        parsed.not_valid_after_utc.timestamp(),
    )


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The DNS names and URIs it is for or, where it says none, its common name.

    Where it says something that can not be read, the common name is not what it is for: raises one
    of _UNREADABLE.
    """
    found: list[str] = []
    with contextlib.suppress(x509.ExtensionNotFound):
        extension = certificate.extensions.get_extension_for_oid(
            ExtensionOID.SUBJECT_ALTERNATIVE_NAME
        )
        alternative = extension.value
        assert isinstance(alternative, x509.SubjectAlternativeName)
        for kind in (x509.DNSName, x509.UniformResourceIdentifier):
            found += alternative.get_values_for_type(kind)
    if not found:
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        found = [str(attribute.value) for attribute in common]
    return tuple(_folded(name) for name in found if _NAME.fullmatch(name) and "*" not in name)


def _folded(name: str) -> str:
    """The name as it is compared: capitals tell URIs apart, and nothing else."""
    return name if ":" in name else name.lower()


def read_clients(path: Path) -> tuple[Client, ...]:
    """The names that may call, in the order of the file. Raises FilesUnusable with every fault."""
    where = f"LEDGER_TLS_CLIENT_NAMES: {path}"
    text = read_file("LEDGER_TLS_CLIENT_NAMES", path)
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, AttributeError, RecursionError) as error:
        problem = getattr(error, "problem", None) or "is not readable"
        raise FilesUnusable(f"{where}: is no YAML: {problem}") from None
    faults: list[Violation] = []
    root = Section(document, "", faults, required=True)
    clients = [_read_client(each) for each in root.sections("clients", _MAX_CLIENTS)]
    if not clients and not faults:
        root.fault("clients", "is required: a list of names that may call")
    root.finish()
    if faults:
        raise FilesUnusable(f"{where}: " + "; ".join(f"{at}: {what}" for at, what in faults))
    return tuple(clients)


def _read_client(section: Section) -> Client:
    name = section.text("name", required=True)
    if name and not _NAME.fullmatch(name):
        section.fault("name", f"must be a DNS name, a URI or a common name, not {name!r}")
    role = section.choice("role", ROLES, required=True)
    everywhere = section.flag("all_programs")
    programs = section.texts("programs")
    if everywhere == bool(programs):
        section.fault("programs", "must name programs, unless all_programs is true")
    quota = section.integer("quota_per_second", 0, MAX_QUOTA)
    return Client(
        _folded(name),
        role,
        None if everywhere else frozenset(programs),
        None if quota is None else float(quota),
    )


def read_revoked(path: Path, client_cas: tuple[x509.Certificate, ...], metrics: Metrics) -> Revoked:
    """The certificates that are good no more: of CRLs (PEM, or one in DER), or of serial numbers.

    Raises FilesUnusable, also for a CRL that none of the CAs has signed.
    """
    where = f"LEDGER_TLS_REVOKED: {path}"
    data = read_file("LEDGER_TLS_REVOKED", path)
    if not data.strip():  # half written, perhaps: it must not let everybody in again
        raise FilesUnusable(f"{where}: is empty; that nobody is revoked, a remark says (# none)")
    blocks = _CRL.findall(data)
    if len(blocks) != data.count(_CRL_BEGINS):
        raise FilesUnusable(f"{where}: ends within a list")
    if not blocks and not _is_der(data):
        return frozenset(("", serial) for serial in _serials(where, data))
    try:
        if blocks:
            lists = [x509.load_pem_x509_crl(block) for block in blocks]
        else:
            lists = [x509.load_der_x509_crl(data)]
        found = _revoked_by(lists, client_cas, where)
    except _UNREADABLE:
        raise FilesUnusable(f"{where}: is no list of revoked certificates") from None
    updates = [each.next_update_utc for each in lists if each.next_update_utc is not None]
    if updates:
        metrics.certificate_expiry.labels("revoked").set(min(updates).timestamp())
        if min(updates) <= datetime.now(UTC):
            log.warning("the list of revoked certificates is overdue", file=str(path))
    return frozenset(found)


def _revoked_by(
    lists: list[x509.CertificateRevocationList],
    client_cas: tuple[x509.Certificate, ...],
    where: str,
) -> set[tuple[str, int]]:
    """What all lists name. Raises FilesUnusable, or one of _UNREADABLE."""
    found: set[tuple[str, int]] = set()
    for each in lists:
        issuer = each.issuer.rfc4514_string()
        if not any(_has_signed(ca, each) for ca in client_cas):
            fault = f"no CA of LEDGER_TLS_CLIENT_CA has signed that of {issuer}"
            raise FilesUnusable(f"{where}: {fault}")
        if not _is_whole(each):
            raise FilesUnusable(f"{where}: that of {issuer} is not the CA's whole list of its own")
        found.update((issuer, one.serial_number) for one in each)
    return found


def _is_der(data: bytes) -> bool:
    """A sequence of more than 127 bytes, as every signed list is. A text may begin with 0, too."""
    return data[:1] == b"\x30" and data[1:2] >= b"\x81"


def _has_signed(ca: x509.Certificate, revoked: x509.CertificateRevocationList) -> bool:
    key: Any = ca.public_key()
    try:
        return ca.subject == revoked.issuer and revoked.is_signature_valid(key)
    except (TypeError, ValueError):
        return False


def _is_whole(revoked: x509.CertificateRevocationList) -> bool:
    """Whether it is neither what has changed since another one nor of certificates of others."""
    try:
        for extension in revoked.extensions:
            told = extension.value
            if isinstance(told, x509.DeltaCRLIndicator):
                return False
            if isinstance(told, x509.IssuingDistributionPoint) and told.indirect_crl:
                return False
    except ValueError:
        return False
    return True


def _serials(where: str, data: bytes) -> list[int]:
    """Serial numbers in hexadecimal digits, one a line, with or without colons; # for remarks."""
    found = []
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        text = line.partition("#")[0].strip().lower().replace(":", "").removeprefix("0x")
        if not text:
            continue
        if not _SERIAL.fullmatch(text):
            raise FilesUnusable(
                f"{where}: line {number} is no serial number in hexadecimal digits, and no CRL"
            )
        found.append(int(text, 16))
    return found

"""Terminals that call with a client certificate: who they are, who is refused, and what changes
while connections are open."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
import trustme
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from ledger.client.connection import Connection
from ledger.client.credentials import Credentials
from ledger.client.errors import LedgerError, NoAnswer, error_of_call
from ledger.core.errors import CertificateNotListed, CredentialExpired, CredentialRevoked
from ledger.metrics import Metrics
from ledger.rpc import renewed
from ledger.rpc.renewed import FilesUnusable
from ledger.rpc.terminals import Terminals, read_clients, read_revoked
from ledger.rpc.tls_files import read_material
from ledger.v1 import balance_pb2, program_pb2, types_pb2
from tests.certificates import (
    Files,
    certificate_of,
    chain_of,
    expired,
    key_of,
    revoking,
    with_names,
    write,
)
from tests.conftest import RunningServer, running_server
from tests.faults.processes import eventually
from tests.service.credentials import make_key
from tests.service.requests import PROGRAM, balance, enrollment, program, purchase

TILL = "till-7.tills.bean-street.example"
CLIENTS: dict[str, Any] = {
    "clients": [
        {"name": "root.bean-street.example", "role": "admin", "all_programs": True},
        {"name": "*.tills.bean-street.example", "role": "till", "programs": [PROGRAM]},
        {
            "name": "spiffe://bean-street/audit",
            "role": "auditor",
            "programs": [PROGRAM],
            "quota_per_second": 3,
        },
    ]
}
PORTS = ("grpc", "http")


class Shop(NamedTuple):
    """A server with terminals: its files, and who issues certificates for it."""

    server: RunningServer
    files: Files
    terminals: trustme.CA
    directory: Path

    def certificate(self, *names: str, **more: Any) -> trustme.LeafCert:
        return self.terminals.issue_cert(*names, **more)

    def credentials(self, certificate: trustme.LeafCert | None, api_key: str = "") -> Credentials:
        """Of a client that believes the server."""
        if certificate is None:
            return Credentials(api_key, ca_file=self.files.ca)
        name = str(parsed_serial(certificate))
        chain = write(self.directory / f"{name}.pem", chain_of(certificate))
        key = write(self.directory / f"{name}.key", key_of(certificate))
        return Credentials(api_key, self.files.ca, chain, key)


def parsed_serial(certificate: trustme.LeafCert) -> int:
    return certificate_of(certificate).serial_number


class Terminal:
    """A client of one port with a certificate, or without one. Keeps one connection."""

    def __init__(
        self, shop: Shop, port: str, certificate: trustme.LeafCert | None, api_key: str = ""
    ) -> None:
        credentials = shop.credentials(certificate, api_key)
        self._grpc: Connection | None = None
        if port == "grpc":
            address = shop.server.grpc_address.replace("127.0.0.1", "localhost")
            self._grpc = Connection(address, 5.0, credentials)
            return
        context = ssl.create_default_context(cafile=str(shop.files.ca))
        if certificate is not None:
            assert credentials.client_certificate is not None
            context.load_cert_chain(credentials.client_certificate, credentials.client_key)
        address = shop.server.http_address.replace("127.0.0.1", "localhost")
        self._http = HTTPSConnection(address, timeout=5, context=context)
        self._headers = {"content-type": "application/json", **dict(credentials.metadata)}

    def call(self, service: str, method: str, request: Message, answer: Any) -> Any:
        """The answer to a call. Raises PermissionError with the reason, when it is refused, and
        ConnectionError when nobody answers."""
        if self._grpc is not None:
            stub = getattr(getattr(self._grpc, service.lower()), method)
            try:
                return self._grpc.call(stub, request, answer)
            except NoAnswer as error:
                raise ConnectionError(error.message) from None
            except LedgerError as error:
                raise PermissionError(error.reason) from None
        body = json_format.MessageToJson(request).encode()
        name = service.removesuffix("s")
        path = f"/ledger.v1.{name if name in ('Program', 'Balance') else service}Service/{method}"
        try:
            self._http.request("POST", path, body, self._headers)
            with self._http.getresponse() as response:
                told = json.loads(response.read())
        except ssl.SSLError as error:
            raise ConnectionError(str(error)) from None
        if response.status != 200:
            info = base64.b64decode(told["details"][0]["value"] + "==")
            raise PermissionError(error_details_pb2.ErrorInfo.FromString(info).reason)
        return json_format.ParseDict(told, answer())

    def buy(self, number: object, **more: Any) -> types_pb2.Receipt:
        request = purchase(str(number), "5.00", **more)
        receipt = self.call("Points", "RecordPurchase", request, types_pb2.Receipt)
        assert isinstance(receipt, types_pb2.Receipt)
        return receipt

    def refused(self) -> str:
        """Why it may not look at a balance; empty: it may."""
        try:
            self.call("Balances", "GetBalance", balance(), types_pb2.Balance)
        except PermissionError as refusal:
            return str(refusal)
        return ""

    def close(self) -> None:
        if self._grpc is not None:
            self._grpc.close()
        else:
            self._http.close()


@pytest.fixture(scope="module")
def terminal_ca() -> trustme.CA:
    return trustme.CA(organization_name="Bean Street terminals")


@pytest.fixture
def shop(
    database_url: str,
    tmp_path: Path,
    terminal_ca: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Shop]:
    """A server that knows terminals, with a program and the member m-1."""
    monkeypatch.setattr(renewed, "LOOK_SECONDS", 0.05)
    files = Files(tmp_path, trustme.CA(), terminal_ca)
    write(files.client_names, yaml.safe_dump(CLIENTS).encode())
    write(files.revoked, revoking(terminal_ca))
    with running_server(database_url, tls=files.options, development=False) as running:
        shop = Shop(running, files, terminal_ca, tmp_path)
        with contextlib.closing(root(shop, "grpc")) as first:
            request = program()
            first.call("Programs", "CreateProgram", request, program_pb2.Program)
            first.call("Members", "EnrollMember", enrollment("m-1"), types_pb2.Receipt)
        yield shop


def root(shop: Shop, port: str) -> Terminal:
    return Terminal(shop, port, shop.certificate("root.bean-street.example"))


@pytest.fixture(params=PORTS)
def port(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_terminal_is_who_its_certificate_says(shop: Shop, port: str) -> None:
    with contextlib.closing(Terminal(shop, port, shop.certificate(TILL))) as till:
        receipt = till.buy(1)
        assert receipt.entries[0].actor == f"certificate:{TILL}"
        # Its role and its programs are those that its name has.
        with pytest.raises(PermissionError, match="ROLE_NOT_ALLOWED"):
            till.call("Programs", "CreateProgram", program("tea"), program_pb2.Program)
        with pytest.raises(PermissionError, match="PROGRAM_NOT_ALLOWED"):
            till.buy(2, program_id="tea")


def test_a_common_name_counts_where_there_is_no_other(shop: Shop, port: str) -> None:
    only_common = shop.certificate(common_name=TILL)
    with contextlib.closing(Terminal(shop, port, only_common)) as till:
        assert till.buy(1).entries[0].actor == f"certificate:{TILL}"
    other = shop.certificate("somebody.example", common_name=TILL)
    with contextlib.closing(Terminal(shop, port, other)) as till:
        assert till.refused() == "CERTIFICATE_NOT_LISTED"


def test_who_is_not_of_the_authority_is_not_connected(shop: Shop, port: str) -> None:
    for stranger in (trustme.CA().issue_cert(TILL), expired(shop.terminals, TILL)):
        with (
            contextlib.closing(Terminal(shop, port, stranger)) as till,
            pytest.raises(ConnectionError),
        ):
            till.refused()


def test_without_a_certificate_there_is_no_grpc_and_http_wants_another_credential(
    shop: Shop,
) -> None:
    with (
        contextlib.closing(Terminal(shop, "grpc", None)) as nobody,
        pytest.raises(ConnectionError),
    ):
        nobody.refused()
    with contextlib.closing(Terminal(shop, "http", None)) as nobody:
        assert nobody.refused() == "CREDENTIAL_MISSING"


def test_an_api_key_goes_over_a_certificate_but_for_one_that_is_revoked(
    shop: Shop, port: str
) -> None:
    unlisted = shop.certificate("back-office.example")
    auditor = make_key(shop.server.database_url, "auditor", [PROGRAM])
    for key, wanted in ((auditor, ""), ("lk_none_such", "CREDENTIAL_INVALID")):
        with contextlib.closing(Terminal(shop, port, unlisted, key)) as office:
            assert office.refused() == wanted
    with contextlib.closing(Terminal(shop, port, unlisted, auditor)) as office:
        assert office.refused() == ""
        write(shop.files.revoked, revoking(shop.terminals, unlisted))
        eventually("revoked", lambda: office.refused() == "CREDENTIAL_REVOKED")


@pytest.mark.parametrize("kind", ["crl", "serial number"])
def test_a_revocation_reaches_connections_that_are_open(shop: Shop, port: str, kind: str) -> None:
    lost, kept = shop.certificate(TILL), shop.certificate(TILL)
    with (
        contextlib.closing(Terminal(shop, port, lost)) as thief,
        contextlib.closing(Terminal(shop, port, kept)) as till,
    ):
        assert (thief.refused(), till.refused()) == ("", "")
        listed = revoking(shop.terminals, lost)
        if kind == "serial number":
            listed = f"# lost on Tuesday\n{parsed_serial(lost):X}\n".encode()
        write(shop.files.revoked, listed)
        eventually("revoked", lambda: thief.refused() == "CREDENTIAL_REVOKED")
        with pytest.raises(PermissionError, match="CREDENTIAL_REVOKED"):
            thief.buy(1)
        assert till.refused() == ""
    with contextlib.closing(Terminal(shop, port, lost)) as thief:
        assert thief.refused() == "CREDENTIAL_REVOKED"


@pytest.mark.parametrize("way", ["revoked", "another role", "forgotten"])
def test_a_stream_ends_with_the_certificate_it_was_opened_with(shop: Shop, way: str) -> None:
    certificate, files = shop.certificate(TILL), shop.files
    address = shop.server.grpc_address.replace("127.0.0.1", "localhost")
    first, tills, *_ = CLIENTS["clients"]
    terminals = shop.server.service.access._terminals
    assert terminals is not None

    def known_as_a_till() -> bool:
        with contextlib.suppress(CredentialRevoked, CertificateNotListed):
            return terminals.recognise(certificate.cert_chain_pems[0].bytes()).role == "till"
        return False

    with (
        contextlib.closing(root(shop, "http")) as other,
        Connection(address, 5.0, shop.credentials(certificate)) as connection,
    ):
        request = balance_pb2.WatchBalanceRequest(program_id=PROGRAM, member_id="m-1")
        watched = connection.balances.WatchBalance(request, timeout=20)
        next(watched)
        if way == "revoked":
            write(files.revoked, revoking(shop.terminals, certificate))
        else:
            left = [first] if way == "forgotten" else [first, {**tills, "role": "shop"}]
            write(files.client_names, yaml.safe_dump({"clients": left}).encode())
        eventually("the files were read", lambda: not known_as_a_till())
        other.buy("after")
        with pytest.raises(grpc.RpcError) as ended:
            next(watched)
    reason = "CERTIFICATE_NOT_LISTED" if way == "forgotten" else "CREDENTIAL_REVOKED"
    assert error_of_call(ended.value, address).reason == reason


def test_commands_call_with_a_certificate(shop: Shop) -> None:
    shown = shop.credentials(shop.certificate(TILL))
    environment = {
        **os.environ,
        "LEDGER_SERVER": f"https://{shop.server.grpc_address.replace('127.0.0.1', 'localhost')}",
        "LEDGER_CA_FILE": str(shop.files.ca),
        "LEDGER_CLIENT_CERTIFICATE": str(shown.client_certificate),
        "LEDGER_CLIENT_KEY": str(shown.client_key),
    }
    command = [sys.executable, "-m", "ledger", "balance", "m-1", "--program", PROGRAM, "--json"]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["version"] == "1"


def test_a_certificate_for_all_programs_opens_the_metrics(shop: Shop) -> None:
    for name, status in (("root.bean-street.example", 200), (TILL, 403)):
        with contextlib.closing(Terminal(shop, "http", shop.certificate(name))) as terminal:
            terminal._http.request("GET", "/metrics")
            with terminal._http.getresponse() as response:
                assert response.status == status


def test_names_may_change_while_connections_are_open(shop: Shop, port: str) -> None:
    with contextlib.closing(Terminal(shop, port, shop.certificate(TILL))) as till:
        assert till.refused() == ""
        write(shop.files.client_names, yaml.safe_dump({"clients": CLIENTS["clients"][:1]}).encode())
        eventually("forgotten", lambda: till.refused() == "CERTIFICATE_NOT_LISTED")
        write(shop.files.client_names, b"clients: [")
        registry = shop.server.service._metrics.registry
        unusable = {"files": "client_names"}
        eventually(
            "told of", lambda: registry.get_sample_value("ledger_files_unusable", unusable) == 1
        )
        assert till.refused() == "CERTIFICATE_NOT_LISTED"
        write(shop.files.client_names, yaml.safe_dump(CLIENTS).encode())
        eventually("known again", lambda: till.refused() == "")


def test_another_authority_counts_from_the_next_connection_on(shop: Shop, port: str) -> None:
    new = trustme.CA()
    write(shop.files.client_ca, new.cert_pem.bytes())
    write(shop.files.revoked, revoking(new))

    def is_let_in() -> bool:
        with contextlib.closing(Terminal(shop, port, new.issue_cert(TILL))) as till:
            try:
                return till.refused() == ""
            except ConnectionError:
                return False

    eventually("the new authority is believed", is_let_in)
    with (
        contextlib.closing(Terminal(shop, port, shop.certificate(TILL))) as till,
        pytest.raises(ConnectionError),
    ):
        till.refused()


def test_the_metrics_say_when_authorities_and_lists_end(shop: Shop) -> None:
    registry = shop.server.service._metrics.registry
    name = "ledger_certificate_expiry_timestamp_seconds"
    ends = {
        which: registry.get_sample_value(name, {"certificate": which})
        for which in ("server", "client_ca", "revoked")
    }
    assert all(end is not None and end > time.time() for end in ends.values())
    assert ends["revoked"] == pytest.approx(time.time() + 30 * 86_400, abs=60)


# -- what the files may say -----------------------------------------------------------------------


def terminals(files: Files, ca: trustme.CA) -> Terminals:
    cas = tuple(x509.load_pem_x509_certificates(ca.cert_pem.bytes()))
    return Terminals(files.options, lambda: cas, Metrics())


@pytest.fixture
def files(tmp_path: Path, terminal_ca: trustme.CA) -> Files:
    files = Files(tmp_path, trustme.CA(), terminal_ca)
    write(files.client_names, yaml.safe_dump(CLIENTS).encode())
    write(files.revoked, b"# nobody\n")
    return files


@pytest.mark.parametrize(
    ("names", "actor", "role"),
    [
        ([TILL], f"certificate:{TILL}", "till"),
        (["TILL-7.Tills.bean-street.EXAMPLE"], f"certificate:{TILL}", "till"),
        (["elsewhere.example", TILL], f"certificate:{TILL}", "till"),
        ([TILL, "root.bean-street.example"], "certificate:root.bean-street.example", "admin"),
        (["spiffe://bean-street/audit"], "certificate:spiffe://bean-street/audit", "auditor"),
        (["spiffe://bean-street/Audit"], None, None),
        (["tills.bean-street.example"], None, None),
        (["a.b.tills.bean-street.example"], None, None),
        (["*.tills.bean-street.example"], None, None),
        (["xroot.bean-street.example"], None, None),
        (["elsewhere.example"], None, None),
    ],
)
def test_names_and_who_they_are(
    files: Files, terminal_ca: trustme.CA, names: list[str], actor: str | None, role: str | None
) -> None:
    known = terminals(files, terminal_ca)
    certificate = with_names(terminal_ca, *names)
    if actor is None:
        with pytest.raises(CertificateNotListed):
            known.recognise(certificate)
        return
    principal = known.recognise(certificate)
    assert (principal.actor, principal.role) == (actor, role)
    assert principal.programs == (None if role == "admin" else frozenset([PROGRAM]))
    assert principal.quota_per_second == (3 if role == "auditor" else None)
    assert known.recognise(certificate) is principal


@pytest.mark.parametrize(
    ("oid", "data"),
    [
        (ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"\x30\x03odd"),
        # a name of a kind that nothing reads (x400Address)
        (ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"\x30\x04\xa3\x02\x30\x00"),
        (ExtensionOID.BASIC_CONSTRAINTS, b"\x01"),
    ],
    ids=["its names", "one of its names", "something else"],
)
def test_a_certificate_that_can_not_be_read_is_nobodys(
    files: Files, terminal_ca: trustme.CA, oid: x509.ObjectIdentifier, data: bytes
) -> None:
    """Also where its common name may call: it is not known to be for that name."""
    odd = x509.UnrecognizedExtension(oid, data)
    known = terminals(files, terminal_ca)
    assert known.recognise(with_names(terminal_ca, common_name=TILL))
    with pytest.raises(CertificateNotListed):
        known.recognise(with_names(terminal_ca, common_name=TILL, extension=odd))


def test_a_certificate_ends_also_while_it_is_in_use(
    files: Files, terminal_ca: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = terminals(files, terminal_ca)
    soon = datetime.now(UTC) + timedelta(minutes=5)
    certificate = chain_of(terminal_ca.issue_cert(TILL, not_after=soon))
    principal = known.recognise(certificate)
    assert principal.expire_time == pytest.approx(soon.timestamp(), abs=1)
    monkeypatch.setattr(time, "time", lambda: soon.timestamp() + 1)
    with pytest.raises(CredentialExpired):
        known.recognise(certificate)


def test_a_serial_number_of_another_authority_is_not_revoked(
    tmp_path: Path, terminal_ca: trustme.CA
) -> None:
    """A CRL says whose numbers it means."""
    other = trustme.CA(organization_name="Another one")
    files = Files(tmp_path, trustme.CA(), terminal_ca)
    write(files.client_names, yaml.safe_dump(CLIENTS).encode())
    mine = terminal_ca.issue_cert(TILL)
    write(files.revoked, revoking(other, mine))
    with pytest.raises(FilesUnusable, match="no CA of LEDGER_TLS_CLIENT_CA has signed"):
        terminals(files, terminal_ca)
    write(files.revoked, revoking(terminal_ca, mine))
    with pytest.raises(CredentialRevoked):
        terminals(files, terminal_ca).recognise(chain_of(mine))
    assert terminals(files, terminal_ca).recognise(chain_of(terminal_ca.issue_cert(TILL)))


@pytest.mark.parametrize(
    ("document", "faults"),
    [
        ("", ["rules: must be a section"]),
        ("clients: []", ["clients: is required"]),
        ("clients: {}", ["clients: must be a list"]),
        ("{clients: [{}]}", ["clients[0].name: is required", "clients[0].role: is required"]),
        ("clients: [{name: a, role: king, all_programs: true}]", ["clients[0].role: must be one"]),
        ("clients: [{name: a b, role: till, programs: [x]}]", ["clients[0].name: must be a DNS"]),
        ("clients: [{name: '*', role: till, programs: [x]}]", ["clients[0].name: must be a DNS"]),
        ("clients: [{name: a, role: till}]", ["clients[0].programs: must name programs"]),
        (
            "clients: [{name: a, role: till, programs: [x], all_programs: true}]",
            ["clients[0].programs: must name programs"],
        ),
        (
            "clients: [{name: a, role: till, programs: [x], quota_per_second: -1}]",
            ["clients[0].quota_per_second: must be a whole number from 0"],
        ),
        ("clients: [{name: a, role: till, programs: [x], key: y}]", ["clients[0].key: is not"]),
        ("names: []", ["clients: is required"]),
        ("clients: [", ["is no YAML"]),
        ("clients: [{name: 2026-99-99, role: till, programs: [x]}]", ["is no YAML"]),
        pytest.param("[" * 3_000, ["is no YAML"], id="too deep"),
    ],
)
def test_every_fault_of_the_names_is_told(tmp_path: Path, document: str, faults: list[str]) -> None:
    path = write(tmp_path / "names.yaml", document.encode())
    with pytest.raises(FilesUnusable) as unusable:
        read_clients(path)
    assert str(unusable.value).startswith(f"LEDGER_TLS_CLIENT_NAMES: {path}: ")
    assert all(fault in str(unusable.value) for fault in faults)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"not a number", "line 1 is no serial number"),
        (b"0a\n\n# x\nzz", "line 4 is no serial number"),
        (b"-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n", "is no list of revoked"),
        (b"\x30\x82\x00", "is no list of revoked"),
        (b"f" * 41, "line 1 is no serial number"),
        (b"", "is empty"),
        (b" \n\n", "is empty"),
    ],
)
def test_every_fault_of_the_revoked_is_told(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(FilesUnusable, match=says):
        read_revoked(write(tmp_path / "revoked", data), (), Metrics())


def test_a_list_that_is_half_written_is_not_taken_for_it(
    files: Files, terminal_ca: trustme.CA
) -> None:
    """Somebody writes it in its place, or the disk is full: whoever is revoked stays so."""
    whole = revoking(terminal_ca, terminal_ca.issue_cert(TILL))
    for written in (whole[:-30], whole + whole[: len(whole) // 2]):
        write(files.revoked, written)
        with pytest.raises(FilesUnusable):
            terminals(files, terminal_ca)
    write(files.revoked, whole + whole)
    assert terminals(files, terminal_ca)


def test_authorities_that_are_half_written_do_not_replace_those_before(
    files: Files, terminal_ca: trustme.CA
) -> None:
    first, second = (ca.cert_pem.bytes() for ca in (terminal_ca, trustme.CA()))
    write(files.client_ca, first + second)
    assert len(read_material(files.options, Metrics()).client_cas) == 2
    for written in (first + second[:300], first + second[:-9], first + second[:10]):
        write(files.client_ca, written)
        with pytest.raises(FilesUnusable, match=r"LEDGER_TLS_CLIENT_CA.*is not whole"):
            read_material(files.options, Metrics())


def test_a_list_that_was_damaged_is_not_taken_for_one(
    tmp_path: Path, terminal_ca: trustme.CA
) -> None:
    """At any of its bytes, which is found out sooner or later while it is read."""
    cas = tuple(x509.load_pem_x509_certificates(terminal_ca.cert_pem.bytes()))
    pem = revoking(terminal_ca, terminal_ca.issue_cert(TILL), extension=x509.CRLNumber(7))
    sound = x509.load_pem_x509_crl(pem).public_bytes(Encoding.DER)
    path, metrics = tmp_path / "revoked", Metrics()
    path.write_bytes(sound)
    assert len(read_revoked(path, cas, metrics)) == 1
    for place in range(len(sound)):
        for byte in (0x00, 0x7F, 0xFF):
            damaged = sound[:place] + bytes([byte]) + sound[place + 1 :]
            path.write_bytes(damaged)
            if damaged != sound:
                with pytest.raises(FilesUnusable):
                    read_revoked(path, cas, metrics)


def test_files_are_looked_at_whatever_is_wrong_with_others(tmp_path: Path) -> None:
    """A list of revoked certificates must not wait until somebody has mended another file."""
    odd, sound = tmp_path / "odd", tmp_path / "sound"
    for path in (odd, sound):
        path.write_text("1")

    def number() -> int:
        return int(odd.read_text())  # raises what nobody has thought of

    metrics = Metrics()
    looked_at: list[renewed.Renewed[Any]] = [
        renewed.Renewed("client_names", [odd], number, metrics),
        renewed.Renewed("revoked", [sound], sound.read_text, metrics),
    ]
    renewing = renewed.Renewing(looked_at)
    odd.write_text("no number")
    sound.write_text("12")
    for _ in range(2):
        renewing._look()
    assert [each.value for each in looked_at] == [1, "12"]
    unusable = metrics.registry.get_sample_value
    assert unusable("ledger_files_unusable", {"files": "client_names"}) == 1
    assert unusable("ledger_files_unusable", {"files": "revoked"}) == 0


def test_serial_numbers_may_be_written_in_many_ways(tmp_path: Path) -> None:
    path = write(tmp_path / "revoked", b"0A:0b\n0xFF # lost\n\n  12ab  \n# nothing\n")
    assert read_revoked(path, (), Metrics()) == {("", 0x0A0B), ("", 0xFF), ("", 0x12AB)}


def test_an_issuer_is_known_however_its_name_is_encoded(
    files: Files, terminal_ca: trustme.CA
) -> None:
    own = x509.load_pem_x509_certificate(terminal_ca.cert_pem.bytes()).subject
    attributes = [
        x509.NameAttribute(each.oid, str(each.value), x509.name._ASN1Type.T61String) for each in own
    ]
    lost = terminal_ca.issue_cert(TILL)
    other = x509.Name(attributes)
    assert other.public_bytes() != own.public_bytes()
    write(files.revoked, revoking(terminal_ca, lost, issuer=other))
    with pytest.raises(CredentialRevoked):
        terminals(files, terminal_ca).recognise(chain_of(lost))


@pytest.mark.parametrize(
    "extension",
    [
        x509.DeltaCRLIndicator(7),
        x509.IssuingDistributionPoint(None, None, False, False, None, True, False),
    ],
    ids=["only what has changed", "certificates of others"],
)
def test_a_list_that_is_not_whole_is_not_taken_for_it(
    files: Files, terminal_ca: trustme.CA, extension: x509.ExtensionType
) -> None:
    write(files.revoked, revoking(terminal_ca, extension=extension))
    with pytest.raises(FilesUnusable, match="not the CA's whole list"):
        terminals(files, terminal_ca)

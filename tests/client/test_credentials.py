"""Who calls and how: TLS unless it is this machine, and a key that nobody gets to see."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ledger.client.credentials import Credentials, _target

PLAIN, SECURE = False, True
CA = Credentials(ca_file=Path("ca.pem"))
NOTHING = Credentials()


@pytest.mark.parametrize(
    ("address", "credentials", "expected"),
    [
        ("127.0.0.1:50051", NOTHING, ("127.0.0.1:50051", PLAIN)),
        ("localhost:50051", NOTHING, ("localhost:50051", PLAIN)),
        ("[::1]:50051", NOTHING, ("[::1]:50051", PLAIN)),
        ("127.0.0.1:50051", CA, ("127.0.0.1:50051", SECURE)),
        ("https://127.0.0.1:50051/", NOTHING, ("127.0.0.1:50051", SECURE)),
        ("ledger.internal:50051", NOTHING, ("ledger.internal:50051", SECURE)),
        ("10.0.0.7:50051", NOTHING, ("10.0.0.7:50051", SECURE)),
        ("http://ledger:50051", NOTHING, ("ledger:50051", PLAIN)),
    ],
)
def test_tls_is_spoken_unless_it_is_this_machine_or_said_otherwise(
    address: str, credentials: Credentials, expected: tuple[str, bool]
) -> None:
    assert _target(address, credentials) == expected


@pytest.mark.parametrize("address", ["", "ledger", "ledger:", ":50051", "ledger:0", "ledger:70000"])
def test_an_address_without_host_or_port_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        _target(address, NOTHING)


def test_certificates_and_plain_text_contradict_each_other() -> None:
    with pytest.raises(ValueError, match="not https"):
        _target("http://ledger:50051", CA)


def test_a_certificate_needs_its_key_and_a_key_its_certificate() -> None:
    with pytest.raises(ValueError, match="together"):
        Credentials(client_certificate=Path("certificate.pem"))
    with pytest.raises(ValueError, match="together"):
        Credentials(client_key=Path("key.pem"))


def test_a_key_is_not_shown() -> None:
    key = "lk_1_c2VjcmV0"

    assert key not in repr(Credentials(api_key=key))
    with pytest.raises(ValueError, match="copied whole") as refused:
        Credentials(api_key=f"{key}\n")
    assert key not in str(refused.value)


def test_the_client_comes_without_the_server() -> None:
    code = (
        "import sys; import ledger.client; "
        "sys.exit(', '.join(name for name in sys.modules if name.split('.')[0] in "
        "{'sqlalchemy', 'psycopg2', 'starlette', 'uvicorn', 'pydantic', 'typer', 'rich', 'yaml'} "
        "or name.startswith(('ledger.rpc', 'ledger.store', 'ledger.engine', 'ledger.config'))) "
        "or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert ended.returncode == 0, ended.stderr

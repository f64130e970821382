"""Settings: flags over the environment over defaults, and faults that say what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger import config


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in config.Settings.model_fields:
        monkeypatch.delenv(f"LEDGER_{name.upper()}", raising=False)


def test_defaults() -> None:
    settings = config.load({})

    assert settings.database_url is None
    assert settings.data_dir == Path(".ledger")
    assert settings.grpc_address == "127.0.0.1:50051"
    assert settings.http_address == "127.0.0.1:8080"
    assert (settings.queue_limit, settings.batch_limit) == (10_000, 1_000)
    assert settings.workers == 1


def test_flags_go_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER_QUEUE_LIMIT", "5")
    monkeypatch.setenv("LEDGER_BATCH_LIMIT", "6")

    settings = config.load({"queue_limit": 7, "batch_limit": None})

    assert (settings.queue_limit, settings.batch_limit) == (7, 6)


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER_DATABASE_URL", "")

    assert config.load({}).database_url is None


def test_every_fault_is_named_as_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER_LOG_FORMAT", "xml")

    with pytest.raises(config.SettingsInvalid) as caught:
        config.load({"queue_limit": 0, "http_address": "8080"})

    faults = dict(caught.value.faults)
    assert set(faults) == {"LEDGER_LOG_FORMAT", "--queue-limit", "--http-address"}
    assert "'console' or 'json'" in faults["LEDGER_LOG_FORMAT"]
    assert "HOST:PORT" in faults["--http-address"]


def test_a_database_address_is_never_repeated() -> None:
    with pytest.raises(config.SettingsInvalid) as caught:
        config.load({"database_url": "mysql://user:secret@host/ledger"})

    assert "secret" not in str(caught.value)
    assert "postgresql://" in str(caught.value)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.9.9.9:0", "localhost:65535", "[::1]:80"])
def test_loopback_addresses_are_served(address: str) -> None:
    assert config.load({"grpc_address": address}).grpc_address == address


@pytest.mark.parametrize("address", ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example.com:1"])
def test_other_addresses_are_served_with_tls_only(address: str, tmp_path: Path) -> None:
    for name in ("grpc_address", "http_address"):
        with pytest.raises(config.SettingsInvalid, match="could read credentials") as caught:
            config.load({name: address})
        assert [field for field, _ in caught.value.faults] == [f"--{name.replace('_', '-')}"]

    tls = {"tls_certificate": tmp_path / "certificate", "tls_key": tmp_path / "key"}
    assert config.load({"grpc_address": address, **tls}).grpc_address == address
    behind = config.load({"grpc_address": address, "behind_tls_proxy": True})
    assert (behind.grpc_address, behind.development) == (address, False)


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        ({"tls_key": "k"}, {"--tls-key": "no use without LEDGER_TLS_CERTIFICATE"}),
        ({"tls_certificate": "c"}, {"LEDGER_TLS_KEY": "together with LEDGER_TLS_CERTIFICATE"}),
        (
            {"tls_client_ca": "a", "tls_client_names": "n"},
            {"--tls-client-ca": "no use without LEDGER_TLS_CERTIFICATE"},
        ),
        (
            {"tls_certificate": "c", "tls_key": "k", "tls_client_ca": "a"},
            {"LEDGER_TLS_CLIENT_NAMES": "together with LEDGER_TLS_CLIENT_CA"},
        ),
        (
            {"tls_client_names": "n", "tls_revoked": "r"},
            {
                "--tls-client-names": "no use without LEDGER_TLS_CLIENT_CA",
                "--tls-revoked": "no use without LEDGER_TLS_CLIENT_CA",
            },
        ),
    ],
)
def test_files_of_tls_are_given_together(given: dict[str, str], faults: dict[str, str]) -> None:
    with pytest.raises(config.SettingsInvalid) as caught:
        config.load(given)
    told = dict(caught.value.faults)
    assert set(told) == set(faults)
    assert all(says in told[name] for name, says in faults.items())


@pytest.mark.parametrize(
    ("given", "development"),
    [
        ({}, True),
        ({"grpc_address": "localhost:1", "http_address": "[::1]:2"}, True),
        ({"require_credentials": True}, False),
        ({"token_keys": "keys.json"}, False),
        ({"behind_tls_proxy": True}, False),
        ({"tls_certificate": "c", "tls_key": "k"}, True),
        (
            {
                **{"tls_certificate": "c", "tls_key": "k"},
                **{"tls_client_ca": "a", "tls_client_names": "n"},
            },
            False,
        ),
        ({"grpc_address": "0.0.0.0:1", "tls_certificate": "c", "tls_key": "k"}, False),
        ({"http_address": "ledger.example:1", "tls_certificate": "c", "tls_key": "k"}, False),
    ],
)
def test_nobody_is_an_administrator_for_want_of_credentials_unless_only_this_machine_can_call(
    given: dict[str, object], development: bool
) -> None:
    assert config.load(given).development is development


@pytest.mark.parametrize("address", ["", "127.0.0.1", ":1", "127.0.0.1:65536", "::1:80", "a:b"])
def test_addresses_have_a_host_and_a_port(address: str) -> None:
    with pytest.raises(config.SettingsInvalid, match="HOST:PORT"):
        config.load({"grpc_address": address})


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        config.load({}).queue_limit = 1


def test_origins_are_listed_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.load({}).web_origins == ()

    monkeypatch.setenv("LEDGER_WEB_ORIGINS", "https://shop.example, http://localhost:8000,")
    assert config.load({}).web_origins == ("https://shop.example", "http://localhost:8000")

    given = "http://[::1]:8000,https://xn--mller-kva.example:8443,http://127.0.0.1"
    assert config.load({"web_origins": given}).web_origins == tuple(given.split(","))


@pytest.mark.parametrize(
    ("origin", "instead"),
    [
        ("https://shop.example/", "so https://shop.example:"),
        ("https://shop.example/cart?a=1", "so https://shop.example:"),
        ("https://Shop.Example", "so https://shop.example:"),
        ("https://shop.example:443", "so https://shop.example:"),
        ("https://user@shop.example", "so https://shop.example:"),
        ("shop.example", "as browsers send it: scheme"),
        ("*", "no wildcard"),
        ("https://*.shop.example", "no wildcard"),
        ("null", "such as https://shop.example"),
        ("https://", "such as https://shop.example"),
        ("https://müller.example", "such as https://shop.example"),
        ("https://shop.example:99999", "such as https://shop.example"),
        ("ftp://shop.example", "such as https://shop.example"),
        ("http://shop.example", "must be https"),
        ("http://10.0.0.1:8000", "must be https"),
    ],
)
def test_an_origin_is_what_a_browser_sends(origin: str, instead: str) -> None:
    with pytest.raises(config.SettingsInvalid) as caught:
        config.load({"web_origins": f"https://good.example,{origin}"})

    ((name, what),) = caught.value.faults
    assert name == "--web-origins"
    assert origin in what
    assert instead in what


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("LEDGER_REQUIRE_CREDENTIAL", "LEDGER_REQUIRE_CREDENTIALS"),
        ("ledger_require_credentails", "LEDGER_REQUIRE_CREDENTIALS"),
        ("LEDGER_TOKENKEYS", "LEDGER_TOKEN_KEYS"),
        ("LEDGER_TLS_CERT", "LEDGER_TLS_CERTIFICATE"),
        ("LEDGER_TLS_REVOKE", "LEDGER_TLS_REVOKED"),
        ("LEDGER_QUOTA_PER_SECONDS", "LEDGER_QUOTA_PER_SECOND"),
    ],
)
def test_a_setting_that_keeps_somebody_out_is_not_lost_by_a_slip(
    misspelt: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(misspelt, "1")
    with pytest.raises(config.SettingsInvalid) as caught:
        config.load({})
    assert caught.value.faults == [(misspelt, f"is no setting; {meant} is")]


def test_variables_of_others_are_none_of_our_business(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the client reads, what compose keeps, what Kubernetes tells of a service `ledger`."""
    for name in (
        *("API_KEY", "CA_FILE", "CLIENT_CERTIFICATE", "CLIENT_KEY", "PROGRAM", "SERVER"),
        *("APP_PASSWORD", "OWNER_PASSWORD", "DATABASE_USER", "CDNOW_FILE", "HTTP_ADDR"),
        *("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_GRPC", "PORT", "PORT_50051_TCP"),
        *("PORT_50051_TCP_ADDR", "PORT_50051_TCP_PORT", "PORT_50051_TCP_PROTO"),
    ):
        monkeypatch.setenv(f"LEDGER_{name}", "tcp://10.0.0.1:50051")
    assert config.load({}).development

"""The script that the HTTP port serves, and which pages may call the port."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from psycopg2.extensions import connection as Connection

from ledger.store.embedded import EmbeddedServer
from tests.conftest import RunningServer, fresh_database, running_server

SCRIPT = "/web/v1/loyalty-balance.js"
METHOD = "/ledger.v1.BalanceService/GetBalance"
SHOP = "https://shop.example"


@pytest.fixture(scope="module")
def open_server(
    cluster: EmbeddedServer, administrator: Connection, template: str
) -> Iterator[RunningServer]:
    """A server that pages of SHOP may call."""
    with (
        fresh_database(cluster, administrator, template) as url,
        running_server(url, web_origins=(SHOP,)) as running,
    ):
        yield running


@contextmanager
def answer(
    server: RunningServer, method: str, path: str, body: bytes | None = None, **headers: str
) -> Iterator[http.client.HTTPResponse]:
    """What the HTTP port answers; `_` in a header's name stands for `-`."""
    connection = http.client.HTTPConnection(server.http_address, timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    yield connection.getresponse()
    connection.close()


def test_the_script_is_a_module_that_may_be_kept(open_server: RunningServer) -> None:
    with answer(open_server, "GET", SCRIPT) as got:
        source = got.read().decode()
        assert got.status == 200
        assert got.headers["content-type"] == "text/javascript; charset=utf-8"
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["cache-control"] == "public, max-age=300"
        # Who asks from elsewhere gets another answer: caches must know.
        assert got.headers["vary"] == "Origin"
        tag = got.headers["etag"]
    assert 'customElements.define("loyalty-balance"' in source
    assert "innerHTML" not in source

    with answer(open_server, "GET", SCRIPT, if_none_match=f'"old", W/{tag}') as got:
        assert (got.status, got.read(), got.headers["etag"]) == (304, b"", tag)
    with answer(open_server, "GET", SCRIPT, if_none_match='"old"') as got:
        assert (got.status, got.read().decode()) == (200, source)
    with answer(open_server, "HEAD", SCRIPT) as got:
        assert (got.status, got.read()) == (200, b"")
        assert int(got.headers["content-length"]) == len(source.encode())
    with answer(open_server, "POST", SCRIPT, b"{}") as got:
        assert (got.status, got.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/web/v2/loyalty-balance.js", "/web/v1/", "/web/v1/element.js"])
def test_there_are_no_other_files(path: str, open_server: RunningServer) -> None:
    with answer(open_server, "GET", path) as got:
        assert got.status == 404


def test_a_configured_origin_may_send_what_the_protocols_need(open_server: RunningServer) -> None:
    asked = "authorization,connect-protocol-version,content-type"
    with answer(
        open_server, "OPTIONS", METHOD, origin=SHOP, access_control_request_method="POST",
        access_control_request_headers=asked,
    ) as got:  # fmt: skip
        assert got.status == 200
        assert got.headers["access-control-allow-origin"] == SHOP
        assert "POST" in got.headers["access-control-allow-methods"]
        assert "access-control-allow-credentials" not in got.headers
    with answer(
        open_server, "POST", METHOD, b"{}", origin=SHOP, content_type="application/json"
    ) as got:
        assert got.status == 400  # asked for nobody; but the page may read that
        assert got.headers["access-control-allow-origin"] == SHOP
        assert "access-control-allow-credentials" not in got.headers


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://shop.example",
        "https://shop.example:8443",
        "https://shop.example.evil.example",
        "https://SHOP.example",
        "null",
        "*",
    ],
)
def test_other_origins_are_told_nothing(origin: str, open_server: RunningServer) -> None:
    with answer(
        open_server, "OPTIONS", METHOD, origin=origin, access_control_request_method="POST"
    ) as got:
        assert got.status == 400
        assert "access-control-allow-origin" not in got.headers
    for path in (SCRIPT, METHOD, "/metrics"):
        with answer(open_server, "GET", path, origin=origin) as got:
            assert "access-control-allow-origin" not in got.headers


def test_without_origins_no_page_from_elsewhere_may_call(server: RunningServer) -> None:
    with answer(
        server, "OPTIONS", METHOD, origin=SHOP, access_control_request_method="POST"
    ) as got:
        assert got.status >= 400
        assert "access-control-allow-origin" not in got.headers
    with answer(server, "GET", SCRIPT, origin=SHOP) as got:
        assert got.status == 200  # pages of the ledger's own origin may have it
        assert "access-control-allow-origin" not in got.headers

"""TLS on both ports, with files that may change while the server runs.

New connections get what the files say now; those that are open keep what they began with. On the
gRPC port a client certificate is demanded as soon as there is a CA for them (grpc knows no other
way); on the HTTP port it is asked for, and who has none may show another credential.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import grpc

from ledger.metrics import Metrics
from ledger.rpc.http_protocol import PatientProtocol
from ledger.rpc.options import TlsOptions
from ledger.rpc.renewed import Renewed, Renewing
from ledger.rpc.terminals import Terminals
from ledger.rpc.tls_files import Material, read_material


class Tls:
    """The TLS of one server process. `terminals` is None unless there are client certificates.

    Raises FilesUnusable.
    """

    def __init__(self, options: TlsOptions, metrics: Metrics) -> None:
        def read() -> Material:
            return read_material(options, metrics)

        files = [options.certificate, options.key]
        files += [] if options.client_ca is None else [options.client_ca]
        self._material = Renewed("certificate", files, read, metrics)
        self.terminals: Terminals | None = None
        renewed: list[Renewed[Any]] = [self._material]
        if options.client_ca is not None:
            self.terminals = Terminals(options, lambda: self._material.value.client_cas, metrics)
            renewed += self.terminals.renewed
        self._renewing = Renewing(renewed)

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
            return _configuration(latest)

        # The type of grpc's parameter leaves out that None is an answer.
        fetcher = cast(Callable[[], grpc.ServerCertificateConfiguration], fetch)
        return grpc.dynamic_ssl_server_credentials(
            _configuration(given), fetcher, bool(given.client_cas)
        )

    @property
    def http_protocol(self) -> type[PatientProtocol]:
        """What speaks HTTP on it."""
        return PatientProtocol if self.terminals is None else CertifiedProtocol

    def http_context(self) -> ssl.SSLContext:
        """What the HTTP port is opened with: each new connection begins with the latest files."""
        context = _LatestContext(ssl.PROTOCOL_TLS_SERVER)
        context.latest = lambda: self._material.value.context
        return context


def _configuration(material: Material) -> grpc.ServerCertificateConfiguration:
    pairs = [(material.key, material.chain)]
    return grpc.ssl_server_certificate_configuration(pairs, material.client_ca or None)


class _LatestContext(ssl.SSLContext):
    """Leaves every connection to the context of the latest files: one that is in use can be given
    other certificates, but no CA can be taken out of it."""

    latest: Callable[[], ssl.SSLContext]

    def wrap_bio(self, *arguments: Any, **named: Any) -> ssl.SSLObject:
        return self.latest().wrap_bio(*arguments, **named)


class CertifiedProtocol(PatientProtocol):
    """HTTP by connections whose client may have shown a certificate: the application finds it in
    the scope, as the TLS extension of ASGI has it, which uvicorn does not fill in."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        shown = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        if shown:
            extension = {"client_cert_chain": (ssl.DER_cert_to_PEM_cert(shown),)}
            self.app = partial(_with_certificate, self.app, extension)


async def _with_certificate(
    application: Any, extension: dict[str, Any], scope: Any, receive: Any, send: Any
) -> None:
    scope["extensions"] = {**scope.get("extensions", {}), "tls": extension}
    await application(scope, receive, send)

"""The guide for tills is right: what it shows is what is printed."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Cli, cli  # noqa: F401
from tests.faults.processes import ServiceProcess
from tests.guides import DOCS, Guide

DEMO = Path(__file__).parents[2] / "src" / "ledger" / "demo" / "coffee-shop.yaml"


def test_the_session_of_the_guide_for_tills_is_as_it_is_shown(
    cli: Cli,  # noqa: F811
    database_url: str,
    tmp_path: Path,
) -> None:
    environment = {"LEDGER_DATABASE_URL": database_url}
    with ServiceProcess(environment, tmp_path / "log") as service:
        service.start()
        applied = cli("program", "apply", DEMO, "--server", service.grpc_address)
        assert applied.code == 0, applied.err
        names = {
            "127.0.0.1:50051": service.grpc_address,
            "127.0.0.1:8080": service.environment["LEDGER_HTTP_ADDRESS"],
            "/var/lib/till": str(tmp_path),
        }
        guide = DOCS / "integrating-a-till.md"
        with Guide(guide, tmp_path, names=names, environment=environment) as shown:
            assert shown.run() >= 17

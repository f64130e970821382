"""`make watch`: Prometheus on this machine, looking at the server of `make run`.

The rules are those that are deployed, and the dashboards those of deploy/grafana, drawn on pages of
Prometheus itself, so that nothing else has to be installed.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import yaml
from deploy.grafana.__main__ import DASHBOARDS

HERE = Path(__file__).parent
ADDRESS = "127.0.0.1:9090"


def write_files(directory: Path, target: str) -> Path:
    """Everything that Prometheus reads; answers where its configuration is. `target` is the HTTP
    address of a server on this machine, without TLS and in development mode."""
    config = yaml.safe_load((HERE / "prometheus.yml").read_text())
    job = next(job for job in config["scrape_configs"] if job["job_name"] == "ledger")
    job.update(scheme="http", static_configs=[{"targets": [target]}])
    job.pop("tls_config")
    job.pop("authorization")
    config["global"] = {"scrape_interval": "5s", "evaluation_interval": "5s"}
    config["rule_files"] = [f"{os.path.relpath(HERE / 'rules', directory)}/*.yml"]
    config["scrape_configs"] = [job]
    del config["alerting"]
    consoles = directory / "consoles"
    consoles.mkdir(parents=True, exist_ok=True)
    pages = [(dashboard.uid, dashboard.title) for dashboard in DASHBOARDS]
    page = (HERE / "console.html").read_text()
    for dashboard in DASHBOARDS:
        shown = page.replace("= DASHBOARD\n", f"= {_literal(asdict(dashboard))}\n")
        shown = shown.replace("= PAGES\n", f"= {_literal(pages)}\n")
        (consoles / f"{dashboard.uid}.html").write_text(shown)
    path = directory / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


def _literal(value: object) -> str:
    """As JavaScript, with nothing in it that the templates of Prometheus or HTML would act on."""
    return json.dumps(value).replace("{{", "{\\u007b").replace("<", "\\u003c")


def command(prometheus: str, directory: Path, target: str, address: str = ADDRESS) -> list[str]:
    """How to run it."""
    return [
        prometheus,
        f"--config.file={write_files(directory, target)}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={address}",
        f"--web.console.templates={directory / 'consoles'}",
        "--log.level=warn",
    ]


def main() -> None:
    prometheus = shutil.which("prometheus")
    if prometheus is None:
        sys.exit("there is no prometheus here; on Debian: apt-get install prometheus")
    arguments = command(
        prometheus, Path("build/prometheus"), *(sys.argv[1:2] or ["127.0.0.1:8080"])
    )
    for dashboard in DASHBOARDS:
        print(f"{dashboard.title:18} http://{ADDRESS}/consoles/{dashboard.uid}.html")
    print("Ctrl-C stops it.", flush=True)
    os.execv(prometheus, arguments)


if __name__ == "__main__":
    main()

"""A real Prometheus, with the rules of deploy/ in a world where time passes sixty times as fast.

The rules are read from the files that are deployed; what is made shorter is windows and the time
that something must last: five minutes are five seconds, a day is 24 minutes. That the durations are
right as they are deployed is tried by promtool (deploy/prometheus/tests).
"""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml
from deploy.grafana.__main__ import DASHBOARDS

from tests.deploy.places import PROMETHEUS, RULES, program
from tests.faults.processes import eventually, free_port

SPEED = 60
#: nobody waits longer for something that must last
_LONGEST_FOR_SECONDS = 2.0
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = r"(\d+)([smhd])"

Json = dict[str, Any]


def _milliseconds(count: str, unit: str) -> int:
    return int(count) * _SECONDS[unit] * 1000 // SPEED


def faster(expression: str) -> str:
    """The same expression where time passes faster: windows, offsets, ages and counts of days."""
    expression = re.sub(
        rf"\[{_DURATION}\]", lambda m: f"[{_milliseconds(m[1], m[2])}ms]", expression
    )
    expression = re.sub(
        rf"\boffset {_DURATION}", lambda m: f"offset {_milliseconds(m[1], m[2])}ms", expression
    )
    expression = re.sub(
        r"(_lag_seconds\) > )(\d+)", lambda m: f"{m[1]}{int(m[2]) / SPEED:g}", expression
    )
    return re.sub(r"\b86400\b", str(86_400 // SPEED), expression)


def fast_rules() -> Json:
    """Every group of the rules as they are deployed, faster."""
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    for group in groups:
        for rule in group["rules"]:
            rule["expr"] = faster(rule["expr"])
            if lasting := re.fullmatch(_DURATION, rule.get("for", "")):
                seconds = min(_milliseconds(*lasting.groups()) / 1000, _LONGEST_FOR_SECONDS)
                rule["for"] = f"{int(seconds * 1000)}ms"
    # What is recorded is there before it is asked for.
    groups.sort(key=lambda group: all("alert" in rule for rule in group["rules"]))
    return {"groups": [{"name": "all", "rules": [r for g in groups for r in g["rules"]]}]}


def panel_expressions(program_id: str) -> list[tuple[str, str]]:
    """Where it is and what it asks, for each query of each panel of the dashboards."""
    return [
        (
            f"{dashboard.uid}: {row.title} / {panel.title}",
            faster(
                expression.replace("$__rate_interval", "5m")
                .replace("$job", "ledger")
                .replace("$program", program_id)
            ),
        )
        for dashboard in DASHBOARDS
        for row in dashboard.rows
        for panel in row.panels
        for expression, _ in panel.queries
    ]


class Prometheus:
    """The server as a child process, ended when the `with` block ends.

    `scraped` names the targets of each job of prometheus.yml, which is used as it is otherwise.
    """

    def __init__(self, directory: Path, scraped: Mapping[str, Sequence[str]], ca: Path) -> None:
        self._address = f"127.0.0.1:{free_port()}"
        self._directory = directory
        self._log = directory / "prometheus.log"
        config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
        config["rule_files"] = [str(directory / "rules.yml")]
        del config["alerting"]
        for job in config["scrape_configs"]:
            job["static_configs"] = [{"targets": list(scraped.get(job["job_name"], ()))}]
            if "tls_config" in job:
                job["tls_config"]["ca_file"] = str(ca)
                del job["authorization"]  # nobody was given a key here
        (directory / "rules.yml").write_text(yaml.safe_dump(fast_rules()))
        (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{self._address}"

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    program("prometheus"),
                    f"--config.file={self._directory / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._directory / 'data'}",
                    f"--web.listen-address={self._address}",
                    "--query.lookback-delta=5s",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            eventually("Prometheus is ready", self._is_ready, 20.0)
        except TimeoutError as error:
            self._process.kill()
            raise TimeoutError(f"{error}:\n{self._log.read_text(errors='replace')}") from None
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(10.0)

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The labels and value of each series that an expression has now, without NaN."""
        result = self._get("/api/v1/query", query=expression)["result"]
        if result and isinstance(result[0], (int, float)):  # a scalar
            result = [{"metric": {}, "value": result}]
        found = [(each["metric"], float(each["value"][1])) for each in result]
        return [(labels, value) for labels, value in found if value == value]

    def firing(self) -> set[str]:
        """The names of the alerts that are firing now."""
        alerts = self._get("/api/v1/alerts")["alerts"]
        return {a["labels"]["alertname"] for a in alerts if a["state"] == "firing"}

    def rules(self) -> list[Json]:
        """Every rule, with what happened when it was last evaluated."""
        groups = self._get("/api/v1/rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def wait_until(self, what: str, attempt: Callable[[], object], seconds: float) -> None:
        """Return when `attempt` is true; raises TimeoutError."""
        eventually(what, lambda: attempt() or None, seconds)

    def wait_for_alerts(self, names: set[str], seconds: float) -> None:
        """Return when each of the alerts has been firing; raises TimeoutError with what has not."""
        missing = set(names)
        deadline = time.monotonic() + seconds
        while missing := missing - self.firing():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not fired within {seconds} s: {', '.join(sorted(missing))}")
            time.sleep(0.2)

    def _get(self, path: str, **parameters: str) -> Any:
        url = f"{self.url}{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text(errors="replace")
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=1):
                return True
        except OSError:
            return False

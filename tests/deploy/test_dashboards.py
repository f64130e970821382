"""Dashboards as they are committed. test_prometheus tries that their expressions have data."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import yaml
from deploy.grafana.__main__ import DASHBOARDS, OUT
from deploy.grafana.render import text
from deploy.prometheus.local import write_files

from tests.deploy.places import DEPLOY, PROMETHEUS, program, run


def test_what_is_committed_is_what_the_code_makes() -> None:
    made = {f"{dashboard.uid}.json": text(dashboard) for dashboard in DASHBOARDS}
    committed = {path.name: path.read_text() for path in OUT.iterdir()}
    assert committed == made, "run `make dashboards`"


def test_panels_do_not_overlap_and_lie_within_the_grid() -> None:
    for dashboard in DASHBOARDS:
        taken: set[tuple[int, int]] = set()
        panels = json.loads(text(dashboard))["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        for panel in panels:
            grid = panel["gridPos"]
            assert grid["x"] + grid["w"] <= 24
            cells = {
                (grid["x"] + x, grid["y"] + y) for x in range(grid["w"]) for y in range(grid["h"])
            }
            assert not taken & cells, f"{dashboard.uid}: {panel['title']}"
            taken |= cells


def test_no_two_panels_of_a_dashboard_have_the_same_name() -> None:
    for dashboard in DASHBOARDS:
        titles = [(row.title, panel.title) for row in dashboard.rows for panel in row.panels]
        assert len(titles) == len(set(titles))


def test_prometheus_alone_can_draw_them(tmp_path: Path) -> None:
    """`make watch`: that they are drawn as meant was looked at."""
    config = write_files(tmp_path, "127.0.0.1:8080")
    run(program("promtool"), "check", "config", config)
    (job,) = yaml.safe_load(config.read_text())["scrape_configs"]
    assert job["scheme"] == "http"
    for dashboard in DASHBOARDS:
        page = (tmp_path / "consoles" / f"{dashboard.uid}.html").read_text()
        assert "{{" not in page, "Prometheus takes it for a template"
        (shown,) = re.findall(r"^const dashboard = (.+)$", page, re.MULTILINE)
        assert json.loads(shown) == json.loads(json.dumps(asdict(dashboard)))
        (pages,) = re.findall(r"^const pages = (.+)$", page, re.MULTILINE)
        assert [uid for uid, _ in json.loads(pages)] == [each.uid for each in DASHBOARDS]


def test_grafana_finds_the_dashboards_and_prometheus() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    scraped = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["global"]
    assert source["jsonData"]["timeInterval"] == scraped["scrape_interval"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "ledger.yml").read_text())[
        "providers"
    ]
    compose = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
    mounts = [mount.split(":")[1] for mount in compose["services"]["grafana"]["volumes"]]
    assert provider["options"]["path"] in mounts
    assert "/etc/grafana/provisioning" in mounts

"""A dashboard as Grafana reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from deploy.grafana.panels import Dashboard, Panel, Row

Json = dict[str, Any]

#: of Grafana's grid
_WIDTH = 24
_HEIGHTS = {"stat": 4, "timeseries": 8}
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def text(dashboard: Dashboard) -> str:
    """What is in the file of a dashboard."""
    return json.dumps(render(dashboard), indent=2, ensure_ascii=False) + "\n"


def render(dashboard: Dashboard) -> Json:
    """The dashboard as Grafana reads it."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.about,
        "tags": ["ledger"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "graphTooltip": 1,
        "links": [
            {
                "type": "dashboards",
                "tags": ["ledger"],
                "title": "Ledger",
                "asDropdown": False,
                "keepTime": True,
                "includeVars": True,
            }
        ],
        "templating": {"list": [_datasource(), *map(_variable, dashboard.variables)]},
        "panels": list(_panels(dashboard.rows)),
    }


def _datasource() -> Json:
    return {"name": "datasource", "label": "Source", "type": "datasource", "query": "prometheus"}


def _variable(variable: tuple[str, str]) -> Json:
    name, query = variable
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": _DATASOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
    }


def _panels(rows: Sequence[Row]) -> Iterator[Json]:
    number = y = 0
    for row in rows:
        number += 1
        grid = {"h": 1, "w": _WIDTH, "x": 0, "y": y}
        yield {"id": number, "type": "row", "title": row.title, "gridPos": grid, "panels": []}
        x, y, height = 0, y + 1, 0
        for panel in row.panels:
            if x + panel.width > _WIDTH:
                x, y, height = 0, y + height, 0
            number += 1
            height = max(height, _HEIGHTS[panel.kind])
            grid = {"h": _HEIGHTS[panel.kind], "w": panel.width, "x": x, "y": y}
            yield {"id": number, "gridPos": grid, **_panel(panel)}
            x += panel.width
        y += height


def _panel(panel: Panel) -> Json:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _DATASOURCE,
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _DATASOURCE,
                "expr": expr,
                "legendFormat": legend or "__auto",
                "range": panel.kind != "stat",
                "instant": panel.kind == "stat",
            }
            for index, (expr, legend) in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _stat_options() if panel.kind == "stat" else _timeseries_options(),
    }


def _defaults(panel: Panel) -> Json:
    steps: list[Json] = [{"color": "green", "value": None}]
    if panel.warn is not None:
        steps.append({"color": "yellow", "value": panel.warn})
    if panel.alarm is not None:
        steps.append({"color": "red", "value": panel.alarm})
    defaults: Json = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "fillOpacity": 25 if panel.stacked else 8,
            "showPoints": "never",
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        }
        defaults["min"] = 0
    return defaults


def _stat_options() -> Json:
    calculation = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    return {"reduceOptions": calculation, "colorMode": "value", "graphMode": "none"}


def _timeseries_options() -> Json:
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }

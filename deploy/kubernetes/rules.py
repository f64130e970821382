"""The Prometheus rules as a PrometheusRule: `make prometheusrule` writes prometheusrule.yaml.

The rules themselves are those of deploy/prometheus/rules; a test compares the two.
"""

from __future__ import annotations

from pathlib import Path

import yaml

HERE = Path(__file__).parent
OUT = HERE / "prometheusrule.yaml"
RULES = HERE.parent / "prometheus" / "rules"


def text() -> str:
    """What is in the file."""
    groups = [
        group
        for path in sorted(RULES.glob("*.yml"))
        for group in yaml.safe_load(path.read_text())["groups"]
    ]
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "ledger"},
        "spec": {"groups": groups},
    }
    made = yaml.safe_dump(resource, sort_keys=False, width=100, allow_unicode=True)
    return f"# Made of deploy/prometheus/rules by `make prometheusrule`.\n{made}"


if __name__ == "__main__":
    OUT.write_text(text())

"""The Grafana dashboards, as code: `make dashboards` writes them to dashboards/*.json.

What is committed is what this makes; a test compares the two.
"""

from __future__ import annotations

from pathlib import Path

from deploy.grafana.database import DATABASE
from deploy.grafana.program import PROGRAM
from deploy.grafana.render import text
from deploy.grafana.service import SERVICE

DASHBOARDS = (SERVICE, PROGRAM, DATABASE)
OUT = Path(__file__).parent / "dashboards"


def main() -> None:
    """Write every dashboard."""
    OUT.mkdir(exist_ok=True)
    for dashboard in DASHBOARDS:
        path = OUT / f"{dashboard.uid}.json"
        path.write_text(text(dashboard))
        print(path.relative_to(Path.cwd()))


if __name__ == "__main__":
    main()

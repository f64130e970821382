"""Where the files are that a deployment is made of, and the programs that check them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))
RUNBOOKS = ROOT / "docs" / "runbooks.md"


def program(name: str) -> str:
    """The path of an installed program; without it the test is skipped, and says so."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed here; .ci/run installs it")
    return path


def run(*command: str | Path, cwd: Path = ROOT, seconds: float = 60) -> str:
    """What a program that checks something says; fails with it when it finds a fault."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=seconds)
    said = done.stdout + done.stderr
    assert done.returncode == 0, (
        f"{' '.join(map(str, command))} ended with {done.returncode}:\n{said}"
    )
    return said


def rules() -> list[dict[str, Any]]:
    """Every recording and alert rule, as it is written."""
    return [
        rule
        for path in RULES
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]


def alerts() -> dict[str, dict[str, Any]]:
    """The alert rules by their names."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}

"""docs/faults.md names a test for each fault: it must be there, and say when it is run."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_fault_has_its_test() -> None:
    rows = re.findall(
        r"^\| (.+?) \| .+? \| `(tests/\S+)::(\w+)` \| (.*)\|$",
        (ROOT / "docs" / "faults.md").read_text(),
        re.MULTILINE,
    )
    assert len(rows) > 30
    for fault, path, test, remark in rows:
        text = (ROOT / path).read_text()
        found = re.search(rf"((?:^@.*\n)*)^(?:async )?def {test}\(", text, re.MULTILINE)
        assert found is not None, f"{fault}: there is no {path}::{test}"
        long = "faults_long" in found[1] or "pytestmark = [pytest.mark.faults_long" in text
        assert long == ("long" in remark), fault

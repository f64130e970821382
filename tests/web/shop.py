"""The example shop, as its own process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / "deploy" / "shop" / "shop.py"


@contextmanager
def open_shop(arguments: Sequence[str], directory: Path) -> Iterator[str]:
    """The address of a shop that is open, until the block ends."""
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), *arguments],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=(directory / "shop.log").open("w"),
        text=True,
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said.startswith("The shop is open at http://"), (directory / "shop.log").read_text()
        yield said.split()[-1]
    finally:
        process.terminate()
        process.wait(10)

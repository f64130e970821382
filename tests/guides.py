"""Runs what a guide in docs/ shows, literally: its shell sessions and its Python.

A ```console block is a session: what follows `$ ` is run by a shell that lasts for the whole guide,
and what follows that is what it prints. A ```python block is run as it is, all of a guide in one
namespace, and what it prints is in the ```text block that follows it, if one does; a test may run
blocks of other languages likewise. Addresses and other names that a guide must invent are replaced,
in both directions.

Two texts are alike if they differ in white space only, and where the guide has `…`.
"""

from __future__ import annotations

import contextlib
import io
import os
import queue
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

DOCS = Path(__file__).parents[1] / "docs"

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.M | re.S
)
_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line of the guide that it begins on."""

    language: str
    text: str
    line: int


@dataclass(frozen=True)
class Step:
    """A command of a session, and what it is to print."""

    command: str
    output: str


def blocks(guide: Path) -> list[Block]:
    """All fenced blocks of a guide, in order."""
    source = guide.read_text()
    found = []
    for match in _FENCE.finditer(source):
        indent = match["indent"]
        lines = (line.removeprefix(indent) for line in match["text"].splitlines(keepends=True))
        line = source.count("\n", 0, match.start()) + 2
        found.append(Block(match["language"], "".join(lines), line))
    return found


def steps(session: str) -> list[Step]:
    """The commands of a console block. One goes on while a quote is open or a line ends in \\."""
    found: list[Step] = []
    command, output = "", ""
    for line in session.splitlines(keepends=True):
        if command and not _is_whole(command):
            command += line
        elif line.startswith("$ "):
            if command:
                found.append(Step(command, output))
            command, output = line.removeprefix("$ "), ""
        elif command:
            output += line
        else:
            raise ValueError(f"a session begins with '$ ', not with {line!r}")
    return [*found, Step(command, output)] if command else found


def _is_whole(command: str) -> bool:
    if command.endswith("\\\n"):
        return False
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return False
    return True


def alike(shown: str, printed: str) -> bool:
    """Whether a text is what the guide shows, white space aside; `…` stands for anything."""
    parts = ("".join(part.split()) for part in shown.split("…"))
    pattern = ".*".join(re.escape(part) for part in parts)
    return re.fullmatch(pattern, "".join(printed.split()), re.S) is not None


class Guide:
    """Runs the blocks of one guide in order; a context manager.

    `names` are what the guide calls things and what they are called here; `environment` is added
    to that of the shell, which finds the commands of this Python's environment first. `others` run
    blocks in other languages, and answer what they print.
    """

    def __init__(
        self,
        guide: Path,
        directory: Path,
        *,
        names: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        others: Mapping[str, Callable[[str], str]] | None = None,
    ) -> None:
        self.guide = guide
        #: of the Python
        self.namespace: dict[str, Any] = {"__name__": "__guide__"}
        self._others = dict(others or {})
        self._names = dict(names or {})
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("LEDGER_")}
        self._shell = _Shell({**inherited, "PATH": path, **(environment or {})}, directory)

    def run(self) -> int:
        """How many commands and blocks were run. Raises AssertionError with the place."""
        count = 0
        found = blocks(self.guide)
        for block, after in zip(found, [*found[1:], Block("", "", 0)], strict=True):
            if block.language == "console":
                for step in steps(block.text):
                    self._check(block, step.command, step.output, self._command(step.command))
                    count += 1
            elif block.language == "python" or block.language in self._others:
                shown = after.text if after.language == "text" else "…"
                self._check(block, block.text, shown, self._printed(block))
                count += 1
        return count

    def replaced(self, text: str) -> str:
        """A text of the guide with the names that things have here."""
        for name, here in self._names.items():
            text = text.replace(name, here)
        return text

    def _command(self, command: str) -> str:
        return self._shell.run(self.replaced(command))

    def _printed(self, block: Block) -> str:
        if block.language in self._others:
            return self._others[block.language](self.replaced(block.text))
        printed = io.StringIO()
        # Errors then name the line of the guide.
        source = "\n" * (block.line - 1) + self.replaced(block.text)
        with contextlib.redirect_stdout(printed):
            exec(compile(source, str(self.guide), "exec"), self.namespace)
        return printed.getvalue()

    def _check(self, block: Block, what: str, shown: str, printed: str) -> None:
        for name, here in self._names.items():
            printed = printed.replace(here, name)
        assert alike(shown, printed), (
            f"{self.guide.name}, block of line {block.line}:\n{what}\n"
            f"--- is shown to print ---\n{shown}\n--- but printed ---\n{printed}"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._shell.close()


class _Shell:
    """A bash that keeps its variables from one command to the next."""

    def __init__(self, environment: Mapping[str, str], directory: Path) -> None:
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            env=dict(environment),
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def run(self, command: str) -> str:
        """What a command prints on stdout and stderr. Raises TimeoutError."""
        assert self._process.stdin is not None
        mark = f"done-{os.urandom(8).hex()}"
        self._process.stdin.write(f"{{ {command.rstrip()}\n}} < /dev/null; echo; echo {mark}\n")
        self._process.stdin.flush()
        return "".join(self._until(mark, command)).removesuffix("\n")

    def _until(self, mark: str, command: str) -> Iterator[str]:
        while True:
            try:
                line = self._lines.get(timeout=_TIMEOUT_SECONDS)
            except queue.Empty:
                raise TimeoutError(f"{command!r} prints nothing more") from None
            if line == f"{mark}\n":
                return
            if not line:
                raise EOFError(f"the shell ended with {command!r}")
            yield line

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def close(self) -> None:
        """End the shell. What it may have left in the background is the guide's fault."""
        self._process.kill()
        self._process.wait()

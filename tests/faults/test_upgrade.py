"""The schema is brought to the next version while tills are served, by this version and the next.

The version to come is made here: this program, with one more migration that does what migrations
may do: columns, a constraint, a table, an index on the journal, a right, a trigger.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ledger.store import migrate as migration
from tests.faults.load import Load, client_of, open_shop
from tests.faults.processes import ServiceProcess, connect
from tests.service.requests import purchase

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

#: no till notices more than this of a migration
PAUSE_SECONDS = 1.5

NEXT = '''
from alembic import op
from ledger.store.online import create_index

revision, down_revision, branch_labels, depends_on = "9001", "{head}", None, None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE entries ADD COLUMN channel text;
        ALTER TABLE accounts ADD COLUMN nickname text NOT NULL DEFAULT '';
        ALTER TABLE accounts ADD CONSTRAINT nickname_is_short
            CHECK (length(nickname) < 100) NOT VALID;
        CREATE TABLE nicknames (name text PRIMARY KEY);
        GRANT SELECT ON nicknames TO ledger_service;
        CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER look AFTER INSERT ON purchases
            FOR EACH STATEMENT EXECUTE FUNCTION look();
    """)
'''
NEXT_INDEX = """
from ledger.store.online import create_index

revision, down_revision, branch_labels, depends_on = "9002", "9001", None, None


def upgrade() -> None:
    create_index("entries_channel_idx", "entries (program_id, channel)")
"""


@pytest.fixture
def next_version(tmp_path: Path) -> list[str]:
    """How to run the version to come, with the arguments of `ledger` after it."""
    directory = tmp_path / "migrations"
    shutil.copytree(migration._directory(), directory)
    head = migration.head_revision()
    (directory / "versions" / "9001_next.py").write_text(NEXT.format(head=head))
    (directory / "versions" / "9002_next.py").write_text(NEXT_INDEX)
    program = (
        "import pathlib, ledger.store.migrate as migrate\n"
        f"migrate._directory = lambda: pathlib.Path({str(directory)!r})\n"
        "from ledger.cli import main\n"
        "main()"
    )
    return [sys.executable, "-c", program]


def run(
    command: Sequence[str], *arguments: str, database_url: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *arguments],
        env={**os.environ, "LEDGER_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        timeout=90,
    )


class Till:
    """Buys all the time as part of a load, and notes how long each purchase took, with repeats."""

    def __init__(self, load: Load, address: str) -> None:
        self.waits: list[float] = []
        self._load = load
        self._address = address
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._buy)
        self._thread.start()

    def _buy(self) -> None:
        chance = random.Random(41)
        with contextlib.closing(client_of(self._address)) as client:
            while not self._over.is_set():
                write = purchase(f"till-{len(self.waits)}", member_id="till")
                began = time.monotonic()
                self._load.write(client, write, chance)
                self.waits.append(time.monotonic() - began)

    def close(self) -> None:
        self._over.set()
        self._thread.join(30)


@contextlib.contextmanager
def holding(database_url: str, table: str) -> Iterator[None]:
    """Within the block somebody else reads a table, in a transaction that is left open."""
    with contextlib.closing(connect(database_url)) as connection:
        connection.cursor().execute(f"BEGIN; SELECT count(*) FROM {table}")
        yield


def test_both_versions_serve_side_by_side_while_the_schema_is_migrated(
    database_url: str, next_version: list[str], tmp_path: Path
) -> None:
    now, new = tmp_path / "now.log", tmp_path / "new.log"
    environment = {"LEDGER_DATABASE_URL": database_url}
    with (
        ServiceProcess(environment, now) as old,
        ServiceProcess(environment, new, command=[*next_version, "serve"]) as newer,
    ):
        with contextlib.closing(client_of(old.start().grpc_address)) as client:
            open_shop(client)
        refused = run(next_version, "serve", "--json", database_url=database_url)
        assert json.loads(refused.stderr.splitlines()[-1])["reason"] == "SCHEMA_BEHIND"

        both = f"ipv4:{old.grpc_address},{newer.grpc_address}"
        load = Load(both, seed=42)
        with load.running():
            load.wait_for_answers(50)
            with contextlib.closing(Till(load, old.grpc_address)) as till:
                with holding(database_url, "accounts"):
                    migrating = subprocess.Popen(
                        [*next_version, "migrate", "--json"],
                        env={**os.environ, **environment},
                        stdout=subprocess.PIPE,
                    )
                    time.sleep(4)  # it asks again and again for the table that is being read
                    assert migrating.poll() is None
                done, _ = migrating.communicate(timeout=60)
                assert migrating.returncode == 0
                assert json.loads(done)["toRevision"] == "9002"
            newer.start()
            load.wait_for_answers(100)
            # The rollout is undone: what runs now starts on the new schema, too.
            assert old.terminate(25.0) == 0
            old.start()
            load.wait_for_answers(100)
        print(f"a till waited {max(till.waits):.2f} s at most, {len(till.waits)} purchases")
        assert len(till.waits) > 100
        assert max(till.waits) < PAUSE_SECONDS
        load.settle()
        load.check(database_url)
        served = [service.terminate(25.0) for service in (old, newer)]
        assert served == [0, 0]
        assert not any("Traceback" in line for each in (old, newer) for line in each.log_lines())

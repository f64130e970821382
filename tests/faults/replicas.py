"""Servers that are made of another one: a standby that follows it, and what a backup restores."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from ledger.store.data_directory import server_account
from tests.faults.processes import (
    PrivatePostgres,
    connect,
    eventually,
    free_port,
    private_directory,
)


def copy_of(
    server: PrivatePostgres, directory: Path, settings: Mapping[str, str], *more: str
) -> PrivatePostgres:
    """A server that is not started yet, with a base backup of another one as its data.

    `more` are further arguments of pg_basebackup.
    """
    directory.mkdir()
    copy = PrivatePostgres(directory, settings=settings, initialize=False)
    where = ("--host", str(server.data), "--port", server.settings.get("port", "5432"))
    server.run(
        "pg_basebackup",
        *(*where, "--username", "postgres", "--no-password"),
        *("--pgdata", str(copy.data), "--checkpoint", "fast", "--no-sync", *more),
    )
    return copy


def own(path: Path) -> None:
    """Give a file or directory to the user that servers run as."""
    account = server_account()
    if account:
        os.chown(path, account["user"], account["group"])


@contextlib.contextmanager
def primary_and_standby() -> Iterator[tuple[PrivatePostgres, PrivatePostgres]]:
    """Two servers on ports of 127.0.0.1: what the first has answered to COMMIT the second has."""
    with private_directory() as directory, contextlib.ExitStack() as stack:
        first, second = (
            {"listen_addresses": "127.0.0.1", "port": str(free_port())} for _ in range(2)
        )
        (directory / "primary").mkdir()
        primary = PrivatePostgres(directory / "primary", settings=first)
        stack.callback(primary.stop)
        primary.start()
        standby = copy_of(primary, directory / "standby", second, "--write-recovery-conf")
        stack.callback(standby.stop)
        standby.start(writable=False)
        with contextlib.closing(connect(primary.url())) as connection:
            cursor = connection.cursor()
            cursor.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            cursor.execute("SELECT pg_reload_conf()")

            def follows() -> bool:
                cursor.execute("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")
                return cursor.fetchone() == (1,)

            eventually("the standby follows", follows)
        yield primary, standby


def promote(standby: PrivatePostgres) -> None:
    """Make a standby a server of its own, and return when it is."""
    with contextlib.closing(connect(standby.url())) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_promote(true, 30)")
        assert cursor.fetchone() == (True,)

"""Where the data is: the settings of a command that uses the database, and that database's URL.

Imports the configuration and the store, so it is imported by commands when they run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ledger import config
from ledger.cli.failure import NO_ANSWER, REFUSED, CommandFailed, usage
from ledger.cli.output import note
from ledger.signals import ending_in_order
from ledger.store.database import DatabaseUnusable
from ledger.store.migrate import MigrationRefused, SchemaBehind


def settings(**flags: object) -> config.Settings:
    """The settings; flags that are None do not count. Raises CommandFailed (usage), all faults."""
    try:
        return config.load(flags)
    except config.SettingsInvalid as error:
        raise usage("the settings can not be used", error.faults) from None


@contextmanager
def open_place(
    chosen: config.Settings, *, existing: bool = False, tell: Callable[[str], None] = note
) -> Iterator[str]:
    """The URL of the database; an embedded one runs while the context lasts.

    An embedded one is made if need be, unless it has to be `existing` already. When it is waited
    for, or started again, `tell` is told.
    Turns what the store has against a database into CommandFailed, also inside of the context.
    """
    with explaining_database():
        if chosen.database_url is not None:
            yield chosen.database_url
            return
        from ledger.store import embedded

        if existing and embedded.status(chosen.data_dir).state == "ABSENT":
            raise CommandFailed(
                f"there is no ledger in {chosen.data_dir}; name another place with --data-dir or "
                "--database-url",
                exit_code=REFUSED,
                reason="NO_LEDGER",
            )
        with (
            ending_in_order(),  # or the database would go on without anybody who uses it
            embedded.start(chosen.data_dir, on_progress=tell) as server,
            server.kept_running(tell),
        ):
            yield server.url()


@contextmanager
def explaining_database() -> Iterator[None]:
    """Raises CommandFailed for a database that can not be used as it is."""
    try:
        yield
    except (MigrationRefused, SchemaBehind) as error:
        reason = "SCHEMA_BEHIND" if isinstance(error, SchemaBehind) else "MIGRATION_REFUSED"
        raise CommandFailed(str(error), exit_code=REFUSED, reason=reason) from None
    except DatabaseUnusable as error:
        raise CommandFailed(
            str(error), exit_code=NO_ANSWER, code="UNAVAILABLE", reason="DATABASE_UNUSABLE"
        ) from None

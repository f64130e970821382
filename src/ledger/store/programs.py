"""Programs and their rules versions: stored as documents, kept compiled in a Catalog.

A rules version takes effect RULES_LEAD after it was published, at the earliest, and a Catalog never
answers from what is older than FRESHNESS; so every process has a version before it is in force. A
sandbox lives by its own clock, which may stand still: its row is read inside each transaction.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from ledger.core.errors import (
    EffectiveTimeOutOfRange,
    NotASandbox,
    ProgramAlreadyExists,
    ProgramNotFound,
    VersionMismatch,
)
from ledger.core.instants import LATEST, SECOND, format_instant, to_datetime, to_instant
from ledger.core.program import Program, RulesVersion
from ledger.core.rules import read_rules
from ledger.store.database import ask
from ledger.store.rows import optional_instant
from ledger.store.tables import programs, rules_versions

#: how far ahead a version of a program in real time must be published (µs)
RULES_LEAD = 5 * SECOND
#: seconds after which a cached program is looked up again
FRESHNESS_SECONDS = 1.0


class Catalog:
    """The programs this process knows, each refreshed when it is asked for and stale.

    `on_new` is told the id of each program when it is first known.
    """

    def __init__(
        self, database: sa.Engine, on_new: Callable[[str], None] = lambda program_id: None
    ) -> None:
        self._database = database
        self._on_new = on_new
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Program, float]] = {}
        #: the latest time (monotonic) that the database could not be asked, and why
        self._failure: tuple[sa.exc.SQLAlchemyError, float] | None = None

    def known(self, program_id: str) -> Program | None:
        """The cached program, however old: its currency and zone never change."""
        known = self._known.get(program_id)
        return None if known is None else known[0]

    def fresh(self, program_id: str) -> Program | None:
        """The cached program, if it was read within FRESHNESS_SECONDS."""
        known = self._known.get(program_id)
        if known is None or time.monotonic() - known[1] > FRESHNESS_SECONDS:
            return None
        return known[0]

    def get(self, program_id: str) -> Program:
        """The program, at most FRESHNESS_SECONDS old. Raises PROGRAM_NOT_FOUND."""
        return self.fresh(program_id) or self.refresh(program_id)

    def refresh(self, program_id: str) -> Program:
        """The program as it is in the database now. Raises PROGRAM_NOT_FOUND."""
        read_at = time.monotonic()
        with self._lock:
            known = self._known.get(program_id)
            if known is not None and known[1] > read_at:
                return known[0]  # somebody else refreshed it meanwhile
            if self._failure is not None and self._failure[1] > read_at:
                # Somebody else tried meanwhile, in vain: not everybody has to wait for that.
                raise self._failure[0].with_traceback(None)
            versions = known[0].versions if known is not None else ()
            try:
                program = ask(self._database, load_program, program_id, versions)
            except sa.exc.SQLAlchemyError as error:
                self._failure = (error, time.monotonic())
                raise
            self._known[program_id] = (program, read_at)
        if known is None:
            self._on_new(program_id)
        return program

    def at(self, program_id: str, clock_time: int | None, version: int) -> Program:
        """The program with the clock (µs) and at least the version read in a transaction."""
        program = self.get(program_id)
        if program.versions[-1].version < version:
            program = self.refresh(program_id)
        if program.clock_time != clock_time:
            program = msgspec.structs.replace(program, clock_time=clock_time)
        return program


def load_program(
    connection: sa.Connection, program_id: str, known: Sequence[RulesVersion] = ()
) -> Program:
    """A program with all its versions; those `known` are not compiled again."""
    row = connection.execute(sa.select(programs).where(programs.c.program_id == program_id)).first()
    if row is None:
        raise ProgramNotFound(program_id=program_id)
    newer = connection.execute(
        sa.select(rules_versions)
        .where(rules_versions.c.program_id == program_id)
        .where(rules_versions.c.version > (known[-1].version if known else 0))
        .order_by(rules_versions.c.version)
    )
    return Program(
        program_id=row.program_id,
        display_name=row.display_name,
        currency=row.currency,
        zone=ZoneInfo(row.time_zone),
        clock_time=optional_instant(row.clock_time),
        member_key=bytes(row.member_key),
        create_time=to_instant(row.create_time),
        versions=(*known, *(_compile(version, row.currency) for version in newer)),
    )


def _compile(row: Any, currency: str) -> RulesVersion:
    rules = read_rules(json.loads(row.document), currency)
    return RulesVersion(row.version, to_instant(row.effective_time), rules)


def create_program(
    database: sa.Engine,
    *,
    program_id: str,
    display_name: str,
    currency: str,
    time_zone: str,
    clock_time: int | None,
    document: dict[str, Any],
    actor: str,
    now: int,
) -> None:
    """Store a program and version 1 of its rules, in force at once.

    Raises RULES_INVALID, PROGRAM_ALREADY_EXISTS.
    """
    read_rules(document, currency)
    try:
        with _transaction(database) as connection:
            connection.execute(
                sa.insert(programs).values(
                    program_id=program_id,
                    display_name=display_name,
                    currency=currency,
                    time_zone=time_zone,
                    sandbox=clock_time is not None,
                    clock_time=None if clock_time is None else to_datetime(clock_time),
                    member_key=secrets.token_bytes(32),
                    create_time=to_datetime(now),
                )
            )
            effective_time = now if clock_time is None else clock_time
            _insert_version(connection, program_id, 1, effective_time, document, actor, now)
    except IntegrityError as error:
        raise ProgramAlreadyExists(program_id=program_id) from error


def publish_rules(
    database: sa.Engine,
    *,
    program_id: str,
    document: dict[str, Any],
    effective_time: int | None,
    expected_version: int | None,
    actor: str,
    now: int,
) -> int:
    """Store the next rules version and answer its number.

    It takes effect at effective_time (µs): by default as soon as every process knows it, never
    earlier than that or than the version before it. Raises PROGRAM_NOT_FOUND, RULES_INVALID (also
    when levels of the version before are gone), VERSION_MISMATCH, EFFECTIVE_TIME_OUT_OF_RANGE.
    """
    with _transaction(database) as connection:
        row = connection.execute(
            sa.select(programs).where(programs.c.program_id == program_id).with_for_update()
        ).first()
        if row is None:
            raise ProgramNotFound(program_id=program_id)
        latest = list_rules_versions(connection, program_id, None, 1)[0]
        previous = read_rules(json.loads(latest.document), row.currency)
        read_rules(document, row.currency, previous)
        clock_time = optional_instant(row.clock_time)
        if expected_version is not None and expected_version != latest.version:
            raise VersionMismatch(expected=expected_version, actual=latest.version)
        # Versions take effect in the order of their numbers.
        earliest = max(
            now + RULES_LEAD if clock_time is None else clock_time,
            to_instant(latest.effective_time),
        )
        if effective_time is None:
            effective_time = earliest
        elif effective_time < earliest:
            raise _out_of_range(effective_time, earliest)
        version = int(latest.version) + 1
        _insert_version(connection, program_id, version, effective_time, document, actor, now)
        return version


def advance_clock(database: sa.Engine, program_id: str, clock_time: int) -> None:
    """Move a sandbox's clock forward to clock_time (µs).

    Waits for the commands that are being decided under the old time. Raises PROGRAM_NOT_FOUND,
    NOT_A_SANDBOX, EFFECTIVE_TIME_OUT_OF_RANGE (backwards).
    """
    with _transaction(database) as connection:
        row = connection.execute(
            sa.select(programs).where(programs.c.program_id == program_id).with_for_update()
        ).first()
        if row is None:
            raise ProgramNotFound(program_id=program_id)
        if row.clock_time is None:
            raise NotASandbox(program_id=program_id)
        present = to_instant(row.clock_time)
        if clock_time < present:
            raise _out_of_range(clock_time, present)
        connection.execute(
            sa.update(programs)
            .where(programs.c.program_id == program_id)
            .values(clock_time=to_datetime(clock_time))
        )


def list_programs(
    connection: sa.Connection,
    after: str | None,
    limit: int,
    only: Collection[str] | None = None,
) -> list[str]:
    """Ids of programs, newest first, beginning with the one that follows the program `after`.

    `only` are those to be told of; None: all.
    """
    age = sa.tuple_(programs.c.create_time, programs.c.program_id)
    query = sa.select(programs.c.program_id)
    if only is not None:
        query = query.where(programs.c.program_id.in_(only))
    if after is not None:
        last = sa.select(programs.c.create_time).where(programs.c.program_id == after)
        query = query.where(age < sa.tuple_(last.scalar_subquery(), after))
    query = query.order_by(programs.c.create_time.desc(), programs.c.program_id.desc())
    return list(connection.execute(query.limit(limit)).scalars())


def list_rules_versions(
    connection: sa.Connection, program_id: str, before: int | None, limit: int
) -> list[sa.Row[Any]]:
    """Rows of rules_versions, newest first, beginning below version `before`."""
    query = sa.select(rules_versions).where(rules_versions.c.program_id == program_id)
    if before is not None:
        query = query.where(rules_versions.c.version < before)
    return list(connection.execute(query.order_by(rules_versions.c.version.desc()).limit(limit)))


def _insert_version(
    connection: sa.Connection,
    program_id: str,
    version: int,
    effective_time: int,
    document: dict[str, Any],
    actor: str,
    now: int,
) -> None:
    connection.execute(
        sa.insert(rules_versions).values(
            program_id=program_id,
            version=version,
            effective_time=to_datetime(effective_time),
            document=json.dumps(document, ensure_ascii=False, separators=(",", ":")),
            actor=actor,
            create_time=to_datetime(now),
        )
    )


def _out_of_range(instant: int, earliest: int) -> EffectiveTimeOutOfRange:
    return EffectiveTimeOutOfRange(
        effective_time=format_instant(instant),
        earliest=format_instant(earliest),
        latest=format_instant(LATEST),
    )


def _transaction(database: sa.Engine) -> Any:
    """A transaction of its own: the pool's connections are otherwise in autocommit mode."""
    return database.execution_options(isolation_level="READ COMMITTED").begin()

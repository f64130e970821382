"""`ledger keys`: who may call, straight in the database. Imports typer only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli import options, token_keys
from ledger.cli.help import Command, Group

if TYPE_CHECKING:
    import sqlalchemy as sa

app = typer.Typer(
    cls=Group, no_args_is_help=True, help="API keys, and the keys that sign member tokens."
)


@app.command(cls=Command)
def create(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="Whose key it is, such as till-7: 1 to 40 lower-case letters, digits, - and .",
        ),
    ],
    role: Annotated[
        str,
        typer.Option("--role", metavar="ROLE", help="One of till, shop, support, admin, auditor."),
    ],
    program: Annotated[
        list[str] | None,
        typer.Option("--program", "-p", metavar="PROGRAM", help="For this program; repeatable."),
    ] = None,
    all_programs: Annotated[
        bool, typer.Option("--all-programs", help="For all programs, also those to come.")
    ] = False,
    expires: Annotated[
        str,
        typer.Option(
            "--expires",
            metavar="WHEN",
            help="After so long (90d, 12h) or at a time (2027-06-30, UTC). Default: never.",
        ),
    ] = "",
    quota: Annotated[
        int | None,
        typer.Option(
            "--quota",
            metavar="N",
            min=0,
            max=1_000_000,
            help="Calls that it may make in a second; 0: any number. Default: as the server says "
            "of everybody (LEDGER_QUOTA_PER_SECOND).",
            show_default=False,
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", metavar="FILE", help="Write the key to a new file instead of showing it."
        ),
    ] = None,
    database_url: options.DatabaseUrl = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Make an API key, and show it this once.

    Works on the database, as its owner, so that the first key can be made.
    Only a hash of the key is stored: nobody can show it again. From the first
    key on, servers refuse calls without a credential.

    till      purchases, returns, holds and redemptions
    shop      the same, transfers, events, and tokens for members' browsers
    support   looks, adjusts, transfers, reverses; tiers and statuses
    admin     everything
    auditor   looks and verifies

    Examples:
      ledger keys create till-7 --role till --program bean-street
      ledger keys create maria --role support -p bean-street --expires 90d
      ledger keys create root --role admin --all-programs --to root.key
    """
    from ledger.cli import output
    from ledger.cli.credentials import new_key_file
    from ledger.cli.present_keys import as_dict
    from ledger.engine import real_clock
    from ledger.store import api_keys

    now = real_clock()
    programs = sorted(set(program or ()))
    _check(name, role, programs, all_programs)
    expire_time = _expiry(expires, now)
    with _database(database_url, data_dir) as connection:
        missing = _unknown(connection, programs)
        with new_key_file(to) as write:
            key, secret = api_keys.create_key(
                connection,
                name=name,
                role=role,
                programs=None if all_programs else programs,
                now=now,
                expire_time=expire_time,
                quota_per_second=quota,
            )
            write(secret)
    if missing:
        output.note(f"There is no program {', '.join(missing)} yet.")
    if json:
        output.print_json({"apiKey": secret if to is None else None, **as_dict(key, now)})
        return
    if to is not None:
        output.done(f"key {output.bold(key.key_id)} of {output.bold(name)} is made, as {role}")
        output.note(f"  written to {to}, readable by you only")
        return
    output.note(f"Key {key.key_id} of {name}, shown this once. Send it with LEDGER_API_KEY or")
    output.note("--api-key-file; over HTTP as `authorization: Bearer …`.")
    print(secret)


@app.command("list", cls=Command)
def list_(
    every: Annotated[
        bool, typer.Option("--all", help="Also those that have expired or been revoked.")
    ] = False,
    database_url: options.DatabaseUrl = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """List API keys: whose they are and what for, never the keys themselves.

    Examples:
      ledger keys list
      ledger keys list --all --json
    """
    from ledger.cli import output
    from ledger.cli.present_keys import as_dict, keys_table, state_of
    from ledger.engine import real_clock
    from ledger.store import api_keys

    now = real_clock()
    with _database(database_url, data_dir) as connection:
        keys = api_keys.read_keys(connection)
    shown = [key for key in keys if every or state_of(key, now) == "ACTIVE"]
    if json:
        output.print_json({"keys": [as_dict(key, now) for key in shown]})
    elif shown:
        output.console().print(keys_table(shown, now))
    else:
        more = "" if every or not keys else " `--all` shows those that are good no more."
        output.note(f"There are no keys.{more}")


@app.command(cls=Command)
def revoke(
    key_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="The key's id, as `ledger keys list` shows it."),
    ],
    database_url: options.DatabaseUrl = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Refuse a key from now on, and all member tokens it had made.

    Every server knows within two seconds. It is for good; doing it again does
    nothing. Entries go on naming the key.

    Examples:
      ledger keys revoke k7fq2mzpx4ta
    """
    from ledger.cli import output
    from ledger.cli.failure import CommandFailed
    from ledger.cli.present_keys import as_dict
    from ledger.engine import real_clock
    from ledger.store import api_keys

    now = real_clock()
    parts = api_keys.parts_of(key_id)  # somebody who has the whole key at hand
    with _database(database_url, data_dir) as connection:
        key = api_keys.revoke_key(connection, parts[0] if parts else key_id, now)
    if key is None:
        raise CommandFailed(
            "there is no key of that id",
            code="NOT_FOUND",
            reason="KEY_NOT_FOUND",
            advice="`ledger keys list` shows the ids.",
        )
    if json:
        output.print_json(as_dict(key, now))
    else:
        output.done(f"key {output.bold(key.key_id)} of {output.bold(key.name)} is revoked")


app.command("rotate-token-key", cls=Command)(token_keys.rotate_token_key)


def _check(name: str, role: str, programs: list[str], all_programs: bool) -> None:
    """Raises CommandFailed (usage) with everything that is wrong."""
    from ledger.cli.failure import usage
    from ledger.rpc.fields import PROGRAM_ID
    from ledger.rpc.principals import ROLES
    from ledger.store.api_keys import NAME, RESERVED_NAMES

    faults = []
    if not NAME.fullmatch(name):
        allowed = "1 to 40 lower-case letters, digits, - and ., beginning with a letter or digit"
        faults.append(("NAME", f"must be {allowed}"))
    elif name in RESERVED_NAMES:
        faults.append(("NAME", f"{name} is what entries call something else; choose another"))
    if role not in ROLES:
        faults.append(("--role", f"must be one of {', '.join(ROLES)}"))
    if bool(programs) == all_programs:
        faults.append(("--program", "name the programs it is for, or else --all-programs"))
    faults += [
        ("--program", f"{each!r} is no program's id: lower-case letters, digits and -")
        for each in programs
        if not PROGRAM_ID.fullmatch(each)
    ]
    if faults:
        raise usage("; ".join(f"{field}: {fault}" for field, fault in faults), faults)


def _expiry(text: str, now: int) -> int | None:
    """The instant (µs) of --expires; None without. Raises CommandFailed (usage)."""
    from zoneinfo import ZoneInfo

    from ledger.cli.failure import usage
    from ledger.cli.values import parse_duration, parse_time
    from ledger.core.instants import LATEST, SECOND

    if not text:
        return None
    try:
        moment = now + parse_duration(text) * SECOND
    except ValueError:
        try:
            moment = parse_time(text, ZoneInfo("UTC"))
        except ValueError:
            example = "must be a duration such as 90d or a time such as 2027-06-30"
            raise usage(f"--expires: {example}, not {text!r}") from None
    if not now < moment <= LATEST:
        raise usage("--expires: must be ahead, before the year 2200")
    return moment


@contextmanager
def _database(database_url: str | None, data_dir: Path | None) -> Iterator[sa.Connection]:
    """A connection as whoever owns the database, whose schema is this program's."""
    from sqlalchemy.exc import ProgrammingError

    from ledger.cli.failure import CommandFailed
    from ledger.cli.place import open_place, settings
    from ledger.store.database import open_database
    from ledger.store.migrate import migrate, require_current

    chosen = settings(database_url=database_url, data_dir=data_dir)
    with open_place(chosen) as url:
        if chosen.database_url is None:
            migrate(url)
        unsafe = chosen.allow_unsafe_database
        database = open_database(
            url, role=None, pool_size=1, application_name="ledger keys", allow_unsafe=unsafe
        )
        try:
            require_current(database)
            with database.connect() as connection:
                yield connection
        except ProgrammingError as error:
            if getattr(error.orig, "pgcode", None) != "42501":
                raise
            raise CommandFailed(
                "this user may not change the keys of this database",
                code="PERMISSION_DENIED",
                reason="NOT_THE_OWNER",
                advice="Use the user that `ledger migrate` runs as.",
            ) from None
        finally:
            database.dispose()


def _unknown(connection: sa.Connection, programs: list[str]) -> list[str]:
    """Those of the programs that there are none of."""
    from ledger.store.programs import list_programs

    if not programs:
        return []
    known = set(list_programs(connection, None, len(programs), programs))
    return [each for each in programs if each not in known]

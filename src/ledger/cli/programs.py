"""`ledger program`: apply, show, list and validate program documents. Imports typer only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.cli import options
from ledger.cli.help import Command, Group

if TYPE_CHECKING:
    from rich.table import Table

    from ledger.cli.connection import Connection
    from ledger.cli.document import ProgramDocument
    from ledger.v1 import program_pb2

app = typer.Typer(cls=Group, no_args_is_help=True, help="Programs and the rules they run by.")

File = Annotated[
    Path, typer.Argument(metavar="FILE", help="A program document, YAML or JSON.", show_default="")
]


@app.command(cls=Command)
def apply(
    file: File,
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """Make a program what a document says.

    A program that does not exist is created. One that does gets a new version
    of its rules when they differ from the latest; otherwise nothing happens, so
    that applying a document twice is harmless. The document is checked first,
    and all its faults are shown.

    The document has two parts:
      program: {program_id: bean-street, display_name: Bean Street,
                currency: EUR, time_zone: Europe/Berlin}
      rules:
        earning: {rate: {points: 1, per: "1.00"}}

    Examples:
      ledger program apply coffee-shop.yaml
      ledger program apply coffee-shop.yaml --server ledger.internal:50051
    """
    from ledger.cli import document, output
    from ledger.cli.connection import connect
    from ledger.cli.messages import as_json

    read = document.load(file)
    with connect(server, timeout) as connection:
        outcome, program = apply_document(connection, read)
    if json:
        output.print_json({"outcome": outcome, "program": as_json(program)})
        return
    name = f"[bold]{program.program_id}[/]"
    if outcome == "created":
        output.done(f"created program {name} with rules version {program.rules_version}")
    elif outcome == "published":
        output.done(f"published rules version {program.rules_version} of program {name}")
    else:
        output.done(
            f"program {name} has these rules already (version {program.rules_version}); "
            "nothing changed"
        )


@app.command(cls=Command)
def validate(file: File, json: options.Json = False) -> None:
    """Check a program document offline, and show every fault with its path.

    Needs no server. Exit code 0: it can be applied; 1: it has faults.

    Examples:
      ledger program validate coffee-shop.yaml
      ledger program validate coffee-shop.yaml --json
    """
    from ledger.cli import document, output
    from ledger.cli.failure import REFUSED, CommandFailed

    read, violations = document.check(file)
    if json:
        output.print_json(
            {
                "valid": read is not None,
                "violations": [
                    {"field": field, "description": description}
                    for field, description in violations
                ],
            }
        )
        if read is None:
            raise typer.Exit(REFUSED)
        return
    if read is None:
        count = len(violations)
        raise CommandFailed(
            f"{file} has {count} fault{'s' if count > 1 else ''}",
            code="INVALID_ARGUMENT",
            reason="RULES_INVALID",
            violations=violations,
        )
    output.done(f"{file} is a valid document for program [bold]{read.program_id}[/]")


@app.command(cls=Command)
def show(
    program: Annotated[
        str,
        typer.Argument(
            metavar="[PROGRAM]",
            envvar="LEDGER_PROGRAM",
            help="The program. Needless where the server has only one.",
        ),
    ] = "",
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """Show a program and its latest rules, as a document that can be applied.

    Examples:
      ledger program show bean-street
      ledger program show bean-street > bean-street.yaml
      ledger program show bean-street --json
    """
    from ledger.cli import document, output
    from ledger.cli.connection import connect
    from ledger.cli.messages import as_document, as_json

    with connect(server, timeout) as connection:
        found = connection.program(program)
        latest = latest_rules(connection, found.program_id)
    if json:
        output.print_json({"program": as_json(found), "rulesVersion": as_json(latest)})
        return
    for name in ("create_time", "rules_version"):
        found.ClearField(name)
    print(document.dump(as_document(found), as_document(latest.rules)), end="")


@app.command("list", cls=Command)
def list_programs(
    server: options.Server = options.DEFAULT_SERVER,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_SECONDS,
    json: options.Json = False,
) -> None:
    """List the programs of a server, newest first.

    Examples:
      ledger program list
      ledger program list --json
    """
    from ledger.cli import output
    from ledger.cli.connection import connect
    from ledger.cli.messages import as_json
    from ledger.v1 import program_pb2

    programs: list[program_pb2.Program] = []
    with connect(server, timeout) as connection:
        token = ""
        while True:
            request = program_pb2.ListProgramsRequest(page_size=1000, page_token=token)
            page = connection.call(
                connection.programs.ListPrograms, request, program_pb2.ListProgramsResponse
            )
            programs.extend(page.programs)
            token = page.next_page_token
            if not token:
                break
    if json:
        output.print_json({"programs": [as_json(program) for program in programs]})
    elif programs:
        output.console().print(_programs_table(programs))
    else:
        output.note("This server has no program yet: `ledger program apply FILE` makes one.")


def apply_document(
    connection: Connection, read: ProgramDocument
) -> tuple[str, program_pb2.Program]:
    """Whether the program was `created`, its rules `published`, or all was `unchanged`; and it.

    Raises CommandFailed; also where the document's currency, time zone or sandbox are not those
    the program was made with, for these never change.
    """
    from google.protobuf import json_format

    from ledger.cli.failure import CommandFailed
    from ledger.v1 import program_pb2, rules_pb2

    rules = json_format.ParseDict(read.rules, rules_pb2.Rules())
    wanted = json_format.ParseDict(read.program, program_pb2.Program())
    try:
        existing = connection.program(read.program_id)
    except CommandFailed as failure:
        if failure.reason != "PROGRAM_NOT_FOUND":
            raise
        create = program_pb2.CreateProgramRequest(program=wanted, rules=rules)
        created = connection.call(connection.programs.CreateProgram, create, program_pb2.Program)
        return "created", created
    _check_unchanged(wanted, existing)
    latest = latest_rules(connection, read.program_id)
    if latest.rules == rules:
        return "unchanged", existing
    publish = program_pb2.PublishRulesRequest(
        program_id=read.program_id, rules=rules, expected_version=latest.version
    )
    version = connection.call(connection.programs.PublishRules, publish, program_pb2.RulesVersion)
    existing.rules_version = version.version
    return "published", existing


def latest_rules(connection: Connection, program_id: str) -> program_pb2.RulesVersion:
    """The newest version of a program's rules, in force or not yet."""
    from ledger.v1 import program_pb2

    request = program_pb2.ListRulesVersionsRequest(program_id=program_id, page_size=1)
    page = connection.call(
        connection.programs.ListRulesVersions, request, program_pb2.ListRulesVersionsResponse
    )
    return page.rules_versions[0]


def _check_unchanged(wanted: program_pb2.Program, existing: program_pb2.Program) -> None:
    from ledger.cli.failure import CommandFailed

    faults = [
        (f"program.{name}", f"is {getattr(existing, name)} and can not be changed")
        for name in ("currency", "time_zone", "sandbox")
        if getattr(wanted, name) != getattr(existing, name)
    ]
    if wanted.display_name and wanted.display_name != existing.display_name:
        faults.append(("program.display_name", f"is {existing.display_name!r} and stays so"))
    if faults:
        raise CommandFailed(
            f"program {existing.program_id} exists with other settings",
            reason="PROGRAM_DIFFERS",
            violations=faults,
        )


def _programs_table(programs: list[program_pb2.Program]) -> Table:
    from rich import box
    from rich.table import Table

    from ledger.cli.connection import zone_of
    from ledger.cli.present import moment

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Program", style="bold", no_wrap=True)
    table.add_column("Name")
    table.add_column("Currency")
    table.add_column("Time zone")
    table.add_column("Rules", justify="right")
    table.add_column("Clock", no_wrap=True)
    for program in programs:
        zone = zone_of(program)
        clock: Any = f"sandbox at {moment(program.clock_time, zone)}" if program.sandbox else "real"
        table.add_row(
            program.program_id,
            program.display_name,
            program.currency,
            program.time_zone,
            f"{program.rules_version:,}",
            clock,
        )
    return table

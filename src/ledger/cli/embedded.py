"""`ledger embedded`: the embedded PostgreSQL of a data directory. Imports typer only."""

from __future__ import annotations

import typer

from ledger.cli import options
from ledger.cli.help import Command, Group

app = typer.Typer(cls=Group, no_args_is_help=True, help="The embedded PostgreSQL.")


@app.command(cls=Command)
def status(data_dir: options.DataDir = None, json: options.Json = False) -> None:
    """Tell whether the embedded PostgreSQL of a data directory runs.

    Changes nothing. The state is ABSENT (never started here), STOPPED,
    STARTING, RUNNING or STOPPING.

    Examples:
      ledger embedded status
      ledger embedded status --data-dir /var/lib/ledger --json
    """
    from ledger.cli import output
    from ledger.cli.place import explaining_database, settings
    from ledger.store import embedded

    directory = settings(data_dir=data_dir).data_dir.expanduser().resolve()
    with explaining_database():
        found = embedded.status(directory)
    if json:
        output.print_json({"dataDir": str(directory), "state": found.state, "pid": found.pid})
        return
    style = {"RUNNING": "green", "ABSENT": "dim", "STOPPED": "yellow"}.get(found.state, "cyan")
    pid = f" (process {found.pid})" if found.pid else ""
    output.console().print(
        f"[{style}]{found.state}[/]{pid}  {output.escape(str(directory))}", soft_wrap=True
    )


@app.command(cls=Command)
def stop(data_dir: options.DataDir = None, json: options.Json = False) -> None:
    """Stop the embedded PostgreSQL of a data directory, whoever uses it.

    Nothing that was confirmed is lost. A server of the ledger that uses it
    starts it again; stop that one first, and the database stops with it.

    Examples:
      ledger embedded stop
      ledger embedded stop --data-dir /var/lib/ledger
    """
    from ledger.cli import output
    from ledger.cli.place import explaining_database, settings
    from ledger.store import embedded

    directory = settings(data_dir=data_dir).data_dir.expanduser().resolve()
    with explaining_database():
        stopped = embedded.stop(directory)
    if json:
        output.print_json({"dataDir": str(directory), "stopped": stopped})
    elif stopped:
        output.done(f"stopped the embedded PostgreSQL of {output.escape(str(directory))}")
    else:
        output.note(f"No embedded PostgreSQL runs in {directory}.")

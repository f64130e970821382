"""The `ledger` command and its sub-commands, put together. Imports typer only, beside them."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.main import get_command

from ledger.cli import (
    balances,
    corrections,
    database,
    doctor,
    embedded,
    holds,
    keys,
    members,
    programs,
    purchases,
    redemptions,
    replay,
    serve,
    streams,
    tiers,
    till,
    timeline,
)
from ledger.cli.help import Command, Group

app = typer.Typer(
    name="ledger",
    no_args_is_help=True,
    cls=Group,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        from ledger import __version__

        typer.echo(f"ledger {__version__}")
        raise typer.Exit


@app.callback()
def ledger(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """A points ledger for loyalty programs.

    First steps, in two terminals:
      ledger serve --demo
      ledger balance m-1
      ledger purchase m-1 12.99
      ledger redeem m-1 --reward free-coffee
      ledger statement m-1

    Exit codes: 0 done · 1 refused, or faults were found · 2 wrong usage ·
    3 no answer from the server or database (trying again is safe).
    """


_SERVER = "Run a server"
_TILLS = "Run a till"
_PROGRAMS = "Programs"
_MEMBERS = "Members"
_POINTS = "Points earned and corrected"
_SPENDING = "Points spent"
#: so that -250 is not taken for options
_NEGATIVE_NUMBERS = {"ignore_unknown_options": True}

app.command("serve", cls=Command, rich_help_panel=_SERVER)(serve.serve)
app.command("migrate", cls=Command, rich_help_panel=_SERVER)(database.migrate)
app.command("verify", cls=Command, rich_help_panel=_SERVER)(database.verify)
app.command("doctor", cls=Command, rich_help_panel=_SERVER)(doctor.doctor)
app.add_typer(keys.app, name="keys", rich_help_panel=_SERVER)
app.add_typer(embedded.app, name="embedded", rich_help_panel=_SERVER)
app.command("till", cls=Command, rich_help_panel=_TILLS)(till.till)
app.add_typer(programs.app, name="program", rich_help_panel=_PROGRAMS)
app.command("demo", cls=Command, rich_help_panel=_PROGRAMS)(timeline.demo)
app.command("events", cls=Command, rich_help_panel=_PROGRAMS)(streams.events)
app.command("replay", cls=Command, rich_help_panel=_PROGRAMS)(replay.replay)
app.command("balance", cls=Command, rich_help_panel=_MEMBERS)(balances.balance)
app.command("statement", cls=Command, rich_help_panel=_MEMBERS)(balances.statement)
app.command("watch", cls=Command, rich_help_panel=_MEMBERS)(streams.watch)
app.command("explain", cls=Command, rich_help_panel=_MEMBERS)(balances.explain)
app.command("expiring", cls=Command, rich_help_panel=_MEMBERS)(balances.expiring)
app.command("tier", cls=Command, rich_help_panel=_MEMBERS)(tiers.tier)
app.command("override-tier", cls=Command, rich_help_panel=_MEMBERS)(tiers.override_tier)
app.add_typer(members.app, name="member", rich_help_panel=_MEMBERS)
app.command("purchase", cls=Command, rich_help_panel=_POINTS)(purchases.purchase)
app.command("return", cls=Command, rich_help_panel=_POINTS)(purchases.return_)
app.command("activity", cls=Command, rich_help_panel=_POINTS)(tiers.activity)
app.command("adjust", cls=Command, rich_help_panel=_POINTS, context_settings=_NEGATIVE_NUMBERS)(
    corrections.adjust
)
app.command("transfer", cls=Command, rich_help_panel=_POINTS)(corrections.transfer)
app.command("rewards", cls=Command, rich_help_panel=_SPENDING)(redemptions.rewards)
app.command("redeem", cls=Command, rich_help_panel=_SPENDING)(redemptions.redeem)
app.command("reverse", cls=Command, rich_help_panel=_SPENDING)(redemptions.reverse)
app.command("hold", cls=Command, rich_help_panel=_SPENDING)(holds.hold)
app.command("capture", cls=Command, rich_help_panel=_SPENDING)(holds.capture)
app.command("release", cls=Command, rich_help_panel=_SPENDING)(holds.release)
app.command("extend", cls=Command, rich_help_panel=_SPENDING)(holds.extend)


def command() -> Any:
    """The whole command line, as an object that can be called with arguments."""
    return get_command(app)

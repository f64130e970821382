"""`ledger keys rotate-token-key`: the file of keys that sign member tokens. Imports typer only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ledger.cli import options


def rotate_token_key(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", envvar="LEDGER_TOKEN_KEYS", help="The file that servers are given."
        ),
    ],
    keep: Annotated[
        int,
        typer.Option("--keep", min=0, max=20, metavar="N", help="Earlier keys that still verify."),
    ] = 2,
    stage: Annotated[
        bool,
        typer.Option(
            "--stage", help="Only add a key that verifies; the next rotation lets it sign."
        ),
    ] = False,
    json: options.Json = False,
) -> None:
    """Make a key that signs member tokens from now on, in a file for servers.

    The first key of the file signs, all of them verify. Servers that run with
    --token-keys FILE take it up within two seconds. Tokens live for an hour at
    most: rotate twice within an hour, with --keep 0, and all are refused.

    Where several machines have copies of the file, run it with --stage and
    copy the file everywhere, then run it without and copy it again: so no
    server gets a token that it can not verify yet.

    Examples:
      ledger keys rotate-token-key token-keys.json
      ledger keys rotate-token-key token-keys.json --stage
      LEDGER_TOKEN_KEYS=token-keys.json ledger keys rotate-token-key
    """
    from ledger.cli import output
    from ledger.cli.failure import CommandFailed, usage
    from ledger.rpc import tokens
    from ledger.rpc.renewed import FilesUnusable

    try:
        earlier = tokens.load_token_keys(file) if file.exists() else []
        keys, signing = tokens.rotated(earlier, keep=keep, stage=stage)
        tokens.save_token_keys(file, keys)
    except FilesUnusable as error:
        raise CommandFailed(str(error), reason="TOKEN_KEYS_UNUSABLE") from None
    except OSError as error:
        raise usage(f"FILE: {file} can not be written: {error.strerror}") from None
    ids = [key.kid for key in keys]
    if json:
        output.print_json({"file": str(file), "signs": signing, "verify": ids})
        return
    output.done(f"key {output.bold(signing)} signs; {len(ids)} verify: {', '.join(ids)}")

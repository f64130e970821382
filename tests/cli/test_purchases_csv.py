"""A CSV of purchases is read as a whole, or refused as a whole with every bad row."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ledger.cli.failure import USAGE, CommandFailed
from ledger.cli.purchases_csv import Columns, Purchase, by_day, read
from ledger.core.instants import format_instant

ZONE = ZoneInfo("America/New_York")
COLUMNS = Columns("purchase_id", "member_id", "effective_time", "amount", currency="currency")
HEADER = "purchase_id,member_id,effective_time,amount,currency\n"


def purchases(tmp_path: Path, text: str, columns: Columns = COLUMNS) -> list[Purchase]:
    file = tmp_path / "purchases.csv"
    file.write_bytes(text.encode())
    return read(file, columns, "USD", ZONE)


def faults(tmp_path: Path, text: str) -> list[tuple[str, str]]:
    with pytest.raises(CommandFailed) as caught:
        purchases(tmp_path, text)
    assert caught.value.reason == "CSV_INVALID"
    return caught.value.violations


def test_rows_come_by_time_and_days_are_local(tmp_path: Path) -> None:
    text = HEADER + (
        "c,m,1997-02-02T04:59:59Z,3.00,USD\n"
        "a,m,1997-02-01 12:00,1.50,USD\n"
        "b,n,1997-02-01T17:00:00Z,2,USD\n"
        "d,n,1997-02-02T05:00:00Z,2,USD\n"
    )

    found = purchases(tmp_path, text)

    assert [one.purchase_id for one in found] == ["a", "b", "c", "d"]
    assert [one.line for one in found] == [3, 4, 2, 5]
    assert [one.amount for one in found] == [150, 200, 300, 200]
    assert format_instant(found[0].effective_time) == "1997-02-01T17:00:00Z"
    assert [[one.purchase_id for one in day] for day in by_day(found, ZONE)] == [
        ["a", "b", "c"],
        ["d"],
    ]


def test_columns_can_have_other_names(tmp_path: Path) -> None:
    columns = Columns("receipt", "card", "paid_at", "total", category="kind", terminal_id="till")
    text = "\ufefftill,kind,receipt,card,paid_at,total\n7,food,r-1,m-1,1997-02-01,5.00\n"

    assert purchases(tmp_path, text, columns) == [
        Purchase(2, "r-1", "m-1", 854_773_200_000_000, 500, "food", "", "7")
    ]


def test_every_bad_row_is_reported_with_its_line(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        HEADER
        + "a,m,1997-02-01T10:00:00Z,5.001,USD\n"
        + "a,m,1997-02-31T10:00:00Z,-5,USD\n"
        + ",m,1997-02-11,5.00,EUR\n"
        + "b,m,1997-02-11\n"
        + "c,"
        + "x" * 129
        + ",1997-02-11,5,USD\n",
    )

    assert [(field, description.partition(" ")[0]) for field, description in found] == [
        ("line 2", "amount"),
        ("line 3", "purchase"),
        ("line 3", "effective_time"),
        ("line 3", "amount"),
        ("line 4", "purchase_id"),
        ("line 4", "is"),
        ("line 5", "has"),
        ("line 6", "member_id"),
    ]


def test_no_more_than_twenty_faults_are_shown_but_all_are_counted(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="100 faults") as caught:
        purchases(tmp_path, HEADER + "a,m,never,1,USD\n" + "b,m,1997-02-01,x,USD\n" * 50)

    assert len(caught.value.violations) == 20
    assert caught.value.metadata == {"faults": "100"}


def test_a_missing_column_is_wrong_usage_and_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="no column amount; its columns are: purchase_id") as at:
        purchases(tmp_path, HEADER.replace("amount", "total") + "a,m,1997-02-01,1,USD\n")

    assert at.value.exit_code == USAGE


def test_what_is_not_text_or_csv_is_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "purchases.csv"
    file.write_bytes(HEADER.encode() + b"a,\xff,1997-02-01,1,USD\n")
    with pytest.raises(CommandFailed) as caught:
        read(file, COLUMNS, "USD", ZONE)
    assert caught.value.violations == [(str(file), "is not UTF-8 text")]

    (fault,) = faults(tmp_path, HEADER + '"a"b,m,1997-02-01,1,USD\n')
    assert fault[0] == "line 2"
    assert "is not CSV" in fault[1]


def test_an_empty_file_has_no_columns(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="its columns are: none"):
        purchases(tmp_path, "")

"""The CDNOW converter: its totals on the whole file, its format, and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from benchmarks.cdnow import HEADER, SourceError, Totals, convert, main

REPOSITORY = Path(__file__).resolve().parents[1]
HEADER_LINE = " customer_id  date number_of_cds  dollar_value\r\n"
SAMPLE = (
    HEADER_LINE + " 00001 19970101  1   11.77\r\n"
    " 00002 19970712  1   12.00\r\n"
    " 00002 19970112  5   77.00\r\n"
    " 00003 19970112  2    0.00\r\n"
)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def converted(tmp_path: Path, text: str, members: int | None = None) -> tuple[Totals, Path]:
    source, destination = tmp_path / "source.txt", tmp_path / "purchases.csv"
    source.write_bytes(text.encode())
    return convert(source, destination, members), destination


def test_the_whole_file_adds_up(cdnow_file: Path, tmp_path: Path) -> None:
    destination = tmp_path / "purchases.csv"

    totals = convert(cdnow_file, destination)

    assert totals == Totals(purchases=69_659, members=23_570, whole_dollars=2_453_159)
    written = rows(destination)
    assert len({row["purchase_id"] for row in written}) == 69_659
    assert sum(int(row["amount"].split(".")[0]) for row in written) == 2_453_159
    times = [row["effective_time"] for row in written]
    assert times == sorted(times)
    assert (times[0], times[-1]) == ("1997-01-01T17:00:00Z", "1998-06-30T16:00:00Z")


def test_a_sample_is_the_first_members_with_all_their_purchases(
    cdnow_file: Path, tmp_path: Path
) -> None:
    whole, sample = tmp_path / "whole.csv", tmp_path / "sample.csv"
    convert(cdnow_file, whole)

    totals = convert(cdnow_file, sample, members=100)

    wanted = {f"{number:05d}" for number in range(1, 101)}
    assert totals.members == 100
    assert rows(sample) == [row for row in rows(whole) if row["member_id"] in wanted]


def test_rows_are_sorted_by_time_and_keep_the_numbers_of_the_file(tmp_path: Path) -> None:
    totals, destination = converted(tmp_path, SAMPLE)

    assert totals == Totals(purchases=4, members=3, whole_dollars=100)
    assert destination.read_text().splitlines() == [
        ",".join(HEADER),
        "cdnow-000001,00001,1997-01-01T17:00:00Z,11.77,USD",
        "cdnow-000003,00002,1997-01-12T17:00:00Z,77.00,USD",
        "cdnow-000004,00003,1997-01-12T17:00:00Z,0.00,USD",
        "cdnow-000002,00002,1997-07-12T16:00:00Z,12.00,USD",
    ]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("00001 19970101 1", "line 3: expected 4 columns, found 3"),
        ("", "line 3: expected 4 columns, found 0"),
        ("0001 19970101 1 1.00", "line 3: customer_id '0001' is not five digits"),
        ("00001 19970230 1 1.00", "line 3: date '19970230' does not exist"),
        ("00001 1997-1-1 1 1.00", "line 3: date '1997-1-1' is not"),
        ("00001 19970101 0 1.00", "line 3: number_of_cds '0' is not"),
        ("00001 19970101 1 -1.00", "line 3: dollar_value '-1.00' is not"),
        ("00001 19970101 1 1.0", "line 3: dollar_value '1.0' is not"),
        ("00001 19970101 1 NaN", "line 3: dollar_value 'NaN' is not"),
    ],
)
def test_a_faulty_line_is_named_and_nothing_is_written(
    tmp_path: Path, line: str, fault: str
) -> None:
    text = HEADER_LINE + " 00001 19970101  1   11.77\n" + line + "\n"

    with pytest.raises(SourceError) as raised:
        converted(tmp_path, text)

    assert str(raised.value).startswith(fault)
    assert not (tmp_path / "purchases.csv").exists()


@pytest.mark.parametrize("text", ["", "00001 19970101 1 11.77\n"])
def test_a_file_without_the_header_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SourceError, match="line 1: expected the header"):
        converted(tmp_path, text)


def test_the_script_prints_its_totals_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "source.txt"
    source.write_text(SAMPLE)

    code = main([str(source), str(tmp_path / "out.csv"), "--members", "2"])

    assert code == 0
    assert json.loads(capsys.readouterr().out) == {
        "purchases": 3,
        "members": 2,
        "whole_dollars": 100,
    }


def test_the_script_names_the_file_and_line_of_a_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "source.txt"
    source.write_text(HEADER_LINE + "nonsense\n")

    assert main([str(source), str(tmp_path / "out.csv")]) == 1
    assert f"{source}: line 2: expected 4 columns, found 1" in capsys.readouterr().err
    assert main([str(tmp_path / "absent.txt"), str(tmp_path / "out.csv")]) == 1
    assert "absent.txt: No such file or directory" in capsys.readouterr().err

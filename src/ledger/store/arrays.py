"""Rows of values as array literals, one per column: how the write path hands them to SQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def marks(count: int) -> str:
    """So many placeholders of the driver."""
    return ", ".join(["%s"] * count)


def columns(rows: Collection[Sequence[object]], width: int) -> list[str]:
    """Rows turned into one array literal per column."""
    if not rows:
        return ["{}"] * width
    return [array(column) for column in zip(*rows, strict=True)]


def array(values: Collection[object]) -> str:
    """An array literal of texts (or None) or of integers.

    One constant is much quicker to parse than an ARRAY[…] of many. Control characters, which no
    value contains, mark the places where quotes must not be escaped. Raises ValueError for a value
    that does: it would move all values after it.
    """
    if not values:
        return "{}"
    if isinstance(next(iter(values)), int):
        return "{" + ",".join(map(str, values)) + "}"
    nulls = 0
    if None in values:
        nulls = sum(value is None for value in values)
        values = ["\x02" if value is None else value for value in values]
    texts = "\x01".join(values)  # type: ignore[arg-type]
    if texts.count("\x01") != len(values) - 1 or texts.count("\x02") != nulls:
        raise ValueError("a value contains a control character")
    escaped = texts.replace("\\", "\\\\").replace('"', '\\"')
    quoted = '{"' + escaped.replace("\x01", '","') + '"}'
    return quoted.replace('"\x02"', "NULL")

"""One section of a document, read name by name: every fault is noted with its path, none raised.

Decimals are strings, so that no float rounds them. Names that nobody asks for are faults: a
misspelt rule must not be silently without effect.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Any

from ledger.core.errors import Violation
from ledger.core.instants import day_of
from ledger.core.money import CURRENCIES, MAX_AMOUNT, parse_decimal

_Reader = Callable[[Any], Any]
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,20}", re.ASCII)
_TEXT = "a printable text of 1 to 128 characters"
_IDENTIFIER = "lower-case letters, digits, - and _ (1 to 64), beginning with a letter or digit"
_MAX_ITEMS = 1_000
_MAX_MULTIPLIER = 1_000


class Section:
    """One mapping of the document, read name by name; what was not asked for is a fault.

    In a section that is absent nothing is required: its absence is one fault, not many. What is
    faulty reads as if it were absent.
    """

    def __init__(
        self, value: object, path: str, faults: list[Violation], *, required: bool = False
    ) -> None:
        self._path = path
        self._faults = faults
        self._children: list[Section] = []
        self._asked: set[str] = set()
        self.present = isinstance(value, Mapping)
        #: neither present nor something else instead
        self.absent = value is None
        self._values: Mapping[Any, Any] = {}
        if isinstance(value, Mapping):
            self._values = value
        elif value is not None or required:
            self.fault(None, f"must be a section with named values, not {_shown(value)}")

    def fault(self, name: str | None, description: str) -> None:
        """Note a fault of a value, or of the section itself."""
        path = ".".join(part for part in (self._path, name) if part)
        self._faults.append(Violation(path or "rules", description))

    def finish(self) -> None:
        """Report the names nobody asked for, here and in sections below."""
        for child in self._children:
            child.finish()
        self._children.clear()
        for name in self._values:
            if name not in self._asked:
                known = ", ".join(sorted(self._asked))
                self.fault(str(name), f"is not known here; known are: {known}")
        self._asked.update(self._values)

    def given(self, name: str) -> bool:
        """Whether there is a value, whatever it is."""
        return self._take(name, False, "") is not None

    def written(self, name: str) -> str:
        """A value as it was written; for one that has been checked."""
        return str(self._values[name])

    def section(self, name: str, *, required: bool = False) -> Section:
        value = self._take(name, required, "a section")
        child = Section(value, self._child(name), self._faults)
        self._children.append(child)
        return child

    def sections(
        self, name: str, most: int = _MAX_ITEMS, *, required: bool = False
    ) -> list[Section]:
        found = [
            Section(value, f"{self._child(name)}[{index}]", self._faults, required=True)
            for index, value in enumerate(self._list(name, most))
        ]
        if required and self.present and self._values.get(name) in (None, [], ()):
            self.fault(name, "is required: a list of sections")
        self._children += found
        return found

    def text(self, name: str, *, required: bool = False) -> str:
        value = self._take(name, required, _TEXT)
        if value is None:
            return ""
        text = _text(value)
        if text is None:
            self.fault(name, f"must be {_TEXT}, not {_shown(value)}")
        return text or ""

    def texts(self, name: str, most: int = _MAX_ITEMS) -> list[str]:
        return self._each(name, _text, _TEXT, most)

    def identifiers(self, name: str) -> list[str]:
        """Names for programs, none of them twice; a list that is given is not empty."""
        found = self._each(name, _identifier, _IDENTIFIER, distinct=True)
        if self._values.get(name) in ([], ()):
            self.fault(name, "must not be empty; leave it out for the default")
        return found

    def integers(self, name: str, least: int, most: int) -> list[int]:
        """Whole numbers, none of them twice."""
        what = f"a whole number from {least} to {most}"
        return self._each(name, lambda value: _whole(value, least, most), what, distinct=True)

    def integer(self, name: str, least: int, most: int, *, required: bool = False) -> int | None:
        what = f"a whole number from {least} to {most}"
        value = self._take(name, required, what)
        if value is None:
            return None
        number = _whole(value, least, most)
        if number is None:
            self.fault(name, f"must be {what}, not {_shown(value)}")
        return number

    def decimal(self, name: str, *, required: bool = False, zero: bool = False) -> Fraction | None:
        what = 'a decimal in quotes such as "1.00"' + ("" if zero else ", above 0")
        value = self._take(name, required, what)
        if value is None:
            return None
        exact = parse_decimal(value) if isinstance(value, str) else None
        if exact is None or (exact == 0 and not zero):
            self.fault(name, f"must be {what}, not {_shown(value)}")
            return None
        return exact

    def multiplier(self, name: str, *, above_one: bool = False) -> Fraction | None:
        """How many times as much; never less than once."""
        exact = self.decimal(name)
        if exact is None:
            return None
        if not 1 <= exact <= _MAX_MULTIPLIER or (above_one and exact == 1):
            what = "above 1 and" if above_one else "at least 1 and"
            shown = _shown(self._values[name])
            self.fault(name, f"must be {what} at most {_MAX_MULTIPLIER}, not {shown}")
            return None
        return exact

    def amount(
        self, name: str, currency: str, *, required: bool = False, zero: bool = False
    ) -> int | None:
        """Minor units of an amount of money, at most what one purchase can be."""
        exact = self.decimal(name, required=required, zero=zero)
        if exact is None:
            return None
        decimals = CURRENCIES[currency]
        minor = exact * 10**decimals
        if minor.denominator != 1 or minor > MAX_AMOUNT:
            most = MAX_AMOUNT // 10**decimals
            what = f"an amount of {currency} with {decimals} decimals, at most {most}"
            self.fault(name, f"must be {what}, not {_shown(self._values[name])}")
            return None
        return int(minor)

    def choice(
        self, name: str, allowed: Sequence[str], *, default: str = "", required: bool = False
    ) -> str:
        what = "one of " + ", ".join(allowed)
        value = self._take(name, required, what)
        if value is None:
            return default
        if value not in allowed:
            self.fault(name, f"must be {what}, not {_shown(value)}")
            return default
        return str(value)

    def choices(self, name: str, allowed: Sequence[str]) -> list[str]:
        what = "one of " + ", ".join(allowed)
        return self._each(name, lambda value: value if value in allowed else None, what)

    def flag(self, name: str) -> bool:
        value = self._take(name, False, "")
        if value is None or isinstance(value, bool):
            return bool(value)
        self.fault(name, f"must be true or false, not {_shown(value)}")
        return False

    def day(self, name: str) -> int | None:
        """A calendar date, as days since 1970-01-01."""
        value = self._take(name, False, "")
        if value is None:
            return None
        try:
            if not isinstance(value, str) or not _DATE.fullmatch(value):
                raise ValueError
            return day_of(date.fromisoformat(value))
        except ValueError:
            self.fault(name, f"must be a date such as 2027-01-31, not {_shown(value)}")
            return None

    def days(self, first: str, last: str) -> tuple[int | None, int | None]:
        """The first and the last of some days; None where it is open."""
        first_day, last_day = self.day(first), self.day(last)
        if first_day is not None and last_day is not None and last_day < first_day:
            self.fault(last, f"must not be before {first}")
        return first_day, last_day

    def minute(self, name: str, *, required: bool = False) -> int | None:
        """A time of day, as minutes from midnight; 1,440 is the midnight that ends the day."""
        what = 'a time of day in quotes from "00:00" to "24:00"'
        value = self._take(name, required, what)
        if value is None:
            return None
        if not isinstance(value, str) or not _TIME.fullmatch(value):
            self.fault(name, f"must be {what}, not {_shown(value)}")
            return None
        hours, _, minutes = value.partition(":")
        return int(hours) * 60 + int(minutes)

    def identifier(self, name: str) -> str:
        value = self._take(name, True, _IDENTIFIER)
        if value is None:
            return ""
        identifier = _identifier(value)
        if identifier is None:
            self.fault(name, f"must be {_IDENTIFIER}, not {_shown(value)}")
        return identifier or ""

    def unique(self, name: str, ids: list[str]) -> None:
        """Fault every id of a list of sections that an earlier one has."""
        first: dict[str, int] = {}
        for index, identifier in enumerate(ids):
            if identifier and first.setdefault(identifier, index) != index:
                earlier = f"{self._child(name)}[{first[identifier]}].id"
                self.fault(f"{name}[{index}].id", f"{identifier} is taken by {earlier}")

    def _take(self, name: str, required: bool, what: str) -> Any:
        self._asked.add(name)
        value = self._values.get(name)
        if value is None and required and self.present:
            self.fault(name, f"is required: {what}")
        return value

    def _each(
        self, name: str, read: _Reader, what: str, most: int = _MAX_ITEMS, *, distinct: bool = False
    ) -> list[Any]:
        """The items of a list that can be read; `read` answers None for the others."""
        found: list[Any] = []
        for index, value in enumerate(self._list(name, most)):
            item = read(value)
            if item is None:
                self.fault(f"{name}[{index}]", f"must be {what}, not {_shown(value)}")
            elif distinct and item in found:
                self.fault(f"{name}[{index}]", f"{item} is there already")
            else:
                found.append(item)
        return found

    def _list(self, name: str, most: int = _MAX_ITEMS) -> list[Any]:
        value = self._take(name, False, "")
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            self.fault(name, f"must be a list, not {_shown(value)}")
            return []
        if len(value) > most:
            self.fault(name, f"has {len(value)} items, at most {most} are allowed")
        return list(value[:most])

    def _child(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name


def _text(value: object) -> str | None:
    sound = isinstance(value, str) and 1 <= len(value) <= 128 and value.isprintable()
    return str(value) if sound else None


def _identifier(value: object) -> str | None:
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def _whole(value: object, least: int, most: int) -> int | None:
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)  # int64 is a string in protojson
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        return None
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."

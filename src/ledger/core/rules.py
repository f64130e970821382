"""The program document: read as a whole, every fault reported with its path, then compiled.

`read_rules` takes the document as plain data (from YAML, JSON or a protobuf message turned into a
dict) and answers the compiled Rules or every Violation. Unknown names are faults: a misspelt rule
must not be silently without effect. Decimals are strings, so that no float rounds them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

import msgspec

from ledger.core.bonus_rules import DATED, Bonus, Limit
from ledger.core.errors import RulesInvalid, Violation
from ledger.core.model import MAX_POINTS
from ledger.core.money import CURRENCIES, parse_decimal
from ledger.core.promotion_rules import Hours, Promotion
from ledger.core.tier_rules import Level, Tiers

__all__ = [
    "Bonus",
    "Hours",
    "Level",
    "Limit",
    "Promotion",
    "Rules",
    "Tiers",
    "read_rules",
    "round_points",
]

ROUNDINGS: Final = ("FLOOR", "NEAREST", "CEILING")
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
_MAX_ITEMS = 1_000
_MAX_DAYS = 3_660
_MAX_MONTHS = 1_200
_GROUPS = {
    "purchase_bonuses": ("PURCHASE_OVER",),
    "visit_bonuses": ("EVERY_NTH_VISIT",),
    "dated_bonuses": DATED,
}


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """A program document, checked and ready to compute with."""

    #: points per minor unit of the program's currency
    rate: Fraction
    #: the rate as the document says it: "1 per 1.00"
    rate_text: str
    rounding: str
    exclude_categories: frozenset[str]
    cap_per_purchase: int | None
    cap_per_day: int | None
    pending_days: int
    backdate_days: int
    #: None = points never expire
    after_months: int | None
    #: minor units per point; None = the program states no value
    value: Fraction | None
    auto_enroll: bool
    #: least eligible amount of a visit, in minor units; above 0 it must be in any case
    visit_minimum: int = 0
    #: visits that one local day can count
    visits_per_day: int = 1
    tiers: Tiers | None = None
    #: in the order of the document
    promotions: tuple[Promotion, ...] = ()
    #: in the order of the document
    bonuses: tuple[Bonus, ...] = ()
    # What follows is made of `bonuses`, for whoever looks at every purchase.
    #: on PURCHASE_OVER
    purchase_bonuses: tuple[Bonus, ...] = ()
    #: on EVERY_NTH_VISIT
    visit_bonuses: tuple[Bonus, ...] = ()
    #: on BIRTHDAY, MEMBERSHIP_ANNIVERSARY and INACTIVE_DAYS
    dated_bonuses: tuple[Bonus, ...] = ()

    def __post_init__(self) -> None:
        for name, occasions in _GROUPS.items():
            group = tuple(bonus for bonus in self.bonuses if bonus.on in occasions)
            msgspec.structs.force_setattr(self, name, group)

    def bonuses_on(self, trigger: str) -> tuple[Bonus, ...]:
        return tuple(bonus for bonus in self.bonuses if bonus.on == trigger)


def round_points(numerator: int, denominator: int, rounding: str) -> int:
    """Whole points of an exact fraction ≥ 0; NEAREST rounds halves up."""
    if rounding == "FLOOR":
        return numerator // denominator
    if rounding == "CEILING":
        return -(-numerator // denominator)
    return (2 * numerator + denominator) // (2 * denominator)


def read_rules(document: object, currency: str) -> Rules:
    """The compiled rules of a document.

    Raises RulesInvalid with one violation per fault, in document order; nothing is left out.
    """
    faults: list[Violation] = []
    root = _Section(document, "", faults, required=True)
    decimals = CURRENCIES[currency]

    earning = root.section("earning", required=True)
    rate = earning.section("rate", required=True)
    rate_points = rate.integer("points", 1, MAX_POINTS, required=True)
    rate_per = rate.decimal("per", required=True)
    rounding = earning.choice("rounding", ROUNDINGS, default="FLOOR")
    excluded = earning.texts("exclude_categories")
    caps = earning.section("caps")
    cap_per_purchase = caps.integer("per_purchase", 1, MAX_POINTS)
    cap_per_day = caps.integer("per_day", 1, MAX_POINTS)
    pending_days = earning.integer("pending_days", 0, _MAX_DAYS)
    backdate_days = earning.integer("backdate_days", 0, _MAX_DAYS)

    after_months = root.section("expiry").integer("after_months", 1, _MAX_MONTHS)

    redemption = root.section("redemption")
    value = redemption.section("value")
    value_points = value.integer("points", 1, MAX_POINTS, required=True)
    value_amount = value.decimal("amount", required=True, zero=True)

    auto_enroll = root.section("members").flag("auto_enroll")

    bonuses = []
    for item in root.sections("bonuses"):
        bonuses.append(
            Bonus(
                id=item.identifier("id"),
                on=item.choice("on", ("ENROLLMENT",), required=True),
                points=item.integer("points", 1, MAX_POINTS, required=True) or 0,
                expires_days=item.integer("expires_days", 0, _MAX_DAYS),
            )
        )
        item.finish()
    root.unique("bonuses", [bonus.id for bonus in bonuses])
    for section in (rate, caps, earning, value, redemption):
        section.finish()
    root.finish()
    if faults:
        raise RulesInvalid(faults)

    assert rate_points is not None  # else it would be among the faults
    assert rate_per is not None
    minor = 10**decimals
    return Rules(
        rate=Fraction(rate_points) / (rate_per * minor),
        rate_text=f"{rate_points} per {rate.text('per')}",
        rounding=rounding,
        exclude_categories=frozenset(excluded),
        cap_per_purchase=cap_per_purchase,
        cap_per_day=cap_per_day,
        pending_days=pending_days or 0,
        backdate_days=30 if backdate_days is None else backdate_days,
        after_months=after_months,
        value=value_amount * minor / value_points
        if value_points is not None and value_amount is not None
        else None,
        auto_enroll=auto_enroll,
        bonuses=tuple(bonuses),
    )


class _Section:
    """One mapping of the document, read name by name; what was not asked for is a fault.

    In a section that is absent nothing is required: its absence is one fault, not many.
    """

    def __init__(
        self, value: object, path: str, faults: list[Violation], *, required: bool = False
    ) -> None:
        self._path = path
        self._faults = faults
        self._children: list[_Section] = []
        self._asked: set[str] = set()
        self.present = isinstance(value, Mapping)
        self._values: Mapping[Any, Any] = {}
        if isinstance(value, Mapping):
            self._values = value
        elif value is not None or required:
            self.fault(None, f"must be a section with named values, not {_shown(value)}")

    def fault(self, name: str | None, description: str) -> None:
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

    def _take(self, name: str, required: bool, what: str) -> Any:
        self._asked.add(name)
        value = self._values.get(name)
        if value is None and required and self.present:
            self.fault(name, f"is required: {what}")
        return value

    def text(self, name: str) -> str:
        """A value as it was written; for one that has been checked."""
        return str(self._values[name])

    def section(self, name: str, *, required: bool = False) -> _Section:
        value = self._take(name, required, "a section")
        child = _Section(value, self._child(name), self._faults)
        self._children.append(child)
        return child

    def sections(self, name: str) -> list[_Section]:
        return [
            _Section(value, f"{self._child(name)}[{index}]", self._faults, required=True)
            for index, value in enumerate(self._list(name))
        ]

    def texts(self, name: str) -> list[str]:
        found = []
        for index, value in enumerate(self._list(name)):
            if not isinstance(value, str) or not value or len(value) > 128:
                self.fault(f"{name}[{index}]", "must be a text of 1 to 128 characters")
            elif not value.isprintable():
                self.fault(f"{name}[{index}]", "must be printable")
            else:
                found.append(value)
        return found

    def _list(self, name: str) -> list[Any]:
        value = self._take(name, False, "")
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            self.fault(name, f"must be a list, not {_shown(value)}")
            return []
        if len(value) > _MAX_ITEMS:
            self.fault(name, f"has {len(value)} items, at most {_MAX_ITEMS} are allowed")
        return list(value)

    def integer(self, name: str, least: int, most: int, *, required: bool = False) -> int | None:
        what = f"a whole number from {least} to {most}"
        value = self._take(name, required, what)
        if value is None:
            return None
        if isinstance(value, str) and re.fullmatch(r"-?\d{1,20}", value, re.ASCII):
            value = int(value)  # int64 is a string in protojson
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.fault(name, f"must be {what}, not {_shown(value)}")
            return None
        return value

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

    def choice(
        self, name: str, allowed: tuple[str, ...], *, default: str = "", required: bool = False
    ) -> str:
        what = "one of " + ", ".join(allowed)
        value = self._take(name, required, what)
        if value is None:
            return default
        if value not in allowed:
            self.fault(name, f"must be {what}, not {_shown(value)}")
            return default
        return str(value)

    def flag(self, name: str) -> bool:
        value = self._take(name, False, "")
        if value is None or isinstance(value, bool):
            return bool(value)
        self.fault(name, f"must be true or false, not {_shown(value)}")
        return False

    def identifier(self, name: str) -> str:
        what = "lower-case letters, digits, - and _ (1 to 64), beginning with a letter or digit"
        value = self._take(name, True, what)
        if value is None:
            return ""
        if not isinstance(value, str) or not _ID.fullmatch(value):
            self.fault(name, f"must be {what}, not {_shown(value)}")
            return ""
        return value

    def unique(self, name: str, ids: list[str]) -> None:
        """Fault every id of a list of sections that an earlier one has."""
        first: dict[str, int] = {}
        for index, identifier in enumerate(ids):
            if identifier and first.setdefault(identifier, index) != index:
                earlier = f"{self._child(name)}[{first[identifier]}].id"
                self.fault(f"{name}[{index}].id", f"{identifier} is taken by {earlier}")

    def _child(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."

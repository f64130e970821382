"""A program as commands see it: its settings and every rules version, by time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from ledger.core.bonus_rules import DATED
from ledger.core.instants import local_day
from ledger.core.rules import Bonus, Rules, Tiers

#: occasions that depend on what a member has bought on which day
_BY_DAY = frozenset({"EVERY_NTH_VISIT", "REFERRAL", "INACTIVE_DAYS"})


class RulesVersion(msgspec.Struct, frozen=True):
    """An immutable rules document, in force from effective_time (µs) on."""

    version: int
    effective_time: int
    rules: Rules


class InForce(NamedTuple):
    """A version, and when it is in force: [start, end), in µs."""

    version: RulesVersion
    #: None: since ever
    start: int | None
    #: None: until further notice
    end: int | None


class DatedBonus(NamedTuple):
    """A bonus that time gives, while a rules version is in force: [start, end), in µs."""

    bonus: Bonus
    version: int
    #: None: since ever
    start: int | None
    #: None: until further notice
    end: int | None
    #: local day since which the same rule holds, over versions; None: since ever
    since_day: int | None


class InactivityRule(NamedTuple):
    """Balances expire for want of activity while rules versions are in force: [start, end), in µs.

    One for each run of versions that say the same.
    """

    months: int
    #: None: since ever
    start: int | None
    #: None: until further notice
    end: int | None
    #: local day on which the rule was introduced; None: since ever
    since_day: int | None


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A merchant's program. `versions` is ascending and never empty."""

    program_id: str
    display_name: str
    currency: str
    zone: ZoneInfo
    #: a sandbox's own clock (µs); None for a program that lives in real time
    clock_time: int | None
    #: keys the hash that makes member ids
    member_key: bytes
    create_time: int
    versions: tuple[RulesVersion, ...]
    #: whether any version looks at what was bought on a day, so that days are to be remembered
    remembers_days: bool = False
    #: whether any version warns of points that will expire
    warns: bool = False
    #: how many days back any version may still look for caps
    longest_backdate_days: int = 0
    #: the tiers of every version that has them
    all_tiers: tuple[Tiers, ...] = ()
    dated: tuple[DatedBonus, ...] = ()
    #: ascending
    inactivity: tuple[InactivityRule, ...] = ()
    #: rewards that have a stock in any version
    stocked: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        rules = [version.rules for version in self.versions]
        for name, value in (
            ("remembers_days", any(_looks_at_days(each) for each in rules)),
            ("warns", any(each.warn_days for each in rules)),
            ("longest_backdate_days", max(each.backdate_days for each in rules)),
            ("all_tiers", tuple(each.tiers for each in rules if each.tiers is not None)),
            ("dated", tuple(_dated(self.versions, self.zone))),
            ("inactivity", tuple(_inactivity(self.versions, self.zone))),
            ("stocked", frozenset(_stocked(rules))),
        ):
            msgspec.structs.force_setattr(self, name, value)

    def in_force(self, instant: int) -> RulesVersion:
        """The latest version whose effective_time has come by `instant`.

        The first version also covers all time before it, so that a purchase from before the
        program's first day is computed under its first rules.
        """
        for version in reversed(self.versions):
            if version.effective_time <= instant:
                return version
        return self.versions[0]

    def budgeted(self, now: int) -> list[str]:
        """Promotions with a budget that a purchase may draw on which is recorded at an instant (µs)
        or later, as a member's own time may be."""
        oldest = local_day(now, self.zone) - self.longest_backdate_days
        return [
            promotion.id
            for version in self.versions
            for promotion in version.rules.promotions
            if promotion.budget is not None
            and (promotion.until_day is None or promotion.until_day >= oldest)
        ]


def _looks_at_days(rules: Rules) -> bool:
    occasions = {bonus.on for bonus in rules.bonuses}
    return rules.cap_per_day is not None or rules.tiers is not None or bool(occasions & _BY_DAY)


def _stocked(rules: Iterable[Rules]) -> list[str]:
    return [reward.id for each in rules for reward in each.rewards if reward.stock is not None]


def _in_force(versions: tuple[RulesVersion, ...]) -> list[InForce]:
    """When each version counts; without those that never do."""
    found: list[InForce] = []
    for index, version in enumerate(versions):
        end = versions[index + 1].effective_time if index + 1 < len(versions) else None
        start = version.effective_time if index else None
        if start is None or start != end:
            found.append(InForce(version, start, end))
    return found


def _dated(versions: tuple[RulesVersion, ...], zone: ZoneInfo) -> list[DatedBonus]:
    """The dated bonuses of every version, those of one version in the order they are given."""
    found: list[DatedBonus] = []
    #: the local days since which rules hold without a break; None: ever
    since: dict[tuple[str, str, int], int | None] = {}
    for version, start, end in _in_force(versions):
        first_day = None if start is None else local_day(start, zone)
        since = {
            (bonus.id, bonus.on, bonus.n): since.get((bonus.id, bonus.on, bonus.n), first_day)
            for bonus in version.rules.dated_bonuses
        }
        for occasion in DATED:
            for bonus in version.rules.bonuses_on(occasion):
                began = since[bonus.id, bonus.on, bonus.n]
                found.append(DatedBonus(bonus, version.version, start, end, began))
    return found


def _inactivity(versions: tuple[RulesVersion, ...], zone: ZoneInfo) -> list[InactivityRule]:
    """The runs of versions that let balances expire after the same months, ascending."""
    found: list[InactivityRule] = []
    before = None
    for version, start, end in _in_force(versions):
        months = version.rules.inactivity_months
        if months is not None and months == before:
            found[-1] = found[-1]._replace(end=end)
        elif months is not None:
            since_day = None if start is None else local_day(start, zone)
            found.append(InactivityRule(months, start, end, since_day))
        before = months
    return found

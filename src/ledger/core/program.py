"""A program as commands see it: its settings and every rules version, by time."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec

from ledger.core.rules import Rules


class RulesVersion(msgspec.Struct, frozen=True):
    """An immutable rules document, in force from effective_time (µs) on."""

    version: int
    effective_time: int
    rules: Rules


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
    #: whether any version limits what a day may earn, so that days are to be remembered
    caps_days: bool = False
    #: how many days back any version may still look
    longest_backdate_days: int = 0

    def __post_init__(self) -> None:
        rules = [version.rules for version in self.versions]
        caps_days = any(each.cap_per_day is not None for each in rules)
        longest = max(each.backdate_days for each in rules)
        msgspec.structs.force_setattr(self, "caps_days", caps_days)
        msgspec.structs.force_setattr(self, "longest_backdate_days", longest)

    def in_force(self, instant: int) -> RulesVersion:
        """The latest version whose effective_time has come by `instant`.

        The first version also covers all time before it, so that a purchase from before the
        program's first day is computed under its first rules.
        """
        for version in reversed(self.versions):
            if version.effective_time <= instant:
                return version
        return self.versions[0]

"""Re-check holds: each ends once, gives out what it took, and its entries say the same of it."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.core.checks.finding import Finding, compare
from ledger.core.checks.lots import both_sides, lives_longer
from ledger.core.limits import limit_rule
from ledger.core.model import Account, DayUse, Entry, HoldData, MarkChange
from ledger.core.posting import TIME_ACTOR


class _Held:
    """A hold as the entries seen so far tell it."""

    __slots__ = ("capture", "ended", "entry", "expire_time", "left")

    def __init__(self, entry: Entry, told: HoldData) -> None:
        #: the HOLD entry that made it
        self.entry = entry
        self.expire_time = told.expire_time
        self.left = -entry.points
        self.ended = False
        #: what captured part of it; the rest is to be released at once
        self.capture: Entry | None = None


class Holds:
    """What the holds seen so far allow the next entry to be."""

    def __init__(self) -> None:
        self._holds: dict[int, _Held] = {}
        self._partly: _Held | None = None

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._holds

    @property
    def waiting(self) -> bool:
        """Whether the next entry has to release the rest of a hold."""
        return self._partly is not None

    def made_by(self, sequence: int) -> Entry:
        """The HOLD entry that made a hold."""
        return self._holds[sequence].entry

    def check(self, entry: Entry, after: Account) -> Iterator[Finding]:
        """What a HOLD, CAPTURE or RELEASE contradicts; its subject is a hold, or none."""
        told = entry.data.hold
        if told is None:
            return  # its shape says so
        if not entry.subject_sequence:
            yield from self._check_new(entry, told)
            return
        held = self._holds[entry.subject_sequence]
        if held.ended:
            detail = f"is about the hold at sequence {entry.subject_sequence}, which has ended"
            yield Finding("holds", entry.sequence, detail)
            return
        for change in entry.data.lots:
            if change.hold and change.hold != entry.subject_sequence:
                yield Finding("holds", entry.sequence, f"changes lots of hold {change.hold}")
        reward_id = held.entry.data.reward_id
        if entry.data.reward_id != reward_id:
            yield Finding("holds", entry.sequence, f"the hold is for {reward_id!r}")
        if entry.actor != TIME_ACTOR and entry.create_time >= held.expire_time:
            yield Finding("holds", entry.sequence, f"the hold lapsed at {held.expire_time}")
        if entry.kind == "HOLD":
            yield from _check_extension(entry, told, held)
        elif entry.kind == "CAPTURE":
            yield from self._check_capture(entry, told, held, after)
        else:
            yield from self._check_release(entry, told, held, after)

    def check_rest(self, entry: Entry | None) -> Iterator[Finding]:
        """What is not captured is released by the very next entry; None: there is none."""
        held = self._partly
        if held is None:
            return
        self._partly = None
        assert held.capture is not None
        if (
            entry is None
            or entry.kind != "RELEASE"
            or entry.subject_sequence != held.entry.sequence
            or entry.cause_sequence != (held.capture.cause_sequence or held.capture.sequence)
        ):
            detail = f"leaves {held.left} points of the hold neither captured nor released"
            yield Finding("holds", held.capture.sequence, detail)

    def _check_new(self, entry: Entry, told: HoldData) -> Iterator[Finding]:
        self._holds[entry.sequence] = _Held(entry, told)
        due = HoldData(entry.sequence, "OPEN", -entry.points, told.expire_time)
        yield from compare("holds", entry.sequence, ("hold", told, due))
        if told.expire_time <= entry.create_time:
            yield Finding("holds", entry.sequence, "lapses before it is made")
        yield from check_taken("holds", entry)

    def _check_capture(
        self, entry: Entry, told: HoldData, held: _Held, after: Account
    ) -> Iterator[Finding]:
        made, points = held.entry, -entry.points
        due = HoldData(made.sequence, "CAPTURED", -made.points, held.expire_time, points)
        yield from compare(
            "holds",
            entry.sequence,
            ("hold", told, due),
            ("rules_version", entry.rules_version, made.rules_version),
        )
        held.left -= points
        if held.left < 0 or (held.left and made.data.reward_id):
            yield Finding("holds", entry.sequence, f"captures {points} of {-made.points} points")
        if held.left > 0:
            held.capture = entry
            self._partly = held
        else:
            held.ended = True
        rest = next((hold for hold in after.holds if hold.sequence == made.sequence), None)
        if rest is not None and rest.lots:
            left = rest.lots[0].expire_time
            if any(lives_longer(change.expire_time, left) for change in entry.data.lots):
                yield Finding("lots", entry.sequence, f"leaves points that live until {left}")

    def _check_release(
        self, entry: Entry, told: HoldData, held: _Held, after: Account
    ) -> Iterator[Finding]:
        """All that is left is given back; unless part was captured, with what the reward took."""
        made, capture = held.entry, held.capture
        held.ended = True
        if capture is not None and capture.data.hold is not None:
            due, units, happened = capture.data.hold, 0, capture.effective_time
            unmarks: tuple[MarkChange, ...] = ()
        else:
            lapsed = entry.actor == TIME_ACTOR
            state = "LAPSED" if lapsed else "RELEASED"
            due = HoldData(made.sequence, state, -made.points, held.expire_time)
            happened = held.expire_time if lapsed else entry.create_time
            units, unmarks = -made.data.units, taken_back(made)
        yield from compare(
            "holds",
            entry.sequence,
            ("hold", told, due),
            ("points", entry.points, held.left),
            ("effective_time", entry.effective_time, happened),
            ("units", entry.data.units, units),
            ("unmarks", entry.data.unmarks, unmarks),
            ("counted", entry.data.counted, uncounted(made, held.left, whole=capture is None)),
        )
        given, taken = both_sides(entry.data.lots)
        if made.sequence < after.faded_sequence:  # the balance expired meanwhile, and this with it
            faded = after.faded_time
            given = [(faded if date is None else min(date, faded), part) for date, part in given]
        yield from compare("holds", entry.sequence, ("lots", taken, given))


def _check_extension(entry: Entry, told: HoldData, held: _Held) -> Iterator[Finding]:
    """It only says that the hold lasts longer."""
    made = held.entry
    held.expire_time = max(held.expire_time, told.expire_time)
    due = HoldData(made.sequence, "OPEN", -made.points, held.expire_time)
    yield from compare(
        "holds",
        entry.sequence,
        ("hold", told, due),
        ("points", entry.points, 0),
        ("units", entry.data.units, 0),
        ("marks", entry.data.marks, ()),
        ("counted", entry.data.counted, None),
    )


def check_taken(check: str, entry: Entry) -> Iterator[Finding]:
    """At most a unit of the stock is taken, and one use of the reward is counted."""
    data = entry.data
    rules = {mark.rule for mark in data.marks}
    if data.units not in (0, 1) or (data.units and not data.reward_id):
        yield Finding(check, entry.sequence, f"takes {data.units} units of {data.reward_id!r}")
    if len(data.marks) > 1 or (rules and rules != {limit_rule(data.reward_id)}):
        yield Finding(check, entry.sequence, f"counts {sorted(rules)} as used")


def taken_back(entry: Entry) -> tuple[MarkChange, ...]:
    """The marks that are taken back with what an entry took."""
    return tuple([MarkChange(mark.rule, mark.day, 0) for mark in entry.data.marks])


def uncounted(entry: Entry, points: int, *, whole: bool) -> DayUse | None:
    """What a limit of the day counts no more when points that an entry took come back."""
    counted = entry.data.counted
    return None if counted is None else DayUse(counted.day, -int(whole), -points)

"""Re-check what becomes of points over a member's journal: each entry against those before it.

What is only about holds, redemptions, returns or lots is in modules of their own; here is what
concerns entries of every kind: what they are about, who may post them, what time and debt ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from ledger.core.checks.finding import Finding
from ledger.core.checks.holds import Holds
from ledger.core.checks.lots import check_expiry, check_lots
from ledger.core.checks.redemptions import Redemptions
from ledger.core.checks.returns import Returns
from ledger.core.membership import READ_ONLY
from ledger.core.model import Account, Entry
from ledger.core.posting import TIME_ACTOR

#: what takes points out at the member's wish
_SPENDING: Final = frozenset({"HOLD", "REDEMPTION", "TRANSFER_OUT"})
#: the kinds that may also be about no earlier entry
_MAY_BEGIN: Final = frozenset({"HOLD", "RETURN"})


class Lifecycle:
    """What the entries seen so far allow the next one to be."""

    def __init__(self) -> None:
        self._holds = Holds()
        self._redemptions = Redemptions()
        self._returns = Returns()
        #: by kind, what its entries may be about
        self._subjects: Mapping[str, Holds | Redemptions | Returns] = {
            "HOLD": self._holds,
            "CAPTURE": self._holds,
            "RELEASE": self._holds,
            "REDEMPTION_REVERSAL": self._redemptions,
            "RETURN": self._returns,
        }
        self._previous: Entry | None = None
        self._account = Account()
        self._owing = False

    def check(self, entry: Entry, after: Account) -> Iterator[Finding]:
        """What an entry contradicts; `after` is the account with it."""
        # Most entries have nothing to do with most of this, and a journal may be long.
        if self._holds.waiting:
            yield from self._holds.check_rest(entry)
        if self._returns.waiting:
            yield from self._returns.check_rest(entry, self._account)
        if self._account.status != "ACTIVE" or entry.data.status:
            yield from self._check_status(entry)
        if entry.fingerprint or entry.kind == "TRANSFER_IN":
            yield from self._check_settled(entry)
        if entry.points or entry.data.lots:
            yield from check_lots(entry, after)
        if self._owing or after.debt or entry.kind == "DEBT_PAYMENT":
            yield from self._check_debt(entry, after)
        if entry.data.tier is not None:
            yield from self._check_tier(entry)
        subjects = self._subjects.get(entry.kind)
        if entry.subject_sequence:
            fits = subjects is not None and entry.subject_sequence in subjects
        else:
            fits = subjects is None or entry.kind in _MAY_BEGIN
        checked = self._CHECKS.get(entry.kind)
        if not fits:
            detail = f"a {entry.kind} can not be about the entry at {entry.subject_sequence}"
            yield Finding("subject", entry.sequence, detail)
        elif checked is not None:
            yield from checked(self, entry, after)
        self._previous = entry
        self._account = after

    def finish(self) -> Iterator[Finding]:
        """What the end of the journal contradicts."""
        yield from self._holds.check_rest(None)
        yield from self._returns.check_rest(None, self._account)
        if self._owing:
            yield self._owed()

    def _check_status(self, entry: Entry) -> Iterator[Finding]:
        """Who is suspended or has left is written to by time alone, and by a change of that; who
        only earns does not spend."""
        status = self._account.status
        told = entry.data.status
        timed = entry.actor == TIME_ACTOR
        if status in READ_ONLY:
            reopens = entry.kind == "STATUS_CHANGE" and status == "SUSPENDED"
            given = timed and entry.kind == "BONUS"
            occasion = given and any(
                line.rule.startswith("bonus:") for line in entry.data.breakdown
            )
            if occasion or not (timed or reopens):
                yield Finding("status", entry.sequence, f"a {entry.kind} of a {status} member")
        elif status == "EARN_ONLY" and entry.kind in _SPENDING:
            yield Finding("status", entry.sequence, f"a {entry.kind} of a member who only earns")
        if told and told == status:
            yield Finding("status", entry.sequence, f"the member is {status} already")

    def _check_settled(self, entry: Entry) -> Iterator[Finding]:
        """Before a request is decided, all is posted that time has made due."""
        due = self._account.due_time
        if due is None or due > entry.create_time:
            return
        holds = self._account.holds
        check = "holds" if holds and holds[0].expire_time == due else "expiry"
        detail = f"something was due at {due}, and is not posted before it"
        yield Finding(check, entry.sequence, detail)

    def _check_debt(self, entry: Entry, after: Account) -> Iterator[Finding]:
        """What comes in pays what is owed, before anything else is done with it."""
        pays = entry.kind == "DEBT_PAYMENT"
        if pays or self._owing:
            before = self._previous
            if not pays or before is None or not self._owing:
                yield (
                    self._owed()
                    if self._owing
                    else Finding("debt", entry.sequence, "pays what is not owed")
                )
            elif _origin(entry) != _origin(before) or _group(entry) != _group(before):
                yield Finding("debt", entry.sequence, "does not go with what came in")
        self._owing = bool(after.debt and after.available)
        if after.debt < 0:
            yield Finding("debt", entry.sequence, f"{after.debt} points are owed")

    def _owed(self) -> Finding:
        sequence = self._account.version
        return Finding("debt", sequence, "points are owed, and others can be spent")

    def _check_tier(self, entry: Entry) -> Iterator[Finding]:
        """A tier changes where that is said, and from the one that was held."""
        before, told, why = self._account.tier, entry.data.tier, entry.data.why
        if before is None or told is None:
            return
        said = told.held if why is None else why.from_tier
        if said != before.held:
            detail = f"says that tier {said!r} was held, it was {before.held!r}"
            yield Finding("tier", entry.sequence, detail)

    def _check_purchase(self, entry: Entry, after: Account) -> Iterator[Finding]:
        yield from self._returns.check_purchase(entry)

    def _check_return(self, entry: Entry, after: Account) -> Iterator[Finding]:
        yield from self._returns.check(entry)

    def _check_hold(self, entry: Entry, after: Account) -> Iterator[Finding]:
        yield from self._holds.check(entry, after)

    def _check_capture(self, entry: Entry, after: Account) -> Iterator[Finding]:
        yield from self._holds.check(entry, after)
        made = self._holds.made_by(entry.subject_sequence)
        yield from self._redemptions.check(entry, made)

    def _check_redemption(self, entry: Entry, after: Account) -> Iterator[Finding]:
        yield from self._redemptions.check(entry, entry)

    def _check_reversal(self, entry: Entry, after: Account) -> Iterator[Finding]:
        yield from self._redemptions.check_reversal(entry)

    def _check_expiry(self, entry: Entry, after: Account) -> Iterator[Finding]:
        yield from check_expiry(entry, self._account, after)

    _CHECKS: Final[Mapping[str, Callable[[Lifecycle, Entry, Account], Iterator[Finding]]]] = {
        "PURCHASE": _check_purchase,
        "HOLD": _check_hold,
        "CAPTURE": _check_capture,
        "RELEASE": _check_hold,
        "REDEMPTION": _check_redemption,
        "REDEMPTION_REVERSAL": _check_reversal,
        "RETURN": _check_return,
        "EXPIRY": _check_expiry,
    }


def _origin(entry: Entry) -> tuple[str, int, int]:
    """Who posted an entry, when it happened and under which rules."""
    return entry.actor, entry.effective_time, entry.rules_version


def _group(entry: Entry) -> int:
    """The first entry of the request that an entry belongs to; 0: it belongs to none."""
    first = entry.sequence if entry.fingerprint or entry.consequences else 0
    return entry.cause_sequence or first

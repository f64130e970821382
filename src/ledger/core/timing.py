"""When something happened, as a caller says it, and the rules that were in force then."""

from __future__ import annotations

from ledger.core.errors import EffectiveTimeOutOfRange
from ledger.core.instants import MINUTE, day_start, format_instant, local_day
from ledger.core.posting import Posting
from ledger.core.program import RulesVersion

#: a till's clock may be this far ahead; such an effective_time counts as now
CLOCK_TOLERANCE = 5 * MINUTE


def happened(posting: Posting, requested: int | None) -> tuple[int, RulesVersion]:
    """When it happened (µs), possible or not, and the rules in force then."""
    now, program = posting.now, posting.program
    if requested is None or now <= requested <= now + CLOCK_TOLERANCE:
        requested = now
    return requested, program.in_force(requested)


def require_in_range(posting: Posting, effective_time: int, version: RulesVersion) -> None:
    """Raises EFFECTIVE_TIME_OUT_OF_RANGE for the future and for what is too long ago."""
    now, zone = posting.now, posting.program.zone
    earliest = day_start(local_day(now, zone) - version.rules.backdate_days, zone)
    if not earliest <= effective_time <= now:
        raise EffectiveTimeOutOfRange(
            effective_time=format_instant(effective_time),
            earliest=format_instant(earliest),
            latest=format_instant(now + CLOCK_TOLERANCE),
        )

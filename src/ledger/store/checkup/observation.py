"""What a check of a database answers with."""

from __future__ import annotations

from typing import Final, NamedTuple

OK: Final = "OK"
WARNING: Final = "WARNING"
FAULT: Final = "FAULT"
UNKNOWN: Final = "UNKNOWN"


class Observation(NamedTuple):
    """What one check found. `why` it matters and what to do (`advice`) unless all is well."""

    check: str
    #: OK, WARNING, FAULT or UNKNOWN
    state: str
    found: str
    why: str = ""
    advice: str = ""

"""An independent model of the ledger: what it should answer, in plain dicts.

Written to be compared with the ledger, so it shares nothing with it: it imports nothing of the
package, keeps no running balance and no counters. All it knows of a member are flat lists: parcels
of points with the places they have been in, purchases, returns, holds, redemptions and activities.
A balance is a sum over parcels, visits and spend are counted from all purchases each time somebody
asks, and what time does is found by looking at everything it could ever do. Instants are aware
datetimes, days are dates, amounts of money are decimal strings ("12.99"), arithmetic is done in
fractions; requests and rules are dicts with the field names of the API.

Every write answers ("ok", {...}) or ("refused", reason). Requests are taken to be well formed:
what is INVALID_ARGUMENT is the model's matter only where it depends on the rules or the member.
Holds and redemptions have names of the model's own ("m-1/h-2"). Time is injected: a sandbox has
its clock, and for all other programs the caller sets `wall_time`, which must not go back.
"""

from tests.model.admitting import REMEMBERED, TOLERANCE
from tests.model.days import WEEKDAYS, day_start, local_day
from tests.model.earning import eligible_amount, rounded
from tests.model.living import ORDER
from tests.model.model import Model, Outcome
from tests.model.rules import DEFAULT_BACKDATE_DAYS

__all__ = [
    "DEFAULT_BACKDATE_DAYS",
    "ORDER",
    "REMEMBERED",
    "TOLERANCE",
    "WEEKDAYS",
    "Model",
    "Outcome",
    "day_start",
    "eligible_amount",
    "local_day",
    "rounded",
]

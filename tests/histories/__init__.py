"""Random histories of programs, and what they are made of."""

from tests.histories.machine import SECONDS_TO_SHRINK, SETTINGS
from tests.histories.names import Names
from tests.histories.requests import ACTIVITIES, BASKETS, BIRTHDAYS, NAMES, ZONES, Request
from tests.histories.rules import LEVELS, Rules, documents, fitting, tiers
from tests.histories.spending import Histories

__all__ = [
    "ACTIVITIES",
    "BASKETS",
    "BIRTHDAYS",
    "LEVELS",
    "NAMES",
    "SECONDS_TO_SHRINK",
    "SETTINGS",
    "ZONES",
    "Histories",
    "Names",
    "Request",
    "Rules",
    "documents",
    "fitting",
    "tiers",
]

"""Instants and money as Google's messages."""

from __future__ import annotations

from functools import lru_cache

from google.protobuf import timestamp_pb2
from google.type import money_pb2

from ledger.core.instants import SECOND
from ledger.core.money import CURRENCIES


@lru_cache(maxsize=4096)
def timestamp(instant: int) -> timestamp_pb2.Timestamp:
    """A Timestamp of microseconds, to be copied into a message and not to be changed.

    For what many entries share, such as the ends of days.
    """
    seconds, micros = divmod(instant, SECOND)
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=micros * 1_000)


def fill_timestamp(message: timestamp_pb2.Timestamp, instant: int) -> None:
    """Set a Timestamp to microseconds: for moments, which are too many to remember."""
    seconds, micros = divmod(instant, SECOND)
    message.seconds = seconds
    message.nanos = micros * 1_000


@lru_cache(maxsize=4096)
def money(minor: int, currency: str) -> money_pb2.Money:
    """Money of minor units, to be copied into a message and not to be changed."""
    decimals = CURRENCIES[currency]
    units, part = divmod(minor, 10**decimals)
    return money_pb2.Money(currency_code=currency, units=units, nanos=part * 10 ** (9 - decimals))

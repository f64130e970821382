"""The rules of the ledger as pure functions: no I/O, no clock, no randomness.

Imports the standard library and msgspec only (a contract in pyproject.toml enforces it). Points are
integers, money is integer minor units, instants are integer microseconds since 1970-01-01T00:00Z.
"""

"""A points ledger for loyalty programs: an append-only journal per member, and what follows."""

__version__ = "0.1.0"

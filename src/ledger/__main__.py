"""Lets `python -m ledger` do what the `ledger` command does."""

from ledger.cli import main

if __name__ == "__main__":
    main()

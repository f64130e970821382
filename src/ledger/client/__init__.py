"""The client of a ledger, for tills and the back ends of shops."""

"""Programs that measure the ledger, and that prepare the data they measure it with."""

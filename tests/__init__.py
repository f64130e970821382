"""Tests of the ledger."""

import os

# As in the service (see ledger.rpc), and before anything imports grpc.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

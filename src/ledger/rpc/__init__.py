"""The edges: gRPC and HTTP in front of the same service objects.

A service method converts, asks the engine, converts back: requests become commands in `commands`
and `purchases`, where fields are checked, and facts become messages in `answers`. Errors become
google.rpc.Status in `status`; business rules are in the core.
"""

import os

# Nobody goes on with gRPC in a forked process here. Prepared for that, it meddles with every child
# that is started as another user, as the embedded PostgreSQL is, and breaks one in a few hundred.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

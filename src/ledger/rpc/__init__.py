"""The edges: gRPC and HTTP in front of the same service objects.

A service method converts, asks the engine, converts back: requests become commands in `commands`
and `purchases`, where fields are checked, and facts become messages in `answers`. Errors become
google.rpc.Status in `status`; business rules are in the core.
"""

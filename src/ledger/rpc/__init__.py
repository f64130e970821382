"""The edges: gRPC and HTTP in front of the same service objects.

A service method converts, asks the engine, converts back. Errors become google.rpc.Status in
`status`, fields are checked in `convert`; business rules are in the core.
"""

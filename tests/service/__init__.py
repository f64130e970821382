"""The service as its callers see it: real gRPC and real HTTP over a real PostgreSQL."""

"""Generated protobuf and gRPC modules of the package ledger.v1. `make proto` writes them; never edit them."""

"""The empty RPC: a grpc.aio server whose one method answers nothing, on uvloop like the service.

What a call costs that does no work is what the ledger's calls are compared with. Run as
`python -m benchmarks.empty_server`; prints its address when it answers. Imports nothing of the
ledger.
"""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import grpc
import uvloop
from google.protobuf.empty_pb2 import Empty

from benchmarks.workloads import EMPTY_RPC


async def _call(request: Empty, context: grpc.aio.ServicerContext[Empty, Empty]) -> Empty:
    return Empty()


async def serve() -> None:
    """Serve until SIGTERM."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    service, method = EMPTY_RPC
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        method: grpc.unary_unary_rpc_method_handler(
            _call,
            request_deserializer=Empty.FromString,
            response_serializer=Empty.SerializeToString,
        )
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await stop.wait()
    await server.stop(None)


if __name__ == "__main__":
    uvloop.run(serve())

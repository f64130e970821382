"""The empty RPC: a grpc.aio server whose one method answers nothing, on uvloop like the service.

What a call costs that does no work is what the ledger's calls are compared with. Run as
`python -m benchmarks.empty_server PROCESSES`; prints its address when it answers. Several processes
share the port, each on a processor of its own, as the service's do; of the ledger only that is
imported.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import socket
import sys
from multiprocessing.synchronize import Semaphore
from typing import Any

import grpc
import uvloop
from google.protobuf.empty_pb2 import Empty

from benchmarks.workloads import EMPTY_RPC
from ledger.rpc.processors import keep_to_one


async def _call(request: Empty, context: grpc.aio.ServicerContext[Empty, Empty]) -> Empty:
    return Empty()


async def _serve(port: int, ready: Semaphore) -> None:
    """Serve until SIGTERM."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 1)])
    service, method = EMPTY_RPC
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        method: grpc.unary_unary_rpc_method_handler(
            _call,
            request_deserializer=Empty.FromString,
            response_serializer=Empty.SerializeToString,
        )
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await server.start()
    ready.release()
    await stop.wait()
    await server.stop(None)


def _worker(number: int, workers: int, port: int, ready: Semaphore) -> None:
    if workers > 1:
        keep_to_one(number)
    uvloop.run(_serve(port, ready))


def main(workers: int) -> None:
    """Have so many processes serve until SIGTERM."""
    context = multiprocessing.get_context("spawn")
    ready = context.Semaphore(0)
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        processes = [
            context.Process(target=_worker, args=(number, workers, port, ready), daemon=True)
            for number in range(1, workers + 1)
        ]
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        try:
            for process in processes:
                process.start()
            for _ in processes:
                ready.acquire()
            print(f"127.0.0.1:{port}", flush=True)
            signal.pause()
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.join()


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""How calls are sent: over gRPC connections, or as JSON over HTTP. Runs in the load generators."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import grpc
import pyqwest

from benchmarks.answers import HttpFailed
from benchmarks.requests import Call, capture_of
from benchmarks.workloads import Kind

_TIMEOUT_SECONDS: Final = 30.0
_CAPTURE: Final = "/ledger.v1.RedemptionService/CaptureHold"
_JSON: Final = {"content-type": "application/json"}

#: sends a call; answers bytes over gRPC, text over HTTP, and both answers of a hold and its capture
Send = Callable[[Call], Awaitable[Any]]


@asynccontextmanager
async def senders(address: str, json: bool, connections: int) -> AsyncIterator[list[Send]]:
    """How to send to an address (host:port, or a URL for JSON), once for each connection.

    For JSON the one client opens as many connections as it needs.
    """
    if json:
        yield [_over_http(pyqwest.Client(), address)]
        return
    async with AsyncExitStack() as stack:
        yield [
            await _over_grpc(await stack.enter_async_context(_channel(address)))
            for _ in range(connections)
        ]


def _channel(address: str) -> grpc.aio.Channel:
    options = [
        ("grpc.max_receive_message_length", 16 << 20),
        ("grpc.use_local_subchannel_pool", 1),  # or all channels would share one connection
    ]
    return grpc.aio.insecure_channel(address, options=options)


async def _over_grpc(channel: grpc.aio.Channel) -> Send:
    await asyncio.wait_for(channel.channel_ready(), _TIMEOUT_SECONDS)
    methods: dict[str, Any] = {}

    def method(path: str) -> Any:
        if path not in methods:
            methods[path] = channel.unary_unary(path)
        return methods[path]

    async def send(call: Call) -> Any:
        answer = await method(call.path)(call.request, timeout=_TIMEOUT_SECONDS)
        if call.kind is not Kind.HOLD:
            return answer
        captured = await method(_CAPTURE)(capture_of(answer), timeout=_TIMEOUT_SECONDS)
        return answer, captured

    return send


def _over_http(client: pyqwest.Client, url: str) -> Send:
    async def send(call: Call) -> Any:
        answer = await client.post(f"{url}{call.path}", _JSON, call.request)
        text = answer.text()
        if answer.status != 200:
            raise HttpFailed(f"HTTP {answer.status}: {text}")
        return text

    return send

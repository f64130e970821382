"""A process that serves gRPC can start others as another user, as it does to run PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.faults

#: starts processes as nobody while gRPC is at work on other threads, as busy as it can be
_STARTS_CHILDREN = """
import subprocess, sys, threading
from concurrent.futures import ThreadPoolExecutor

import ledger.rpc.serve
import grpc

server = grpc.server(ThreadPoolExecutor(4))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
channel = grpc.insecure_channel(f"127.0.0.1:{port}")
over = threading.Event()

def call():
    while not over.is_set():
        try:
            channel.unary_unary("/no/thing")(b"", timeout=5)
        except grpc.RpcError:
            pass

calling = threading.Thread(target=call)
calling.start()
failed = 0
for _ in range(300):
    child = subprocess.run(
        ["true"], user=65534, group=65534, extra_groups=[], capture_output=True
    )
    failed += child.returncode != 0 or child.stderr != b""
over.set()
calling.join()
server.stop(None).wait()
print(failed)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start processes as another user")
def test_children_of_another_user_start_while_grpc_is_busy() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "GRPC_ENABLE_FORK_SUPPORT"}
    run = subprocess.run(
        [sys.executable, "-c", _STARTS_CHILDREN],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == "0\n", run.stderr

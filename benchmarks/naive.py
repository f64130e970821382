"""The naive implementation that the ledger is compared with: what one would write in an afternoon.

A gRPC server with a pool of threads and one transaction of the ORM for each call: lock the member,
insert the receipt, add to the balance. No rules but a point for each whole unit, no lots, tiers,
idempotency by request, hash chain or history. Run as `python -m benchmarks.naive DSN MEMBERS`;
prints its address when it answers. Imports only the messages of the ledger.
"""

from __future__ import annotations

import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
import psycopg2
from sqlalchemy import ForeignKey, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from ledger.v1 import points_pb2, types_pb2

_THREADS: Final = 16


class Base(DeclarativeBase):
    """Of both tables."""


class Member(Base):
    """A member's balance."""

    __tablename__ = "members"
    member_id: Mapped[str] = mapped_column(primary_key=True)
    available: Mapped[int] = mapped_column(default=0)


class Purchase(Base):
    """A receipt, and the points it earned."""

    __tablename__ = "purchases"
    purchase_id: Mapped[str] = mapped_column(primary_key=True)
    member_id: Mapped[str] = mapped_column(ForeignKey(Member.member_id), index=True)
    points: Mapped[int]
    available: Mapped[int]


class Points:
    """The one method, RecordPurchase."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions

    def record_purchase(
        self, request: points_pb2.RecordPurchaseRequest, context: grpc.ServicerContext
    ) -> types_pb2.Receipt:
        """Credit a receipt in a transaction of its own."""
        with self._sessions.begin() as session:
            member = session.get_one(Member, request.member_id, with_for_update=True)
            points = int(request.amount.units)
            member.available += points
            session.add(
                Purchase(
                    purchase_id=request.purchase_id,
                    member_id=member.member_id,
                    points=points,
                    available=member.available,
                )
            )
            receipt = types_pb2.Receipt(
                entries=[
                    types_pb2.Entry(
                        program_id=request.program_id,
                        member_id=request.member_id,
                        request_id=request.request_id,
                        purchase_id=request.purchase_id,
                        points=points,
                    )
                ],
                balance=types_pb2.Balance(available_points=member.available),
            )
        return receipt


def serve(dsn: str, members: int) -> None:
    """Make the tables and the members, and serve until SIGTERM."""
    engine = create_engine(
        "postgresql+psycopg2://", creator=lambda: psycopg2.connect(dsn), pool_size=_THREADS
    )
    Base.metadata.create_all(engine)
    sessions = sessionmaker(engine)
    with sessions.begin() as session:
        session.add_all(Member(member_id=f"m-{number:06d}") for number in range(1, members + 1))
    server = grpc.server(ThreadPoolExecutor(_THREADS), options=[("grpc.so_reuseport", 0)])
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "RecordPurchase": grpc.unary_unary_rpc_method_handler(
            Points(sessions).record_purchase,
            request_deserializer=points_pb2.RecordPurchaseRequest.FromString,
            response_serializer=types_pb2.Receipt.SerializeToString,
        )
    }
    handler = grpc.method_handlers_generic_handler("ledger.v1.PointsService", handlers)
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    stop.wait()
    server.stop(None).wait()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))

"""The demo's purchases: two weeks at a coffee shop, recorded through the ordinary API.

Recorded only where the demo's member is not known yet, so that starting again adds nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from ledger.cli.connection import Connection, zone_of
from ledger.cli.failure import CommandFailed
from ledger.cli.messages import argument_money, purchase_line, timestamp
from ledger.cli.values import parse_line
from ledger.core.instants import to_instant
from ledger.v1 import member_pb2, points_pb2, types_pb2

MEMBER: Final = "m-1"

#: (days ago, local time, member, amount, lines, location). m-2 is enrolled by the first purchase.
_PURCHASES: Final = (
    (13, "08:05", "m-1", "7.40", ("flat-white:coffee:2:7.40",), "station"),
    (11, "08:12", "m-1", "12.90", ("flat-white:coffee:1:3.70", "bagel:food:1:9.20"), "station"),
    (9, "12:31", "m-2", "18.20", (), "market"),
    (6, "16:40", "m-1", "45.00", ("card-40:gift-card:1:40.00", "tea:tea:1:5.00"), "market"),
    (3, "08:02", "m-1", "3.70", ("flat-white:coffee:1:3.70",), "station"),
    (1, "15:20", "m-1", "24.50", ("beans-1kg:beans:1:24.50",), "market"),
    (1, "17:45", "m-2", "6.10", ("cake:food:1:6.10",), "market"),
)


def record_purchases(connection: Connection, program_id: str) -> None:
    """Enroll the demo's members and record their purchases, unless that was done before."""
    program = connection.program(program_id)
    if _known(connection, program_id):
        return
    zone = zone_of(program)
    today = datetime.now(UTC).astimezone(zone).date()

    def at(days_ago: int, clock: str) -> Timestamp:
        moment = datetime.combine(today - timedelta(days=days_ago), time.fromisoformat(clock), zone)
        return timestamp(to_instant(moment.astimezone(UTC)))

    connection.call(
        connection.members.EnrollMember,
        member_pb2.EnrollMemberRequest(
            request_id="demo-enroll",
            program_id=program_id,
            member_id=MEMBER,
            effective_time=at(13, "08:03"),
        ),
        types_pb2.Receipt,
    )
    for number, (days, clock, member, amount, lines, location) in enumerate(_PURCHASES, start=1):
        connection.call(
            connection.points.RecordPurchase,
            points_pb2.RecordPurchaseRequest(
                request_id=f"demo-{number}",
                program_id=program_id,
                member_id=member,
                purchase_id=f"demo-{number}",
                amount=argument_money("amount", amount, program.currency),
                lines=[
                    purchase_line(parse_line(line, program.currency), program.currency)
                    for line in lines
                ],
                effective_time=at(days, clock),
                location_id=location,
            ),
            types_pb2.Receipt,
        )


def _known(connection: Connection, program_id: str) -> bool:
    request = member_pb2.GetMemberRequest(program_id=program_id, member_id=MEMBER)
    try:
        connection.call(connection.members.GetMember, request, member_pb2.Member)
    except CommandFailed as failure:
        if failure.reason != "MEMBER_NOT_FOUND":
            raise
        return False
    return True

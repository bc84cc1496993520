"""`playclock audit`: what operators and internal services have done."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import click
from google.protobuf.json_format import MessageToDict

from playclock.cli.days import beginning, zone_of
from playclock.cli.engines import RemoteEngine
from playclock.cli.failures import UsageFailure
from playclock.cli.options import engine_option, json_option, token_option
from playclock.cli.printing import moment, print_json, print_table
from playclock.cli.remote import CALL_SEC, authorization, calling
from playclock.cli.settlement_files import write_csv
from playclock.cli.teaching import example
from playclock.v1.audit_service_pb2 import AuditEvent, ListAuditEventsRequest
from playclock.v1.audit_service_pb2_grpc import AuditServiceStub

PAGE_SIZE: Final = 1_000


@click.command(
    short_help="Show what operators and services have done.",
    epilog=example("playclock audit --actor service/billing --from 2026-11-01 --token dev-operator-token"),
)
@click.option("--actor", default="", metavar="ACTOR", help="Only this one's: operator/, operator/NAME or service/ID.")
@click.option("--from", "from_", metavar="DATE", help="Only what was done on this day or later: 2026-11-01.")
@click.option("--until", metavar="DATE", help="Only what was done before this day.")
@click.option("--time-zone", default="UTC", show_default=True, help="Where days begin, such as Asia/Seoul.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@json_option
@engine_option
@token_option
def audit(
    *,
    actor: str,
    from_: str | None,
    until: str | None,
    time_zone: str,
    limit: int,
    as_csv: bool,
    as_json: bool,
    engine: RemoteEngine,
    token: str | None,
) -> None:
    """List what operators and internal services have changed, what was archived first comes first."""
    if as_csv and as_json:
        raise UsageFailure("--csv and --json exclude each other")
    zone = zone_of(time_zone)
    request = ListAuditEventsRequest(actor=actor, acted_from=beginning(from_, zone), acted_until=beginning(until, zone))
    found = asyncio.run(_list(engine, token, request, limit))
    if as_json:
        print_json([_fields(event) for event in found])
    elif as_csv:
        fields = [field.name for field in AuditEvent.DESCRIPTOR.fields]
        write_csv(fields, ([_fields(event)[name] for name in fields] for event in found))
    else:
        print_table(tuple(_CELLS), [[cell(event) for cell in _CELLS.values()] for event in found])


async def _list(engine: RemoteEngine, token: str | None, request: ListAuditEventsRequest, limit: int) -> list[AuditEvent]:
    found: list[AuditEvent] = []
    async with calling(engine) as channel:
        service = AuditServiceStub(channel)
        while True:
            request.page_size = min(PAGE_SIZE, limit - len(found))
            page = await service.ListAuditEvents(request, metadata=authorization(token), timeout=CALL_SEC)
            found += page.events
            request.page_token = page.next_page_token
            if not page.next_page_token or len(found) >= limit:
                return found


def _fields(event: AuditEvent) -> dict[str, Any]:
    return MessageToDict(event, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


_CELLS: Final[dict[str, Callable[[AuditEvent], str]]] = {
    "time": lambda event: moment(event.act_time),
    "actor": lambda event: event.actor,
    "action": lambda event: event.action,
    "target": lambda event: event.target,
    "detail": lambda event: event.detail,
}

"""`playclock deliveries`: what games' servers were not told of their matches, and the power to tell it again."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import click
from google.protobuf.json_format import MessageToDict

from playclock.cli.engines import RemoteEngine
from playclock.cli.options import engine_option, operator_options, token_option
from playclock.cli.printing import moment, print_json, print_table
from playclock.cli.remote import CALL_SEC, ask, authorization
from playclock.cli.teaching import example
from playclock.v1.delivery_service_pb2 import (
    Delivery,
    GetDeliveryRequest,
    ListDeliveriesRequest,
    ReplayDeliveryRequest,
    ResumeDeliveriesRequest,
)
from playclock.v1.delivery_service_pb2_grpc import DeliveryServiceStub

if TYPE_CHECKING:
    from playclock.v1.delivery_service_pb2_grpc import DeliveryServiceAsyncStub


PAGE_SIZE: Final = 1_000
_LISTED: Final = {"pending": Delivery.STATE_PENDING, "dead": Delivery.STATE_DEAD}


@click.group(epilog=example("playclock deliveries list --state dead --token dev-operator-token"))
def deliveries() -> None:
    """List, show and replay what games' servers are told of matches."""


@deliveries.command(name="list", epilog=example("playclock deliveries list --state dead --client super-game"))
@click.option("--client", default="", metavar="ID", help="Only this match client's.")
@click.option("--state", type=click.Choice(list(_LISTED)), help="Only those in this state; both where none is named.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many.")
@operator_options
def list_deliveries(
    *, client: str, state: str | None, limit: int, engine: RemoteEngine, token: str | None, as_json: bool
) -> None:
    """List what is still to be delivered, or was given up, in no particular order."""

    async def collect(service: "DeliveryServiceAsyncStub") -> list[Delivery]:
        found: list[Delivery] = []
        wanted = Delivery.STATE_UNSPECIFIED if state is None else _LISTED[state]
        request = ListDeliveriesRequest(client_id=client, state=wanted)
        while True:
            request.page_size = min(PAGE_SIZE, limit - len(found))
            page = await service.ListDeliveries(request, metadata=authorization(token), timeout=CALL_SEC)
            found += page.deliveries
            request.page_token = page.next_page_token
            if not page.next_page_token or len(found) >= limit:
                return found[:limit]

    _print(ask(engine, DeliveryServiceStub, collect), as_json=as_json)


@deliveries.command(epilog=example("playclock deliveries show 550e8400-e29b-41d4-a716-446655440000"))
@click.argument("delivery_id", metavar="ID")
@operator_options
def show(*, delivery_id: str, engine: RemoteEngine, token: str | None, as_json: bool) -> None:
    """Show a delivery, in whatever state."""

    async def get(service: "DeliveryServiceAsyncStub") -> list[Delivery]:
        request = GetDeliveryRequest(delivery_id=delivery_id)
        return [(await service.GetDelivery(request, metadata=authorization(token), timeout=CALL_SEC)).delivery]

    _print(ask(engine, DeliveryServiceStub, get), as_json=as_json)


@deliveries.command(epilog=example("playclock deliveries replay 550e8400-e29b-41d4-a716-446655440000"))
@click.argument("delivery_ids", metavar="ID...", nargs=-1, required=True)
@operator_options
def replay(*, delivery_ids: Sequence[str], engine: RemoteEngine, token: str | None, as_json: bool) -> None:
    """Send again what was delivered or given up. A match that is off stays so: it is told again, and called off again."""

    async def again(service: "DeliveryServiceAsyncStub") -> list[Delivery]:
        found = []
        for delivery_id in delivery_ids:
            request = ReplayDeliveryRequest(delivery_id=delivery_id)
            answer = await service.ReplayDelivery(request, metadata=authorization(token), timeout=CALL_SEC)
            found.append(answer.delivery)
        return found

    _print(ask(engine, DeliveryServiceStub, again), as_json=as_json)


@deliveries.command(epilog=example("playclock deliveries resume super-game"))
@click.argument("client")
@engine_option
@token_option
def resume(*, client: str, engine: RemoteEngine, token: str | None) -> None:
    """Let the match client CLIENT hear of matches again, after its server has answered 410."""

    async def call(service: "DeliveryServiceAsyncStub") -> bool:
        request = ResumeDeliveriesRequest(client_id=client)
        return (await service.ResumeDeliveries(request, metadata=authorization(token), timeout=CALL_SEC)).was_silenced

    was_silenced = ask(engine, DeliveryServiceStub, call)
    click.echo(f"{client} hears of matches again" if was_silenced else f"{client} has not answered 410")


_COLUMNS: Final[dict[str, Callable[[Delivery], str]]] = {
    "delivery": lambda delivery: delivery.delivery_id,
    "state": lambda delivery: Delivery.State.Name(delivery.state).removeprefix("STATE_"),
    "method": lambda delivery: Delivery.Method.Name(delivery.method).removeprefix("METHOD_"),
    "match": lambda delivery: delivery.match_id,
    "client": lambda delivery: delivery.client_id,
    "since": lambda delivery: moment(delivery.create_time),
    "tries": lambda delivery: str(delivery.tries),
    "answer": lambda delivery: str(delivery.last_status or delivery.last_error),
    "next try": lambda delivery: moment(delivery.next_try_time),
    "ended": lambda delivery: moment(delivery.end_time),
}


def _print(found: Sequence[Delivery], *, as_json: bool) -> None:
    if as_json:
        print_json([MessageToDict(delivery, preserving_proto_field_name=True) for delivery in found])
    else:
        print_table(tuple(_COLUMNS), [[cell(delivery) for cell in _COLUMNS.values()] for delivery in found])

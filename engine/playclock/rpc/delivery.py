"""DeliveryService: messages to the engine and back."""

from typing import Final

from playclock.core.delivery import Delivery, DeliveryState, Method, filed_ms
from playclock.engine import Engine
from playclock.engine.matches.deliveries import LISTED
from playclock.rpc.call import Call
from playclock.rpc.fields import check
from playclock.rpc.messages import timestamp
from playclock.v1 import delivery_service_pb2 as pb

_METHODS: Final = {Method.PUT: pb.Delivery.METHOD_PUT, Method.DELETE: pb.Delivery.METHOD_DELETE}
_STATES: Final = {
    DeliveryState.PENDING: pb.Delivery.STATE_PENDING,
    DeliveryState.DELIVERED: pb.Delivery.STATE_DELIVERED,
    DeliveryState.DEAD: pb.Delivery.STATE_DEAD,
    DeliveryState.WITHDRAWN: pb.Delivery.STATE_WITHDRAWN,
}
_WANTED: Final = {_STATES[state]: state for state in LISTED}


class DeliveryServicer:
    """Translates for operators."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def ListDeliveries(self, request: pb.ListDeliveriesRequest, call: Call) -> pb.ListDeliveriesResponse:  # noqa: ARG002
        """List what is pending or dead."""
        is_known = request.state in _WANTED or request.state == pb.Delivery.STATE_UNSPECIFIED
        check(state=None if is_known else "expected STATE_PENDING, STATE_DEAD or none")
        deliveries, next_page_token = await self._engine.matches.deliveries.page(
            page_size=request.page_size,
            page_token=request.page_token,
            client_id=request.client_id,
            state=_WANTED.get(request.state),
        )
        return pb.ListDeliveriesResponse(deliveries=map(_message, deliveries), next_page_token=next_page_token)

    async def GetDelivery(self, request: pb.GetDeliveryRequest, call: Call) -> pb.GetDeliveryResponse:  # noqa: ARG002
        """Show a delivery."""
        return pb.GetDeliveryResponse(delivery=_message(await self._engine.matches.deliveries.get(request.delivery_id)))

    async def ReplayDelivery(self, request: pb.ReplayDeliveryRequest, call: Call) -> pb.ReplayDeliveryResponse:
        """Send a delivery again."""
        delivery = await self._engine.matches.deliveries.replay(call.caller, request.delivery_id)
        return pb.ReplayDeliveryResponse(delivery=_message(delivery))

    async def ResumeDeliveries(self, request: pb.ResumeDeliveriesRequest, call: Call) -> pb.ResumeDeliveriesResponse:
        """Let a client hear of matches again."""
        was_silenced = await self._engine.matches.deliveries.resume(call.caller, request.client_id)
        return pb.ResumeDeliveriesResponse(was_silenced=was_silenced)


def _message(delivery: Delivery) -> pb.Delivery:
    is_pending = delivery.state is DeliveryState.PENDING
    return pb.Delivery(
        delivery_id=delivery.id,
        match_id=delivery.match_id,
        client_id=delivery.client_id,
        method=_METHODS[delivery.method],
        state=_STATES[delivery.state],
        create_time=timestamp(delivery.created_ms),
        next_try_time=timestamp(filed_ms(delivery)) if is_pending else None,
        tries=delivery.tries,
        last_try_time=timestamp(delivery.tried_ms) if delivery.tries else None,
        last_status=delivery.status,
        last_error=delivery.error,
        end_time=None if delivery.ended_ms is None else timestamp(delivery.ended_ms),
        replays=delivery.replays,
    )

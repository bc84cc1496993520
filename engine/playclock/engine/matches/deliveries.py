"""What operators see of the messages to games' servers, and can do about them."""

from typing import Final

from playclock.core import delivery as core
from playclock.core.delivery import Delivery, DeliveryState, Method
from playclock.core.ids import delivery_key, is_uuid, partition_in, silenced_key
from playclock.core.records import Silenced
from playclock.engine.audit import audit
from playclock.engine.callers import Caller
from playclock.engine.context import Context
from playclock.engine.listing import filed
from playclock.engine.matches.keeper import Keeper
from playclock.engine.matches.notices import Notices
from playclock.engine.matches.pushing import Pushing
from playclock.engine.matches.sending import Sender
from playclock.engine.records import DELIVERIES, SILENCED
from playclock.engine.work import Work
from playclock.errors import BadRequest, DeliveryNotFound, EngineError, WrongDeliveryState

LISTED: Final = (DeliveryState.PENDING, DeliveryState.DEAD)
"""What lists have: these lie in the index of what is due."""


class Deliveries:
    """Lists and replays messages."""

    def __init__(self, context: Context, keeper: Keeper, notices: Notices, pushing: Pushing, sender: Sender) -> None:
        self._context = context
        self._keeper = keeper
        self._notices = notices
        self._pushing = pushing
        self._sender = sender

    async def page(
        self, *, page_size: int, page_token: str, client_id: str = "", state: DeliveryState | None = None
    ) -> tuple[list[Delivery], str]:
        """Return some messages that are pending or dead, and the token of the next page, which is empty after the last.

        A page may be short, or empty, and yet not the last. Raises BadRequest, StoreAway.
        """
        now_ms = self._context.clock.now_ms()

        async def look(keys: list[str]) -> list[Delivery]:
            loaded = await self._context.records.load(keys, fresh=True)
            found = [DELIVERIES.checked(value) for _, value in loaded if value is not None]
            return [
                each
                for each in found
                if each.state in LISTED
                and state in (None, each.state)
                and client_id in ("", each.client_id)
                and self._notices.is_kept(each, now_ms)
            ]

        return await filed(self._context, "delivery", look, page_size=page_size, page_token=page_token)

    async def get(self, delivery_id: str) -> Delivery:
        """Return a message. Raises BadRequest, DeliveryNotFound, StoreAway."""
        _check(delivery_id)
        ((_, found),) = await self._context.records.load([delivery_key(delivery_id)], fresh=True)
        if found is None or not self._notices.is_kept(found, self._context.clock.now_ms()):
            raise _no_such_delivery()
        return DELIVERIES.checked(found)

    async def replay(self, caller: Caller, delivery_id: str) -> Delivery:
        """Let a message that is dead or delivered be sent again; one that is pending stays as it is.

        Raises BadRequest, DeliveryNotFound, WrongDeliveryState, StoreAway, TooMuchContention.
        """
        _check(delivery_id)

        async def decision(work: Work) -> Delivery | EngineError:
            await work.prefetch(delivery_key(delivery_id), fresh=True)
            delivery = await self._notices.read(work, delivery_id)
            if delivery is None or not self._notices.is_kept(delivery, work.now_ms):
                return _no_such_delivery()
            if delivery.state is DeliveryState.PENDING:
                return delivery
            if delivery.method is Method.PUT and await self._keeper.read(work, delivery.match_id) is None:
                return WrongDeliveryState("its match is forgotten")
            again = core.replayed(delivery, now_ms=work.now_ms)
            if again is None:
                return WrongDeliveryState("it was withdrawn", state=delivery.state.name)
            self._notices.write(work, again)
            audit(self._context, work, caller, "ReplayDelivery", delivery_id, detail=delivery.match_id)
            return again

        now_ms = self._context.clock.now_ms()
        answer = await self._context.turns.decide(partition_in(delivery_id), now_ms, decision)
        if isinstance(answer, EngineError):
            raise answer
        self._pushing.wake(delivery_id)
        return answer

    async def resume(self, caller: Caller, client_id: str) -> bool:
        """Let a match client be sent to again that has answered 410, and return whether it has.

        Raises BadRequest, StoreAway, TooMuchContention.
        """
        client = self._sender.client(client_id)
        if client is None:
            raise BadRequest({"client_id": "there is no such match client"})
        key = silenced_key(client.id, client.match_info_url)

        async def decision(work: Work) -> bool:
            await work.prefetch(key, fresh=True)
            silenced = await work.read(SILENCED, key)
            if silenced is None or not silenced.since_ms:
                return False
            work.write(key, Silenced(0))
            audit(self._context, work, caller, "ResumeDeliveries", f"match_client/{client_id}")
            return True

        return await self._context.turns.decide(int(key[:2], 16), self._context.clock.now_ms(), decision)


def _check(delivery_id: str) -> None:
    if not is_uuid(delivery_id):
        raise BadRequest({"delivery_id": "expected a lower-case UUID"})


def _no_such_delivery() -> DeliveryNotFound:
    return DeliveryNotFound("no such delivery")

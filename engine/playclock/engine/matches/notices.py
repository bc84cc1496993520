"""What games' servers have to be told of matches, in the store: written in the commits that cause it, and taken to be sent."""

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from playclock.core import delivery as core
from playclock.core.delivery import BUSY_MS, Delivery, DeliveryRules, DeliveryState, Method
from playclock.core.ids import delivery_id_of, delivery_key
from playclock.core.match import AbortReason, Match, is_closed
from playclock.core.match_info import is_off, waits_for_push
from playclock.engine.context import Context
from playclock.engine.records import DELIVERIES
from playclock.engine.work import Work


class Notices:
    """Reads and writes messages to games' servers."""

    def __init__(self, context: Context, rules: DeliveryRules, *, is_able: bool) -> None:
        """`is_able`: whether this process can send them. What it cannot send it leaves to others."""
        self._context = context
        self.rules: Final = rules
        self._is_able = is_able
        self.wait_ms: Callable[[Delivery, int], int] = lambda _, __: 0
        """Says after how long this process may have room for a message, by the time; 0 where it has."""

    async def follow(self, work: Work, before: Match | None, after: Match) -> None:
        """Write what a game's server has to be told of a change of its match."""
        if waits_for_push(after):
            if before is None or not waits_for_push(before):
                # Looked up first: there may be one of a match that is forgotten, and had the same id.
                await self.read(work, delivery_id_of(after.id, Method.PUT.name))
                self.write(work, core.put_of(after, now_ms=work.now_ms))
        elif is_off(after) and after.is_escrowed and (before is None or not is_closed(before)):
            put = await self.read(work, delivery_id_of(after.id, Method.PUT.name))
            if put is not None:
                await self._call_off(work, after, put)

    async def take(self, work: Work, key: str) -> Delivery | None:
        """Take a message to be sent, if it is due and this process can send it; else file it anew, or let it be dropped."""
        await work.prefetch(key, fresh=True)
        delivery = await work.read(DELIVERIES, key)
        if delivery is None:
            return None
        if not self.is_kept(delivery, work.now_ms):
            work.write(key, delivery, retain_until_ms=work.now_ms)
            return None
        if not core.is_due(delivery, now_ms=work.now_ms):
            self.write(work, delivery)
            return None
        wait_until_ms = await self._wait_until_ms(work, delivery)
        if wait_until_ms > work.now_ms:
            self.write(work, replace(delivery, due_ms=wait_until_ms))
            return None
        taken = core.leased(delivery, self.rules, now_ms=work.now_ms)
        self.write(work, taken)
        return taken

    async def come_after(self, work: Work, put: Delivery) -> None:
        """Let the message that a match is off follow a try of its PUT that came to its end later."""
        if not put.is_sent:
            return
        delete = await self.read(work, delivery_id_of(put.match_id, Method.DELETE.name))
        if delete is None:
            self.write(work, core.delete_of(put, now_ms=work.now_ms))
        else:
            again = core.replayed(delete, now_ms=work.now_ms)
            self.write(work, core.hurried(delete, now_ms=work.now_ms) if again is None else again)

    def is_kept(self, delivery: Delivery, now_ms: int) -> bool:
        """Whether a message is still remembered."""
        return delivery.ended_ms is None or now_ms < self._forgotten_ms(delivery)

    async def read(self, work: Work, delivery_id: str) -> Delivery | None:
        """Return a message."""
        return await work.read(DELIVERIES, delivery_key(delivery_id))

    def write(self, work: Work, delivery: Delivery) -> None:
        """Write a message, and file it for when somebody has to look at it. Dead ones stay in the index, to be listed."""
        key = delivery_key(delivery.id)
        if delivery.state is DeliveryState.PENDING:
            work.write(key, delivery, due_ms=core.filed_ms(delivery))
        elif delivery.state is DeliveryState.DEAD:
            work.write(key, delivery, due_ms=self._forgotten_ms(delivery))
        else:
            work.write(key, delivery, retain_until_ms=self._forgotten_ms(delivery))

    async def _call_off(self, work: Work, match: Match, put: Delivery) -> None:
        is_late = match.abort_reason is AbortReason.NOT_TOLD
        ended = (core.given_up if is_late else core.withdrawn)(put, now_ms=work.now_ms)
        if ended is not put:
            self.write(work, ended)
        if core.is_perhaps_sent(put):
            await self.read(work, delivery_id_of(match.id, Method.DELETE.name))
            self.write(work, core.delete_of(put, now_ms=work.now_ms))

    async def _wait_until_ms(self, work: Work, delivery: Delivery) -> int:
        """Return until when a message that is due has to wait: for its PUT, or for a process that can send it now."""
        wait_ms = self.wait_ms(delivery, work.now_ms) if self._is_able else BUSY_MS
        if wait_ms:
            return work.now_ms + wait_ms
        if delivery.method is Method.PUT:
            return 0
        put = await self.read(work, delivery_id_of(delivery.match_id, Method.PUT.name))
        if put is None or put.state is not DeliveryState.PENDING:
            return 0
        return max(put.leased_until_ms, work.now_ms + BUSY_MS)

    def _forgotten_ms(self, delivery: Delivery) -> int:
        return (delivery.ended_ms or 0) + self.rules.retention_ms

"""Tells games' servers of their matches, a bounded number at once, and notes what came of it in one commit with the match."""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from playclock.core import delivery as core
from playclock.core import match_moves as moves
from playclock.core.delivery import Delivery, DeliveryState, Method, Tried, Verdict
from playclock.core.escrow import outstanding
from playclock.core.ids import delivery_id_of, delivery_key, match_key, partition_in
from playclock.core.match import Match
from playclock.core.match_info import is_off
from playclock.engine.context import Context
from playclock.engine.matches.keeper import Keeper
from playclock.engine.matches.lines import Line
from playclock.engine.matches.notices import Notices
from playclock.engine.matches.sending import Sender
from playclock.engine.matches.settling import Settling
from playclock.engine.work import Work
from playclock.errors import TryAgain

OVERDUE_MS: Final = 300_000
"""How long a message may find no room before it is given up, for a client that wants no retries: players wait for the match."""
NO_ROOM: Final = "NO_ROOM"
"""Why such a message was not sent."""
FINISH_SEC: Final = 5.0
"""How long tries that are under way may hold up an engine that stops."""

DELIVERED: Final = "delivered"
FAILED: Final = "failed"
DEAD: Final = "dead"

_LATE: Final = Tried(verdict=Verdict.BUSY, is_sent=False)

_log = logging.getLogger(__name__)


class Pushing:
    """Sends what is due."""

    def __init__(self, context: Context, keeper: Keeper, notices: Notices, settling: Settling, sender: Sender) -> None:
        self._context = context
        self._keeper = keeper
        self._notices = notices
        self._settling = settling
        self._sender = sender
        self._lines: dict[str, Line] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        keeper.on_waiting = self._push
        notices.wait_ms = self._wait_ms

    @property
    def waiting(self) -> int:
        """How many messages this process has taken to send."""
        return len(self._under_way)

    def add(self, taken: Sequence[Delivery]) -> None:
        """Send what was taken, each by a task of its own, and return at once."""
        for delivery in taken:
            line = self._lines.setdefault(delivery.client_id, Line())
            line.waiting += 1
            self._begin(self._deliver(line, delivery))

    async def finish(self) -> None:
        """Wait until what was begun has come to its end."""
        while self._under_way:
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def close(self) -> None:
        """Let what is under way come to its end, for a while; what does not is sent again by whoever finds it."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=FINISH_SEC)
        for task in self._under_way:
            task.cancel()

    def wake(self, delivery_id: str) -> None:
        """Send a message at once, if it is due; where this process cannot, others will."""
        if self._sender.is_able:
            self._begin(self._start(delivery_id))

    def _push(self, match_id: str) -> None:
        self.wake(delivery_id_of(match_id, Method.PUT.name))

    async def _start(self, delivery_id: str) -> None:
        async def decision(work: Work) -> Delivery | None:
            delivery = await self._notices.read(work, delivery_id)
            if delivery is None or not core.is_due(delivery, now_ms=work.now_ms):
                return None  # somebody else has it
            return await self._notices.take(work, delivery_key(delivery_id))

        now_ms = self._context.clock.now_ms()
        taken = await self._context.turns.decide(partition_in(delivery_id), now_ms, decision)
        self.add([] if taken is None else [taken])

    def _wait_ms(self, delivery: Delivery, now_ms: int) -> int:
        line = self._lines.get(delivery.client_id)
        return 0 if line is None or self._is_overdue(delivery, now_ms) else line.wait_ms

    def _is_overdue(self, delivery: Delivery, now_ms: int) -> bool:
        """Whether a message has waited for so long that it is given up where there is no room for it."""
        return not self._retries(delivery) and now_ms - delivery.created_ms >= OVERDUE_MS

    def _retries(self, delivery: Delivery) -> bool:
        client = self._sender.client(delivery.client_id)
        return client is not None and client.retries_pushes

    def _begin(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._guarded(job), name="playclock delivery")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _guarded(self, job: Coroutine[Any, Any, None]) -> None:
        try:
            await job
        except TryAgain as error:
            _log.warning("a delivery has to wait", extra={"fields": {"reason": error.reason}})
        except Exception:  # noqa: BLE001 - the outermost boundary of a task: its lease runs out, and it is tried again
            _log.exception("a delivery failed")

    async def _deliver(self, line: Line, delivery: Delivery) -> None:
        try:
            outcome = await self._outcome(line, delivery)
        finally:
            line.waiting -= 1
        match = await self._noted(delivery, outcome)
        if match is not None and outstanding(match):
            await self._settling.carry_on(match.id)

    async def _outcome(self, line: Line, delivery: Delivery) -> Tried:
        rules, clock = self._notices.rules, self._context.clock
        if line.is_crowded and self._is_overdue(delivery, clock.now_ms()):
            return Tried(verdict=Verdict.FAILED, error=NO_ROOM, is_sent=False)
        async with line.turn():
            # Whoever finds a lease that is over sends as well: an answer has to be there before that.
            if clock.now_ms() >= delivery.leased_until_ms - rules.timeout_ms:
                return _LATE
            outcome = await self._sender.send(delivery)
        if outcome.verdict is not Verdict.BUSY:
            line.note(outcome)
        return outcome

    async def _noted(self, delivery: Delivery, outcome: Tried) -> Match | None:
        """Note what came of a try, and what follows for the match, which is returned; None where it is forgotten."""
        retries, ended = self._retries(delivery), list[Delivery]()

        async def decision(work: Work) -> Match | None:
            ended.clear()
            await work.prefetch(match_key(delivery.match_id), delivery_key(delivery.id), fresh=True)
            match = await self._keeper.read(work, delivery.match_id)
            before = await self._notices.read(work, delivery.id)
            if before is None:
                return match
            if outcome.verdict is Verdict.BUSY:
                self._notices.write(work, core.given_back(before, delivery, now_ms=work.now_ms))
                return match
            after = core.tried(before, outcome, retries=retries, now_ms=work.now_ms)
            ended.append(after)
            self._notices.write(work, after)
            if match is None or after.method is Method.DELETE:
                return match
            if is_off(match):
                await self._notices.come_after(work, after)
                return match
            return await self._answered(work, match, after)

        match = await self._context.turns.decide(partition_in(delivery.id), self._context.clock.now_ms(), decision)
        for after in ended:
            self._tell(after, outcome)
        return match

    async def _answered(self, work: Work, match: Match, put: Delivery) -> Match:
        """Let a match go live, or be aborted, where it waits for that."""
        after = match
        if put.state is DeliveryState.DELIVERED:
            after = moves.told(match, now_ms=work.now_ms)
        elif put.state is DeliveryState.DEAD:
            after = moves.not_told(match, now_ms=work.now_ms)
        if after is not match:
            await self._keeper.save(work, match, after)
        return after

    def _tell(self, delivery: Delivery, outcome: Tried) -> None:
        """Count what came of a try, and log what an operator has to look at."""
        method, counts = delivery.method.name, self._context.counts
        counts.deliver(method, DELIVERED if outcome.verdict is Verdict.TOLD else FAILED)
        if delivery.state is DeliveryState.DEAD:
            counts.deliver(method, DEAD)
            fields = {
                "delivery": delivery.id,
                "match": delivery.match_id,
                "client": delivery.client_id,
                "method": method,
                "status": delivery.status,
                "cause": delivery.error,
            }
            _log.error("a game's server was not told of a match", extra={"fields": fields})

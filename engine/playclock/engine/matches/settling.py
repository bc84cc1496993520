"""Takes the steps on accounts that matches wait for, and notes what became of them."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final
from weakref import WeakValueDictionary

from playclock.core import match_moves as moves
from playclock.core.escrow import Outcome, Step, StepKind, outstanding
from playclock.core.match import Match, SeatState, seat_of
from playclock.engine.callers import OPERATOR
from playclock.engine.context import Context
from playclock.engine.matches.keeper import Keeper
from playclock.engine.matches.money import Money, outcome_of
from playclock.errors import EngineError, MatchNotFound, TryAgain, WrongMatchState

ROUND_MAX: Final = 500
"""How many matches one round goes on with. The others come with the next."""
FINISH_SEC: Final = 5.0
"""How long steps that are under way may hold up an engine that stops."""

_log = logging.getLogger(__name__)


class Settling:
    """Brings matches on as far as their money can go."""

    def __init__(self, context: Context, keeper: Keeper, money: Money) -> None:
        self._context = context
        self._keeper = keeper
        self._money = money
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._under_way: set[asyncio.Task[Any]] = set()

    async def begin(self) -> None:
        """Go on with matches that the sweeper found, each by a task of its own. What is left out is due again."""
        found = self._context.unsettled
        for match_id in {found.popleft() for _ in range(min(len(found), ROUND_MAX))}:
            self._begun(asyncio.create_task(self._carry_on_later(match_id), name="playclock match"))

    async def finish(self) -> None:
        """Wait until what was begun has come to its end, or cannot go on."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def close(self) -> None:
        """Let what is under way come to its end, for a while; what does not, the sweeper of another process finds."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=FINISH_SEC)
        for task in self._under_way:
            task.cancel()

    async def shielded(self, steps: Coroutine[Any, Any, Match]) -> Match:
        """Take steps that a caller who goes away does not stop."""
        task = asyncio.create_task(steps)
        self._begun(task)
        return await asyncio.shield(task)

    def _begun(self, task: "asyncio.Task[Any]") -> None:
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # looked at here, for the caller may have gone

    async def hold(self, match: Match, step: Step) -> Match:
        """Hold the fee of a player who joins, and tell why where that cannot be."""
        try:
            await self._money.hold(match, step.seat)
        except TryAgain:
            raise  # the sweeper goes on with it, and so does a repeat
        except EngineError as error:
            await self._stepped(match.id, [(step, outcome_of(error))])
            self._context.unsettled.append(match.id)
            raise error from None
        after = await self._stepped(match.id, [(step, Outcome.DONE)])
        seat = seat_of(after, step.seat.user_id)
        if seat is None or seat.number != step.seat.number or seat.state is SeatState.LEAVING:
            raise WrongMatchState("the match began, or was closed, before the fee was held", state=after.state.name)
        return after

    async def carry_on(self, match_id: str) -> Match:
        """Take the steps that the seats of a match wait for, until they wait for none. Raises StoreAway, TooMuchContention."""
        lock = self._locks.setdefault(match_id, asyncio.Lock())
        async with lock:
            match = await self._stepped(match_id, [])
            while steps := outstanding(match):
                outcomes = await asyncio.gather(*(self._money.take(match, step) for step in steps), return_exceptions=True)
                done = [(step, outcome) for step, outcome in zip(steps, outcomes, strict=True) if isinstance(outcome, Outcome)]
                if done:
                    match = await self._stepped(match_id, done)
                for outcome in outcomes:
                    if isinstance(outcome, BaseException):
                        raise outcome
                if all(outcome is Outcome.UNCERTAIN and step.kind is not StepKind.HOLD for step, outcome in done):
                    break  # later
            return match

    async def _carry_on_later(self, match_id: str) -> None:
        try:
            await self.carry_on(match_id)
        except TryAgain as error:
            _log.warning("a match has to wait", extra={"fields": {"match": match_id, "reason": error.reason}})
        except MatchNotFound:
            return

    async def _stepped(self, match_id: str, outcomes: list[tuple[Step, Outcome]]) -> Match:
        """Note what became of steps, and return the match."""

        def change(match: Match, now_ms: int) -> Match:
            for step, outcome in outcomes:
                match = moves.stepped(match, step, outcome, now_ms=now_ms)
            return match

        return await self._keeper.change(OPERATOR, "", match_id, change)

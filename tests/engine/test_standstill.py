"""A service on Redis that stands still for ten minutes while 600 play: a slice of what `scripts/soak stall` does for real."""

import random
from collections.abc import Awaitable, Callable

import pytest
from playclock.clock import ManualClock
from playclock.core.timers import Timers
from playclock.engine import Engine
from playclock.engine.sweeper import SWEPT_MAX
from playclock.rpc.inprocess import InProcessChannel
from playclock.stores.base import Store

from bench.estate import OPERATOR_TOKEN
from simulation.soak.stall import stall

AWAY_SEC = 600
SESSIONS = 600
SWEEP_EACH_SEC = 5
LATE_MS = 5_000
"""Nothing is measured here: in process all are served at once, on a machine that does other things."""


class MovedTime:
    """Time as the test moves it. Nobody calls while the service stands still: in process, that would be the end of it."""

    def __init__(self, engine: Engine, clock: ManualClock) -> None:
        self.channels = [InProcessChannel(engine)]
        self.engine = engine
        self.clock = clock
        self.swept: list[int] = []

    async def live(self, seconds: float) -> None:
        for second in range(int(seconds)):
            self.clock.advance(1)
            await self.engine._pulse.beat()
            if second % SWEEP_EACH_SEC == 0:
                self.swept.append(await self.engine.sweep())

    async def stand_still(self, seconds: float, calls: Callable[[], Awaitable[None]]) -> None:  # noqa: ARG002 - see above
        self.clock.advance(int(seconds))

    async def hesitate(self, dice: random.Random) -> None:
        pass


@pytest.fixture
def store_kind() -> str:
    return "redis"


async def test_nobody_is_ended_or_billed_for_it_and_the_silent_run_out_in_turn(store: Store, clock: ManualClock) -> None:
    timers = Timers(launcher_ttl_ms=86_400_000)
    async with Engine(store, clock=clock, timers=timers, operator_tokens=[OPERATOR_TOKEN], background=False) as engine:
        await engine._pulse.beat()
        passage = MovedTime(engine, clock)
        recovery = await stall(passage, sessions=SESSIONS, away_sec=AWAY_SEC, seed=1, late_ms=LATE_MS)
        assert recovery.violations == []
        assert len(engine.context.outages) == 1
        # The sweeper wrote what time had decided, and its ticks took turns as the ends did.
        assert sum(passage.swept) >= SESSIONS // 2
        assert max(passage.swept) <= SWEPT_MAX

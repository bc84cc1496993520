"""Heartbeats of an engine in this process: no socket, no messages, one core."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import cycle, islice
from typing import Final

from playclock.cli.tuning import settle
from playclock.core.answers import Beat
from playclock.core.timers import Timers
from playclock.engine import Caller, Engine, Role
from playclock.engine.heartbeats import HeartbeatCall
from playclock.rpc.inprocess import InProcessChannel

from bench.estate import GAME_ID, OPERATOR_TOKEN, Player, open_sessions
from bench.load import BATCH, Burst

GAME: Final = Caller(Role.GAME, GAME_ID)
_BEATS_AT_ONCE: Final = 100
"""How many heartbeats there are between two looks at the clock."""


@asynccontextmanager
async def engine_with(sessions: int) -> AsyncIterator[tuple[Engine, list[Player]]]:
    """Run an engine on memory with so many live, unbilled sessions."""
    timers = Timers(launcher_ttl_ms=86_400_000)
    async with Engine(timers=timers, operator_tokens=[OPERATOR_TOKEN]) as engine:
        players, _ = await open_sessions(InProcessChannel(engine), unbilled=sessions, metered=0)
        settle()
        yield engine, players


async def beat(engine: Engine, players: Sequence[Player], seconds: float) -> Burst:
    """Take heartbeats one by one."""
    take, turns, count = engine.heartbeats.beat, cycle(players), 0
    began, cpu_began = time.perf_counter(), time.process_time()
    while (now := time.perf_counter()) < began + seconds:
        for session_id, user_id in islice(turns, _BEATS_AT_ONCE):
            await take(GAME, session_id, user_id)
        count += _BEATS_AT_ONCE
    return Burst(count, now - began, time.process_time() - cpu_began)


async def beat_many(engine: Engine, players: Sequence[Player], seconds: float) -> Burst:
    """Take heartbeats by the thousand."""
    calls = [HeartbeatCall(*player) for player in players[:BATCH]]
    count, answers = 0, []
    began, cpu_began = time.perf_counter(), time.process_time()
    while (now := time.perf_counter()) < began + seconds:
        answers = await engine.heartbeats.beat_many(GAME, calls)
        count += len(calls)
    assert all(isinstance(answer, Beat) for answer in answers), "every heartbeat is answered"
    return Burst(count, now - began, time.process_time() - cpu_began)

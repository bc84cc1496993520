"""What a heartbeat costs, and what a session takes, as the number of live sessions grows. The engine is in process."""

import asyncio
import gc
import os
import random
import sys
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Final

from playclock.clock import SystemClock
from playclock.core import moves
from playclock.core.codec import encode
from playclock.core.ids import SESSION_PREFIX, make_uuid, partition_of, session_key
from playclock.core.timers import Timers
from playclock.engine import Engine
from playclock.engine.heartbeats import HeartbeatCall
from playclock.rpc.inprocess import InProcessChannel
from playclock.stores.base import ABSENT, Commit, Put
from playclock.stores.urls import open_store

from bench.estate import GAME_ID, OPERATOR_TOKEN, PCS, Player, open_sessions
from bench.inprocess import GAME
from bench.load import BATCH
from tests.redis_servers import RedisServer

SIZES: Final = (1_000, 100_000, 1_000_000)
OPENED: Final = 20_000
CALLERS: Final = 100
_TIMERS: Final = Timers(session_ttl_ms=3_600_000, launcher_ttl_ms=86_400_000)
"""Leases that outlast the filling: each session is heard of only when its turn comes."""


class Crowd:
    """An engine with many sessions, whose players send their heartbeats in an order of their own."""

    def __init__(self, engine: Engine, players: list[Player], bytes_taken: int, server: RedisServer | None) -> None:
        self.bytes_per_session = bytes_taken / len(players)
        self.size = len(players)
        self.costs_us: list[float] = []
        self._engine = engine
        self._turns = cycle(players)
        self._server = server

    @classmethod
    async def gather(cls, size: int, server: RedisServer | None = None) -> "Crowd":
        """Fill an engine's store with sessions: their records alone, without what was needed to open them."""
        random.seed(size)
        print(f"filling in {size:,} sessions", file=sys.stderr, flush=True)
        # A database of its own for each size, where the store is a Redis.
        store = None if server is None else await open_store(server.url[:-1] + str(SIZES.index(size)))
        engine = Engine(store, clock=SystemClock(), timers=_TIMERS, background=False)
        before = _bytes_taken(server)
        for first in range(0, size, PCS):
            await engine.store.commit([_commit(player, engine) for player in _cafe(first // PCS)])
        taken = _bytes_taken(server) - before
        # Made anew, so that the names which the load remembers are not counted as the store's.
        random.seed(size)
        players = [player for first in range(0, size, PCS) for player in _cafe(first // PCS)]
        random.shuffle(players)
        crowd = cls(engine, players, taken, server)
        await crowd.warm()
        return crowd

    async def warm(self) -> None:
        """Let each player be heard once: what is measured is a server that has been up for two minutes, not one that starts."""
        for first in range(0, self.size, BATCH):
            batch = islice(self._turns, min(BATCH, self.size - first))
            await self._engine.heartbeats.beat_many(GAME, [HeartbeatCall(*player) for player in batch])

    async def beat(self, seconds: float) -> None:
        """Take heartbeats from whoever's turn it is: in memory one after the other, on Redis as many at once as callers are."""
        take, count = self._engine.heartbeats.beat, 0
        began, cpu_began = time.perf_counter(), _cpu_seconds(self._server)
        while time.perf_counter() < began + seconds:
            turns = list(islice(self._turns, CALLERS))
            if self._server is None:
                for player in turns:
                    await take(GAME, *player)
            else:
                await asyncio.gather(*(take(GAME, *player) for player in turns))
            count += len(turns)
        self.costs_us.append((_cpu_seconds(self._server) - cpu_began) / count * 1e6)


async def measure(rounds: int, seconds: float, server: RedisServer | None = None) -> str:
    """Return a report, of a store in memory or of a Redis."""
    crowds = [await Crowd.gather(size, server) for size in SIZES]
    gc.collect()
    gc.freeze()
    for number in range(1, rounds + 1):
        for crowd in crowds:
            await crowd.beat(seconds)
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
    goal = "600" if server is None else "1,024, Redis's processor time is in the costs"
    lines = [f"live sessions  CPU µs per heartbeat  to the first, goal <= 1.1  bytes per session, goal <= {goal}"]
    lines += [_line(crowd, crowds[0]) for crowd in crowds]
    if server is not None:
        return "\n".join(lines)
    all_bytes = await _bytes_when_opened()
    lines.append(f"{OPENED:,} opened by the engine, with launch, seat, OTT, event and cache: {all_bytes:,.0f} bytes each")
    return "\n".join(lines)


def _bytes_taken(server: RedisServer | None) -> int:
    return _resident_bytes() if server is None else int(server.say("INFO", "memory")["used_memory"])


def _cpu_seconds(server: RedisServer | None) -> float:
    ours = time.process_time()
    if server is None:
        return ours
    theirs = server.say("INFO", "cpu")
    return ours + float(theirs["used_cpu_user"]) + float(theirs["used_cpu_sys"])


def _line(crowd: Crowd, first: Crowd) -> str:
    ratios = [ours / theirs for ours, theirs in zip(crowd.costs_us, first.costs_us, strict=True)]
    spread = f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
    return f"{crowd.size:>13,}  {median(crowd.costs_us):>20.2f}  {spread:>25}  {crowd.bytes_per_session:>30,.0f}"


def _cafe(number: int) -> Iterator[Player]:
    partition = partition_of("cafe", f"cafe-{number}")
    for pc in range(PCS):
        yield Player(SESSION_PREFIX + make_uuid(partition, random.randbytes(16)), f"player-{number}-{pc}")


def _commit(player: Player, engine: Engine) -> Commit:
    now_ms = engine.clock.now_ms()
    session = moves.open_session(
        id=player.session_id,
        game_id=GAME_ID,
        provider_user_id=player.user_id,
        launch_id="ls_" + player.session_id[3:],
        cafe_id="cafe-12345",
        pc_id="pc-12",
        server_id="",
        launcher_until_ms=now_ms + _TIMERS.launcher_ttl_ms,
        charge=None,
        free_micros=0,
        now_ms=now_ms,
        timers=_TIMERS,
    )
    assert session is not None, "nobody pays, so nobody can fail to"
    put = Put(key=session_key(session.id), expect=ABSENT, data=encode(session), due_ms=session.due_ms)
    return Commit(partition=int(put.key[:2], 16), puts=(put,))


async def _bytes_when_opened() -> float:
    async with Engine(timers=_TIMERS, operator_tokens=[OPERATOR_TOKEN]) as engine:
        before = _resident_bytes()
        players, _ = await open_sessions(InProcessChannel(engine), unbilled=OPENED, metered=0)
        del players
        return (_resident_bytes() - before) / OPENED


def _resident_bytes() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")

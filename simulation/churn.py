"""Sessions that come and go, until as many have been as one likes: what is over leaves nothing behind.

scripts/churn --store redis://127.0.0.1:6379/15 --sessions 1000000
"""

import argparse
import asyncio
import contextlib
import gc
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import psutil
import redis
from playclock.clock import ManualClock
from playclock.core.answers import Opened
from playclock.core.catalog import Game
from playclock.core.estate import AccountPlan, Cafe, Resource, hash_key
from playclock.core.tariff import Rounding, Tariff
from playclock.engine import OPERATOR, Caller, Engine, Role
from playclock.errors import AlreadyEnded, StoreAway
from playclock.stores.base import Store, StoreUnavailable
from playclock.stores.urls import open_store

T = TypeVar("T")

GAME_ID: Final = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"
GAME: Final = Caller(Role.GAME, GAME_ID)
CAFES: Final = 50
TOGETHER: Final = 200
DAY_SEC: Final = 86_400
DROPPED_MAX: Final = 2_000
"""How much is dropped at once: as much as a sweep does."""
AWAY_SEC: Final = 60.0
"""How long a store may be away."""
ESTATE: Final[tuple[Resource, ...]] = (
    Game(id=GAME_ID, number=1, name="G", brand="", image_url="", play_url="", demo_url="", api_key_hashes=(hash_key("key"),)),
    Tariff("standard", "GCOIN", 60_000, 1_000_000, Rounding.STARTED_UNIT),
    *(AccountPlan(id=f"cafe-{n}", currency="GCOIN", opening_balance_micros=10**15) for n in range(CAFES)),
    *(
        Cafe(id=f"cafe-{n}", name="C", networks=(f"10.{n}.0.0/16",), account_id=f"cafe-{n}", tariff_id="standard")
        for n in range(CAFES)
    ),
)
"""Every session is paid for, so that all there is to leave behind is left behind."""


async def churn(
    store: Store, sessions: int, tell: Callable[[int], Awaitable[None]] | None = None, *, together: int = TOGETHER
) -> None:
    """Let so many sessions come and go, then let a day and a bit go by, and sweep. `tell` hears how many there have been.

    `together` play at once; all that come within a day are kept in the store at once.
    """
    clock = ManualClock()
    async with Engine(store, clock=clock) as engine:
        await engine.estate.apply(ESTATE)
        for first in range(0, sessions, together):
            numbers = range(first, min(first + together, sessions))
            ids = await asyncio.gather(*(_open(engine, number) for number in numbers))
            clock.advance(60)
            await asyncio.gather(*(_insist(_beat(engine, session_id)) for session_id in ids))
            clock.advance(60)
            # Half of them end; the others, and all launchers, fall silent.
            await asyncio.gather(*(_insist(_end(engine, session_id)) for session_id in ids[::2]))
            clock.advance(300)
            # Seven minutes' sweeps at once.
            await _sweep_all(engine)
            if tell is not None:
                await tell(numbers.stop)
        clock.advance(2 * DAY_SEC)
        # What a sweep has ended is kept for a day once more.
        for _ in range(2):
            await _sweep_all(engine)
            clock.advance(2 * DAY_SEC)


async def _insist(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call as its caller would while the store is away: its disk may hold a Redis up for a second, in an hour."""
    async with asyncio.timeout(AWAY_SEC):
        while True:
            try:
                return await call()
            except (StoreAway, StoreUnavailable):
                await asyncio.sleep(0.1)


def _beat(engine: Engine, session_id: str) -> Callable[[], Awaitable[object]]:
    return lambda: engine.heartbeats.beat(GAME, session_id, "player")


def _end(engine: Engine, session_id: str) -> Callable[[], Awaitable[None]]:
    async def end() -> None:
        # A repeat of what was carried out, though nobody heard of it.
        with contextlib.suppress(AlreadyEnded):
            await engine.sessions.end(GAME, session_id, client_play_duration_sec=120)

    return end


async def _open(engine: Engine, number: int) -> str:
    """Open a session as launcher and game server would: each repeats its own calls, and hands on one and the same OTT."""
    pc, address = f"pc-{number}", f"10.{number % CAFES}.0.1"
    started = await _insist(
        lambda: engine.launches.start(OPERATOR, pc_id=pc, internal_ip="", external_ip=address, hardware=b"")
    )
    ott = await _insist(lambda: engine.launches.issue_ott(OPERATOR, started.launch.id, game_id=GAME_ID, provider_user_id=None))
    opened = await _insist(
        lambda: engine.sessions.open(
            GAME, ott=ott, provider_user_id="player", request_id=f"r-{number}", server_id=f"server-{number % 7}"
        )
    )
    assert isinstance(opened, Opened)
    return opened.session_id


async def _sweep_all(engine: Engine) -> None:
    """Sweep until nothing is due and nothing more can be dropped."""
    now_ms = engine.clock.now_ms()
    while await _insist(engine.sweep) or await _insist(lambda: engine.store.collect(now_ms, DROPPED_MAX)):
        pass


class Taken:
    """What a Redis and this process take: keys, and bytes."""

    def __init__(self, url: str) -> None:
        """Look once, for what was there before."""
        self._redis = redis.Redis.from_url(url) if url.startswith("redis://") else None
        self.keys_max = 0
        self.bytes_max = 0
        self.look()

    def look(self) -> str:
        """Say what is taken now."""
        gc.collect()
        found = [f"{psutil.Process().memory_info().rss / 1e6:,.0f} MB resident"]
        if self._redis is not None:
            keys: Any = self._redis.dbsize()
            memory: Any = self._redis.info("memory")
            self.keys_max = max(self.keys_max, keys)
            self.bytes_max = max(self.bytes_max, memory["used_memory"])
            found += [f"{keys:,} keys", f"{memory['used_memory'] / 1e6:,.1f} MB in Redis"]
        return ", ".join(found)


def main() -> None:
    """Read the command line, and let them come and go."""
    parser = argparse.ArgumentParser(
        prog="scripts/churn",
        description="Let sessions come and go, then two days, and see what is left: on Redis the keys and bytes of before.",
        epilog="Time is simulated: some hundred sessions a second come and go, and each `--together` of them take 7 min: "
        "1,000 together leave 205,000 sessions of one day in the store at once, for about 0.9 GB.",
    )
    parser.add_argument("--store", default="memory://", help="a store's URL; what is in it stays (%(default)s)")
    parser.add_argument("--sessions", type=int, default=100_000, help="how many (%(default)s)")
    parser.add_argument("--together", type=int, default=TOGETHER, help="how many play at once (%(default)s)")
    options = parser.parse_args()
    taken, began = Taken(options.store), time.monotonic()

    async def tell(count: int) -> None:
        if count // 10_000 > (count - options.together) // 10_000 or count == options.sessions:
            print(f"{count:,} sessions in {time.monotonic() - began:,.0f} s: {taken.look()}", file=sys.stderr, flush=True)

    async def run() -> None:
        store = await open_store(options.store)
        await churn(store, options.sessions, tell, together=options.together)
        await store.close()

    print(f"before: {taken.look()}", flush=True)
    asyncio.run(run())
    print(f"at most: {taken.keys_max:,} keys, {taken.bytes_max / 1e6:,.1f} MB in Redis", flush=True)
    print(f"{options.sessions:,} sessions and two days later: {taken.look()}", flush=True)


if __name__ == "__main__":
    main()

"""Sessions that come and go, until as many have been as one likes: what is over leaves nothing behind.

scripts/churn --store redis://127.0.0.1:6379/15 --sessions 1000000
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Final

from playclock.clock import ManualClock
from playclock.core.answers import Opened
from playclock.core.estate import AccountPlan, Cafe, Game, Resource, hash_key
from playclock.core.tariff import Rounding, Tariff
from playclock.engine import OPERATOR, Caller, Engine, Role
from playclock.stores.base import Store
from playclock.stores.urls import open_store

GAME_ID: Final = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"
GAME: Final = Caller(Role.GAME, GAME_ID)
CAFES: Final = 50
TOGETHER: Final = 200
DAY_SEC: Final = 86_400
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


async def churn(store: Store, sessions: int, tell: Callable[[int], Awaitable[None]] | None = None) -> None:
    """Let so many sessions come and go, then let a day and a bit go by, and sweep. `tell` hears how many there have been."""
    clock = ManualClock()
    async with Engine(store, clock=clock) as engine:
        await engine.estate.apply(ESTATE)
        for first in range(0, sessions, TOGETHER):
            numbers = range(first, min(first + TOGETHER, sessions))
            ids = await asyncio.gather(*(_come(engine, number) for number in numbers))
            clock.advance(60)
            await asyncio.gather(*(engine.heartbeats.beat(GAME, session_id, "player") for session_id in ids))
            clock.advance(60)
            # Half of them end; the others, and all launchers, fall silent.
            ends = (engine.sessions.end(GAME, session_id, client_play_duration_sec=120) for session_id in ids[::2])
            await asyncio.gather(*ends)
            clock.advance(300)
            await engine.sweep()
            if tell is not None:
                await tell(numbers.stop)
        clock.advance(2 * DAY_SEC)
        # What a sweep has ended is kept for a day once more.
        for _ in range(2):
            await _sweep_all(engine)
            clock.advance(2 * DAY_SEC)


async def _come(engine: Engine, number: int) -> str:
    started = await engine.launches.start(
        OPERATOR, pc_id=f"pc-{number}", internal_ip="", external_ip=f"10.{number % CAFES}.0.1", hardware=b""
    )
    ott = await engine.launches.issue_ott(OPERATOR, started.launch.id, game_id=GAME_ID, provider_user_id=None)
    opened = await engine.sessions.open(
        GAME, ott=ott, provider_user_id="player", request_id=f"r-{number}", server_id=f"server-{number % 7}"
    )
    assert isinstance(opened, Opened)
    return opened.session_id


async def _sweep_all(engine: Engine) -> None:
    """Sweep until nothing is due and nothing more can be dropped."""
    now_ms = engine.clock.now_ms()
    while await engine.sweep() or await engine.store.collect(now_ms, 10_000):
        pass


def main() -> None:
    """Read the command line, and let them come and go."""
    parser = argparse.ArgumentParser(prog="scripts/churn", description="Let sessions come and go, and see what is left.")
    parser.add_argument("--store", default="memory://", help="a store's URL; what is in it stays (%(default)s)")
    parser.add_argument("--sessions", type=int, default=100_000, help="how many (%(default)s)")
    options = parser.parse_args()

    async def tell(count: int) -> None:
        if count % 10_000 == 0:
            print(f"{count:,} sessions have come and gone", file=sys.stderr, flush=True)

    async def run() -> None:
        store = await open_store(options.store)
        await churn(store, options.sessions, tell)
        await store.close()

    asyncio.run(run())


if __name__ == "__main__":
    main()

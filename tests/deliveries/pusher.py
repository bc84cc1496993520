"""Starts a match on the store at an address and tells its game's server, in a process that a test can kill.

    python -m tests.deliveries.pusher STORE MATCH

Its time is where the tests' clock begins. It prints "started" as soon as the match waits, and then waits for the answer.
"""

import asyncio
import sys

from playclock.clock import ManualClock
from playclock.deliveries import Courier
from playclock.engine import OPERATOR, Engine
from playclock.stores.urls import open_store

from tests.deliveries.conftest import HOME, RULES


async def main(url: str, match_id: str) -> None:
    """Start the match, and tell of it."""
    store = await open_store(url)
    courier = Courier(HOME, timeout_ms=RULES.timeout_ms)
    async with Engine(store, clock=ManualClock(), send=courier, deliveries=RULES) as engine:
        match = await engine.matches.start(OPERATOR, match_id)
        print("started", match.state.name, flush=True)
        await engine.matches.pushing.finish()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

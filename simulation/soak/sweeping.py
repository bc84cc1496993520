"""Sweeps the store at an address until nothing is due, as one of several processes that do, at a time that is given.

Prints `ready`; then, for a line on stdin, how many records it has dealt with.
"""

import asyncio
import sys

from playclock.clock import ManualClock
from playclock.engine import Engine
from playclock.stores.urls import open_store


async def run(url: str, now_ms: int) -> None:
    """Sweep when told to."""
    store = await open_store(url)
    async with Engine(store, clock=ManualClock(now_ms)) as engine:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        total = 0
        while swept := await engine.sweep():
            total += swept
        print(total, flush=True)
    await store.close()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2])))

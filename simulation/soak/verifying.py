"""Redeems OTTs on the store at an address, each many times at once, as one of several processes that race for them.

Prints `ready`; then, for each line of OTTs on stdin, a line with the sessions that it won and what its other calls were told.
"""

import asyncio
import json
import sys

from playclock.clock import ManualClock
from playclock.core.answers import Opened
from playclock.engine import OPERATOR, Engine
from playclock.stores.base import Store
from playclock.stores.sqlite import SqliteStore
from playclock.stores.urls import open_store

BUSY_MS = 60_000


async def open_patiently(url: str) -> Store:
    """Open a store; an SQLite file with more patience than the service has, for it is not the waiting that is tested."""
    path = url.removeprefix("sqlite:///")
    return await (open_store(url) if path == url else SqliteStore.open(path, busy_timeout_ms=BUSY_MS))


async def run(url: str, times: int) -> None:
    """Race for each line."""
    store = await open_patiently(url)
    async with Engine(store, clock=ManualClock()) as engine:
        print("ready", flush=True)
        while otts := (await asyncio.to_thread(sys.stdin.readline)).split():
            calls = [engine.sessions.open(OPERATOR, ott=ott, provider_user_id="player-1") for ott in otts for _ in range(times)]
            answers = await asyncio.gather(*calls)
            won = [answer.session_id for answer in answers if isinstance(answer, Opened)]
            print(json.dumps([won, [answer.refusal.name for answer in answers if not isinstance(answer, Opened)]]), flush=True)
    await store.close()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2])))

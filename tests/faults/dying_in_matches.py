"""Plays a match on the store at an address, again and again, each time in a child that dies at a commit.

For each line `NUMBER before|after NOW_MS REQUEST_ID` on stdin it forks a child that kills itself right before or after that
commit, or plays to the end. Prints a line for each: whether the child was killed.
"""

from typing import Final

from playclock.clock import ManualClock
from playclock.engine import Engine
from playclock.stores.urls import open_store

from tests.faults.story import die_at, tell_each
from tests.matches.conftest import Arena
from tests.matches.test_match_faults import story

SHORT: Final = {"join_ms": 60_000, "play_ms": 60_000}
"""So that all matches together take less time than the store keeps what was told of them."""


async def play(url: str, number: int, moment: str, now_ms: str, request_id: str) -> None:
    """Make a match, join, leave and come back, start, and report the result, after which it is paid."""
    store = await open_store(url)
    engine = await Engine(store, clock=ManualClock(int(now_ms)), background=False).__aenter__()
    arena = Arena(engine)
    die_at(store, number, moment)
    await story(arena, await arena.create(request_id, **SHORT))
    await store.close()


if __name__ == "__main__":
    tell_each(play)

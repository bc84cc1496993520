"""Plays one player's story on the store at an address, again and again, each time in a child that dies at a commit.

For each line `NUMBER before|after` on stdin it forks a child that kills itself right before or after that commit, or plays to
the end. Prints a line for each: whether the child was killed.
"""

import os

from playclock.clock import SystemClock
from playclock.core.answers import Opened
from playclock.engine import OPERATOR, Engine
from playclock.stores.redis_urls import open_redis

from simulation.soak.loader import ESTATE, GAME_ID
from tests.faults.story import die_at, tell_each


async def play(url: str, number: int, moment: str) -> None:
    """Launch, redeem, beat, top up and end, and leave another session alive on the same PC."""
    store = await open_redis(url)
    engine = await Engine(store, clock=SystemClock(), background=False).__aenter__()
    await engine.estate.apply(ESTATE)
    die_at(store, number, moment)
    game = engine.callers.game("key")
    for step in range(2):
        started = await engine.launches.start(OPERATOR, pc_id="pc", internal_ip="", external_ip="127.0.0.1", hardware=b"")
        ott = await engine.launches.issue_ott(OPERATOR, started.launch.id, game_id=GAME_ID, provider_user_id=None)
        opened = await engine.sessions.open(game, ott=ott, provider_user_id="p", request_id=f"{os.getpid()}-{step}")
        assert isinstance(opened, Opened)
        await engine.heartbeats.beat(game, opened.session_id, "p")
        if step == 0:
            await engine.sessions.end(game, opened.session_id, client_play_duration_sec=1)
            await engine.accounts.top_up(OPERATOR, "cafe-1", amount_micros=1_000, request_id=f"{os.getpid()}")
    await store.close()


if __name__ == "__main__":
    tell_each(play)

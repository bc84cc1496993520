"""Plays one player's story on the store at an address, again and again, each time in a child that dies at a commit.

For each line `NUMBER before|after` on stdin it forks a child that kills itself right before or after that commit, or plays to
the end. Prints a line for each: whether the child was killed.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence

from playclock.clock import SystemClock
from playclock.core.answers import Opened
from playclock.engine import OPERATOR, Engine
from playclock.stores.base import Commit, Conflict
from playclock.stores.redis import RedisStore
from playclock.stores.redis_urls import open_redis

from simulation.soak.loader import ESTATE, GAME_ID


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


def die_at(store: RedisStore, number: int, moment: str) -> None:
    """Let the process be killed at one of its commits."""
    commit, counted = store.commit, 0

    async def committing(commits: Sequence[Commit]) -> list[Conflict | None]:
        nonlocal counted
        counted += 1
        if counted == number and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        conflicts = await commit(commits)
        if counted == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return conflicts

    store.commit = committing  # type: ignore[method-assign]


def main() -> None:
    """Fork a child for each line, and say how it ended."""
    for line in sys.stdin:
        number, moment = line.split()
        child = os.fork()
        if child == 0:
            asyncio.run(play(sys.argv[1], int(number), moment))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print("killed" if killed else "lived" if status == 0 else "failed", flush=True)  # noqa: T201 - its answer


if __name__ == "__main__":
    main()

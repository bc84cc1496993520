"""A story on a store, told by processes that are killed at one of its commits: both ends of the line to the test."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from playclock.stores.base import Commit, Conflict, Store

ROOT: Final = Path(__file__).parents[2]


class Story:
    """A module of this folder that tells a story, run as a process of its own."""

    def __init__(self, module: str, url: str) -> None:
        command = [sys.executable, "-m", f"tests.faults.{module}", url]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, number: int, moment: str, *more: object) -> bool:
        """Tell it until a process is killed at this commit; return whether it lived to the end of the story."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join(map(str, (number, moment, *more))) + "\n")
        self._process.stdin.flush()
        ended = self._process.stdout.readline().strip()
        assert ended in {"killed", "lived"}
        return ended == "lived"

    def close(self) -> None:
        self._process.communicate(timeout=30)


def die_at(store: Store, number: int, moment: str) -> None:
    """Let the process be killed at one of its commits."""
    commit, counted = store.commit, 0

    async def committing(commits: Sequence[Commit]) -> list[Conflict | None]:
        nonlocal counted
        counted += 1
        mine = counted
        if mine == number and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        conflicts = await commit(commits)
        if mine == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return conflicts

    store.commit = committing  # type: ignore[method-assign]


def tell_each(play: Callable[..., Awaitable[None]]) -> None:
    """For each line `NUMBER before|after …` on stdin fork a child that plays, and say on stdout how it ended."""
    for line in sys.stdin:
        number, moment, *more = line.split()
        child = os.fork()
        if child == 0:
            asyncio.run(_play(play, number, moment, more))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print("killed" if killed else "lived" if status == 0 else "failed", flush=True)  # noqa: T201 - its answer


async def _play(play: Callable[..., Awaitable[None]], number: str, moment: str, more: Sequence[str]) -> None:
    await play(sys.argv[1], int(number), moment, *more)

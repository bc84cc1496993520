"""Carries a store over to an archive, in small steps and at the same time as others.

Prints a line when it is ready, and begins when stdin ends. At the end it prints how many events it has archived, and how often
another one was faster.
"""

import asyncio
import sys

from playclock.archive.database import Database
from playclock.archive.projector import Projector
from playclock.errors import TryAgain
from playclock.stores.sqlite import SqliteStore

STEP = 200
GATHER_SEC = 0.005


async def run(path: str, archive_url: str) -> tuple[int, int]:
    """Archive until everything is there, whoever wrote it."""
    store = await SqliteStore.open(path)
    projector = Projector(store, Database(archive_url))
    heads = await store.heads()
    archived = overtaken = 0
    print("ready", flush=True)  # noqa: T201 - its answer
    sys.stdin.read()
    while any(projector.positions.get(partition, 0) < sequence for partition, sequence in heads.items()):
        try:
            step = await projector.project(STEP)
        except TryAgain:
            step = 0  # another one was writing for long
        archived, overtaken = archived + step, overtaken + (not step)
        # As in real life: whoever has written gathers for a moment, and the other gets its turn.
        await asyncio.sleep(GATHER_SEC)
    return archived, overtaken


if __name__ == "__main__":
    print(*asyncio.run(run(*sys.argv[1:])))  # noqa: T201 - its answer

"""Runs an engine on a store, an SQLite file or an address, under load until it is killed, and prints what it has answered.

With a second argument it also fills the archive at that address, and prints what is logged as an error.

Prints a JSON line for each answer, and only after the answer. For each line `go` on stdin it forks a child that opens the
file and begins; the child's first line names its process, the parent's line `{"gone": …}` says that it was killed.
"""

import asyncio
import importlib
import json
import logging
import os
import random
import signal
import sys

from playclock.archive.urls import open_archive
from playclock.clock import SystemClock
from playclock.core.catalog import Game
from playclock.core.estate import AccountPlan, Cafe, hash_key
from playclock.core.tariff import Rounding, Tariff
from playclock.engine import OPERATOR, Engine
from playclock.errors import EngineError
from playclock.stores.urls import open_store

GAME_ID = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"
ADDRESSES = ("127.0.0.1", "10.0.0.1")
WORKERS = 24
PCS = 40

ESTATE = (
    Game(id=GAME_ID, number=1, name="G", brand="", image_url="", play_url="", demo_url="", api_key_hashes=(hash_key("key"),)),
    Tariff("standard", "GCOIN", 1_000, 1_000_000, Rounding.STARTED_UNIT),
    AccountPlan(id="cafe-1", currency="GCOIN", opening_balance_micros=10**15),
    Cafe(id="paying", name="Paying", networks=("127.0.0.0/8",), account_id="cafe-1", tariff_id="standard"),
    Cafe(id="free", name="Free", networks=("10.0.0.0/8",), account_id=None, tariff_id=None),
)


def tell(**answer: object) -> None:
    """Write a line at once: what is printed has been answered, whatever happens next."""
    os.write(1, json.dumps(answer).encode() + b"\n")


async def play(engine: Engine, dice: random.Random) -> None:
    """Play sessions from the launch to the end, or to the next player on the same PC, for ever."""
    game = engine.callers.game("key")
    while True:
        try:
            started = await engine.launches.start(
                OPERATOR, pc_id=f"pc-{dice.randrange(PCS)}", internal_ip="", external_ip=dice.choice(ADDRESSES), hardware=b""
            )
            ott = await engine.launches.issue_ott(OPERATOR, started.launch.id, game_id=GAME_ID, provider_user_id=None)
            tell(ott=ott)
            opened = await engine.sessions.open(game, ott=ott, provider_user_id="player")
            session_id = getattr(opened, "session_id", None)
            if session_id is None:
                continue
            tell(opened=session_id, ott=ott)
            for _ in range(dice.randrange(4)):
                await engine.heartbeats.beat(game, session_id, "player")
            if dice.random() < 0.7:
                ended = await engine.sessions.end(game, session_id, client_play_duration_sec=dice.randrange(100))
                tell(ended=session_id, ended_ms=ended.ended_ms, counted_sec=ended.client_play_duration_sec)
        except EngineError:
            # Another worker plays on the same PC: the launch or the session was replaced.
            continue


class ErrorTeller(logging.Handler):
    """Prints errors of ours: drivers complain too, when their server is killed."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print an error of ours."""
        if record.name.startswith("playclock"):
            tell(error=f"{record.getMessage()} {getattr(record, 'fields', '')} {record.exc_info or ''}")


async def run(path: str, seed: int, archive_url: str | None) -> None:
    """Open the store and play on it with many players at once."""
    store = await open_store(path if "://" in path else f"sqlite:///{path}")
    archive = None if archive_url is None else await open_archive(archive_url, store)
    async with Engine(store, clock=SystemClock(), archive=archive) as engine:
        await engine.estate.apply(ESTATE)
        tell(started=os.getpid())
        await asyncio.gather(*(play(engine, random.Random(seed * 1_000 + number)) for number in range(WORKERS)))


def main() -> None:
    """Fork a child for each line `go`, and say how it ended."""
    path, *archive_urls = sys.argv[1:]
    # Once, and not in each child.
    importlib.import_module("playclock.stores.redis_urls" if path.startswith("redis") else "playclock.stores.sqlite")
    if archive_urls:
        importlib.import_module("playclock.archive.archiving")
        logging.basicConfig(level=logging.ERROR, handlers=[ErrorTeller()])
    for seed, _ in enumerate(sys.stdin):
        child = os.fork()
        if child == 0:
            asyncio.run(run(path, seed, archive_urls[0] if archive_urls else None))
        _, status = os.waitpid(child, 0)
        tell(gone=os.WTERMSIG(status) == signal.SIGKILL)


if __name__ == "__main__":
    main()

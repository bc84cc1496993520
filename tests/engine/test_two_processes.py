"""Two processes on one store: real ones, with nothing in common but what lies there."""

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import World

VERIFIES = 200

VERIFY = """
import asyncio, json, sys
from playclock.clock import ManualClock
from playclock.core.answers import Opened
from playclock.engine import OPERATOR, Engine
from playclock.stores.sqlite import SqliteStore
from playclock.stores.urls import open_store

async def main(url, times, otts):
    path = url.removeprefix("sqlite:///")
    store = await (open_store(url) if path == url else SqliteStore.open(path, busy_timeout_ms=60_000))
    async with Engine(store, clock=ManualClock()) as engine:
        print("ready", flush=True)
        sys.stdin.readline()
        calls = [engine.sessions.open(OPERATOR, ott=ott, provider_user_id="player-1") for ott in otts for _ in range(times)]
        answers = await asyncio.gather(*calls)
    await store.close()
    won = [answer.session_id for answer in answers if isinstance(answer, Opened)]
    print(json.dumps([won, [answer.refusal.name for answer in answers if not isinstance(answer, Opened)]]))

asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
"""


@pytest.fixture(params=["sqlite", "redis", "cluster"])
def store_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run_at_once(command: list[str]) -> list[str]:
    """Run a command twice at once, and return what each has printed after both were ready."""
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, bufsize=1) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
    outputs = [process.communicate(timeout=100) for process in processes]
    assert [errors for _, errors in outputs] == ["", ""]
    return [output for output, _ in outputs]


async def test_two_processes_with_one_ott_have_one_winner(world: "World", store_url: str) -> None:
    otts = [await world.ott(pc=f"pc-{number}", at=at) for number in range(5) for at in (world.PAYING, world.FREE)]
    command = [sys.executable, "-c", VERIFY, store_url, str(VERIFIES), *otts]
    won, refused = zip(*map(json.loads, await asyncio.to_thread(run_at_once, command)), strict=True)
    opened = [session for each in won for session in each]
    assert len(opened) == len(set(opened)) == len(otts)
    assert [reason for each in refused for reason in each] == ["ALREADY_USED"] * (len(otts) * (2 * VERIFIES - 1))
    listed, _ = await world.engine.listing.page(world.OPERATOR, page_size=99, page_token="", game_id=None, cafe_id=None)
    assert sorted(session.id for session in listed) == sorted(opened)
    assert (await world.account()).held_micros == 5 * 4_000_000

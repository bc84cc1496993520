"""What players and money depend on happens in one commit: there is no moment between the parts of it."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest
from playclock.clock import ManualClock
from playclock.stores.base import Commit, Conflict
from playclock.stores.memory import MemoryStore

if TYPE_CHECKING:
    from tests.conftest import World, WorldMaker


class CountingStore(MemoryStore):
    """Keeps the commits that it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[Commit] = []

    async def commit(self, commits: Sequence[Commit]) -> list[Conflict | None]:
        self.commits += commits
        await asyncio.sleep(0)  # as where a store is another process: others get in between
        return await super().commit(commits)

    def kinds(self) -> list[list[str]]:
        """Return the kinds of records in each commit since the last time."""
        commits, self.commits = self.commits, []
        return [sorted(put.key.split(":")[1] for put in commit.puts) for commit in commits]


@pytest.fixture
def counting() -> CountingStore:
    return CountingStore()


@pytest.fixture
async def paid(counting: CountingStore, make_world: "WorldMaker") -> "World":
    world = await make_world(counting)
    await world.provision()
    return world


async def test_redeeming_opening_replacing_and_holding_are_one_commit(paid: "World", counting: CountingStore) -> None:
    launch = await paid.start()
    await paid.join(launch)
    ott = await paid.ott(launch)
    counting.kinds()
    await paid.redeem(ott)
    assert counting.kinds() == [["account", "launch", "ott", "seat", "session", "session"]]


async def test_a_heartbeat_that_is_billed_is_one_commit(paid: "World", counting: CountingStore, clock: ManualClock) -> None:
    session = await paid.open()
    clock.advance(60)
    counting.kinds()
    await paid.beat(session)
    assert counting.kinds() == [["account", "session"]]


async def test_an_end_is_one_commit(paid: "World", counting: CountingStore, clock: ManualClock) -> None:
    session = await paid.open()
    clock.advance(60)
    counting.kinds()
    await paid.end(session)
    assert counting.kinds() == [["account", "session"]]


async def test_a_hundred_calls_after_a_standstill_note_it_by_one_commit(
    counting: CountingStore, make_world: "WorldMaker", clock: ManualClock
) -> None:
    engine = (await make_world(counting, background=True)).engine
    clock.advance(600)
    counting.kinds()
    waiting = [asyncio.create_task(engine.catch_up()) for _ in range(101)]
    await asyncio.sleep(0)
    waiting.pop(0).cancel()
    await asyncio.gather(*waiting)
    assert not engine.is_late()
    assert counting.kinds().count(["pulse"]) == 1

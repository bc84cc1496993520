"""What players and money depend on happens in one commit: there is no moment between the parts of it."""

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

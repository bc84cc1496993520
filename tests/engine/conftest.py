"""Stores that get in the way on purpose, for tests of what the engine does then."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence

import pytest
from playclock.stores.base import Commit, Conflict, Due, Record, Store, StoredEvent


class FaultInjectingStore:
    """A store that behaves, until a test says otherwise.

    `turns` is how many turns of the event loop other tasks get before and after each call: with none, a store in memory lets
    nobody in between and no race is ever run. `conflict_in` has partitions in which somebody else is always faster.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.turns: Callable[[], int] = int
        self.conflict_in: set[int] = set()
        self.commits = 0

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        await self._let_others()
        found = await self.store.get(keys)
        await self._let_others()
        return found

    async def commit(self, commits: Sequence[Commit]) -> list[Conflict | None]:
        self.commits += len(commits)
        if any(commit.partition in self.conflict_in for commit in commits):
            return [await self._conflict(commit) for commit in commits]
        await self._let_others()
        conflicts = await self.store.commit(commits)
        await self._let_others()
        return conflicts

    async def due(self, partition: int, before_ms: int, limit: int, *, after: Due | None = None) -> list[Due]:
        await self._let_others()
        return await self.store.due(partition, before_ms, limit, after=after)

    async def due_partitions(self, before_ms: int) -> list[int]:
        return await self.store.due_partitions(before_ms)

    async def events(self, after: Mapping[int, int], limit: int) -> list[StoredEvent]:
        return await self.store.events(after, limit)

    async def heads(self) -> dict[int, int]:
        return await self.store.heads()

    async def collect(self, before_ms: int, limit: int) -> int:
        return await self.store.collect(before_ms, limit)

    async def ping(self) -> None:
        await self.store.ping()

    async def close(self) -> None:
        await self.store.close()

    async def _let_others(self) -> None:
        for _ in range(self.turns()):
            await asyncio.sleep(0)

    async def _conflict(self, commit: Commit) -> Conflict | None:
        if commit.partition not in self.conflict_in:
            return (await self.store.commit([commit]))[0]
        keys = [put.key for put in commit.puts]
        return Conflict(dict(zip(keys, await self.store.get(keys), strict=True)))


@pytest.fixture
def faulty_store(store: Store) -> FaultInjectingStore:
    return FaultInjectingStore(store)


@pytest.fixture
def busy_store(faulty_store: FaultInjectingStore) -> FaultInjectingStore:
    """Return a store behind which calls overtake each other, in an order that depends on a seed alone."""
    chance = random.Random(20_260_101)
    faulty_store.turns = lambda: chance.randrange(4)
    return faulty_store

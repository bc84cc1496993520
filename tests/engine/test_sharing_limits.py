"""Limits: counted at once in a process, shared with others by the store, and never waiting for it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playclock.clock import ManualClock
from playclock.core.limits import LimitRules, Quota
from playclock.engine import Engine
from playclock.engine.counters import Counters
from playclock.engine.limits import KNOWN_MAX, Limit
from playclock.errors import RateLimited, StoreAway
from playclock.stores.base import PARTITIONS
from playclock.stores.memory import MemoryStore
from playclock.stores.urls import open_store

from tests.redis_servers import sentinels

if TYPE_CHECKING:
    from tests.conftest import EngineMaker, FaultInjectingStore, StoreOpener

HERE, THERE = "192.0.2.1", "192.0.2.2"


def playfun(engine: Engine) -> Limit:
    limit = engine.limits.named("playfun_per_address")
    assert limit is not None
    return limit


def take(engine: Engine, times: int, home: str = HERE) -> int:
    """Take so often, and return how often that was allowed."""
    allowed = 0
    for _ in range(times):
        try:
            playfun(engine).take(home)
        except RateLimited:
            continue
        allowed += 1
    return allowed


@pytest.fixture
async def two(store_kind: str, open_again: "StoreOpener", clock: ManualClock) -> "list[Engine]":
    """Return two engines of two processes that share a store, and told to share limits on it."""
    shares = True if store_kind in ("memory", "sqlite") else None
    return [Engine(await open_again(), clock=clock, shares_limits=shares) for _ in range(2)]


async def test_engines_on_one_store_share_a_limit(two: list[Engine], clock: ManualClock) -> None:
    one, other = two
    assert take(one, 40) == 40
    assert take(other, 10) == 10
    await one.limits.share()
    await other.limits.share()
    assert playfun(other).left(HERE).remaining == 10
    assert take(other, 100) == 10
    await other.limits.share()
    assert take(one, 100) == 20, "what it has not told, nor heard of yet"
    await one.limits.share()
    refusal = playfun(one).refusal(HERE)
    assert refusal is not None
    assert (refusal.retry_after_ms, take(one, 1, THERE)) == (60_000, 1)
    clock.advance(59.999)
    assert take(one, 1) + take(other, 1) == 0
    clock.advance(0.001)
    assert (take(one, 1), take(other, 1)) == (1, 1)


async def test_counts_that_meet_in_the_store_add_up(two: list[Engine]) -> None:
    for _ in range(4):
        for engine in two:
            take(engine, 6)
        await asyncio.gather(*(engine.limits.share() for engine in two))
    take(two[0], 6)
    await two[0].limits.share()
    assert playfun(two[0]).left(HERE).remaining == 6


async def test_processes_exceed_a_limit_by_a_tenth_each_at_most(two: list[Engine]) -> None:
    allowed = 0
    for _ in range(60):
        for engine in two:
            allowed += take(engine, 1)
            await engine.limits.share()
    assert 60 <= allowed <= 66


async def test_a_few_tries_of_many_strangers_cost_the_store_nothing(store: MemoryStore, clock: ManualClock) -> None:
    engine = Engine(store, clock=clock, shares_limits=True)
    for number in range(500):
        take(engine, 5, f"10.0.{number // 250}.{number % 250}")
    await engine.limits.share()
    assert sorted(await store.heads()) == []
    assert await store.due_partitions(1 << 60) == []
    assert engine.context.records.cached("") is None
    assert all(not limit.counters.untold for limit in engine.limits)


async def test_whoever_has_nothing_left_is_not_counted_on(two: list[Engine]) -> None:
    take(two[0], 60)
    await two[0].limits.share()
    assert take(two[0], 1_000) == 0
    assert not playfun(two[0]).counters.untold


async def test_a_store_that_is_away_holds_nobody_up(faulty_store: "FaultInjectingStore", make_engine: "EngineMaker") -> None:
    engine = await make_engine(faulty_store)
    engine.limits.is_shared = True
    take(engine, 20)
    faulty_store.is_away = True
    with pytest.raises(StoreAway):
        await engine.limits.share()
    assert take(engine, 100) == 40
    faulty_store.is_away = False
    await engine.limits.share()
    successor = await make_engine(faulty_store)
    successor.limits.is_shared = True
    take(successor, 6)
    await successor.limits.share()
    assert playfun(successor).left(HERE).remaining == 0, "what could not be told was told later"


async def test_others_who_are_always_faster_only_put_it_off(
    faulty_store: "FaultInjectingStore", make_engine: "EngineMaker"
) -> None:
    engine = await make_engine(faulty_store)
    engine.limits.is_shared = True
    faulty_store.conflict_in = set(range(PARTITIONS))
    take(engine, 60)
    await engine.limits.share()
    assert playfun(engine).counters.untold
    faulty_store.conflict_in = set()
    await engine.limits.share()
    assert not playfun(engine).counters.untold


async def test_it_is_shared_by_itself_where_many_can_reach_the_store(
    store_kind: str, open_again: "StoreOpener", clock: ManualClock
) -> None:
    engine = Engine(await open_again(), clock=clock)
    assert engine.limits.is_shared == (store_kind in ("redis", "cluster"))


async def test_it_happens_by_itself(make_engine: "EngineMaker", open_again: "StoreOpener") -> None:
    engines = [await make_engine(await open_again(), background=True) for _ in range(2)]
    for engine in engines:
        engine.limits.is_shared = True
    take(engines[0], 60)
    assert take(engines[1], 6) == 6
    async with asyncio.timeout(10):
        while playfun(engines[1]).left(HERE).remaining:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.05)
    assert take(engines[1], 1) == 0


def test_who_began_first_is_forgotten_first(clock: ManualClock) -> None:
    counters = Counters(Quota(5, 60), clock.now_ms, kept_max=3)
    for caller in "abcd":
        counters.incr(caller, 60)
    assert [counters.get(caller) for caller in "abcd"] == [0, 1, 1, 1]
    assert counters.reset() == 3


def test_callers_who_are_known_are_bounded(clock: ManualClock) -> None:
    limits = Engine(clock=clock).limits
    limits.remember(HERE, "first")
    for number in range(KNOWN_MAX - 1):
        limits.remember(HERE, str(number))
    assert limits.knows(HERE, "first")
    limits.remember(THERE, "one more")
    assert not limits.knows(HERE, "first")
    assert limits.knows(HERE, "0")


def test_a_limit_that_is_turned_off_is_none(clock: ManualClock) -> None:
    engine = Engine(clock=clock, limits=LimitRules(playfun_per_address=None))
    assert engine.limits.named("playfun_per_address") is None


class TestBehindSentinels:
    """A master that Sentinels name, as a store of its own kind."""

    @pytest.fixture
    def url(self, tmp_path: Path) -> Iterator[str]:
        with sentinels(tmp_path, replicas=0, count=2) as (_, watchers):
            yield f"redis+sentinel://{','.join(f'127.0.0.1:{watcher.port}' for watcher in watchers)}/main"

    async def test_engines_share_a_limit(self, url: str, clock: ManualClock) -> None:
        stores = [await open_store(url) for _ in range(2)]
        one, other = (Engine(store, clock=clock) for store in stores)
        take(one, 60)
        await one.limits.share()
        take(other, 6)
        await other.limits.share()
        assert take(other, 1) == 0
        for store in stores:
            await store.close()

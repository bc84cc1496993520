"""Masters die, or are deposed without knowing it, while processes play: nothing is redeemed twice, and the money adds up."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
from playclock.clock import ManualClock
from playclock.core.answers import Opened, Refused
from playclock.core.ids import account_key
from playclock.core.ott import Refusal
from playclock.core.session import is_live
from playclock.errors import StoreAway
from playclock.stores.redis import RedisStore
from playclock.stores.urls import open_store

from tests.redis_books import back, check_books
from tests.redis_servers import SLOTS, RedisServer, cluster, sentinels

if TYPE_CHECKING:
    from tests.conftest import World, WorldMaker

PLAYERS = 6
CREDIT_MICROS = 10**15
ELECTED_SEC = 30.0
"""How long Redis may take to have another master. That is not ours to hasten: noticing takes two seconds here, and a Cluster
whose first vote fails waits eight seconds before the next."""
FOLLOWED_SEC = 5.0
"""How soon after that all play again."""

Process = Callable[[str], Awaitable["World"]]


@pytest.fixture
async def process(make_world: "WorldMaker") -> AsyncIterator[Process]:
    """Make worlds, each as another process."""
    async with AsyncExitStack() as stack:

        async def make(url: str) -> "World":
            store = await open_store(url)
            stack.push_async_callback(store.close)
            return await make_world(store)

        yield make


class Play:
    """Players that play on, whatever becomes of Redis, and what they were answered."""

    def __init__(self, worlds: Sequence["World"], clock: ManualClock) -> None:
        self._worlds = worlds
        self._clock = clock
        self._is_over = False
        self.opened: dict[str, str] = {}
        self.issued: set[str] = set()
        self.away = 0
        self.rounds = 0

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._play(world, f"pc-{number}-{player}"))
            for number, world in enumerate(self._worlds)
            for player in range(PLAYERS)
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_over = True
        await asyncio.gather(*self._tasks)

    async def more(self, rounds: int) -> None:
        """Return when so many more sessions have been played, on every PC of them at least one."""
        wanted = self.rounds + rounds
        async with asyncio.timeout(FOLLOWED_SEC):
            while self.rounds < wanted:
                assert not any(task.done() for task in self._tasks), [task for task in self._tasks if task.done()]
                await asyncio.sleep(0.01)

    async def _play(self, world: "World", pc: str) -> None:
        while not self._is_over:
            try:
                await self._play_once(world, pc)
                self.rounds += 1
            except StoreAway:  # all that a caller may hear
                self.away += 1
                await asyncio.sleep(0.02)

    async def _play_once(self, world: "World", pc: str) -> None:
        ott = await world.ott(pc=pc)
        self.issued.add(ott)
        answer = await world.redeem(ott)
        if isinstance(answer, Opened):
            assert ott not in self.opened
            self.opened[ott] = answer.session_id
            self._clock.advance(ms=100)
            await world.beat(answer.session_id)
            await world.end(answer.session_id)
        else:
            assert answer.refusal in {Refusal.EXPIRED, Refusal.ALREADY_USED}


async def check(play: Play, fresh: "World", *, worlds: Sequence["World"]) -> None:
    """See that nothing can be redeemed again, that what was opened is there or was told, and that the ledger adds up."""
    for ott in play.issued:
        answer = await back(partial(fresh.redeem, ott))
        if isinstance(answer, Opened):  # never answered before: it was issued in this epoch, and its player gave up
            assert ott not in play.opened
    given_up = put_back = 0
    for world in worlds:
        assert isinstance(world.engine.store, RedisStore)
        given_up += world.engine.store.journal.given_up
        put_back += world.engine.store.journal.put_back
    missing = 0
    for session_id in play.opened.values():
        try:
            await fresh.stored(session_id)
        except AssertionError:
            missing += 1
    assert missing <= given_up
    await check_books(fresh, paid_in_micros=CREDIT_MICROS)


def address_of(watchers: Sequence[RedisServer], more: str = "") -> str:
    return "redis+sentinel://" + ",".join(f"127.0.0.1:{each.port}" for each in watchers) + "/main" + more


async def test_play_goes_on_when_sentinels_name_another_master(tmp_path: Path, process: Process, clock: ManualClock) -> None:
    with sentinels(tmp_path, replicas=2) as (servers, watchers):
        worlds = [await process(address_of(watchers)) for _ in range(2)]
        await worlds[0].provision(worlds[0].estate(opening_micros=CREDIT_MICROS))
        await worlds[1].engine.estate.refresh()
        async with Play(worlds, clock) as play:
            await play.more(50)
            servers[0].kill()
            await promoted(*servers[1:])
            await play.more(50)
        assert play.away > 0
        await check(play, await process(address_of(watchers)), worlds=worlds)


async def test_a_master_that_was_deposed_without_knowing_it_is_left_and_what_it_took_comes_back(
    tmp_path: Path, process: Process
) -> None:
    with sentinels(tmp_path, replicas=1) as (servers, watchers):
        world = await process(address_of(watchers))
        await world.provision()
        cautious = await process(address_of(watchers, "?durability=replicas:1"))
        launches = [await world.start(f"pc-{number}") for number in range(200)]
        otts = [await world.ott(launch) for launch in launches]
        # It cannot be told that it is a replica now, as if it were cut off from the Sentinels, and goes on taking writes.
        servers[0].say("ACL", "SETUSER", "default", "-replicaof", "-slaveof")
        old_epoch = await world.engine.store.epoch(0)
        watchers[0].say("SENTINEL", "FAILOVER", "main")
        await promoted(servers[1])
        promoted_at = time.monotonic()
        with pytest.raises(StoreAway):
            await cautious.redeem(otts[-1])
        used: dict[str, str] = {}
        for ott in otts[:-1]:
            answer = await back(partial(world.redeem, ott))
            if isinstance(answer, Opened):
                used[ott] = answer.session_id
            if await world.engine.store.epoch(0) != old_epoch:
                break
            await asyncio.sleep(0.02)
        else:
            pytest.fail("the old master is still in use")
        assert time.monotonic() - promoted_at < 4.0
        assert used, "the old master took nothing: the test tests nothing"
        fresh = await process(address_of(watchers))
        assert await fresh.engine.store.epoch(0) == await world.engine.store.epoch(0) != old_epoch
        assert isinstance(await fresh.redeem(otts[-1]), Refused)  # nobody was told whether it was used
        for ott in otts[:-1]:
            assert isinstance(await fresh.redeem(ott), Refused)
            assert await world.redeem(ott) == Refused(Refusal.ALREADY_USED if ott in used else Refusal.EXPIRED)
        for session_id in used.values():
            assert is_live(await fresh.stored(session_id))
        await check_books(fresh, paid_in_micros=fresh.OPENING_MICROS)


async def test_play_goes_on_when_a_replica_takes_over_in_a_cluster(
    tmp_path: Path, process: Process, clock: ManualClock
) -> None:
    with cluster(tmp_path, replicas=1) as servers:
        url = "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in servers)
        worlds = [await process(url) for _ in range(2)]
        await worlds[0].provision(worlds[0].estate(opening_micros=CREDIT_MICROS))
        await worlds[1].engine.estate.refresh()
        async with Play(worlds, clock) as play:
            await play.more(50)
            place = int(account_key(worlds[0].ACCOUNT)[:2], 16)
            epoch = await worlds[0].engine.store.epoch(place)
            number = servers.index(holder_of(servers, place))
            servers[number].kill()
            await promoted(servers[number + 3])
            await back(lambda: _in_another_epoch(worlds[0], place, epoch), within_sec=FOLLOWED_SEC)
            await play.more(50)
        assert play.away > 0
        await check(play, await process(url), worlds=worlds)


def holder_of(servers: Sequence[RedisServer], place: int) -> RedisServer:
    """Return the master of a partition."""
    slot = servers[0].say("CLUSTER", "KEYSLOT", f"{{p:{place:02x}}}")
    return next(servers[n] for n in range(3) if SLOTS * n // 3 <= slot < SLOTS * (n + 1) // 3)


async def promoted(*servers: RedisServer) -> None:
    """Return when one of them is a master."""
    await back(partial(_any_master, servers), within_sec=ELECTED_SEC)


async def _any_master(servers: Sequence[RedisServer]) -> None:
    if all(server.say("ROLE")[0] != b"master" for server in servers):
        raise StoreAway("they are replicas")


async def _in_another_epoch(world: "World", place: int, epoch: str) -> None:
    if await world.engine.store.epoch(place) != epoch:
        return
    raise StoreAway("there is no other master yet")

"""Redis loses what it had acknowledged: the tail of its file, or what no replica has when one takes over.

No used OTT lives again; what this process was answered is put back, or told; the ledger adds up.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playclock.archive.archiving import ArchiveOfStore
from playclock.core.answers import Opened, Refused, Result
from playclock.core.ott import Refusal
from playclock.core.session import State
from playclock.core.signing import sign_launcher
from playclock.engine.history import Filter
from playclock.engine.signatures import SignedRequest
from playclock.errors import CursorExpired, RequestReplayed
from playclock.stores.base import Store
from playclock.stores.redis import RedisStore
from playclock.stores.redis_urls import open_redis

from tests.redis_books import back, check_books, stored_ott
from tests.redis_relay import Relay
from tests.redis_servers import RedisServer, durable, redis_binary, running, valkey_binary

if TYPE_CHECKING:
    from tests.conftest import FaultInjectingStore, World, WorldMaker

MINUTE = 1_000_000


class Restart:
    """A power cut: a server starts again without the end of its file."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        (self.server,) = stack.enter_context(running([RedisServer(folder / "only", *durable(), binary=self.binary())]))
        self._size = 0

    @staticmethod
    def binary() -> str:
        return redis_binary()

    @property
    def port(self) -> int:
        return self.server.port

    def forget_from_now_on(self) -> None:
        self._size = self._file.stat().st_size

    def lose(self) -> int:
        """Lose what was to be forgotten; return the port of what serves then."""
        self.server.kill()
        assert self._file.stat().st_size > self._size
        os.truncate(self._file, self._size)
        self.server.start()
        return self.server.port

    @property
    def _file(self) -> Path:
        return self.server.folder / "appendonly.aof"


class RestartOfParts(Restart):
    """The same of a server whose file is in parts, as from Redis 7 on: what is new stands in the last one alone."""

    @staticmethod
    def binary() -> str:
        return valkey_binary()

    @property
    def _file(self) -> Path:
        (file,) = (self.server.folder / "appendonlydir").glob("*.incr.aof")
        return file


class Failover:
    """A replica takes over to which the last things never came."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        (self.master,) = stack.enter_context(
            running([RedisServer(folder / "master", *durable("--repl-diskless-sync-delay", "0"))])
        )
        self._relay = stack.enter_context(Relay(self.master.port))
        arguments = durable("--replicaof", "127.0.0.1", str(self._relay.port))
        (self.replica,) = stack.enter_context(running([RedisServer(folder / "replica", *arguments)]))

    @property
    def port(self) -> int:
        return self.master.port

    def forget_from_now_on(self) -> None:
        deadline = time.monotonic() + 10
        while self._offset(self.replica, "slave_repl_offset") != self._offset(self.master, "master_repl_offset"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self._relay.is_swallowing = True

    def lose(self) -> int:
        self.master.kill()
        self.replica.say("REPLICAOF", "NO", "ONE")
        return self.replica.port

    @staticmethod
    def _offset(server: RedisServer, name: str) -> object:
        return server.say("INFO", "replication").get(name)


Loss = Restart | Failover
Process = Callable[[Relay], Awaitable["World"]]


@pytest.fixture(params=[Restart, RestartOfParts, Failover])
def loss(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Loss]:
    with ExitStack() as stack:
        yield request.param(tmp_path, stack)


@pytest.fixture
def relay(loss: Loss) -> Iterator[Relay]:
    """Return this process's way to Redis."""
    with Relay(loss.port) as relay:
        yield relay


@pytest.fixture
async def process(make_world: "WorldMaker") -> AsyncIterator[Process]:
    """Make worlds, each as another process on its own way to Redis."""
    async with AsyncExitStack() as stack:

        async def make(relay: Relay) -> "World":
            store = await open_redis(relay.url)
            stack.push_async_callback(store.close)
            return await make_world(store)

        yield make


def journal_of(world: "World") -> tuple[int, int]:
    assert isinstance(world.engine.store, RedisStore)
    return world.engine.store.journal.put_back, world.engine.store.journal.given_up


async def test_what_was_answered_comes_back_and_no_used_ott_lives_again(loss: Loss, relay: Relay, process: Process) -> None:
    world = await process(relay)
    await world.provision()
    running_before = await world.open("pc-1")
    ended_before = await world.open("pc-5")
    used, unused, idle = await world.ott(pc="pc-2"), await world.ott(pc="pc-3"), await world.ott(pc="pc-4")
    loss.forget_from_now_on()
    opened = await world.redeem(used)
    assert isinstance(opened, Opened)
    await world.beat(running_before)
    ended = await world.end(ended_before, counted_sec=7)
    await world.engine.accounts.top_up(world.OPERATOR, world.ACCOUNT, 5 * MINUTE, request_id="paid")
    late = await world.ott(await world.start("pc-6"))
    relay.to = None
    port = loss.lose()

    # A process that knows nothing: there the used OTT lies unused, and is worth nothing all the same.
    with Relay(port) as another_way:
        another = await process(another_way)
        assert (await stored_ott(another, used)).session_id is None
        assert await another.redeem(used) == Refused(Refusal.EXPIRED)
        assert await another.redeem(unused) == Refused(Refusal.EXPIRED)
        assert await another.redeem(late) == Refused(Refusal.EXPIRED)

        relay.to = port
        assert await back(lambda: world.redeem(used)) == Refused(Refusal.ALREADY_USED)
        assert await world.redeem(idle) == Refused(Refusal.EXPIRED)
        for each in (world, another):
            assert (await each.beat(opened.session_id)).result is Result.OK
            assert (await each.beat(running_before)).result is Result.OK
            assert (await each.get(ended_before)).state is State.ENDED
        assert (await world.stored(ended_before)).client_play_duration_sec == ended.client_play_duration_sec == 7
        put_back, given_up = journal_of(world)
        assert put_back >= 5
        assert given_up == 0
        await another.engine.accounts.top_up(world.OPERATOR, world.ACCOUNT, 5 * MINUTE, request_id="paid")  # the repeat
        await check_books(another, paid_in_micros=world.OPENING_MICROS + 5 * MINUTE)
        # An OTT of the new epoch is as good as any.
        assert isinstance(await another.redeem(await world.ott(pc="pc-7")), Opened)


async def test_an_archive_has_all_of_it_and_a_watch_says_that_it_may_not(loss: Loss, relay: Relay, process: Process) -> None:
    world = await process(relay)
    await world.provision()
    archive = await ArchiveOfStore.open("sqlite://", world.engine.store)
    watch = world.engine.feed.watch()
    cursor = (await anext(watch)).cursor
    played = [await play_unbilled(world, "pc-1")]
    loss.forget_from_now_on()
    played.append(await play_unbilled(world, "pc-2"))
    await archive.project()
    relay.to = None
    with Relay(loss.lose()) as another_way:
        another = await process(another_way)
        # Where the lost events lay there are others now, and the lost ones come after them.
        played.append(await play_unbilled(another, "pc-3"))
        relay.to = another_way.to
        await back(world.account)
        assert journal_of(world)[1] == 0
        await back(archive.project)
        found, _ = await archive.history.settlements(Filter(), page_token="", limit=100)
        assert sorted(each.game_session_id for each in found) == sorted(played)
        assert archive.projector.contradictions == archive.projector.lost == 0
        with pytest.raises(CursorExpired, match="failed over or was started anew"):
            async for _ in watch:
                pass
        with pytest.raises(CursorExpired, match="failed over or was started anew"):
            await anext(another.engine.feed.watch(cursor=cursor))
    await archive.close()


async def play_unbilled(world: "World", pc: str) -> str:
    """Let a session begin and end where nobody pays, so that it shares no record with another."""
    session_id = await world.open(pc, at="10.0.0.1")
    await world.end(session_id)
    return session_id


async def test_what_others_have_written_anew_stays_and_what_was_lost_there_is_told(
    loss: Loss, relay: Relay, process: Process, caplog: pytest.LogCaptureFixture
) -> None:
    world = await process(relay)
    await world.provision()
    loss.forget_from_now_on()
    await world.engine.accounts.top_up(world.OPERATOR, world.ACCOUNT, 5 * MINUTE, request_id="lost")
    await world.engine.accounts.top_up(world.OPERATOR, world.ACCOUNT, 3 * MINUTE, request_id="lost as well")
    relay.to = None
    with Relay(loss.lose()) as another_way:
        another = await process(another_way)
        # The very version that the first of the lost ones had made, on top of which the second would fit.
        await another.engine.accounts.top_up(world.OPERATOR, world.ACCOUNT, MINUTE, request_id="new")
        relay.to = another_way.to
        await back(world.account)
        assert (await world.account()).balance_micros == world.OPENING_MICROS + MINUTE
        assert journal_of(world)[1] == 2
        told = [line for line in caplog.records if "cannot be put back" in line.message]
        assert len(told) == 2
        await check_books(world, paid_in_micros=world.OPENING_MICROS + MINUTE)


async def test_a_nonce_that_was_used_is_not_good_again(loss: Loss, relay: Relay, process: Process) -> None:
    world = await process(relay)
    await world.provision()
    loss.forget_from_now_on()
    said = {"method": "GET", "path": "/", "timestamp": str(world.engine.clock.now_ms() // 1000), "nonce": "the-nonce"}
    signature = sign_launcher(world.SECRET.encode(), body_sha256=b"", **said)
    request = SignedRequest(launcher_id=world.LAUNCHER_ID, signature=signature, body_sha256=b"", **said)
    await world.engine.signatures.launcher(request, use_up=True)
    relay.to = None
    relay.to = loss.lose()

    async def replay() -> None:
        with pytest.raises(RequestReplayed):
            await world.engine.signatures.launcher(request, use_up=True)

    await back(replay)


class TestInBetween:
    @pytest.fixture
    async def store(self, relay: Relay) -> AsyncIterator[Store]:
        store = await open_redis(relay.url)
        yield store
        await store.close()

    async def test_an_ott_that_was_read_before_is_not_redeemed_after(
        self, loss: Loss, relay: Relay, make_world: "WorldMaker", faulty_store: "FaultInjectingStore"
    ) -> None:
        world = await make_world(faulty_store)
        await world.provision()
        ott = await world.ott()
        loss.forget_from_now_on()
        await world.start("pc-2")  # there has to be something to lose
        faulty_store.stalls_before = asyncio.Event()
        redeeming = asyncio.create_task(world.redeem(ott))
        await faulty_store.stalled.wait()
        relay.to = None
        relay.to = loss.lose()
        await back(world.account)
        faulty_store.stalls_before.set()
        assert await redeeming == Refused(Refusal.EXPIRED)
        assert (await stored_ott(world, ott)).session_id is None

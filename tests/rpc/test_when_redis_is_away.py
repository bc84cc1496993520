"""Redis stands still, fills up and goes away under an engine: callers hear what to do in time, and money moves once."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from playclock.clock import ManualClock
from playclock.core.answers import Opened
from playclock.core.ledger import Transfer
from playclock.core.outbox import decode
from playclock.core.session import State
from playclock.engine import Engine
from playclock.stores.base import Store
from playclock.stores.urls import open_store
from playclock.v1 import (
    BatchHeartbeatRequest,
    EndSessionRequest,
    GetSessionRequest,
    HeartbeatRequest,
    ListSessionsRequest,
    OpenSessionRequest,
    StartLaunchRequest,
    TopUpAccountRequest,
)

from tests.redis_servers import RedisServer, durable, running

if TYPE_CHECKING:
    from tests.conftest import EngineMaker, World, WorldMaker
    from tests.rpc.conftest import Rpc

LATE_SEC = 1.5
TICK_SEC = 1.0
"""How often the sweeper looks, and so how soon all is well again."""

Call = Callable[[], Awaitable[Any]]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Run a server that tests may stop."""
    with running([RedisServer(tmp_path_factory.mktemp("away") / "data", *durable())]) as (server,):
        yield server


@pytest.fixture
async def store(redis: RedisServer) -> AsyncIterator[Store]:
    redis.say("FLUSHALL")
    store = await open_store(redis.url)
    yield store
    redis.resume()
    await store.close()


@pytest.fixture
async def engine(make_engine: "EngineMaker", store: Store) -> Engine:
    """Return an engine that says that it lives, and sweeps: in the background, as when it serves."""
    return await make_engine(store, background=True)


def calls_of(rpc: "Rpc", session: str, ott: str) -> dict[str, Call]:
    """Return one call of each kind."""
    beat = HeartbeatRequest(game_session_id=session, provider_user_id="player-1")
    open_ = OpenSessionRequest(ott=ott, provider_user_id="player-2", request_id="open")
    top_up = TopUpAccountRequest(account_id="cafe-1", amount_micros=1_000, request_id="top-up")
    return {
        "beat": lambda: rpc.sessions.Heartbeat(beat, metadata=rpc.GAME),
        "batch": lambda: rpc.sessions.BatchHeartbeat(BatchHeartbeatRequest(heartbeats=[beat]), metadata=rpc.GAME),
        "open": lambda: rpc.sessions.OpenSession(open_, metadata=rpc.GAME),
        "get": lambda: rpc.sessions.GetSession(GetSessionRequest(game_session_id=session), metadata=rpc.GAME),
        "list": lambda: rpc.sessions.ListSessions(ListSessionsRequest(), metadata=rpc.GAME),
        "start": lambda: rpc.launches.StartLaunch(
            StartLaunchRequest(pc_id="pc-3", external_ip="127.0.0.1"), metadata=rpc.OPERATOR
        ),
        "top up": lambda: rpc.accounts.TopUpAccount(top_up, metadata=rpc.OPERATOR),
    }


async def outcome(rpc: "Rpc", call: Call) -> tuple[float, str]:
    """Return how long a call took, and how it ended. If it failed, it says that and when to try again."""
    started = time.monotonic()
    try:
        await call()
    except grpc.aio.AioRpcError as error:
        failed = rpc.unpacked(error)
        assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
        assert failed.retry_ms == 1_000
        return time.monotonic() - started, "away"
    return time.monotonic() - started, "done"


async def until_done(rpc: "Rpc", call: Call, within_sec: float) -> None:
    """Repeat a call as its caller would, until it is done."""
    deadline = time.monotonic() + within_sec
    while (await outcome(rpc, call))[1] != "done":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def check_books(world: "World", *, paid_in_micros: int) -> None:
    """See that each movement of money was told once, and that all of them come to what the account has."""
    transfers = [
        event
        for event in (decode(stored.data) for stored in await world.engine.store.events(dict.fromkeys(range(256), 0), 10_000))
        if isinstance(event, Transfer)
    ]
    assert max(Counter(transfer.id for transfer in transfers).values()) == 1
    sums: Counter[str] = Counter()
    for transfer in transfers:
        for leg in transfer.legs:
            sums[leg.ledger_account] += leg.amount_micros
    account = await world.account()
    assert sum(sums.values()) == 0
    assert sums["held/cafe-1"] == account.held_micros
    assert sums["wallet/cafe-1"] == account.free_micros
    assert sums["funding/GCOIN"] == -paid_in_micros


class TestStandstill:
    # Longer than five seconds differs in nothing that a program could see: the connection is given up after one, and from three
    # on it was an outage. So five stand for thirty as well, and the clock of the engine moves by minutes meanwhile.
    @pytest.mark.parametrize("pause_sec", [1, 5])
    async def test_everybody_is_answered_in_time_and_it_goes_on_at_once(
        self, world: "World", rpc: "Rpc", redis: RedisServer, clock: ManualClock, pause_sec: int
    ) -> None:
        session, ott = await world.open("pc-1"), await world.ott(pc="pc-2")
        free = await world.open("pc-4", at=world.FREE)
        # The whole of a lease and more: without us, both would be over, and the OTT as well.
        gone_sec = 300 if pause_sec > 3 else 0
        calls = calls_of(rpc, session, ott)
        beat = HeartbeatRequest(game_session_id=free, provider_user_id=world.PLAYER)
        calls["free beat"] = lambda: rpc.sessions.Heartbeat(beat, metadata=rpc.GAME)
        tasks: list[asyncio.Task[tuple[float, str]]] = []
        redis.pause()
        over = time.monotonic() + pause_sec
        while time.monotonic() < over:
            tasks += [asyncio.create_task(outcome(rpc, call)) for call in calls.values()]
            await asyncio.sleep(0.1)
        clock.advance(gone_sec)
        tasks += [asyncio.create_task(outcome(rpc, call)) for call in calls.values()]
        redis.resume()
        for name in ("beat", "free beat"):
            await until_done(rpc, calls[name], TICK_SEC)
        ended = await asyncio.gather(*tasks)
        assert max(seconds for seconds, _ in ended) < LATE_SEC
        if pause_sec > 3:
            assert Counter(how for _, how in ended)["away"] > len(ended) / 2

        # Nothing is half done, whatever was carried out late: each repeat finds its own.
        for name in ("top up", "start", "list"):
            await until_done(rpc, calls[name], TICK_SEC)
        opened = await world.redeem(ott, user="player-2", request_id="open")
        live = [each.pc_id for each in (await rpc.sessions.ListSessions(ListSessionsRequest(), metadata=rpc.GAME)).sessions]
        assert sorted(live) == sorted(["pc-1", "pc-4", *(["pc-2"] if isinstance(opened, Opened) else [])])
        found = await world.get(session)
        assert (found.state, found.billed_ms) == (State.ACTIVE, 0)  # a store that was away is an outage of ours
        await check_books(world, paid_in_micros=world.OPENING_MICROS + 1_000)

    async def test_those_who_queue_for_one_account_hear_in_time(self, world: "World", rpc: "Rpc", redis: RedisServer) -> None:
        # As many as would take minutes one after the other, and no more: their client shares this process's one core with us.
        sessions = [await world.open(f"pc-{number}") for number in range(40)]
        redis.pause()
        beats = [HeartbeatRequest(game_session_id=session, provider_user_id=world.PLAYER) for session in sessions]
        calls = [(lambda beat=beat: rpc.sessions.Heartbeat(beat, metadata=rpc.GAME)) for beat in beats]
        ended = await asyncio.gather(*(outcome(rpc, call) for call in calls))
        assert max(seconds for seconds, _ in ended) < LATE_SEC
        assert {how for _, how in ended} == {"away"}
        redis.resume()
        await until_done(rpc, calls[0], TICK_SEC)
        assert {how for _, how in await asyncio.gather(*(outcome(rpc, call) for call in calls))} == {"done"}
        await check_books(world, paid_in_micros=world.OPENING_MICROS)


class TestLateCommits:
    """What was given up lies in the server's socket, and is carried out when it goes on: before the repeat, or after it."""

    async def test_a_top_up_that_is_repeated_pays_in_once(self, world: "World", rpc: "Rpc", redis: RedisServer) -> None:
        request = TopUpAccountRequest(account_id="cafe-1", amount_micros=7_000_000, request_id="r-1")
        redis.pause()
        for _ in range(4):
            assert (await outcome(rpc, lambda: rpc.accounts.TopUpAccount(request, metadata=rpc.OPERATOR)))[1] == "away"
        redis.resume()
        await until_done(rpc, lambda: rpc.accounts.TopUpAccount(request, metadata=rpc.OPERATOR), TICK_SEC)
        assert (await rpc.accounts.TopUpAccount(request, metadata=rpc.OPERATOR)).account.balance_micros == 507_000_000
        await check_books(world, paid_in_micros=507_000_000)

    async def test_an_end_that_is_repeated_debits_once(
        self, world: "World", rpc: "Rpc", redis: RedisServer, clock: ManualClock
    ) -> None:
        sessions = [await world.open(f"pc-{number}") for number in range(5)]
        clock.advance(2)
        redis.pause()
        request = [EndSessionRequest(game_session_id=session) for session in sessions]
        calls = [(lambda each=each: rpc.sessions.EndSession(each, metadata=rpc.GAME)) for each in request]
        given_up = await asyncio.gather(*(outcome(rpc, call) for call in calls))
        assert {how for _, how in given_up} == {"away"}
        redis.resume()
        for each in request:
            await self._end(rpc, each)
        account = await world.account()
        assert (account.balance_micros, account.held_micros) == (world.OPENING_MICROS - 5 * 1_000_000, 0)
        await check_books(world, paid_in_micros=world.OPENING_MICROS)

    async def test_heartbeats_of_two_engines_around_a_standstill_bill_the_time_once(
        self, world: "World", rpc: "Rpc", redis: RedisServer, make_world: "WorldMaker", clock: ManualClock
    ) -> None:
        other_store = await open_store(redis.url)
        other = await make_world(other_store)
        session = await world.open()
        clock.advance(2)
        redis.pause()
        request = HeartbeatRequest(game_session_id=session, provider_user_id=world.PLAYER)
        assert (await outcome(rpc, lambda: rpc.sessions.Heartbeat(request, metadata=rpc.GAME)))[1] == "away"
        redis.resume()
        clock.advance(119)
        await asyncio.gather(world.beat(session), other.beat(session), return_exceptions=True)
        ended = await world.end(session)
        assert ended.billed_ms == 121_000
        account = await world.account()
        assert (account.balance_micros, account.held_micros) == (world.OPENING_MICROS - 3 * 1_000_000, 0)
        await check_books(world, paid_in_micros=world.OPENING_MICROS)
        await other_store.close()

    async def _end(self, rpc: "Rpc", request: EndSessionRequest) -> None:
        deadline = time.monotonic() + TICK_SEC
        while True:
            try:
                await rpc.sessions.EndSession(request, metadata=rpc.GAME)
            except grpc.aio.AioRpcError as error:
                failed = rpc.unpacked(error)
                if failed.reason == "ALREADY_ENDED":  # the one that was given up was carried out
                    assert failed.metadata is not None
                    return
                assert failed.reason == "STORE_UNAVAILABLE"
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
            else:
                return


async def test_a_full_redis_is_away_for_writers_and_nothing_is_half_written(
    world: "World", rpc: "Rpc", redis: RedisServer
) -> None:
    session, ott = await world.open("pc-1"), await world.ott(pc="pc-2")
    calls = calls_of(rpc, session, ott)
    redis.say("CONFIG", "SET", "maxmemory", 1)
    try:
        for name in ("beat", "batch", "open", "start", "top up"):
            assert (await outcome(rpc, calls[name]))[1] == "away", name
        for name in ("get", "list"):
            assert (await outcome(rpc, calls[name]))[1] == "done", name
    finally:
        redis.say("CONFIG", "SET", "maxmemory", 0)
    await check_books(world, paid_in_micros=world.OPENING_MICROS)
    for call in calls.values():
        assert (await outcome(rpc, call))[1] == "done"
    assert (await world.account()).held_micros == 2 * 4_000_000
    await check_books(world, paid_in_micros=world.OPENING_MICROS + 1_000)

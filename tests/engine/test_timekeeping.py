"""Clocks on Redis: whatever hosts show, and whatever the server's clock is set to, sessions and bills stay as they are."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

import pytest
from playclock.clock import HostClock, SystemClock
from playclock.core.session import EndReason
from playclock.core.timers import Timers
from playclock.engine.timekeeper import Timekeeper, keep_time
from playclock.stores.base import StoreUnavailable, TellsTime
from playclock.stores.redis import RedisStore
from playclock.stores.urls import open_store

from tests.conftest import World
from tests.redis_fixtures import RedisOfTests
from tests.time_proxy import TimeProxy

if TYPE_CHECKING:
    from tests.conftest import WorldMaker

T: Final = 1_767_225_600_000
HOUR_MS: Final = 3_600_000
TICK_SEC: Final = 2
SWEEP_EACH_SEC: Final = 20
MINUTES_MS: Final = 600_000

Facts = Sequence[object]


class Host(HostClock):
    """A host whose time a test lets go by, with a wall clock that may be wrong."""

    def __init__(self, *, wall_ahead_ms: int = 0, up_sec: int = 5) -> None:
        self.up_ns = up_sec * 1_000_000_000
        self.wall_ns = (T + wall_ahead_ms) * 1_000_000

    def elapsed_ns(self) -> int:
        return self.up_ns

    def wall_ms(self) -> int:
        return self.wall_ns // 1_000_000

    def advance(self, ms: int) -> None:
        self.up_ns += ms * 1_000_000
        self.wall_ns += ms * 1_000_000


class Replica:
    """An engine on a host, with its clock."""

    def __init__(self, host: Host, timekeeper: Timekeeper, world: World) -> None:
        self.host = host
        self.timekeeper = timekeeper
        self.world = world

    def now_ms(self) -> int:
        return self.timekeeper.clock.now_ms()

    async def live(self) -> None:
        await self.timekeeper.anchor()
        await self.world.engine._pulse.beat()


class Place:
    """Replicas over one Redis, on which time goes by for all of them."""

    def __init__(self, proxy: TimeProxy, start: Callable[[Host], Awaitable[Replica]]) -> None:
        self.proxy = proxy
        self.replicas: list[Replica] = []
        self.second = 0
        self._start = start

    async def join(self, host: Host | None = None) -> Replica:
        self.replicas.append(await self._start(host or Host()))
        await self.replicas[-1].world.engine._pulse.beat()
        return self.replicas[-1]

    async def wait(self, seconds: int, *, asleep: Sequence[Replica] = ()) -> None:
        for _ in range(seconds // TICK_SEC):
            self.second += TICK_SEC
            self.set(TICK_SEC * 1_000)
            for replica in self.replicas:
                replica.host.advance(TICK_SEC * 1_000)
            for replica in self.replicas:
                if replica not in asleep:
                    await replica.live()

    def set(self, by_ms: int) -> None:
        """Set the server's clock."""
        assert self.proxy.now_ms is not None
        self.proxy.now_ms += by_ms


@pytest.fixture
def proxy(redis_of_tests: RedisOfTests) -> Iterator[TimeProxy]:
    redis_of_tests.empty()
    with TimeProxy(redis_of_tests.servers[0].port, now_ms=T) as proxy:
        yield proxy


@pytest.fixture
async def place(proxy: TimeProxy, make_world: "WorldMaker") -> AsyncIterator[Place]:
    async with AsyncExitStack() as stack:

        async def start(host: Host) -> Replica:
            store = await open_store(proxy.url)
            stack.push_async_callback(store.close)
            assert isinstance(store, RedisStore)
            timekeeper = await Timekeeper.start(store, store, host)
            timers = Timers(launcher_ttl_ms=HOUR_MS)
            return Replica(host, timekeeper, await make_world(store, clock=timekeeper.clock, timers=timers, background=False))

        yield Place(proxy, start)


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


async def facts_of(world: World, sessions: Sequence[str]) -> Facts:
    found = [await world.get(session) for session in sessions]
    account = await world.account()
    return [
        *((each.state, each.end_reason, each.started_ms, each.ended_ms, each.billed_ms, each.charge) for each in found),
        (account.balance_micros, account.held_micros),
    ]


async def play(place: Place, *, wall_ahead_ms: Sequence[int] = (0, 0), sets: Mapping[int, int] | None = None) -> Facts:
    """Let four players play on two replicas, while the server's clock is set at some seconds, and return what became of it."""
    for number, ahead_ms in enumerate(wall_ahead_ms):
        await place.join(Host(wall_ahead_ms=ahead_ms, up_sec=5 + 1_000_000 * number))
    one, other = (replica.world for replica in place.replicas)
    await one.provision()
    await other.engine.estate.refresh()
    faithful, late, silent, quick = [
        await world.open(f"pc-{number}", at=world.PAYING) for number, world in enumerate((one, other, one, other))
    ]
    beats = {120: (one, faithful), 200: (other, late), 240: (other, faithful), 360: (one, faithful), 420: (one, late)}
    ends = {10: (one, quick), 480: (other, faithful), 500: (one, late)}
    while place.second < 500:
        if place.second in (sets or {}):
            place.set((sets or {})[place.second])
        await place.wait(TICK_SEC)
        if place.second % SWEEP_EACH_SEC == 0:
            await (one, other)[place.second // SWEEP_EACH_SEC % 2].engine.sweep()
        if place.second in beats:
            world, session = beats[place.second]
            await world.beat(session)
        if place.second in ends:
            world, session = ends[place.second]
            await world.end(session)
    gone = await one.stored(silent)
    assert (gone.end_reason, gone.ended_ms) == (EndReason.HEARTBEAT_TIMEOUT, T + 240_000)
    return await facts_of(other, [faithful, late, quick])


@pytest.fixture(scope="module")
def known() -> dict[str, Facts]:
    """Return what has been found out once for all tests."""
    return {}


@pytest.fixture
async def undisturbed(place: Place, redis_of_tests: RedisOfTests, known: dict[str, Facts]) -> Facts:
    """Return what becomes of it on two replicas whose clocks are right; the store is empty again."""
    if not known:
        known["undisturbed"] = await play(place)
        redis_of_tests.empty()
        place.replicas.clear()
        place.second = 0
        place.proxy.now_ms = T
    return known["undisturbed"]


@pytest.mark.parametrize("wall_ahead_ms", [(MINUTES_MS, -MINUTES_MS)])
async def test_replicas_whose_hosts_show_other_times_bill_as_those_whose_do_not(
    place: Place, undisturbed: Facts, wall_ahead_ms: Sequence[int], caplog: pytest.LogCaptureFixture
) -> None:
    assert await play(place, wall_ahead_ms=wall_ahead_ms) == undisturbed
    assert [replica.timekeeper.clock.steering.wall_skew_ms for replica in place.replicas] == list(wall_ahead_ms)
    told = [record.fields for record in caplog.records if "this host's clock" in record.getMessage()]  # type: ignore[attr-defined]
    assert told == [{"skew_ms": MINUTES_MS}, {"skew_ms": -MINUTES_MS}]


@pytest.mark.parametrize(
    "sets", [{50: 300_000}, {50: -HOUR_MS}, {50: 300_000, 52: -300_000}, {100: HOUR_MS, 250: -2 * HOUR_MS}]
)
async def test_a_server_whose_clock_is_set_changes_nothing_and_is_told_of(
    place: Place, undisturbed: Facts, sets: dict[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    assert await play(place, sets=sets) == undisturbed
    assert {replica.world.engine.context.outages for replica in place.replicas} == {()}
    # One that was taken back before anybody looked twice was none.
    steps = 0 if len(sets) == 2 and sum(sets.values()) == 0 else len(sets)
    assert sum(replica.timekeeper.clock.steering.steps for replica in place.replicas) == steps
    assert errors(caplog) == ["the store server's clock was set; our time goes on as before"] * steps


async def test_who_joins_after_the_servers_clock_was_set_has_the_time_of_the_others(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    first = await place.join()
    await place.wait(10)
    place.set(-HOUR_MS)
    await place.wait(10)
    second = await place.join()
    assert second.now_ms() == first.now_ms() == T + 20_000
    assert "our time is not the store server's" in [record.getMessage() for record in caplog.records]
    await place.wait(10)
    assert second.now_ms() == first.now_ms() == T + 30_000


@pytest.mark.parametrize("by_ms", [-HOUR_MS, 300_000])
async def test_who_joins_before_the_others_have_noticed_ends_up_with_them(place: Place, by_ms: int) -> None:
    first = await place.join()
    await first.world.provision()
    session = await first.world.open(at=World.PAYING)
    await place.wait(10)
    place.set(by_ms)
    second = await place.join()
    await place.wait(10)
    assert second.now_ms() == first.now_ms()
    for replica in place.replicas:
        await replica.world.engine.sweep()
    await place.wait(100)
    await first.world.beat(session)
    # What was no time of the session's is not billed.
    assert (await first.world.end(session)).billed_ms <= 120_000


async def test_a_clock_that_was_set_back_while_nobody_ran_makes_no_lease_longer(place: Place) -> None:
    first = await place.join()
    await first.world.provision()
    session = await first.world.open(at=World.PAYING)
    await place.wait(60)
    place.replicas.clear()
    place.set(-HOUR_MS)
    again = await place.join()
    assert again.now_ms() == T + 60_000
    await place.wait(182)
    await again.world.engine.sweep()
    assert (await again.world.stored(session)).end_reason is EndReason.HEARTBEAT_TIMEOUT


async def test_after_all_have_stopped_time_is_the_servers_again(place: Place) -> None:
    first = await place.join()
    await place.wait(10)
    place.set(300_000)
    await place.wait(10)
    assert first.now_ms() == T + 20_000
    place.replicas.clear()
    place.set(4_000)
    assert (await place.join()).now_ms() == T + 324_000


async def test_a_process_that_stood_still_finds_the_others_time(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    first, second = await place.join(), await place.join()
    await place.wait(10)
    up_ns = second.host.up_ns
    await place.wait(600, asleep=[second])
    second.host.up_ns = up_ns  # a host whose own count of time stood still, too
    await place.wait(10)
    assert second.now_ms() == first.now_ms() == T + 620_000
    steering = second.timekeeper.clock.steering
    assert (steering.catch_ups, steering.steps, first.timekeeper.clock.steering.steps) == (1, 0, 0)
    assert "this process fell behind the others; its time moves ahead" in [record.getMessage() for record in caplog.records]


async def test_a_host_that_counts_too_slowly_is_kept_near_the_others(place: Place) -> None:
    first, slow = await place.join(), await place.join()
    for _ in range(100):
        slow.host.up_ns -= 10_000_000  # 10 ms in two seconds: far worse than any host
        await place.wait(TICK_SEC)
        assert abs(slow.now_ms() - first.now_ms()) <= 20
    steering = slow.timekeeper.clock.steering
    assert steering.steps == steering.catch_ups == 0


async def test_while_the_server_is_away_time_goes_on(redis_of_tests: RedisOfTests) -> None:
    redis_of_tests.empty()
    store = await open_store(redis_of_tests.url)
    assert isinstance(store, RedisStore)
    host = Host()
    timekeeper = await Timekeeper.start(store, store, host)
    await store.close()
    before_ms = timekeeper.clock.now_ms()
    with pytest.raises(StoreUnavailable):
        await timekeeper.anchor()
    host.advance(5_000)
    assert timekeeper.clock.now_ms() == before_ms + 5_000
    with pytest.raises(StoreUnavailable):
        await Timekeeper.start(store, store, host)


class TestKeepTime:
    async def test_without_a_server_it_is_the_hosts(self) -> None:
        store = await open_store("memory://")
        assert not isinstance(store, TellsTime)
        async with keep_time(store) as clock:
            assert isinstance(clock, SystemClock)

    @pytest.mark.parametrize("kind", ["redis", "cluster"])
    async def test_on_redis_it_is_the_servers(self, kind: str, request: pytest.FixtureRequest) -> None:
        redis: RedisOfTests = request.getfixturevalue(f"{kind}_of_tests")
        redis.empty()
        store = await open_store(redis.url)
        async with keep_time(store) as clock:
            assert abs(clock.now_ms() - SystemClock().now_ms()) < 1_000
        await store.close()

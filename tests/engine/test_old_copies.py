"""What an engine remembers may be old: another process has written since. Nobody may ever hear or pay by an old copy."""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

import pytest
from playclock.clock import ManualClock
from playclock.core.answers import Opened, Refused, Result
from playclock.core.ott import Refusal
from playclock.core.session import EndReason
from playclock.errors import AlreadyEnded, LaunchEnded, SessionEnded

if TYPE_CHECKING:
    from tests.conftest import FaultInjectingStore, World, WorldMaker

T = TypeVar("T")


async def test_a_launch_that_another_process_has_heard_is_not_silent_here(
    world: "World", elsewhere: "World", clock: ManualClock
) -> None:
    launch = await world.start()
    for there in (elsewhere, world, elsewhere):
        clock.advance(200)
        assert await there.engine.launches.heartbeat(world.OPERATOR, launch) is Result.OK
    clock.advance(200)
    await world.ott(launch)
    clock.advance(200)
    await elsewhere.engine.launches.end(world.OPERATOR, launch)
    with pytest.raises(LaunchEnded):
        await world.engine.launches.heartbeat(world.OPERATOR, launch)


async def test_a_launch_that_another_process_has_heard_is_replaced_and_told_so(
    world: "World", elsewhere: "World", clock: ManualClock
) -> None:
    old = await world.start()
    clock.advance(200)
    await elsewhere.engine.launches.heartbeat(world.OPERATOR, old)
    clock.advance(200)
    await world.start()
    assert await elsewhere.engine.launches.heartbeat(world.OPERATOR, old) is Result.SESSION_REPLACED


async def test_a_launcher_speaks_for_the_session_that_another_process_opened_on_its_pc(
    world: "World", elsewhere: "World", clock: ManualClock
) -> None:
    launches = [await world.start(pc) for pc in ("pc-1", "pc-2")]
    for launch in launches:
        await elsewhere.engine.launches.heartbeat(world.OPERATOR, launch)
    heard, ended = [await world.join(launch) for launch in launches]
    clock.advance(100)
    await elsewhere.engine.launches.heartbeat(world.OPERATOR, launches[0])
    assert (await world.stored(heard)).launcher_until_ms == clock.now_ms() + 240_000
    assert await elsewhere.engine.launches.end(world.OPERATOR, launches[1]) == ended
    with pytest.raises(SessionEnded):
        await world.beat(ended)


async def test_what_a_replaced_session_gives_back_is_counted_as_another_process_left_it(
    world: "World", elsewhere: "World", clock: ManualClock
) -> None:
    await world.provision_poor(10_000_000)
    await elsewhere.engine.estate.refresh()
    launch = await world.start("pc-1", at=world.POOR)
    session = await world.join(launch)
    await world.open("pc-2", at=world.POOR)
    await elsewhere.beat(session)
    clock.advance(119)
    await world.beat(session)
    clock.advance(100)
    # By the old copy its end would use up all that it holds; as it is, two minutes of credit come back.
    assert isinstance(await elsewhere.redeem(await world.ott(launch)), Opened)


async def test_a_session_that_lived_on_elsewhere_for_days_can_be_ended_here(
    world: "World", elsewhere: "World", clock: ManualClock
) -> None:
    launch = await world.start(at=world.FREE)
    session = await world.join(launch)
    for _ in range(400):
        clock.advance(239)
        await elsewhere.engine.launches.heartbeat(world.OPERATOR, launch)
        await elsewhere.beat(session)
    assert (await world.end(session)).end_reason is EndReason.CLIENT_END


class TestMeanwhile:
    """What another process does between a decision here and its commit."""

    @pytest.fixture
    async def slow(self, world: "World", make_world: "WorldMaker", faulty_store: "FaultInjectingStore") -> "World":
        """Return the world on an engine whose commits are held up."""
        assert world.engine.store is faulty_store.store
        slow = await make_world(faulty_store)
        faulty_store.stalls_before = asyncio.Event()
        return slow

    @staticmethod
    async def stalled(store: "FaultInjectingStore", call: Awaitable[T]) -> asyncio.Future[T]:
        """Begin a call, and return when its commit is about to be made. All later commits go through."""
        calling = asyncio.ensure_future(call)
        await store.stalled.wait()
        return calling

    @staticmethod
    def go_on(store: "FaultInjectingStore") -> None:
        gate, store.stalls_before = store.stalls_before, None
        assert gate is not None
        gate.set()

    async def test_a_session_hears_of_its_launcher_though_it_was_heard_while_the_session_opened(
        self, world: "World", slow: "World", faulty_store: "FaultInjectingStore", clock: ManualClock
    ) -> None:
        launch = await world.start()
        opening = await self.stalled(faulty_store, slow.redeem(await world.ott(launch)))
        clock.advance(30)
        await world.engine.launches.heartbeat(world.OPERATOR, launch)
        self.go_on(faulty_store)
        opened = await opening
        assert isinstance(opened, Opened)
        assert (await world.stored(opened.session_id)).launcher_until_ms == clock.now_ms() + 240_000

    async def test_a_launch_that_ends_meanwhile_opens_nothing(
        self, world: "World", slow: "World", faulty_store: "FaultInjectingStore"
    ) -> None:
        launch = await world.start()
        opening = await self.stalled(faulty_store, slow.redeem(await world.ott(launch)))
        await world.engine.launches.end(world.OPERATOR, launch)
        self.go_on(faulty_store)
        assert await opening == Refused(Refusal.EXPIRED)
        assert (await world.account()).held_micros == 0

    async def test_credit_that_is_spent_meanwhile_is_not_spent_again(
        self, world: "World", slow: "World", faulty_store: "FaultInjectingStore"
    ) -> None:
        await world.provision_poor(4_000_000)
        await slow.engine.estate.refresh()
        opening = await self.stalled(faulty_store, slow.redeem(await world.ott(pc="pc-1", at=world.POOR)))
        await world.open("pc-2", at=world.POOR)
        self.go_on(faulty_store)
        assert await opening == Refused(Refusal.NOT_CHARGEABLE)
        account = await world.account(world.POOR_ACCOUNT)
        assert (account.balance_micros, account.held_micros) == (4_000_000, 4_000_000)


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1"], ids=["free", "paying"])
class TestSessions:
    async def test_heartbeats_may_arrive_anywhere(
        self, world: "World", elsewhere: "World", clock: ManualClock, address: str
    ) -> None:
        launch = await world.start(at=address)
        session = await world.join(launch)
        for there in (world, elsewhere, elsewhere, world, elsewhere):
            clock.advance(200)
            await there.engine.launches.heartbeat(world.OPERATOR, launch)
            assert (await there.beat(session)).result is Result.OK
        clock.advance(200)
        ended = await world.end(session)
        assert ended.ended_ms == ended.started_ms + 1_200_000

    async def test_one_that_has_ended_elsewhere_has_ended_here(
        self, world: "World", elsewhere: "World", clock: ManualClock, address: str
    ) -> None:
        session = await world.open(at=address)
        clock.advance(30)
        await elsewhere.end(session)
        with pytest.raises(SessionEnded):
            await world.beat(session)
        with pytest.raises(AlreadyEnded):
            await world.end(session)

    async def test_an_old_session_beside_a_new_account_is_no_fault(
        self, world: "World", elsewhere: "World", address: str
    ) -> None:
        session = await world.open("pc-1", at=address)
        await elsewhere.end(session)
        await world.open("pc-2", at=address)  # meets a conflict, and reads the account anew
        await elsewhere.end(
            (await elsewhere.engine.listing.page(world.OPERATOR, page_size=1, page_token="", game_id=None, cafe_id=None))[0][
                0
            ].id
        )
        launch = await world.start("pc-3", at=address)
        await world.join(launch)
        with pytest.raises(SessionEnded):
            await world.beat(session)

    async def test_calls_of_both_processes_at_once_come_to_one_end(
        self, world: "World", elsewhere: "World", address: str
    ) -> None:
        for number in range(20):
            session = await world.open(f"pc-{number}", at=address)
            await elsewhere.beat(session)
            calls = [there.end(session) for there in (world, elsewhere)]
            calls += [there.engine.sessions.terminate(world.OPERATOR, session) for there in (elsewhere, world)]
            answers = await asyncio.gather(*calls, return_exceptions=True)
            refusals = [answer for answer in answers if isinstance(answer, BaseException)]
            assert [type(refusal) for refusal in refusals] == [AlreadyEnded] * 3
        assert (await world.account()).held_micros == 0

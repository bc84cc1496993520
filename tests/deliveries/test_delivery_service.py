"""What operators see of deliveries, and what becomes of those that they replay."""

from typing import TYPE_CHECKING

import grpc
import pytest
from playclock.clock import ManualClock
from playclock.core.delivery import Method
from playclock.core.ids import delivery_key
from playclock.core.match import MatchState
from playclock.engine import OPERATOR
from playclock.rpc.inprocess import InProcessChannel
from playclock.v1 import (
    Delivery,
    DeliveryServiceStub,
    GetDeliveryRequest,
    ListDeliveriesRequest,
    MatchClient,
    ReplayDeliveryRequest,
    ResumeDeliveriesRequest,
)

from tests.audit_trail import trail
from tests.conftest import World
from tests.deliveries.conftest import GameServer, Told, ToldMaker
from tests.matches.conftest import OPENING, PUSHED, check

if TYPE_CHECKING:
    from playclock.core.match import Match
    from playclock.v1.delivery_service_pb2_grpc import DeliveryServiceAsyncStub

DAY_SEC = 86_400
UNKNOWN = "00000000-0000-4000-8000-000000000000"


class Desk:
    """Calls of an operator, a line each."""

    def __init__(self, told: Told) -> None:
        self.stub: DeliveryServiceAsyncStub = DeliveryServiceStub(InProcessChannel(told.engine, operator=True))

    async def listed(self, *, page_size: int = 0, client_id: str = "", state: int = 0) -> list[Delivery]:
        found: list[Delivery] = []
        request = ListDeliveriesRequest(page_size=page_size, client_id=client_id)
        request.state = state  # type: ignore[assignment] # also what is none
        while True:
            page = await self.stub.ListDeliveries(request)
            assert len(page.deliveries) <= (page_size or 100)
            found += page.deliveries
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return found

    async def get(self, delivery_id: str) -> Delivery:
        return (await self.stub.GetDelivery(GetDeliveryRequest(delivery_id=delivery_id))).delivery

    async def replay(self, delivery_id: str) -> Delivery:
        return (await self.stub.ReplayDelivery(ReplayDeliveryRequest(delivery_id=delivery_id))).delivery

    async def resume(self, client_id: str) -> bool:
        return (await self.stub.ResumeDeliveries(ResumeDeliveriesRequest(client_id=client_id))).was_silenced


@pytest.fixture
def desk(told: Told) -> Desk:
    return Desk(told)


async def push_of(told: Told, match: "Match") -> str:
    put = await told.delivery(match)
    assert put is not None
    return put.id


class TestLists:
    async def test_have_what_is_dead_until_it_is_forgotten(
        self, told: Told, desk: Desk, game_server: GameServer, clock: ManualClock
    ) -> None:
        live = await told.told()
        await told.matches.cancel(OPERATOR, live.id)
        await told.sweep(live)
        game_server.answer("500")
        dead = {(await told.sweep(await told.told(entry_fee_micros=1))).id for _ in range(5)}
        for _ in range(2):
            assert {each.match_id for each in await desk.listed()} == dead
            await told.engine.sweep()
        assert len(await desk.listed(page_size=2, client_id=PUSHED.id, state=Delivery.STATE_DEAD)) == 5
        assert await desk.listed(client_id="super-game") == []
        assert await desk.listed(state=Delivery.STATE_PENDING) == []
        first = (await desk.listed())[0]
        assert (first.method, first.state) == (Delivery.METHOD_PUT, Delivery.STATE_DEAD)
        assert (first.tries, first.last_status, first.last_error) == (1, 500, "")
        assert not first.HasField("next_try_time")
        clock.advance(30 * DAY_SEC)
        assert await desk.listed() == []
        await told.engine.sweep()
        with pytest.raises(grpc.aio.AioRpcError, match="no such delivery"):
            await desk.get(first.delivery_id)
        (record,) = await told.engine.store.get([delivery_key(first.delivery_id)])
        assert record is None

    async def test_have_what_waits(self, make_told: ToldMaker, game_server: GameServer, clock: ManualClock) -> None:
        told = await make_told(push_retries=MatchClient.PUSH_RETRIES_STANDARD)
        desk = Desk(told)
        game_server.answer("gone")
        match = await told.told()
        (waiting,) = await desk.listed(state=Delivery.STATE_PENDING)
        assert (waiting.match_id, waiting.tries, waiting.last_error) == (match.id, 1, "BAD_RESPONSE")
        assert 5_000 < waiting.next_try_time.ToMilliseconds() - clock.now_ms() < 6_000
        assert not waiting.HasField("end_time")
        assert await desk.get(waiting.delivery_id) == waiting

    @pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
    @pytest.mark.parametrize("state", [Delivery.STATE_DELIVERED, Delivery.STATE_WITHDRAWN, 99])
    async def test_of_other_states_there_are_none(self, state: int, desk: Desk) -> None:
        with pytest.raises(grpc.aio.AioRpcError, match="state"):
            await desk.listed(state=state)


class TestAReplay:
    async def test_of_a_live_match_tells_it_again(self, told: Told, desk: Desk, game_server: GameServer) -> None:
        match = await told.told()
        delivery_id = await push_of(told, match)
        again = await desk.replay(delivery_id)
        assert (again.state, again.replays) == (Delivery.STATE_PENDING, 1)
        assert (await told.settled(match)).state is MatchState.LIVE
        first, second = game_server.seen(match)
        assert (first["id"], first["body"]) == (second["id"], second["body"])
        shown = await desk.get(delivery_id)
        assert (shown.state, shown.tries) == (Delivery.STATE_DELIVERED, 2)

    async def test_that_fails_leaves_a_live_match_alone(self, told: Told, desk: Desk, game_server: GameServer) -> None:
        match = await told.told()
        game_server.answer("500")
        await desk.replay(await push_of(told, match))
        assert (await told.sweep(match)).state is MatchState.LIVE
        assert [each.state for each in await desk.listed()] == [Delivery.STATE_DEAD]
        assert game_server.methods(match) == ["PUT", "PUT"]

    async def test_of_an_aborted_match_does_not_revive_it(
        self, told: Told, desk: Desk, game_server: GameServer, clock: ManualClock
    ) -> None:
        game_server.answer("500", "200")
        match = await told.sweep(await told.told())
        assert game_server.methods(match) == ["PUT", "DELETE"]
        (dead,) = await desk.listed()
        await desk.replay(dead.delivery_id)
        match = await told.settled(match)
        clock.advance(1)
        match = await told.sweep(match)
        assert match.state is MatchState.ABORTED
        assert game_server.methods(match) == ["PUT", "DELETE", "PUT", "DELETE"]
        assert await check(told, [match], kept=0) == [OPENING] * 4
        assert await desk.listed() == []

    @pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
    async def test_comes_before_the_message_that_its_match_is_off(
        self, make_told: ToldMaker, game_server: GameServer, clock: ManualClock
    ) -> None:
        told = await make_told(push_retries=MatchClient.PUSH_RETRIES_STANDARD)
        game_server.answer("410", "held", delete=("500", "200"))
        match = await told.told()
        await Desk(told).resume(PUSHED.id)
        await told.sweep(match)
        assert game_server.methods(match) == ["PUT", "DELETE"]
        await Desk(told).replay(await push_of(told, match))
        await game_server.until_crowd(1)
        clock.advance(6)
        await told.engine.sweeper.sweep()
        delete = await told.delivery(match, Method.DELETE)
        assert delete is not None
        assert (delete.tries, delete.leased_until_ms) == (1, 0)
        game_server.release()
        await told.follow(await told.settled(match), hours=0.1)
        assert game_server.methods(match) == ["PUT", "DELETE", "PUT", "DELETE"]

    @pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
    async def test_of_a_match_that_is_forgotten_is_refused(
        self, told: Told, desk: Desk, game_server: GameServer, clock: ManualClock
    ) -> None:
        game_server.answer("500")
        match = await told.sweep(await told.told())
        delivery_id = await push_of(told, match)
        clock.advance(29 * DAY_SEC)
        await desk.replay(delivery_id)
        await told.settled(match)
        clock.advance(2 * DAY_SEC)
        assert (await desk.get(delivery_id)).replays == 1
        with pytest.raises(grpc.aio.AioRpcError, match="forgotten") as refused:
            await desk.replay(delivery_id)
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION

    @pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
    async def test_of_what_waits_changes_nothing(self, make_told: ToldMaker, game_server: GameServer) -> None:
        told = await make_told(push_retries=MatchClient.PUSH_RETRIES_STANDARD)
        game_server.answer("500")
        match = await told.told()
        again = await Desk(told).replay(await push_of(told, match))
        assert (again.tries, again.replays) == (1, 0)
        await told.settled(match)
        assert game_server.methods(match) == ["PUT"]

    @pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
    async def test_of_what_was_withdrawn_is_refused(self, make_told: ToldMaker, game_server: GameServer) -> None:
        told = await make_told(push_retries=MatchClient.PUSH_RETRIES_STANDARD)
        game_server.answer("500")
        match = await told.told()
        await told.matches.cancel(OPERATOR, match.id)
        with pytest.raises(grpc.aio.AioRpcError, match="withdrawn") as refused:
            await Desk(told).replay(await push_of(told, match))
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION

    @pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
    async def test_of_what_there_is_not_is_refused(self, desk: Desk) -> None:
        for call in (desk.replay, desk.get):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(UNKNOWN)
            assert refused.value.code() is grpc.StatusCode.NOT_FOUND
            with pytest.raises(grpc.aio.AioRpcError, match="delivery_id") as refused:
                await call("nonsense")
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_client_that_answered_410_hears_of_matches_again_when_an_operator_says_so(
    told: Told, desk: Desk, game_server: GameServer
) -> None:
    assert not await desk.resume(PUSHED.id)
    game_server.answer("410", "200")
    assert (await told.told(entry_fee_micros=1)).state is MatchState.ABORTED
    assert (await told.told(entry_fee_micros=1)).state is MatchState.ABORTED
    assert await desk.resume(PUSHED.id)
    assert not await desk.resume(PUSHED.id)
    match = await told.told(entry_fee_micros=1)
    assert match.state is MatchState.LIVE
    delivery_id = await push_of(told, match)
    await desk.replay(delivery_id)
    await told.settled(match)
    done = [each for each in await trail(World(told.engine)) if "Deliver" in each[0]]
    assert sorted(done) == [("ReplayDelivery", delivery_id, match.id), ("ResumeDeliveries", f"match_client/{PUSHED.id}", "")]
    with pytest.raises(grpc.aio.AioRpcError, match="client_id"):
        await desk.resume("nobody")


@pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
async def test_a_client_that_was_silenced_does_not_count_as_one_that_hangs(
    told: Told, desk: Desk, game_server: GameServer
) -> None:
    game_server.answer("410", "held")
    for _ in range(7):
        assert (await told.told(entry_fee_micros=1)).state is MatchState.ABORTED
    await desk.resume(PUSHED.id)
    begun = [await told.begin(entry_fee_micros=1) for _ in range(3)]
    await game_server.until_crowd(3)
    game_server.release()
    assert {(await told.settled(each)).state for each in begun} == {MatchState.LIVE}


@pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
async def test_a_client_with_another_url_hears_of_matches_again(
    told: Told, make_told: ToldMaker, game_server: GameServer
) -> None:
    game_server.answer("410", "200")
    assert (await told.told()).state is MatchState.ABORTED
    moved = await make_told(url=f"{game_server.url}&v=2")
    assert (await moved.told()).state is MatchState.LIVE

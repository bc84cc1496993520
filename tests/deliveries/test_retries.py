"""Games' servers that are down, slow or confused, for clients whose matches are pushed again, as Standard Webhooks has it."""

import pytest
from playclock.clock import ManualClock
from playclock.core.delivery import DeliveryState, Method
from playclock.core.match import AbortReason, MatchState
from playclock.engine import OPERATOR
from playclock.v1 import MatchClient

from tests.deliveries.conftest import HASTY, CourierMaker, GameServer, Told, ToldMaker, trust
from tests.matches.conftest import OPENING, check
from tests.outgoing.receivers import Names

STANDARD = MatchClient.PUSH_RETRIES_STANDARD


@pytest.fixture
async def told(make_told: ToldMaker) -> Told:
    return await make_told(push_retries=STANDARD)


class TestDown:
    async def test_for_76_hours_and_then_up_has_the_match_go_live(self, told: Told, game_server: GameServer) -> None:
        game_server.kill()
        try:
            match = await told.follow(await told.begin(play_ms=86_400_000), hours=76)
            assert match.state is MatchState.STARTING
            put = await told.delivery(match)
            assert put is not None
            assert (put.state, put.tries, put.error) == (DeliveryState.PENDING, 9, "CONNECT_FAILED")
        finally:
            game_server.restart()
        await trust(game_server, told)
        match = await told.follow(match, hours=3)
        assert match.state is MatchState.LIVE
        (push,) = game_server.seen(match)
        assert (push["method"], push["id"]) == ("PUT", put.id)

    async def test_for_longer_is_given_up_and_the_fees_go_back(self, told: Told, game_server: GameServer) -> None:
        game_server.answer("500")
        match = await told.follow(await told.begin(), hours=80)
        assert (match.state, match.abort_reason) == (MatchState.ABORTED, AbortReason.NOT_TOLD)
        assert await told.balances() == [OPENING] * 4
        seen = game_server.seen(match)
        assert [each["method"] for each in seen] == ["PUT"] * 10 + ["DELETE"]
        assert len({each["id"] for each in seen}) == 2
        assert len({each["at"] for each in seen[:10]}) == 10  # each try is signed anew, at its own time
        put = await told.delivery(match)
        assert put is not None
        assert (put.state, put.tries, put.status) == (DeliveryState.DEAD, 10, 500)
        delete = await told.delivery(match, Method.DELETE)
        assert delete is not None
        assert delete.state is DeliveryState.DELIVERED


@pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
class TestATry:
    @pytest.mark.parametrize("answer", ["500", "404", "201", "gone", "302 Location=/elsewhere"])
    async def test_that_failed_is_followed_by_another(self, answer: str, told: Told, game_server: GameServer) -> None:
        game_server.answer(answer, answer, "200")
        match = await told.told()
        assert match.state is MatchState.STARTING
        assert (await told.follow(match, hours=0.1)).state is MatchState.LIVE
        seen = game_server.seen(match)
        assert [each["answer"] for each in seen] == [answer, answer, "200"]
        assert len({each["id"] for each in seen}) == 1
        assert not any(each["path"] == "/elsewhere" for each in game_server.everything())

    async def test_that_is_too_slow_is_followed_by_another(self, make_told: ToldMaker, game_server: GameServer) -> None:
        told = await make_told(HASTY, push_retries=STANDARD)
        game_server.answer("silent", "200")
        match = await told.told()
        put = await told.delivery(match)
        assert put is not None
        assert (match.state, put.error) == (MatchState.STARTING, "TIMEOUT")
        assert (await told.follow(match, hours=0.1)).state is MatchState.LIVE

    @pytest.mark.parametrize("status", [429, 503])
    @pytest.mark.parametrize("when", ["7200", "Thu, 01 Jan 2026 02:00:00 GMT"])
    async def test_comes_no_earlier_than_it_is_asked_to(
        self, status: int, when: str, told: Told, game_server: GameServer, clock: ManualClock
    ) -> None:
        game_server.answer(f"{status} Retry-After={when}", "200")
        match = await told.told()
        clock.advance(7_199)
        assert (await told.sweep(match)).state is MatchState.STARTING
        assert len(game_server.seen(match)) == 1
        clock.advance(1)
        assert (await told.sweep(match)).state is MatchState.LIVE

    async def test_that_meets_410_is_the_last_one(self, told: Told, game_server: GameServer) -> None:
        game_server.answer("410")
        match = await told.told()
        assert (match.state, match.abort_reason) == (MatchState.ABORTED, AbortReason.NOT_TOLD)
        other = await told.follow(await told.begin(), hours=1)
        assert (other.state, game_server.seen(other)) == (MatchState.ABORTED, [])
        assert await check(told, [match, other], kept=0) == [OPENING] * 4

    async def test_to_a_name_that_leads_inside_now_is_refused(
        self, make_told: ToldMaker, make_courier: CourierMaker, game_server: GameServer
    ) -> None:
        names = Names(hooks_example_com=[["127.0.0.2"], ["127.0.0.1"], ["127.0.0.2", "127.0.0.1"]])
        courier = make_courier(networks=("127.0.0.2/32",), resolve=names)
        url = f"http://hooks.example.com:{game_server.port}/match-info"
        told = await make_told(courier=courier, url=url, push_retries=STANDARD)
        match, errors = await told.begin(), []
        for hours in (0, 0.002, 0.1):
            match = await told.follow(match, hours)
            put = await told.delivery(match)
            assert put is not None
            errors.append(put.error)
        assert (match.state, errors) == (MatchState.STARTING, ["CONNECT_FAILED", "REFUSED_ADDRESS", "REFUSED_ADDRESS"])
        assert game_server.seen(match) == []


@pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
class TestAMatchThatIsOff:
    async def test_is_not_pushed_any_more(self, told: Told, game_server: GameServer) -> None:
        game_server.answer("500", "200")
        match = await told.told()
        await told.matches.cancel(OPERATOR, match.id)
        match = await told.follow(match, hours=80)
        assert match.state is MatchState.CANCELLED
        assert game_server.methods(match) == ["PUT", "DELETE"]
        put = await told.delivery(match)
        assert put is not None
        assert put.state is DeliveryState.WITHDRAWN

    async def test_is_told_so_after_a_push_that_was_under_way(
        self, told: Told, game_server: GameServer, clock: ManualClock
    ) -> None:
        game_server.answer("held")
        match = await told.begin()
        await game_server.until_crowd(1)
        await told.matches.cancel(OPERATOR, match.id)
        await told.engine.sweeper.sweep()
        assert game_server.methods(match) == ["PUT"]
        game_server.release()
        match = await told.settled(match)
        clock.advance(1)
        assert (await told.sweep(match)).state is MatchState.CANCELLED
        assert game_server.methods(match) == ["PUT", "DELETE"]
        assert await check(told, [match], kept=0) == [OPENING] * 4

    async def test_is_told_so_again_after_a_push_that_came_late(
        self, told: Told, game_server: GameServer, clock: ManualClock
    ) -> None:
        """An engine that stood still over a push until its lease had run out, and the DELETE had been sent."""
        game_server.answer("held")
        match = await told.begin()
        await game_server.until_crowd(1)
        await told.matches.cancel(OPERATOR, match.id)
        clock.advance(60)
        await told.engine.sweeper.sweep()
        await game_server.until_seen(match, "DELETE")
        game_server.release()
        await told.sweep(await told.settled(match))
        assert game_server.methods(match) == ["PUT", "DELETE", "DELETE"]

    async def test_stays_off_however_its_game_server_takes_it(self, told: Told, game_server: GameServer) -> None:
        match = await told.told()
        game_server.answer(delete=("500",))
        await told.matches.cancel(OPERATOR, match.id)
        match = await told.follow(match, hours=80)
        assert match.state is MatchState.CANCELLED
        assert game_server.methods(match) == ["PUT"] + ["DELETE"] * 10
        delete = await told.delivery(match, Method.DELETE)
        assert delete is not None
        assert delete.state is DeliveryState.DEAD

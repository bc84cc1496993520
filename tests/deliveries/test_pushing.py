"""A game's server is told of its match: who answers 200 has it go live, and whatever else aborts it."""

import json

import pytest
from playclock.core.delivery import DeliveryState, Method
from playclock.core.match import AbortReason, MatchState, SeatState
from playclock.core.transfers import PENDING_MAX
from playclock.engine import OPERATOR
from playclock.errors import TooManyTransfers
from playclock.metrics.collector import EngineCollector
from prometheus_client import CollectorRegistry

from tests.deliveries.conftest import HASTY, GameServer, Told, ToldMaker
from tests.matches.conftest import OPENING, PUSHED, check, scores, user


class TestAMatch:
    async def test_goes_live_when_its_game_server_was_told(self, told: Told, game_server: GameServer) -> None:
        begun = await told.begin(3)
        assert (begun.state, begun.is_escrowed) == (MatchState.STARTING, True)
        match = await told.settled(begun)
        assert match.state is MatchState.LIVE
        (push,) = game_server.seen(match)
        assert json.loads(push["body"]) == {
            "match_id": match.id,
            "participants": [{"id": user(number), "team_id": user(number)} for number in range(3)],
            "teams": [{"id": user(number)} for number in range(3)],
        }
        put = await told.delivery(match)
        assert put is not None
        assert (put.state, put.tries, put.status) == (DeliveryState.DELIVERED, 1, 200)
        assert (push["method"], push["id"], push["type"]) == ("PUT", put.id, "application/json")
        await told.matches.report(PUSHED, match.id, scores(1, 2, 3))
        await check(told, [match], kept=30)
        await told.sweep(match)
        assert game_server.methods(match) == ["PUT"]

    @pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
    async def test_goes_live_however_much_comes_after_the_200(self, told: Told, game_server: GameServer) -> None:
        game_server.answer("echo")
        assert (await told.told()).state is MatchState.LIVE

    @pytest.mark.parametrize(
        "answer", ["201", "204", "302 Location=/elsewhere", "400", "429 Retry-After=1", "500", "503", "gone"]
    )
    @pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
    async def test_is_aborted_by_any_other_answer(self, answer: str, told: Told, game_server: GameServer) -> None:
        game_server.answer(answer)
        match = await told.told()
        assert (match.state, match.abort_reason) == (MatchState.ABORTED, AbortReason.NOT_TOLD)
        assert await check(told, [match], kept=0) == [OPENING] * 4
        put = await told.delivery(match)
        assert put is not None
        assert (put.state, put.tries) == (DeliveryState.DEAD, 1)
        await told.sweep(match)
        assert game_server.methods(match) == ["PUT", "DELETE"]

    async def test_is_aborted_by_no_answer_and_called_off(self, make_told: ToldMaker, game_server: GameServer) -> None:
        told = await make_told(HASTY)
        game_server.answer("silent")
        match = await told.sweep(await told.told())
        assert (match.state, match.abort_reason) == (MatchState.ABORTED, AbortReason.NOT_TOLD)
        assert game_server.methods(match) == ["PUT", "DELETE"]
        first, second = game_server.seen(match)
        assert first["body"] == second["body"]
        assert first["id"] != second["id"]
        delete = await told.delivery(match, Method.DELETE)
        assert delete is not None
        assert delete.state is DeliveryState.DELIVERED
        assert await check(told, [match], kept=0) == [OPENING] * 4

    @pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
    async def test_has_nobody_in_it_who_could_not_join(self, told: Told, game_server: GameServer) -> None:
        """Who has too many transfers cannot join, and stays on the way out until one of them is over."""
        match = await told.join(await told.create(client_id=PUSHED.id), 0, 1)
        for number in range(PENDING_MAX):
            await told.engine.transfers.create(
                OPERATOR, "p2", f"t{number}", amount_micros=1, target="revenue/x", timeout_ms=86_400_000
            )
        with pytest.raises(TooManyTransfers):
            await told.join(match, 2)
        await told.matches.start(OPERATOR, match.id)
        match = await told.settled(match)
        assert [seat.state for seat in match.seats] == [SeatState.PAID, SeatState.PAID, SeatState.LEAVING]
        (push,) = game_server.seen(match)
        assert [each["id"] for each in json.loads(push["body"])["participants"]] == [user(0), user(1)]
        heard = await told.matches.report(PUSHED, match.id, scores(1, 2))
        assert heard.match.state is MatchState.FINISHED

    @pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
    async def test_is_aborted_by_a_server_that_wants_to_hear_of_none(self, told: Told, game_server: GameServer) -> None:
        game_server.answer("410")
        first = await told.sweep(await told.told())
        second = await told.sweep(await told.told())
        for match in (first, second):
            assert (match.state, match.abort_reason) == (MatchState.ABORTED, AbortReason.NOT_TOLD)
        assert game_server.methods(first) == ["PUT"]
        assert game_server.seen(second) == []
        put = await told.delivery(second)
        assert put is not None
        assert (put.state, put.error) == (DeliveryState.DEAD, "SILENCED")
        assert await check(told, [first, second], kept=0) == [OPENING] * 4

    async def test_is_not_called_off_where_nobody_was_told(self, make_told: ToldMaker, game_server: GameServer) -> None:
        told = await make_told(url="http://127.0.0.1:9/nobody")
        match = await told.sweep(await told.told())
        assert match.state is MatchState.ABORTED
        assert await told.delivery(match, Method.DELETE) is None
        assert game_server.seen(match) == []

    @pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
    async def test_is_counted_by_what_came_of_telling_it(self, told: Told, game_server: GameServer) -> None:
        registry = CollectorRegistry()
        registry.register(EngineCollector(told.engine))
        game_server.answer("200", "500")
        for _ in range(2):
            await told.sweep(await told.told(entry_fee_micros=1))
        shown = {
            (method, outcome): registry.get_sample_value("playclock_deliveries_total", {"method": method, "outcome": outcome})
            for method, outcome in (("PUT", "delivered"), ("PUT", "failed"), ("PUT", "dead"), ("DELETE", "delivered"))
        }
        assert set(shown.values()) == {1}
        assert registry.get_sample_value("playclock_deliveries_waiting") == 0
        begun = await told.begin(entry_fee_micros=1)
        assert registry.get_sample_value("playclock_deliveries_waiting") == 1
        await told.settled(begun)

    async def test_is_called_off_when_it_is_cancelled(self, told: Told, game_server: GameServer) -> None:
        match = await told.told()
        await told.matches.cancel(OPERATOR, match.id)
        assert (await told.sweep(match)).state is MatchState.CANCELLED
        assert game_server.methods(match) == ["PUT", "DELETE"]
        assert await check(told, [match], kept=0) == [OPENING] * 4

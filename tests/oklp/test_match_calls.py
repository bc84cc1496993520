"""The match calls as they are documented, over real HTTP: tokens of players, results, and the money that follows from them."""

import asyncio
from typing import Any

import pytest
from playclock.stores.base import Store
from playclock.v1 import Match, MatchPlayer

from tests.conftest import FaultInjectingStore
from tests.playwave.conftest import ServerMaker

from .arena import ESTATE, OPENING, ROOTS, UNKNOWN, Arena, error_of, participants, result, teams, user


class InMemory:
    @pytest.fixture(params=["memory"])
    def kind(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)


class TestOnEveryStore:
    async def test_the_documented_report_ends_the_match_and_pays(self, arena: Arena) -> None:
        match = await arena.live()
        response = await arena.finish(result(match, (300, 1), (250, 2)))
        assert response.status_code == 200
        assert response.json() == {
            "match_id": match.match_id,
            "match_status": "finished",
            "participants": [],
            "teams": [
                {"id": user(0), "score": 300, "ranking": 1, "forfeit": False},
                {"id": user(1), "score": 250, "ranking": 2, "forfeit": False},
            ],
        }
        finished = await arena.get(match)
        assert [player.state for player in finished.players] == [MatchPlayer.STATE_SETTLED] * 2
        assert await arena.balances(match, kept=20) == [OPENING - 100 + 180, OPENING - 100, OPENING, OPENING]

    async def test_fifty_at_once_with_two_results_have_one_winner_and_one_answer(self, arena: Arena) -> None:
        match = await arena.live(entry_fee_micros=333, fee_basis_points=777)
        bodies = (result(match, (1, 1), (2, 2)), result(match, (1, 2), (2, 1)))
        await arena.token()
        answers = await asyncio.gather(*(arena.finish(bodies[number % 2], root=ROOTS[number // 2 % 2]) for number in range(50)))
        assert {answer.status_code for answer in answers} == {200}
        (answer,) = {answer.content for answer in answers}
        assert b'"finished"' in answer
        pot, fee = 666, 666 * 777 // 10_000
        assert sorted(await arena.balances(match, kept=fee)) == [667, OPENING, OPENING, 667 + pot - fee]
        counts = [engine.counts.contradicted_results for engine in arena.server.engines]
        assert sum(counts) == 25


class TestTokenInfo(InMemory):
    async def test_says_who_plays_what_and_nothing_else(self, arena: Arena) -> None:
        match = await arena.live()
        for root in ROOTS:
            response = await arena.token_info(await arena.issue(match, 1), root=root)
            assert response.status_code == 200
            assert response.json() == {
                "match_id": match.match_id,
                "user_id": user(1),
                "match_status": "live",
                "submissions_total": 1,
                "submissions_left": 1,
            }
            assert response.headers["cache-control"] == "no-store"
            assert response.headers["content-type"] == "application/json"

    async def test_says_what_the_match_is_waiting_for_and_how_it_ended(self, arena: Arena) -> None:
        async def status(match: Match, token: str) -> str:
            told: dict[str, str] = (await arena.token_info(token)).json()
            assert told["match_id"] == match.match_id
            return told["match_status"]

        created = await arena.join(await arena.create(), 0, 1)
        token = await arena.issue(created)
        assert await status(created, token) == "created"
        await arena.cancel(created)
        assert await status(created, token) == "cancelled"
        live = await arena.live()
        token = await arena.issue(live)
        await arena.finish(result(live, (1, 1), (2, 2)))
        assert await status(live, token) == "finished"
        aborted = await arena.live()
        token = await arena.issue(aborted)
        arena.server.clock.advance(600)
        assert await status(aborted, token) == "aborted"

    async def test_counts_submissions_of_a_pending_tournament(self, arena: Arena) -> None:
        match = await arena.join(await arena.create(synchronous=False, tournament=True, submissions_total=3), 0)
        token = await arena.issue(match)
        accepted = await arena.finish({"match_id": match.match_id, "participants": participants(5)})
        assert accepted.json() == {
            "match_id": match.match_id,
            "match_status": "pending",
            "participants": participants(5),
            "teams": [],
        }
        told = (await arena.token_info(token)).json()
        assert (told["match_status"], told["submissions_total"], told["submissions_left"]) == ("pending", 3, 2)


class TestFinish(InMemory):
    async def test_a_repeat_and_a_contradiction_hear_the_first_answer(self, arena: Arena) -> None:
        match = await arena.live()
        first = await arena.finish(result(match, (300, 1), (250, 2)))
        again = await arena.finish(result(match, (300, 1), (250, 2)))
        other = await arena.finish(result(match, (300, 2), (250, 1)))
        assert first.status_code == again.status_code == other.status_code == 200
        assert first.content == again.content == other.content
        assert (await arena.get(match)).contradictions == 1
        assert (await arena.balances(match, kept=20))[:2] == [1_080, 900]

    async def test_an_asynchronous_game_reports_each_player_once(self, arena: Arena) -> None:
        match = await arena.live(synchronous=False)
        body = {"match_id": match.match_id, "participants": [{"id": user(1), "score": 7}]}
        first = await arena.finish(body)
        assert first.json() == {
            "match_id": match.match_id,
            "match_status": "live",
            "participants": [{"id": user(1), "score": 7}],
            "teams": [],
        }
        assert (await arena.finish({**body, "participants": [{"id": user(1), "score": 9}]})).content == first.content
        last = (await arena.finish({**body, "participants": participants(4)})).json()
        assert (last["match_status"], last["participants"]) == ("finished", participants(4, 7))
        assert [team["ranking"] for team in last["teams"]] == [2, 1]
        assert (await arena.balances(match, kept=20))[:2] == [900, 1_080]

    async def test_who_forfeits_gets_nothing_and_where_all_do_fees_go_back(self, arena: Arena) -> None:
        one, all_ = await arena.live(), await arena.live()
        forfeit = result(one, (0, 0), (0, 1))
        forfeit["teams"][0]["forfeit"] = True
        told = (await arena.finish(forfeit)).json()
        assert told["match_status"] == "finished"
        assert [(team["ranking"], team["forfeit"]) for team in told["teams"]] == [(0, True), (1, False)]
        body = result(all_, (0, 1), (0, 1))
        for team in body["teams"]:
            team["forfeit"] = True
        assert (await arena.finish(body)).json()["match_status"] == "aborted"
        assert (await arena.balances(one, all_, kept=20))[:2] == [900, 1_080]

    async def test_teams_of_several_players_are_called_as_they_were_made(self, arena: Arena) -> None:
        match = await arena.join(await arena.create(players_min=4), 0, 1, 2, 3, team_ids=("red", "blue", "red", "blue"))
        arena.server.clock.advance(3_600)
        await arena.server.engine.sweep()
        assert (await arena.get(match)).state == Match.STATE_LIVE
        body = {
            "match_id": match.match_id,
            "participants": participants(1, 2, 3, 4),
            "teams": [{"id": "red", "score": 4, "ranking": 2}, {"id": "blue", "score": 6, "ranking": 1}],
        }
        assert (await arena.finish(body)).json()["teams"][1] == {"id": "blue", "score": 6, "ranking": 1, "forfeit": False}
        assert await arena.balances(match, kept=40) == [900, 1_080, 900, 1_080]

    @pytest.mark.parametrize("scores", [(2**63 - 1, -(2**63)), (65_536, 300), (-5, -7)])
    async def test_scores_are_wider_than_the_document_says(self, arena: Arena, scores: tuple[int, int]) -> None:
        match = await arena.live()
        told = (await arena.finish(result(match, (scores[0], 0), (scores[1], 0)))).json()
        assert [(team["score"], team["ranking"]) for team in told["teams"]] == [(scores[0], 1), (scores[1], 2)]


class TestWhatIsNotThere(InMemory):
    async def test_a_match_of_another_game_is_as_one_that_is_not_there(self, arena: Arena) -> None:
        match = await arena.live()
        token = await arena.issue(match)
        report = result(match, (1, 1), (2, 2))
        others = await arena.finish(report, client_id="elsewhere")
        unknown = await arena.finish({**report, "match_id": UNKNOWN}, client_id="elsewhere")
        assert error_of(others) == error_of(unknown) == (404, "match_not_found")
        assert others.content == unknown.content
        inspected = await arena.token_info(token, client_id="elsewhere")
        made_up = await arena.token_info("match_x", client_id="elsewhere")
        assert error_of(inspected) == error_of(made_up) == (404, "match_token_not_found")
        assert inspected.content == made_up.content
        assert (await arena.get(match)).state == Match.STATE_LIVE

    async def test_a_token_that_is_over_and_a_player_who_has_left_are_told_apart(self, arena: Arena) -> None:
        match = await arena.join(await arena.create(join_sec=7 * 86_400), 0, 1)
        token, of_other = await arena.issue(match), await arena.issue(match, 1)
        await arena.leave(match, 1)
        assert error_of(await arena.token_info(of_other)) == (404, "player_not_found")
        arena.server.clock.advance(86_400)
        assert error_of(await arena.token_info(token)) == (410, "match_token_expired")
        flipped = token[:-5] + ("A" if token[-5] != "A" else "B") + token[-4:]
        assert error_of(await arena.token_info(flipped)) == (404, "match_token_not_found")

    async def test_a_match_that_is_not_live_takes_no_result(self, arena: Arena) -> None:
        match = await arena.join(await arena.create(), 0, 1)
        assert error_of(await arena.finish(result(match, (1, 1), (2, 2)))) == (409, "wrong_match_state")
        await arena.cancel(match)
        assert error_of(await arena.finish(result(match, (1, 1), (2, 2)))) == (409, "wrong_match_state")
        assert await arena.balances(match, kept=0) == [OPENING] * 4

    async def test_who_does_not_play_has_no_result(self, arena: Arena) -> None:
        match = await arena.live()
        wrongs: list[dict[str, Any]] = [
            {"participants": participants(1, 2, 3)},
            {"participants": [{"id": user(0), "score": 1}] * 2},
            {"teams": teams((1, 1))},
            {"teams": teams((1, 1), (2, 2), (3, 3))},
            {"teams": teams((1, 1), (2, 0))},
            {"participants": [], "teams": []},
        ]
        for wrong in wrongs:
            response = await arena.finish(result(match, (1, 1), (2, 2)) | wrong)
            assert error_of(response) == (400, "invalid_request")
            assert response.json()["error_description"].partition(":")[0] in ("participants", "teams", "teams.ranking")
        assert (await arena.get(match)).state == Match.STATE_LIVE


class TestTrouble(InMemory):
    async def test_while_the_store_is_away_nothing_is_lost_and_nothing_happens_twice(self, make_server: ServerMaker) -> None:
        stores: list[FaultInjectingStore] = []

        def faulty(store: Store) -> FaultInjectingStore:
            stores.append(FaultInjectingStore(store))
            return stores[-1]

        server = await make_server(wrap_store=faulty)
        await server.provision(ESTATE)
        arena = Arena(server)
        match = await arena.live()
        token, report = await arena.issue(match), result(match, (1, 1), (2, 2))
        await arena.token()
        stores[0].is_away = True
        for response in (await arena.finish(report), await arena.token_info(token)):
            assert error_of(response) == (503, "temporarily_unavailable")
            assert response.json()["error_description"] == "Service Unavailable"
            assert int(response.headers["retry-after"]) > 0
        stores[0].is_away = False
        assert (await arena.finish(report)).json()["match_status"] == "finished"
        assert (await arena.balances(match, kept=20))[:2] == [1_080, 900]

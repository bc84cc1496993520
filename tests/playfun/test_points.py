"""Points, leaderboards, streaks and players' sessions, as the documents have them and as the published SDK asks."""

from datetime import date, timedelta
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.playwave.server import Server

from .callers import DEVELOPER, FORBIDDEN, NOT_FOUND, RIVAL, TOO_MANY, UNAUTHORIZED, Developer, bad_request, refused
from .estate import CAPPED, GAME, THEIRS, add_games

SAVE: Final = "/play/dev/batch-save-points"
SOLANA: Final = "sol:9qdvVLY3vLhmvV7uBkLJsQKcHDjxhoUWJ9uZASYEfwwC"
OGP: Final = "770e8400-e29b-41d4-a716-446655440003"
DAY_MS: Final = 86_400_000


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def games(server: Server) -> None:
    await add_games(server)


def batch(*entries: tuple[str, object], game: str = GAME) -> dict[str, Any]:
    """Return a body as the SDK sends it."""
    return {"gameApiKey": game, "points": [{"playerId": player, "points": points} for player, points in entries]}


class TestSaving:
    async def test_points_add_up_for_every_form_of_a_player(self, developer: Developer) -> None:
        saved = await developer.ask("POST", SAVE, json=batch((SOLANA, 100), ("email:user@example.com", "50"), (OGP, 7)))
        assert list(saved) == ["savedCount", "playerIdToOgpId"]
        assert saved["savedCount"] == 3
        assert saved["playerIdToOgpId"].keys() == {SOLANA, "email:user@example.com", OGP}
        assert saved["playerIdToOgpId"][OGP] == OGP
        await developer.ask("POST", SAVE, json=batch((SOLANA.replace("sol:", "solana:"), 11)))
        ogp_id = saved["playerIdToOgpId"][SOLANA]
        told = {"points": [{"playerId": SOLANA, "ogpId": ogp_id, "points": "111", "totalPoints": "111"}]}
        assert await developer.ask("GET", f"/play/dev/points/{GAME}/{SOLANA}") == told
        assert await developer.ask("GET", f"/play/dev/points?gameId={GAME}&playerId={SOLANA}") == told

    async def test_a_signature_that_comes_again_acts_once_and_stands_for_nothing_else(self, developer: Developer) -> None:
        signed = developer.authorization("POST", SAVE)
        first = await developer.ask("POST", SAVE, authorization=signed, json=batch((OGP, 5)))
        assert await developer.ask("POST", SAVE, authorization=signed, json=batch((OGP, 5))) == first
        other = await developer.send("POST", SAVE, authorization=signed, json=batch((OGP, 6)))
        assert refused(other)["statusCode"] == 409
        told = await developer.ask("GET", f"/play/dev/points/{GAME}/{OGP}")
        assert told["points"][0]["points"] == "5"

    async def test_who_cannot_be_resolved_is_told_and_nobody_s_points_are_saved(self, developer: Developer) -> None:
        answer = await developer.send("POST", SAVE, json=batch((OGP, 5), ("invalid-id", 5)))
        assert refused(answer) == bad_request("Unable to resolve playerId: invalid-id")
        told = await developer.ask("GET", f"/play/dev/points/{GAME}/{OGP}")
        assert told["points"][0]["points"] == "0"

    async def test_over_the_cap_the_whole_batch_is_refused_and_the_entry_named(self, developer: Developer) -> None:
        answer = await developer.send("POST", SAVE, json=batch((OGP, 5), (SOLANA, 101), game=CAPPED))
        assert refused(answer) == bad_request("entry 1: 101 would exceed maxScorePerSession of 100")
        told = await developer.ask("GET", f"/play/dev/points/{CAPPED}/{OGP}")
        assert told["points"][0]["points"] == "0"

    async def test_another_developer_s_game_and_an_unknown_one(self, developer: Developer, rival: Developer) -> None:
        assert refused(await rival.send("POST", SAVE, json=batch((OGP, 5)))) == FORBIDDEN
        assert refused(await developer.send("POST", SAVE, json=batch((OGP, 5), game=THEIRS))) == FORBIDDEN
        assert refused(await developer.send("POST", SAVE, json=batch((OGP, 5), game=OGP))) == NOT_FOUND

    @pytest.mark.parametrize("body", [b"{", b"[]", b'{"gameApiKey": 1, "points": 2}'])
    async def test_a_stranger_hears_of_nothing_but_his_signature(self, developer: Developer, body: bytes) -> None:
        wrong = developer.authorization("POST", "/play/dev/points")
        assert refused(await developer.send("POST", SAVE, authorization=wrong, content=body)) == UNAUTHORIZED
        assert refused(await developer.send("POST", SAVE, content=body))["statusCode"] == 400

    @pytest.mark.parametrize("points", [-1, 1.5, "-1", "1.5", "", None, True, 2**53, "1" * 17])
    async def test_points_are_whole_numbers_from_0_on_and_the_entry_that_has_others_is_named(
        self, developer: Developer, points: object
    ) -> None:
        answer = await developer.send("POST", SAVE, json=batch((OGP, 5), (SOLANA, points), (OGP, points)))
        assert refused(answer) == bad_request("Invalid request parameters: points[1].points: expected a whole number from 0 on")

    async def test_points_in_digits_may_be_as_many_as_in_a_number(self, developer: Developer) -> None:
        most = 2**53 - 1
        assert (await developer.ask("POST", SAVE, json=batch((OGP, most), (SOLANA, str(most)))))["savedCount"] == 2
        told = refused(await developer.send("POST", SAVE, json=batch((SOLANA, str(most + 1)))))
        assert told == bad_request(f"Invalid request parameters: points[0].points: expected 0 to {most}")

    @pytest.mark.parametrize(
        ("entry", "problem"),
        [
            ({"points": 1}, "points[1].playerId: expected a string of 1 to 320 characters"),
            ({"playerId": OGP}, "points[1].points: expected a whole number from 0 on"),
            ("x", "points: expected 1 to 1000 objects with playerId and points"),
        ],
    )
    async def test_an_entry_that_lacks_something_is_named(self, developer: Developer, entry: object, problem: str) -> None:
        body = batch((OGP, 5))
        body["points"].append(entry)
        told = refused(await developer.send("POST", SAVE, json=body))
        assert told == bad_request(f"Invalid request parameters: {problem}")

    async def test_a_thousand_entries_and_no_more(self, developer: Developer) -> None:
        entries = [(f"email:player{number}@example.com", 1) for number in range(1001)]
        assert (await developer.ask("POST", SAVE, json=batch(*entries[1:])))["savedCount"] == 1000
        expected = bad_request("Invalid request parameters: points: expected 1 to 1000 objects with playerId and points")
        assert refused(await developer.send("POST", SAVE, json=batch(*entries))) == expected
        assert refused(await developer.send("POST", SAVE, json=batch())) == expected

    async def test_a_developer_s_own_key_is_the_one_game_that_he_may_act_for(
        self, developer: Developer, rival: Developer
    ) -> None:
        saved = await rival.ask("POST", SAVE, json=batch((OGP, 5), game=RIVAL))
        assert saved["savedCount"] == 1
        told = await rival.ask("GET", f"/play/dev/points/{THEIRS}/{OGP}")
        assert told["points"][0]["points"] == "5"
        sentence = "Invalid request parameters: gameId: the API key stands for 2 games: name one by its id"
        assert refused(await developer.send("POST", SAVE, json=batch((OGP, 5), game=DEVELOPER))) == bad_request(sentence)
        assert refused(await developer.send("POST", SAVE, json=batch((OGP, 5), game=RIVAL))) == NOT_FOUND

    async def test_a_developer_may_save_three_times_a_second(self, developer: Developer, rival: Developer) -> None:
        server = developer.server
        quota = 3 * len(server.engines)  # replicas that no background lets tell each other
        answers = [await developer.send("POST", SAVE, json=batch((OGP, 1))) for _ in range(quota + 1)]
        assert [answer.status_code for answer in answers] == [200] * quota + [429]
        assert refused(answers[-1]) == TOO_MANY
        assert answers[-1].headers["retry-after"] == "1"
        assert answers[-1].headers["ratelimit-policy"] == '"point_saves_per_developer";q=3;w=1'
        await rival.ask("POST", SAVE, json=batch((OGP, 1), game=THEIRS))
        refused_once = developer.authorization("POST", SAVE)
        assert (await developer.send("POST", SAVE, json=batch((OGP, 1)), authorization=refused_once)).status_code == 429
        server.clock.advance(1)
        await developer.ask("POST", SAVE, json=batch((OGP, 1)), authorization=refused_once)
        told = await developer.ask("GET", f"/play/dev/points/{GAME}/{OGP}")
        assert told["points"][0]["points"] == str(quota + 1)


class TestLeaderboard:
    async def test_the_best_are_first_ten_of_them_today(self, developer: Developer) -> None:
        players = [f"aa0e8400-e29b-41d4-a716-4466554400{number:02}" for number in range(12)]
        await developer.ask("POST", SAVE, json=batch(*((player, number) for number, player in enumerate(players, 1))))
        board = await developer.ask("GET", f"/play/dev/leaderboard/{GAME}")
        assert board == [{"rank": rank, "playerId": players[12 - rank], "points": str(13 - rank)} for rank in range(1, 11)]
        assert len(await developer.ask("GET", f"/play/dev/leaderboard/{GAME}?limit=12")) == 12

    async def test_a_day_of_the_past_and_one_that_is_none(self, developer: Developer) -> None:
        await developer.ask("POST", SAVE, json=batch((OGP, 3)))
        number = developer.server.clock.now_ms() // DAY_MS
        developer.server.clock.advance(86_400)
        assert await developer.ask("GET", f"/play/dev/leaderboard/{GAME}") == []
        day = _iso(number)
        assert [each["points"] for each in await developer.ask("GET", f"/play/dev/leaderboard/{GAME}?date={day}")] == ["3"]
        answer = await developer.send("GET", f"/play/dev/leaderboard/{GAME}?date=yesterday")
        assert refused(answer) == bad_request("Invalid request parameters: date: expected a day such as 2026-01-31")
        answer = await developer.send("GET", f"/play/dev/leaderboard/{GAME}?limit=0")
        assert refused(answer) == bad_request("Invalid request parameters: limit: expected a whole number from 1 to 100")

    async def test_another_developer_s(self, rival: Developer) -> None:
        assert refused(await rival.send("GET", f"/play/dev/leaderboard/{GAME}")) == FORBIDDEN


class TestStreak:
    async def test_days_with_points_are_counted(self, developer: Developer) -> None:
        path = f"/games/streak?gameId={GAME}&playerId={SOLANA}"
        assert await developer.ask("GET", path) == {"today": False, "streak": 0}
        for _ in range(2):
            developer.server.clock.advance(86_400)
            await developer.ask("POST", SAVE, json=batch((SOLANA, 1)))
        assert await developer.ask("GET", path) == {"today": True, "streak": 2}

    async def test_without_a_player_it_is_the_caller_s_own(self, developer: Developer) -> None:
        await developer.ask("POST", SAVE, json=batch((DEVELOPER, 1)))
        assert await developer.ask("GET", f"/games/streak?gameId={GAME}") == {"today": True, "streak": 1}


class TestRiskySessions:
    async def test_a_session_that_is_too_good_is_shown_with_what_speaks_against_it(
        self, developer: Developer, rival: Developer
    ) -> None:
        path = f"/play/dev/risky-sessions/{CAPPED}"
        for player in (SOLANA, OGP):
            await developer.ask("GET", f"/play/session-token?gameId={CAPPED}&playerId={player}")
        assert await developer.ask("GET", path) == {"sessions": [], "nextCursor": None}
        developer.server.clock.advance(30)
        await developer.ask("POST", SAVE, json=batch((SOLANA, 49), (OGP, 50), game=CAPPED))
        told = await developer.ask("GET", path)
        (risky,) = told["sessions"]
        assert list(risky) == ["id", "playerId", "ogpId", "gameId", "createdAt", "expiresAt", "riskScore", "riskReasons"]
        assert (risky["playerId"], risky["riskScore"], risky["riskReasons"]) == (OGP, 0.6, ["SCORE_PACE"])
        listed = (await developer.ask("GET", f"/play/dev/sessions/{CAPPED}"))["sessions"]
        assert {key: risky[key] for key in listed[0]} in listed
        first = await developer.ask("GET", f"{path}?limit=1")
        rest = await developer.ask("GET", f"{path}?limit=100&cursor={first['nextCursor']}")
        assert [*first["sessions"], *rest["sessions"]] == [risky]
        developer.server.clock.advance(30 * 60)
        assert (await developer.ask("GET", path))["sessions"] == []
        assert refused(await rival.send("GET", path)) == FORBIDDEN
        assert refused(await developer.send("GET", f"/play/dev/risky-sessions/{OGP}")) == NOT_FOUND
        assert refused(await developer.send("GET", f"{path}?limit=0"))["statusCode"] == 400


class TestSessions:
    async def test_a_token_is_good_for_half_an_hour_in_its_developer_s_hands(
        self, developer: Developer, rival: Developer
    ) -> None:
        issued = await developer.ask("GET", f"/play/session-token?gameId={GAME}&playerId={SOLANA}")
        assert list(issued) == ["token", "playerId"]
        assert issued["token"].startswith("player_")
        assert issued["playerId"] == SOLANA
        body = {"sessionToken": issued["token"]}
        path = "/play/dev/validate-session-token"
        valid = await developer.ask("POST", path, json=body)
        assert valid == {"valid": True, "playerId": SOLANA, "gameId": GAME, "ogpId": valid["ogpId"]}
        assert await rival.ask("POST", path, json=body) == {"valid": False}
        assert await developer.ask("POST", path, json={"sessionToken": "player_unknown"}) == {"valid": False}
        developer.server.clock.advance(30 * 60)
        assert await developer.ask("POST", path, json=body) == {"valid": False}

    async def test_sessions_are_listed_and_ended(self, developer: Developer, rival: Developer) -> None:
        issued = await developer.ask("GET", f"/play/session-token?gameId={GAME}&playerId={SOLANA}")
        page = await developer.ask("GET", f"/play/dev/sessions/{GAME}")
        (session,) = page["sessions"]
        assert page["nextCursor"] is None
        assert session.keys() == {"id", "playerId", "ogpId", "gameId", "createdAt", "expiresAt"}
        assert issued["token"] not in str(page)
        order = {"gameId": GAME, "sessionIds": [session["id"]]}
        assert refused(await rival.send("POST", "/play/dev/invalidate-sessions", json=order)) == FORBIDDEN
        ended = await developer.ask("POST", "/play/dev/invalidate-sessions", json=order)
        assert ended == {"invalidatedCount": 1, "sessionIds": [session["id"]]}
        valid = await developer.ask("POST", "/play/dev/validate-session-token", json={"sessionToken": issued["token"]})
        assert valid == {"valid": False}
        answer = await developer.send(
            "POST", "/play/dev/invalidate-sessions", json=order | {"sessionIds": [session["id"]] * 101}
        )
        sentence = "sessionIds: expected 1 to 100 ids of sessions"
        assert refused(answer) == bad_request(f"Invalid request parameters: {sentence}")


def _iso(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()

"""What players' clients do by their session tokens."""

import asyncio
import hashlib
import hmac
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playclock.core.limits import LimitRules, Quota

from tests.playwave.conftest import ServerMaker
from tests.playwave.server import Server

from .callers import DEVELOPER, SECRET, TOO_MANY, UNAUTHORIZED, Developer, bad_request, refused
from .estate import CAPPED, ESTATE, GAME, add_games

PLAYER = "twitter:ann"
CALLS = [
    *(("GET", f"/play/{name}") for name in ("get-points", "streak", "session-state")),
    *(("POST", f"/play/{name}") for name in ("flush", "commit")),
]
HASH = "0" * 64
BODY = {"seq": 1, "points": 1, "prevHash": HASH, "proof": HASH}


@pytest_asyncio.fixture(loop_scope="session")
async def server(make_server: ServerMaker) -> Server:
    made = await make_server()
    await made.provision(ESTATE)
    await add_games(made)
    return made


class Client:
    """A player's client, which calculates its proofs from the documents alone."""

    def __init__(self, developer: Developer, authorization: str, game: str = GAME) -> None:
        self.developer = developer
        self.authorization = authorization
        self.game = game
        self.seq, self.hash, self.key = 0, "", ""

    async def send(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - what httpx takes
        return await self.developer.send(method, path, authorization=self.authorization, **options)

    async def state(self) -> dict[str, Any]:
        """Ask where it is."""
        answer = await self.send("GET", "/play/session-state")
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        self.seq, self.hash, self.key = told["lastSeq"], told["lastHash"], told["stepKey"]
        return told

    def report(self, points: int) -> dict[str, Any]:
        """Return the body of the next report."""
        seq = self.seq + 1
        text = f"{PLAYER}:{self.game}|{seq}|{points}|{self.hash}"
        proof = hmac.new(self.key.encode(), text.encode(), hashlib.sha256).hexdigest()
        return {"seq": seq, "points": points, "prevHash": self.hash, "proof": proof, "clientInstanceId": "a"}

    async def flush(self, points: int) -> dict[str, Any]:
        """Report points, a second after the last report."""
        self.developer.server.clock.advance(1)
        answer = await self.send("POST", "/play/flush", json=self.report(points))
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        self.seq, self.hash, self.key = told["seq"], told["newHash"], told["nextStepKey"]
        return told

    async def commit(self) -> httpx.Response:
        """Let what was reported be saved."""
        return await self.send("POST", "/play/commit", json={"seq": self.seq, "prevHash": self.hash, "referrer": "x"})


async def begin(developer: Developer, player: str = PLAYER, game: str = GAME) -> str:
    """Begin a player's session, and return what his client shows."""
    told = await developer.ask("GET", f"/play/session-token?gameId={game}&playerId={player}")
    return f"Bearer {told['token']}"


async def save(developer: Developer, points: int, game: str = GAME) -> None:
    body = {"gameApiKey": game, "points": [{"playerId": PLAYER, "points": points}]}
    await developer.ask("POST", "/play/dev/batch-save-points", json=body)


async def test_a_player_sees_his_points_and_his_streak_in_the_game_of_the_token(developer: Developer) -> None:
    here, there = await begin(developer), await begin(developer, game=CAPPED)
    await save(developer, 5)
    assert await developer.ask("GET", "/play/get-points", authorization=here) == {"points": "5", "activeMultiplier": 1}
    assert await developer.ask("GET", "/play/streak", authorization=here) == {"today": True, "streak": 1}
    assert await developer.ask("GET", "/play/get-points", authorization=there) == {"points": "0", "activeMultiplier": 1}
    assert await developer.ask("GET", "/play/streak", authorization=there) == {"today": False, "streak": 0}
    developer.server.clock.advance(86_400)
    await save(developer, 1)
    tomorrow = await begin(developer)
    assert await developer.ask("GET", "/play/get-points", authorization=tomorrow) == {"points": "1", "activeMultiplier": 1}
    assert await developer.ask("GET", "/play/streak", authorization=tomorrow) == {"today": True, "streak": 2}


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_only_a_token_of_a_session_that_goes_on_is_let_in(developer: Developer, method: str, path: str) -> None:
    good = await begin(developer)
    unknown = good[:-1] + ("0" if good[-1] != "0" else "1")
    signed = developer.authorization(method, path)
    for wrong in (unknown, good[:-1], good + "0", good.replace("Bearer ", ""), "Bearer", "Bearer " + "x" * 256, "x", signed):
        assert refused(await developer.send(method, path, authorization=wrong, json=BODY)) == UNAUTHORIZED
    assert refused(await developer.server.client().request(method, path, json=BODY)) == UNAUTHORIZED
    twice = [("Authorization", good), ("Authorization", good)]
    assert refused(await developer.server.client().request(method, path, headers=twice, json=BODY)) == UNAUTHORIZED
    (listed,) = (await developer.ask("GET", f"/play/dev/sessions/{GAME}"))["sessions"]
    body = {"gameId": GAME, "sessionIds": [listed["id"]]}
    await developer.ask("POST", "/play/dev/invalidate-sessions", json=body)
    assert refused(await developer.send(method, path, authorization=good, json=BODY)) == UNAUTHORIZED
    late = await begin(developer)
    developer.server.clock.advance(1_800)
    assert refused(await developer.send(method, path, authorization=late, json=BODY)) == UNAUTHORIZED


@pytest.mark.parametrize("kind", ["memory"], indirect=True)
async def test_players_have_a_limit_of_their_own_for_each_address(make_server: ServerMaker) -> None:
    server = await make_server(limits=LimitRules(playfun_players_per_address=Quota(3, 60), playfun_per_address=Quota(1, 60)))
    await server.provision(ESTATE)
    await add_games(server)
    developer = Developer(server, DEVELOPER, SECRET)
    headers = {"Authorization": await begin(developer)}
    answers = [await server.client("127.0.0.2").get("/play/streak", headers=headers) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert refused(answers[-1]) == TOO_MANY
    assert answers[-1].headers["ratelimit-policy"] == '"playfun_players_per_address";q=3;w=60'
    assert (await server.client("127.0.0.3").get("/play/streak", headers=headers)).status_code == 200


class TestReports:
    async def test_points_are_reported_step_by_step_and_count_when_they_are_saved(self, developer: Developer) -> None:
        client = Client(developer, await begin(developer))
        assert await client.state() == {"lastSeq": 0, "lastHash": HASH, "stepKey": client.key, "totalPoints": 0}
        first = await client.flush(10)
        assert first == {"seq": 1, "newHash": client.hash, "nextStepKey": client.key, "total": 10, "added": 10}
        assert (await client.flush(5))["total"] == 15
        assert await client.state() == {"lastSeq": 2, "lastHash": client.hash, "stepKey": client.key, "totalPoints": 15}
        assert (await client.send("GET", "/play/get-points")).json()["points"] == "0"
        saved = await client.commit()
        assert (saved.status_code, saved.json()) == (200, {"saved": True, "status": "accepted", "riskScore": 0.0})
        assert (await client.commit()).json() == saved.json()
        assert (await client.send("GET", "/play/get-points")).json()["points"] == "15"
        (leader,) = await developer.ask("GET", f"/play/dev/leaderboard/{GAME}")
        assert leader["points"] == "15"

    async def test_a_repeat_changes_nothing_and_hears_the_same(self, developer: Developer) -> None:
        client = Client(developer, await begin(developer))
        await client.state()
        body = client.report(10)
        first = await client.flush(10)
        again = await client.send("POST", "/play/flush", json=body)
        assert again.json() == {**first, "duplicate": True}
        await client.flush(5)
        late = await client.send("POST", "/play/flush", json=body)
        assert refused(late)["statusCode"] == 409
        assert (await client.state())["totalPoints"] == 15

    async def test_who_does_not_know_the_step_s_key_reports_nothing(self, developer: Developer) -> None:
        client = Client(developer, await begin(developer))
        await client.state()
        good = client.report(10)
        for wrong in ({"points": 11}, {"proof": "0" * 64}, {"seq": 2}, {"prevHash": "1" * 64}):
            assert refused(await client.send("POST", "/play/flush", json=good | wrong)) == {
                "statusCode": 409,
                "message": client_sentence(wrong),
                "error": "Conflict",
            }
        other = Client(developer, await begin(developer, game=CAPPED), game=CAPPED)
        assert refused(await other.send("POST", "/play/flush", json=good))["statusCode"] == 409
        assert refused(await client.send("POST", "/play/commit", json={"seq": 1, "prevHash": "1" * 64}))["statusCode"] == 409
        assert (await client.state())["totalPoints"] == 0

    @pytest.mark.parametrize(
        "wrong", [{"seq": -1}, {"points": -1}, {"points": 1.5}, {"proof": "x"}, {"prevHash": ""}, {"seq": None}]
    )
    async def test_a_malformed_report_is_refused_with_the_field_s_name(
        self, developer: Developer, wrong: dict[str, Any]
    ) -> None:
        client = Client(developer, await begin(developer))
        answer = refused(await client.send("POST", "/play/flush", json=BODY | wrong))
        assert answer["statusCode"] == 400
        assert answer["message"].startswith(f"Invalid request parameters: {next(iter(wrong))}: ")

    async def test_reports_are_taken_once_a_second_and_saved_every_five(self, developer: Developer) -> None:
        client = Client(developer, await begin(developer))
        await client.state()
        await client.flush(1)
        at_once = await client.send("POST", "/play/flush", json=client.report(1))
        assert refused(at_once) == TOO_MANY
        assert at_once.headers["retry-after"] == "1"
        assert (await client.commit()).status_code == 200
        await client.flush(1)
        early = await client.commit()
        assert refused(early) == TOO_MANY
        assert early.headers["ratelimit-policy"] == '"commits_per_session";q=1;w=5'
        developer.server.clock.advance(4)
        assert (await client.commit()).status_code == 200
        assert (await client.send("GET", "/play/get-points")).json()["points"] == "2"

    async def test_a_session_keeps_its_cap_when_another_one_of_the_player_s_began_and_was_ended(
        self, developer: Developer
    ) -> None:
        client = Client(developer, await begin(developer, game=CAPPED), game=CAPPED)
        await client.state()
        await client.flush(60)
        assert (await client.commit()).status_code == 200
        path = f"/play/dev/sessions/{CAPPED}"
        known = {each["id"] for each in (await developer.ask("GET", path))["sessions"]}
        await begin(developer, game=CAPPED)
        (newer,) = {each["id"] for each in (await developer.ask("GET", path))["sessions"]} - known
        order = {"gameId": CAPPED, "sessionIds": [newer]}
        await developer.ask("POST", "/play/dev/invalidate-sessions", json=order)
        developer.server.clock.advance(5)
        answer = await client.send("POST", "/play/flush", json=client.report(41))
        assert refused(answer) == bad_request("101 would exceed maxScorePerSession of 100")
        await client.flush(40)
        assert (await client.commit()).status_code == 200

    async def test_what_a_cap_would_refuse_is_refused_when_it_is_reported(self, developer: Developer) -> None:
        client = Client(developer, await begin(developer, game=CAPPED), game=CAPPED)
        await client.state()
        await client.flush(60)
        developer.server.clock.advance(1)
        answer = await client.send("POST", "/play/flush", json=client.report(41))
        assert refused(answer) == bad_request("101 would exceed maxScorePerSession of 100")
        await client.flush(40)
        saved = (await client.commit()).json()
        assert saved == {"saved": True, "status": "pending_review", "riskScore": 0.72}
        (risky,) = (await developer.ask("GET", f"/play/dev/risky-sessions/{CAPPED}"))["sessions"]
        assert risky["riskScore"] == 0.72
        assert (await client.send("GET", "/play/get-points")).json()["points"] == "100"

    async def test_many_reports_at_once_are_one(self, developer: Developer) -> None:
        client = Client(developer, await begin(developer))
        await client.state()
        body = client.report(10)
        answers = await asyncio.gather(*(client.send("POST", "/play/flush", json=body) for _ in range(8)))
        assert {answer.status_code for answer in answers} == {200}
        assert [answer.json().get("duplicate", False) for answer in answers].count(False) == 1
        await client.state()
        saved = await asyncio.gather(*(client.commit() for _ in range(8)))
        assert {answer.status_code for answer in saved} == {200}
        assert (await client.send("GET", "/play/get-points")).json()["points"] == "10"


def client_sentence(wrong: dict[str, Any]) -> str:
    """Return what is told of a wrong report before the first."""
    if "seq" in wrong or "prevHash" in wrong:
        return "the last report was number 0: ask for the session's state"
    return "the proof is not this report's: ask for the session's state"

"""What players' clients do by their session tokens."""

import pytest
import pytest_asyncio
from playclock.core.limits import LimitRules, Quota

from tests.playwave.conftest import ServerMaker
from tests.playwave.server import Server

from .callers import DEVELOPER, SECRET, TOO_MANY, UNAUTHORIZED, Developer, refused
from .estate import CAPPED, ESTATE, GAME, add_games

PLAYER = "x:ann"
CALLS = [("GET", "/play/get-points"), ("GET", "/play/streak")]


@pytest_asyncio.fixture(loop_scope="session")
async def server(make_server: ServerMaker) -> Server:
    made = await make_server()
    await made.provision(ESTATE)
    await add_games(made)
    return made


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
        assert refused(await developer.send(method, path, authorization=wrong)) == UNAUTHORIZED
    assert refused(await developer.server.client().request(method, path)) == UNAUTHORIZED
    twice = [("Authorization", good), ("Authorization", good)]
    assert refused(await developer.server.client().request(method, path, headers=twice)) == UNAUTHORIZED
    (listed,) = (await developer.ask("GET", f"/play/dev/sessions/{GAME}"))["sessions"]
    body = {"gameId": GAME, "sessionIds": [listed["id"]]}
    await developer.ask("POST", "/play/dev/invalidate-sessions", json=body)
    assert refused(await developer.send(method, path, authorization=good)) == UNAUTHORIZED
    late = await begin(developer)
    developer.server.clock.advance(1_800)
    assert refused(await developer.send(method, path, authorization=late)) == UNAUTHORIZED


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

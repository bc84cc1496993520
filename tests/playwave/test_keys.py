"""API keys: missing, wrong, withdrawn, another game's; and that a stranger learns nothing of a session."""

import httpx
import pytest
from playclock.v1.provisioning_service_pb2 import ProvisionedGame, Provisioning

from .callers import END, HEARTBEAT, VERIFY, GameServer, LauncherPc
from .envelope import anonymous, data_of, error_of, refusal_of
from .estate import GAME, GAME_KEY, RIVAL_KEY, SPARE_KEY
from .server import Server

UNKNOWN = "gs_550e8400-e29b-41d4-a716-446655440000"
CALLS = [("POST", VERIFY), ("PATCH", HEARTBEAT), ("DELETE", END)]
BODY = {
    "ott": "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
    "provider_user_id": "261",
    "game_session_id": UNKNOWN,
}


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("X-Api-Key", "")],
        [("X-Api-Key", "wrong")],
        [("X-Api-Key", GAME_KEY + "x")],
        [("X-Api-Key", GAME_KEY[:-1])],
        [("X-Api-Key", GAME_KEY.upper())],
        [("X-Api-Key", "caf\u00e9")],
        [("X-Api-Key", "x" * 5000)],
        [("X-Api-Key", GAME_KEY), ("X-Api-Key", GAME_KEY)],
        [("X-Api-Key", GAME_KEY), ("X-Api-Key", "wrong")],
        [("Authorization", f"Bearer {GAME_KEY}")],
        [("Api-Key", GAME_KEY)],
    ],
    ids=[
        *("none", "empty", "wrong", "longer", "shorter", "upper case", "not ASCII", "5 kB", "twice", "two"),
        *("as a bearer token", "in another header"),
    ],
)
async def test_a_key_that_is_missing_or_wrong_is_401_with_the_documented_words(
    server: Server, method: str, path: str, headers: list[tuple[str, str]]
) -> None:
    sent = httpx.Headers(headers, encoding="latin-1")
    response = await server.client().request(method, path, json=BODY, headers=sent)
    assert refusal_of(response) == (401, "INVALID_API_KEY")
    assert error_of(response)["message"] == "API Key is invalid or inactive"


async def test_the_headers_name_may_be_written_in_any_case(server: Server) -> None:
    response = await server.client().post(VERIFY, json=BODY, headers={"x-API-kEY": GAME_KEY})
    assert data_of(response)["reason"] == "OTT_EXPIRED"


async def test_a_key_that_is_withdrawn_is_refused_at_once_and_the_games_other_key_goes_on(
    server: Server, game: GameServer
) -> None:
    session = await server.join()
    await server.provision(Provisioning(games=[ProvisionedGame(id=GAME, name="Champagne Party", api_keys=[SPARE_KEY])]))
    assert refusal_of(await game.heartbeat(session)) == (401, "INVALID_API_KEY")
    assert refusal_of(await game.end(session)) == (401, "INVALID_API_KEY")
    assert data_of(await server.game(SPARE_KEY).heartbeat(session))["result"] == "OK"


async def test_a_session_belongs_to_the_game_and_not_to_the_key_that_opened_it(server: Server, pc: LauncherPc) -> None:
    session = await server.game(SPARE_KEY).join(await pc.ott())
    assert data_of(await server.game(GAME_KEY).heartbeat(session))["result"] == "OK"
    assert data_of(await server.game(GAME_KEY).end(session))["result"] == "SUCCESS"


async def test_a_heartbeat_with_another_games_key_looks_like_one_of_an_unknown_session(server: Server) -> None:
    session, rival = await server.join(), server.game(RIVAL_KEY)
    foreign, unknown = await rival.heartbeat(session), await rival.heartbeat(UNKNOWN)
    assert refusal_of(foreign) == (404, "SESSION_NOT_FOUND")
    assert anonymous(foreign) == anonymous(unknown)


async def test_a_heartbeat_with_another_user_looks_like_one_of_an_unknown_session(server: Server, game: GameServer) -> None:
    session = await server.join(user="261")
    foreign, unknown = await game.heartbeat(session, "262"), await game.heartbeat(UNKNOWN, "262")
    assert refusal_of(foreign) == (404, "SESSION_NOT_FOUND")
    assert anonymous(foreign) == anonymous(unknown)


async def test_an_end_with_another_games_key_looks_like_one_of_an_unknown_session(server: Server) -> None:
    session, rival = await server.join(), server.game(RIVAL_KEY)
    foreign, unknown = await rival.end(session, 5), await rival.end(UNKNOWN, 5)
    assert refusal_of(foreign) == (404, "SESSION_NOT_FOUND")
    assert anonymous(foreign) == anonymous(unknown)


async def test_what_strangers_try_leaves_the_session_and_the_bill_as_they_were(server: Server, game: GameServer) -> None:
    session, rival = await server.join(), server.game(RIVAL_KEY)
    server.clock.advance(100)
    before = await server.session(session), await server.account()
    await rival.heartbeat(session)
    await rival.end(session, 5)
    await game.heartbeat(session, "262")
    assert (await server.session(session), await server.account()) == before
    assert data_of(await game.end(session)) == {
        "result": "SUCCESS",
        "play_duration_sec": 100,
        "client_play_duration_sec": None,
    }


@pytest.mark.parametrize("over", ["ended", "silent", "replaced"])
async def test_a_stranger_learns_nothing_of_a_session_that_is_over_either(
    server: Server, game: GameServer, pc: LauncherPc, over: str
) -> None:
    session, rival = await server.join(pc), server.game(RIVAL_KEY)
    if over == "ended":
        await game.end(session)
    elif over == "silent":
        server.clock.advance(240)
    else:
        await server.join(pc)
    assert anonymous(await rival.heartbeat(session)) == anonymous(await rival.heartbeat(UNKNOWN))
    assert anonymous(await rival.end(session)) == anonymous(await rival.end(UNKNOWN))
    assert anonymous(await game.heartbeat(session, "262")) == anonymous(await game.heartbeat(UNKNOWN, "262"))

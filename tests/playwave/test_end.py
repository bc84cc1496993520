"""The end: its figures, its repeats, what came before it, and the ways in which a body may come with DELETE."""

import json
from collections.abc import AsyncIterator

import pytest
from playclock.core.timers import Timers
from playclock.v1.session_service_pb2 import EndSessionsOfServerRequest, OpenSessionRequest, TerminateSessionRequest
from playclock.v1.session_service_pb2_grpc import SessionServiceStub

from .callers import END, GameServer, LauncherPc
from .conftest import ServerMaker
from .envelope import data_of, error_of, refusal_of
from .estate import COIN, GAME
from .server import Server

ENDED = (410, "SESSION_ENDED")
ALREADY = (409, "ALREADY_ENDED")
NOT_FOUND = (404, "SESSION_NOT_FOUND")
UNKNOWN = "gs_550e8400-e29b-41d4-a716-446655440000"
SECONDS = ("", "-1", "1.5", "2147483648", "99999999999", "%D9%A1", "1e3", "null", "+1", "1_0")


@pytest.mark.parametrize("told", [None, 0, 1795, 2**31 - 1])
async def test_an_end_answers_both_durations_and_bills_neither_more_nor_less_for_the_clients(
    server: Server, game: GameServer, told: int | None
) -> None:
    session = await server.join()
    server.clock.advance(119.5)
    data = data_of(await game.end(session, told))
    assert data == {"result": "SUCCESS", "play_duration_sec": 119, "client_play_duration_sec": told}
    assert list(data) == ["result", "play_duration_sec", "client_play_duration_sec"]
    assert (await server.session(session)).billed_sec == 119


async def test_null_is_as_good_as_no_client_figure(server: Server, game: GameServer) -> None:
    body = {"game_session_id": await server.join(), "play_duration_sec": None}
    response = await game.client.request("DELETE", END, json=body, headers=game.headers)
    assert data_of(response)["client_play_duration_sec"] is None


async def test_a_second_end_is_409_with_the_figures_of_the_first(server: Server, game: GameServer) -> None:
    session = await server.join()
    server.clock.advance(60)
    data_of(await game.end(session, 55))
    server.clock.advance(60)
    for told in (None, 55, 9999):
        refused = await game.end(session, told)
        assert refusal_of(refused) == ALREADY
        assert error_of(refused)["settlement"] == {
            "end_reason": "CLIENT_END",
            "play_duration_sec": 60,
            "client_play_duration_sec": 55,
            "billed_sec": 60,
            "grace_sec": 0,
            "amount_micros": COIN,
        }


async def test_a_heartbeat_after_the_end_is_410(server: Server, game: GameServer) -> None:
    session = await server.join()
    data_of(await game.end(session))
    refused = await game.heartbeat(session)
    assert refusal_of(refused) == ENDED
    assert "settlement" not in error_of(refused)


async def test_an_unknown_session_cannot_be_ended(game: GameServer) -> None:
    assert refusal_of(await game.end(UNKNOWN, 1795)) == NOT_FOUND


async def test_an_ended_session_is_remembered_for_a_day_and_then_as_unknown_as_any(server: Server, game: GameServer) -> None:
    session = await server.join()
    data_of(await game.end(session))
    server.clock.advance(86_399.999)
    await server.engine.sweep()
    assert refusal_of(await game.end(session)) == ALREADY
    assert refusal_of(await game.heartbeat(session)) == ENDED
    server.clock.advance(ms=1)
    assert refusal_of(await game.end(session)) == NOT_FOUND
    assert refusal_of(await game.heartbeat(session)) == NOT_FOUND


async def test_the_launchers_end_ends_the_game_session(server: Server, game: GameServer, pc: LauncherPc) -> None:
    session = await server.join(pc)
    server.clock.advance(30)
    data_of(await pc.end())
    assert refusal_of(await game.heartbeat(session)) == ENDED
    refused = await game.end(session)
    assert refusal_of(refused) == ALREADY
    assert error_of(refused)["settlement"]["play_duration_sec"] == 30


async def test_an_operators_end_is_410_for_heartbeats_and_409_for_ends(server: Server, game: GameServer) -> None:
    session = await server.join()
    server.clock.advance(30)
    await SessionServiceStub(server.operator).TerminateSession(TerminateSessionRequest(game_session_id=session))
    assert refusal_of(await game.heartbeat(session)) == ENDED
    refused = await game.end(session)
    assert refusal_of(refused) == ALREADY
    assert error_of(refused)["settlement"]["end_reason"] == "TERMINATED"


async def test_so_is_the_end_by_a_restart_of_the_game_server(server: Server, game: GameServer, pc: LauncherPc) -> None:
    stub = SessionServiceStub(server.operator)
    opened = await stub.OpenSession(OpenSessionRequest(ott=await pc.ott(), provider_user_id="261", server_id="s-1"))
    await stub.EndSessionsOfServer(EndSessionsOfServerRequest(server_id="s-1", game_id=GAME))
    assert refusal_of(await game.heartbeat(opened.game_session_id)) == ENDED
    refused = await game.end(opened.game_session_id)
    assert refusal_of(refused) == ALREADY
    assert error_of(refused)["settlement"]["end_reason"] == "SERVER_RESTART"


async def test_so_is_the_end_by_the_longest_duration(make_server: ServerMaker) -> None:
    server = await make_server(timers=Timers(session_max_ms=100_000))
    session, game = await server.join(), server.game()
    server.clock.advance(100)
    assert refusal_of(await game.heartbeat(session)) == ENDED
    refused = await game.end(session)
    assert refusal_of(refused) == ALREADY
    assert error_of(refused)["settlement"] == {
        "end_reason": "MAX_DURATION",
        "play_duration_sec": 100,
        "client_play_duration_sec": None,
        "billed_sec": 100,
        "grace_sec": 0,
        "amount_micros": 2 * COIN,
    }


async def in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(body), 7):
        yield body[at : at + 7]


async def test_a_body_in_chunks_is_read(server: Server, game: GameServer) -> None:
    body = json.dumps({"game_session_id": await server.join(), "play_duration_sec": 1795}).encode()
    response = await game.client.request("DELETE", END, content=in_pieces(body), headers=game.headers)
    assert response.request.headers["transfer-encoding"] == "chunked"
    assert data_of(response)["client_play_duration_sec"] == 1795


@pytest.mark.parametrize(("query", "told"), [("", None), ("&play_duration_sec=1795", 1795), ("&play_duration_sec=0", 0)])
async def test_without_a_body_the_query_counts(server: Server, game: GameServer, query: str, told: int | None) -> None:
    response = await game.client.delete(f"{END}?game_session_id={await server.join()}{query}", headers=game.headers)
    assert data_of(response) == {"result": "SUCCESS", "play_duration_sec": 0, "client_play_duration_sec": told}


async def test_where_there_is_a_body_the_query_does_not_count(server: Server, game: GameServer) -> None:
    named, other = await server.join(), await server.join()
    path = f"{END}?game_session_id={other}&play_duration_sec=7"
    response = await game.client.request("DELETE", path, json={"game_session_id": named}, headers=game.headers)
    assert data_of(response)["client_play_duration_sec"] is None
    assert refusal_of(await game.end(named)) == ALREADY
    assert data_of(await game.heartbeat(other))["result"] == "OK"


@pytest.mark.parametrize(
    "query", ["?play_duration_sec=null", "?game_session_id=7", f"?game_session_id={UNKNOWN}&game_session_id=7"]
)
async def test_a_query_that_does_not_count_has_to_be_in_order_all_the_same(
    server: Server, game: GameServer, query: str
) -> None:
    named = await server.join()
    response = await game.client.request("DELETE", END + query, json={"game_session_id": named}, headers=game.headers)
    assert refusal_of(response) == (400, "BAD_REQUEST")
    assert data_of(await game.heartbeat(named))["result"] == "OK"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?",
        "?game_session_id=",
        f"?game_session_id={UNKNOWN}&game_session_id={UNKNOWN}",
        f"?game_session_id={UNKNOWN}%00",
        f"?game_session_id={UNKNOWN}%20",
        f"?game_session_id={UNKNOWN.upper()}",
        "?game_session_id=%ff",
        "?" + "&".join(f"f{number}=1" for number in range(20)),
        *(f"?game_session_id={UNKNOWN}&play_duration_sec={seconds}" for seconds in SECONDS),
    ],
)
async def test_a_query_that_names_no_session_is_a_bad_request(game: GameServer, query: str) -> None:
    response = await game.client.delete(END + query, headers=game.headers)
    assert refusal_of(response) == (400, "BAD_REQUEST")

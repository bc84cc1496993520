"""The envelopes byte for byte: keys, order, types, headers, request ids and timestamps."""

import re

import httpx
import pytest

from .callers import END, HEARTBEAT, LAUNCHER_HEARTBEAT, START, VERIFY, GameServer, LauncherPc
from .envelope import REQUEST_ID, data_of, error_of, refusal_of
from .server import Server

JOIN = {"ott": "a1b2c3d4-e5f6-7890-abcd-ef1234567890", "provider_user_id": "261"}


async def test_a_successful_verify_is_the_documents_example_to_the_byte(game: GameServer, pc: LauncherPc) -> None:
    response = await game.verify(await pc.ott(), X_Request_Id="req_abc123")
    session = response.json()["data"]["game_session_id"]
    assert response.status_code == 200
    assert response.content == (
        b'{"success":true,"request_id":"req_abc123",'
        b'"data":{"is_valid":true,"game_session_id":"%b","is_pc_cafe":true}}' % session.encode()
    )


async def test_a_failed_verify_is_the_documents_example_to_the_byte(game: GameServer) -> None:
    response = await game.verify("a1b2c3d4-e5f6-7890-abcd-ef1234567890", X_Request_Id="req_abc123")
    assert response.status_code == 200
    assert response.content == (b'{"success":true,"request_id":"req_abc123","data":{"is_valid":false,"reason":"OTT_EXPIRED"}}')


async def test_a_heartbeat_and_an_end_are_the_documents_examples_to_the_byte(server: Server, game: GameServer) -> None:
    session = await server.join()
    server.clock.advance(1.999)
    beat = await game.heartbeat(session, X_Request_Id="req_1")
    end = await game.end(session, 1795, X_Request_Id="req_2")
    assert beat.content == (
        b'{"success":true,"request_id":"req_1","data":{"result":"OK","next_heartbeat_in":120,"play_duration_sec":1}}'
    )
    assert end.content == (
        b'{"success":true,"request_id":"req_2",'
        b'"data":{"result":"SUCCESS","play_duration_sec":1,"client_play_duration_sec":1795}}'
    )


async def test_an_end_without_the_clients_figure_answers_null_to_the_byte(server: Server, game: GameServer) -> None:
    response = await game.end(await server.join(), X_Request_Id="req_3")
    assert response.content == (
        b'{"success":true,"request_id":"req_3",'
        b'"data":{"result":"SUCCESS","play_duration_sec":0,"client_play_duration_sec":null}}'
    )


async def test_an_error_is_the_documented_body_to_the_byte_with_the_request_id_of_section_6(server: Server) -> None:
    server.clock.advance(ms=7)
    response = await server.client().post(VERIFY, json=JOIN, headers={"X-Api-Key": "wrong", "X-Request-Id": "req_4"})
    assert response.status_code == 401
    assert response.content == (
        b'{"success":false,"request_id":"req_4","error":{"code":"INVALID_API_KEY",'
        b'"message":"API Key is invalid or inactive","timestamp":"2026-01-01T00:00:00.007Z"}}'
    )


async def test_the_timestamp_of_an_error_is_the_moment_in_utc_with_three_digits(server: Server, game: GameServer) -> None:
    told = []
    for step_ms in (0, 999, 1, 86_400_000):
        server.clock.advance(ms=step_ms)
        told.append(error_of(await game.heartbeat("gs_550e8400-e29b-41d4-a716-446655440000"))["timestamp"])
    assert told == [
        "2026-01-01T00:00:00.000Z",
        "2026-01-01T00:00:00.999Z",
        "2026-01-01T00:00:01.000Z",
        "2026-01-02T00:00:01.000Z",
    ]


async def test_every_answer_has_a_request_id_of_its_own(game: GameServer) -> None:
    ids = [(await game.verify(JOIN["ott"])).json()["request_id"] for _ in range(20)]
    assert len(set(ids)) == 20
    assert all(REQUEST_ID.fullmatch(each) for each in ids)


@pytest.mark.parametrize("given", ["req 1", "x" * 65, "a/b", 'req_"', ""])
async def test_a_callers_request_id_that_is_no_harmless_name_is_replaced(game: GameServer, given: str) -> None:
    response = await game.verify(JOIN["ott"], X_Request_Id=given)
    assert REQUEST_ID.fullmatch(response.json()["request_id"])


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
async def test_verify_takes_post_and_tells_so(server: Server, method: str) -> None:
    response = await server.client().request(method, VERIFY)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    if method != "HEAD":
        assert refusal_of(response) == (405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize(
    ("path", "allow"), [(HEARTBEAT, "PATCH"), (END, "DELETE"), (START, "POST"), (LAUNCHER_HEARTBEAT, "PATCH")]
)
async def test_the_other_calls_tell_their_method_too(server: Server, path: str, allow: str) -> None:
    response = await server.client().put(path, json={})
    assert refusal_of(response) == (405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == allow


@pytest.mark.parametrize(
    "path",
    [
        "/session/verify",  # as the diagram abbreviates it
        "/v1/session/verify",
        "/v1/game/session/verify/",
        "/v1//game/session/verify",
        "/V1/game/session/verify",
        "/v1/game/session/VERIFY",
        "/v1/game/session/verify%00",
        "/v1/game/session/../session/verify%2f",
        "/",
    ],
)
async def test_a_path_that_is_not_exactly_the_documented_one_is_not_found(game: GameServer, pc: LauncherPc, path: str) -> None:
    ott = await pc.ott()
    response = await game.client.post(
        httpx.URL(game.client.base_url).copy_with(raw_path=path.encode()),
        json={"ott": ott, "provider_user_id": "261"},
        headers=game.headers,
    )
    assert refusal_of(response) == (404, "NOT_FOUND")
    assert data_of(await game.verify(ott))["is_valid"] is True


async def test_the_server_has_four_reasons_and_three_results_and_leaves_the_clients_own_to_the_client(server: Server) -> None:
    schemas = (await server.client().get("/openapi.json")).json()["components"]["schemas"]
    assert schemas["Refused"]["properties"]["reason"]["enum"] == [
        "OTT_EXPIRED",
        "OTT_ALREADY_USED",
        "GAME_MISMATCH",
        "NOT_CHARGEABLE",
    ]
    assert schemas["HeartbeatAnswer"]["properties"]["result"]["enum"] == ["OK", "CHARGE_EXHAUSTED", "SESSION_REPLACED"]


async def test_no_answer_names_the_software_behind_it(game: GameServer) -> None:
    response = await game.verify(JOIN["ott"])
    assert "server" not in response.headers
    assert not re.search("uvicorn|python|starlette|grpc", str(response.headers), re.IGNORECASE)

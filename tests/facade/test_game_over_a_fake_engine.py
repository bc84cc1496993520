"""Game-server calls, translated: the documented bodies in and out, and what reaches the engine."""

from typing import TYPE_CHECKING

import grpc
import httpx
import pytest
from playclock.v1 import session_service_pb2 as pb

if TYPE_CHECKING:
    from tests.facade.conftest import FakeEngine

VERIFY = "/v1/game/session/verify"
HEARTBEAT = "/v1/game/session/heartbeat"
END = "/v1/game/session/end"
OTT = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
SESSION = "gs_550e8400-e29b-41d4-a716-446655440000"
KEY = {"X-Api-Key": "dev-game-key"}
REQUEST_ID = {"X-Request-Id": "req_abc123"}
JOIN = {"ott": OTT, "provider_user_id": "261"}
ALIVE = {"game_session_id": SESSION, "provider_user_id": "261"}


async def test_a_valid_ott_is_answered_as_documented(client: httpx.AsyncClient, fake_engine: "FakeEngine") -> None:
    fake_engine.answer(
        "OpenSession",
        pb.OpenSessionResponse(is_valid=True, game_session_id=SESSION, is_pc_cafe=True, next_heartbeat_in=120),
    )
    response = await client.post(VERIFY, json=JOIN, headers=KEY | REQUEST_ID)
    assert response.status_code == 200
    assert response.json() == {
        "success": True,
        "request_id": "req_abc123",
        "data": {"is_valid": True, "game_session_id": SESSION, "is_pc_cafe": True},
    }
    assert response.headers["x-request-id"] == "req_abc123"
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert "connection" not in response.headers
    [call] = fake_engine.calls
    assert call.method == "OpenSession"
    assert call.request == pb.OpenSessionRequest(ott=OTT, provider_user_id="261")
    assert call.metadata["x-api-key"] == "dev-game-key"
    assert call.metadata["x-request-id"] == "req_abc123"
    assert call.metadata.keys() & {"authorization", "x-launcher-credentials-bin"} == set()
    # gRPC rounds a time-out up when it writes it down.
    assert call.deadline_sec == pytest.approx(5, abs=1)


@pytest.mark.parametrize(
    ("reason", "served"),
    [
        (pb.OpenSessionResponse.REASON_OTT_EXPIRED, "OTT_EXPIRED"),
        (pb.OpenSessionResponse.REASON_OTT_ALREADY_USED, "OTT_ALREADY_USED"),
        (pb.OpenSessionResponse.REASON_GAME_MISMATCH, "GAME_MISMATCH"),
        (pb.OpenSessionResponse.REASON_NOT_CHARGEABLE, "NOT_CHARGEABLE"),
        (pb.OpenSessionResponse.REASON_USER_MISMATCH, "GAME_MISMATCH"),
    ],
)
async def test_a_refused_ott_is_an_answer_with_one_of_the_four_documented_reasons(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", reason: "pb.OpenSessionResponse.Reason.ValueType", served: str
) -> None:
    fake_engine.answer("OpenSession", pb.OpenSessionResponse(is_valid=False, reason=reason))
    response = await client.post(VERIFY, json=JOIN, headers=KEY | REQUEST_ID)
    assert response.status_code == 200
    assert response.json() == {
        "success": True,
        "request_id": "req_abc123",
        "data": {"is_valid": False, "reason": served},
    }


async def test_the_idempotency_key_is_the_request_id_of_the_engine(
    client: httpx.AsyncClient, fake_engine: "FakeEngine"
) -> None:
    fake_engine.answer("OpenSession", pb.OpenSessionResponse(is_valid=True, game_session_id=SESSION))
    key = "join 1/" + "x" * 248
    response = await client.post(VERIFY, json=JOIN, headers=KEY | {"Idempotency-Key": key})
    assert response.status_code == 200
    assert fake_engine.calls[0].request.request_id == key


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\u00e9", "a\tb"])
async def test_an_idempotency_key_that_is_none_is_refused(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", key: str
) -> None:
    headers = httpx.Headers([*KEY.items(), ("Idempotency-Key", key)], encoding="latin-1")
    response = await client.post(VERIFY, json=JOIN, headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "BAD_REQUEST")
    assert response.json()["error"]["message"] == "Idempotency-Key: expected 1 to 255 printable ASCII characters"
    assert fake_engine.methods == ["VerifyCaller"]


@pytest.mark.parametrize(
    ("answer", "data"),
    [
        (
            pb.HeartbeatResponse(result=pb.HeartbeatResponse.RESULT_OK, next_heartbeat_in=120, play_duration_sec=1800),
            {"result": "OK", "next_heartbeat_in": 120, "play_duration_sec": 1800},
        ),
        (
            pb.HeartbeatResponse(
                result=pb.HeartbeatResponse.RESULT_CHARGE_EXHAUSTED,
                next_heartbeat_in=60,
                play_duration_sec=3600,
                grace_remaining_sec=0,
            ),
            {"result": "CHARGE_EXHAUSTED", "next_heartbeat_in": 60, "play_duration_sec": 3600, "grace_remaining_sec": 0},
        ),
        (
            pb.HeartbeatResponse(result=pb.HeartbeatResponse.RESULT_SESSION_REPLACED, play_duration_sec=7),
            {"result": "SESSION_REPLACED", "next_heartbeat_in": 0, "play_duration_sec": 7},
        ),
    ],
)
async def test_a_heartbeat_is_answered_as_documented(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", answer: pb.HeartbeatResponse, data: dict[str, object]
) -> None:
    fake_engine.answer("Heartbeat", answer)
    response = await client.patch(HEARTBEAT, json=ALIVE, headers=KEY | REQUEST_ID)
    assert response.status_code == 200
    assert response.json() == {"success": True, "request_id": "req_abc123", "data": data}
    assert fake_engine.calls[0].request == pb.HeartbeatRequest(game_session_id=SESSION, provider_user_id="261")


@pytest.mark.parametrize("told", [None, 0, 1795])
async def test_an_end_is_answered_with_both_durations(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", told: int | None
) -> None:
    fake_engine.answer("EndSession", pb.EndSessionResponse(play_duration_sec=1800, client_play_duration_sec=told))
    body = {"game_session_id": SESSION} | ({} if told is None else {"play_duration_sec": told})
    response = await client.request("DELETE", END, json=body, headers=KEY | REQUEST_ID)
    assert response.status_code == 200
    assert response.json() == {
        "success": True,
        "request_id": "req_abc123",
        "data": {"result": "SUCCESS", "play_duration_sec": 1800, "client_play_duration_sec": told},
    }
    [call] = fake_engine.calls
    assert call.request == pb.EndSessionRequest(game_session_id=SESSION, play_duration_sec=told)
    assert call.request.HasField("play_duration_sec") is (told is not None)


async def test_an_end_whose_body_got_lost_may_come_in_the_query(client: httpx.AsyncClient, fake_engine: "FakeEngine") -> None:
    query = {"game_session_id": SESSION, "play_duration_sec": "1795", "other": "x"}
    assert (await client.delete(END, params=query, headers=KEY)).status_code == 200
    assert (await client.delete(END, params={"game_session_id": SESSION}, headers=KEY)).status_code == 200
    assert [call.request for call in fake_engine.calls] == [
        pb.EndSessionRequest(game_session_id=SESSION, play_duration_sec=1795),
        pb.EndSessionRequest(game_session_id=SESSION),
    ]


async def test_where_an_end_has_a_body_the_query_does_not_count(client: httpx.AsyncClient, fake_engine: "FakeEngine") -> None:
    other = {"game_session_id": SESSION.replace("5", "6"), "play_duration_sec": "1"}
    await client.request("DELETE", END, params=other, json={"game_session_id": SESSION}, headers=KEY)
    assert fake_engine.calls[0].request == pb.EndSessionRequest(game_session_id=SESSION)


@pytest.mark.parametrize("seconds", ["", "-1", "+1", "1.0", "1e3", "1_0", " 1", "\uff11", "2147483648", "9" * 4000, "null"])
async def test_the_query_s_seconds_are_ascii_digits_within_range(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", seconds: str
) -> None:
    query = {"game_session_id": SESSION, "play_duration_sec": seconds}
    response = await client.delete(END, params=query, headers=KEY)
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("play_duration_sec: expected an integer from 0 to")
    assert fake_engine.methods == ["VerifyCaller"]


async def test_an_end_without_body_and_query_names_what_is_missing(client: httpx.AsyncClient) -> None:
    response = await client.delete(END, headers=KEY)
    assert response.status_code == 400
    assert response.json()["error"]["message"] == "game_session_id: expected gs_ and a UUID in lower case"


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [b""],
        [b" "],
        [b"caf\xe9"],
        ["\ud55c\uae00".encode()],
        [b"a\x00b"],
        [b"a\tb"],
        [b"x" * 1025],
        [b"dev-game-key", b"dev-game-key"],
    ],
)
@pytest.mark.parametrize("body", [b'{"game_session_id":1', b"{}"])
async def test_a_call_without_a_usable_key_is_refused_whatever_its_body_is(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", keys: list[bytes], body: bytes
) -> None:
    headers = [(b"X-Api-Key", key) for key in keys]
    response = await client.request("PATCH", HEARTBEAT, content=body, headers=headers)
    assert response.status_code == 401
    error = response.json()["error"]
    assert (error["code"], error["message"]) == ("INVALID_API_KEY", "API Key is invalid or inactive")
    assert fake_engine.calls == []


@pytest.mark.parametrize(
    ("method", "path"), [("POST", VERIFY), ("PATCH", HEARTBEAT), ("DELETE", END)], ids=["verify", "heartbeat", "end"]
)
@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b"{}", b"x" * 70_000, b'{"game_session_id":"gs_x"}', b'{"a":1,"a":1}'],
    ids=["broken", "list", "empty", "long", "malformed", "twice"],
)
async def test_a_malformed_body_is_told_to_those_whom_the_engine_knows_and_to_nobody_else(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", method: str, path: str, content: bytes
) -> None:
    known = await client.request(method, path, content=content, headers=KEY)
    assert (known.status_code, known.json()["error"]["code"]) == (400, "BAD_REQUEST")
    fake_engine.fail("VerifyCaller", grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY")
    stranger = await client.request(method, path, content=content, headers=KEY)
    assert (stranger.status_code, stranger.json()["error"]["code"]) == (401, "INVALID_API_KEY")
    assert fake_engine.methods == ["VerifyCaller", "VerifyCaller"]
    assert {call.metadata["x-api-key"] for call in fake_engine.calls} == {"dev-game-key"}


async def test_a_correct_call_is_one_call_to_the_engine(client: httpx.AsyncClient, fake_engine: "FakeEngine") -> None:
    fake_engine.answer("Heartbeat", pb.HeartbeatResponse(result=pb.HeartbeatResponse.RESULT_OK))
    await client.patch(HEARTBEAT, json=ALIVE, headers=KEY)
    assert fake_engine.methods == ["Heartbeat"]

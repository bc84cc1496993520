"""What callers hear when a call fails: in the envelope, always, and never of our insides."""

import logging
import re
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import httpx
import pytest
from playclock.v1 import session_service_pb2 as pb
from playclock_http import make_app
from playclock_http.endpoint import Endpoint, Reply
from playclock_http.incoming import Incoming
from playclock_http.playwave.codes import CODES
from playclock_http.status import HTTP_STATUS
from starlette.types import ASGIApp, Message, Receive

if TYPE_CHECKING:
    from tests.facade.conftest import ClientMaker, FakeEngine

HEARTBEAT = "/v1/game/session/heartbeat"
END = "/v1/game/session/end"
SESSION = "gs_550e8400-e29b-41d4-a716-446655440000"
KEY = {"X-Api-Key": "dev-game-key"}
ALIVE = {"game_session_id": SESSION, "provider_user_id": "261"}


async def _heartbeat(client: httpx.AsyncClient) -> httpx.Response:
    return await client.patch(HEARTBEAT, json=ALIVE, headers=KEY | {"X-Request-Id": "req_abc123"})


async def test_an_error_is_in_the_documented_envelope(client: httpx.AsyncClient, fake_engine: "FakeEngine") -> None:
    fake_engine.fail("Heartbeat", grpc.StatusCode.NOT_FOUND, "SESSION_NOT_FOUND", "no such session")
    response = await _heartbeat(client)
    assert response.status_code == 404
    assert response.json() == {
        "success": False,
        "request_id": "req_abc123",
        "error": {"code": "SESSION_NOT_FOUND", "message": "no such session", "timestamp": "2026-03-06T12:00:00.005Z"},
    }
    assert response.headers["x-request-id"] == "req_abc123"
    assert response.headers["content-type"] == "application/json"


async def test_by_default_the_timestamp_is_the_host_s_utc(channel: grpc.aio.Channel) -> None:
    transport = httpx.ASGITransport(make_app(channel))
    async with httpx.AsyncClient(transport=transport, base_url="http://facade") as client:
        timestamp = (await client.get("/")).json()["error"]["timestamp"]
    assert re.fullmatch(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z", timestamp)


@pytest.mark.parametrize("reason", sorted(CODES.keys() - {"ALREADY_ENDED", "INVALID_API_KEY"}))
async def test_a_reason_decides_whatever_the_grpc_status_is(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", reason: str
) -> None:
    fake_engine.fail("Heartbeat", grpc.StatusCode.FAILED_PRECONDITION, reason)
    response = await _heartbeat(client)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == CODES[reason]
    assert error["message"] == "a sentence"
    assert error.keys() == {"code", "message", "timestamp"}


@pytest.mark.parametrize("status", list(HTTP_STATUS))
async def test_without_a_reason_the_grpc_status_decides_and_its_sentence_stays_inside(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", status: grpc.StatusCode
) -> None:
    fake_engine.fail("Heartbeat", status, message="secret host 10.0.0.3")
    response = await _heartbeat(client)
    assert (response.status_code, response.json()["error"]["code"]) == HTTP_STATUS[status]
    assert "secret" not in response.text


async def test_details_of_another_domain_and_junk_count_as_none(client: httpx.AsyncClient, fake_engine: "FakeEngine") -> None:
    fake_engine.fail("Heartbeat", grpc.StatusCode.UNAVAILABLE, "SESSION_NOT_FOUND", domain="envoy")
    assert (await _heartbeat(client)).status_code == 503
    fake_engine.fail_with_junk_details("Heartbeat", grpc.StatusCode.RESOURCE_EXHAUSTED)
    response = await _heartbeat(client)
    assert (response.status_code, response.json()["error"]["code"]) == (429, "RATE_LIMITED")
    assert "secret" not in response.text


@pytest.mark.parametrize("status", [grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE])
async def test_the_engine_s_sentence_on_its_own_faults_stays_inside(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", status: grpc.StatusCode
) -> None:
    fake_engine.fail("Heartbeat", status, "STORE_UNAVAILABLE", "secret host 10.0.0.3")
    response = await _heartbeat(client)
    assert response.json()["error"]["message"] == "Service Unavailable"


@pytest.mark.parametrize(("retry_ms", "seconds"), [(1, "1"), (50, "1"), (1_000, "1"), (1_001, "2"), (30_000, "30")])
async def test_a_store_that_is_away_says_when_to_come_back(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", retry_ms: int, seconds: str
) -> None:
    fake_engine.fail("Heartbeat", grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", retry_ms=retry_ms)
    response = await _heartbeat(client)
    assert (response.status_code, response.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert response.headers["retry-after"] == seconds


async def test_no_retry_after_is_made_up(client: httpx.AsyncClient, fake_engine: "FakeEngine") -> None:
    fake_engine.fail("Heartbeat", grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
    assert "retry-after" not in (await _heartbeat(client)).headers


FIGURES = {"play_duration_sec": 1800, "billed_sec": 1790, "grace_sec": 10, "amount_micros": 30_000_000_000}
TOLD = {name: str(figure) for name, figure in FIGURES.items()}


@pytest.mark.parametrize(
    ("metadata", "settlement"),
    [
        (
            {"end_reason": "CLIENT_END", "client_play_duration_sec": "1795", **TOLD},
            {"end_reason": "CLIENT_END", "client_play_duration_sec": 1795, **FIGURES},
        ),
        (
            {"end_reason": "TERMINATED", "something": "new", **TOLD},
            {"end_reason": "TERMINATED", "client_play_duration_sec": None, **FIGURES},
        ),
        *(({"end_reason": "CLIENT_END", **{name: TOLD[name] for name in TOLD if name != missing}}, None) for missing in TOLD),
        ({"end_reason": "CLIENT_END", **TOLD, "amount_micros": "many"}, None),
        ({"end_reason": "CLIENT_END"}, None),
        ({}, None),
    ],
)
async def test_a_second_end_brings_the_settlement_s_figures_as_integers(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", metadata: dict[str, str], settlement: dict[str, Any] | None
) -> None:
    fake_engine.fail("EndSession", grpc.StatusCode.FAILED_PRECONDITION, "ALREADY_ENDED", metadata=metadata)
    response = await client.request("DELETE", END, json={"game_session_id": SESSION}, headers=KEY)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (409, "ALREADY_ENDED")
    assert error.get("settlement") == settlement


async def test_an_engine_that_cannot_be_reached_is_unavailable(caplog: pytest.LogCaptureFixture) -> None:
    async with grpc.aio.insecure_channel("unix:/nonexistent/playclock.sock") as channel:
        transport = httpx.ASGITransport(make_app(channel))
        async with httpx.AsyncClient(transport=transport, base_url="http://facade") as client:
            response = await _heartbeat(client)
            ready = await client.get("/readyz")
            up = await client.get("/healthz")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert "nonexistent" not in response.text
    assert (ready.status_code, up.status_code) == (503, 200)
    assert "request req_abc123: the engine answered UNAVAILABLE" in caplog.text


async def test_an_engine_that_does_not_answer_in_time_is_not_waited_for(
    channel: grpc.aio.Channel, fake_engine: "FakeEngine"
) -> None:
    fake_engine.hang("Heartbeat")
    transport = httpx.ASGITransport(make_app(channel, deadline_sec=0.05))
    async with httpx.AsyncClient(transport=transport, base_url="http://facade") as client:
        response = await _heartbeat(client)
    assert (response.status_code, response.json()["error"]["code"]) == (504, "DEADLINE_EXCEEDED")


async def test_an_answer_that_the_facade_does_not_know_is_a_fault_and_no_guess(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", caplog: pytest.LogCaptureFixture
) -> None:
    fake_engine.answer("Heartbeat", pb.HeartbeatResponse())
    response = await _heartbeat(client)
    assert (response.status_code, response.json()["error"]["code"]) == (500, "INTERNAL_ERROR")
    assert response.json()["error"]["message"] == "Internal Server Error"
    assert "request req_abc123 failed" in caplog.text
    assert "dev-game-key" not in caplog.text


@pytest.mark.parametrize(
    "path", ["/", "/v1/game/session", HEARTBEAT + "/", "//v1/game/session/heartbeat", "/V1/game/session/heartbeat"]
)
async def test_a_path_that_nobody_serves_is_not_found_in_the_envelope(client: httpx.AsyncClient, path: str) -> None:
    response = await client.patch("http://facade" + path, json=ALIVE, headers=KEY)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "NOT_FOUND")
    assert response.json()["request_id"] == response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", HEARTBEAT, "PATCH"),
        ("POST", END, "DELETE"),
        ("HEAD", END, "DELETE"),
        ("OPTIONS", "/v1/launcher/ott", "POST"),
        ("DELETE", "/healthz", "GET, HEAD"),
        ("POST", "/openapi.json", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(client: httpx.AsyncClient, method: str, path: str, allow: str) -> None:
    response = await client.request(method, path, headers=KEY)
    assert response.status_code == 405
    assert response.headers["allow"] == allow
    if method != "HEAD":
        assert response.json()["error"]["code"] == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize("path", ["/healthz", "/openapi.json"])
async def test_a_head_has_the_headers_of_the_get_and_no_body(client: httpx.AsyncClient, path: str) -> None:
    head, get = await client.head(path), await client.get(path)
    assert head.status_code == get.status_code == 200
    assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.content))
    assert head.content == b""


@pytest.mark.parametrize(("status", "http"), [(0, 503), (1, 200), (2, 503), (3, 503)])
async def test_ready_means_that_the_engine_says_it_serves(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", status: int, http: int
) -> None:
    from grpc_health.v1 import health_pb2

    fake_engine.answer("Check", health_pb2.HealthCheckResponse(status=status))
    response = await client.get("/readyz")
    assert response.status_code == http
    assert response.json() == {"status": "SERVING" if http == 200 else "NOT_SERVING"}


@pytest.mark.parametrize(
    ("headers", "closes"),
    [
        ([(b"content-length", b"70000")], True),
        ([(b"transfer-encoding", b"chunked")], True),
        ([(b"content-length", b"0")], False),
        ([], False),
    ],
)
async def test_a_connection_on_which_a_body_was_left_unread_is_closed(
    make_client: "ClientMaker", headers: list[tuple[bytes, bytes]], closes: bool
) -> None:
    asked = 0

    async def the_last_piece() -> Message:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"x", "more_body": False}

    sent = await _run(_app_of(make_client), headers, the_last_piece)
    assert sent[0]["status"] == 401
    assert asked == int(closes)
    assert ((b"connection", b"close") in sent[0]["headers"]) is closes


async def test_a_body_that_grows_beyond_the_cap_is_refused_and_its_connection_closed(make_client: "ClientMaker") -> None:
    asked = 0

    async def flood() -> Message:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"x" * 16_384, "more_body": True}

    headers = [(b"x-api-key", b"dev-game-key"), (b"transfer-encoding", b"chunked")]
    sent = await _run(_app_of(make_client), headers, flood)
    # Five pieces until it is too long, and a mebibyte that is thrown away.
    assert (sent[0]["status"], asked) == (400, 5 + 65)
    assert (b"connection", b"close") in sent[0]["headers"]


async def test_a_bug_is_logged_with_the_request_id_and_the_caller_learns_nothing_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(_incoming: Incoming) -> Reply:
        raise ZeroDivisionError("the secret of the house")

    endpoint = Endpoint({"GET": broken}, lambda refusal, request_id: Reply(500, f"{request_id} {refusal.message}".encode()))
    with caplog.at_level(logging.ERROR):
        sent = await _run(endpoint, [(b"x-request-id", b"r-1")], method="GET")
    assert sent[1]["body"] == b"r-1 "
    assert "request r-1 failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_a_websocket_is_closed(make_client: "ClientMaker") -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    await _app_of(make_client)({"type": "websocket", "path": "/", "headers": []}, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


@pytest.mark.parametrize(
    "wrong",
    [{"deadline_sec": 0}, {"deadline_sec": -1}, {"deadline_sec": float("nan")}, {"engine_token": ""}, {"engine_token": "a\nb"}],
)
async def test_settings_that_make_no_sense_are_refused_at_start_up(channel: grpc.aio.Channel, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        make_app(channel, **wrong)


def _app_of(make_client: "ClientMaker") -> ASGIApp:
    transport = make_client()._transport
    assert isinstance(transport, httpx.ASGITransport)
    app: ASGIApp = transport.app
    return app


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _run(
    app: ASGIApp, headers: list[tuple[bytes, bytes]], receive: Receive = _nothing, *, method: str = "PATCH"
) -> list[Message]:
    """Drive the ASGI app by hand, as a server would, and return what it sent."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": HEARTBEAT,
        "raw_path": HEARTBEAT.encode(),
        "query_string": b"",
        "headers": headers,
        "client": ("198.51.100.7", 40_000),
    }
    await app(scope, receive, send)
    return sent


async def test_a_fault_is_told_to_developers_as_their_platform_documents_it(
    client: httpx.AsyncClient, fake_engine: "FakeEngine"
) -> None:
    for status in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS):
        fake_engine.fail("ListPublicGames", status, "INTERNAL", "secret host 10.0.0.3")
        response = await client.get("/games")
        assert response.status_code == 500
        assert response.json() == {
            "statusCode": 500,
            "message": "An error occurred while processing your request",
            "error": "Internal Server Error",
        }

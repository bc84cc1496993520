"""Launcher calls, translated: what the engine is told of the signature and of the caller's address."""

import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc
import httpx
import pytest
from google.protobuf import json_format
from playclock.v1 import launch_service_pb2 as pb
from playclock.v1.auth_service_pb2 import LauncherCredentials

if TYPE_CHECKING:
    from tests.facade.conftest import ClientMaker, FakeEngine

TOKEN = "ls_4b1d3c5e-8a34-4a6b-9f38-1f5a0d3f2b6c"
GAME = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"
START = {"pc_id": "PC-07", "internal_ip": "192.168.0.17", "hardware": {"cpu": {"cores": 8}, "gpus": ["a", None, True]}}
SIGNED = {"X-Launcher-Id": "launcher-1", "X-Timestamp": "1767225600", "X-Nonce": "nonce-0001", "X-Signature": "ab" * 32}


class Call(NamedTuple):
    method: str
    path: str
    body: dict[str, Any]
    rpc: str


CALLS = [
    Call("POST", "/v1/launcher/session/start", START, "StartLaunch"),
    Call("POST", "/v1/launcher/ott", {"session_token": TOKEN, "game_id": GAME}, "IssueOtt"),
    Call("PATCH", "/v1/launcher/session/heartbeat", {"session_token": TOKEN}, "HeartbeatLaunch"),
    Call("DELETE", "/v1/launcher/session/end", {"session_token": TOKEN}, "EndLaunch"),
]
EVERY_CALL = pytest.mark.parametrize("call", CALLS, ids=[call.rpc for call in CALLS])


def _credentials(metadata: dict[str, str | bytes]) -> LauncherCredentials:
    raw = metadata["x-launcher-credentials-bin"]
    assert isinstance(raw, bytes)
    return LauncherCredentials.FromString(raw)


@EVERY_CALL
async def test_the_signature_is_handed_on_over_what_arrived(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", call: Call
) -> None:
    fake_engine.answer("HeartbeatLaunch", pb.HeartbeatLaunchResponse(result=pb.HeartbeatLaunchResponse.RESULT_OK))
    raw = json.dumps(call.body, indent=3).encode()
    encoded = call.path.replace("launcher", "l%61uncher")
    response = await client.request(call.method, encoded + "?x=1", content=raw, headers=SIGNED | {"X-Request-Id": "r-1"})
    assert response.status_code == 200, response.text
    [recorded] = fake_engine.calls
    assert recorded.method == call.rpc
    assert recorded.metadata["x-request-id"] == "r-1"
    assert recorded.metadata.keys() & {"authorization", "x-api-key"} == set()
    assert _credentials(recorded.metadata) == LauncherCredentials(
        launcher_id="launcher-1",
        timestamp="1767225600",
        nonce="nonce-0001",
        signature="ab" * 32,
        http_method=call.method,
        http_path=encoded,
        body_sha256=hashlib.sha256(raw).digest(),
    )


@EVERY_CALL
async def test_a_remote_engine_is_shown_the_facade_s_own_token(
    make_client: "ClientMaker", fake_engine: "FakeEngine", call: Call
) -> None:
    client = make_client(engine_token="facade-token")
    await client.request(call.method, call.path, json=call.body, headers=SIGNED)
    await client.request(call.method, call.path, content=b"{", headers=SIGNED)
    assert fake_engine.methods == [call.rpc, "VerifyCaller"]
    assert {recorded.metadata["authorization"] for recorded in fake_engine.calls} == {"Bearer facade-token"}


async def test_the_facade_s_token_never_vouches_for_a_game_server(
    make_client: "ClientMaker", fake_engine: "FakeEngine"
) -> None:
    client = make_client(engine_token="facade-token")
    await client.patch("/v1/game/session/heartbeat", content=b"{", headers={"X-Api-Key": "wrong"})
    [call] = fake_engine.calls
    assert call.method == "VerifyCaller"
    assert "authorization" not in call.metadata
    assert call.metadata["x-caller-address"] == "198.51.100.7"
    assert call.metadata["x-caller-address-authorization"] == "Bearer facade-token"


@EVERY_CALL
@pytest.mark.parametrize("name", list(SIGNED))
@pytest.mark.parametrize("values", [[], [b""], [b"caf\xe9"], [b"a b"], [b"x" * 257], [b"a", b"a"]])
async def test_a_header_of_the_signature_that_is_missing_or_malformed_is_a_wrong_signature(
    client: httpx.AsyncClient,
    fake_engine: "FakeEngine",
    call: Call,
    name: str,
    values: list[bytes],
) -> None:
    headers = [(key.encode(), value.encode()) for key, value in SIGNED.items() if key != name]
    headers += [(name.encode(), value) for value in values]
    response = await client.request(call.method, call.path, json=call.body, headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "INVALID_SIGNATURE")
    assert fake_engine.calls == [], call.rpc


@EVERY_CALL
async def test_a_malformed_body_is_told_to_known_launchers_only(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", call: Call
) -> None:
    content = json.dumps(call.body).encode() + b"}"
    known = await client.request(call.method, call.path, content=content, headers=SIGNED)
    assert (known.status_code, known.json()["error"]["code"]) == (400, "BAD_REQUEST")
    fake_engine.fail("VerifyCaller", grpc.StatusCode.UNAUTHENTICATED, "INVALID_SIGNATURE")
    stranger = await client.request(call.method, call.path, content=content, headers=SIGNED)
    assert (stranger.status_code, stranger.json()["error"]["code"]) == (401, "INVALID_SIGNATURE")
    assert fake_engine.methods == ["VerifyCaller", "VerifyCaller"], call.rpc
    assert _credentials(fake_engine.calls[0].metadata).body_sha256 == hashlib.sha256(content).digest()


async def test_a_launch_is_started_for_the_caller_s_address(client: httpx.AsyncClient, fake_engine: "FakeEngine") -> None:
    fake_engine.answer(
        "StartLaunch",
        pb.StartLaunchResponse(
            session_token=TOKEN,
            is_pc_cafe=True,
            cafe=pb.Cafe(id="cafe-1", name="Seoul One"),
            heartbeat_interval=120,
            games=[pb.LaunchableGame(game_id=GAME, name="Champagne Party", image_url="https://cdn.example.com/c.jpg")],
        ),
    )
    headers = SIGNED | {"X-Request-Id": "req_abc123", "X-Forwarded-For": "203.0.113.5"}
    response = await client.post("/v1/launcher/session/start", json=START, headers=headers)
    assert response.status_code == 200
    assert response.json() == {
        "success": True,
        "request_id": "req_abc123",
        "data": {
            "session_token": TOKEN,
            "is_pc_cafe": True,
            "cafe": {"id": "cafe-1", "name": "Seoul One"},
            "heartbeat_interval": 120,
            "games": [{"game_id": GAME, "name": "Champagne Party", "image_url": "https://cdn.example.com/c.jpg"}],
        },
    }
    request = fake_engine.calls[0].request
    assert (request.pc_id, request.internal_ip, request.external_ip) == ("PC-07", "192.168.0.17", "198.51.100.7")
    assert json_format.MessageToDict(request.hardware) == START["hardware"]


async def test_a_trusted_proxy_s_word_on_the_address_counts(make_client: "ClientMaker", fake_engine: "FakeEngine") -> None:
    client = make_client(peer="10.0.0.1", trusted_proxies=["10.0.0.0/8"])
    chain = [("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-For", "203.0.113.5, 10.0.0.2")]
    await client.post("/v1/launcher/session/start", json=START, headers=[*SIGNED.items(), *chain])
    assert fake_engine.calls[0].request.external_ip == "203.0.113.5"


async def test_a_launcher_without_an_address_is_in_no_cafe_and_never_borrows_the_facade_s(
    make_client: "ClientMaker", fake_engine: "FakeEngine"
) -> None:
    client = make_client(peer="", trusted_proxies=["0.0.0.0/0"])
    headers = SIGNED | {"X-Forwarded-For": "203.0.113.5"}
    known = await client.post("/v1/launcher/session/start", json=START, headers=headers)
    assert (known.status_code, known.json()["error"]["code"]) == (403, "NOT_PC_CAFE")
    fake_engine.fail("VerifyCaller", grpc.StatusCode.UNAUTHENTICATED, "REQUEST_REPLAYED")
    stranger = await client.post("/v1/launcher/session/start", json=START, headers=headers)
    assert (stranger.status_code, stranger.json()["error"]["code"]) == (401, "REQUEST_REPLAYED")
    assert fake_engine.methods == ["VerifyCaller", "VerifyCaller"]


@pytest.mark.parametrize(("given", "bound"), [({}, ""), ({"provider_user_id": None}, ""), ({"provider_user_id": "261"}, "261")])
async def test_an_ott_is_issued_and_bound_where_a_player_is_named(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", given: dict[str, Any], bound: str
) -> None:
    ott = "a1b2c3d4-e5f6-4890-abcd-ef1234567890"
    fake_engine.answer("IssueOtt", pb.IssueOttResponse(ott=ott, expires_in=60))
    body = {"session_token": TOKEN, "game_id": GAME, **given}
    response = await client.post("/v1/launcher/ott", json=body, headers=SIGNED)
    assert response.json()["data"] == {"ott": ott, "expires_in": 60}
    assert fake_engine.calls[0].request == pb.IssueOttRequest(session_token=TOKEN, game_id=GAME, provider_user_id=bound)


@pytest.mark.parametrize(
    ("result", "served"),
    [
        (pb.HeartbeatLaunchResponse.RESULT_OK, "OK"),
        (pb.HeartbeatLaunchResponse.RESULT_SESSION_REPLACED, "SESSION_REPLACED"),
    ],
)
async def test_a_launch_is_kept_alive(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", result: "pb.HeartbeatLaunchResponse.Result.ValueType", served: str
) -> None:
    fake_engine.answer("HeartbeatLaunch", pb.HeartbeatLaunchResponse(result=result, next_heartbeat_in=120))
    response = await client.patch("/v1/launcher/session/heartbeat", json={"session_token": TOKEN}, headers=SIGNED)
    assert response.json()["data"] == {"result": served, "next_heartbeat_in": 120}


async def test_a_launch_is_ended(client: httpx.AsyncClient, fake_engine: "FakeEngine") -> None:
    response = await client.request("DELETE", "/v1/launcher/session/end", json={"session_token": TOKEN}, headers=SIGNED)
    assert response.json()["data"] == {"result": "SUCCESS"}
    assert fake_engine.calls[0].request == pb.EndLaunchRequest(session_token=TOKEN)


@EVERY_CALL
async def test_a_launch_that_has_ended_is_gone_but_for_a_second_end_it_is_a_duplicate(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", call: Call
) -> None:
    fake_engine.fail(call.rpc, grpc.StatusCode.FAILED_PRECONDITION, "LAUNCH_ENDED")
    response = await client.request(call.method, call.path, json=call.body, headers=SIGNED)
    expected = (409, "ALREADY_ENDED") if call.rpc == "EndLaunch" else (410, "SESSION_ENDED")
    assert (response.status_code, response.json()["error"]["code"]) == expected
    assert "settlement" not in response.json()["error"]

"""The agent dialect before a fake engine: what it makes of a request, of an answer, and of a refusal."""

import gzip
import json
import re
import zlib
from typing import TYPE_CHECKING, Any, Final

import grpc
import httpx
import pytest
from google.protobuf.message import Message
from playclock.v1 import auth_service_pb2
from playclock.v1 import game_link_service_pb2 as pb
from playclock_http.agents.calls import MAX_BODY_BYTES
from playclock_http.agents.codes import CODES, SENTENCES, code_of
from playclock_http.refusal import Refusal
from playclock_http.status import HTTP_STATUS

if TYPE_CHECKING:
    from tests.facade.conftest import ClientMaker, FakeEngine

LINK: Final = "/api/games/get_game_link"
DEMO: Final = "/api/games/get_game_link_demo"
LIST: Final = "/api/games/list"
PATHS: Final = [LINK, DEMO, LIST]
RPC: Final = {LINK: "CreateGameLink", DEMO: "CreateDemoLink", LIST: "ListAgentGames"}

ORDER: Final[dict[str, Any]] = {
    "agent_id": 1,
    "timestamp": 1640995200,
    "game_id": 123,
    "player_id": "player_123",
    "player_username": "john_doe",
    "language": "ru",
    "currency": "RUB",
    "home_url": "https://example.com",
    "agent_session_id": "session_abc123",
    "ip": "192.168.1.1",
}
ASKED: Final = {"agent_id": 1, "timestamp": 1640995200}
BODY: Final = {LINK: ORDER, DEMO: {name: ORDER[name] for name in ORDER if name != "agent_session_id"}, LIST: ASKED}
ID: Final = "ba9d4445-779f-4b04-8bcb-6d17bc8dc3da"
SIGNATURE: Final = "5f9d16a39801109c441b309cacfc5cd28c9401fe93e462781fa5920f2eb14323"
HEADERS: Final = {"Content-Type": "application/json", "X-Signature": SIGNATURE, "X-Request-Id": ID}
NOW: Final = "2026-03-06T12:00:00.005Z"
UUID4: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

GAMES: Final = [
    pb.AgentGame(number=1, title="Champagne Party", brand="Mega", image_url="https://cdn.example.com/c.jpg", demo=True),
    pb.AgentGame(number=2, title="Книга «Удачи»", brand="", image_url="", demo=False),
]


async def _send(client: httpx.AsyncClient, path: str, body: object = None, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(BODY[path] if body is None else body).encode()
    further = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post(path, content=content, headers=HEADERS | further)


def _error(response: httpx.Response) -> tuple[int, str, str]:
    body = response.json()
    assert list(body) == ["status", "error", "message", "timestamp", "request_id"]
    assert (body["status"], body["timestamp"]) == ("error", NOW)
    assert body["request_id"] == response.headers["x-request-id"]
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    return response.status_code, body["error"], body["message"]


PLAYER: Final = pb.PlayerContext(
    player_id="player_123",
    player_username="john_doe",
    language="ru",
    currency="RUB",
    home_url="https://example.com",
    ip="192.168.1.1",
)


@pytest.mark.parametrize(
    ("path", "request_", "answer"),
    [
        (
            LINK,
            pb.CreateGameLinkRequest(agent_id=1, game_number=123, player=PLAYER, agent_session_id="session_abc123"),
            pb.CreateGameLinkResponse(url="https://game.example.com/play?token=a&gameId=123"),
        ),
        (
            DEMO,
            pb.CreateDemoLinkRequest(agent_id=1, game_number=123, player=PLAYER),
            pb.CreateDemoLinkResponse(url="https://game.example.com/play?token=a&gameId=123"),
        ),
    ],
)
async def test_a_link_is_one_call_with_the_body_as_its_credentials(
    make_client: "ClientMaker", fake_engine: "FakeEngine", path: str, request_: Message, answer: Message
) -> None:
    fake_engine.answer(RPC[path], answer)
    client = make_client(engine_token="the-facade-s", trusted_proxies=["198.51.100.0/24"])
    raw = json.dumps(BODY[path], indent=1).encode()
    response = await _send(client, path, raw, X_Forwarded_For="203.0.113.9")
    assert response.status_code == 200
    assert response.json() == {
        "status": "success",
        "timestamp": NOW,
        "request_id": ID,
        "content": {"url": "https://game.example.com/play?token=a&gameId=123"},
    }
    assert list(response.json()) == ["status", "timestamp", "request_id", "content"]
    (call,) = fake_engine.calls
    assert (call.method, call.request) == (RPC[path], request_)
    assert 4 < call.deadline_sec <= 5
    metadata = {name: call.metadata[name] for name in call.metadata if name.startswith("x-") or name == "authorization"}
    signed = metadata.pop("x-signed-request-bin")
    assert metadata == {
        "x-request-id": ID,
        "authorization": "Bearer the-facade-s",
        "x-caller-address": "203.0.113.9",
        "x-caller-address-authorization": "Bearer the-facade-s",
    }
    assert auth_service_pb2.SignedHttpRequest.FromString(signed) == auth_service_pb2.SignedHttpRequest(  # type: ignore[arg-type]
        scheme=auth_service_pb2.SIGNATURE_SCHEME_AGENT,
        http_method="POST",
        headers=[auth_service_pb2.HttpHeader(name="X-Signature", value=SIGNATURE)],
        body=raw,
    )


async def test_the_longest_body_still_fits_into_the_metadata_of_a_real_channel(
    client: httpx.AsyncClient, fake_engine: "FakeEngine"
) -> None:
    order = {
        name: value if isinstance(value, int) else "é" * (2048 if name == "home_url" else 128) for name, value in ORDER.items()
    }
    order |= {"language": "ru", "currency": "RUB", "ip": "::1", "home_url": "https://example.com/" + "x" * 2028}
    raw = json.dumps(order).replace("/", "\\/").encode()  # as PHP has it
    assert len(raw) < MAX_BODY_BYTES
    raw = raw.ljust(MAX_BODY_BYTES)
    assert (await _send(client, LINK, raw)).status_code == 200
    assert fake_engine.methods == ["CreateGameLink"]
    assert _error(await _send(client, LINK, raw + b" ")) == (
        422,
        "validation_error",
        f"body: longer than {MAX_BODY_BYTES} bytes",
    )


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [{}, {"X-Signature": ""}])
async def test_without_a_signature_nobody_is_asked(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", path: str, headers: dict[str, str]
) -> None:
    response = await client.post(path, content=b"no JSON", headers=headers)
    assert _error(response) == (401, "signature_required", "Missing X-Signature header")
    assert fake_engine.calls == []


@pytest.mark.parametrize(
    "values", [["A" * 64], ["ab"], [SIGNATURE + "0"], ["é"], [" x y "], [SIGNATURE, SIGNATURE], ["x" * 9000]]
)
async def test_what_cannot_be_a_signature_is_handed_on_as_nobody_s(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", values: list[str]
) -> None:
    fake_engine.fail("ListAgentGames", grpc.StatusCode.UNAUTHENTICATED, "INVALID_SIGNATURE")
    headers = [(b"content-type", b"application/json"), *((b"x-signature", value.encode()) for value in values)]
    response = await client.post(LIST, json=ASKED, headers=headers)
    assert (response.status_code, response.json()["error"]) == (403, "invalid_signature")
    (call,) = fake_engine.calls
    signed = auth_service_pb2.SignedHttpRequest.FromString(call.metadata["x-signed-request-bin"])  # type: ignore[arg-type]
    assert [header.value for header in signed.headers] == ["0" * 64]


@pytest.mark.parametrize("reason", sorted(CODES.keys() - {"API_TOKEN_NOT_FOUND", "SIGNATURE_REQUIRED"}))
async def test_a_reason_decides_whatever_the_grpc_status_is(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", reason: str
) -> None:
    fake_engine.fail("CreateGameLink", grpc.StatusCode.FAILED_PRECONDITION, reason)
    status, code, message = _error(await _send(client, LINK))
    assert (status, code) == CODES[reason]
    neutral = httpx.codes.get_reason_phrase(status)
    assert message == SENTENCES.get(reason, neutral if status >= 500 else "a sentence")


@pytest.mark.parametrize(
    ("signer", "heard"),
    [
        ("UNKNOWN", (404, "agent_not_found", "Agent not found")),
        ("WITHOUT_SECRET", (404, "api_token_not_found", "The agent has no API token configured")),
        ("", (403, "invalid_signature", "Invalid request signature")),
    ],
)
async def test_whose_signature_it_cannot_be_is_said(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", signer: str, heard: tuple[int, str, str]
) -> None:
    metadata = {"signer": signer} if signer else {}
    fake_engine.fail("CreateGameLink", grpc.StatusCode.UNAUTHENTICATED, "INVALID_SIGNATURE", metadata=metadata)
    assert _error(await _send(client, LINK)) == heard


@pytest.mark.parametrize("status", list(HTTP_STATUS))
async def test_without_a_reason_the_grpc_status_decides_and_its_sentence_stays_inside(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", status: grpc.StatusCode
) -> None:
    fake_engine.fail("CreateGameLink", status, message="secret host 10.0.0.3")
    heard = _error(await _send(client, LINK))
    http, code = HTTP_STATUS[status]
    assert heard[:2] == ((422, "validation_error") if status is grpc.StatusCode.INVALID_ARGUMENT else (http, code.lower()))
    assert "secret" not in heard[2]


def test_the_statuses_of_documented_codes_are_the_document_s() -> None:
    documented = {
        "signature_required": 401,
        "invalid_signature": 403,
        "agent_not_found": 404,
        "api_token_not_found": 404,
        "game_not_found": 404,
        "game_not_available": 403,
        "game_provider_not_found": 404,
        "method_not_allowed": 405,
        "validation_error": 422,
        "request_expired": 400,
    }
    assert documented.items() <= {code: status for status, code in CODES.values()}.items()


def test_a_reason_of_a_newer_engine_falls_back_on_its_grpc_status() -> None:
    refusal = Refusal("MOON_IS_FULL", "", status=grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert code_of(refusal) == (429, "rate_limited")


async def test_a_limit_is_told_in_the_envelope_and_in_headers(client: httpx.AsyncClient, fake_engine: "FakeEngine") -> None:
    told = {"limit": "calls", "quota": "100", "window_sec": "60"}
    fake_engine.fail("ListAgentGames", grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED", retry_ms=1500, metadata=told)
    response = await _send(client, LIST)
    assert _error(response) == (429, "rate_limited", "a sentence")
    assert response.headers["retry-after"] == "2"
    assert response.headers["ratelimit-policy"] == '"calls";q=100;w=60'


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_any_other_method_is_not_allowed_before_all_else(client: httpx.AsyncClient, path: str, method: str) -> None:
    response = await client.request(method, path)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    if method != "HEAD":
        assert _error(response)[1:] == ("method_not_allowed", "Unsupported HTTP method used")


@pytest.mark.parametrize(
    "path", ["/api/games", "/api/games/", "/api/games/nothing", LIST + "/", "/api/games/a/b", "/api/games/%2e"]
)
async def test_an_unknown_path_below_the_root_is_not_found_in_the_envelope(client: httpx.AsyncClient, path: str) -> None:
    for method in ("GET", "POST"):
        assert _error(await client.request(method, path)) == (404, "not_found", "no such path")
    assert "success" in (await client.post("/api/gamesome")).json()  # not below it


@pytest.mark.parametrize("given", [None, "req_1", ID.upper(), ID + "0", "{" + ID + "}", "00000000-0000-0000-0000-00000000000g"])
async def test_a_request_id_is_a_uuid_whatever_the_caller_says(client: httpx.AsyncClient, given: str | None) -> None:
    headers = {} if given is None else {"X-Request-Id": given}
    request_id = (await client.post(LIST, headers=headers)).json()["request_id"]
    assert UUID4.fullmatch(request_id)
    assert request_id != given


STRINGS: Final = [name for name, value in ORDER.items() if isinstance(value, str)]
BAD_INTEGERS: Final = ["1", 1.5, 1.0, True, None, [1], {}, 2**63, -1]
BAD_STRINGS: Final = ["", 1, None, ["x"], {}, True]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, value) for name in ("agent_id", "timestamp", "game_id") for value in BAD_INTEGERS),
        *((name, value) for name in STRINGS for value in BAD_STRINGS),
        *((name, "x" * 129) for name in ("player_id", "player_username", "agent_session_id")),
        ("home_url", "https://example.com/" + "x" * 2029),
        ("ip", "1" * 46),
    ],
)
async def test_a_wrong_field_is_named_once_the_signature_was_found_good(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", field: str, value: object
) -> None:
    response = await _send(client, LINK, ORDER | {field: value})
    status, code, message = _error(response)
    assert (status, code) == (422, "validation_error")
    assert re.fullmatch(rf"{field}: expected an? [a-zA-Z0-9 ,]+", message)
    assert fake_engine.methods == ["VerifyCaller"]


@pytest.mark.parametrize("path", PATHS)
async def test_every_missing_field_is_named(client: httpx.AsyncClient, path: str) -> None:
    _, _, message = _error(await _send(client, path, {}))
    assert [problem.partition(":")[0] for problem in message.split("; ")] == list(BODY[path])


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "body: not JSON at character 0"),
        (b"null", "body: expected a JSON object"),
        (b"[1]", "body: expected a JSON object"),
        (b"{", "body: not JSON at character 1"),
        (b"\xff", "body: expected UTF-8"),
        (b'{"agent_id":1,"agent_id":1,"timestamp":1}', "body: a key appears twice"),
        (b'{"agent_id":1,"timestamp":NaN}', "body: NaN and Infinity are not JSON"),
        (b'{"agent_id":1,"timestamp":1,"x":"\\ud800"}', "body: a lone surrogate is no character"),
        (b'{"agent_id":100000000000000000000000,"timestamp":1}', "body: a number is out of range"),
        (b'{"agent_id":1,"timestamp":1,"x":' + b"[" * 16 + b"]" * 16 + b"}", "body: nested deeper than 16 levels"),
    ],
)
async def test_a_body_that_is_no_plain_object_is_a_validation_error(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", raw: bytes, message: str
) -> None:
    assert _error(await _send(client, LIST, raw)) == (422, "validation_error", message)
    assert fake_engine.methods == ["VerifyCaller"]


@pytest.mark.parametrize(
    "good", ["application/json", "Application/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"']
)
async def test_json_in_utf_8_is_taken(client: httpx.AsyncClient, good: str) -> None:
    assert (await _send(client, LIST, Content_Type=good)).status_code == 200


@pytest.mark.parametrize(
    "bad", ["", "text/plain", "application/jsonp", "application/json; charset=latin-1", "application/json, x"]
)
async def test_another_content_type_is_a_validation_error(client: httpx.AsyncClient, bad: str) -> None:
    heard = _error(await _send(client, LIST, Content_Type=bad))
    assert heard == (422, "validation_error", "Content-Type: expected application/json")


async def test_a_content_encoding_is_refused(client: httpx.AsyncClient) -> None:
    heard = _error(await _send(client, LIST, gzip.compress(b"{}"), Content_Encoding="gzip"))
    assert heard == (422, "validation_error", "Content-Encoding: not accepted on a request")


@pytest.mark.parametrize("body", [b"no JSON", json.dumps(ORDER | {"game_id": "x"}).encode()])
@pytest.mark.parametrize(
    ("reason", "code"), [("INVALID_SIGNATURE", "invalid_signature"), ("REQUEST_EXPIRED", "request_expired")]
)
async def test_who_has_not_signed_hears_nothing_of_the_body(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", body: bytes, reason: str, code: str
) -> None:
    fake_engine.fail("VerifyCaller", grpc.StatusCode.UNAUTHENTICATED, reason)
    assert _error(await _send(client, LINK, body))[1] == code


async def test_where_the_engine_cannot_tell_who_signed_all_wrong_fields_are_named(
    client: httpx.AsyncClient, fake_engine: "FakeEngine"
) -> None:
    fake_engine.fail("VerifyCaller", grpc.StatusCode.INVALID_ARGUMENT, "BAD_REQUEST", "agent_id: expected a positive integer")
    _, _, message = _error(await _send(client, LIST, {"agent_id": "1"}))
    assert message == "agent_id: expected a positive integer; timestamp: expected an integer, Unix seconds"


async def test_fields_that_the_engine_names_are_named_as_the_agent_has_them(
    client: httpx.AsyncClient, fake_engine: "FakeEngine"
) -> None:
    violations = {"player.language": "expected a language", "game_number": "is required"}
    fake_engine.refuse("CreateGameLink", violations)
    heard = _error(await _send(client, LINK))
    assert heard == (422, "validation_error", "language: expected a language; game_id: is required")


async def test_unknown_fields_are_ignored(client: httpx.AsyncClient) -> None:
    assert (await _send(client, LIST, ASKED | {"lang": {"a": [1.5]}})).status_code == 200


def _listing(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200
    assert response.headers["vary"] == "accept-encoding"
    assert response.headers["cache-control"] == "private, no-cache"
    body = response.json()
    assert list(body) == ["status", "timestamp", "request_id", "content"]
    content: dict[str, Any] = body["content"]
    return content


async def test_a_list_is_told_as_documented(client: httpx.AsyncClient, fake_engine: "FakeEngine") -> None:
    fake_engine.answer("ListAgentGames", pb.ListAgentGamesResponse(games=GAMES, etag="v1"))
    response = await _send(client, LIST, Accept_Encoding="identity")
    assert "content-encoding" not in response.headers
    assert response.headers["etag"] == 'W/"1.v1"'
    assert _listing(response) == {
        "games": [
            {"id": 1, "title": "Champagne Party", "brand": "Mega", "image_url": "https://cdn.example.com/c.jpg", "demo": True},
            {"id": 2, "title": "Книга «Удачи»", "brand": "", "image_url": "", "demo": False},
        ],
        "total": 2,
    }


async def test_a_list_in_gzip_is_one_member_that_holds_what_the_plain_one_does(
    make_client: "ClientMaker", fake_engine: "FakeEngine"
) -> None:
    many = [pb.AgentGame(number=number, title=f"Game {number}", brand="Mega") for number in range(1, 1001)]
    fake_engine.answer("ListAgentGames", pb.ListAgentGamesResponse(games=many, etag="v1"))
    client = make_client()
    plain = await _send(client, LIST, Accept_Encoding="identity")
    async with client.stream("POST", LIST, json=ASKED, headers=HEADERS | {"Accept-Encoding": "gzip, deflate, br"}) as response:
        raw = b"".join([piece async for piece in response.aiter_raw()])
    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["content-length"] == str(len(raw))
    assert len(raw) < len(plain.content) / 5
    member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    assert member.decompress(raw) == plain.content == gzip.decompress(raw)
    assert (member.eof, member.unused_data) == (True, b"")


async def test_a_list_is_fetched_once_for_each_version(client: httpx.AsyncClient, fake_engine: "FakeEngine") -> None:
    fake_engine.answer("ListAgentGames", pb.ListAgentGamesResponse(games=GAMES, etag="v1"))
    first = _listing(await _send(client, LIST))
    fake_engine.answer("ListAgentGames", pb.ListAgentGamesResponse(etag="v1", not_modified=True))
    assert _listing(await _send(client, LIST)) == first
    fake_engine.answer("ListAgentGames", pb.ListAgentGamesResponse(games=GAMES[:1], etag="v2"))
    response = await _send(client, LIST)
    assert (_listing(response)["total"], response.headers["etag"]) == (1, 'W/"1.v2"')
    assert [call.request.if_none_match for call in fake_engine.calls] == ["", "v1", "v1"]


async def test_each_agent_has_a_list_and_versions_of_its_own(client: httpx.AsyncClient, fake_engine: "FakeEngine") -> None:
    fake_engine.answer("ListAgentGames", pb.ListAgentGamesResponse(games=GAMES, etag="v1"))
    mine = await _send(client, LIST)
    fake_engine.answer("ListAgentGames", pb.ListAgentGamesResponse(games=GAMES[:1], etag="v1"))
    others = await _send(client, LIST, ASKED | {"agent_id": 2}, If_None_Match=mine.headers["etag"])
    assert _listing(others)["total"] == 1
    assert [call.request.if_none_match for call in fake_engine.calls] == ["", ""]


@pytest.mark.parametrize("given", ['W/"1.v1"', '"1.v1"', '"x", W/"1.v1"', "*"])
async def test_whose_version_is_still_right_gets_no_body(
    client: httpx.AsyncClient, fake_engine: "FakeEngine", given: str
) -> None:
    fake_engine.answer("ListAgentGames", pb.ListAgentGamesResponse(games=GAMES, etag="v1"))
    response = await _send(client, LIST, If_None_Match=given)
    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["etag"] == 'W/"1.v1"'
    assert response.headers["vary"] == "accept-encoding"
    assert "content-type" not in response.headers
    assert response.headers["x-request-id"] == ID


async def test_who_may_not_have_a_list_hears_nothing_of_its_version(
    client: httpx.AsyncClient, fake_engine: "FakeEngine"
) -> None:
    fake_engine.answer("ListAgentGames", pb.ListAgentGamesResponse(games=GAMES, etag="v1"))
    await _send(client, LIST)
    fake_engine.fail("ListAgentGames", grpc.StatusCode.UNAUTHENTICATED, "INVALID_SIGNATURE")
    response = await _send(client, LIST, If_None_Match="*")
    assert _error(response)[1] == "invalid_signature"
    assert "etag" not in response.headers

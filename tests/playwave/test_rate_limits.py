"""Limits as HTTP tells them: 429 in the envelope of the dialect, with when to come back and what is left."""

from typing import Final

import httpx
import msgspec
import pytest
from playclock.v1.limit_service_pb2 import ADDRESS_LIMIT_PLAYFUN
from playclock_http.address import TrustedProxies
from playclock_http.app import _document, _wall_clock
from playclock_http.endpoint import Endpoint, Reply
from playclock_http.incoming import Incoming
from playclock_http.playwave.codes import CODES
from playclock_http.playwave.envelope import refuser
from playclock_http.ratelimit import AddressLimit
from playclock_http.upstream import Upstream
from starlette.types import ASGIApp

from .conftest import ServerMaker
from .server import Server, listening

NOBODYS: Final = "gs_a1b2c3d4-e5f6-4890-abcd-ef1234567890"
UNKNOWN_OTT: Final = "a1b2c3d4-e5f6-4890-abcd-ef1234567890"


@pytest.fixture(params=["memory"])
def kind(request: pytest.FixtureRequest) -> str:
    """Return the one kind of store that is needed here: what stores share has tests of its own."""
    return str(request.param)


async def guess(server: Server, times: int, **headers: str) -> httpx.Response:
    """Guess a key so often, and return the last answer."""
    stranger = server.game("a-guess")
    for _ in range(times):
        response = await stranger.heartbeat(NOBODYS, **headers)
    return response


async def test_the_answer_is_the_documented_one_with_when_to_come_back(server: Server) -> None:
    assert (await guess(server, 60)).status_code == 401
    server.clock.advance(20.5)
    response = await guess(server, 1, X_Request_Id="req_abc123")
    assert response.status_code == 429
    assert response.json() == {
        "success": False,
        "request_id": "req_abc123",
        "error": {
            "code": "RATE_LIMITED",
            "message": "too many requests, try again later",
            "timestamp": "2026-01-01T00:00:20.500Z",
        },
    }
    assert response.headers["retry-after"] == "40", "39.5 s, rounded up"
    assert response.headers["ratelimit-policy"] == '"wrong_credentials_per_address";q=60;w=60'
    assert response.headers["ratelimit"] == '"wrong_credentials_per_address";r=0;t=40'
    server.clock.advance(float(response.headers["retry-after"]))
    assert (await guess(server, 1)).status_code == 401


async def test_a_cafe_plays_on_behind_the_address_of_who_guesses(server: Server) -> None:
    pc = server.pc()
    session = await server.join(pc)
    assert (await guess(server, 61)).status_code == 429
    game = server.game()
    assert (await game.heartbeat(session)).status_code == 200
    another = await game.join(await pc.ott(), "262")
    assert (await game.heartbeat(session)).json()["data"]["result"] == "SESSION_REPLACED"
    assert (await game.end(another)).status_code == 200
    assert (await game.heartbeat(NOBODYS)).status_code == 429


async def test_who_is_new_there_waits_and_hears_what_a_guess_hears(server: Server) -> None:
    assert (await guess(server, 61)).status_code == 429
    response = await server.game().verify(UNKNOWN_OTT)
    assert (response.status_code, response.json()["error"]["code"]) == (429, "RATE_LIMITED")
    server.clock.advance(60)
    assert (await server.game().verify(UNKNOWN_OTT)).json()["data"]["reason"] == "OTT_EXPIRED"


async def test_a_malformed_body_is_no_way_round(server: Server) -> None:
    headers = {"X-Api-Key": "a-guess"}
    codes = [
        (await server.client().patch("/v1/game/session/heartbeat", content=b"{", headers=headers)).status_code
        for _ in range(61)
    ]
    assert codes == [401] * 60 + [429]


async def test_the_address_is_the_one_before_the_trusted_proxy(make_server: ServerMaker) -> None:
    server = await make_server(trusted_proxies=["127.0.0.0/8"])
    assert (await guess(server, 61, X_Forwarded_For="203.0.113.1")).status_code == 429
    assert (await guess(server, 1, X_Forwarded_For="203.0.113.2")).status_code == 401
    assert (await guess(server, 1, X_Forwarded_For="203.0.113.1")).status_code == 429


async def test_guessing_otts_is_answered_with_429_and_players_join(server: Server) -> None:
    game, pc = server.game(), server.pc()
    token = await pc.ott()
    for _ in range(600):
        assert (await game.verify(UNKNOWN_OTT)).status_code == 200
    response = await game.verify(UNKNOWN_OTT)
    assert response.status_code == 429
    assert response.headers["ratelimit-policy"] == '"refused_otts_per_key";q=600;w=60'
    session = await game.join(token)
    assert (await game.heartbeat(session)).status_code == 200
    assert (await game.end(session)).status_code == 200


class TestALimitOfADialect:
    """60 calls a minute for each address, as play.fun's documents say, on an endpoint of the tests'."""

    @pytest.fixture
    def app(self, server: Server) -> ASGIApp:
        upstream = Upstream(channel=server.operator, deadline_sec=5, engine_token=None)
        limit = AddressLimit(upstream, TrustedProxies([]), ADDRESS_LIMIT_PLAYFUN)

        async def answer(incoming: Incoming) -> Reply:
            return Reply(200, b"{}", tuple(await limit.take(incoming)))

        return Endpoint({"GET": answer}, refuser(CODES, _wall_clock))

    async def test_each_answer_tells_what_is_left_until_nothing_is(self, app: ASGIApp, server: Server) -> None:
        async with listening(app) as url, httpx.AsyncClient(base_url=url) as client:
            first, *_ = responses = [await client.get("/games") for _ in range(60)]
            assert {response.status_code for response in responses} == {200}
            assert first.headers["ratelimit-policy"] == '"playfun_per_address";q=60;w=60'
            assert [response.headers["ratelimit"] for response in (first, responses[-1])] == [
                '"playfun_per_address";r=59;t=60',
                '"playfun_per_address";r=0;t=60',
            ]
            server.clock.advance(59.1)
            refused = await client.get("/games")
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            assert refused.headers["ratelimit"] == '"playfun_per_address";r=0;t=1'
            server.clock.advance(1)
            assert (await client.get("/games")).status_code == 200


def test_the_openapi_document_says_so() -> None:
    document = msgspec.json.decode(_document())
    for path in document["paths"].values():
        for operation in path.values():
            headers = operation["responses"]["429"]["headers"]
            assert set(headers) == {"Retry-After", "RateLimit-Policy", "RateLimit"}

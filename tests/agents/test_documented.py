"""The examples, tables and errors of the agent API's document, on every kind of store."""

import asyncio
import json
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import pytest
from playclock.v1.game_link_service_pb2 import VerifyDemoTokenRequest
from playclock.v1.game_link_service_pb2_grpc import GameLinkServiceStub
from playclock.v1.provisioning_service_pb2 import ProvisionedGame, Provisioning

from tests.playwave.callers import GameServer
from tests.playwave.server import Server

from .callers import DEMO, LINK, LIST, PATHS, AgentServer, Json, as_javascript, as_php, content_of, error_of, signature
from .estate import CHAMPAGNE, CHAMPAGNE_KEY, ELSEWHERE, OTHER_TOKEN


def _query(url: str) -> dict[str, str]:
    pairs = parse_qsl(urlsplit(url).query, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


class TestGetAGameLink:
    async def test_the_example_gets_a_link_whose_token_opens_a_session(self, server: Server, agent: AgentServer) -> None:
        url = content_of(await agent.send(LINK))["url"]
        token = _query(url)["token"]
        assert url == f"https://game.example.com/play?token={token}&gameId=1001&playerId=player_123"
        assert await GameServer(server.client(), CHAMPAGNE_KEY).join(token, "player_123")

    async def test_the_url_of_a_game_keeps_what_it_has(self, agent: AgentServer) -> None:
        url = content_of(await agent.send(LINK, agent.order(game_id=1002)))["url"]
        assert _query(url).keys() == {"lobby", "token", "gameId", "playerId"}
        assert _query(url)["lobby"] == "a b"
        assert urlsplit(url).fragment == "start"

    async def test_the_same_session_id_gets_a_link_to_the_same_launch(self, server: Server, agent: AgentServer) -> None:
        order = agent.order()
        first = content_of(await agent.send(LINK, order))["url"]
        server.clock.advance(2)
        assert content_of(await agent.send(LINK, order | agent.who_and_when))["url"] == first

    async def test_a_hundred_at_once_are_one_launch(self, agent: AgentServer) -> None:
        order = agent.order()
        answers = await asyncio.gather(*(agent.send(LINK, order) for _ in range(100)))
        assert len({content_of(answer)["url"] for answer in answers}) == 1

    async def test_the_same_session_id_with_other_contents_is_a_validation_error(self, agent: AgentServer) -> None:
        order = agent.order()
        content_of(await agent.send(LINK, order))
        response = await agent.send(LINK, order | {"language": "en"})
        assert error_of(response) == (422, "validation_error")
        assert response.json()["message"].startswith("agent_session_id: ")

    async def test_a_signature_that_comes_again_hears_the_first_answer(self, agent: AgentServer) -> None:
        raw = as_php(agent.order())
        first = content_of(await agent.send(LINK, raw))
        assert content_of(await agent.send(LINK, raw)) == first


class TestGetADemoLink:
    async def test_the_example_gets_a_link_and_no_session(self, server: Server, agent: AgentServer) -> None:
        url = content_of(await agent.send(DEMO))["url"]
        token = _query(url)["token"]
        assert url.startswith("https://game.example.com/demo?token=")
        assert {name: _query(url)[name] for name in ("gameId", "playerId")} == {"gameId": "1001", "playerId": "player_123"}
        metadata = (("x-api-key", CHAMPAGNE_KEY),)
        links = GameLinkServiceStub(server.operator)
        demo = await links.VerifyDemoToken(VerifyDemoTokenRequest(token=token), metadata=metadata)
        assert demo.is_valid
        assert demo.player.player_id == "player_123"
        assert demo.virtual_balance_micros > 0
        ott = await GameServer(server.client(), CHAMPAGNE_KEY).verify(token, "player_123")
        assert ott.status_code == 400  # no OTT: no session is opened by it

    async def test_it_takes_no_session_id(self, agent: AgentServer) -> None:
        content_of(await agent.send(DEMO, agent.order(DEMO, agent_session_id=7)))

    async def test_a_game_without_a_demo_has_no_provider(self, agent: AgentServer) -> None:
        assert error_of(await agent.send(DEMO, agent.order(DEMO, game_id=1002))) == (404, "game_provider_not_found")


LISTED: Final = [
    {
        "id": 1001,
        "title": "Champagne Party",
        "brand": "Mega",
        "image_url": "https://cdn.example.com/images/games/champagne_party.jpg",
        "demo": True,
    },
    {
        "id": 1002,
        "title": "Book of Fortune",
        "brand": "Mega",
        "image_url": "https://cdn.example.com/images/games/book_of_fortune.jpg",
        "demo": False,
    },
]


class TestGetTheListOfGames:
    async def test_the_list_is_the_agents_own(self, server: Server, agent: AgentServer) -> None:
        assert content_of(await agent.send(LIST)) == {"games": LISTED, "total": 2}
        other = content_of(await AgentServer(server, 2, OTHER_TOKEN).send(LIST))
        assert [game["id"] for game in other["games"]] == [1003]

    async def test_who_has_it_already_hears_304_until_it_changes(self, server: Server, agent: AgentServer) -> None:
        etags = set()
        for answer in [await agent.send(LIST) for _ in range(4)]:
            etags.add(answer.headers["etag"])
        (etag,) = etags
        response = await agent.send(LIST, If_None_Match=etag)
        assert (response.status_code, response.content) == (304, b"")
        changed = ProvisionedGame()
        changed.CopyFrom(CHAMPAGNE)
        changed.name = "Champagne Party II"
        await server.provision(Provisioning(games=[changed]))
        response = await agent.send(LIST, If_None_Match=etag)
        assert content_of(response)["games"][0]["title"] == "Champagne Party II"
        assert response.headers["etag"] != etag


class TestErrors:
    """The table of error codes, in the order in which the checks are made: each request has all the faults that come later."""

    async def test_method_not_allowed(self, server: Server) -> None:
        for path in PATHS:
            for method in ("GET", "PUT", "DELETE", "PATCH"):
                response = await server.client().request(method, path)
                assert error_of(response) == (405, "method_not_allowed")
                assert response.headers["allow"] == "POST"
            assert (await server.client().head(path)).status_code == 405

    async def test_signature_required(self, server: Server) -> None:
        for path in PATHS:
            assert error_of(await server.client().post(path, json={"agent_id": 9})) == (401, "signature_required")

    async def test_agent_not_found(self, server: Server) -> None:
        stranger = AgentServer(server, 9)
        for path in PATHS:
            for signed in ("0" * 64, "no signature", None):
                response = await stranger.send(path, {"agent_id": 9, "timestamp": 1}, signed=signed)
                assert error_of(response) == (404, "agent_not_found")

    async def test_api_token_not_found(self, server: Server) -> None:
        without = AgentServer(server, 3)
        for path in PATHS:
            for signed in ("0" * 64, "no signature", None):
                response = await without.send(path, {"agent_id": 3, "timestamp": 1}, signed=signed)
                assert error_of(response) == (404, "api_token_not_found")

    async def test_invalid_signature(self, agent: AgentServer) -> None:
        raw = b'{"agent_id":1,"timestamp":1}'
        for path in PATHS:
            for signed in (
                "0" * 64,
                "no signature",
                signature(raw).upper(),
                signature(raw, OTHER_TOKEN),
                signature(raw + b" "),
            ):
                assert error_of(await agent.send(path, raw, signed=signed)) == (403, "invalid_signature")

    async def test_request_expired(self, agent: AgentServer) -> None:
        now = agent.who_and_when["timestamp"]
        for path in PATHS:
            for seconds in (-301, 301):
                response = await agent.send(path, {"agent_id": 1, "timestamp": now + seconds})
                assert error_of(response) == (400, "request_expired")
        for seconds in (-299, 299):
            content_of(await agent.send(LIST, {"agent_id": 1, "timestamp": now + seconds}))

    async def test_validation_error(self, agent: AgentServer) -> None:
        for path in (LINK, DEMO):
            for field in agent.order(path).keys() - {"agent_id", "timestamp"}:
                order = agent.order(path, game_id=9999)
                del order[field]
                response = await agent.send(path, order)
                assert error_of(response) == (422, "validation_error")
                assert response.json()["message"].startswith(f"{field}: ")

    @pytest.mark.parametrize("path", [LINK, DEMO])
    async def test_what_is_no_language_currency_url_or_address_is_named(self, agent: AgentServer, path: str) -> None:
        for field, value in (
            ("language", "russian language"),
            ("language", "xx_QQ"),
            ("currency", "ROUBLE"),
            ("currency", "rub"),
            ("home_url", "javascript:alert(1)"),
            ("home_url", "example.com"),
            ("ip", "192.168.1.256"),
            ("ip", "localhost"),
            ("player_id", "a\u0000b"),
        ):
            response = await agent.send(path, agent.order(path, **{field: value}))
            assert error_of(response) == (422, "validation_error")
            assert response.json()["message"].startswith(f"{field}: ")
            assert value not in response.json()["message"]

    async def test_game_not_found(self, agent: AgentServer) -> None:
        for path in (LINK, DEMO):
            response = await agent.send(path, agent.order(path, game_id=9999))
            assert error_of(response) == (404, "game_not_found")
            assert response.json()["message"] == "Game not found"

    async def test_game_not_available(self, agent: AgentServer) -> None:
        for path in (LINK, DEMO):
            response = await agent.send(path, agent.order(path, game_id=ELSEWHERE.number))
            assert error_of(response) == (403, "game_not_available")

    async def test_nothing_else_is_there(self, agent: AgentServer) -> None:
        assert error_of(await agent.send("/api/games/other", b"{}")) == (404, "not_found")


class TestSpellings:
    ODD: Final[Json] = {
        "player_id": "игрок/№ 1 😀",
        "player_username": 'Ёлка "quoted" \\ /',
        "home_url": "https://example.com/a?b=c/d",
        "bonus": [1.5, {"z": 1, "a": None}, 2**53],
    }

    @pytest.mark.parametrize("write", [as_php, as_javascript])
    async def test_what_php_and_javascript_sign_passes_however_it_is_sent(self, agent: AgentServer, write: object) -> None:
        assert callable(write)
        order = agent.order(**self.ODD)
        signed = signature(write(order))
        # The spelling that was signed, the other one, unsorted, and indented.
        texts = [as_php(order), as_javascript(order), json.dumps(dict(reversed(order.items()))).encode()]
        texts.append(json.dumps(order, indent=2, ensure_ascii=False).encode())
        urls = [content_of(await agent.send(LINK, text, signed=signed))["url"] for text in texts]
        assert len(set(urls)) == 1
        assert _query(urls[0])["playerId"] == self.ODD["player_id"]

    async def test_a_changed_letter_is_another_text(self, agent: AgentServer) -> None:
        order = agent.order(**{name: self.ODD[name] for name in ("player_id", "home_url")})
        signed = signature(as_php(order))
        changed = as_php(order | {"player_id": "игрок/№ 2 😀"})
        assert error_of(await agent.send(LINK, changed, signed=signed)) == (403, "invalid_signature")

    @pytest.mark.parametrize("field", ["agent_id", "timestamp", "game_id"])
    async def test_numbers_are_integers(self, agent: AgentServer, field: str) -> None:
        for value in ("1", 1.5, 1.0, 1e3, True, 2**64, 10**30, -1):
            heard = error_of(await agent.send(LINK, agent.order() | {field: value}))
            # An integer of fewer than 19 digits is a time, however long ago: that it is over counts before that it is none.
            is_a_time = field == "timestamp" and value == -1
            assert heard == ((400, "request_expired") if is_a_time else (422, "validation_error")), value

    async def test_bodies_that_mean_two_things_are_refused(self, agent: AgentServer) -> None:
        when = agent.who_and_when["timestamp"]
        for raw in (
            b'{"agent_id":1,"agent_id":2,"timestamp":%d}' % when,
            b'{"agent_id":1,"timestamp":%d,"x":NaN}' % when,
            b'[{"agent_id":1,"timestamp":%d}]' % when,
            b'{"agent_id":1,"timestamp":%d,"x":%s}' % (when, b"[" * 20 + b"]" * 20),
            b'{"agent_id":1,"timestamp":%d,"x":"%s"}' % (when, b"x" * 9000),
            b"agent_id=1",
            b"",
        ):
            assert error_of(await agent.send(LIST, raw)) == (422, "validation_error"), raw[:40]

    async def test_another_content_type_is_a_validation_error(self, agent: AgentServer) -> None:
        form = "application/x-www-form-urlencoded"
        assert error_of(await agent.send(LIST, Content_Type=form)) == (422, "validation_error")

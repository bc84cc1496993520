"""GameLinkService: what agents ask for by what they have signed, what operators and services do, and what game servers hear."""

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import grpc
import pytest
from playclock.clock import ManualClock
from playclock.core.links import LinkRules
from playclock.core.timers import Timers
from playclock.engine import Engine
from playclock.rpc.inprocess import InProcessChannel
from playclock.v1 import (
    AgentGame,
    CreateDemoLinkRequest,
    CreateDemoLinkResponse,
    CreateGameLinkRequest,
    CreateGameLinkResponse,
    GetSessionRequest,
    HeartbeatRequest,
    HeartbeatResponse,
    ListAgentGamesRequest,
    ListAgentGamesResponse,
    OpenSessionRequest,
    OpenSessionResponse,
    PlayerContext,
    VerifyDemoTokenRequest,
    VerifyDemoTokenResponse,
)

from tests.conftest import World
from tests.links import ATTRIBUTES, GAME_NUMBER, NO_URL_NUMBER, OTHER_AGENT_SECRET, OTHER_NUMBER, UNOFFERED_NUMBER, agents
from tests.rpc.conftest import Rpc

if TYPE_CHECKING:
    from tests.conftest import EngineMaker, FaultInjectingStore

DENIED = (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
BAD = (grpc.StatusCode.INVALID_ARGUMENT, "BAD_REQUEST")
CHAMPAGNE = AgentGame(
    number=123, title="Champagne Party", brand="Mega", image_url="https://cdn.example.com/champagne.jpg", demo=True
)


@pytest.fixture(autouse=True)
async def agents_and_games(world: World) -> None:
    await world.provision(agents(world))


def player(**changed: str) -> PlayerContext:
    return PlayerContext(
        **{
            "player_id": "player_123",
            "player_username": "john_doe",
            "language": "ru",
            "currency": "RUB",
            "home_url": "https://example.com",
            "ip": "192.168.1.1",
            **changed,
        }
    )


def game_link(
    agent_id: int = 0, number: int = GAME_NUMBER, session: str = "session_abc123", **changed: str
) -> CreateGameLinkRequest:
    return CreateGameLinkRequest(agent_id=agent_id, game_number=number, player=player(**changed), agent_session_id=session)


def demo_link(agent_id: int = 0, number: int = GAME_NUMBER, **changed: str) -> CreateDemoLinkRequest:
    return CreateDemoLinkRequest(agent_id=agent_id, game_number=number, player=player(**changed))


def token_in(link: CreateGameLinkResponse | CreateDemoLinkResponse) -> str:
    (token,) = parse_qs(urlsplit(link.url).query)["token"]
    return token


async def opened(rpc: Rpc, link: CreateGameLinkResponse) -> OpenSessionResponse:
    request = OpenSessionRequest(ott=token_in(link), provider_user_id="player_123")
    return await rpc.sessions.OpenSession(request, metadata=rpc.GAME)


class TestAnAgent:
    async def test_gets_a_link_that_a_game_server_redeems(self, rpc: Rpc, near: Rpc, clock: ManualClock) -> None:
        for number, calls in enumerate((rpc, near)):
            link = await calls.links.CreateGameLink(
                game_link(session=f"session {number}"), metadata=calls.signed_by_agent(once=str(number))
            )
            assert link.expires_at_ms == clock.now_ms() + 300_000
            session = await opened(calls, link)
            told = {**ATTRIBUTES, "agent_session_id": f"session {number}"}
            assert (session.is_valid, session.is_pc_cafe, dict(session.attributes)) == (True, False, told)
            shown = await calls.sessions.GetSession(
                GetSessionRequest(game_session_id=session.game_session_id), metadata=calls.GAME
            )
            assert (dict(shown.session.attributes), shown.session.is_pc_cafe) == (told, False)
            beat = HeartbeatRequest(game_session_id=session.game_session_id, provider_user_id="player_123")
            answer = await calls.sessions.Heartbeat(beat, metadata=calls.GAME)
            assert answer.result == HeartbeatResponse.RESULT_OK

    async def test_hears_the_same_for_the_same_signature_and_gets_on_with_another(self, rpc: Rpc) -> None:
        signed = rpc.signed_by_agent()
        first = await rpc.links.CreateGameLink(game_link(), metadata=signed)
        assert (await opened(rpc, first)).is_valid
        assert await rpc.links.CreateGameLink(game_link(), metadata=signed) == first
        refused = await opened(rpc, first)
        assert refused.reason == OpenSessionResponse.REASON_OTT_ALREADY_USED
        second = await rpc.links.CreateGameLink(game_link(), metadata=rpc.signed_by_agent(once="again"))
        assert second != first
        assert (await opened(rpc, second)).is_valid

    async def test_gets_a_demo_and_a_list(self, rpc: Rpc) -> None:
        signed = rpc.signed_by_agent()
        demo = await rpc.links.CreateDemoLink(demo_link(), metadata=signed)
        assert demo.url.startswith("https://game.example.com/demo?token=demo_")
        told = await rpc.links.ListAgentGames(ListAgentGamesRequest(agent_id=1), metadata=signed)
        assert [game.number for game in told.games] == [GAME_NUMBER, OTHER_NUMBER, NO_URL_NUMBER]
        assert told.games[0] == CHAMPAGNE
        assert not told.games[1].demo

    async def test_may_ask_in_its_own_name_alone(self, rpc: Rpc) -> None:
        calls: list[tuple[Any, Any]] = [
            (rpc.links.CreateGameLink, game_link(2)),
            (rpc.links.CreateDemoLink, demo_link(2)),
            (rpc.links.ListAgentGames, ListAgentGamesRequest(agent_id=2)),
        ]
        for call, request in calls:
            failed = await rpc.failure(call(request, metadata=rpc.signed_by_agent()))
            assert (failed.code, failed.reason) == DENIED
            other = rpc.signed_by_agent(secret=OTHER_AGENT_SECRET.encode(), agent_id=2)
            await call(request, metadata=other)

    async def test_may_not_open_sessions_or_look_at_them_or_judge_demos(self, rpc: Rpc) -> None:
        link = await rpc.links.CreateGameLink(game_link(), metadata=rpc.signed_by_agent())
        session = (await opened(rpc, link)).game_session_id
        calls: list[tuple[Any, Any]] = [
            (rpc.sessions.OpenSession, OpenSessionRequest(ott=token_in(link), provider_user_id="player_123")),
            (rpc.sessions.GetSession, GetSessionRequest(game_session_id=session)),
            (rpc.sessions.Heartbeat, HeartbeatRequest(game_session_id=session, provider_user_id="player_123")),
            (rpc.links.VerifyDemoToken, VerifyDemoTokenRequest(token="demo_x")),
        ]
        for call, request in calls:
            failed = await rpc.failure(call(request, metadata=rpc.signed_by_agent()))
            assert (failed.code, failed.reason) == DENIED

    async def test_lists_its_games_while_the_store_is_away(
        self, make_engine: "EngineMaker", faulty_store: "FaultInjectingStore"
    ) -> None:
        engine = await make_engine(faulty_store)
        calls = Rpc(InProcessChannel(engine), engine)
        faulty_store.is_away = True
        told = await calls.links.ListAgentGames(ListAgentGamesRequest(), metadata=calls.signed_by_agent())
        assert len(told.games) == 3
        failed = await calls.failure(calls.links.CreateGameLink(game_link(), metadata=calls.signed_by_agent()))
        assert failed.reason == "STORE_UNAVAILABLE"


class TestALinkIsRefused:
    @pytest.mark.parametrize(
        ("changed", "violation", "description"),
        [
            ({"agent_id": 0}, "agent_id", "expected a positive number"),
            ({"agent_id": -1}, "agent_id", "expected a positive number"),
            ({"number": 0}, "game_number", "expected a positive number"),
            ({"number": -5}, "game_number", "expected a positive number"),
            ({"session": ""}, "agent_session_id", "is required"),
            ({"session": "s" * 129}, "agent_session_id", "expected 1 to 128 characters, none of them a control character"),
            ({"player_id": ""}, "player.player_id", "is required"),
            (
                {"player_username": "a\n"},
                "player.player_username",
                "expected 1 to 128 characters, none of them a control character",
            ),
            (
                {"language": "en_US"},
                "player.language",
                "expected a well-formed language tag (BCP 47), such as en or pt-BR",
            ),
            (
                {"currency": "GCOIN"},
                "player.currency",
                "expected a currency's code of ISO 4217, or one that the settings add",
            ),
            (
                {"home_url": "example.com"},
                "player.home_url",
                "expected an http or https URL of at most 2048 characters, without user and password",
            ),
            ({"ip": "1.2.3"}, "player.ip", "expected an IPv4 or IPv6 address"),
        ],
    )
    async def test_with_the_path_of_what_is_wrong(
        self, rpc: Rpc, changed: dict[str, Any], violation: str, description: str
    ) -> None:
        failed = await rpc.failure(rpc.links.CreateGameLink(game_link(**{"agent_id": 1, **changed}), metadata=rpc.OPERATOR))
        assert (failed.code, failed.reason) == BAD
        assert (failed.violations, failed.descriptions) == ((violation,), (description,))
        if "session" not in changed:
            demo = await rpc.failure(rpc.links.CreateDemoLink(demo_link(**{"agent_id": 1, **changed}), metadata=rpc.OPERATOR))
            assert demo == failed

    async def test_with_all_paths_at_once(self, rpc: Rpc) -> None:
        failed = await rpc.failure(rpc.links.CreateGameLink(CreateGameLinkRequest(), metadata=rpc.OPERATOR))
        fields = ("player_id", "player_username", "language", "currency", "home_url", "ip")
        paths = ("agent_id", "game_number", *(f"player.{field}" for field in fields), "agent_session_id")
        assert failed.violations == paths

    @pytest.mark.parametrize(
        ("agent_id", "number", "refused", "metadata"),
        [
            (3, GAME_NUMBER, (grpc.StatusCode.NOT_FOUND, "AGENT_NOT_FOUND"), {"agent_id": "3"}),
            (1, 122, (grpc.StatusCode.NOT_FOUND, "GAME_NOT_FOUND"), {"game_number": "122"}),
            (
                1,
                UNOFFERED_NUMBER,
                (grpc.StatusCode.PERMISSION_DENIED, "GAME_NOT_AVAILABLE"),
                {"agent_id": "1", "game_number": "125"},
            ),
        ],
    )
    async def test_where_there_is_no_such_agent_or_game_or_it_is_not_the_agents(
        self, rpc: Rpc, agent_id: int, number: int, refused: tuple[grpc.StatusCode, str], metadata: dict[str, str]
    ) -> None:
        for call in (
            rpc.links.CreateGameLink(game_link(agent_id, number), metadata=rpc.OPERATOR),
            rpc.links.CreateDemoLink(demo_link(agent_id, number), metadata=rpc.OPERATOR),
        ):
            failed = await rpc.failure(call)
            assert (failed.code, failed.reason) == refused
            assert failed.metadata == metadata

    async def test_where_the_game_has_no_demo(self, rpc: Rpc) -> None:
        failed = await rpc.failure(rpc.links.CreateDemoLink(demo_link(1, OTHER_NUMBER), metadata=rpc.OPERATOR))
        assert (failed.code, failed.reason) == (grpc.StatusCode.NOT_FOUND, "GAME_PROVIDER_NOT_FOUND")
        assert failed.metadata == {"game_number": "124"}

    async def test_where_the_session_id_stands_for_something_else(self, rpc: Rpc) -> None:
        await rpc.links.CreateGameLink(game_link(1), metadata=rpc.OPERATOR)
        failed = await rpc.failure(rpc.links.CreateGameLink(game_link(1, language="en"), metadata=rpc.OPERATOR))
        assert (failed.code, failed.reason) == BAD
        assert failed.violations == ("agent_session_id",)


class TestAList:
    async def test_is_not_sent_again_where_nothing_changed(self, world: World, rpc: Rpc) -> None:
        first = await rpc.links.ListAgentGames(ListAgentGamesRequest(agent_id=1), metadata=rpc.OPERATOR)
        assert first.etag
        again = ListAgentGamesRequest(agent_id=1, if_none_match=first.etag)
        told = await rpc.links.ListAgentGames(again, metadata=rpc.OPERATOR)
        assert told == ListAgentGamesResponse(etag=first.etag, not_modified=True)
        changed = agents(world)
        changed.games[0].image_url = "https://cdn.example.com/other.jpg"
        await world.provision(changed)
        told = await rpc.links.ListAgentGames(again, metadata=rpc.OPERATOR)
        assert (told.not_modified, told.etag == first.etag, len(told.games)) == (False, False, 3)

    async def test_of_nobody(self, rpc: Rpc) -> None:
        failed = await rpc.failure(rpc.links.ListAgentGames(ListAgentGamesRequest(agent_id=3), metadata=rpc.OPERATOR))
        assert (failed.code, failed.reason) == (grpc.StatusCode.NOT_FOUND, "AGENT_NOT_FOUND")


class TestADemoToken:
    async def test_is_told_to_its_game_with_what_there_is_to_play_with(self, rpc: Rpc, clock: ManualClock) -> None:
        link = await rpc.links.CreateDemoLink(demo_link(1), metadata=rpc.OPERATOR)
        request = VerifyDemoTokenRequest(token=token_in(link))
        told = await rpc.links.VerifyDemoToken(request, metadata=rpc.GAME)
        assert told == VerifyDemoTokenResponse(
            is_valid=True,
            game_number=GAME_NUMBER,
            player=player(),
            virtual_balance_micros=1_000_000_000,
            expires_at_ms=link.expires_at_ms,
        )
        assert link.expires_at_ms == clock.now_ms() + 3_600_000
        assert await rpc.links.VerifyDemoToken(request, metadata=rpc.OPERATOR) == told

    async def test_says_nothing_to_another_game_and_nothing_once_it_is_over(self, rpc: Rpc, clock: ManualClock) -> None:
        link = await rpc.links.CreateDemoLink(demo_link(1), metadata=rpc.OPERATOR)
        request = VerifyDemoTokenRequest(token=token_in(link))
        nothing = VerifyDemoTokenResponse(is_valid=False)
        assert await rpc.links.VerifyDemoToken(request, metadata=rpc.OTHER_GAME) == nothing
        clock.advance(3_600)
        assert await rpc.links.VerifyDemoToken(request, metadata=rpc.GAME) == nothing

    @pytest.mark.parametrize("token", ["nonsense", "demo_", "demo_AAAA", "6291bd38-1a61-4966-a37b-b1939013d449"])
    async def test_is_no_other_text(self, rpc: Rpc, token: str) -> None:
        told = await rpc.links.VerifyDemoToken(VerifyDemoTokenRequest(token=token), metadata=rpc.GAME)
        assert told == VerifyDemoTokenResponse(is_valid=False)

    @pytest.mark.parametrize("token", ["", "demo_" + "A" * 16_384])
    async def test_has_bounds(self, rpc: Rpc, token: str) -> None:
        failed = await rpc.failure(rpc.links.VerifyDemoToken(VerifyDemoTokenRequest(token=token), metadata=rpc.GAME))
        assert (failed.code, failed.violations) == (grpc.StatusCode.INVALID_ARGUMENT, ("token",))


async def test_the_operator_decides_on_times_balances_and_currencies(clock: ManualClock) -> None:
    rules = LinkRules(demo_balance_micros=5_000_000, currencies=("GCOIN",))
    timers = Timers(link_ttl_ms=7_000, demo_ttl_ms=9_000)
    async with Engine(clock=clock, links=rules, timers=timers, operator_tokens=["operator-token"]) as engine:
        world, calls = World(engine), Rpc(InProcessChannel(engine), engine)
        await world.provision(agents(world))
        link = await calls.links.CreateGameLink(game_link(1, currency="GCOIN"), metadata=calls.OPERATOR)
        demo = await calls.links.CreateDemoLink(demo_link(1, currency="EUR"), metadata=calls.OPERATOR)
        told = await calls.links.VerifyDemoToken(VerifyDemoTokenRequest(token=token_in(demo)), metadata=calls.OPERATOR)
        assert [answer.expires_at_ms - clock.now_ms() for answer in (link, demo)] == [7_000, 9_000]
        assert told.virtual_balance_micros == 5_000_000

"""GameLinkService: messages to the engine and back."""

from playclock.core.demo import TOKEN_MAX
from playclock.core.player import Player, agent_session_id_problem, player_problems
from playclock.engine import Engine, Role
from playclock.rpc.call import Call
from playclock.rpc.fields import check
from playclock.v1.game_link_service_pb2 import (
    AgentGame,
    CreateDemoLinkRequest,
    CreateDemoLinkResponse,
    CreateGameLinkRequest,
    CreateGameLinkResponse,
    ListAgentGamesRequest,
    ListAgentGamesResponse,
    PlayerContext,
    VerifyDemoTokenRequest,
    VerifyDemoTokenResponse,
)


class GameLinkServicer:
    """Translates for agents, and for the game servers that see their players."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def CreateGameLink(self, request: CreateGameLinkRequest, call: Call) -> CreateGameLinkResponse:
        """Make a launch and a link to it."""
        agent_id, player = _agent_id(request.agent_id, call), _player(request.player)
        check(
            agent_id=_number_problem(agent_id),
            game_number=_number_problem(request.game_number),
            **self._problems(player),
            agent_session_id=agent_session_id_problem(request.agent_session_id),
        )
        link = await self._engine.links.create(
            call.caller,
            agent_id,
            game_number=request.game_number,
            player=player,
            agent_session_id=request.agent_session_id,
            request_id=call.request_id(""),
        )
        return CreateGameLinkResponse(url=link.url, expires_at_ms=link.expires_ms)

    async def CreateDemoLink(self, request: CreateDemoLinkRequest, call: Call) -> CreateDemoLinkResponse:
        """Make a link to a demo."""
        agent_id, player = _agent_id(request.agent_id, call), _player(request.player)
        check(
            agent_id=_number_problem(agent_id),
            game_number=_number_problem(request.game_number),
            **self._problems(player),
        )
        link = self._engine.links.demo(call.caller, agent_id, game_number=request.game_number, player=player)
        return CreateDemoLinkResponse(url=link.url, expires_at_ms=link.expires_ms)

    async def ListAgentGames(self, request: ListAgentGamesRequest, call: Call) -> ListAgentGamesResponse:
        """List an agent's games."""
        agent_id = _agent_id(request.agent_id, call)
        check(agent_id=_number_problem(agent_id))
        offer = self._engine.links.offer(call.caller, agent_id)
        if request.if_none_match == offer.etag:
            return ListAgentGamesResponse(etag=offer.etag, not_modified=True)
        games = [
            AgentGame(number=game.number, title=game.name, brand=game.brand, image_url=game.image_url, demo=bool(game.demo_url))
            for game in offer.games
        ]
        return ListAgentGamesResponse(games=games, etag=offer.etag)

    async def VerifyDemoToken(self, request: VerifyDemoTokenRequest, call: Call) -> VerifyDemoTokenResponse:
        """Say what a demo token is worth."""
        check(token=None if 0 < len(request.token) <= TOKEN_MAX else f"expected 1 to {TOKEN_MAX} characters")
        found = self._engine.links.verify_demo(call.caller, request.token)
        if found is None:
            return VerifyDemoTokenResponse(is_valid=False)
        demo, game = found
        return VerifyDemoTokenResponse(
            is_valid=True,
            game_number=game.number,
            player=_player_message(demo.player),
            virtual_balance_micros=self._engine.links.rules.demo_balance_micros,
            expires_at_ms=demo.expires_ms,
        )

    def _problems(self, player: Player) -> dict[str, str | None]:
        found = player_problems(player, self._engine.links.currencies)
        return {f"player.{field}": problem for field, problem in found.items()}


def _agent_id(given: int, call: Call) -> int:
    """Return the agent that is meant: whoever signed, where nobody is named."""
    return int(call.caller.id) if call.caller.role is Role.AGENT and not given else given


def _number_problem(number: int) -> str | None:
    return None if number > 0 else "expected a positive number"


def _player(message: PlayerContext) -> Player:
    return Player(
        player_id=message.player_id,
        username=message.player_username,
        language=message.language,
        currency=message.currency,
        home_url=message.home_url,
        ip=message.ip,
    )


def _player_message(player: Player) -> PlayerContext:
    return PlayerContext(
        player_id=player.player_id,
        player_username=player.username,
        language=player.language,
        currency=player.currency,
        home_url=player.home_url,
        ip=player.ip,
    )

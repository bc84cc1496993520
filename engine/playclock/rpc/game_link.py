"""GameLinkService: messages to the engine and back."""

from playclock.engine import Engine, Role
from playclock.rpc.call import Call
from playclock.rpc.fields import check
from playclock.rpc.status import unimplemented_failure
from playclock.v1.game_link_service_pb2 import (
    CreateDemoLinkRequest,
    CreateDemoLinkResponse,
    CreateGameLinkRequest,
    CreateGameLinkResponse,
    ListAgentGamesRequest,
    ListAgentGamesResponse,
    VerifyDemoTokenRequest,
    VerifyDemoTokenResponse,
)


class GameLinkServicer:
    """Translates for agents, and for the game servers that see their players."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def CreateGameLink(self, request: CreateGameLinkRequest, call: Call) -> CreateGameLinkResponse:
        """Make a launch and a link to it. Not served yet."""
        check(agent_id=_agent_problem(request.agent_id, call), game_number=_required(request.game_number))
        raise unimplemented_failure("GameLinkService/CreateGameLink")

    async def CreateDemoLink(self, request: CreateDemoLinkRequest, call: Call) -> CreateDemoLinkResponse:
        """Make a link to a demo. Not served yet."""
        check(agent_id=_agent_problem(request.agent_id, call), game_number=_required(request.game_number))
        raise unimplemented_failure("GameLinkService/CreateDemoLink")

    async def ListAgentGames(self, request: ListAgentGamesRequest, call: Call) -> ListAgentGamesResponse:
        """List an agent's games. Not served yet."""
        check(agent_id=_agent_problem(request.agent_id, call))
        if call.caller.role is Role.AGENT:
            return ListAgentGamesResponse()
        raise unimplemented_failure("GameLinkService/ListAgentGames")

    async def VerifyDemoToken(self, request: VerifyDemoTokenRequest, call: Call) -> VerifyDemoTokenResponse:  # noqa: ARG002 - every method takes it
        """Say what a demo token is worth. None is, yet."""
        check(token=_required(len(request.token)))
        return VerifyDemoTokenResponse(is_valid=False)


def _agent_problem(agent_id: int, call: Call) -> str | None:
    return None if call.caller.role is Role.AGENT else _required(agent_id)


def _required(number: int) -> str | None:
    return None if number > 0 else "is required"

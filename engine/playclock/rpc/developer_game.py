"""DeveloperGameService: messages to the engine and back."""

from collections.abc import Sequence
from typing import Final

from playclock.core.catalog import Game
from playclock.core.fields import NAME_MAX, text_problem
from playclock.core.gamelist import Query, Sort
from playclock.engine import Engine, Role
from playclock.engine.games import known_game
from playclock.errors import BadRequest, GameNotFound, PermissionDenied
from playclock.rpc.call import Call
from playclock.rpc.catalog_fields import game_message, token_id_problem
from playclock.rpc.developer_fields import change_of, new_game, split_of
from playclock.rpc.fields import check
from playclock.rpc.game_pages import BATCH_MAX, count_problem, id_problem, limit_of, page_token, place_in
from playclock.rpc.messages import timestamp
from playclock.v1 import developer_game_service_pb2 as pb

SUMMARIES_MAX: Final = 1_000
"""How many games an answer about tokens has in all."""
TOKENS_MAX: Final = 100

_SORTS: Final = {
    pb.ListPublicGamesRequest.GAME_ORDER_UNSPECIFIED: Sort.REWARDS_POOL,
    pb.ListPublicGamesRequest.GAME_ORDER_TOTAL_REWARDS_ALLOCATED_USD: Sort.REWARDS_ALLOCATED,
    pb.ListPublicGamesRequest.GAME_ORDER_NAME: Sort.NAME,
    pb.ListPublicGamesRequest.GAME_ORDER_CREATED_AT: Sort.CREATED,
    pb.ListPublicGamesRequest.GAME_ORDER_ESTIMATED_DAILY_REWARDS_USD: Sort.DAILY_REWARDS,
    pb.ListPublicGamesRequest.GAME_ORDER_TOTAL_REWARDS_POOL_VALUE_USD: Sort.REWARDS_POOL,
}


class DeveloperGameServicer:
    """Translates for developers, and for facades that show games to everybody."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def RegisterGame(self, request: pb.RegisterGameRequest, call: Call) -> pb.RegisterGameResponse:
        """Create a game."""
        developer_id = self._developer(call, request.developer_id)
        game = await self._engine.developer_games.register(
            call.caller,
            new_game(request.fields, developer_id),
            split=split_of(request.fields),
            request_id=call.request_id(request.request_id),
        )
        return pb.RegisterGameResponse(game=game_message(game))

    async def UpdateRegisteredGame(
        self, request: pb.UpdateRegisteredGameRequest, call: Call
    ) -> pb.UpdateRegisteredGameResponse:
        """Change fields of a game."""
        check(game_id=id_problem(request.game_id), revision=count_problem(request.revision))
        game = await self._engine.developer_games.update(
            call.caller,
            request.game_id,
            change_of(request.fields),
            split=split_of(request.fields),
            revision=request.revision,
            fields=sorted(field.name for field, _ in request.fields.ListFields()),
            request_id=call.request_id(request.request_id),
            contents=request.fields.SerializeToString(deterministic=True).hex(),
        )
        return pb.UpdateRegisteredGameResponse(game=game_message(game))

    async def ToggleVisibility(self, request: pb.ToggleVisibilityRequest, call: Call) -> pb.ToggleVisibilityResponse:
        """Hide a game, or show it."""
        check(game_id=id_problem(request.game_id))
        game = await self._engine.developer_games.toggle_visibility(
            call.caller, request.game_id, request_id=call.request_id(request.request_id)
        )
        return pb.ToggleVisibilityResponse(game=game_message(game))

    async def BeginClaim(self, request: pb.BeginClaimRequest, call: Call) -> pb.BeginClaimResponse:
        """Tell what proves a claim."""
        check(game_id=id_problem(request.game_id))
        claim = await self._engine.developer_games.ownership.begin(request.game_id, self._developer(call, request.developer_id))
        return pb.BeginClaimResponse(challenge=claim.challenge, expire_time=timestamp(claim.expires_ms))

    async def ClaimOwnership(self, request: pb.ClaimOwnershipRequest, call: Call) -> pb.ClaimOwnershipResponse:
        """Look at a game's page, and give the game to whom it names."""
        check(game_id=id_problem(request.game_id))
        developer_id = self._developer(call, request.developer_id)
        game = await self._engine.developer_games.ownership.claim(call.caller, request.game_id, developer_id)
        return pb.ClaimOwnershipResponse(game=game_message(game))

    async def ListMyGames(self, request: pb.ListMyGamesRequest, call: Call) -> pb.ListMyGamesResponse:
        """List a developer's games."""
        check(limit=count_problem(request.limit), offset=count_problem(request.offset))
        query = Query(
            sort=Sort.CREATED,
            is_descending=not request.ascending,
            developer_id=self._developer(call, request.developer_id),
            with_hidden=True,
        )
        after = place_in(request.page_token, query)
        page = await self._engine.games.page(query, offset=request.offset, limit=limit_of(request.limit), after=after)
        return pb.ListMyGamesResponse(
            games=map(game_message, page.games), next_page_token=page_token(query, page.last), total_size=page.total
        )

    async def GetPublicGame(self, request: pb.GetPublicGameRequest, call: Call) -> pb.GetPublicGameResponse:  # noqa: ARG002
        """Show a game."""
        game = known_game(self._engine.context, request.game_id, opens=True)
        return pb.GetPublicGameResponse(game=game_message(game))

    async def GetGameByToken(self, request: pb.GetGameByTokenRequest, call: Call) -> pb.GetGameByTokenResponse:  # noqa: ARG002
        """Show the first game of a token."""
        check(token_id=token_id_problem(request.token_id))
        games = self._with_token(request.token_id)
        if not games:
            raise GameNotFound("no game is associated with the token")
        return pb.GetGameByTokenResponse(game=game_message(games[0]))

    async def ListPublicGames(self, request: pb.ListPublicGamesRequest, call: Call) -> pb.ListPublicGamesResponse:  # noqa: ARG002
        """List games page by page."""
        check(
            query=text_problem(request.query, NAME_MAX, required=False),
            sort_by=None if request.sort_by in _SORTS else "is not known",
            limit=count_problem(request.limit),
            offset=count_problem(request.offset),
        )
        query = Query(text=request.query, sort=_SORTS[request.sort_by], is_descending=not request.ascending)
        after = place_in(request.page_token, query)
        page = await self._engine.games.page(query, offset=request.offset, limit=limit_of(request.limit), after=after)
        return pb.ListPublicGamesResponse(
            games=map(game_message, page.games), next_page_token=page_token(query, page.last), total_size=page.total
        )

    async def BatchGetPublicGames(
        self,
        request: pb.BatchGetPublicGamesRequest,
        call: Call,  # noqa: ARG002
    ) -> pb.BatchGetPublicGamesResponse:
        """Show several games."""
        check(game_ids=None if len(request.game_ids) <= BATCH_MAX else f"expected at most {BATCH_MAX}")
        found = map(self._engine.context.catalog.games.get, dict.fromkeys(request.game_ids))
        games = (game for game in found if game is not None and game.is_visible)
        return pb.BatchGetPublicGamesResponse(games=map(game_message, games))

    async def BatchGetGamesByToken(
        self,
        request: pb.BatchGetGamesByTokenRequest,
        call: Call,  # noqa: ARG002
    ) -> pb.BatchGetGamesByTokenResponse:
        """Show the games of several tokens."""
        check(token_ids=_tokens_problem(request.token_ids))
        tokens = list(dict.fromkeys(request.token_ids))
        each_max = min(BATCH_MAX, SUMMARIES_MAX // max(1, len(tokens)))
        answer = pb.BatchGetGamesByTokenResponse()
        for token_id in tokens:
            games = self._with_token(token_id)
            answer.tokens.add(token_id=token_id, games=map(_summary, games[:each_max]), total_size=len(games))
        return answer

    def _with_token(self, token_id: str) -> list[Game]:
        return [game for game in self._engine.context.catalog.with_token(token_id) if game.is_visible]

    def _developer(self, call: Call, given: str) -> str:
        """Return for whom a call is made. Raises BadRequest, PermissionDenied."""
        if call.caller.role is Role.DEVELOPER:
            if given not in ("", call.caller.id):
                raise PermissionDenied("a developer acts for himself", role=call.caller.role.value)
            return call.caller.id
        check(developer_id=id_problem(given) if given else "is required")
        if self._engine.context.estate.held_by(f"developer/{given}") is None:
            raise BadRequest({"developer_id": "there is no such developer"})
        return given


def _summary(game: Game) -> pb.GameSummary:
    return pb.GameSummary(id=game.id, name=game.name, image_url=game.image_url)


def _tokens_problem(token_ids: Sequence[str]) -> str | None:
    if len(token_ids) > TOKENS_MAX:
        return f"expected at most {TOKENS_MAX}"
    return next(filter(None, map(token_id_problem, token_ids)), None)

"""CatalogService: messages to the engine and back."""

from collections.abc import Iterator
from typing import Final

from playclock.core.catalog import Game
from playclock.core.fields import NAME_MAX, text_problem
from playclock.core.gamelist import Query, Sort
from playclock.engine import Engine
from playclock.errors import BadRequest, GameNotFound
from playclock.rpc.call import Call
from playclock.rpc.catalog_fields import change_of, game_message, new_game
from playclock.rpc.fields import check
from playclock.rpc.game_pages import BATCH_MAX, count_problem, id_problem, limit_of, page_token, place_in
from playclock.v1 import catalog_service_pb2 as pb

OFFERS_MAX: Final = 1_000

_SORTS: Final = {
    pb.ListGamesRequest.SORT_BY_UNSPECIFIED: Sort.NAME,
    pb.ListGamesRequest.SORT_BY_NAME: Sort.NAME,
    pb.ListGamesRequest.SORT_BY_CREATE_TIME: Sort.CREATED,
    pb.ListGamesRequest.SORT_BY_NUMBER: Sort.NUMBER,
}


class CatalogServicer:
    """Translates for operators and internal services."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def CreateGame(self, request: pb.CreateGameRequest, call: Call) -> pb.CreateGameResponse:
        """Create a game."""
        game = await self._engine.games.create(call.caller, new_game(request.game), request_id=request.request_id)
        return pb.CreateGameResponse(game=game_message(game))

    async def UpdateGame(self, request: pb.UpdateGameRequest, call: Call) -> pb.UpdateGameResponse:
        """Change fields of a game."""
        check(game_id=id_problem(request.game_id), revision=count_problem(request.revision))
        fields = tuple(request.update_mask.paths)
        change = change_of(request.game, fields)
        game = await self._engine.games.update(
            call.caller, request.game_id, change, revision=request.revision, fields=sorted(set(fields))
        )
        return pb.UpdateGameResponse(game=game_message(game))

    async def GetGame(self, request: pb.GetGameRequest, call: Call) -> pb.GetGameResponse:  # noqa: ARG002
        """Show a game."""
        catalog = self._engine.context.catalog
        match request.WhichOneof("name"):
            case "game_id":
                check(game_id=id_problem(request.game_id))
                game = catalog.games.get(request.game_id)
            case "game_number":
                game = catalog.by_number(request.game_number)
            case "token_id":
                game = next(iter(catalog.with_token(request.token_id)), None)
            case _:
                raise BadRequest({"name": "is required: a game_id, game_number or token_id"})
        if game is None:
            raise GameNotFound("no such game")
        return pb.GetGameResponse(game=game_message(game))

    async def BatchGetGames(self, request: pb.BatchGetGamesRequest, call: Call) -> pb.BatchGetGamesResponse:  # noqa: ARG002
        """Show several games."""
        named = len(request.game_ids) + len(request.game_numbers) + len(request.token_ids)
        check(game_ids=f"expected at most {BATCH_MAX} games in all" if named > BATCH_MAX else None)
        found = {game.id: game for game in self._named(request) if game is not None}
        games = [game for game in found.values() if request.include_hidden or game.is_visible][:BATCH_MAX]
        return pb.BatchGetGamesResponse(games=map(game_message, games))

    async def ListGames(self, request: pb.ListGamesRequest, call: Call) -> pb.ListGamesResponse:  # noqa: ARG002
        """List games page by page."""
        check(
            query=text_problem(request.query, NAME_MAX, required=False),
            sort_by=None if request.sort_by in _SORTS else "is not known",
            page_size=count_problem(request.page_size),
            offset=count_problem(request.offset),
            owner_id=id_problem(request.owner_id) if request.owner_id else None,
            agent_id=count_problem(request.agent_id),
        )
        query = Query(
            text=request.query,
            sort=_SORTS[request.sort_by],
            is_descending=request.descending,
            owner_id=request.owner_id,
            numbered=self._engine.games.offered_by(request.agent_id) if request.agent_id else None,
            with_hidden=request.include_hidden,
        )
        page = await self._engine.games.page(
            query,
            offset=request.offset,
            limit=limit_of(request.page_size),
            after=place_in(request.page_token, query),
        )
        return pb.ListGamesResponse(
            games=map(game_message, page.games),
            next_page_token=page_token(query, page.last),
            total_size=page.total,
        )

    async def DeleteGame(self, request: pb.DeleteGameRequest, call: Call) -> pb.DeleteGameResponse:
        """Delete a game."""
        check(game_id=id_problem(request.game_id), revision=count_problem(request.revision))
        game = await self._engine.games.delete(call.caller, request.game_id, revision=request.revision)
        return pb.DeleteGameResponse(game=game_message(game))

    async def UpdateAgentGames(self, request: pb.UpdateAgentGamesRequest, call: Call) -> pb.UpdateAgentGamesResponse:
        """Change which games an agent offers."""
        check(
            agent_id=None if request.agent_id > 0 else "must be positive",
            add_numbers=_offers_problem(len(request.add_numbers)),
            remove_numbers=_offers_problem(len(request.remove_numbers)),
        )
        offered = await self._engine.games.offer(
            call.caller, request.agent_id, add=request.add_numbers, remove=request.remove_numbers
        )
        return pb.UpdateAgentGamesResponse(games=offered)

    def _named(self, request: pb.BatchGetGamesRequest) -> Iterator[Game | None]:
        catalog = self._engine.context.catalog
        yield from map(catalog.games.get, request.game_ids)
        yield from map(catalog.by_number, request.game_numbers)
        for token_id in request.token_ids:
            yield from catalog.with_token(token_id)


def _offers_problem(count: int) -> str | None:
    return None if count <= OFFERS_MAX else f"expected {OFFERS_MAX} at most"

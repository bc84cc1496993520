"""The games calls that read: lists, single games and batches, for everybody; and a developer's own games."""

from typing import Final

from playclock.v1 import developer_game_service_pb2 as pb
from playclock.v1.developer_game_service_pb2_grpc import DeveloperGameServiceStub

from playclock_http.endpoint import Handler, Reply
from playclock_http.incoming import Incoming
from playclock_http.playfun import game_schemas as schemas
from playclock_http.playfun import queries
from playclock_http.playfun.door import Door
from playclock_http.playfun.envelope import success
from playclock_http.playfun.showing import own_game, public_game, version_of
from playclock_http.upstream import Upstream

OFFSET_MAX: Final = 2**31 - 1
_PAGE_MAX: Final = 100
_PAGE: Final = 50
_CURSOR_MAX: Final = 2048
_QUERY_MAX: Final = 200
_SORT: Final = ("desc", "asc")
SORTS: Final = {
    "totalRewardsPoolValueUsd": pb.ListPublicGamesRequest.GAME_ORDER_TOTAL_REWARDS_POOL_VALUE_USD,
    "totalRewardsAllocatedUsd": pb.ListPublicGamesRequest.GAME_ORDER_TOTAL_REWARDS_ALLOCATED_USD,
    "name": pb.ListPublicGamesRequest.GAME_ORDER_NAME,
    "createdAt": pb.ListPublicGamesRequest.GAME_ORDER_CREATED_AT,
    "estimatedDailyRewardsUsd": pb.ListPublicGamesRequest.GAME_ORDER_ESTIMATED_DAILY_REWARDS_USD,
}


class Games:
    """The handlers of the games calls that read."""

    def __init__(self, upstream: Upstream, door: Door) -> None:
        self._games = DeveloperGameServiceStub(upstream.channel)
        self._deadline_sec = upstream.deadline_sec
        self._door = door

    def handlers(self) -> dict[str, dict[str, Handler]]:
        """Return the handlers by path and method. A path that another one's placeholder fits too is before it."""
        return {
            "/games": {"GET": self.page},
            "/games/me": {"GET": self.mine},
            "/games/batch/token-ids": {"POST": self.of_tokens},
            "/games/batch/ids": {"POST": self.several},
            "/games/by-token-id/{tokenId}": {"GET": self.of_token},
            "/games/token-id/{tokenId}/full": {"GET": self.of_token},
            "/games/id/{id}": {"GET": self.one},
            "/games/{id}": {"GET": self.one},
        }

    async def page(self, incoming: Incoming) -> Reply:
        """List games that are not hidden."""
        left = await self._door.stranger(incoming)
        query = incoming.query()
        offset = queries.number(query, "offset", 0, low=0, high=OFFSET_MAX)
        with_tokens = queries.flag(query, "include_extra")
        answer = await self._games.ListPublicGames(
            pb.ListPublicGamesRequest(
                query=queries.text(query, "query", at_most=_QUERY_MAX),
                sort_by=SORTS[queries.choice(query, "sortBy", SORTS)],
                ascending=queries.choice(query, "sort", _SORT) == "asc",
                limit=queries.number(query, "limit", _PAGE, low=1, high=_PAGE_MAX),
                offset=offset,
                page_token=queries.text(query, "cursor", at_most=_CURSOR_MAX),
            ),
            timeout=self._deadline_sec,
            metadata=self._door.everybody(incoming),
        )
        page = schemas.GamePage(
            games=[public_game(game, with_tokens=with_tokens) for game in answer.games],
            offset=offset,
            has_more=bool(answer.next_page_token),
            total=answer.total_size,
            next_cursor=answer.next_page_token or None,
        )
        return success(page, left)

    async def mine(self, incoming: Incoming) -> Reply:
        """List the games of whoever signed, hidden ones too."""
        metadata = await self._door.developer(incoming)
        async with self._door.known(metadata):
            query = incoming.query()
            request = pb.ListMyGamesRequest(
                limit=queries.number(query, "limit", _PAGE, low=1, high=_PAGE_MAX),
                offset=queries.number(query, "offset", 0, low=0, high=OFFSET_MAX),
                ascending=queries.choice(query, "sort", _SORT) == "asc",
            )
            with_tokens = queries.flag(query, "include_extra")
        answer = await self._games.ListMyGames(request, timeout=self._deadline_sec, metadata=metadata)
        return success([own_game(game, with_tokens=with_tokens) for game in answer.games])

    async def one(self, incoming: Incoming) -> Reply:
        """Show a game, whose version is its ETag."""
        left = await self._door.stranger(incoming)
        with_tokens = queries.flag(incoming.query(), "include_tokens")
        answer = await self._games.GetPublicGame(
            pb.GetPublicGameRequest(game_id=incoming.path_parameters["id"]),
            timeout=self._deadline_sec,
            metadata=self._door.everybody(incoming),
        )
        return success(public_game(answer.game, with_tokens=with_tokens), [*left, version_of(answer.game)])

    async def of_token(self, incoming: Incoming) -> Reply:
        """Show the game of a token, with all its tokens."""
        left = await self._door.stranger(incoming)
        answer = await self._games.GetGameByToken(
            pb.GetGameByTokenRequest(token_id=incoming.path_parameters["tokenId"]),
            timeout=self._deadline_sec,
            metadata=self._door.everybody(incoming),
        )
        return success(public_game(answer.game, with_tokens=True), left)

    async def several(self, incoming: Incoming) -> Reply:
        """Show those of the named games that there are."""
        left = await self._door.stranger(incoming)
        body = incoming.decode(await incoming.body(), schemas.GameIds)
        answer = await self._games.BatchGetPublicGames(
            pb.BatchGetPublicGamesRequest(game_ids=body.game_ids),
            timeout=self._deadline_sec,
            metadata=self._door.everybody(incoming),
        )
        return success([public_game(game, with_tokens=False) for game in answer.games], left)

    async def of_tokens(self, incoming: Incoming) -> Reply:
        """Show which games are associated with each of several tokens."""
        left = await self._door.stranger(incoming)
        body = incoming.decode(await incoming.body(), schemas.TokenIds)
        answer = await self._games.BatchGetGamesByToken(
            pb.BatchGetGamesByTokenRequest(token_ids=body.token_ids),
            timeout=self._deadline_sec,
            metadata=self._door.everybody(incoming),
        )
        found = {
            token.token_id: schemas.TokenGames(
                [schemas.GameSummary(game.id, game.image_url, game.name) for game in token.games], token.total_size
            )
            for token in answer.tokens
        }
        return success(found, left)

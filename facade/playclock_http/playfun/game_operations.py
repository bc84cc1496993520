"""The games calls that read as data, for the OpenAPI document."""

from typing import Any, Final

import msgspec

from playclock_http.operation import Operation, Parameter
from playclock_http.playfun import game_schemas as schemas
from playclock_http.playfun.answers import SIGNED, answers
from playclock_http.playfun.games import OFFSET_MAX, SORTS
from playclock_http.playfun.ids import UUID

ID: Final = "550e8400-e29b-41d4-a716-446655440000"
GAME: Final[dict[str, Any]] = {
    "id": ID,
    "name": "Awesome Game",
    "description": "A fun play-to-earn game",
    "gameUrl": "https://example.com/game",
    "imageUrl": "https://cdn.opengameprotocol.com/games/image.png",
    "coverImage": "https://cdn.opengameprotocol.com/games/cover.png",
    "isHtmlGame": True,
    "hasSdk": True,
    "iframable": True,
    "platform": "WEB",
    "twitter": "https://twitter.com/awesomegame",
    "discord": "https://discord.gg/awesomegame",
    "telegram": None,
    "creatorId": ID,
    "ownerId": ID,
    "ownershipValidated": True,
    "totalRewardsPoolValueUsd": "15000.50",
    "totalRewardsAllocatedUsd": "5000.25",
    "estimatedDailyRewardsUsd": "12.5",
    "createdAt": "2025-11-28T12:00:00.000Z",
    "updatedAt": "2025-11-28T12:00:00.000Z",
}
OWN_GAME: Final[dict[str, Any]] = {
    **GAME,
    "hidden": False,
    "maxScorePerSession": None,
    "maxSessionsPerDay": 10,
    "maxCumulativePointsPerDay": None,
    "jwksUrl": None,
    "orgRewardsSplit": {ID: 10000},
}
_SUMMARY: Final = {"id": ID, "imageUrl": "https://cdn.opengameprotocol.com/games/game1.png", "name": "Game One"}

_NO_CONTROLS: Final = r"^[^\x00-\x1f\x7f-\x9f]*$(?!\n)"
GAME_IN_PATH: Final = Parameter("id", "path", "Id of the game.", {"type": "string", "pattern": UUID}, required=True)
_TOKEN: Final = Parameter(
    "tokenId", "path", "The token's address.", {"type": "string", "pattern": r"^[A-Za-z0-9]{1,128}$(?!\n)"}, required=True
)


def _query(name: str, description: str, **schema: object) -> Parameter:
    return Parameter(name, "query", description, schema)


_LIMIT: Final = _query("limit", "How many.", type="integer", minimum=1, maximum=100, default=50)
_OFFSET: Final = _query("offset", "How many to skip.", type="integer", minimum=0, maximum=OFFSET_MAX, default=0)
_SORT: Final = _query("sort", "The order.", type="string", enum=["desc", "asc"], default="desc")
_EXTRA: Final = _query("include_extra", "Whether tokens are told, too.", type="boolean", default=False)
_TOKENS: Final = _query("include_tokens", "Whether tokens are told, too.", type="boolean", default=False)


def _operation(
    path: str,
    name: str,
    summary: str,
    *parameters: Parameter,
    content: Any,  # noqa: ANN401 - a type
    example: object,
    statuses: tuple[int, ...] = (),
    security: tuple[str, ...] = (),
    body: type[msgspec.Struct] | None = None,
    body_example: dict[str, Any] | None = None,
) -> Operation:
    return Operation(
        method="GET" if body is None else "POST",
        path=path,
        name=name,
        tag="Games",
        summary=summary,
        description="Games that are hidden are found by their ids alone." if not security else "Hidden ones too.",
        body=body,
        body_example=body_example,
        parameters=parameters,
        security=security,
        answers=answers(content, example, *statuses, body=body is not None),
    )


OPERATIONS: Final = (
    _operation(
        "/games",
        "listPublicGames",
        "Get all games",
        _LIMIT,
        _OFFSET,
        _query("cursor", "nextCursor of the page before; with the same query, sort and sortBy.", type="string", maxLength=2048),
        _SORT,
        _query("sortBy", "What to sort by.", type="string", enum=list(SORTS), default="totalRewardsPoolValueUsd"),
        _query("query", "Part of a name or description.", type="string", maxLength=200, pattern=_NO_CONTROLS),
        _EXTRA,
        content=schemas.GamePage,
        example={"games": [GAME], "offset": 0, "hasMore": True, "total": 158, "nextCursor": "abc"},
    ),
    _operation(
        "/games/id/{id}",
        "getGameById",
        "Get a game by its id",
        GAME_IN_PATH,
        _TOKENS,
        content=schemas.Game,
        example=GAME,
        statuses=(404,),
    ),
    _operation(
        "/games/{id}",
        "getGame",
        "Get a game by its id, as the server SDK asks",
        GAME_IN_PATH,
        _TOKENS,
        content=schemas.Game,
        example=GAME,
        statuses=(404,),
    ),
    _operation(
        "/games/me",
        "getMyGames",
        "Get the caller's games",
        _LIMIT,
        _OFFSET,
        _SORT,
        _EXTRA,
        content=list[schemas.OwnGame],
        example=[OWN_GAME],
        statuses=(403,),
        security=SIGNED,
    ),
    _operation(
        "/games/token-id/{tokenId}/full",
        "getGameOfToken",
        "Get the game of a token",
        _TOKEN,
        content=schemas.Game,
        example=GAME,
        statuses=(404,),
    ),
    _operation(
        "/games/by-token-id/{tokenId}",
        "getGameByTokenId",
        "Get the game of a token, as the server SDK asks",
        _TOKEN,
        content=schemas.Game,
        example=GAME,
        statuses=(404,),
    ),
    _operation(
        "/games/batch/token-ids",
        "getGamesByTokenIds",
        "Get games by token ids",
        content=dict[str, schemas.TokenGames],
        example={"TokenMintAddress1...": {"games": [_SUMMARY], "total": 1}},
        body=schemas.TokenIds,
        body_example={"tokenIds": ["TokenMintAddress1...", "TokenMintAddress2..."]},
    ),
    _operation(
        "/games/batch/ids",
        "getGamesByIds",
        "Get games by their ids",
        content=list[schemas.Game],
        example=[GAME],
        body=schemas.GameIds,
        body_example={"gameIds": [ID]},
    ),
)

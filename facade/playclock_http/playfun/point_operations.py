"""The points calls as data, for the OpenAPI document."""

from typing import Any, Final

import msgspec

from playclock_http.operation import Operation, Parameter
from playclock_http.playfun import point_schemas as schemas
from playclock_http.playfun.answers import SIGNED, answers
from playclock_http.playfun.ids import UUID

_ID: Final = "550e8400-e29b-41d4-a716-446655440000"
_OGP: Final = "660e8400-e29b-41d4-a716-446655440001"
_SESSION: Final = "9f86d081884c7d659a2feaa0c55ad015"
_PLAYER: Final = "sol:9qdvVLY3vLhmvV7uBkLJsQKcHDjxhoUWJ9uZASYEfwwC"
_POINTS: Final = {"points": [{"playerId": _PLAYER, "ogpId": _OGP, "points": "100", "totalPoints": "1500"}]}


def _game(place: str) -> Parameter:
    return Parameter("gameId", place, "Id of the game.", {"type": "string", "pattern": UUID}, required=True)


def _player(place: str, *, required: bool) -> Parameter:
    return Parameter("playerId", place, "The player.", {"type": "string", "minLength": 1, "maxLength": 320}, required=required)


def _number(name: str, description: str, default: int, high: int) -> Parameter:
    return Parameter(name, "query", description, {"type": "integer", "minimum": 1, "maximum": high, "default": default})


def _operation(
    method: str,
    path: str,
    name: str,
    summary: str,
    description: str,
    *parameters: Parameter,
    content: Any,  # noqa: ANN401 - a type
    example: object,
    body: type[msgspec.Struct] | None = None,
    body_example: dict[str, Any] | None = None,
) -> Operation:
    return Operation(
        method=method,
        path=path,
        name=name,
        tag="Points",
        summary=summary,
        description=description,
        body=body,
        body_example=body_example,
        parameters=parameters,
        security=SIGNED,
        answers=answers(content, example, 403, 404, *(() if method == "GET" else (409,)), body=body is not None),
    )


OPERATIONS: Final = (
    _operation(
        "POST",
        "/play/dev/batch-save-points",
        "batchSavePoints",
        "Save players' points",
        "All of them or none, once for each signature. Unknown players become known.",
        content=schemas.PointsSaved,
        example={"savedCount": 1, "playerIdToOgpId": {_PLAYER: _OGP}},
        body=schemas.PointsOrder,
        body_example={"gameApiKey": _ID, "points": [{"playerId": _PLAYER, "points": "100"}]},
    ),
    _operation(
        "GET",
        "/play/dev/points",
        "getPoints",
        "Get a player's points",
        "Today's, and those of all days.",
        _game("query"),
        _player("query", required=True),
        content=schemas.PointsAnswer,
        example=_POINTS,
    ),
    _operation(
        "GET",
        "/play/dev/points/{gameId}/{playerId}",
        "getPointsOfPlayer",
        "Get a player's points",
        "The same, as the server SDK asks.",
        _game("path"),
        _player("path", required=True),
        content=schemas.PointsAnswer,
        example=_POINTS,
    ),
    _operation(
        "GET",
        "/play/dev/leaderboard/{gameId}",
        "getLeaderboard",
        "Get a day's leaderboard",
        "Best first. Of two with the same points, whoever had them first leads.",
        _game("path"),
        _number("limit", "How many.", 10, 100),
        Parameter("date", "query", "YYYY-MM-DD; today where it is left out.", {"type": "string", "format": "date"}),
        content=schemas.Leaderboard,
        example=[{"rank": 1, "playerId": _OGP, "points": "100"}],
    ),
    _operation(
        "POST",
        "/play/dev/validate-session-token",
        "validateSessionToken",
        "Validate a player's session token",
        "A token of another developer's game is as good as one that never was.",
        content=schemas.TokenValidity,
        example={"valid": True, "playerId": _PLAYER, "gameId": _ID, "ogpId": _OGP},
        body=schemas.TokenToValidate,
        body_example={"sessionToken": "player_abc123"},
    ),
    _operation(
        "POST",
        "/play/dev/invalidate-sessions",
        "invalidateSessions",
        "End sessions before their time",
        "The points stay. Those that are no session of the game, or over, are passed over.",
        content=schemas.SessionsEnded,
        example={"invalidatedCount": 1, "sessionIds": [_SESSION]},
        body=schemas.SessionsToEnd,
        body_example={"gameId": _ID, "sessionIds": [_SESSION]},
    ),
    _operation(
        "GET",
        "/play/dev/sessions/{gameId}",
        "listSessions",
        "List a game's sessions that go on",
        "Those first that end first. A page may be short, or empty, and yet not the last.",
        _game("path"),
        _number("limit", "How many at most.", 100, 1000),
        Parameter("cursor", "query", "nextCursor of the page before.", {"type": "string"}),
        content=schemas.SessionList,
        example={"sessions": [], "nextCursor": None},
    ),
    _operation(
        "GET",
        "/play/dev/risky-sessions/{gameId}",
        "listRiskySessions",
        "List a game's sessions that somebody should look at",
        "Of those that go on. Nothing is refused for it. A page may be short, or empty, and yet not the last.",
        _game("path"),
        _number("limit", "How many sessions to look at.", 100, 1000),
        Parameter("cursor", "query", "nextCursor of the page before.", {"type": "string"}),
        content=schemas.RiskySessionList,
        example={"sessions": [], "nextCursor": None},
    ),
    _operation(
        "GET",
        "/play/session-token",
        "issueSessionToken",
        "Begin a player's session",
        "Once for each signature; a repeat is not shown the token.",
        _game("query"),
        _player("query", required=True),
        content=schemas.SessionToken,
        example={"token": "player_abc123", "playerId": _PLAYER},
    ),
    _operation(
        "GET",
        "/games/streak",
        "getStreak",
        "Get a player's streak",
        "Without a player, that of whoever signs.",
        _game("query"),
        _player("query", required=False),
        content=schemas.Streak,
        example={"today": True, "streak": 3},
    ),
)

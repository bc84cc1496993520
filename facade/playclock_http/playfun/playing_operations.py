"""The calls of players' clients as data, for the OpenAPI document."""

from typing import Any, Final

import msgspec

from playclock_http.operation import Operation
from playclock_http.playfun import playing_schemas as schemas
from playclock_http.playfun.answers import PLAYER, answers
from playclock_http.playfun.point_schemas import Streak


def _operation(
    method: str,
    path: str,
    name: str,
    summary: str,
    description: str,
    *statuses: int,
    content: Any,  # noqa: ANN401 - a type
    example: object,
    body: type[msgspec.Struct] | None = None,
    body_example: dict[str, Any] | None = None,
) -> Operation:
    return Operation(
        method=method,
        path=path,
        name=name,
        tag="Playing",
        summary=summary,
        description=description,
        body=body,
        body_example=body_example,
        parameters=(),
        security=PLAYER,
        answers=answers(content, example, *statuses, body=body is not None),
    )


OPERATIONS: Final = (
    _operation(
        "GET",
        "/play/get-points",
        "getOwnPoints",
        "Get the player's points",
        "Today's, in the game that the token is for.",
        content=schemas.OwnPoints,
        example={"points": "100", "activeMultiplier": 1},
    ),
    _operation(
        "GET",
        "/play/streak",
        "getOwnStreak",
        "Get the player's streak",
        "In the game that the token is for. Days are UTC's.",
        content=Streak,
        example={"today": True, "streak": 3},
    ),
)

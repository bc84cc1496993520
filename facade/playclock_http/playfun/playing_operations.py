"""The calls of players' clients as data, for the OpenAPI document."""

from typing import Any, Final

import msgspec

from playclock_http.operation import Operation
from playclock_http.playfun import playing_schemas as schemas
from playclock_http.playfun.answers import PLAYER, answers
from playclock_http.playfun.point_schemas import Streak

_HASH: Final = "0" * 64


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
        "/play/session-state",
        "getSessionState",
        "Get where the client is",
        "The number of the last report, the hash after it, and the key of the next report's proof.",
        content=schemas.SessionState,
        example={"lastSeq": 0, "lastHash": _HASH, "stepKey": _HASH, "totalPoints": 0},
    ),
    _operation(
        "POST",
        "/play/flush",
        "flushPoints",
        "Report points",
        "At most once a second. The last report sent again is answered as the first time. What would exceed a cap is refused.",
        409,
        content=schemas.Flushed,
        example={"seq": 1, "newHash": _HASH, "nextStepKey": _HASH, "total": 10, "added": 10},
        body=schemas.Flush,
        body_example={"seq": 1, "points": 10, "prevHash": _HASH, "proof": _HASH},
    ),
    _operation(
        "POST",
        "/play/commit",
        "commitPoints",
        "Save what was reported",
        "All of it or nothing, at most every five seconds. A repeat changes nothing.",
        409,
        content=schemas.Committed,
        example={"saved": True, "status": "accepted", "riskScore": 0.0},
        body=schemas.Commit,
        body_example={"seq": 1, "prevHash": _HASH},
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

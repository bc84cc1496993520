"""The games calls of owners as data, for the OpenAPI document."""

from typing import Any, Final

from playclock_http.operation import Operation
from playclock_http.playfun import game_schemas as schemas
from playclock_http.playfun.answers import SIGNED, answers
from playclock_http.playfun.game_operations import GAME_IN_PATH, ID


def _operation(path: str, name: str, summary: str, description: str, content: Any, example: object) -> Operation:  # noqa: ANN401, PLR0917 - a type, and a row of a table
    return Operation(
        method="POST",
        path=path,
        name=name,
        tag="Games",
        summary=summary,
        description=description,
        parameters=(GAME_IN_PATH,),
        security=SIGNED,
        answers=answers(content, example, 403, 404, 409),
    )


OPERATIONS: Final = (
    _operation(
        "/games/toggle-visibility/{id}",
        "toggleVisibility",
        "Toggle a game's visibility",
        "Shows it in public listings, or hides it from them, once for each signature.",
        schemas.VisibilityToggled,
        {
            "success": True,
            "message": "Game visibility toggled successfully",
            "game": {"id": ID, "name": "My Game", "hidden": True},
        },
    ),
    _operation(
        "/games/claim-ownership/{id}",
        "claimOwnership",
        "Claim a game",
        "Its page has to have the meta tag x-ogp-key in its head, with the API key or a challenge.",
        schemas.OwnershipClaimed,
        {
            "success": True,
            "message": "Game ownership claimed successfully",
            "game": {"id": ID, "ownerId": ID, "ownershipValidated": True},
        },
    ),
    _operation(
        "/games/claim-ownership/{id}/challenge",
        "beginClaim",
        "Get a challenge for a claim",
        "May be in the meta tag instead of the API key, for this game and developer alone.",
        schemas.Challenge,
        {
            "challenge": "ogp-claim-...",
            "metaTag": '<meta name="x-ogp-key" content="ogp-claim-..." />',
            "expiresAt": "2025-11-28T12:00:00.000Z",
        },
    ),
)

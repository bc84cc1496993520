"""The games calls that write as data, for the OpenAPI document."""

from dataclasses import replace
from typing import Any, Final

from playclock_http.operation import Operation, Parameter
from playclock_http.playfun import game_schemas
from playclock_http.playfun.answers import SIGNED, answers
from playclock_http.playfun.game_operations import GAME_IN_PATH, OWN_GAME
from playclock_http.playfun.registration_schemas import GameToRegister, GameUpdate

_FILES: Final = ("image", "coverImage")
_PICTURE: Final = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
GAME_TO_REGISTER: Final[dict[str, Any]] = {
    "name": "My Game",
    "description": "Game description",
    "gameUrl": "https://mygame.com",
    "platform": "WEB",
    "isHTMLGame": True,
    "base64Image": _PICTURE,
}
_PICTURES: Final = (
    "Pictures are jpeg, png, gif or webp, told by their contents: files of at most 10 MB, or data URIs of at most 5 MB. "
    "A file counts before a data URI. A form has at most 64 parts; texts in it that JavaScript makes of what is no text "
    "(null, undefined, [object Object]) count as not given."
)
_IF_MATCH: Final = Parameter(
    "If-Match",
    "header",
    "The game's ETag as an answer has told it: the change is refused (409) where the game has been changed since.",
    {"type": "string", "pattern": r'^("[1-9][0-9]{0,17}"|\*)$(?!\n)'},
)
_ETAG: Final = {"ETag": "The game's version, for If-Match."}


def _answers(*statuses: int) -> dict[int, Any]:
    told = answers(game_schemas.OwnGame, OWN_GAME, *statuses, body=True)
    return {**told, 200: replace(told[200], headers=_ETAG)}


def _update(path: str, name: str, summary: str) -> Operation:
    return Operation(
        method="POST",
        path=path,
        name=name,
        tag="Games",
        summary=summary,
        description=f"Fields that are left out stay as they are. A new gameUrl has to be claimed anew. {_PICTURES}",
        body=GameUpdate,
        body_example={"name": "My Better Game", "hidden": False},
        files=_FILES,
        parameters=(GAME_IN_PATH, _IF_MATCH),
        security=SIGNED,
        answers=_answers(403, 404, 409),
    )


OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/games",
        name="registerGame",
        tag="Games",
        summary="Register a new game",
        description=f"At least one picture is required: image, or base64Image. {_PICTURES}",
        body=GameToRegister,
        body_example=GAME_TO_REGISTER,
        files=_FILES,
        security=SIGNED,
        answers=_answers(403, 409),
    ),
    _update("/games/update/{id}", "updateGame", "Update a game"),
    _update("/games/{id}", "changeGame", "Update a game, as the server SDK does"),
)

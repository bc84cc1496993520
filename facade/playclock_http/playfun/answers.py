"""What calls of the play.fun dialect may answer, by HTTP status, for its OpenAPI document."""

from collections.abc import Mapping
from typing import Any, Final

from playclock_http.operation import Answer
from playclock_http.playfun.envelope import PlayfunError
from playclock_http.ratelimit import RATE_LIMIT_HEADERS

SIGNED: Final = ("DeveloperSignature",)
"""The security of calls that developers sign."""
PLAYER: Final = ("PlayerToken",)
"""That of calls which players' clients make."""

_SENTENCES: Final = {
    400: "The request is malformed; the message names the fields.",
    401: "There is no signature, or no player's token, or it is wrong, or too old.",
    403: "The game is another developer's.",
    404: "There is no such game.",
    408: "The body did not arrive in time.",
    409: "The signature stands for another request, or the game has been changed in the meantime.",
    429: "Too many calls.",
    500: "A fault of the server. Its log has the details under the request id.",
    503: "The same call may succeed later.",
    504: "The engine did not answer in time.",
}
_ALWAYS: Final = (400, 401, 429, 500, 503, 504)
_RETRY_AFTER: Final = {"Retry-After": "Seconds to wait, where that is known."}
_HEADERS: Final[Mapping[int, Mapping[str, str]]] = {429: {**_RETRY_AFTER, **RATE_LIMIT_HEADERS}, 503: _RETRY_AFTER}


def answers(content: Any, example: Any, *statuses: int, body: bool = False) -> dict[int, Answer]:  # noqa: ANN401 - JSON and its type
    """Return the answers of a call: its content, and errors by HTTP status. With a body it may wait for that in vain (408)."""
    told = {200: Answer(description="Carried out.", bodies=(content,), examples={"success": example})}
    for status in sorted({*_ALWAYS, *statuses, *((408,) if body else ())}):
        told[status] = Answer(description=_SENTENCES[status], bodies=(PlayfunError,), headers=_HEADERS.get(status, {}))
    return told

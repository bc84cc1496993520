"""What developers are told: one row for each reason, and the sentences that their platform documents."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from playclock_http.refusal import Refusal
from playclock_http.status import HTTP_STATUS

CODES: Final[Mapping[str, int]] = {
    "BAD_REQUEST": 400,
    "INVALID_IMAGE": 400,
    "POINTS_EXCEEDED": 400,
    "TOO_MANY_IMAGES": 400,
    "INVALID_SIGNATURE": 401,
    "INVALID_PLAYER_TOKEN": 401,
    "REQUEST_EXPIRED": 401,
    "PERMISSION_DENIED": 403,
    "OWNERSHIP_NOT_PROVEN": 403,
    "GAME_NOT_FOUND": 404,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "REQUEST_TIMEOUT": 408,
    "GAME_CHANGED": 409,
    "OUT_OF_STEP": 409,
    "REQUEST_ID_REUSED": 409,
    "RATE_LIMITED": 429,
    "INTERNAL": 500,
    # A developer has no key: it is this facade that the engine does not let in.
    "INVALID_API_KEY": 500,
    "IMAGES_UNAVAILABLE": 503,
    "NO_IMAGES": 503,
    "TOO_MANY_UPLOADS": 503,
    "TOO_MUCH_CONTENTION": 503,
    "STORE_UNAVAILABLE": 503,
    "SHUTTING_DOWN": 503,
}
"""Reason -> HTTP status. Of the engine's reasons those that developers can meet; the others go by their gRPC status."""

INVALID_PARAMETERS: Final = "Invalid request parameters"

_OF_REASONS: Final[Mapping[str, str]] = {
    "GAME_NOT_FOUND": "Game not found",
    "GAME_CHANGED": "The game has been changed in the meantime",
    "REQUEST_ID_REUSED": "The signature has been used for another request; sign each request anew",
}
_OF_STATUSES: Final[Mapping[int, str]] = {
    401: "Invalid or missing authentication",
    403: "You do not have permission to perform this action",
    429: "Too many requests, please try again later",
    500: "An error occurred while processing your request",
}
"""HTTP status -> the sentence, where the platform documents one for all that has it."""

_OWN_WORDS: Final = frozenset({"INVALID_IMAGE", "OWNERSHIP_NOT_PROVEN", "TOO_MANY_IMAGES"})
"""Reasons whose sentences are the engine's, to the letter."""
_OF_CASES: Final = ("Unable to resolve playerId: ", "Total org rewards split ", "No image provided")
"""How sentences of the engine's begin that the platform documents for a single case."""

_FIELDS: Final[Mapping[str, str]] = {
    "entries": "points",
    "player": "playerId",
    "play_url": "gameUrl",
    "html_game": "isHTMLGame",
    "image_url": "image",
    "cover_image_url": "coverImage",
    "page_token": "cursor",
}
"""Fields that are called otherwise here than by the engine, and not only in camel case."""


def status_of(refusal: Refusal) -> int:
    """Return the HTTP status: by the reason, or by the gRPC status where the reason is missing or not of this dialect."""
    return CODES.get(refusal.reason) or HTTP_STATUS[refusal.status][0]


def sentence_of(refusal: Refusal) -> str:
    """Return what people are told. What is wrong with fields stands behind the documented sentence for that."""
    status = status_of(refusal)
    first = next(iter(refusal.violations.values()), refusal.message)
    if first.startswith(_OF_CASES) or refusal.reason in _OWN_WORDS:
        return first
    documented = _OF_REASONS.get(refusal.reason) or _OF_STATUSES.get(status)
    if documented is not None:
        return documented
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return HTTPStatus(status).phrase  # a fault of ours, and no business of the caller's
    problems = [f"{_field(path)}: {problem}" for path, problem in refusal.violations.items()]
    told = "; ".join(problems) or _with_own_name(refusal.message, refusal.metadata.get("cap", ""))
    if status != HTTPStatus.BAD_REQUEST or refusal.reason not in {"", "BAD_REQUEST"}:
        return told or HTTPStatus(status).phrase
    return f"{INVALID_PARAMETERS}: {told}" if told else INVALID_PARAMETERS


def _field(path: str) -> str:
    """Return the field's name here by its path in the engine's messages: entries[3].player is points[3].playerId."""
    return ".".join(_camel(name) for name in path.split("."))


def _with_own_name(sentence: str, cap: str) -> str:
    """Return a sentence of the engine's that speaks of a cap, in which that is called as developers call it."""
    return sentence.replace(cap, _camel(cap)) if cap else sentence


def _camel(name: str) -> str:
    field, bracket, rest = name.partition("[")
    first, *words = field.split("_")
    return _FIELDS.get(field, first + "".join(word.capitalize() for word in words)) + bracket + rest

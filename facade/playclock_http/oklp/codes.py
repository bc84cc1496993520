"""What clients of this dialect are told: an `error` for programs, as RFC 6749 and 6750 have it, and a sentence for people.

The token endpoint has the codes of RFC 6749, section 5.2, and nothing else. The match calls have those of RFC 6750, section
3.1, and one for each thing that can be the matter with a match, for which no document has a code.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from playclock_http.refusal import Refusal
from playclock_http.status import HTTP_STATUS

Codes = Mapping[str, tuple[int, str]]

_INVALID_REQUEST: Final = "invalid_request"
_INVALID_TOKEN: Final = "invalid_token"  # noqa: S105 - a code
_NOT_FOUND: Final = (404, "not_found")
_CONFLICT: Final = (409, "conflict")
_DENIED: Final = (403, "insufficient_scope")
_SLOW_DOWN: Final = (429, "temporarily_unavailable")
_AWAY: Final = (503, "temporarily_unavailable")
FAULT: Final = (500, "server_error")

_OF_BOTH: Final[Codes] = {
    "BAD_REQUEST": (400, _INVALID_REQUEST),
    # Not of the RFCs: paths, methods and limits are HTTP's business.
    "NOT_FOUND": _NOT_FOUND,
    "METHOD_NOT_ALLOWED": (405, _INVALID_REQUEST),
    "REQUEST_TIMEOUT": (408, _INVALID_REQUEST),
    "RATE_LIMITED": _SLOW_DOWN,
    "STORE_UNAVAILABLE": _AWAY,
    "TOO_MUCH_CONTENTION": _AWAY,
    "SHUTTING_DOWN": _AWAY,
    "INTERNAL": FAULT,
}

CODES: Final[Codes] = {
    **_OF_BOTH,
    "UNSUPPORTED_GRANT_TYPE": (400, "unsupported_grant_type"),
    "INVALID_SCOPE": (400, "invalid_scope"),
    "INVALID_API_KEY": (401, "invalid_client"),
    "REALM_NOT_FOUND": _NOT_FOUND,
    # A client has one role only: it is this facade that the engine does not let in, or a key that has just ended.
    "PERMISSION_DENIED": FAULT,
}
"""Of the OpenID side. Reason -> (HTTP status, `error`)."""

MATCH_CODES: Final[Codes] = {
    **_OF_BOTH,
    "TOKEN_REQUIRED": (401, _INVALID_TOKEN),
    "INVALID_API_KEY": (401, _INVALID_TOKEN),
    "PERMISSION_DENIED": _DENIED,
    "MATCH_NOT_FOUND": (404, "match_not_found"),
    "MATCH_TOKEN_NOT_FOUND": (404, "match_token_not_found"),
    "PLAYER_NOT_FOUND": (404, "player_not_found"),
    "WRONG_MATCH_STATE": (409, "wrong_match_state"),
    "MATCH_TOKEN_EXPIRED": (410, "match_token_expired"),
    # Of calls that this dialect does not have.
    **dict.fromkeys(
        ("INVALID_SIGNATURE", "INVALID_PLAYER_TOKEN", "REQUEST_EXPIRED", "REQUEST_REPLAYED"), (401, _INVALID_TOKEN)
    ),
    **dict.fromkeys(("INVALID_IMAGE", "CURSOR_EXPIRED"), (400, _INVALID_REQUEST)),
    **dict.fromkeys(("NOT_PC_CAFE", "GAME_NOT_AVAILABLE", "OWNERSHIP_NOT_PROVEN"), _DENIED),
    **dict.fromkeys(
        (
            *(
                "GAME_NOT_FOUND",
                "LAUNCH_NOT_FOUND",
                "SESSION_NOT_FOUND",
                "ACCOUNT_NOT_FOUND",
                "CAFE_NOT_FOUND",
                "KEY_NOT_FOUND",
            ),
            *("TRANSFER_NOT_FOUND", "AGENT_NOT_FOUND", "GAME_PROVIDER_NOT_FOUND", "BET_NOT_FOUND", "REALM_NOT_FOUND"),
            *("IMAGE_NOT_FOUND", "DELIVERY_NOT_FOUND"),
        ),
        _NOT_FOUND,
    ),
    **dict.fromkeys(
        (
            "WRONG_DELIVERY_STATE",
            *("LAUNCH_ENDED", "SESSION_ENDED", "SESSION_ENDING", "ALREADY_ENDED", "REQUEST_ID_REUSED", "ALREADY_REVERSED"),
            *("INSUFFICIENT_CREDIT", "TRANSFER_CLOSED", "TRANSFER_ID_REUSED", "KEY_INACTIVE", "NO_WALLET", "AGENT_REFUSED"),
            *("BET_CLOSED", "TRANSACTION_ID_REUSED", "GAME_CHANGED", "POINTS_EXCEEDED", "MATCH_FULL", "TOO_FEW_PLAYERS"),
            *("ALREADY_JOINED", "OUT_OF_STEP"),
        ),
        _CONFLICT,
    ),
    **dict.fromkeys(("TOO_MANY_TRANSFERS", "TOO_MANY_KEYS", "TOO_MANY_IMAGES"), _SLOW_DOWN),
    **dict.fromkeys(
        (
            *("NO_ARCHIVE", "ARCHIVE_UNAVAILABLE", "PROVIDER_UNAVAILABLE", "AGENT_UNAVAILABLE", "BET_PENDING"),
            *("NO_IMAGES", "IMAGES_UNAVAILABLE"),
        ),
        _AWAY,
    ),
}
"""Of the match calls. Reason -> (HTTP status, `error`)."""

_FIELDS: Final = {"grant_type": "UNSUPPORTED_GRANT_TYPE", "scope": "INVALID_SCOPE"}
"""Fields of the token endpoint that have a code of their own."""


def client_row(refusal: Refusal) -> tuple[int, str]:
    """Return HTTP status and `error` for a client that wants a token."""
    field = next(iter(refusal.violations), "")
    reason = _FIELDS.get(field, refusal.reason) if refusal.reason == "BAD_REQUEST" else refusal.reason
    return CODES.get(reason) or _by_status(refusal)


def reader_row(refusal: Refusal) -> tuple[int, str]:
    """Return the same for somebody who reads what is shown to all. Who is not let in there is this facade."""
    status, error = client_row(refusal)
    return FAULT if status == HTTPStatus.UNAUTHORIZED else (status, error)


def match_row(refusal: Refusal) -> tuple[int, str]:
    """Return the same for a call about a match."""
    return MATCH_CODES.get(refusal.reason) or _by_status(refusal)


def _by_status(refusal: Refusal) -> tuple[int, str]:
    status, _ = HTTP_STATUS[refusal.status]
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return status, _INVALID_REQUEST
    return status, FAULT[1] if status == HTTPStatus.INTERNAL_SERVER_ERROR else _AWAY[1]

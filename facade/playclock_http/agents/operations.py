"""The agent dialect as data, for its OpenAPI document: every call, what it takes and everything that it may answer."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from playclock_http.agents import schemas
from playclock_http.agents.codes import CODES
from playclock_http.agents.envelope import AgentError, AgentSuccess
from playclock_http.operation import Answer, Operation, Parameter
from playclock_http.ratelimit import RATE_LIMIT_HEADERS

SCHEMES: Final = {
    "AgentSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Signature",
        "description": "Lower-case hex of HMAC-SHA256(API token, the body with its top-level names sorted). "
        "The body that is sent is best that very text.",
    },
}

_ALWAYS: Final = (
    *("SIGNATURE_REQUIRED", "AGENT_NOT_FOUND", "API_TOKEN_NOT_FOUND", "INVALID_SIGNATURE", "REQUEST_EXPIRED", "BAD_REQUEST"),
    *("REQUEST_TIMEOUT", "RATE_LIMITED", "STORE_UNAVAILABLE", "INTERNAL"),
)
_GAME_CHECKS: Final = ("GAME_NOT_FOUND", "GAME_NOT_AVAILABLE")
_UNNAMED: Final = {429: "rate_limited", 504: "deadline_exceeded"}
"""Statuses that may come without a reason of ours."""

_SENTENCES: Final = {
    400: "The timestamp is too far from the server's time.",
    401: "There is no signature.",
    403: "The signature is wrong, or the agent does not offer the game.",
    404: "There is no such agent, or it has no token, or there is no such game.",
    408: "The body did not arrive in time.",
    422: "The body is malformed; the message names the fields.",
    429: "Too many calls.",
    500: "A fault of the server. Its log has the details under the request id.",
    503: "The same call may succeed later.",
    504: "The engine did not answer in time.",
}
_RETRY_AFTER: Final = {"Retry-After": "Seconds to wait, where that is known."}
_HEADERS: Final[Mapping[int, Mapping[str, str]]] = {429: {**_RETRY_AFTER, **RATE_LIMIT_HEADERS}, 503: _RETRY_AFTER}
_LIST_HEADERS: Final = {"ETag": "The version of the list, weak.", "Vary": "Accept-Encoding: the list may come in gzip."}

_PLAYER: Final = {
    "agent_id": 1,
    "timestamp": 1640995200,
    "game_id": 123,
    "player_id": "player_123",
    "player_username": "john_doe",
    "language": "ru",
    "currency": "RUB",
    "home_url": "https://example.com",
}


def _operation(
    name: str,
    *,
    path: str,
    summary: str,
    description: str,
    body: type[msgspec.Struct],
    example: Mapping[str, Any],
    answers: Mapping[int, Answer],
    parameters: Sequence[Parameter] = (),
) -> Operation:
    return Operation(
        method="POST",
        path=path,
        name=name,
        tag="Agent",
        summary=summary,
        description=description,
        body=body,
        body_example=example,
        parameters=parameters,
        security=("AgentSignature",),
        answers=answers,
    )


def _answers(
    content: Any,  # noqa: ANN401 - a parametrised Struct
    example: Mapping[str, Any],
    reasons: tuple[str, ...] = (),
    headers: Mapping[str, str] | None = None,
) -> dict[int, Answer]:
    by_status: dict[int, list[str]] = {}
    for reason in (*_ALWAYS, *reasons):
        status, code = CODES[reason]
        by_status.setdefault(status, []).append(code)
    for status, code in _UNNAMED.items():
        by_status.setdefault(status, []).append(code)
    enveloped = {
        "status": "success",
        "timestamp": "2024-01-01T00:00:00.000Z",
        "request_id": "ba9d4445-779f-4b04-8bcb-6d17bc8dc3da",
        "content": example,
    }
    answers = {
        200: Answer(description="Carried out.", bodies=(content,), examples={"success": enveloped}, headers=headers or {})
    }
    for status, found in sorted(by_status.items()):
        codes = ", ".join(dict.fromkeys(found))
        answers[status] = Answer(
            description=f"{_SENTENCES[status]} Codes: {codes}.", bodies=(AgentError,), headers=_HEADERS.get(status, {})
        )
    return answers


OPERATIONS: Final = (
    _operation(
        "getGameLink",
        path="/api/games/get_game_link",
        summary="Get a game link",
        description="A unique link that launches the game. The same agent_session_id gets a link to the same launch.",
        body=schemas.GameLinkOrder,
        example={**_PLAYER, "agent_session_id": "session_abc123", "ip": "192.168.1.1"},
        answers=_answers(
            AgentSuccess[schemas.Link],
            {"url": "https://game.example.com/play?token=abc123&gameId=123&playerId=player_123"},
            _GAME_CHECKS,
        ),
    ),
    _operation(
        "getDemoGameLink",
        path="/api/games/get_game_link_demo",
        summary="Get a demo game link",
        description="A link that launches the game's demo: a virtual balance, no session, and nothing is saved.",
        body=schemas.DemoLinkOrder,
        example={**_PLAYER, "ip": "192.168.1.1"},
        answers=_answers(
            AgentSuccess[schemas.Link],
            {"url": "https://game.example.com/demo?token=abc123&gameId=123&playerId=player_123"},
            (*_GAME_CHECKS, "GAME_PROVIDER_NOT_FOUND"),
        ),
    ),
    _operation(
        "listGames",
        path="/api/games/list",
        summary="Get the list of games",
        description="All games available to the agent.",
        body=schemas.ListOrder,
        example={"agent_id": 1, "timestamp": 1640995200},
        parameters=(
            Parameter(
                "If-None-Match",
                "header",
                "The ETag of an earlier answer. Where the list is still the same, the answer is 304, without a body.",
                {"type": "string"},
            ),
        ),
        answers={
            **_answers(
                AgentSuccess[schemas.GameList],
                {
                    "games": [
                        {
                            "id": 1,
                            "title": "Champagne Party",
                            "brand": "Mega",
                            "image_url": "https://cdn.example.com/images/games/champagne_party.jpg",
                            "demo": True,
                        },
                        {
                            "id": 2,
                            "title": "Book of Fortune",
                            "brand": "Mega",
                            "image_url": "https://cdn.example.com/images/games/book_of_fortune.jpg",
                            "demo": False,
                        },
                    ],
                    "total": 2,
                },
                headers=_LIST_HEADERS,
            ),
            304: Answer(description="The list is still what If-None-Match names.", bodies=(), headers=_LIST_HEADERS),
        },
    ),
)

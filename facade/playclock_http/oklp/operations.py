"""The match calls as data, for the OpenAPI document: what they take and everything that they may answer."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from playclock_http.oklp import ROOTS, schemas
from playclock_http.oklp.codes import MATCH_CODES
from playclock_http.oklp.envelope import OAuthError
from playclock_http.operation import Answer, Operation
from playclock_http.ratelimit import RATE_LIMIT_HEADERS

SCHEMES: Final = {
    "MatchClientToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The access_token that POST /auth/realms/letsbet/protocol/openid-connect/token answers to a form with "
        "client_id, client_secret, grant_type=client_credentials and scope=olp-report-api. It is good for expires_in seconds.",
    },
}

_ALWAYS: Final = (
    *("BAD_REQUEST", "TOKEN_REQUIRED", "PERMISSION_DENIED", "REQUEST_TIMEOUT", "RATE_LIMITED", "STORE_UNAVAILABLE", "INTERNAL"),
)
_UNNAMED: Final = {504: "temporarily_unavailable"}
"""Statuses that may come without a reason of ours."""
_SENTENCES: Final = {
    400: "The body is malformed, or does not fit the match; the sentence names the fields.",
    401: "There is no access token, or it is not good.",
    403: "The token is for something else.",
    404: "There is none, or it is of another game.",
    408: "The body did not arrive in time.",
    409: "The match is not live.",
    410: "The token's time is over.",
    429: "Too many calls.",
    500: "A fault of the server. Its log has the details under the request id.",
    503: "The same call may succeed later.",
    504: "The engine did not answer in time.",
}
_RETRY_AFTER: Final = {"Retry-After": "Seconds to wait, where that is known."}
_CHALLENGE: Final = {"WWW-Authenticate": "Bearer, and what is wrong with the token, if there is one (RFC 6750)."}
_HEADERS: Final[Mapping[int, Mapping[str, str]]] = {
    401: _CHALLENGE,
    403: _CHALLENGE,
    429: {**_RETRY_AFTER, **RATE_LIMIT_HEADERS},
    503: _RETRY_AFTER,
}
_MATCH: Final = "600f369851f450dd3ecb0035"
_USERS: Final = ("0376d27d-4b0e-4286-9dd9-f9f7528689bb", "1487e38e-5c1f-4397-8aea-0a08639790cc")


def _answers(content: type[msgspec.Struct], example: Mapping[str, Any], *reasons: str) -> dict[int, Answer]:
    by_status: dict[int, list[str]] = {status: [code] for status, code in _UNNAMED.items()}
    for reason in (*_ALWAYS, *reasons):
        status, code = MATCH_CODES[reason]
        by_status.setdefault(status, []).append(code)
    answers = {200: Answer(description="Carried out.", bodies=(content,), examples={"success": example})}
    for status, found in sorted(by_status.items()):
        description = f"{_SENTENCES[status]} Codes: {', '.join(dict.fromkeys(found))}."
        answers[status] = Answer(description=description, bodies=(OAuthError,), headers=_HEADERS.get(status, {}))
    return answers


def _of_both_spellings(
    path: str,
    name: str,
    summary: str,
    description: str,
    *,
    body: type[msgspec.Struct],
    example: Mapping[str, Any],
    answers: Mapping[int, Answer],
) -> tuple[Operation, ...]:
    return tuple(
        Operation(
            method="POST",
            path=f"{root}/{path}",
            name=name + suffix,
            tag="Match",
            summary=summary,
            description=description,
            body=body,
            body_example=example,
            security=("MatchClientToken",),
            answers=answers,
        )
        for root, suffix in zip(ROOTS, ("", "AtGames"), strict=True)
    )


OPERATIONS: Final = (
    *_of_both_spellings(
        "token-info",
        "getTokenInfo",
        "Get what a match token is good for",
        "Who plays which match by the token of a launch URL. Let nobody play unless match_status is live or pending.",
        body=schemas.TokenToInspect,
        example={"token": "match_abc123"},
        answers=_answers(
            schemas.TokenInfo,
            {
                "match_id": _MATCH,
                "user_id": _USERS[0],
                "match_status": "live",
                "submissions_total": 1,
                "submissions_left": 1,
            },
            *("MATCH_TOKEN_NOT_FOUND", "PLAYER_NOT_FOUND", "MATCH_TOKEN_EXPIRED"),
        ),
    ),
    *_of_both_spellings(
        "finish",
        "finishMatch",
        "Report a result",
        "Of a synchronous game one report with all teams, of an asynchronous one a report of each player, without teams. "
        "The first that is accepted counts; whoever sends it again, or another one, hears what counts.",
        body=schemas.Result,
        example={
            "match_id": _MATCH,
            "participants": [{"id": _USERS[0], "score": 300}, {"id": _USERS[1], "score": 250}],
            "teams": [
                {"id": "team_id_1", "score": 300, "ranking": 1},
                {"id": "team_id_2", "score": 250, "ranking": 2, "forfeit": False},
            ],
        },
        answers=_answers(
            schemas.AcceptedResult,
            {
                "match_id": _MATCH,
                "match_status": "finished",
                "participants": [],
                "teams": [
                    {"id": "team_id_1", "score": 300, "ranking": 1, "forfeit": False},
                    {"id": "team_id_2", "score": 250, "ranking": 2, "forfeit": False},
                ],
            },
            *("MATCH_NOT_FOUND", "WRONG_MATCH_STATE"),
        ),
    ),
)

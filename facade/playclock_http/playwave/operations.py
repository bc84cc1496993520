"""The PlayWave dialect as data, for its OpenAPI document: every call, what it takes and everything that it may answer."""

from collections.abc import Mapping
from typing import Any, Final

from playclock_http.operation import Answer, Operation, Parameter
from playclock_http.playwave import launcher_schemas, schemas
from playclock_http.playwave.codes import CODES, LAUNCH_END_CODES, Codes
from playclock_http.playwave.envelope import Failure, Success
from playclock_http.ratelimit import RATE_LIMIT_HEADERS

SCHEMES: Final = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "Key of the game's servers."},
    "LauncherId": {"type": "apiKey", "in": "header", "name": "X-Launcher-Id", "description": "Names the launcher."},
    "LauncherTimestamp": {"type": "apiKey", "in": "header", "name": "X-Timestamp", "description": "Unix seconds."},
    "LauncherNonce": {"type": "apiKey", "in": "header", "name": "X-Nonce", "description": "Used once."},
    "LauncherSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Signature",
        "description": "Lower-case hex of HMAC-SHA256(secret, METHOD\\nPATH\\nTIMESTAMP\\nNONCE\\nhex(sha256(body))).",
    },
}
_GAME: Final = ("ApiKey",)
_LAUNCHER: Final = ("LauncherId", "LauncherTimestamp", "LauncherNonce", "LauncherSignature")

_ALWAYS: Final = (
    *("BAD_REQUEST", "PERMISSION_DENIED", "REQUEST_TIMEOUT", "TOO_MUCH_CONTENTION", "STORE_UNAVAILABLE", "INTERNAL"),
    "RATE_LIMITED",
)
_GAME_ALWAYS: Final = (*_ALWAYS, "INVALID_API_KEY")
_LAUNCHER_ALWAYS: Final = (*(*_ALWAYS, "INVALID_API_KEY", "INVALID_SIGNATURE", "REQUEST_EXPIRED", "REQUEST_REPLAYED"),)
_UNNAMED: Final = {429: "RATE_LIMITED", 504: "DEADLINE_EXCEEDED"}
"""Statuses that may come without a reason of ours."""

_SENTENCES: Final = {
    400: "The request is malformed; the message names the field.",
    401: "The caller has not proved who it is.",
    403: "The caller is known, and may not do this.",
    404: "There is no such thing, or it is somebody else's, or it fell silent.",
    408: "The body did not arrive in time.",
    409: "It had ended before.",
    410: "It is over.",
    422: "The Idempotency-Key was used before with another body.",
    429: "Too many calls.",
    500: "A fault of the server. Its log has the details under the request id.",
    503: "The same call may succeed later.",
    504: "The engine did not answer in time.",
}
_RETRY_AFTER: Final = {"Retry-After": "Seconds to wait, where that is known."}
_HEADERS: Final[Mapping[int, Mapping[str, str]]] = {429: {**_RETRY_AFTER, **RATE_LIMIT_HEADERS}, 503: _RETRY_AFTER}


def _answers(
    data: tuple[Any, ...],
    examples: Mapping[str, Any],
    reasons: tuple[str, ...],
    codes: Codes = CODES,
    links: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[int, Answer]:
    """Return the answers by HTTP status: the success, and each status that one of the reasons leads to."""
    by_status: dict[int, list[str]] = {}
    for reason in reasons:
        status, code = codes[reason]
        by_status.setdefault(status, []).append(code)
    for status, code in _UNNAMED.items():
        by_status.setdefault(status, []).append(code)
    answers = {200: Answer(description="Carried out.", bodies=data, examples=_enveloped(examples), links=links or {})}
    for status, found in sorted(by_status.items()):
        names = ", ".join(dict.fromkeys(found))
        answers[status] = Answer(
            description=f"{_SENTENCES[status]} Codes: {names}.",
            bodies=(Failure,),
            headers=_HEADERS.get(status, {}),
        )
    return answers


def _link(operation: str, **body: str) -> dict[str, Any]:
    """Return an OpenAPI link to an operation whose body takes values of this answer, by runtime expressions."""
    return {"operationId": operation, "requestBody": body}


def _enveloped(examples: Mapping[str, Any]) -> dict[str, Any]:
    return {name: {"success": True, "request_id": "req_abc123", "data": data} for name, data in examples.items()}


_SESSION: Final = "gs_550e8400-e29b-41d4-a716-446655440000"
_TOKEN: Final = "ls_4b1d3c5e-8a34-4a6b-9f38-1f5a0d3f2b6c"  # noqa: S105 - an example for the document

_WITHOUT_BODY: Final = "Counts where there is no body; has to be well-formed all the same."

_THIS_SESSION: Final = "$response.body#/data/game_session_id"
_THIS_PLAYER: Final = "$request.body#/provider_user_id"
_THIS_LAUNCH: Final = "$response.body#/data/session_token"
_THIS_GAME: Final = "$response.body#/data/games/0/game_id"
_THIS_OTT: Final = "$response.body#/data/ott"

GAME_OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/game/session/verify",
        name="verifySession",
        tag="Game server",
        summary="Verify an OTT and open a game session",
        description="Call it when a player joins. A refused OTT is answered with 200: branch on `is_valid`.",
        body=schemas.Verify,
        body_example={"ott": schemas.EXAMPLE_OTT, "provider_user_id": "261"},
        parameters=(
            Parameter(
                "Idempotency-Key",
                "header",
                "Makes a retry safe: the same key with the same body gets the first answer again.",
                {"type": "string", "maxLength": 255, "pattern": r"^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$"},
            ),
        ),
        security=_GAME,
        answers=_answers(
            (Success[schemas.Verified], Success[schemas.Refused]),
            {
                "success": {"is_valid": True, "game_session_id": _SESSION, "is_pc_cafe": True},
                "failure": {"is_valid": False, "reason": "OTT_EXPIRED"},
            },
            (*_GAME_ALWAYS, "REQUEST_ID_REUSED"),
            links={
                "heartbeat": _link("heartbeatSession", game_session_id=_THIS_SESSION, provider_user_id=_THIS_PLAYER),
                "end": _link("endSession", game_session_id=_THIS_SESSION),
            },
        ),
    ),
    Operation(
        method="PATCH",
        path="/v1/game/session/heartbeat",
        name="heartbeatSession",
        tag="Game server",
        summary="Report that a game session is still active",
        description="Call it every 120 seconds, or as `next_heartbeat_in` says. After 240 silent seconds it is over.",
        body=schemas.Heartbeat,
        body_example={"game_session_id": _SESSION, "provider_user_id": "261"},
        security=_GAME,
        answers=_answers(
            (Success[schemas.HeartbeatAnswer],),
            {
                "ok": {"result": "OK", "next_heartbeat_in": 120, "play_duration_sec": 1800},
                "exhausted": {
                    "result": "CHARGE_EXHAUSTED",
                    "next_heartbeat_in": 120,
                    "play_duration_sec": 3600,
                    "grace_remaining_sec": 120,
                },
            },
            (*_GAME_ALWAYS, "SESSION_NOT_FOUND", "SESSION_ENDED", "SESSION_ENDING"),
        ),
    ),
    Operation(
        method="DELETE",
        path="/v1/game/session/end",
        name="endSession",
        tag="Game server",
        summary="End a game session",
        description="Call it when a player leaves. Where a client cannot send a body with DELETE, the query will do.",
        body=schemas.End,
        body_required=False,
        body_example={"game_session_id": _SESSION, "play_duration_sec": 1795},
        parameters=(
            Parameter("game_session_id", "query", _WITHOUT_BODY, {"type": "string", "pattern": schemas.GAME_SESSION_ID}),
            Parameter(
                "play_duration_sec", "query", _WITHOUT_BODY, {"type": "integer", "minimum": 0, "maximum": schemas.INT32_MAX}
            ),
        ),
        security=_GAME,
        answers=_answers(
            (Success[schemas.EndAnswer],),
            {"success": {"result": "SUCCESS", "play_duration_sec": 1800, "client_play_duration_sec": 1795}},
            (*_GAME_ALWAYS, "SESSION_NOT_FOUND", "ALREADY_ENDED"),
        ),
    ),
)

LAUNCHER_OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/launcher/session/start",
        name="startLaunch",
        tag="Launcher",
        summary="Start a launch on a PC",
        description="The cafe is found by the address from which the launcher calls.",
        body=launcher_schemas.LaunchStart,
        body_example={"pc_id": "PC-07", "internal_ip": "192.168.0.17", "hardware": {"cpu": "8 cores"}},
        security=_LAUNCHER,
        answers=_answers(
            (Success[launcher_schemas.LaunchAnswer],),
            {},
            (*_LAUNCHER_ALWAYS, "NOT_PC_CAFE"),
            links={
                "ott": _link("issueOtt", session_token=_THIS_LAUNCH, game_id=_THIS_GAME),
                "heartbeat": _link("heartbeatLaunch", session_token=_THIS_LAUNCH),
                "end": _link("endLaunch", session_token=_THIS_LAUNCH),
            },
        ),
    ),
    Operation(
        method="POST",
        path="/v1/launcher/ott",
        name="issueOtt",
        tag="Launcher",
        summary="Issue a one-time token for a game",
        description="The launcher passes it to the game as LaunchData. It can be redeemed once, within a minute.",
        body=launcher_schemas.OttOrder,
        body_example={"session_token": _TOKEN, "game_id": "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"},
        security=_LAUNCHER,
        answers=_answers(
            (Success[launcher_schemas.OttAnswer],),
            {"success": {"ott": schemas.EXAMPLE_OTT, "expires_in": 60}},
            (*_LAUNCHER_ALWAYS, "GAME_NOT_FOUND", "LAUNCH_NOT_FOUND", "LAUNCH_ENDED"),
            links={"verify": _link("verifySession", ott=_THIS_OTT, provider_user_id="261")},
        ),
    ),
    Operation(
        method="PATCH",
        path="/v1/launcher/session/heartbeat",
        name="heartbeatLaunch",
        tag="Launcher",
        summary="Report that a launcher is still running",
        description="A game session ends when its launcher falls silent.",
        body=launcher_schemas.LaunchName,
        body_example={"session_token": _TOKEN},
        security=_LAUNCHER,
        answers=_answers(
            (Success[launcher_schemas.LaunchHeartbeatAnswer],),
            {"ok": {"result": "OK", "next_heartbeat_in": 120}},
            (*_LAUNCHER_ALWAYS, "LAUNCH_NOT_FOUND", "LAUNCH_ENDED"),
        ),
    ),
    Operation(
        method="DELETE",
        path="/v1/launcher/session/end",
        name="endLaunch",
        tag="Launcher",
        summary="End a launch",
        description="The game session on its PC ends with it.",
        body=launcher_schemas.LaunchName,
        body_example={"session_token": _TOKEN},
        security=_LAUNCHER,
        answers=_answers(
            (Success[launcher_schemas.LaunchEndAnswer],),
            {"success": {"result": "SUCCESS"}},
            (*_LAUNCHER_ALWAYS, "LAUNCH_NOT_FOUND", "LAUNCH_ENDED"),
            LAUNCH_END_CODES,
        ),
    ),
)

OPERATIONS: Final = (*GAME_OPERATIONS, *LAUNCHER_OPERATIONS)

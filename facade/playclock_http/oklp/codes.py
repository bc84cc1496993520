"""What clients of the token endpoint are told: the codes of RFC 6749, sections 4.1.2.1 and 5.2, and nothing else."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import msgspec

from playclock_http.endpoint import Reply
from playclock_http.ratelimit import headers_of
from playclock_http.refusal import Refusal
from playclock_http.status import HTTP_STATUS

_INVALID_REQUEST: Final = "invalid_request"
_AWAY: Final = (503, "temporarily_unavailable")
_FAULT: Final = (500, "server_error")

CODES: Final[Mapping[str, tuple[int, str]]] = {
    "BAD_REQUEST": (400, _INVALID_REQUEST),
    "UNSUPPORTED_GRANT_TYPE": (400, "unsupported_grant_type"),
    "INVALID_SCOPE": (400, "invalid_scope"),
    "INVALID_API_KEY": (401, "invalid_client"),
    # Not of the RFC: paths, methods and limits are HTTP's business.
    "REALM_NOT_FOUND": (404, "not_found"),
    "NOT_FOUND": (404, "not_found"),
    "METHOD_NOT_ALLOWED": (405, _INVALID_REQUEST),
    "REQUEST_TIMEOUT": (408, _INVALID_REQUEST),
    "RATE_LIMITED": (429, "temporarily_unavailable"),
    "STORE_UNAVAILABLE": _AWAY,
    "TOO_MUCH_CONTENTION": _AWAY,
    "SHUTTING_DOWN": _AWAY,
    "INTERNAL": _FAULT,
    # A client has one role only: it is this facade that the engine does not let in, or a key that has just ended.
    "PERMISSION_DENIED": _FAULT,
}
"""Reason -> (HTTP status, `error`)."""

_FIELDS: Final = {"grant_type": "UNSUPPORTED_GRANT_TYPE", "scope": "INVALID_SCOPE"}


class OAuthError(msgspec.Struct, frozen=True):
    """An error as RFC 6749 has it."""

    error: str
    error_description: str


def refuse_client(refusal: Refusal, request_id: str) -> Reply:  # noqa: ARG001 - it is in a header of every answer
    """Say a refusal to a client that wants a token."""
    return _refuse(refusal, *_row(refusal))


def refuse_reader(refusal: Refusal, request_id: str) -> Reply:  # noqa: ARG001 - the same
    """Say a refusal to somebody who reads what is shown to all. Who is not let in there is this facade."""
    status, error = _row(refusal)
    return _refuse(refusal, *(_FAULT if status == HTTPStatus.UNAUTHORIZED else (status, error)))


def _row(refusal: Refusal) -> tuple[int, str]:
    field = next(iter(refusal.violations), "")
    row = CODES.get(_FIELDS.get(field, refusal.reason) if refusal.reason == "BAD_REQUEST" else refusal.reason)
    if row is not None:
        return row
    status, _ = HTTP_STATUS[refusal.status]
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return status, _INVALID_REQUEST
    return status, _FAULT[1] if status == HTTPStatus.INTERNAL_SERVER_ERROR else _AWAY[1]


def _refuse(refusal: Refusal, status: int, error: str) -> Reply:
    headers = headers_of(refusal)
    if status == HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b'Basic realm="playclock", charset="UTF-8"'))
    if refusal.retry_after_sec is not None:
        headers.append((b"retry-after", str(refusal.retry_after_sec).encode()))
    if refusal.allow is not None:
        headers.append((b"allow", refusal.allow.encode()))
    message = "" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else refusal.message
    described = OAuthError(error, message or HTTPStatus(status).phrase)
    return Reply(status, msgspec.json.encode(described), tuple(headers))

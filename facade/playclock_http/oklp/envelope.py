"""What errors of this dialect look like: `{error, error_description}`, and the challenge that a 401 needs."""

from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from playclock_http.endpoint import Reply
from playclock_http.oklp.codes import client_row, match_row, reader_row
from playclock_http.ratelimit import headers_of
from playclock_http.refusal import Refusal

_BASIC: Final = b'Basic realm="playclock", charset="UTF-8"'
_BEARER: Final = b'Bearer realm="playclock"'
_BAD_TOKEN: Final = "the access token is unknown, malformed, expired or revoked"  # noqa: S105 - a sentence


class OAuthError(msgspec.Struct, frozen=True):
    """The call was not carried out: an error as RFC 6749 has it."""

    error: Annotated[str, Meta(description="What programs branch on.", examples=["invalid_request"])]
    error_description: Annotated[str, Meta(description="A sentence for people.", examples=["match_id: is required"])]


def refuse_client(refusal: Refusal, _request_id: str) -> Reply:
    """Say a refusal to a client that wants a token. The request id is in a header of every answer."""
    return _refuse(refusal, client_row(refusal), _BASIC)


def refuse_reader(refusal: Refusal, _request_id: str) -> Reply:
    """Say a refusal to somebody who reads what is shown to all."""
    return _refuse(refusal, reader_row(refusal), _BASIC)


def refuse_match_client(refusal: Refusal, _request_id: str) -> Reply:
    """Say a refusal to a match client that calls with an access token."""
    row = match_row(refusal)
    return _refuse(_in_our_words(refusal, row[0]), row, _challenge(refusal, *row))


def _in_our_words(refusal: Refusal, status: int) -> Refusal:
    if status == HTTPStatus.UNAUTHORIZED and refusal.reason != "TOKEN_REQUIRED":
        return Refusal(refusal.reason, _BAD_TOKEN, status=refusal.status)
    return refusal


def _challenge(refusal: Refusal, status: int, error: str) -> bytes:
    """Return the challenge (RFC 6750, section 3): who has shown no token at all is told of no error."""
    if refusal.reason == "TOKEN_REQUIRED":
        return _BEARER
    described = f', error_description="{_BAD_TOKEN}"' if status == HTTPStatus.UNAUTHORIZED else ""
    return _BEARER + f', error="{error}"{described}'.encode("ascii")


def _refuse(refusal: Refusal, row: tuple[int, str], challenge: bytes) -> Reply:
    status, error = row
    headers = headers_of(refusal)
    if status == HTTPStatus.UNAUTHORIZED or error == "insufficient_scope":
        headers.append((b"www-authenticate", challenge))
    if refusal.retry_after_sec is not None:
        headers.append((b"retry-after", str(refusal.retry_after_sec).encode()))
    if refusal.allow is not None:
        headers.append((b"allow", refusal.allow.encode()))
    message = "" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else refusal.message
    described = OAuthError(error, message or HTTPStatus(status).phrase)
    return Reply(status, msgspec.json.encode(described), tuple(headers))

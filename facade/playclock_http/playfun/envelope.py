"""What answers of the play.fun dialect look like: bare where all went well, `{statusCode, message, error}` where not."""

from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from playclock_http.endpoint import Reply
from playclock_http.playfun.codes import sentence_of, status_of
from playclock_http.ratelimit import Headers, headers_of
from playclock_http.refusal import Refusal


class PlayfunError(msgspec.Struct, frozen=True):
    """The call was not carried out."""

    status_code: Annotated[int, Meta(description="The HTTP status.", examples=[400])] = msgspec.field(name="statusCode")
    message: Annotated[str, Meta(description="A sentence for people.", examples=["Invalid request parameters"])]
    error: Annotated[str, Meta(description="The HTTP status in words.", examples=["Bad Request"])]


_JSON: Final = msgspec.json.Encoder()


def success(content: object, headers: Headers | None = None) -> Reply:
    """Return the reply to a call that was carried out."""
    return Reply(200, _JSON.encode(content), tuple(headers or ()))


def refuse(refusal: Refusal, _request_id: str) -> Reply:
    """Say a refusal in this dialect. The request id is in the header X-Request-Id alone."""
    status = status_of(refusal)
    headers = headers_of(refusal)
    if refusal.retry_after_sec is not None:
        headers.append((b"retry-after", str(refusal.retry_after_sec).encode()))
    if refusal.allow is not None:
        headers.append((b"allow", refusal.allow.encode()))
    error = PlayfunError(status, sentence_of(refusal), HTTPStatus(status).phrase)
    return Reply(status, _JSON.encode(error), tuple(headers))

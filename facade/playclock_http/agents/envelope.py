"""The envelope around every answer of the agent dialect."""

import re
import uuid
from collections.abc import Callable
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Final, Generic, TypeVar

import msgspec
from msgspec import Meta

from playclock_http.agents.codes import SENTENCES, code_of, reason_of
from playclock_http.endpoint import Refuser, Reply
from playclock_http.ratelimit import headers_of
from playclock_http.refusal import Refusal
from playclock_http.timestamp import iso_ms

ContentT = TypeVar("ContentT", bound=msgspec.Struct)

Timestamp = Annotated[
    str,
    Meta(
        description="When it was answered: ISO 8601, milliseconds, UTC.",
        examples=["2024-01-01T00:00:00.000Z"],
        extra_json_schema={"format": "date-time"},
    ),
]
RequestId = Annotated[
    str,
    Meta(
        description="Names this request in the server's log: a UUID, the caller's X-Request-Id where that is one.",
        examples=["ba9d4445-779f-4b04-8bcb-6d17bc8dc3da"],
        extra_json_schema={"format": "uuid"},
    ),
]


class AgentSuccess(msgspec.Struct, Generic[ContentT], frozen=True):
    """The call was carried out. What came of it is in `content`."""

    status: Annotated[str, Meta(extra_json_schema={"const": "success"})]
    timestamp: Timestamp
    request_id: RequestId
    content: ContentT


class AgentError(msgspec.Struct, frozen=True):
    """The call was not carried out."""

    status: Annotated[str, Meta(extra_json_schema={"const": "error"})]
    error: Annotated[str, Meta(description="What programs branch on.", examples=["game_not_found"])]
    message: Annotated[str, Meta(description="A sentence for people.", examples=["Game not found"])]
    timestamp: Timestamp
    request_id: RequestId


_UUID: Final = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_JSON: Final = msgspec.json.Encoder()
_FIELDS: Final = {"game_number": "game_id"}
"""Fields that are called otherwise here than by the engine."""


def name_request(given: bytes | None) -> str:
    """Return the caller's X-Request-Id where that is a UUID, else a new one."""
    if given is not None and _UUID.fullmatch(given):
        return given.decode("ascii")
    return str(uuid.uuid4())


def success(now: datetime, request_id: str, content: msgspec.Struct) -> Reply:
    """Return the reply to a call that was carried out."""
    return Reply(200, _JSON.encode(AgentSuccess("success", iso_ms(now), request_id, content)))


def around(now: datetime, request_id: str) -> tuple[bytes, bytes]:
    """Return what a success has before its content, and after it."""
    empty = _JSON.encode({"status": "success", "timestamp": iso_ms(now), "request_id": request_id, "content": None})
    return empty.removesuffix(b"null}"), b"}"


def refuser(now: Callable[[], datetime]) -> Refuser:
    """Return what says refusals in this dialect, by a clock for their timestamps."""
    return partial(_refuse, now)


def _refuse(now: Callable[[], datetime], refusal: Refusal, request_id: str) -> Reply:
    status, code = code_of(refusal)
    headers = headers_of(refusal)
    if refusal.retry_after_sec is not None:
        headers.append((b"retry-after", str(refusal.retry_after_sec).encode()))
    if refusal.allow is not None:
        headers.append((b"allow", refusal.allow.encode()))
    error = AgentError("error", code, _message(refusal, status), iso_ms(now()), request_id)
    return Reply(status, _JSON.encode(error), tuple(headers))


def _message(refusal: Refusal, status: int) -> str:
    told = refusal.message
    if refusal.violations:
        # The engine's fields are paths into its messages; an agent's body is flat.
        named = {path.rpartition(".")[2]: problem for path, problem in refusal.violations.items()}
        told = "; ".join(f"{_FIELDS.get(name, name)}: {problem}" for name, problem in named.items())
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        told = ""  # a fault of ours, and no business of the caller's
    return SENTENCES.get(reason_of(refusal)) or told or HTTPStatus(status).phrase

"""The envelope around every answer of the PlayWave dialect."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Final, Generic, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from playclock_http.endpoint import Refuser, Reply
from playclock_http.playwave.codes import SENTENCES, Codes, code_of
from playclock_http.ratelimit import headers_of
from playclock_http.refusal import Refusal
from playclock_http.timestamp import iso_ms

DataT = TypeVar("DataT")
RequestId = Annotated[str, Meta(description="Names this request in the server's log.", examples=["req_abc123"])]


class Success(msgspec.Struct, Generic[DataT], frozen=True):
    """The call was carried out. What came of it is in `data`."""

    success: Annotated[bool, Meta(extra_json_schema={"const": True})]
    request_id: RequestId
    data: DataT


class Settlement(msgspec.Struct, frozen=True):
    """The figures of a session that had ended before."""

    end_reason: Annotated[str, Meta(description="Why it ended.", examples=["CLIENT_END"])]
    play_duration_sec: Annotated[int, Meta(description="Seconds by the server's clock.", examples=[1800])]
    billed_sec: Annotated[int, Meta(description="Seconds that were billed.", examples=[1800])]
    grace_sec: Annotated[int, Meta(description="Seconds of the grace period that were used; not billed.", examples=[0])]
    amount_micros: Annotated[
        int,
        Meta(description="Millionths of the account's currency that were billed; 0 where nobody pays.", examples=[30_000_000]),
    ]
    client_play_duration_sec: Annotated[
        int | None, Meta(description="Seconds as the game server counted them, where it said so.", examples=[1795])
    ] = None


class Problem(msgspec.Struct, frozen=True):
    """What went wrong."""

    code: Annotated[str, Meta(description="What programs branch on.", examples=["INVALID_API_KEY"])]
    message: Annotated[str, Meta(description="A sentence for people.", examples=["API Key is invalid or inactive"])]
    timestamp: Annotated[
        str,
        Meta(
            description="When it went wrong: ISO 8601, milliseconds, UTC.",
            examples=["2026-03-06T12:00:00.000Z"],
            extra_json_schema={"format": "date-time"},
        ),
    ]
    settlement: Settlement | UnsetType = UNSET


class Failure(msgspec.Struct, frozen=True):
    """The call was not carried out."""

    success: Annotated[bool, Meta(extra_json_schema={"const": False})]
    request_id: RequestId
    error: Problem


_JSON: Final = msgspec.json.Encoder()


def success(request_id: str, data: msgspec.Struct) -> Reply:
    """Return the reply to a call that was carried out."""
    return Reply(200, _JSON.encode(Success(True, request_id, data)))


def refuser(codes: Codes, now: Callable[[], datetime]) -> Refuser:
    """Return what says refusals in this dialect, by a table of codes and a clock for their timestamps."""
    return partial(_refuse, codes, now)


def _refuse(codes: Codes, now: Callable[[], datetime], refusal: Refusal, request_id: str) -> Reply:
    status, code = code_of(refusal, codes)
    message = SENTENCES.get(refusal.reason) or refusal.message or HTTPStatus(status).phrase
    headers = headers_of(refusal)
    if refusal.retry_after_sec is not None:
        headers.append((b"retry-after", str(refusal.retry_after_sec).encode()))
    if refusal.allow is not None:
        headers.append((b"allow", refusal.allow.encode()))
    problem = Problem(code, message, iso_ms(now()), _settlement(refusal))
    return Reply(status, _JSON.encode(Failure(False, request_id, problem)), tuple(headers))


def _settlement(refusal: Refusal) -> Settlement | UnsetType:
    if refusal.reason != "ALREADY_ENDED":
        return UNSET
    try:
        # The metadata of a gRPC error is all strings; `strict=False` reads the figures.
        return msgspec.convert(dict(refusal.metadata), Settlement, strict=False)
    except msgspec.ValidationError:
        return UNSET

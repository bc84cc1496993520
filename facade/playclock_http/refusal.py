"""Why a request is not answered with what it asked for: found by the facade itself, or told by the engine."""

import math
from collections.abc import Mapping
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

_DETAILS_KEY: Final = "grpc-status-details-bin"
_DOMAIN: Final = "playclock"

_SILENT: Final = frozenset(
    {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS}
)
"""Codes whose sentences speak of our insides (hosts, ports, bugs): the caller never sees them."""


class Refusal(Exception):
    """A request that is refused. Each dialect has one function that says it in its own words.

    `reason` is a name of ErrorReason or one of the facade's own, empty where nobody gave one; then `status` decides.
    `message` goes to the caller, so it never holds a value from the request or a secret; empty for a neutral one.
    `violations` are the fields that are wrong, as the engine names them, and what is wrong with each.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        status: grpc.StatusCode,
        metadata: Mapping[str, str] | None = None,
        violations: Mapping[str, str] | None = None,
        retry_after_sec: int | None = None,
        allow: str | None = None,
    ) -> None:
        super().__init__(f"{reason or status.name}: {message}")
        self.reason = reason
        self.message = message
        self.status = status
        self.metadata = metadata or {}
        self.violations = violations or {}
        self.retry_after_sec = retry_after_sec
        self.allow = allow


def bad_request(message: str) -> Refusal:
    """Return the refusal of a malformed request. The message names the field and what was expected of it."""
    return Refusal("BAD_REQUEST", message, status=grpc.StatusCode.INVALID_ARGUMENT)


def from_rpc(error: grpc.aio.AioRpcError) -> Refusal:
    """Return the refusal that a failed call stands for, with the details of its trailing metadata."""
    reason, metadata, violations, retry_after_sec = "", {}, {}, None
    for detail in _details(error):
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo.FromString(detail.value)
            if info.domain == _DOMAIN:
                reason, metadata = info.reason, dict(info.metadata)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            found = error_details_pb2.BadRequest.FromString(detail.value).field_violations
            violations = {violation.field: violation.description for violation in found}
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            delay = error_details_pb2.RetryInfo.FromString(detail.value).retry_delay
            retry_after_sec = max(1, math.ceil(delay.seconds + delay.nanos / 1e9))
    # Without a reason the sentence is a transport's or a proxy's, and not meant for the caller.
    message = "" if not reason or error.code() in _SILENT else error.details() or ""
    return Refusal(
        reason,
        message,
        status=error.code(),
        metadata=metadata,
        violations=violations if message else {},
        retry_after_sec=retry_after_sec,
    )


def _details(error: grpc.aio.AioRpcError) -> list[Any]:
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                return list(status_pb2.Status.FromString(value).details)
            except DecodeError:
                return []
    return []

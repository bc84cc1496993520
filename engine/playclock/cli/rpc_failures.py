"""What a failed call to the engine means to the person at the command line: a sentence, with what to do."""

import contextlib
from collections.abc import Iterator
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from playclock.cli.failures import Failure

_DETAILS_KEY: Final = "grpc-status-details-bin"
_DOMAIN: Final = "playclock"

_TOKEN_HINT: Final = "give one of the engine's operator_tokens by --token or PLAYCLOCK_OPERATOR_TOKEN"  # noqa: S105 no secret
_WHAT_TO_DO: Final = {
    "INVALID_API_KEY": f"the engine does not know this token; {_TOKEN_HINT}",
    "PERMISSION_DENIED": f"only operators may do this; {_TOKEN_HINT}",
    "SESSION_NOT_FOUND": "there is no such session, or it fell silent, or it ended too long ago",
    "MATCH_NOT_FOUND": "there is no such match, or it ended too long ago",
    "ALREADY_ENDED": "the session has ended already; `playclock sessions show` has its figures",
    "TOO_MUCH_CONTENTION": "others kept changing the same records, and nothing was done; try again",
    "STORE_UNAVAILABLE": "the engine cannot reach its store; whether the call took effect is not known; try again later",
    "INTERNAL": "the engine failed; its log has the details",
}


def details_of(error: grpc.aio.AioRpcError, kind: type[Any]) -> list[Any]:
    """Return the rich details of one kind that came with an error."""
    status = status_pb2.Status()
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY and isinstance(value, bytes):
            with contextlib.suppress(DecodeError):
                status.ParseFromString(value)
    return [kind.FromString(detail.value) for detail in status.details if detail.Is(kind.DESCRIPTOR)]


def violations_of(error: grpc.aio.AioRpcError) -> list[tuple[str, str]]:
    """Return the fields of the request that were wrong, each with what is wrong with it."""
    requests = details_of(error, error_details_pb2.BadRequest)
    return [(violation.field, violation.description) for request in requests for violation in request.field_violations]


def sentence_of(error: grpc.aio.AioRpcError, engine: str) -> str:
    """Return what happened and what to do about it."""
    reasons = [info.reason for info in details_of(error, error_details_pb2.ErrorInfo) if info.domain == _DOMAIN]
    if reasons and reasons[0] in _WHAT_TO_DO:
        return _WHAT_TO_DO[reasons[0]]
    match error.code():
        case grpc.StatusCode.UNAVAILABLE if "CERTIFICATE_VERIFY_FAILED" in (error.details() or ""):
            return f"what answers at {engine} cannot prove to be that host: name who signed its certificate by --tls-ca"
        case grpc.StatusCode.UNAVAILABLE if "WRONG_VERSION_NUMBER" in (error.details() or ""):
            return f"what answers at {engine} speaks no TLS: add --insecure where the network itself is trusted"
        case grpc.StatusCode.UNAVAILABLE:
            return f"no engine answers at {engine}: is `playclock serve` running there?"
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"the engine at {engine} did not answer in time; whether the call took effect is not known"
        case grpc.StatusCode.UNIMPLEMENTED:
            return f"what answers at {engine} is no playclock engine, or an older one"
        case code:
            return f"{error.details() or 'the call failed'} ({reasons[0] if reasons else code.name})"


@contextlib.contextmanager
def told_in_sentences(engine: str) -> Iterator[None]:
    """Turn a failed call into a Failure."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise Failure(sentence_of(error, engine)) from None

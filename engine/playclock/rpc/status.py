"""Errors to gRPC: one table, and the rich status that carries reason and data (google.rpc, AIP-193)."""

from typing import Final

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest as BadRequestDetail
from google.rpc.error_details_pb2 import ErrorInfo, QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status

from playclock import errors
from playclock.errors import EngineError

DOMAIN: Final = "playclock"
DETAILS_KEY: Final = "grpc-status-details-bin"
"""The metadata under which gRPC carries a rich status."""

CODES: Final[dict[type[EngineError], grpc.StatusCode]] = {
    errors.BadRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidApiKey: grpc.StatusCode.UNAUTHENTICATED,
    errors.InvalidSignature: grpc.StatusCode.UNAUTHENTICATED,
    errors.InvalidPlayerToken: grpc.StatusCode.UNAUTHENTICATED,
    errors.RequestExpired: grpc.StatusCode.UNAUTHENTICATED,
    errors.RequestReplayed: grpc.StatusCode.UNAUTHENTICATED,
    errors.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    errors.NotPcCafe: grpc.StatusCode.PERMISSION_DENIED,
    errors.GameNotAvailable: grpc.StatusCode.PERMISSION_DENIED,
    errors.OwnershipNotProven: grpc.StatusCode.PERMISSION_DENIED,
    errors.GameNotFound: grpc.StatusCode.NOT_FOUND,
    errors.LaunchNotFound: grpc.StatusCode.NOT_FOUND,
    errors.SessionNotFound: grpc.StatusCode.NOT_FOUND,
    errors.AccountNotFound: grpc.StatusCode.NOT_FOUND,
    errors.CafeNotFound: grpc.StatusCode.NOT_FOUND,
    errors.TransferNotFound: grpc.StatusCode.NOT_FOUND,
    errors.KeyNotFound: grpc.StatusCode.NOT_FOUND,
    errors.AgentNotFound: grpc.StatusCode.NOT_FOUND,
    errors.GameProviderNotFound: grpc.StatusCode.NOT_FOUND,
    errors.BetNotFound: grpc.StatusCode.NOT_FOUND,
    errors.RealmNotFound: grpc.StatusCode.NOT_FOUND,
    errors.ImageNotFound: grpc.StatusCode.NOT_FOUND,
    errors.MatchNotFound: grpc.StatusCode.NOT_FOUND,
    errors.PlayerNotFound: grpc.StatusCode.NOT_FOUND,
    errors.DeliveryNotFound: grpc.StatusCode.NOT_FOUND,
    errors.WrongDeliveryState: grpc.StatusCode.FAILED_PRECONDITION,
    errors.MatchTokenNotFound: grpc.StatusCode.NOT_FOUND,
    errors.LaunchEnded: grpc.StatusCode.FAILED_PRECONDITION,
    errors.SessionEnded: grpc.StatusCode.FAILED_PRECONDITION,
    errors.SessionEnding: grpc.StatusCode.FAILED_PRECONDITION,
    errors.AlreadyEnded: grpc.StatusCode.FAILED_PRECONDITION,
    errors.AlreadyReversed: grpc.StatusCode.FAILED_PRECONDITION,
    errors.InsufficientCredit: grpc.StatusCode.FAILED_PRECONDITION,
    errors.NoArchive: grpc.StatusCode.UNIMPLEMENTED,
    errors.InvalidImage: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NoImages: grpc.StatusCode.UNIMPLEMENTED,
    errors.TransferClosed: grpc.StatusCode.FAILED_PRECONDITION,
    errors.GameChanged: grpc.StatusCode.ABORTED,
    errors.KeyInactive: grpc.StatusCode.FAILED_PRECONDITION,
    errors.NoWallet: grpc.StatusCode.FAILED_PRECONDITION,
    errors.AgentRefused: grpc.StatusCode.FAILED_PRECONDITION,
    errors.BetClosed: grpc.StatusCode.FAILED_PRECONDITION,
    errors.OutOfStep: grpc.StatusCode.FAILED_PRECONDITION,
    errors.PointsExceeded: grpc.StatusCode.FAILED_PRECONDITION,
    errors.WrongMatchState: grpc.StatusCode.FAILED_PRECONDITION,
    errors.MatchFull: grpc.StatusCode.FAILED_PRECONDITION,
    errors.TooFewPlayers: grpc.StatusCode.FAILED_PRECONDITION,
    errors.AlreadyJoined: grpc.StatusCode.FAILED_PRECONDITION,
    errors.MatchTokenExpired: grpc.StatusCode.FAILED_PRECONDITION,
    errors.RequestIdReused: grpc.StatusCode.ALREADY_EXISTS,
    errors.TransferIdReused: grpc.StatusCode.ALREADY_EXISTS,
    errors.TransactionIdReused: grpc.StatusCode.ALREADY_EXISTS,
    errors.TooManyTransfers: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.RateLimited: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.TooManyImages: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.TooManyKeys: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.CursorExpired: grpc.StatusCode.OUT_OF_RANGE,
    errors.TooMuchContention: grpc.StatusCode.ABORTED,
    errors.StoreAway: grpc.StatusCode.UNAVAILABLE,
    errors.ArchiveAway: grpc.StatusCode.UNAVAILABLE,
    errors.ImagesAway: grpc.StatusCode.UNAVAILABLE,
    errors.AuthorityAway: grpc.StatusCode.UNAVAILABLE,
    errors.AgentAway: grpc.StatusCode.UNAVAILABLE,
    errors.BetPending: grpc.StatusCode.UNAVAILABLE,
    errors.ShuttingDown: grpc.StatusCode.UNAVAILABLE,
}
"""What each error is on the wire."""


class Failure(Exception):
    """A call that failed, as the wire has it."""

    def __init__(self, code: grpc.StatusCode, message: str, status: Status) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def failure_of(error: EngineError) -> Failure:
    """Return the failure that tells the caller of an error: status, ErrorInfo, and what else helps."""
    code = CODES[type(error)]
    details: list[Message] = [ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)]
    if isinstance(error, errors.BadRequest):
        violations = [
            BadRequestDetail.FieldViolation(field=field, description=problem) for field, problem in error.violations.items()
        ]
        return _failure(code, error.message, *details, BadRequestDetail(field_violations=violations))
    if isinstance(error, errors.RateLimited):
        violation = QuotaFailure.Violation(subject=error.limit, description=error.message)
        quota = QuotaFailure(violations=[violation])
        return _failure(code, error.message, *details, quota, _retry_info(error.retry_after_ms))
    if isinstance(error, errors.TryAgain):
        return _failure(code, error.message, *details, _retry_info(error.retry_after_ms))
    return _failure(code, error.message, *details)


def internal_failure(request_id: str) -> Failure:
    """Return the failure for a fault of ours: a neutral sentence. The log has the rest under the request id."""
    info = ErrorInfo(reason="INTERNAL", domain=DOMAIN, metadata={"request_id": request_id})
    return _failure(grpc.StatusCode.INTERNAL, "internal error", info)


def unimplemented_failure(method: str) -> Failure:
    """Return the failure for a method that is not served."""
    return _failure(grpc.StatusCode.UNIMPLEMENTED, f"no such method: {method}")


def _failure(code: grpc.StatusCode, message: str, *details: Message) -> Failure:
    status = Status(code=code.value[0], message=message)
    for detail in details:
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return Failure(code, message, status)


def _retry_info(retry_after_ms: int) -> RetryInfo:
    delay = Duration()
    delay.FromMilliseconds(retry_after_ms)
    return RetryInfo(retry_delay=delay)

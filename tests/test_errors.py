"""Errors: one class for each thing that a caller must do, one row each on the wire, one name each in the proto."""

from typing import Final

import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest as BadRequestDetail
from google.rpc.error_details_pb2 import ErrorInfo, QuotaFailure, RetryInfo
from playclock import errors
from playclock.errors import BadRequest, EngineError, RateLimited, TryAgain
from playclock.rpc.status import CODES, DOMAIN, Failure, failure_of, internal_failure, unimplemented_failure
from playclock.v1.error_reason_pb2 import ErrorReason

TABLE: Final = """
BadRequest         BAD_REQUEST          INVALID_ARGUMENT
InvalidApiKey      INVALID_API_KEY      UNAUTHENTICATED
InvalidSignature   INVALID_SIGNATURE    UNAUTHENTICATED
RequestExpired     REQUEST_EXPIRED      UNAUTHENTICATED
RequestReplayed    REQUEST_REPLAYED     UNAUTHENTICATED
PermissionDenied   PERMISSION_DENIED    PERMISSION_DENIED
NotPcCafe          NOT_PC_CAFE          PERMISSION_DENIED
GameNotAvailable   GAME_NOT_AVAILABLE   PERMISSION_DENIED
GameNotFound       GAME_NOT_FOUND       NOT_FOUND
LaunchNotFound     LAUNCH_NOT_FOUND     NOT_FOUND
SessionNotFound    SESSION_NOT_FOUND    NOT_FOUND
AccountNotFound    ACCOUNT_NOT_FOUND    NOT_FOUND
CafeNotFound       CAFE_NOT_FOUND       NOT_FOUND
TransferNotFound   TRANSFER_NOT_FOUND   NOT_FOUND
KeyNotFound        KEY_NOT_FOUND        NOT_FOUND
AgentNotFound      AGENT_NOT_FOUND      NOT_FOUND
GameProviderNotFound GAME_PROVIDER_NOT_FOUND NOT_FOUND
BetNotFound        BET_NOT_FOUND        NOT_FOUND
RealmNotFound      REALM_NOT_FOUND      NOT_FOUND
ImageNotFound      IMAGE_NOT_FOUND      NOT_FOUND
InvalidImage       INVALID_IMAGE        INVALID_ARGUMENT
NoImages           NO_IMAGES            UNIMPLEMENTED
ImagesAway         IMAGES_UNAVAILABLE   UNAVAILABLE
MatchNotFound      MATCH_NOT_FOUND      NOT_FOUND
PlayerNotFound     PLAYER_NOT_FOUND     NOT_FOUND
DeliveryNotFound DELIVERY_NOT_FOUND NOT_FOUND
WrongDeliveryState WRONG_DELIVERY_STATE FAILED_PRECONDITION
MatchTokenNotFound MATCH_TOKEN_NOT_FOUND NOT_FOUND
WrongMatchState    WRONG_MATCH_STATE    FAILED_PRECONDITION
MatchFull          MATCH_FULL           FAILED_PRECONDITION
TooFewPlayers      TOO_FEW_PLAYERS      FAILED_PRECONDITION
AlreadyJoined      ALREADY_JOINED       FAILED_PRECONDITION
MatchTokenExpired  MATCH_TOKEN_EXPIRED  FAILED_PRECONDITION
NoWallet           NO_WALLET            FAILED_PRECONDITION
AgentRefused       AGENT_REFUSED        FAILED_PRECONDITION
BetClosed          BET_CLOSED           FAILED_PRECONDITION
PointsExceeded     POINTS_EXCEEDED      FAILED_PRECONDITION
TransactionIdReused TRANSACTION_ID_REUSED ALREADY_EXISTS
AgentAway          AGENT_UNAVAILABLE    UNAVAILABLE
BetPending         BET_PENDING          UNAVAILABLE
LaunchEnded        LAUNCH_ENDED         FAILED_PRECONDITION
SessionEnded       SESSION_ENDED        FAILED_PRECONDITION
SessionEnding      SESSION_ENDING       FAILED_PRECONDITION
AlreadyEnded       ALREADY_ENDED        FAILED_PRECONDITION
AlreadyReversed    ALREADY_REVERSED     FAILED_PRECONDITION
InsufficientCredit INSUFFICIENT_CREDIT  FAILED_PRECONDITION
NoArchive          NO_ARCHIVE           UNIMPLEMENTED
TransferClosed     TRANSFER_CLOSED      FAILED_PRECONDITION
GameChanged        GAME_CHANGED         ABORTED
OwnershipNotProven OWNERSHIP_NOT_PROVEN PERMISSION_DENIED
KeyInactive        KEY_INACTIVE         FAILED_PRECONDITION
RequestIdReused    REQUEST_ID_REUSED    ALREADY_EXISTS
TransferIdReused   TRANSFER_ID_REUSED   ALREADY_EXISTS
RateLimited        RATE_LIMITED         RESOURCE_EXHAUSTED
TooManyTransfers   TOO_MANY_TRANSFERS   RESOURCE_EXHAUSTED
TooManyKeys        TOO_MANY_KEYS        RESOURCE_EXHAUSTED
InvalidPlayerToken INVALID_PLAYER_TOKEN UNAUTHENTICATED
OutOfStep          OUT_OF_STEP          FAILED_PRECONDITION
TooManyImages      TOO_MANY_IMAGES      RESOURCE_EXHAUSTED
CursorExpired      CURSOR_EXPIRED       OUT_OF_RANGE
TooMuchContention  TOO_MUCH_CONTENTION  ABORTED
StoreAway          STORE_UNAVAILABLE    UNAVAILABLE
ArchiveAway        ARCHIVE_UNAVAILABLE  UNAVAILABLE
AuthorityAway      PROVIDER_UNAVAILABLE UNAVAILABLE
ShuttingDown       SHUTTING_DOWN        UNAVAILABLE
"""
ROWS: Final = [tuple(line.split()) for line in TABLE.strip().splitlines()]

NO_ERRORS_OF_OURS: Final = {
    "ERROR_REASON_UNSPECIFIED",  # proto3 wants a zero; never sent
    "ERROR_REASON_INTERNAL",  # a fault, which has no class: anything that is no EngineError
}

RETRY_MS: Final = {
    "TooMuchContention": 50,
    "StoreAway": 1_000,
    "ArchiveAway": 1_000,
    "ImagesAway": 1_000,
    "AuthorityAway": 1_000,
    "AgentAway": 1_000,
    "BetPending": 1_000,
    "ShuttingDown": 1_000,
}


def descendants(kind: type[EngineError]) -> set[type[EngineError]]:
    ours = {child for child in kind.__subclasses__() if child.__module__.startswith("playclock.")}
    return ours.union(*(descendants(child) for child in ours))


CONCRETE: Final = {kind.__name__: kind for kind in descendants(EngineError) if "reason" in vars(kind)}


def error_of(name: str) -> EngineError:
    if name == "BadRequest":
        return BadRequest({"ott": "expected a lower-case UUID", "server_id": "is required"})
    if name == "RateLimited":
        return RateLimited(limit="calls_per_key", quota=60, window_sec=60, retry_after_ms=1_500)
    return CONCRETE[name]("a sentence", billed_sec=61)


def details_of(failure: Failure) -> list[Message]:
    """Return the failure's details as what they are."""
    known: tuple[type[Message], ...] = (ErrorInfo, RetryInfo, BadRequestDetail, QuotaFailure)
    kinds = {kind.DESCRIPTOR.full_name: kind for kind in known}
    return [kinds[packed.TypeName()].FromString(packed.value) for packed in failure.status.details]


def test_every_error_has_a_row_here_and_in_the_engine_s_table() -> None:
    assert set(CONCRETE) == {name for name, _, _ in ROWS}
    assert set(CODES) == set(CONCRETE.values())


@pytest.mark.parametrize(("name", "reason", "code"), ROWS)
def test_each_has_the_reason_and_the_code_of_its_row(name: str, reason: str, code: str) -> None:
    assert CONCRETE[name].reason == reason
    assert CODES[CONCRETE[name]].name == code


def test_what_only_gathers_others_has_no_reason_and_is_never_sent() -> None:
    gathering = descendants(EngineError) - set(CONCRETE.values())
    assert {kind.__name__ for kind in gathering} == {"Unauthenticated", "NotFound", "WrongState", "TryAgain"}
    for kind in gathering:
        assert descendants(kind)
        assert kind not in CODES


def test_no_two_share_a_reason() -> None:
    assert len({kind.reason for kind in CONCRETE.values()}) == len(CONCRETE)


def test_the_proto_names_the_same_reasons() -> None:
    of_errors = {f"ERROR_REASON_{kind.reason}" for kind in CONCRETE.values()}
    assert set(ErrorReason.keys()) == of_errors | NO_ERRORS_OF_OURS
    assert not of_errors & NO_ERRORS_OF_OURS


@pytest.mark.parametrize("name", CONCRETE)
def test_each_travels_with_its_reason_domain_and_sentence(name: str) -> None:
    error = error_of(name)
    failure = failure_of(error)
    info, *_ = details_of(failure)
    assert info == ErrorInfo(reason=error.reason, domain="playclock", metadata=error.metadata)
    assert DOMAIN == "playclock"
    assert (failure.code, failure.message) == (CODES[type(error)], error.message)
    assert (failure.status.code, failure.status.message) == (failure.code.value[0], error.message)


@pytest.mark.parametrize("name", sorted(set(CONCRETE) - set(RETRY_MS) - {"BadRequest", "RateLimited"}))
def test_most_carry_nothing_else(name: str) -> None:
    assert len(details_of(failure_of(error_of(name)))) == 1


@pytest.mark.parametrize("name", RETRY_MS)
def test_what_may_succeed_later_says_when(name: str) -> None:
    _, retry = details_of(failure_of(error_of(name)))
    assert isinstance(retry, RetryInfo)
    assert retry.retry_delay.ToMilliseconds() == RETRY_MS[name]


def test_all_that_may_succeed_later_do() -> None:
    assert {name for name, kind in CONCRETE.items() if issubclass(kind, TryAgain)} == set(RETRY_MS)


def test_a_limit_is_named_with_its_numbers_and_when_its_window_is_over() -> None:
    info, quota, retry = details_of(failure_of(error_of("RateLimited")))
    assert isinstance(info, ErrorInfo)
    assert dict(info.metadata) == {"limit": "calls_per_key", "quota": "60", "window_sec": "60"}
    sentence = "too many requests, try again later"
    assert quota == QuotaFailure(violations=[QuotaFailure.Violation(subject="calls_per_key", description=sentence)])
    assert isinstance(retry, RetryInfo)
    assert retry.retry_delay.ToMilliseconds() == 1_500


def test_a_bad_request_names_every_field() -> None:
    error = error_of("BadRequest")
    assert error.message == "ott: expected a lower-case UUID; server_id: is required"
    assert error.metadata == {}
    _, detail = details_of(failure_of(error))
    assert detail == BadRequestDetail(
        field_violations=[
            BadRequestDetail.FieldViolation(field="ott", description="expected a lower-case UUID"),
            BadRequestDetail.FieldViolation(field="server_id", description="is required"),
        ]
    )


def test_metadata_are_texts_and_what_is_not_known_is_left_out() -> None:
    error = errors.AlreadyEnded("over", billed_sec=61, client_play_duration_sec=None, end_reason="CLIENT_END", zero=0)
    assert str(error) == error.message == "over"
    assert error.metadata == {"billed_sec": "61", "end_reason": "CLIENT_END", "zero": "0"}


def test_a_fault_of_ours_is_told_in_a_neutral_sentence() -> None:
    failure = internal_failure("req_1")
    assert (failure.code.name, failure.message, failure.status.message) == ("INTERNAL", "internal error", "internal error")
    assert details_of(failure) == [ErrorInfo(reason="INTERNAL", domain="playclock", metadata={"request_id": "req_1"})]


def test_a_method_that_is_not_served_is_named() -> None:
    failure = unimplemented_failure("/playclock.v1.Nothing/Do")
    assert (failure.code.name, failure.message) == ("UNIMPLEMENTED", "no such method: /playclock.v1.Nothing/Do")
    assert details_of(failure) == []


def test_an_error_that_has_no_row_cannot_be_sent() -> None:
    with pytest.raises(KeyError):
        failure_of(TryAgain("nobody raises this"))

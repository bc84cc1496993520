"""Errors on the wire: one row for each, written out again."""

import grpc
import pytest
from playclock import errors
from playclock.errors import EngineError
from playclock.rpc.status import CODES, failure_of, internal_failure
from playclock.v1 import ErrorReason

TABLE: dict[str, tuple[str, str]] = {
    "BadRequest": ("BAD_REQUEST", "INVALID_ARGUMENT"),
    "InvalidApiKey": ("INVALID_API_KEY", "UNAUTHENTICATED"),
    "InvalidSignature": ("INVALID_SIGNATURE", "UNAUTHENTICATED"),
    "RequestExpired": ("REQUEST_EXPIRED", "UNAUTHENTICATED"),
    "RequestReplayed": ("REQUEST_REPLAYED", "UNAUTHENTICATED"),
    "PermissionDenied": ("PERMISSION_DENIED", "PERMISSION_DENIED"),
    "NotPcCafe": ("NOT_PC_CAFE", "PERMISSION_DENIED"),
    "GameNotFound": ("GAME_NOT_FOUND", "NOT_FOUND"),
    "LaunchNotFound": ("LAUNCH_NOT_FOUND", "NOT_FOUND"),
    "SessionNotFound": ("SESSION_NOT_FOUND", "NOT_FOUND"),
    "LaunchEnded": ("LAUNCH_ENDED", "FAILED_PRECONDITION"),
    "SessionEnded": ("SESSION_ENDED", "FAILED_PRECONDITION"),
    "SessionEnding": ("SESSION_ENDING", "FAILED_PRECONDITION"),
    "AlreadyEnded": ("ALREADY_ENDED", "FAILED_PRECONDITION"),
    "RequestIdReused": ("REQUEST_ID_REUSED", "ALREADY_EXISTS"),
    "CursorExpired": ("CURSOR_EXPIRED", "OUT_OF_RANGE"),
    "TooMuchContention": ("TOO_MUCH_CONTENTION", "ABORTED"),
    "StoreAway": ("STORE_UNAVAILABLE", "UNAVAILABLE"),
    "ShuttingDown": ("SHUTTING_DOWN", "UNAVAILABLE"),
}

FAMILIES = {"Unauthenticated", "NotFound", "WrongState", "TryAgain"}
"""Classes that only name what their children have in common, and are never raised."""


def family(kind: type[EngineError]) -> set[type[EngineError]]:
    return {kind}.union(*(family(child) for child in kind.__subclasses__()))


KINDS = {kind.__name__: kind for kind in family(EngineError) - {EngineError} if kind.__name__ not in FAMILIES}


def test_every_error_has_a_row_here_and_in_the_engines_table() -> None:
    assert set(KINDS) == set(TABLE)
    assert {kind.__name__ for kind in CODES} == set(TABLE)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_each_is_on_the_wire_what_the_table_says(name: str) -> None:
    reason, code = TABLE[name]
    assert (KINDS[name].reason, CODES[KINDS[name]].name) == (reason, code)


def test_reasons_and_the_protos_enum_are_the_same() -> None:
    declared = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()}  # noqa: SIM118 - no mapping
    assert declared == {reason for reason, _ in TABLE.values()} | {"UNSPECIFIED", "INTERNAL"}


def test_metadata_are_texts_and_what_is_absent_is_left_out() -> None:
    failure = failure_of(errors.AlreadyEnded("over", billed_sec=61, client_play_duration_sec=None))
    assert failure.code is grpc.StatusCode.FAILED_PRECONDITION
    assert errors.AlreadyEnded("over", billed_sec=61, client_play_duration_sec=None).metadata == {"billed_sec": "61"}
    assert len(failure.status.details) == 1


def test_a_fault_of_ours_is_a_neutral_sentence() -> None:
    failure = internal_failure("req_1")
    assert (failure.code, failure.message, failure.status.message) == (
        grpc.StatusCode.INTERNAL,
        "internal error",
        "internal error",
    )

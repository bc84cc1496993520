"""The tables of codes, written out a second time: a change of one has to be meant."""

import grpc
from playclock.v1 import error_reason_pb2
from playclock_http.playwave.codes import CODES, LAUNCH_END_CODES, code_of
from playclock_http.refusal import Refusal
from playclock_http.status import HTTP_STATUS


def test_every_reason_of_the_proto_has_a_row_in_the_playwave_table() -> None:
    reasons = {name.removeprefix("ERROR_REASON_") for name in dict(error_reason_pb2.ErrorReason.items())}
    assert CODES.keys() - reasons == {"NOT_FOUND", "METHOD_NOT_ALLOWED", "REQUEST_TIMEOUT"}
    assert reasons - CODES.keys() == {"UNSPECIFIED"}


def test_the_playwave_table_is_as_documented() -> None:
    assert dict(CODES) == {
        "BAD_REQUEST": (400, "BAD_REQUEST"),
        "INVALID_API_KEY": (401, "INVALID_API_KEY"),
        "INVALID_SIGNATURE": (401, "INVALID_SIGNATURE"),
        "REQUEST_EXPIRED": (401, "REQUEST_EXPIRED"),
        "REQUEST_REPLAYED": (401, "REQUEST_REPLAYED"),
        "NOT_PC_CAFE": (403, "NOT_PC_CAFE"),
        "PERMISSION_DENIED": (403, "PERMISSION_DENIED"),
        "GAME_NOT_FOUND": (404, "GAME_NOT_FOUND"),
        "NOT_FOUND": (404, "NOT_FOUND"),
        "SESSION_NOT_FOUND": (404, "SESSION_NOT_FOUND"),
        "LAUNCH_NOT_FOUND": (404, "SESSION_NOT_FOUND"),
        "METHOD_NOT_ALLOWED": (405, "METHOD_NOT_ALLOWED"),
        "REQUEST_TIMEOUT": (408, "REQUEST_TIMEOUT"),
        "ALREADY_ENDED": (409, "ALREADY_ENDED"),
        "CURSOR_EXPIRED": (410, "CURSOR_EXPIRED"),
        "SHUTTING_DOWN": (503, "SERVICE_UNAVAILABLE"),
        "ACCOUNT_NOT_FOUND": (404, "NOT_FOUND"),
        "CAFE_NOT_FOUND": (404, "NOT_FOUND"),
        "TRANSFER_NOT_FOUND": (404, "NOT_FOUND"),
        "KEY_NOT_FOUND": (404, "NOT_FOUND"),
        "AGENT_NOT_FOUND": (404, "NOT_FOUND"),
        "GAME_PROVIDER_NOT_FOUND": (404, "NOT_FOUND"),
        "GAME_NOT_AVAILABLE": (403, "PERMISSION_DENIED"),
        "OWNERSHIP_NOT_PROVEN": (403, "PERMISSION_DENIED"),
        "BET_NOT_FOUND": (404, "NOT_FOUND"),
        "REALM_NOT_FOUND": (404, "NOT_FOUND"),
        "NO_WALLET": (409, "NO_WALLET"),
        "AGENT_REFUSED": (409, "AGENT_REFUSED"),
        "BET_CLOSED": (409, "BET_CLOSED"),
        "TRANSACTION_ID_REUSED": (422, "TRANSACTION_ID_REUSED"),
        "AGENT_UNAVAILABLE": (503, "SERVICE_UNAVAILABLE"),
        "BET_PENDING": (503, "SERVICE_UNAVAILABLE"),
        "INVALID_IMAGE": (400, "BAD_REQUEST"),
        "IMAGE_NOT_FOUND": (404, "NOT_FOUND"),
        "NO_IMAGES": (503, "SERVICE_UNAVAILABLE"),
        "IMAGES_UNAVAILABLE": (503, "SERVICE_UNAVAILABLE"),
        "POINTS_EXCEEDED": (409, "POINTS_EXCEEDED"),
        "MATCH_NOT_FOUND": (404, "NOT_FOUND"),
        "PLAYER_NOT_FOUND": (404, "NOT_FOUND"),
        "WRONG_MATCH_STATE": (409, "WRONG_MATCH_STATE"),
        "MATCH_FULL": (409, "MATCH_FULL"),
        "TOO_FEW_PLAYERS": (409, "TOO_FEW_PLAYERS"),
        "ALREADY_JOINED": (409, "ALREADY_JOINED"),
        "MATCH_TOKEN_NOT_FOUND": (404, "NOT_FOUND"),
        "MATCH_TOKEN_EXPIRED": (409, "MATCH_TOKEN_EXPIRED"),
        "ALREADY_REVERSED": (409, "ALREADY_REVERSED"),
        "INSUFFICIENT_CREDIT": (409, "INSUFFICIENT_CREDIT"),
        "TRANSFER_CLOSED": (409, "TRANSFER_CLOSED"),
        "GAME_CHANGED": (409, "GAME_CHANGED"),
        "KEY_INACTIVE": (409, "KEY_INACTIVE"),
        "TRANSFER_ID_REUSED": (422, "TRANSFER_ID_REUSED"),
        "RATE_LIMITED": (429, "RATE_LIMITED"),
        "TOO_MANY_TRANSFERS": (429, "TOO_MANY_TRANSFERS"),
        "TOO_MANY_KEYS": (429, "TOO_MANY_KEYS"),
        "TOO_MANY_IMAGES": (429, "TOO_MANY_IMAGES"),
        "NO_ARCHIVE": (503, "SERVICE_UNAVAILABLE"),
        "ARCHIVE_UNAVAILABLE": (503, "SERVICE_UNAVAILABLE"),
        "SESSION_ENDED": (410, "SESSION_ENDED"),
        "SESSION_ENDING": (410, "SESSION_ENDING"),
        "LAUNCH_ENDED": (410, "SESSION_ENDED"),
        "REQUEST_ID_REUSED": (422, "REQUEST_ID_REUSED"),
        "INTERNAL": (500, "INTERNAL_ERROR"),
        "TOO_MUCH_CONTENTION": (503, "TOO_MUCH_CONTENTION"),
        "PROVIDER_UNAVAILABLE": (503, "SERVICE_UNAVAILABLE"),
        "STORE_UNAVAILABLE": (503, "SERVICE_UNAVAILABLE"),
    }


def test_the_end_of_a_launch_differs_in_one_row() -> None:
    assert {reason: row for reason, row in LAUNCH_END_CODES.items() if row != CODES[reason]} == {
        "LAUNCH_ENDED": (409, "ALREADY_ENDED")
    }


def test_every_grpc_status_but_ok_has_an_http_status() -> None:
    assert HTTP_STATUS == {
        grpc.StatusCode.INVALID_ARGUMENT: (400, "BAD_REQUEST"),
        grpc.StatusCode.FAILED_PRECONDITION: (400, "FAILED_PRECONDITION"),
        grpc.StatusCode.OUT_OF_RANGE: (400, "OUT_OF_RANGE"),
        grpc.StatusCode.UNAUTHENTICATED: (401, "UNAUTHENTICATED"),
        grpc.StatusCode.PERMISSION_DENIED: (403, "PERMISSION_DENIED"),
        grpc.StatusCode.NOT_FOUND: (404, "NOT_FOUND"),
        grpc.StatusCode.ALREADY_EXISTS: (409, "ALREADY_EXISTS"),
        grpc.StatusCode.ABORTED: (409, "ABORTED"),
        grpc.StatusCode.RESOURCE_EXHAUSTED: (429, "RATE_LIMITED"),
        grpc.StatusCode.INTERNAL: (500, "INTERNAL_ERROR"),
        grpc.StatusCode.UNKNOWN: (500, "INTERNAL_ERROR"),
        grpc.StatusCode.DATA_LOSS: (500, "INTERNAL_ERROR"),
        grpc.StatusCode.UNIMPLEMENTED: (501, "NOT_IMPLEMENTED"),
        grpc.StatusCode.UNAVAILABLE: (503, "SERVICE_UNAVAILABLE"),
        grpc.StatusCode.CANCELLED: (503, "SERVICE_UNAVAILABLE"),
        grpc.StatusCode.DEADLINE_EXCEEDED: (504, "DEADLINE_EXCEEDED"),
    }
    assert HTTP_STATUS.keys() == set(grpc.StatusCode) - {grpc.StatusCode.OK}


def test_a_reason_of_a_newer_engine_falls_back_on_its_grpc_status() -> None:
    refusal = Refusal("MOON_IS_FULL", "", status=grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert code_of(refusal, CODES) == (429, "RATE_LIMITED")

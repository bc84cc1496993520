"""The tables of codes, written out a second time: a change of one has to be meant."""

import grpc
import pytest
from playclock.v1 import error_reason_pb2
from playclock_http.oklp.codes import CODES as OPENID_CODES
from playclock_http.oklp.codes import MATCH_CODES, match_row
from playclock_http.playfun import codes as playfun
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
        "DELIVERY_NOT_FOUND": (404, "NOT_FOUND"),
        "WRONG_DELIVERY_STATE": (409, "WRONG_DELIVERY_STATE"),
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
        "INVALID_PLAYER_TOKEN": (401, "INVALID_API_KEY"),
        "OUT_OF_STEP": (409, "OUT_OF_STEP"),
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


def test_every_reason_of_the_proto_has_a_row_in_the_table_of_the_match_calls() -> None:
    reasons = {name.removeprefix("ERROR_REASON_") for name in dict(error_reason_pb2.ErrorReason.items())}
    assert MATCH_CODES.keys() - reasons == {"NOT_FOUND", "METHOD_NOT_ALLOWED", "REQUEST_TIMEOUT", "TOKEN_REQUIRED"}
    assert reasons - MATCH_CODES.keys() == {"UNSPECIFIED"}


def test_the_tables_of_the_match_dialect_are_as_decided() -> None:
    of_both = {
        "BAD_REQUEST": (400, "invalid_request"),
        "NOT_FOUND": (404, "not_found"),
        "METHOD_NOT_ALLOWED": (405, "invalid_request"),
        "REQUEST_TIMEOUT": (408, "invalid_request"),
        "RATE_LIMITED": (429, "temporarily_unavailable"),
        "INTERNAL": (500, "server_error"),
        "STORE_UNAVAILABLE": (503, "temporarily_unavailable"),
        "TOO_MUCH_CONTENTION": (503, "temporarily_unavailable"),
        "SHUTTING_DOWN": (503, "temporarily_unavailable"),
    }
    assert dict(OPENID_CODES) == of_both | {
        "UNSUPPORTED_GRANT_TYPE": (400, "unsupported_grant_type"),
        "INVALID_SCOPE": (400, "invalid_scope"),
        "INVALID_API_KEY": (401, "invalid_client"),
        "REALM_NOT_FOUND": (404, "not_found"),
        "PERMISSION_DENIED": (500, "server_error"),
    }
    own = of_both | {
        "TOKEN_REQUIRED": (401, "invalid_token"),
        "INVALID_API_KEY": (401, "invalid_token"),
        "PERMISSION_DENIED": (403, "insufficient_scope"),
        "MATCH_NOT_FOUND": (404, "match_not_found"),
        "MATCH_TOKEN_NOT_FOUND": (404, "match_token_not_found"),
        "PLAYER_NOT_FOUND": (404, "player_not_found"),
        "WRONG_MATCH_STATE": (409, "wrong_match_state"),
        "MATCH_TOKEN_EXPIRED": (410, "match_token_expired"),
    }
    assert {reason: row for reason, row in MATCH_CODES.items() if reason in own} == own
    # What no call of this dialect can meet says no more than its status does.
    assert {row for reason, row in MATCH_CODES.items() if reason not in own} == {
        (400, "invalid_request"),
        (401, "invalid_token"),
        (403, "insufficient_scope"),
        (404, "not_found"),
        (409, "conflict"),
        (429, "temporarily_unavailable"),
        (503, "temporarily_unavailable"),
    }


def test_a_reason_that_the_match_calls_do_not_know_falls_back_on_its_grpc_status() -> None:
    for status, row in (
        (grpc.StatusCode.FAILED_PRECONDITION, (400, "invalid_request")),
        (grpc.StatusCode.UNKNOWN, (500, "server_error")),
        (grpc.StatusCode.DEADLINE_EXCEEDED, (504, "temporarily_unavailable")),
    ):
        assert match_row(Refusal("MOON_IS_FULL", "", status=status)) == row


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


def test_the_playfun_table_is_as_documented() -> None:
    assert dict(playfun.CODES) == {
        "BAD_REQUEST": 400,
        "INVALID_IMAGE": 400,
        "POINTS_EXCEEDED": 400,
        "TOO_MANY_IMAGES": 400,
        "INVALID_SIGNATURE": 401,
        "INVALID_PLAYER_TOKEN": 401,
        "REQUEST_EXPIRED": 401,
        "PERMISSION_DENIED": 403,
        "OWNERSHIP_NOT_PROVEN": 403,
        "GAME_NOT_FOUND": 404,
        "NOT_FOUND": 404,
        "METHOD_NOT_ALLOWED": 405,
        "REQUEST_TIMEOUT": 408,
        "GAME_CHANGED": 409,
        "OUT_OF_STEP": 409,
        "REQUEST_ID_REUSED": 409,
        "RATE_LIMITED": 429,
        "INTERNAL": 500,
        "INVALID_API_KEY": 500,
        "IMAGES_UNAVAILABLE": 503,
        "NO_IMAGES": 503,
        "TOO_MANY_UPLOADS": 503,
        "TOO_MUCH_CONTENTION": 503,
        "STORE_UNAVAILABLE": 503,
        "SHUTTING_DOWN": 503,
    }


def test_every_reason_of_the_playfun_table_is_the_engine_s_or_the_facade_s() -> None:
    reasons = {name.removeprefix("ERROR_REASON_") for name in dict(error_reason_pb2.ErrorReason.items())}
    assert playfun.CODES.keys() - reasons == {"NOT_FOUND", "METHOD_NOT_ALLOWED", "REQUEST_TIMEOUT", "TOO_MANY_UPLOADS"}


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("BAD_REQUEST", "Invalid request parameters: said"),
        ("INVALID_IMAGE", "said"),
        ("POINTS_EXCEEDED", "said"),
        ("TOO_MANY_IMAGES", "said"),
        ("INVALID_SIGNATURE", "Invalid or missing authentication"),
        ("INVALID_PLAYER_TOKEN", "Invalid or missing authentication"),
        ("REQUEST_EXPIRED", "Invalid or missing authentication"),
        ("PERMISSION_DENIED", "You do not have permission to perform this action"),
        ("OWNERSHIP_NOT_PROVEN", "said"),
        ("GAME_NOT_FOUND", "Game not found"),
        ("NOT_FOUND", "said"),
        ("METHOD_NOT_ALLOWED", "said"),
        ("REQUEST_TIMEOUT", "said"),
        ("GAME_CHANGED", "The game has been changed in the meantime"),
        ("OUT_OF_STEP", "said"),
        ("REQUEST_ID_REUSED", "The signature has been used for another request; sign each request anew"),
        ("RATE_LIMITED", "Too many requests, please try again later"),
        ("INTERNAL", "An error occurred while processing your request"),
        ("INVALID_API_KEY", "An error occurred while processing your request"),
        ("IMAGES_UNAVAILABLE", "Service Unavailable"),
        ("NO_IMAGES", "Service Unavailable"),
        ("TOO_MANY_UPLOADS", "Service Unavailable"),
        ("TOO_MUCH_CONTENTION", "Service Unavailable"),
        ("STORE_UNAVAILABLE", "Service Unavailable"),
        ("SHUTTING_DOWN", "Service Unavailable"),
    ],
)
def test_the_playfun_sentences_are_as_documented(reason: str, sentence: str) -> None:
    status = {"BAD_REQUEST": grpc.StatusCode.INVALID_ARGUMENT}.get(reason, grpc.StatusCode.UNKNOWN)
    assert playfun.sentence_of(Refusal(reason, "said", status=status)) == sentence


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("entries[3].player", "points[3].playerId"),
        ("play_url", "gameUrl"),
        ("html_game", "isHTMLGame"),
        ("image_url", "image"),
        ("cover_image_url", "coverImage"),
        ("page_token", "cursor"),
        ("max_score_per_session", "maxScorePerSession"),
    ],
)
def test_fields_are_called_in_playfun_as_its_documents_call_them(field: str, shown: str) -> None:
    refusal = Refusal("BAD_REQUEST", "", status=grpc.StatusCode.INVALID_ARGUMENT, violations={field: "is wrong"})
    assert playfun.sentence_of(refusal) == f"Invalid request parameters: {shown}: is wrong"


def test_a_reason_that_playfun_does_not_know_goes_by_its_grpc_status() -> None:
    assert playfun.status_of(Refusal("MOON_IS_FULL", "", status=grpc.StatusCode.RESOURCE_EXHAUSTED)) == 429

"""What PlayWave's callers are told: one row for each reason, in the codes that their platform documents where it has one."""

from collections.abc import Mapping
from typing import Final

from playclock_http.refusal import Refusal
from playclock_http.status import HTTP_STATUS

Codes = Mapping[str, tuple[int, str]]

CODES: Final[Codes] = {
    # Reasons of playclock.v1.ErrorReason.
    "BAD_REQUEST": (400, "BAD_REQUEST"),
    "INVALID_API_KEY": (401, "INVALID_API_KEY"),
    "INVALID_SIGNATURE": (401, "INVALID_SIGNATURE"),
    "REQUEST_EXPIRED": (401, "REQUEST_EXPIRED"),
    "REQUEST_REPLAYED": (401, "REQUEST_REPLAYED"),
    "PERMISSION_DENIED": (403, "PERMISSION_DENIED"),
    "NOT_PC_CAFE": (403, "NOT_PC_CAFE"),
    "GAME_NOT_FOUND": (404, "GAME_NOT_FOUND"),
    "LAUNCH_NOT_FOUND": (404, "SESSION_NOT_FOUND"),
    "LAUNCH_ENDED": (410, "SESSION_ENDED"),
    "SESSION_NOT_FOUND": (404, "SESSION_NOT_FOUND"),
    "SESSION_ENDED": (410, "SESSION_ENDED"),
    "SESSION_ENDING": (410, "SESSION_ENDING"),
    "ALREADY_ENDED": (409, "ALREADY_ENDED"),
    "REQUEST_ID_REUSED": (422, "REQUEST_ID_REUSED"),
    "CURSOR_EXPIRED": (410, "CURSOR_EXPIRED"),
    "RATE_LIMITED": (429, "RATE_LIMITED"),
    "TOO_MUCH_CONTENTION": (503, "TOO_MUCH_CONTENTION"),
    "STORE_UNAVAILABLE": (503, "SERVICE_UNAVAILABLE"),
    "SHUTTING_DOWN": (503, "SERVICE_UNAVAILABLE"),
    "INTERNAL": (500, "INTERNAL_ERROR"),
    # Of operators' and agents' services, which no call of this dialect asks.
    "ACCOUNT_NOT_FOUND": (404, "NOT_FOUND"),
    "CAFE_NOT_FOUND": (404, "NOT_FOUND"),
    "TRANSFER_NOT_FOUND": (404, "NOT_FOUND"),
    "KEY_NOT_FOUND": (404, "NOT_FOUND"),
    "AGENT_NOT_FOUND": (404, "NOT_FOUND"),
    "GAME_PROVIDER_NOT_FOUND": (404, "NOT_FOUND"),
    "GAME_NOT_AVAILABLE": (403, "PERMISSION_DENIED"),
    "OWNERSHIP_NOT_PROVEN": (403, "PERMISSION_DENIED"),
    # Of the wallet, which no call of this dialect asks.
    "BET_NOT_FOUND": (404, "NOT_FOUND"),
    "REALM_NOT_FOUND": (404, "NOT_FOUND"),
    "NO_WALLET": (409, "NO_WALLET"),
    "AGENT_REFUSED": (409, "AGENT_REFUSED"),
    "BET_CLOSED": (409, "BET_CLOSED"),
    "TRANSACTION_ID_REUSED": (422, "TRANSACTION_ID_REUSED"),
    "AGENT_UNAVAILABLE": (503, "SERVICE_UNAVAILABLE"),
    "BET_PENDING": (503, "SERVICE_UNAVAILABLE"),
    # Of points, which no call of this dialect asks either.
    "POINTS_EXCEEDED": (409, "POINTS_EXCEEDED"),
    # Of matches, which no call of this dialect asks.
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
    "TOO_MANY_TRANSFERS": (429, "TOO_MANY_TRANSFERS"),
    "TOO_MANY_KEYS": (429, "TOO_MANY_KEYS"),
    "NO_ARCHIVE": (503, "SERVICE_UNAVAILABLE"),
    "ARCHIVE_UNAVAILABLE": (503, "SERVICE_UNAVAILABLE"),
    "PROVIDER_UNAVAILABLE": (503, "SERVICE_UNAVAILABLE"),
    # Of players' session tokens, which no call of this dialect takes.
    "OUT_OF_STEP": (409, "OUT_OF_STEP"),
    "INVALID_PLAYER_TOKEN": (401, "INVALID_API_KEY"),
    # Of images, which strangers fetch and no call of this dialect sends.
    "INVALID_IMAGE": (400, "BAD_REQUEST"),
    "IMAGE_NOT_FOUND": (404, "NOT_FOUND"),
    "TOO_MANY_IMAGES": (429, "TOO_MANY_IMAGES"),
    "NO_IMAGES": (503, "SERVICE_UNAVAILABLE"),
    "IMAGES_UNAVAILABLE": (503, "SERVICE_UNAVAILABLE"),
    # The facade's own.
    "NOT_FOUND": (404, "NOT_FOUND"),
    "METHOD_NOT_ALLOWED": (405, "METHOD_NOT_ALLOWED"),
    "REQUEST_TIMEOUT": (408, "REQUEST_TIMEOUT"),
}
"""Reason -> (HTTP status, code)."""

LAUNCH_END_CODES: Final[Codes] = {**CODES, "LAUNCH_ENDED": (409, "ALREADY_ENDED")}
"""The same for the end of a launch, where "it has ended" is the answer to a duplicate and not a loss."""

SENTENCES: Final = {"INVALID_API_KEY": "API Key is invalid or inactive"}
"""Reason -> the sentence that the platform documents, where it differs from the engine's."""


def code_of(refusal: Refusal, codes: Codes) -> tuple[int, str]:
    """Return HTTP status and code: by the reason, or by the gRPC status where the reason is missing or a newer engine's."""
    return codes.get(refusal.reason) or HTTP_STATUS[refusal.status]

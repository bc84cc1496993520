"""What agents are told: one row for each reason, in the codes that their platform documents where it has one."""

from collections.abc import Mapping
from typing import Final

import grpc

from playclock_http.refusal import Refusal
from playclock_http.status import HTTP_STATUS

CODES: Final[Mapping[str, tuple[int, str]]] = {
    # As documented, in the order in which they are checked.
    "METHOD_NOT_ALLOWED": (405, "method_not_allowed"),
    "SIGNATURE_REQUIRED": (401, "signature_required"),
    "AGENT_NOT_FOUND": (404, "agent_not_found"),
    "API_TOKEN_NOT_FOUND": (404, "api_token_not_found"),
    "INVALID_SIGNATURE": (403, "invalid_signature"),
    "REQUEST_EXPIRED": (400, "request_expired"),
    "BAD_REQUEST": (422, "validation_error"),
    "GAME_NOT_FOUND": (404, "game_not_found"),
    "GAME_NOT_AVAILABLE": (403, "game_not_available"),
    "GAME_PROVIDER_NOT_FOUND": (404, "game_provider_not_found"),
    # Not documented.
    "NOT_FOUND": (404, "not_found"),
    "REQUEST_TIMEOUT": (408, "request_timeout"),
    "REQUEST_ID_REUSED": (422, "validation_error"),
    "RATE_LIMITED": (429, "rate_limited"),
    "TOO_MUCH_CONTENTION": (503, "service_unavailable"),
    "STORE_UNAVAILABLE": (503, "service_unavailable"),
    "SHUTTING_DOWN": (503, "service_unavailable"),
    "INTERNAL": (500, "internal_error"),
    # An agent has no key and one role only: it is this facade that the engine does not let in.
    "INVALID_API_KEY": (500, "internal_error"),
    "PERMISSION_DENIED": (500, "internal_error"),
}
"""Reason -> (HTTP status, code). Of the engine's reasons those that calls of agents can meet; the others go by their status."""

SENTENCES: Final[Mapping[str, str]] = {
    "METHOD_NOT_ALLOWED": "Unsupported HTTP method used",
    "SIGNATURE_REQUIRED": "Missing X-Signature header",
    "AGENT_NOT_FOUND": "Agent not found",
    "API_TOKEN_NOT_FOUND": "The agent has no API token configured",
    "INVALID_SIGNATURE": "Invalid request signature",
    "REQUEST_EXPIRED": "Request expired: its timestamp is too far from the server's time",
    "GAME_NOT_FOUND": "Game not found",
    "GAME_NOT_AVAILABLE": "Game is not available for this agent",
    "GAME_PROVIDER_NOT_FOUND": "No provider with demo support for this game",
}
"""Reason -> the sentence for people, where the platform documents one."""

_SIGNERS: Final[Mapping[str, str]] = {"UNKNOWN": "AGENT_NOT_FOUND", "WITHOUT_SECRET": "API_TOKEN_NOT_FOUND"}
_MALFORMED: Final = (422, "validation_error")


def reason_of(refusal: Refusal) -> str:
    """Return the reason. Of a signature that nobody can have made it is what the signer lacks."""
    if refusal.reason == "INVALID_SIGNATURE":
        return _SIGNERS.get(refusal.metadata.get("signer", ""), refusal.reason)
    return refusal.reason


def code_of(refusal: Refusal) -> tuple[int, str]:
    """Return HTTP status and code: by the reason, or by the gRPC status where the reason is missing or not of this dialect."""
    row = CODES.get(reason_of(refusal))
    if row is not None:
        return row
    if refusal.status is grpc.StatusCode.INVALID_ARGUMENT:
        return _MALFORMED
    status, code = HTTP_STATUS[refusal.status]
    return status, code.lower()

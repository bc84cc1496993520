"""What an HTTP caller is told where a gRPC error carries no reason of ours, or one that a dialect does not know."""

from typing import Final

import grpc

HTTP_STATUS: Final[dict[grpc.StatusCode, tuple[int, str]]] = {
    # Whoever still reads the answer has not cancelled: the call was cut off on our side.
    grpc.StatusCode.CANCELLED: (503, "SERVICE_UNAVAILABLE"),
    grpc.StatusCode.UNKNOWN: (500, "INTERNAL_ERROR"),
    grpc.StatusCode.INVALID_ARGUMENT: (400, "BAD_REQUEST"),
    grpc.StatusCode.DEADLINE_EXCEEDED: (504, "DEADLINE_EXCEEDED"),
    grpc.StatusCode.NOT_FOUND: (404, "NOT_FOUND"),
    grpc.StatusCode.ALREADY_EXISTS: (409, "ALREADY_EXISTS"),
    grpc.StatusCode.PERMISSION_DENIED: (403, "PERMISSION_DENIED"),
    grpc.StatusCode.UNAUTHENTICATED: (401, "UNAUTHENTICATED"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (429, "RATE_LIMITED"),
    grpc.StatusCode.FAILED_PRECONDITION: (400, "FAILED_PRECONDITION"),
    grpc.StatusCode.ABORTED: (409, "ABORTED"),
    grpc.StatusCode.OUT_OF_RANGE: (400, "OUT_OF_RANGE"),
    grpc.StatusCode.UNIMPLEMENTED: (501, "NOT_IMPLEMENTED"),
    grpc.StatusCode.INTERNAL: (500, "INTERNAL_ERROR"),
    grpc.StatusCode.UNAVAILABLE: (503, "SERVICE_UNAVAILABLE"),
    grpc.StatusCode.DATA_LOSS: (500, "INTERNAL_ERROR"),
}
"""gRPC code -> (HTTP status, code for the body). A dialect's table of reasons goes before it."""

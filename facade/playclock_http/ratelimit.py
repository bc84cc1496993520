"""What HTTP callers are told of limits (draft-ietf-httpapi-ratelimit-headers), and limits of dialects for each address."""

from typing import Final

from playclock.v1 import limit_service_pb2, limit_service_pb2_grpc

from playclock_http.address import TrustedProxies
from playclock_http.incoming import Incoming
from playclock_http.refusal import Refusal
from playclock_http.upstream import Upstream

Headers = list[tuple[bytes, bytes]]

RATE_LIMIT_HEADERS: Final = {
    "RateLimit-Policy": "The limit: its name, how many calls it allows (q) in how many seconds (w).",
    "RateLimit": "The limit's name, how many calls are left (r), and in how many seconds there are all again (t).",
}


class AddressLimit:
    """A limit that a dialect has for each address. All replicas count together."""

    def __init__(self, upstream: Upstream, proxies: TrustedProxies, limit: "limit_service_pb2.AddressLimit.ValueType") -> None:
        self._take = limit_service_pb2_grpc.LimitServiceStub(upstream.channel).TakeLimit
        self._limit = limit
        self._proxies = proxies
        self._upstream = upstream

    async def take(self, incoming: Incoming) -> Headers:
        """Take one for the address that a request came from, and return the headers that tell what is left.

        Raises AioRpcError (RATE_LIMITED) where nothing is. Who has no address, on a Unix socket, has no limit.
        """
        address = self._proxies.caller(incoming.peer, incoming.forwarded)
        if not address:
            return []
        left = await self._take(
            limit_service_pb2.TakeLimitRequest(limit=self._limit, address=address),
            timeout=self._upstream.deadline_sec,
            metadata=(("x-request-id", incoming.request_id), *self._upstream.authorization),
        )
        return _headers(left.name, str(left.quota), str(left.window_sec), left.remaining, left.reset_after_sec)


def headers_of(refusal: Refusal) -> Headers:
    """Return the headers that tell of the limit by which a request is refused; none for other refusals."""
    told = refusal.metadata
    if refusal.reason != "RATE_LIMITED" or refusal.retry_after_sec is None:
        return []
    return _headers(told.get("limit", ""), told.get("quota", ""), told.get("window_sec", ""), 0, refusal.retry_after_sec)


def _headers(name: str, quota: str, window_sec: str, remaining: int, reset_sec: int) -> Headers:
    if not (name.isidentifier() and name.isascii() and quota.isdecimal() and window_sec.isdecimal()):
        return []  # turned off, or an engine that tells less
    return [
        (b"ratelimit-policy", f'"{name}";q={quota};w={window_sec}'.encode()),
        (b"ratelimit", f'"{name}";r={remaining};t={reset_sec}'.encode()),
    ]

"""LimitService: messages to limits."""

from typing import Final

from playclock.core.limits import home_of
from playclock.engine import Engine
from playclock.rpc.call import Call
from playclock.rpc.fields import check
from playclock.v1.limit_service_pb2 import (
    ADDRESS_LIMIT_PLAYFUN,
    ADDRESS_LIMIT_PLAYFUN_PLAYERS,
    TakeLimitRequest,
    TakeLimitResponse,
)

_NAMES: Final = {
    ADDRESS_LIMIT_PLAYFUN: "playfun_per_address",
    ADDRESS_LIMIT_PLAYFUN_PLAYERS: "playfun_players_per_address",
}


class LimitServicer:
    """Counts for facades."""

    def __init__(self, engine: Engine) -> None:
        self._limits = engine.limits

    async def TakeLimit(self, request: TakeLimitRequest, call: Call) -> TakeLimitResponse:  # noqa: ARG002
        """Take one of a limit."""
        name, home = _NAMES.get(request.limit), home_of(request.address)
        check(
            limit=None if name is not None else "expected a known limit",
            address=None if home else "expected an IPv4 or IPv6 address",
        )
        limit = None if name is None else self._limits.named(name)
        if limit is None:
            return TakeLimitResponse()
        limit.take(home)
        left = limit.left(home)
        return TakeLimitResponse(
            name=left.name,
            quota=left.quota.calls,
            window_sec=left.quota.window_sec,
            remaining=left.remaining,
            reset_after_sec=-(-left.reset_ms // 1000),
        )

"""What load balancers ask: is the process up, and can it reach an engine that serves. Outside every dialect."""

from typing import Final

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from playclock_http.endpoint import Endpoint, Refuser, Reply
from playclock_http.incoming import Incoming
from playclock_http.upstream import Upstream

READY_WITHIN_SEC: Final = 2.0
"""Seconds after which an engine that does not answer counts as not ready: probes do not wait longer."""

_UP: Final = Reply(200, b'{"status":"UP"}')
_SERVING: Final = Reply(200, b'{"status":"SERVING"}')
_NOT_SERVING: Final = Reply(503, b'{"status":"NOT_SERVING"}')


class Health:
    """Answers /healthz and /readyz."""

    def __init__(self, upstream: Upstream) -> None:
        self._check = health_pb2_grpc.HealthStub(upstream.channel).Check
        self._within_sec = min(upstream.deadline_sec, READY_WITHIN_SEC)

    def endpoints(self, refuse: Refuser) -> dict[str, Endpoint]:
        """Return the endpoints by path."""
        return {"/healthz": Endpoint({"GET": self.up}, refuse), "/readyz": Endpoint({"GET": self.ready}, refuse)}

    async def up(self, _incoming: Incoming) -> Reply:
        """Answer 200: who can answer is up."""
        return _UP

    async def ready(self, _incoming: Incoming) -> Reply:
        """Answer 200 where the engine says that it serves, else 503."""
        try:
            answer = await self._check(health_pb2.HealthCheckRequest(), timeout=self._within_sec)
        except grpc.aio.AioRpcError:
            return _NOT_SERVING
        return _SERVING if answer.status == health_pb2.HealthCheckResponse.SERVING else _NOT_SERVING

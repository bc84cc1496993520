"""grpc.health.v1, per service: NOT_SERVING while the store is away or the server drains."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final

import grpc
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2

from playclock.engine import Engine
from playclock.rpc.status import Failure

WATCH_SEC: Final = 1.0
"""How often a watcher's status is looked at."""

SERVICE: Final = "grpc.health.v1.Health"


class HealthServicer:
    """Answers from the store itself, at the moment of the question."""

    def __init__(self, engine: Engine, services: Iterable[str]) -> None:
        self._engine = engine
        self._services = {"", SERVICE, *services}

    async def Check(self, request: health_pb2.HealthCheckRequest, call: object) -> health_pb2.HealthCheckResponse:  # noqa: ARG002
        """Tell how a service is; NOT_FOUND for one that is not served here."""
        if request.service not in self._services:
            status = Status(code=grpc.StatusCode.NOT_FOUND.value[0], message="no such service")
            raise Failure(grpc.StatusCode.NOT_FOUND, "no such service", status)
        return health_pb2.HealthCheckResponse(status=await self._status())

    async def Watch(
        self,
        request: health_pb2.HealthCheckRequest,
        call: object,  # noqa: ARG002
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Tell how a service is, now and whenever that changes; end when the server drains."""
        last = None
        while True:
            draining = self._engine.draining  # looked at first: a watch ends only after it has told of the drain
            known = request.service in self._services
            status = await self._status() if known else health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
            if status != last:
                last = status
                yield health_pb2.HealthCheckResponse(status=status)
            if draining:
                return
            await asyncio.sleep(WATCH_SEC)

    async def _status(self) -> int:
        if self._engine.draining or not await self._engine.ping():
            return int(health_pb2.HealthCheckResponse.NOT_SERVING)
        return int(health_pb2.HealthCheckResponse.SERVING)

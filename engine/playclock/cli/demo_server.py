"""A server for the demo: a real socket, an engine in memory, and a clock that the demo moves."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
import playclock_http

from playclock.cli.addresses import Address, bind
from playclock.cli.http_server import HttpServer
from playclock.clock import ManualClock
from playclock.engine import Engine
from playclock.rpc.inprocess import InProcessChannel
from playclock.v1.provisioning_service_pb2 import ApplyProvisioningRequest, Provisioning
from playclock.v1.provisioning_service_pb2_grpc import ProvisioningServiceStub
from playclock.v1.session_pb2 import Session
from playclock.v1.session_service_pb2 import GetSessionRequest
from playclock.v1.session_service_pb2_grpc import SessionServiceStub


class DemoServer(msgspec.Struct, frozen=True):
    """Where the server listens, its clock, and an operator's channel to its engine."""

    url: str
    clock: ManualClock
    operator: InProcessChannel

    async def session(self, session_id: str) -> Session:
        """Return a session with its figures."""
        request = GetSessionRequest(game_session_id=session_id)
        answer = await SessionServiceStub(self.operator).GetSession(request)
        return answer.session


@contextlib.asynccontextmanager
async def serve_demo(estate: Provisioning) -> AsyncIterator[DemoServer]:
    """Serve the estate on a free port of this machine."""
    clock = ManualClock()
    address = Address("127.0.0.1", 0)
    with bind(address) as listener:
        async with Engine(clock=clock) as engine:
            operator = InProcessChannel(engine, operator=True)
            await ProvisioningServiceStub(operator).ApplyProvisioning(ApplyProvisioningRequest(provisioning=estate))
            app = playclock_http.make_app(
                InProcessChannel(engine), now=lambda: datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
            )
            server = await HttpServer.start(app, listener, address)
            try:
                yield DemoServer(f"http://{server.address}", clock, operator)
            finally:
                await server.drain(0)

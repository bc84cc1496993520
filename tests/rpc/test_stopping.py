"""A server that stops ends its streams at once, so that watchers go on elsewhere and nothing waits for them."""

import asyncio

import grpc
import grpc.aio
import pytest
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from playclock.clock import ManualClock
from playclock.engine import Engine
from playclock.rpc.server import Server
from playclock.v1 import SessionServiceStub, WatchSessionsRequest, WatchSessionsResponse

OPERATOR = (("authorization", "Bearer operator-token"),)


async def test_a_watch_ends_with_a_reason_and_a_cursor_when_the_server_drains() -> None:
    async with Engine(clock=ManualClock(), operator_tokens=["operator-token"]) as engine:
        server = await Server.start(engine)
        async with grpc.aio.insecure_channel(server.address) as channel:
            watch = SessionServiceStub(channel).WatchSessions(WatchSessionsRequest(), metadata=OPERATOR)
            first = await watch.read()
            # Were the watch to hold the server up, this would take the whole grace, and the test's own time-out is shorter.
            await asyncio.wait_for(server.drain(grace_sec=100), timeout=20)
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await watch.read()
        assert isinstance(first, WatchSessionsResponse)
        assert first.cursor
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
        info, retry = ErrorInfo(), RetryInfo()
        status = Status.FromString(dict(ended.value.trailing_metadata() or ())["grpc-status-details-bin"])
        assert status.details[0].Unpack(info)
        assert status.details[1].Unpack(retry)
        assert info.reason == "SHUTTING_DOWN"
        assert retry.retry_delay.ToMilliseconds() > 0


async def test_a_health_watch_hears_the_drain_and_ends() -> None:
    async with Engine(clock=ManualClock()) as engine:
        server = await Server.start(engine)
        async with grpc.aio.insecure_channel(server.address) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
            server.announce_drain()
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            assert await watch.read() is grpc.aio.EOF
        await server.drain(0)

"""A fake engine at the facade's border: it records what arrives over a real gRPC channel and answers what it is told to.

It is for tests of translation only; what the engine itself does is tested against the engine.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, NamedTuple

import grpc
import grpc.aio
import httpx
import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2  # noqa: F401 - puts the health service into the descriptor pool
from playclock.v1 import (  # noqa: F401 - the same for ours
    auth_service_pb2,
    game_link_service_pb2,
    launch_service_pb2,
    match_service_pb2,
    session_service_pb2,
)
from playclock_http import make_app

PEER = "198.51.100.7"


class Recorded(NamedTuple):
    method: str
    request: Any
    metadata: dict[str, str | bytes]
    deadline_sec: float


class Told(NamedTuple):
    """An error that the fake engine answers with."""

    code: grpc.StatusCode
    message: str
    details: bytes | None


class FakeEngine(grpc.GenericRpcHandler):
    """Serves every method of every service in the descriptor pool."""

    def __init__(self) -> None:
        self.calls: list[Recorded] = []
        self._answers: dict[str, Message | Told] = {}
        self._hanging: set[str] = set()

    @property
    def methods(self) -> list[str]:
        return [call.method for call in self.calls]

    def answer(self, method: str, message: Message) -> None:
        self._answers[method] = message

    def fail(
        self,
        method: str,
        code: grpc.StatusCode,
        reason: str = "",
        message: str = "a sentence",
        *,
        domain: str = "playclock",
        retry_ms: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Fail as the engine does, with its details; without a reason as a proxy or a transport does."""
        status = status_pb2.Status(code=code.value[0], message=message)
        if reason:
            status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata or {}))
        if retry_ms is not None:
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromMilliseconds(retry_ms)
            status.details.add().Pack(retry)
        self._answers[method] = Told(code, message, status.SerializeToString() if status.details else None)

    def refuse(self, method: str, violations: Mapping[str, str]) -> None:
        """Refuse fields as the engine does."""
        message = "; ".join(f"{field}: {problem}" for field, problem in violations.items())
        status = status_pb2.Status(code=grpc.StatusCode.INVALID_ARGUMENT.value[0], message=message)
        status.details.add().Pack(error_details_pb2.ErrorInfo(reason="BAD_REQUEST", domain="playclock"))
        named = [
            error_details_pb2.BadRequest.FieldViolation(field=field, description=problem)
            for field, problem in violations.items()
        ]
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=named))
        self._answers[method] = Told(grpc.StatusCode.INVALID_ARGUMENT, message, status.SerializeToString())

    def fail_with_junk_details(self, method: str, code: grpc.StatusCode) -> None:
        self._answers[method] = Told(code, "secret host 10.0.0.3", b"\xff\xff\xff")

    def hang(self, method: str) -> None:
        self._hanging.add(method)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        service, _, name = handler_call_details.method.lstrip("/").rpartition("/")
        method = descriptor_pool.Default().FindMethodByName(f"{service}.{name}")
        answer_type = message_factory.GetMessageClass(method.output_type)

        async def behaviour(request: Message, context: "grpc.aio.ServicerContext[Any, Any]") -> Message:
            metadata = dict(context.invocation_metadata() or ())
            self.calls.append(Recorded(name, request, metadata, context.time_remaining() or 0.0))
            if name in self._hanging:
                await asyncio.get_running_loop().create_future()
            answer = self._answers.get(name, answer_type())
            if isinstance(answer, Told):
                trailing = () if answer.details is None else (("grpc-status-details-bin", answer.details),)
                await context.abort(answer.code, answer.message, trailing)
            assert isinstance(answer, Message)
            return answer

        return grpc.unary_unary_rpc_method_handler(
            behaviour,
            request_deserializer=message_factory.GetMessageClass(method.input_type).FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )


def fixed_now() -> datetime:
    return datetime(2026, 3, 6, 12, 0, 0, 5_999, tzinfo=UTC)


@pytest.fixture
async def fake_engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
async def channel(fake_engine: FakeEngine) -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((fake_engine,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as connected:
        yield connected
    await server.stop(None)


ClientMaker = Callable[..., httpx.AsyncClient]


@pytest.fixture
async def make_client(channel: grpc.aio.Channel) -> AsyncIterator[ClientMaker]:
    """Make clients of the facade: who they are on the socket, and how the facade is set up."""
    async with AsyncExitStack() as stack:
        opened: list[httpx.AsyncClient] = []

        def make(
            *, peer: str = PEER, trusted_proxies: Sequence[str] = (), engine_token: str | None = None
        ) -> httpx.AsyncClient:
            app = make_app(channel, trusted_proxies=trusted_proxies, engine_token=engine_token, deadline_sec=5, now=fixed_now)
            transport = httpx.ASGITransport(app, client=(peer, 40_000))
            client = httpx.AsyncClient(transport=transport, base_url="http://facade")
            opened.append(client)
            return client

        yield make
        for client in opened:
            stack.push_async_callback(client.aclose)


@pytest.fixture
def client(make_client: ClientMaker) -> httpx.AsyncClient:
    return make_client()

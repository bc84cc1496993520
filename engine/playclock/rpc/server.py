"""The engine on a socket: grpc.aio, limits, reflection, drain."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Self, cast

import grpc
import grpc.aio
from google.protobuf.message import Message
from grpc_reflection.v1alpha import reflection
from grpc_status.rpc_status import to_status

from playclock.engine import Engine
from playclock.rpc.authenticate import Metadata
from playclock.rpc.dispatch import Dispatcher, Method, StreamMethod
from playclock.rpc.health import SERVICE as HEALTH
from playclock.rpc.status import Failure

MESSAGE_BYTES_MAX: Final = 4 << 20
METADATA_BYTES_MAX: Final = 16 << 10

OPTIONS: Final = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_metadata_size", METADATA_BYTES_MAX),
    ("grpc.max_concurrent_streams", 1_000),
    # A dead peer is noticed within half a minute; a peer that pings more often than every 10 s is sent away.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 2),
    # Seconds that a call may wait to be taken up. After 30, by default, gRPC tells the caller CANCELLED, which nobody
    # repeats; so it did when a process went on after a standstill. How long a caller waits is for his deadline to say.
    ("grpc.server_max_unrequested_time_in_server", 86_400),
    # Two servers on one port would share calls at random; a port that is taken has to be an error.
    ("grpc.so_reuseport", 0),
)

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]


class AddressInUse(OSError):
    """The address cannot be listened on."""


class Server:
    """An engine that is being served."""

    def __init__(self, server: grpc.aio.Server, engine: Engine, address: str) -> None:
        self.address = address
        """HOST:PORT, with the real port."""
        self._server = server
        self._engine = engine

    @classmethod
    async def start(cls, engine: Engine, address: str = "127.0.0.1:0", *, options: tuple[tuple[str, Any], ...] = ()) -> Self:
        """Serve on HOST:PORT, port 0 for a free one. Raises AddressInUse.

        `options` of gRPC's take the place of ours.
        """
        dispatcher = Dispatcher(engine)
        # Not one after the other: of an option that is given twice, gRPC takes the first for some, the last for others.
        server = grpc.aio.server(options=tuple((dict(OPTIONS) | dict(options)).items()))
        server.add_generic_rpc_handlers((_Handlers(dispatcher),))
        reflection.enable_server_reflection((*dispatcher.services, HEALTH, reflection.SERVICE_NAME), server)
        try:
            port = server.add_insecure_port(address)
        except RuntimeError as error:
            raise AddressInUse(f"cannot listen on {address}") from error
        await server.start()
        return cls(server, engine, f"{address.rpartition(':')[0]}:{port}")

    def announce_drain(self) -> None:
        """Tell health checks that no new calls should come here."""
        self._engine.drain()

    async def drain(self, grace_sec: float = 5.0) -> None:
        """Take no new calls, let those under way finish for `grace_sec`, then stop."""
        self.announce_drain()
        await self._server.stop(grace_sec)

    async def wait(self) -> None:
        """Return when the server has stopped."""
        await self._server.wait_for_termination()


async def start(engine: Engine, address: str = "127.0.0.1:0") -> Server:
    """Serve an engine on HOST:PORT, port 0 for a free one. Raises AddressInUse."""
    return await Server.start(engine, address)


class _Handlers(grpc.GenericRpcHandler):
    """All methods, each wrapped once."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._handlers = {name: _handler(dispatcher, method) for name, method in dispatcher.methods.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Return the handler of a method, or None for one that is not served."""
        return self._handlers.get(handler_call_details.method)


def _handler(dispatcher: Dispatcher, method: Method) -> "grpc.RpcMethodHandler[Any, Any]":
    if isinstance(method, StreamMethod):
        return grpc.unary_stream_rpc_method_handler(
            _stream(dispatcher, method),
            request_deserializer=method.request_type.FromString,
            response_serializer=method.response_type.SerializeToString,
        )
    return grpc.unary_unary_rpc_method_handler(
        _unary(dispatcher, method),
        request_deserializer=method.request_type.FromString,
        response_serializer=method.response_type.SerializeToString,
    )


def _unary(dispatcher: Dispatcher, method: Method) -> "Callable[[Message, Context], Awaitable[Message]]":
    async def answer(request: Message, context: "Context") -> Message:
        metadata = cast("Metadata", context.invocation_metadata() or ())
        try:
            return await dispatcher.unary(method, request, metadata, context.peer, trusted=False)
        except Failure as failure:
            await context.abort_with_status(to_status(failure.status))
            raise

    return answer


def _stream(dispatcher: Dispatcher, method: Method) -> "Callable[[Message, Context], AsyncIterator[Message]]":
    async def answer(request: Message, context: "Context") -> AsyncIterator[Message]:
        metadata = cast("Metadata", context.invocation_metadata() or ())
        try:
            async for response in dispatcher.stream(method, request, metadata, context.peer, trusted=False):
                yield response
        except Failure as failure:
            await context.abort_with_status(to_status(failure.status))

    return answer

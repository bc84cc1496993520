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
from playclock.rpc.call import ClientIdentity, Identify, unidentified
from playclock.rpc.dispatch import Dispatcher, Method, StreamMethod, UploadMethod
from playclock.rpc.health import SERVICE as HEALTH
from playclock.rpc.status import Failure

MESSAGE_BYTES_MAX: Final = 4 << 20
METADATA_BYTES_MAX: Final = 16 << 10

OPTIONS: Final = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_metadata_size", METADATA_BYTES_MAX),
    # As many as a facade may have under way. A client that begins more before it has read this is refused some, not held up.
    ("grpc.max_concurrent_streams", 1_000),
    # Who has said nothing sensible by then, in TLS or HTTP/2, goes. gRPC's own value is two minutes.
    ("grpc.server_handshake_timeout_ms", 10_000),
    # A connection without calls makes room. Clients connect anew by themselves.
    ("grpc.max_connection_idle_ms", 900_000),
    # A dead peer is noticed within half a minute; a peer that pings more often than every 10 s is sent away.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 2),
    # Seconds that a call may wait to be taken up. After 30, by default, gRPC tells the caller CANCELLED, which nobody
    # repeats; so it did when a process went on after a standstill. How long a caller waits is for his deadline to say.
    ("grpc.server_max_unrequested_time_in_server", 86_400),
    # How many calls may wait to be taken up. From 1,000 on, by default, gRPC tells some of the callers CANCELLED, from 3,000 on
    # all: so many come while a process stands still, or at once from thousands of game servers. Each takes some kilobytes.
    ("grpc.server.max_pending_requests", 10_000),
    ("grpc.server.max_pending_requests_hard_limit", 20_000),
    # Two servers on one port would share calls at random; a port that is taken has to be an error.
    ("grpc.so_reuseport", 0),
)

VERIFYING_OPTIONS: Final = (
    # Whose certificate is no longer good, or whose authority is no longer trusted, has had his last call after an hour.
    ("grpc.max_connection_age_ms", 3_600_000),
    ("grpc.max_connection_age_grace_ms", 600_000),
)
"""Where clients are verified, which happens once for each connection."""

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]
    IdentifyIn = Callable[[Context], Identify]


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
    async def start(
        cls,
        engine: Engine,
        address: str = "127.0.0.1:0",
        *,
        credentials: grpc.ServerCredentials | None = None,
        verifies_clients: bool = False,
        options: tuple[tuple[str, Any], ...] = (),
    ) -> Self:
        """Serve on HOST:PORT, port 0 for a free one; in clear text where there are no credentials. Raises AddressInUse.

        `verifies_clients` says that the credentials verify clients' certificates, so that calls can tell whose they are.
        `options` of gRPC's take the place of ours.
        """
        dispatcher = Dispatcher(engine)
        # Not one after the other: of an option that is given twice, gRPC takes the first for some, the last for others.
        taken = dict(OPTIONS) | (dict(VERIFYING_OPTIONS) if verifies_clients else {}) | dict(options)
        server = grpc.aio.server(options=tuple(taken.items()))
        server.add_generic_rpc_handlers((_Handlers(dispatcher, _identify if verifies_clients else _nobody_verified),))
        reflection.enable_server_reflection((*dispatcher.services, HEALTH, reflection.SERVICE_NAME), server)
        try:
            port = server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
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

    def __init__(self, dispatcher: Dispatcher, identify: "IdentifyIn") -> None:
        self._handlers = {name: _handler(dispatcher, method, identify) for name, method in dispatcher.methods.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Return the handler of a method, or None for one that is not served."""
        return self._handlers.get(handler_call_details.method)


def _handler(dispatcher: Dispatcher, method: Method, identify: "IdentifyIn") -> "grpc.RpcMethodHandler[Any, Any]":
    if isinstance(method, StreamMethod):
        return grpc.unary_stream_rpc_method_handler(
            _stream(dispatcher, method, identify),
            request_deserializer=method.request_type.FromString,
            response_serializer=method.response_type.SerializeToString,
        )
    if isinstance(method, UploadMethod):
        return grpc.stream_unary_rpc_method_handler(
            _unary(dispatcher, method, identify),
            request_deserializer=method.request_type.FromString,
            response_serializer=method.response_type.SerializeToString,
        )
    return grpc.unary_unary_rpc_method_handler(
        _unary(dispatcher, method, identify),
        request_deserializer=method.request_type.FromString,
        response_serializer=method.response_type.SerializeToString,
    )


def _unary(dispatcher: Dispatcher, method: Method, identify: "IdentifyIn") -> "Callable[[Any, Context], Awaitable[Message]]":
    async def answer(request: Message | AsyncIterator[Message], context: "Context") -> Message:
        metadata = cast("Metadata", context.invocation_metadata() or ())
        try:
            return await dispatcher.unary(method, request, metadata, context.peer, trusted=False, identify=identify(context))
        except Failure as failure:
            await context.abort_with_status(to_status(failure.status))
            raise

    return answer


def _stream(
    dispatcher: Dispatcher, method: Method, identify: "IdentifyIn"
) -> "Callable[[Message, Context], AsyncIterator[Message]]":
    async def answer(request: Message, context: "Context") -> AsyncIterator[Message]:
        metadata = cast("Metadata", context.invocation_metadata() or ())
        try:
            async for response in dispatcher.stream(
                method, request, metadata, context.peer, trusted=False, identify=identify(context)
            ):
                yield response
        except Failure as failure:
            await context.abort_with_status(to_status(failure.status))

    return answer


def _nobody_verified(_context: "Context") -> Identify:
    return unidentified


def _identify(context: "Context") -> Identify:
    return lambda: _identity_in(context)


def _identity_in(context: "Context") -> ClientIdentity | None:
    found = context.auth_context()
    if "x509_pem_cert" not in found:
        return None
    common_name, dns_names, uris = (
        tuple(bytes(value).decode("utf-8", "replace") for value in found.get(key, ()))
        for key in ("x509_common_name", "peer_dns", "peer_uri")
    )
    return ClientIdentity("".join(common_name[:1]), dns_names, uris)

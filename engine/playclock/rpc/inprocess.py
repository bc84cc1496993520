"""A channel without a socket: generated stubs call the engine in the same process and event loop.

The same methods, credentials, errors and log as over a socket; only messages are handed over instead of serialised, which is
sound because neither side changes a message once it is handed over.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Coroutine, Iterable
from typing import Any, NoReturn, Self

import grpc
import grpc.aio
from google.protobuf.message import Message

from playclock.engine import OPERATOR, Caller, Engine
from playclock.rpc.authenticate import Metadata
from playclock.rpc.dispatch import Dispatcher, Method
from playclock.rpc.status import DETAILS_KEY, Failure, unimplemented_failure
from playclock.rpc.within import within


def _no_peer() -> str:
    return "inprocess:"


class InProcessChannel(grpc.aio.Channel):
    """A `grpc.aio.Channel` into an engine of this process.

    `metadata` goes with every call, for instance a game's `x-api-key`; a call's own counts before it. With `operator=True`
    calls without credentials are an operator's; without it they are refused, as over a socket. Callers are inside the trust
    boundary either way.
    """

    def __init__(self, engine: Engine, *, operator: bool = False, metadata: Iterable[tuple[str, str | bytes]] = ()) -> None:
        self._dispatcher = Dispatcher(engine)
        self._fallback = OPERATOR if operator else None
        self._metadata = tuple(metadata)

    async def __aenter__(self) -> Self:
        """Return the channel."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Do nothing: there is nothing to close."""

    async def close(self, grace: float | None = None) -> None:
        """Do nothing: there is nothing to close."""

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: ARG002 - gRPC's signature
        """Return READY."""
        return grpc.ChannelConnectivity.READY

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Return when the state is another than the one observed; READY stays for ever."""
        if last_observed_state is grpc.ChannelConnectivity.READY:
            await asyncio.Future()

    async def channel_ready(self) -> None:
        """Return at once."""

    def unary_unary(self, method: str, *_: object, **__: object) -> "UnaryCallable":  # type: ignore[override]
        """Return what calls a method with one response."""
        return UnaryCallable(self._dispatcher, self._method(method), self._metadata, self._fallback)

    def unary_stream(self, method: str, *_: object, **__: object) -> "StreamCallable":  # type: ignore[override]
        """Return what calls a method with a stream of responses."""
        return StreamCallable(self._dispatcher, self._method(method), self._metadata, self._fallback)

    def stream_unary(self, method: str, *_: object, **__: object) -> "UploadCallable":  # type: ignore[override]
        """Return what calls a method that takes a stream of requests."""
        return UploadCallable(self._dispatcher, self._method(method), self._metadata, self._fallback)

    def stream_stream(self, method: str, *_: object, **__: object) -> NoReturn:
        """Raise: no method does both."""
        raise NotImplementedError(f"{method} takes and gives a stream; no method of playclock does both")

    def _method(self, name: str | bytes) -> Method | str:
        text = name.decode() if isinstance(name, bytes) else name
        return self._dispatcher.methods.get(text, text)


class _Callable:
    def __init__(self, dispatcher: Dispatcher, method: Method | str, metadata: Metadata, fallback: Caller | None) -> None:
        self._dispatcher = dispatcher
        self._method = method
        self._metadata = tuple(metadata)
        self._fallback = fallback

    def _known(self) -> Method:
        if isinstance(self._method, str):
            raise _rpc_error(unimplemented_failure(self._method))
        return self._method


class UnaryCallable(_Callable):
    """Calls a method with one response."""

    def __call__(
        self, request: Message, *, timeout: float | None = None, metadata: Metadata | None = None, **_: object
    ) -> Coroutine[Any, Any, Any]:
        """Return the call, to be awaited. Raises grpc.aio.AioRpcError as a call over a socket would.

        `timeout` is in seconds; the call is cancelled when it is over. Other options of gRPC make no difference here.
        """
        return self._call(request, self._metadata if metadata is None else (*self._metadata, *metadata), timeout)

    async def _call(self, request: Message | AsyncIterator[Message], metadata: Metadata, timeout_sec: float | None) -> Message:
        try:
            answer = self._dispatcher.unary(self._known(), request, metadata, _no_peer, trusted=True, fallback=self._fallback)
            return await within(timeout_sec, answer)
        except Failure as failure:
            raise _rpc_error(failure) from None
        except TimeoutError:
            raise _deadline_error() from None


class UploadCallable(UnaryCallable):
    """Calls a method that takes a stream of requests: an iterator of them, asynchronous or not."""

    def __call__(  # type: ignore[override] # as gRPC's callables differ
        self,
        request_iterator: Iterable[Message] | AsyncIterable[Message],
        *,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        **_: object,
    ) -> Coroutine[Any, Any, Any]:
        """Return the call, to be awaited. Raises grpc.aio.AioRpcError as a call over a socket would."""
        sent = self._metadata if metadata is None else (*self._metadata, *metadata)
        return self._call(_each(request_iterator), sent, timeout)


async def _each(requests: Iterable[Message] | AsyncIterable[Message]) -> AsyncIterator[Message]:
    if isinstance(requests, AsyncIterable):
        async for request in requests:
            yield request
        return
    for request in requests:
        yield request


class StreamCallable(_Callable):
    """Calls a method with a stream of responses."""

    def __call__(
        self, request: Message, *, timeout: float | None = None, metadata: Metadata | None = None, **_: object
    ) -> "InProcessStream":
        """Return the stream, to be iterated over. Raises grpc.aio.AioRpcError as a call over a socket would."""
        sent = self._metadata if metadata is None else (*self._metadata, *metadata)
        responses = self._dispatcher.stream(self._known(), request, sent, _no_peer, trusted=True, fallback=self._fallback)
        deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
        return InProcessStream(responses, deadline)


class InProcessStream:
    """A stream of responses."""

    def __init__(self, responses: AsyncIterator[Message], deadline: float | None) -> None:
        self._responses = responses
        self._deadline = deadline

    def __aiter__(self) -> Self:
        """Return the stream itself."""
        return self

    async def __anext__(self) -> Any:  # noqa: ANN401 - the method's response
        """Return the next response."""
        try:
            async with asyncio.timeout_at(self._deadline):
                return await anext(self._responses)
        except Failure as failure:
            raise _rpc_error(failure) from None
        except TimeoutError:
            raise _deadline_error() from None

    async def read(self) -> Any:  # noqa: ANN401 - the method's response
        """Return the next response, or grpc.aio.EOF after the last."""
        try:
            return await anext(self)
        except StopAsyncIteration:
            return grpc.aio.EOF

    async def aclose(self) -> None:
        """End the stream."""
        await self._responses.aclose()  # type: ignore[attr-defined]


def _rpc_error(failure: Failure) -> grpc.aio.AioRpcError:
    trailing = grpc.aio.Metadata((DETAILS_KEY, failure.status.SerializeToString()))
    return grpc.aio.AioRpcError(failure.code, grpc.aio.Metadata(), trailing, details=failure.message)


def _deadline_error() -> grpc.aio.AioRpcError:
    empty = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(grpc.StatusCode.DEADLINE_EXCEEDED, empty, empty, details="Deadline Exceeded")

"""The engine for programs without an event loop: it runs on a thread of its own, and calls wait for their answers."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

import grpc
from google.protobuf.message import Message

from playclock.archive.urls import open_archive
from playclock.clock import Clock, ManualClock
from playclock.core.timers import Timers
from playclock.engine import Engine
from playclock.engine.sealing import Sealer
from playclock.masterkeys import open_sealer
from playclock.rpc.inprocess import InProcessChannel
from playclock.rpc.partner import connect
from playclock.stores.urls import open_store

T = TypeVar("T")
Metadata = Sequence[tuple[str, str | bytes]]


class BlockingEngine:
    """An engine on a thread of its own.

        with BlockingEngine(clock=ManualClock()) as engine:
            sessions = SessionServiceStub(engine.channel(operator=True))

    `store` is a store's URL, such as `sqlite:///play.db`. With `archive`, an archive's URL such as `sqlite://`, there are
    settlements to show. Without a clock it takes a `ManualClock`: time stands still until
    `engine.clock.advance(seconds)`. `sealer` encrypts secrets in the store; without one a SQLite store has a key beside it.
    """

    def __init__(
        self,
        store: str = "memory://",
        *,
        clock: Clock | None = None,
        timers: Timers | None = None,
        operator_tokens: Sequence[str] = (),
        archive: str | None = None,
        sealer: Sealer | None = None,
    ) -> None:
        self.clock = clock or ManualClock()
        self.engine: Engine
        """The engine itself; its coroutines run through `run`."""
        self._store_url = store
        self._archive_url = archive
        self._sealer = sealer
        self._timers = timers
        self._operator_tokens = operator_tokens
        self._loop: asyncio.AbstractEventLoop
        self._stop = asyncio.Event()
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="playclock engine", daemon=True)

    def __enter__(self) -> Self:
        """Start the thread and the engine. Raises what opening the store and the archive raises."""
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the engine, close its store, and wait for the thread."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the engine's thread and return what it returns."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def channel(self, *, operator: bool = False, metadata: Iterable[tuple[str, str | bytes]] = ()) -> "BlockingChannel":
        """Return a channel for generated stubs; the options are `InProcessChannel`'s."""
        return BlockingChannel(self, InProcessChannel(self.engine, operator=operator, metadata=metadata))

    def sweep(self) -> int:
        """Do the bookkeeping that is due, archive what has happened, and return how many records were due."""
        return self.run(self.engine.sweep())

    def _main(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        async with contextlib.AsyncExitStack() as parts:
            try:
                self.engine = await self._start(parts)
            except BaseException as error:  # noqa: BLE001 - handed to the thread that waits in __enter__
                self._failure = error
                self._started.set()
                return
            self._started.set()
            await self._stop.wait()

    async def _start(self, parts: contextlib.AsyncExitStack) -> Engine:
        store = await open_store(self._store_url)
        parts.push_async_callback(store.close)
        archive = None
        if self._archive_url is not None:
            archive = await parts.enter_async_context(await open_archive(self._archive_url, store))
        engine = Engine(
            store,
            clock=self.clock,
            timers=self._timers,
            operator_tokens=self._operator_tokens,
            archive=archive,
            connect=connect,
            sealer=self._sealer or open_sealer(self._store_url),
        )
        return await parts.enter_async_context(engine)


class BlockingChannel(grpc.Channel):
    """A `grpc.Channel` into a `BlockingEngine`. Calls raise grpc.aio.AioRpcError, which is a grpc.RpcError with a code."""

    def __init__(self, engine: BlockingEngine, channel: InProcessChannel) -> None:
        self._engine = engine
        self._channel = channel

    def __enter__(self) -> Self:
        """Return the channel."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Do nothing: there is nothing to close."""

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def subscribe(self, callback: Any, try_to_connect: bool = False) -> None:  # noqa: ANN401, ARG002 - gRPC's
        """Tell the callback that the channel is ready; nothing else ever happens to it."""
        callback(grpc.ChannelConnectivity.READY)

    def unsubscribe(self, callback: object) -> None:
        """Do nothing: there was nothing more to tell."""

    def unary_unary(self, method: str, *_: object, **__: object) -> Any:  # noqa: ANN401 - a callable by shape
        """Return what calls a method with one response."""
        call = self._channel.unary_unary(method)

        def answer(request: Message, timeout: float | None = None, metadata: Metadata | None = None, **_: object) -> Message:
            message: Message = self._engine.run(call(request, timeout=timeout, metadata=metadata))
            return message

        return answer

    def unary_stream(self, method: str, *_: object, **__: object) -> Any:  # noqa: ANN401 - a callable by shape
        """Return what calls a method with a stream of responses."""
        call = self._channel.unary_stream(method)

        def answer(
            request: Message, timeout: float | None = None, metadata: Metadata | None = None, **_: object
        ) -> Iterator[Message]:
            async def begin() -> Any:  # noqa: ANN401 - the in-process stream
                return call(request, timeout=timeout, metadata=metadata)

            stream = self._engine.run(begin())
            try:
                while (message := self._engine.run(stream.read())) is not grpc.aio.EOF:
                    yield message
            finally:
                self._engine.run(stream.aclose())

        return answer

    def stream_unary(self, method: str, *_: object, **__: object) -> NoReturn:
        """Raise: no method takes a stream."""
        raise NotImplementedError(f"{method} takes a stream of requests; no method of playclock does")

    def stream_stream(self, method: str, *_: object, **__: object) -> NoReturn:
        """Raise: no method takes a stream."""
        raise NotImplementedError(f"{method} takes a stream of requests; no method of playclock does")

"""An engine elsewhere, as a client reaches it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

import grpc
import grpc.aio

from playclock.cli.engines import RemoteEngine
from playclock.cli.failures import UsageFailure
from playclock.cli.rpc_failures import told_in_sentences
from playclock.tomltable import is_token

Stub = TypeVar("Stub")
Answer = TypeVar("Answer")

CALL_SEC: Final = 10.0
"""How long one call may take."""

CHANNEL_OPTIONS: Final = (
    # A peer that vanished without a word is noticed while calls wait for it, after 20 + 5 seconds. Without calls there are no
    # pings: servers cut clients off that ping for nothing.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 0),
    # A restarted engine is found again within seconds, not minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 3_000),
)


def open_channel(engine: RemoteEngine) -> grpc.aio.Channel:
    """Return a channel. It connects at its first call."""
    if engine.trust is None:
        return grpc.aio.insecure_channel(str(engine), options=CHANNEL_OPTIONS)
    authority, certificate, key = engine.trust
    credentials = grpc.ssl_channel_credentials(authority, private_key=key, certificate_chain=certificate)
    return grpc.aio.secure_channel(str(engine), credentials, options=CHANNEL_OPTIONS)


def authorization(token: str | None) -> tuple[tuple[str, str], ...]:
    """Return the metadata by which an operator proves to be one. Raises UsageFailure for what cannot be a token."""
    if token is None:
        return ()
    if not is_token(token):
        raise UsageFailure("a token has 1 to 255 visible ASCII characters")
    return (("authorization", f"Bearer {token}"),)


@contextlib.asynccontextmanager
async def calling(engine: RemoteEngine) -> AsyncIterator[grpc.aio.Channel]:
    """Open a channel for a few calls; a failed one is told in a sentence."""
    with told_in_sentences(str(engine)):
        async with open_channel(engine) as channel:
            yield channel


def ask(engine: RemoteEngine, stub: Callable[[grpc.aio.Channel], Stub], calls: Callable[[Stub], Awaitable[Answer]]) -> Answer:
    """Connect, make one call or a few to a service, and return what comes of them; a failed one is told in a sentence."""

    async def connected() -> Answer:
        async with calling(engine) as channel:
            return await calls(stub(channel))

    return asyncio.run(connected())

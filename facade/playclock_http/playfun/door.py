"""Who comes in: strangers, a bounded number from each address, and developers by their signature."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import grpc
from playclock.v1 import auth_service_pb2
from playclock.v1.limit_service_pb2 import ADDRESS_LIMIT_PLAYFUN, ADDRESS_LIMIT_PLAYFUN_PLAYERS

from playclock_http.address import TrustedProxies
from playclock_http.callers import Callers
from playclock_http.incoming import Incoming
from playclock_http.ratelimit import AddressLimit, Headers
from playclock_http.refusal import Refusal
from playclock_http.upstream import Metadata, Upstream

_AUTHORIZATION_MAX: Final = 1024
"""How much of the header the engine gets to see: no signature is as long."""


_TOKEN_MAX: Final = 255
"""How long a player's session token may be for the engine to look at it."""


class Door:
    """Counts strangers, and hands signatures on to the engine, which alone can tell what they are worth.

    Signed calls have the engine's limits, by developer, and by address for wrong signatures.
    """

    def __init__(self, upstream: Upstream, proxies: TrustedProxies) -> None:
        self._limit = AddressLimit(upstream, proxies, ADDRESS_LIMIT_PLAYFUN)
        self._players = AddressLimit(upstream, proxies, ADDRESS_LIMIT_PLAYFUN_PLAYERS)
        self._callers = Callers(upstream)
        self._upstream = upstream
        self._proxies = proxies

    async def stranger(self, incoming: Incoming) -> Headers:
        """Count an unsigned call; return the headers that tell what is left. Raises AioRpcError (RATE_LIMITED)."""
        return await self._limit.take(incoming)

    def everybody(self, incoming: Incoming) -> Metadata:
        """Return the metadata of a call that needs no signature."""
        return (("x-request-id", incoming.request_id), *self._upstream.authorization)

    async def developer(self, incoming: Incoming) -> Metadata:
        """Return the metadata by which the engine learns who signed.

        A call without Authorization is a stranger's. Raises Refusal for it (INVALID_SIGNATURE), AioRpcError (RATE_LIMITED).
        """
        values = incoming.every(b"authorization")
        if not values:
            await self.stranger(incoming)
            message = "the header Authorization is missing"
            raise Refusal("INVALID_SIGNATURE", message, status=grpc.StatusCode.UNAUTHENTICATED)
        # Two are one too many, and a third says nothing new.
        told = [value[:_AUTHORIZATION_MAX].decode("latin-1") for value in values[:2]]
        return self.credentials(incoming, incoming.method, incoming.path, told)

    async def proven(self, incoming: Incoming) -> tuple[Metadata, str]:
        """Return the same, and the developer's id, of a call whose signature is good: before anything is read of its body.

        Raises Refusal (INVALID_SIGNATURE), AioRpcError.
        """
        metadata = await self.developer(incoming)
        return metadata, await self._callers.who(metadata)

    async def player(self, incoming: Incoming) -> str:
        """Count a call of a player's client, and return the session token that it shows, which the engine has to look at.

        Raises Refusal (INVALID_PLAYER_TOKEN) where there is none, AioRpcError (RATE_LIMITED).
        """
        await self._players.take(incoming)
        values = incoming.every(b"authorization")
        scheme, _, token = values[0].decode("latin-1").partition(" ") if len(values) == 1 else ("", "", "")
        if scheme.lower() != "bearer" or not 0 < len(token) <= _TOKEN_MAX or not token.isascii():
            message = "the header Authorization does not hold a player's session token"
            raise Refusal("INVALID_PLAYER_TOKEN", message, status=grpc.StatusCode.UNAUTHENTICATED)
        return token

    @asynccontextmanager
    async def known(self, metadata: Metadata) -> AsyncIterator[None]:
        """Let only those whom the engine knows by the metadata hear what is wrong with their request.

        Raises the Refusal that the block raised, or AioRpcError to a stranger.
        """
        try:
            yield
        except Refusal as refusal:
            raise await self._callers.may_hear(refusal, metadata) from None

    def credentials(self, incoming: Incoming, method: str, path: str, authorization: list[str]) -> Metadata:
        """Return the metadata that shows a signature over method and path, sent by whom the request came from."""
        signed = auth_service_pb2.SignedHttpRequest(
            scheme=auth_service_pb2.SIGNATURE_SCHEME_PLAYFUN,
            http_method=method,
            http_path=path,
            headers=[auth_service_pb2.HttpHeader(name="Authorization", value=value) for value in authorization],
        )
        return (
            ("x-signed-request-bin", signed.SerializeToString()),
            ("x-request-id", incoming.request_id),
            *self._upstream.authorization,
            *self._upstream.handing_on(self._proxies.caller(incoming.peer, incoming.forwarded)),
        )

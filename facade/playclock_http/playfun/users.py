"""The user calls: a signature made for a client that cannot make its own, and who the caller is."""

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime
from typing import Final

import grpc
from playclock.v1 import auth_service_pb2, auth_service_pb2_grpc

from playclock_http.endpoint import Reply
from playclock_http.incoming import Incoming
from playclock_http.playfun.door import Door
from playclock_http.playfun.envelope import success
from playclock_http.playfun.user_schemas import SignatureAnswer, SignatureOrder, Signed, User
from playclock_http.refusal import Refusal
from playclock_http.upstream import Upstream

_MAX_BODY_BYTES: Final = 8 * 1024


class Users:
    """The handlers of the user calls."""

    def __init__(self, upstream: Upstream, door: Door, now: Callable[[], datetime]) -> None:
        self._verify_caller = auth_service_pb2_grpc.AuthServiceStub(upstream.channel).VerifyCaller
        self._deadline_sec = upstream.deadline_sec
        self._door = door
        self._now = now
        self._last_ms = 0

    async def sign(self, incoming: Incoming) -> Reply:
        """Make a signature, for whoever has the secret that it is made with.

        The engine is shown the signature, and says whether it would be good: the secret goes nowhere.
        """
        left = await self._door.stranger(incoming)
        order = incoming.decode(await incoming.body(at_most=_MAX_BODY_BYTES), SignatureOrder)
        timestamp = str(self._timestamp_ms())
        text = f"{order.method.lower()}\n{order.path.lower()}\n{timestamp}"
        signature = hmac.new(order.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        authorization = f"HMAC-SHA256 apiKey={order.api_key} signature={signature} timestamp={timestamp}"
        await self._verify_caller(
            auth_service_pb2.VerifyCallerRequest(),
            timeout=self._deadline_sec,
            metadata=self._door.credentials(incoming, order.method, order.path, [authorization]),
        )
        return success(SignatureAnswer(Signed(authorization)), left)

    async def me(self, incoming: Incoming) -> Reply:
        """Tell who signed the request."""
        metadata = await self._door.developer(incoming)
        caller = await self._verify_caller(
            auth_service_pb2.VerifyCallerRequest(), timeout=self._deadline_sec, metadata=metadata
        )
        return success(User(caller.id))

    async def one(self, incoming: Incoming) -> Reply:
        """Tell of a user, who has to be whoever signed: of others nothing is told, not even whether there are such."""
        metadata = await self._door.developer(incoming)
        caller = await self._verify_caller(
            auth_service_pb2.VerifyCallerRequest(), timeout=self._deadline_sec, metadata=metadata
        )
        if incoming.path_parameters["id"] != caller.id:
            raise Refusal("NOT_FOUND", "User not found", status=grpc.StatusCode.NOT_FOUND)
        return success(User(caller.id))

    def _timestamp_ms(self) -> int:
        # Never the same twice: two calls with the same signature would count as one call that is repeated.
        self._last_ms = max(self._last_ms + 1, int(self._now().timestamp() * 1000))
        return self._last_ms

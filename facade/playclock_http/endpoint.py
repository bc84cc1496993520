"""One path as an ASGI app: picks the handler by method, answers its reply or its refusal, and lets nothing else through."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final, NamedTuple

import grpc
import grpc.aio
from starlette.types import Receive, Scope, Send

from playclock_http.incoming import Incoming, NameRequest, name_request
from playclock_http.refusal import Refusal, from_rpc

_LOG: Final = logging.getLogger("playclock_http")

_FAULT: Final = Refusal("INTERNAL", "", status=grpc.StatusCode.INTERNAL)


class Reply(NamedTuple):
    """What is sent back: an HTTP status, a JSON body and the headers beside the ones that every answer has.

    `cache_control` says who may keep it. Answers name sessions and hold tokens: by default no cache may.
    """

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    cache_control: bytes = b"no-store"


class Stream(NamedTuple):
    """What is sent back bit by bit: an HTTP status, all of its headers, and the pieces of its body, if it has one."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    pieces: AsyncIterator[bytes] | None = None


Handler = Callable[[Incoming], Awaitable[Reply | Stream]]
"""Answers a request, or raises Refusal or AioRpcError."""

Refuser = Callable[[Refusal, str], Reply]
"""Says a refusal in a dialect's words. The second argument is the request id."""


class Endpoint:
    """Serves one path. Without any handlers it is the place for paths that nobody serves."""

    def __init__(self, handlers: Mapping[str, Handler], refuse: Refuser, name: NameRequest = name_request) -> None:
        """Take the handlers by method, what says their refusals, and what makes request ids."""
        self._handlers = dict(handlers)
        if "GET" in handlers:
            self._handlers.setdefault("HEAD", handlers["GET"])
        self._refuse = refuse
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (the ASGI interface)."""
        incoming = Incoming(scope, receive, self._name)
        try:
            handler = self._handlers.get(incoming.method)
            reply = await handler(incoming) if handler is not None else self._refuse(self._no_handler(), incoming.request_id)
        except Refusal as refusal:
            reply = self._refuse(refusal, incoming.request_id)
        except grpc.aio.AioRpcError as error:
            reply = self._refuse(from_rpc(error), incoming.request_id)
            if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                _LOG.warning("request %s: the engine answered %s", incoming.request_id, error.code().name)
        except Exception:  # noqa: BLE001 - the outermost boundary: a bug is logged here, and the caller learns nothing of it
            _LOG.exception("request %s failed", incoming.request_id)
            reply = self._refuse(_FAULT, incoming.request_id)
        if isinstance(reply, Stream):
            await _stream(reply, incoming, send)
        else:
            await _send(reply, incoming, send)

    def _no_handler(self) -> Refusal:
        if not self._handlers:
            return Refusal("NOT_FOUND", "no such path", status=grpc.StatusCode.NOT_FOUND)
        allow = ", ".join(sorted(self._handlers))
        return Refusal("METHOD_NOT_ALLOWED", f"this path takes {allow}", status=grpc.StatusCode.UNIMPLEMENTED, allow=allow)


async def _stream(reply: Stream, incoming: Incoming, send: Send) -> None:
    """Send an answer as its pieces come. One that breaks off closes the connection: its length has been told."""
    headers = [(b"x-request-id", incoming.request_id.encode()), *reply.headers]
    is_unread = incoming.unread
    if is_unread:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if reply.pieces is not None:
        try:
            async for piece in reply.pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except grpc.aio.AioRpcError as error:
            _LOG.warning("request %s broke off: the engine answered %s", incoming.request_id, error.code().name)
            return
    if is_unread:
        await incoming.drain()
    await send({"type": "http.response.body", "body": b""})


async def _send(reply: Reply, incoming: Incoming, send: Send) -> None:
    headers = [
        (b"cache-control", reply.cache_control),
        (b"x-request-id", incoming.request_id.encode()),
        *reply.headers,
    ]
    if reply.status != HTTPStatus.NOT_MODIFIED:  # which has no content to describe
        headers += [(b"content-type", b"application/json"), (b"content-length", str(len(reply.body)).encode())]
    is_unread = incoming.unread
    if is_unread:
        # The rest of the body would be taken for the next request, or trickle in for ever.
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    body = b"" if incoming.method == "HEAD" else reply.body
    await send({"type": "http.response.body", "body": body, "more_body": is_unread})
    if is_unread:
        await incoming.drain()
        await send({"type": "http.response.body", "body": b""})

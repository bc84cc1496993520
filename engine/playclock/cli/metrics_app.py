"""`GET /metrics` and nothing else, under the uvicorn that is there for REST: without a thread, and as bounded as that is."""

from collections.abc import Awaitable, Callable
from typing import Final

from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Receive, Scope, Send

PATH: Final = "/metrics"

Collect = Callable[[], Awaitable[Collector]]
"""Returns what there is to show right now."""


def make_app(collect: Collect) -> ASGIApp:
    """Return an app that shows what is collected, in the form that the caller accepts; anything else is 404."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - nothing is read of a body
        if scope["method"] != "GET" or scope["path"] != PATH:
            await _answer(send, 404, "text/plain; charset=utf-8", b"there is GET /metrics and nothing else\n")
            return
        accepted = b",".join(value for name, value in scope["headers"] if name == b"accept")
        encode, content_type = _encoder(accepted.decode("latin-1"))
        await _answer(send, 200, content_type, encode(await collect()))

    return app


def _encoder(accepted: str) -> tuple[Callable[[Collector], bytes], str]:
    try:
        return choose_encoder(accepted)
    except (TypeError, ValueError):  # the library stumbles over versions that are no numbers
        return choose_encoder("")


async def _answer(send: Send, status: int, content_type: str, body: bytes) -> None:
    headers = [(b"content-type", content_type.encode("latin-1")), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

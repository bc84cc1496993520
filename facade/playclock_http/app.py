"""Puts the facade together: the one place that knows all dialects."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Final

import grpc.aio
import msgspec
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from playclock_http import agents, oklp, openapi, playfun, playwave
from playclock_http.address import TrustedProxies
from playclock_http.agents import operations as agent_operations
from playclock_http.endpoint import Endpoint, Reply
from playclock_http.health import Health
from playclock_http.images import Images
from playclock_http.incoming import MAX_BODY_BYTES, Incoming
from playclock_http.oklp import operations as oklp_operations
from playclock_http.playfun import operations as playfun_operations
from playclock_http.playwave.codes import CODES
from playclock_http.playwave.envelope import refuser
from playclock_http.playwave.operations import OPERATIONS, SCHEMES
from playclock_http.strict_json import MAX_DEPTH
from playclock_http.upstream import Upstream

_TITLE: Final = "playclock: the PlayWave API, the agent API, the play.fun API and the match API"
_DESCRIPTION: Final = (
    "Play sessions of PC cafes: one-time tokens, heartbeats, ends. And links with which an agent's players start games. "
    "And developers' games, their players and points. And matches for entry fees: players' tokens and results. "
    "Answers of the first two are in an envelope, errors of all. "
    f"Bodies are JSON of at most {MAX_BODY_BYTES} bytes, of games with pictures and of results more, and {MAX_DEPTH} levels, "
    "in UTF-8, with no key twice and numbers of 64 bits; an integer is written without a fraction. "
    "Fields that are not described are ignored."
)


def _wall_clock() -> datetime:
    # Only the timestamps of error bodies and of signatures that are asked for: no decision and no bill hangs on it,
    # and the facade cannot see the engine's clock.
    return datetime.now(UTC)  # noqa: TID251


def make_app(
    channel: grpc.aio.Channel,
    *,
    trusted_proxies: Sequence[str] = (),
    engine_token: str | None = None,
    deadline_sec: float = 10.0,
    now: Callable[[], datetime] = _wall_clock,
) -> ASGIApp:
    """Return the facade as an ASGI app that calls the engine over the channel. The channel stays the caller's to close.

    `trusted_proxies` are the networks (CIDR) whose X-Forwarded-For is believed; the server in front of the app must not
    rewrite the client's address itself. `engine_token` proves the facade to a remote engine, which then believes what it
    hands on of launchers; an in-process channel needs none. `deadline_sec` bounds each call to the engine. `now` tells the
    wall time of the timestamps in error bodies and in signatures that a developer has made, as an aware datetime; by default
    the host's clock.

    Raises ValueError for a network, token or deadline that is none.
    """
    upstream = Upstream(channel=channel, deadline_sec=deadline_sec, engine_token=engine_token)
    proxies = TrustedProxies(trusted_proxies)
    refuse = refuser(CODES, now)
    served = {
        **playwave.endpoints(upstream, proxies, now),
        # Before the agents': two of its paths lie below their root.
        **oklp.endpoints(upstream, proxies),
        **agents.endpoints(upstream, proxies, now),
        **playfun.endpoints(upstream, proxies, now),
        **Health(upstream).endpoints(refuse),
        **Images(upstream).endpoints(refuse),
        "/openapi.json": Endpoint({"GET": _openapi}, refuse),
    }
    return Router(
        [Route(path, endpoint) for path, endpoint in served.items()],
        redirect_slashes=False,
        default=_Elsewhere(Endpoint({}, refuse)),
    )


class _Elsewhere:
    """What no route takes: HTTP is told so in the envelope, a WebSocket is closed."""

    def __init__(self, http: ASGIApp) -> None:
        self._http = http

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = WebSocketClose() if scope["type"] == "websocket" else self._http
        await app(scope, receive, send)


async def _openapi(_incoming: Incoming) -> Reply:
    return Reply(200, _document())


@cache
def _document() -> bytes:
    described = openapi.describe(
        (*OPERATIONS, *agent_operations.OPERATIONS, *playfun_operations.OPERATIONS, *oklp_operations.OPERATIONS),
        title=_TITLE,
        version="1",
        description=_DESCRIPTION,
        schemes={**SCHEMES, **agent_operations.SCHEMES, **playfun_operations.SCHEMES, **oklp_operations.SCHEMES},
    )
    return msgspec.json.encode(described)

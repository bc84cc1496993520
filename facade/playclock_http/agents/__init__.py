"""The agent dialect: links with which an agent's players start games, as its vendor documents them."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from playclock_http.address import TrustedProxies
from playclock_http.agents.calls import AgentCalls
from playclock_http.agents.envelope import name_request, refuser
from playclock_http.endpoint import Endpoint
from playclock_http.upstream import Upstream

ROOT: Final = "/api/games"


def endpoints(upstream: Upstream, proxies: TrustedProxies, now: Callable[[], datetime]) -> dict[str, Endpoint]:
    """Return the dialect's endpoints by path; the last two are for whatever else its root has."""
    refuse = refuser(now)
    elsewhere = Endpoint({}, refuse, name_request)
    calls = AgentCalls(upstream, proxies, now)
    return {
        f"{ROOT}/get_game_link": Endpoint({"POST": calls.game_link}, refuse, name_request),
        f"{ROOT}/get_game_link_demo": Endpoint({"POST": calls.demo_link}, refuse, name_request),
        f"{ROOT}/list": Endpoint({"POST": calls.games}, refuse, name_request),
        ROOT: elsewhere,
        f"{ROOT}/{{rest:path}}": elsewhere,
    }

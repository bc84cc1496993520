"""The PlayWave dialect: its game-server API as its vendor documents it, and the launcher API beside it."""

from collections.abc import Callable
from datetime import datetime

from playclock_http.address import TrustedProxies
from playclock_http.endpoint import Endpoint
from playclock_http.playwave.codes import CODES, LAUNCH_END_CODES
from playclock_http.playwave.envelope import refuser
from playclock_http.playwave.game import GameCalls
from playclock_http.playwave.launcher import LauncherCalls
from playclock_http.upstream import Upstream


def endpoints(upstream: Upstream, proxies: TrustedProxies, now: Callable[[], datetime]) -> dict[str, Endpoint]:
    """Return the dialect's endpoints by path, the busiest first."""
    refuse = refuser(CODES, now)
    game = GameCalls(upstream, proxies)
    launcher = LauncherCalls(upstream, proxies)
    return {
        "/v1/game/session/heartbeat": Endpoint({"PATCH": game.heartbeat}, refuse),
        "/v1/game/session/verify": Endpoint({"POST": game.verify}, refuse),
        "/v1/game/session/end": Endpoint({"DELETE": game.end}, refuse),
        "/v1/launcher/session/heartbeat": Endpoint({"PATCH": launcher.heartbeat}, refuse),
        "/v1/launcher/session/start": Endpoint({"POST": launcher.start}, refuse),
        "/v1/launcher/ott": Endpoint({"POST": launcher.ott}, refuse),
        "/v1/launcher/session/end": Endpoint({"DELETE": launcher.end}, refuser(LAUNCH_END_CODES, now)),
    }

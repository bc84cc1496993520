"""The play.fun dialect: developers' games, as its vendor documents it and as its published server SDK calls it."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from playclock_http.address import TrustedProxies
from playclock_http.endpoint import Endpoint, Handler
from playclock_http.playfun.door import Door
from playclock_http.playfun.envelope import refuse
from playclock_http.playfun.games import Games
from playclock_http.playfun.owning import Owning
from playclock_http.playfun.playing import Playing
from playclock_http.playfun.points import PointsCalls
from playclock_http.playfun.registering import Registering
from playclock_http.playfun.users import Users
from playclock_http.upstream import Upstream

ROOTS: Final = ("/user", "/games", "/play")


def endpoints(upstream: Upstream, proxies: TrustedProxies, now: Callable[[], datetime]) -> dict[str, Endpoint]:
    """Return the dialect's endpoints by path; the last ones are for whatever else its roots have."""
    door = Door(upstream, proxies)
    users = Users(upstream, door, now)
    points = PointsCalls(upstream, door)
    games: dict[str, dict[str, Handler]] = {}
    for part in (Games(upstream, door), Owning(upstream, door), Registering(upstream, door), Playing(upstream, door)):
        for path, by_method in part.handlers().items():
            games[path] = games.get(path, {}) | by_method
    elsewhere = Endpoint({}, refuse)
    return {
        "/user/hmac-signature": Endpoint({"POST": users.sign}, refuse),
        "/user/me": Endpoint({"GET": users.me}, refuse),
        "/user/{id}": Endpoint({"GET": users.one}, refuse),
        **points.endpoints(),
        **{path: Endpoint(by_method, refuse) for path, by_method in games.items()},
        **{path: elsewhere for root in ROOTS for path in (*(() if root == "/games" else (root,)), f"{root}/{{rest:path}}")},
    }

"""The match dialect: players' tokens, results, and the OpenID side, at the paths that its clients were written for."""

from typing import Final

from playclock_http.address import TrustedProxies
from playclock_http.endpoint import Endpoint
from playclock_http.oklp.envelope import refuse_client, refuse_match_client, refuse_reader
from playclock_http.oklp.matches import MatchCalls
from playclock_http.oklp.openid import OpenIdCalls
from playclock_http.upstream import Upstream

REALMS: Final = "/auth/realms"
REALM: Final = f"{REALMS}/{{realm}}"
GAME: Final = "/api/game"
ROOTS: Final = (f"{GAME}/v1", "/api/games/v1")
"""One call, two spellings: the platform's documents have both. The second lies below the root of the agent dialect."""


def endpoints(upstream: Upstream, proxies: TrustedProxies) -> dict[str, Endpoint]:
    """Return the dialect's endpoints by path; those with a rest are for whatever else its own roots have."""
    openid = OpenIdCalls(upstream, proxies)
    matches = MatchCalls(upstream, proxies)
    elsewhere = Endpoint({}, refuse_match_client)
    return {
        REALM: Endpoint({"GET": openid.realm}, refuse_reader),
        f"{REALM}/protocol/openid-connect/token": Endpoint({"POST": openid.token}, refuse_client),
        f"{REALM}/protocol/openid-connect/certs": Endpoint({"GET": openid.keys}, refuse_reader),
        f"{REALM}/.well-known/openid-configuration": Endpoint({"GET": openid.configuration}, refuse_reader),
        f"{REALMS}/{{rest:path}}": Endpoint({}, refuse_reader),
        **{f"{root}/token-info": Endpoint({"POST": matches.token_info}, refuse_match_client) for root in ROOTS},
        **{f"{root}/finish": Endpoint({"POST": matches.finish}, refuse_match_client) for root in ROOTS},
        GAME: elsewhere,
        f"{GAME}/{{rest:path}}": elsewhere,
    }

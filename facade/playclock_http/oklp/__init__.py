"""The match dialect: so far its OpenID side, at the paths of the provider that its clients were written for."""

from typing import Final

from playclock_http.address import TrustedProxies
from playclock_http.endpoint import Endpoint
from playclock_http.oklp.codes import refuse_client, refuse_reader
from playclock_http.oklp.openid import OpenIdCalls
from playclock_http.upstream import Upstream

REALMS: Final = "/auth/realms"
REALM: Final = f"{REALMS}/{{realm}}"


def endpoints(upstream: Upstream, proxies: TrustedProxies) -> dict[str, Endpoint]:
    """Return the dialect's endpoints by path; the last is for whatever else its root has."""
    calls = OpenIdCalls(upstream, proxies)
    return {
        REALM: Endpoint({"GET": calls.realm}, refuse_reader),
        f"{REALM}/protocol/openid-connect/token": Endpoint({"POST": calls.token}, refuse_client),
        f"{REALM}/protocol/openid-connect/certs": Endpoint({"GET": calls.keys}, refuse_reader),
        f"{REALM}/.well-known/openid-configuration": Endpoint({"GET": calls.configuration}, refuse_reader),
        f"{REALMS}/{{rest:path}}": Endpoint({}, refuse_reader),
    }

"""OpenIdService: messages to the engine and back."""

from playclock.core.openid import GRANT, SCOPE
from playclock.engine import Engine
from playclock.engine.jose import ALGORITHM
from playclock.rpc.call import Call
from playclock.v1 import openid_service_pb2 as pb

_PROTOCOL = "/protocol/openid-connect"


class OpenIdServicer:
    """Translates for match clients, and for all who verify what was signed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def IssueAccessToken(self, request: pb.IssueAccessTokenRequest, call: Call) -> pb.IssueAccessTokenResponse:
        """Issue a token."""
        issued = await self._engine.openid.issue(
            call.caller, realm=request.realm, grant_type=request.grant_type, scope=request.scope
        )
        return pb.IssueAccessTokenResponse(access_token=issued.token, expires_in_sec=issued.life_sec, scope=SCOPE)

    async def GetRealm(self, request: pb.GetRealmRequest, call: Call) -> pb.GetRealmResponse:  # noqa: ARG002
        """Show the realm."""
        realm = await self._engine.openid.realm(request.realm)
        return pb.GetRealmResponse(
            realm=realm.name,
            public_key=realm.signing.der,
            base_url=realm.base_url,
            issuer=realm.issuer,
            token_endpoint=f"{realm.issuer}{_PROTOCOL}/token",
        )

    async def GetConfiguration(self, request: pb.GetConfigurationRequest, call: Call) -> pb.GetConfigurationResponse:  # noqa: ARG002
        """Show what a client discovers."""
        realm = await self._engine.openid.realm(request.realm)
        return pb.GetConfigurationResponse(
            issuer=realm.issuer,
            token_endpoint=f"{realm.issuer}{_PROTOCOL}/token",
            jwks_uri=f"{realm.issuer}{_PROTOCOL}/certs",
            scopes_supported=[SCOPE],
            grant_types_supported=[GRANT],
            token_endpoint_auth_methods_supported=["client_secret_basic", "client_secret_post"],
            signing_alg_values_supported=[ALGORITHM],
        )

    async def GetJwks(self, request: pb.GetJwksRequest, call: Call) -> pb.GetJwksResponse:  # noqa: ARG002
        """Show the keys."""
        realm = await self._engine.openid.realm(request.realm)
        return pb.GetJwksResponse(keys=[pb.JsonWebKey(kid=key.id, n=key.modulus, e=key.exponent) for key in realm.published])

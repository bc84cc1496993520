"""Tokens, the realm, its configuration and its keys, in the shapes that clients of Keycloak read."""

import base64
import re
from typing import Final
from urllib.parse import quote_plus, unquote_plus

import grpc
import msgspec
from playclock.v1 import openid_service_pb2, openid_service_pb2_grpc

from playclock_http.address import TrustedProxies
from playclock_http.endpoint import Reply
from playclock_http.incoming import Incoming
from playclock_http.oklp.form import read_form
from playclock_http.refusal import Refusal, bad_request
from playclock_http.upstream import Metadata, Upstream

CACHED: Final = b"public, max-age=300"
"""Half as long as a key is published before it signs."""

_BASIC: Final = re.compile(rb"basic +([A-Za-z0-9+/]{1,4096}={0,2})", re.IGNORECASE)
_NO_CACHE: Final = ((b"pragma", b"no-cache"),)


class OpenIdCalls:
    """The handlers of the OpenID side."""

    def __init__(self, upstream: Upstream, proxies: TrustedProxies) -> None:
        openid = openid_service_pb2_grpc.OpenIdServiceStub(upstream.channel)
        self._issue_access_token = openid.IssueAccessToken
        self._get_realm = openid.GetRealm
        self._get_configuration = openid.GetConfiguration
        self._get_jwks = openid.GetJwks
        self._deadline_sec = upstream.deadline_sec
        self._upstream = upstream
        self._proxies = proxies

    async def token(self, incoming: Incoming) -> Reply:
        """Issue an access token for a client's secret (RFC 6749, section 4.4)."""
        form = await read_form(incoming)
        answer = await self._issue_access_token(
            openid_service_pb2.IssueAccessTokenRequest(
                realm=incoming.path_field("realm"), grant_type=form.get("grant_type", ""), scope=form.get("scope", "")
            ),
            timeout=self._deadline_sec,
            metadata=self._credentials(incoming, form),
        )
        body = {
            "access_token": answer.access_token,
            "expires_in": answer.expires_in_sec,
            "refresh_expires_in": 0,
            "token_type": "Bearer",
            "not-before-policy": 0,
            "scope": answer.scope,
        }
        return Reply(200, msgspec.json.encode(body), _NO_CACHE)

    async def realm(self, incoming: Incoming) -> Reply:
        """Show the realm, and the key that signs now."""
        answer = await self._get_realm(
            openid_service_pb2.GetRealmRequest(realm=incoming.path_field("realm")),
            timeout=self._deadline_sec,
            metadata=self._own(incoming),
        )
        body = {
            "realm": answer.realm,
            "public_key": answer.public_key,
            "token-service": answer.token_endpoint.removesuffix("/token"),
            "account-service": f"{answer.issuer}/account",
            "tokens-not-before": 0,
        }
        return Reply(200, msgspec.json.encode(body), cache_control=CACHED)

    async def configuration(self, incoming: Incoming) -> Reply:
        """Show what a client discovers (OpenID Connect Discovery, RFC 8414)."""
        answer = await self._get_configuration(
            openid_service_pb2.GetConfigurationRequest(realm=incoming.path_field("realm")),
            timeout=self._deadline_sec,
            metadata=self._own(incoming),
        )
        algorithms = list(answer.signing_alg_values_supported)
        body = {
            "issuer": answer.issuer,
            "token_endpoint": answer.token_endpoint,
            "jwks_uri": answer.jwks_uri,
            "grant_types_supported": list(answer.grant_types_supported),
            "scopes_supported": list(answer.scopes_supported),
            "token_endpoint_auth_methods_supported": list(answer.token_endpoint_auth_methods_supported),
            # Required of every provider, also of one that nobody logs in at.
            "response_types_supported": ["none"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
        }
        return Reply(200, msgspec.json.encode(body), cache_control=CACHED)

    async def keys(self, incoming: Incoming) -> Reply:
        """Show the keys (RFC 7517)."""
        answer = await self._get_jwks(
            openid_service_pb2.GetJwksRequest(realm=incoming.path_field("realm")),
            timeout=self._deadline_sec,
            metadata=self._own(incoming),
        )
        keys = [{"kid": key.kid, "kty": "RSA", "alg": "RS256", "use": "sig", "n": key.n, "e": key.e} for key in answer.keys]
        return Reply(200, msgspec.json.encode({"keys": keys}), cache_control=CACHED)

    def _own(self, incoming: Incoming) -> Metadata:
        return (("x-request-id", incoming.request_id), *self._upstream.authorization)

    def _credentials(self, incoming: Incoming, form: dict[str, str]) -> Metadata:
        """Return the metadata of a client's call: what it proves itself by, as HTTP's Basic has it. Raises Refusal.

        A call without a secret is refused here and never made: a channel that has an identity of its own would lend it.
        """
        header = incoming.header(b"authorization")
        basic = _of_form(form) if header is None else _of_header(header, form)
        return (
            ("authorization", f"Basic {basic}"),
            ("x-request-id", incoming.request_id),
            *self._upstream.handing_on(self._proxies.caller(incoming.peer, incoming.forwarded)),
        )


def _of_form(form: dict[str, str]) -> str:
    client_id, secret = form.get("client_id"), form.get("client_secret")
    if client_id is None or secret is None:
        message = "expected client_id and client_secret, in the form or in the Authorization header"
        raise Refusal("INVALID_API_KEY", message, status=grpc.StatusCode.UNAUTHENTICATED)
    return base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()


def _of_header(header: bytes, form: dict[str, str]) -> str:
    if "client_secret" in form:
        raise bad_request("a client proves itself in one way: by the Authorization header, or by client_secret")
    match = _BASIC.fullmatch(header)
    if match is None:
        raise Refusal("INVALID_API_KEY", "Authorization: expected Basic", status=grpc.StatusCode.UNAUTHENTICATED)
    basic = match[1].decode("ascii")
    if "client_id" in form and form["client_id"] != _client_id(basic):
        raise bad_request("client_id: another than in the Authorization header")
    return basic


def _client_id(basic: str) -> str | None:
    try:
        return unquote_plus(base64.b64decode(basic, validate=True).decode().partition(":")[0])
    except ValueError:
        return None

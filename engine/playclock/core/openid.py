"""OAuth 2.0 and OpenID for match clients: which realm there is, what an access token says, and when it counts.

The paths are those of the platform that clients were written for. Sources: RFC 6749, RFC 7519, RFC 8414, RFC 8725.
"""

from typing import Final

import msgspec

from playclock.core.signing_keys import KEPT_MS

REALM: Final = "letsbet"
SCOPE: Final = "olp-report-api"
"""The one scope there is: reporting results. It is the audience of the tokens as well."""
GRANT: Final = "client_credentials"
TOKEN_LIFE_MS: Final = 300_000
TOKEN_LIFE_MS_MIN: Final = 60_000
TOKEN_LIFE_MS_MAX: Final = KEPT_MS
BASE_URL: Final = "http://127.0.0.1:8080"
"""Where `playclock serve` answers HTTP where nothing else is said."""
TOKEN_MAX: Final = 2_048
"""How long a token may be. Ours have some 900 characters."""

_ACCESS: Final = "Bearer"
_PUSH: Final = "Push"


class OpenIdRules(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator decides about tokens."""

    base_url: str = ""
    """Where clients reach the HTTP side, without a slash at the end; empty for where this process serves it."""
    realm: str = REALM
    token_life_ms: int = TOKEN_LIFE_MS


class AccessClaims(msgspec.Struct, frozen=True):
    """What is read of an access token. Others may add claims; these have to be there, and of these types."""

    iss: str
    aud: str
    typ: str
    azp: str
    scope: str
    key_id: str
    """Which of the client's keys it was issued for: the token ends with it."""
    exp: int


def issuer(rules: OpenIdRules) -> str:
    """Return who issues tokens, which is where the realm is."""
    return f"{rules.base_url or BASE_URL}/auth/realms/{rules.realm}"


def access_claims(rules: OpenIdRules, *, client_id: str, key_id: str, jti: str, now_ms: int) -> dict[str, str | int]:
    """Return what a client's access token says."""
    issued_sec = now_ms // 1000
    return {
        "iss": issuer(rules),
        "sub": client_id,
        "aud": SCOPE,
        "typ": _ACCESS,
        "azp": client_id,
        "client_id": client_id,
        "scope": SCOPE,
        "key_id": key_id,
        "jti": jti,
        "iat": issued_sec,
        "exp": issued_sec + rules.token_life_ms // 1000,
    }


def push_claims(rules: OpenIdRules, *, client_id: str, jti: str, now_ms: int) -> dict[str, str | int]:
    """Return what the token says with which playclock calls a client. To playclock itself it is worth nothing."""
    issued_sec = now_ms // 1000
    return {
        "iss": issuer(rules),
        "sub": rules.realm,
        "aud": client_id,
        "typ": _PUSH,
        "jti": jti,
        "iat": issued_sec,
        "exp": issued_sec + rules.token_life_ms // 1000,
    }


def counts(claims: AccessClaims, rules: OpenIdRules, now_ms: int) -> bool:
    """Whether the claims of a token with a good signature are those of an access token of this realm that is not over."""
    return (
        claims.iss == issuer(rules)
        and claims.aud == SCOPE
        and claims.typ == _ACCESS
        and SCOPE in claims.scope.split()
        and now_ms < claims.exp * 1000
    )

"""RSA keys and signed tokens (RFC 7515, 7517, 7519) by joserfc: the only place that knows it.

One algorithm, RS256, whatever a token's header says of others; and of headers only the key's id is believed (RFC 8725).
"""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

import msgspec
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from playclock.core.signing_keys import SigningKey

ALGORITHM: Final = "RS256"
KEY_BITS: Final = 2048

_FORM: Final = re.compile(r"eyJ[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){2}", re.ASCII)

ClaimsT = TypeVar("ClaimsT")


class PublicKey(msgspec.Struct, frozen=True):
    """A key as it is shown to all."""

    id: str
    modulus: str
    """Base64url, as JWK has it."""
    exponent: str
    der: str
    """SubjectPublicKeyInfo in base64, which is PEM without its armour."""


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What our tokens have, and nothing else: whatever more a header brings along, nobody here has to understand."""

    alg: str
    kid: str
    typ: str = "JWT"


def looks_like_jwt(token: str) -> bool:
    """Whether a bearer token may be a JWT: three parts, the first of them the beginning of a JSON object."""
    return _FORM.fullmatch(token) is not None


def generate() -> SigningKey:
    """Make a key pair, from the operating system's randomness. Takes some 100 ms of a core: best in a thread."""
    key = RSAKey.generate_key(KEY_BITS)
    return SigningKey(id=key.thumbprint(), private=key.as_der(private=True), created_ms=0, signs_from_ms=0)


class Keys:
    """Key pairs that have been read."""

    def __init__(self, keys: Sequence[SigningKey] = (), known: "Keys | None" = None) -> None:
        """Read the keys but for those that are `known`: reading one, and checking it, takes milliseconds."""
        before = {} if known is None else known._pairs  # noqa: SLF001 - its own kind
        self.source: Final = keys
        """What was read."""
        self._pairs: Final[Mapping[str, tuple[RSAKey, RSAKey]]] = {
            key.id: before.get(key.id) or _pair(key.private) for key in keys
        }

    def public(self, key_id: str) -> PublicKey:
        """Return a key as it is shown to all."""
        _, public = self._pairs[key_id]
        shown = public.as_dict(private=False)
        der = base64.b64encode(public.as_der(private=False)).decode()
        return PublicKey(key_id, str(shown["n"]), str(shown["e"]), der)

    def sign(self, key_id: str, claims: Mapping[str, str | int]) -> str:
        """Return a JWT with the claims."""
        private, _ = self._pairs[key_id]
        return jwt.encode({"alg": ALGORITHM, "kid": key_id}, dict(claims), private, algorithms=[ALGORITHM])

    def verified(self, token: str, key_id: str, kind: type[ClaimsT]) -> ClaimsT | None:
        """Return what a token says that a key has signed; None where it has not, or where the claims are of another kind."""
        _, public = self._pairs[key_id]
        try:
            signed = jws.deserialize_compact(token, public, algorithms=[ALGORITHM])
            return msgspec.json.decode(signed.payload or b"", type=kind)
        except (JoseError, msgspec.MsgspecError, UnicodeDecodeError):
            return None


def key_id_of(token: str) -> str | None:
    """Return which key a token says to be signed by; None where it says none, or another algorithm than ours."""
    text = token.partition(".")[0]
    try:
        header = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=_Header)
    except (ValueError, msgspec.MsgspecError):
        return None
    return header.kid if header.alg == ALGORITHM else None


def _pair(private: bytes) -> tuple[RSAKey, RSAKey]:
    key = RSAKey.import_key(private)
    return key, RSAKey.import_key(key.as_der(private=False))

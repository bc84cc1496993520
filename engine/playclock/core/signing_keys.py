"""The RSA keys under which tokens are signed: published before they sign, and kept after that for as long as tokens live.

They lie in one record, sealed as other secrets are, so that all engines of a store sign and verify with the same.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from playclock.core.codec import Codec, encode

AHEAD_MS: Final = 600_000
"""How long a key is published before it signs: twice as long as anybody may keep a list of keys without asking again."""
KEPT_MS: Final = 3_600_000
"""How long a key is kept after it has signed for the last time: as long as the longest token lives that can be set."""


class SigningKey(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """One key pair, and its time."""

    id: str
    """Its thumbprint (RFC 7638): what tokens name it by."""
    private: bytes
    """PKCS #8, DER."""
    created_ms: int
    signs_from_ms: int
    ends_ms: int | None = None
    """When what it has signed is worth nothing any more; None where it has no successor yet."""

    def __repr__(self) -> str:
        return f"SigningKey(id={self.id!r})"


class KeyRing(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All keys, in the order in which they were made."""

    keys: tuple[SigningKey, ...]


class SigningKeys(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """The record in which the keys lie."""

    id: str
    secret: bytes
    """The key ring as bytes. In the store it is sealed, where there is a master key."""
    sealed_by: str = ""
    """Id of the master key under which the secret lies in the store; empty where it lies there as it is."""

    def __repr__(self) -> str:
        return f"SigningKeys(id={self.id!r})"


_RINGS: Final = Codec(KeyRing)
_ID: Final = "tokens"


def record_of(keys: Sequence[SigningKey]) -> SigningKeys:
    """Return the keys as a record."""
    return SigningKeys(id=_ID, secret=encode(KeyRing(tuple(keys))))


def keys_in(record: SigningKeys) -> tuple[SigningKey, ...]:
    """Return the keys of a record that is not sealed. Raises UnknownFormat."""
    return _RINGS.decode(record.secret).keys


def published(keys: Sequence[SigningKey], now_ms: int) -> tuple[SigningKey, ...]:
    """Return the keys whose tokens count, those that do not sign yet with them."""
    return tuple(key for key in keys if key.ends_ms is None or now_ms < key.ends_ms)


def signing(keys: Sequence[SigningKey], now_ms: int) -> SigningKey | None:
    """Return the key that signs now; None where there is none.

    Where all of them begin later, an engine's clock is behind that of the engine that made them: then the first.
    """
    known = published(keys, now_ms)
    begun = [key for key in known if key.signs_from_ms <= now_ms]
    return begun[-1] if begun else next(iter(known), None)


def rotated(keys: Sequence[SigningKey], key: SigningKey, *, now_ms: int, at_once: bool) -> tuple[SigningKey, ...]:
    """Return the keys with one more, which signs after it was published for a while, or `at_once` and then alone.

    While a successor waits for its time, a rotation that is not `at_once` changes nothing: a repeat makes no other key.
    """
    known = published(keys, now_ms)
    if at_once or not known:
        return (replace(key, created_ms=now_ms, signs_from_ms=now_ms, ends_ms=None),)
    if any(other.signs_from_ms > now_ms for other in known):
        return tuple(keys)
    signs_from_ms = now_ms + AHEAD_MS
    ends_ms = signs_from_ms + KEPT_MS
    ending = (other if other.ends_ms is not None else replace(other, ends_ms=ends_ms) for other in known)
    return (*ending, replace(key, created_ms=now_ms, signs_from_ms=signs_from_ms, ends_ms=None))

"""Tokens that say everything there is to know, with a MAC over it: base64 that fits into URLs. Nobody keeps them anywhere."""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

import msgspec

from playclock.core.credentials import Credential
from playclock.core.signing.mac import MAC_BYTES, is_by, mac

T = TypeVar("T")

_TEXT: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


class Claimed(msgspec.Struct, Generic[T], frozen=True):
    """What a token says, whoever made it."""

    said: T
    signed: bytes
    given: bytes


class TokenKind(Generic[T]):
    """Tokens of one kind."""

    def __init__(self, kind: type[T], *, prefix: str, purpose: bytes, length_max: int) -> None:
        """`purpose` keeps the MACs apart from all else that is signed with the same keys, so no other kind has the same."""
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._prefix = prefix
        self._purpose = purpose
        self._length_max = length_max

    def make(self, secret: bytes, said: T) -> str:
        """Return the token that says this, under a secret."""
        payload = msgspec.msgpack.encode(said)
        text = base64.urlsafe_b64encode(payload + mac(secret, self._purpose + payload)).rstrip(b"=")
        return self._prefix + text.decode("ascii")

    def read(self, token: str) -> Claimed[T] | None:
        """Return what a token says, which is worth nothing until `is_made_by` has said so; None for what is no token.

        There is one spelling of each token: base64 without padding, its spare bits zero.
        """
        text = token.removeprefix(self._prefix)
        if text == token or len(token) > self._length_max or not _TEXT.fullmatch(text):
            return None
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except binascii.Error:
            return None
        if base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii") != text or len(raw) <= MAC_BYTES:
            return None
        payload, given = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
        try:
            said = self._decoder.decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return Claimed(said, self._purpose + payload, given)


def is_made_by(claimed: Claimed[T], credentials: Sequence[Credential]) -> bool:
    """Whether one of the keys made the token. Takes the same time for each, and for none."""
    return is_by([credential.secret for credential in credentials], claimed.signed, [claimed.given])

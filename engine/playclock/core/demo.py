"""The token of a demo link: all that there is to know of a demo, with a MAC over it. Nobody keeps it anywhere."""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from playclock.core.credentials import Credential
from playclock.core.player import Player
from playclock.core.signing.mac import MAC_BYTES, is_by, mac

TOKEN_PREFIX: Final = "demo_"  # noqa: S105 - no secret
"""Tells it from an OTT, which is a UUID."""
TOKEN_MAX: Final = 16_384
"""As long as a token can get, and some more: of a home URL of 2,048 characters of four bytes each, and of names of 128."""

_PURPOSE: Final = b"playclock demo\0"
"""Keeps these MACs apart from all else that is signed with an agent's key."""
_TEXT: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


class Demo(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """A demo that a player may play."""

    agent_id: int
    game_id: str
    player: Player
    expires_ms: int


class Claimed(msgspec.Struct, frozen=True):
    """What a token says, whoever made it."""

    demo: Demo
    signed: bytes
    given: bytes


_DECODER: Final = msgspec.msgpack.Decoder(Demo)


def make_token(secret: bytes, demo: Demo) -> str:
    """Return the token of a demo, under an agent's secret."""
    payload = msgspec.msgpack.encode(demo)
    text = base64.urlsafe_b64encode(payload + mac(secret, _PURPOSE + payload)).rstrip(b"=")
    return TOKEN_PREFIX + text.decode("ascii")


def read_token(token: str) -> Claimed | None:
    """Return what a token says, which is worth nothing until `is_valid` has said so; None for what is no token.

    There is one spelling of each token: base64 without padding, its spare bits zero.
    """
    text = token.removeprefix(TOKEN_PREFIX)
    if text == token or len(token) > TOKEN_MAX or not _TEXT.fullmatch(text):
        return None
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        return None
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii") != text or len(raw) <= MAC_BYTES:
        return None
    payload, given = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
    try:
        demo = _DECODER.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return Claimed(demo, _PURPOSE + payload, given)


def is_valid(claimed: Claimed, credentials: Sequence[Credential], *, now_ms: int) -> bool:
    """Whether one of the agent's keys made the token, and it is not over."""
    is_ours = is_by([credential.secret for credential in credentials], claimed.signed, [claimed.given])
    return is_ours and now_ms < claimed.demo.expires_ms

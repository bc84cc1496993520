"""The token of a demo link: all that there is to know of a demo, with a MAC over it. Nobody keeps it anywhere."""

from collections.abc import Sequence
from typing import Final

import msgspec

from playclock.core.credentials import Credential
from playclock.core.player import Player
from playclock.core.signed_token import Claimed, TokenKind, is_made_by

TOKEN_PREFIX: Final = "demo_"  # noqa: S105 - no secret
"""Tells it from an OTT, which is a UUID."""
TOKEN_MAX: Final = 16_384
"""As long as a token can get, and some more: of a home URL of 2,048 characters of four bytes each, and of names of 128."""


class Demo(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """A demo that a player may play."""

    agent_id: int
    game_id: str
    player: Player
    expires_ms: int


_TOKENS: Final = TokenKind(Demo, prefix=TOKEN_PREFIX, purpose=b"playclock demo\0", length_max=TOKEN_MAX)


def make_token(secret: bytes, demo: Demo) -> str:
    """Return the token of a demo, under an agent's secret."""
    return _TOKENS.make(secret, demo)


def read_token(token: str) -> Claimed[Demo] | None:
    """Return what a token says, which is worth nothing until `is_valid` has said so; None for what is no token."""
    return _TOKENS.read(token)


def is_valid(claimed: Claimed[Demo], credentials: Sequence[Credential], *, now_ms: int) -> bool:
    """Whether one of the agent's keys made the token, and it is not over."""
    return is_made_by(claimed, credentials) and now_ms < claimed.said.expires_ms

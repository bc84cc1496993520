"""Match tokens: by them a game knows who plays which match. A key of the match's client signs them, and nobody keeps them."""

from collections.abc import Sequence
from enum import Enum
from typing import Final

import msgspec

from playclock.core.credentials import Credential
from playclock.core.match import Match, MatchState, Seat, SeatState, seat_of, taken
from playclock.core.signed_token import Claimed, TokenKind, is_made_by
from playclock.errors import EngineError, MatchTokenExpired, MatchTokenNotFound, PlayerNotFound

TOKEN_PREFIX: Final = "match_"  # noqa: S105 - no secret
TOKEN_MAX: Final = 512
"""Ours have some 200 characters."""


class MatchToken(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """What a match token says."""

    match_id: str
    user_id: str
    seat: int
    """Its number, so that the token of who has left is worth nothing to who comes back."""
    key_id: str
    """Which of the client's keys it was signed with, and ends with."""
    expires_ms: int


class Status(Enum):
    """Whether a player may play."""

    LIVE = "live"
    PENDING = "pending"
    """Yes: the match takes scores while players still join."""
    CREATED = "created"
    STARTING = "starting"
    FINISHED = "finished"
    ABORTED = "aborted"
    CANCELLED = "cancelled"


_TOKENS: Final = TokenKind(MatchToken, prefix=TOKEN_PREFIX, purpose=b"playclock match\0", length_max=TOKEN_MAX)


def make_token(key: Credential, match: Match, seat: Seat, *, expires_ms: int) -> str:
    """Return a player's token, under a key of the match's client."""
    said = MatchToken(match_id=match.id, user_id=seat.user_id, seat=seat.number, key_id=key.id, expires_ms=expires_ms)
    return _TOKENS.make(key.secret, said)


def read_token(token: str) -> Claimed[MatchToken] | None:
    """Return what a token says, which is worth nothing until `verified` has said so; None for what is no token."""
    return _TOKENS.read(token)


def verified(claimed: Claimed[MatchToken] | None, keys: Sequence[Credential], *, now_ms: int) -> MatchToken | EngineError:
    """Return what a token says that one of the keys has signed, and that is not over; else what its bearer is told.

    Whoever has made one up hears the same, whatever it says.
    """
    if claimed is None or not is_made_by(claimed, keys):
        return MatchTokenNotFound("no such match token")
    if now_ms >= claimed.said.expires_ms:
        return MatchTokenExpired("the match token has expired")
    return claimed.said


def seat_for_token(match: Match, user_id: str) -> Seat | EngineError:
    """Return the seat of a user who may have a token: whoever is in the match for certain."""
    seat = seat_of(match, user_id)
    return seat if seat is not None and seat in taken(match) else PlayerNotFound("no such player in the match")


def seat_of_token(match: Match, token: MatchToken) -> Seat | EngineError:
    """Return the seat that a token is for, if its player has not left."""
    seat = seat_of(match, token.user_id)
    if seat is None or seat.number != token.seat or seat.state is SeatState.LEAVING:
        return PlayerNotFound("the player has left the match")
    return seat


def status_of(match: Match) -> Status:
    """Return whether players may play."""
    terms, state = match.terms, match.state
    if terms.is_tournament and not terms.is_synchronous and state in (MatchState.CREATED, MatchState.STARTING):
        return Status.PENDING
    return Status[state.name]

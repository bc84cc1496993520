"""The one-time token: issued, then used once, or refused too often, or too late."""

from enum import IntEnum
from typing import Final

import msgspec

REFUSALS_MAX: Final = 5
"""The refusal with this number uses the OTT up, so that nobody can try keys or users on it for its whole minute."""


class Refusal(IntEnum):
    """Why an OTT was not redeemed. Everyday answers, not errors."""

    EXPIRED = 1
    ALREADY_USED = 2
    GAME_MISMATCH = 3
    NOT_CHARGEABLE = 4
    USER_MISMATCH = 5


class Ott(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is known of an issued OTT; the OTT itself is only the key."""

    launch_id: str
    game_id: str
    provider_user_id: str | None
    """The only player who may redeem it; None where anybody may."""
    expires_ms: int
    refusals: int = 0
    session_id: str | None = None
    """The session into which it was redeemed."""
    epoch: str = ""
    """The epoch of the store in which it was issued, and the only one in which it can be redeemed: in another one it may lie
    there unused although it was used."""


def issue(launch_id: str, game_id: str, provider_user_id: str | None, *, expires_ms: int, epoch: str = "") -> Ott:
    """Issue an OTT for one game, and for one player if named, in the store's epoch."""
    return Ott(launch_id, game_id, provider_user_id, expires_ms=expires_ms, epoch=epoch)


def refusal(ott: Ott, *, game_id: str | None, provider_user_id: str, now_ms: int, epoch: str = "") -> Refusal | None:
    """Say why the OTT cannot be redeemed by this game and player now, in the store's epoch, or None.

    In the order in which the caller should hear it. `game_id` None stands for a caller that may act for any game.
    """
    if ott.session_id is not None or ott.refusals >= REFUSALS_MAX:
        return Refusal.ALREADY_USED
    if now_ms >= ott.expires_ms or epoch != ott.epoch:
        return Refusal.EXPIRED
    if game_id is not None and game_id != ott.game_id:
        return Refusal.GAME_MISMATCH
    if ott.provider_user_id is not None and ott.provider_user_id != provider_user_id:
        return Refusal.USER_MISMATCH
    return None


def count_refusal(ott: Ott) -> Ott:
    """Count a refusal of a live OTT."""
    return msgspec.structs.replace(ott, refusals=ott.refusals + 1)


def redeem(ott: Ott, session_id: str) -> Ott:
    """Use the OTT up."""
    return msgspec.structs.replace(ott, session_id=session_id)

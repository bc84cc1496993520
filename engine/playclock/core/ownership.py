"""Whose a game is: who may act for it, and how its page proves, by the documented tag, that it is somebody's.

https://docs.play.fun/build-on-play.fun/api-endpoints/games.md, "Claim Game Ownership".
"""

from collections.abc import Set as AbstractSet
from typing import Final

import msgspec
from msgspec.structs import replace

from playclock.core.catalog import Game
from playclock.errors import GameChanged, OwnershipNotProven

CLAIM_MS: Final = 86_400_000
"""For how long a challenge is good."""
CHALLENGE_PREFIX: Final = "ogp-claim-"


class OwnershipClaim(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a developer may put on a game's page instead of his API key, for one claim."""

    challenge: str
    expires_ms: int


def make_challenge(random: bytes) -> str:
    """Make a challenge from 32 random bytes."""
    return CHALLENGE_PREFIX + random.hex()


def challenge_in(claim: OwnershipClaim | None, now_ms: int) -> str:
    """Return the challenge of a claim that is good; empty for none."""
    return claim.challenge if claim is not None and now_ms < claim.expires_ms else ""


def may_act(game: Game, developer_id: str) -> bool:
    """Whether a developer may act for a game: change it, save points in it, and see what is its players'.

    Its owner may; its creator only as long as nobody owns it. Who has proven to own a game stays its owner when he leads it to
    another page, and so does whoever an operator names.
    """
    return bool(developer_id) and developer_id == game.developer_id


def check_named(game: Game, developer_id: str, challenge: str, keys: AbstractSet[str]) -> None:
    """Raise OwnershipNotProven unless a game's page, whose tags have these keys, says that it is the developer's.

    A page that names the proven owner too takes nothing from him: only he may have left the game.
    """
    if keys.isdisjoint({developer_id, challenge} - {""}):
        raise OwnershipNotProven("the game's page does not name the claimer", cause="NO_TAG")
    if game.is_ownership_validated and game.owner_id != developer_id and game.owner_id in keys:
        raise OwnershipNotProven("the game's page names its present owner, too", cause="OWNED")


def owned(game: Game, seen: Game, developer_id: str) -> Game:
    """Return a game as its owner's, who has proven it to be his when it was as `seen`. Raises GameChanged.

    A split that another owner wished for goes with him.
    """
    if game.play_url != seen.play_url:
        raise GameChanged("the game was given another page meanwhile", revision=game.revision)
    if game.owner_id == developer_id and game.is_ownership_validated:
        return game
    if (game.owner_id, game.is_ownership_validated) != (seen.owner_id, seen.is_ownership_validated):
        raise GameChanged("the game was given another owner meanwhile", revision=game.revision)
    split = game.rewards_split if game.owner_id == developer_id else ()
    return replace(game, owner_id=developer_id, is_ownership_validated=True, rewards_split=split)

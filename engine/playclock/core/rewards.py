"""Who gets which part of a game's creator rewards: `orgRewardsSplit`, with the documented messages to the letter.

https://docs.play.fun/build-on-play.fun/api-endpoints/games.md, "Organization Rewards Split".
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from playclock.core.identifiers import IDENTIFIER_MAX, Identifier, parse
from playclock.errors import BadRequest

TOTAL_BPS: Final = 10_000
"""All of the rewards, in basis points."""
SHARES_MAX: Final = 100
"""How many may share a game's rewards."""
FIELD: Final = "org_rewards_split"

NOT_ALL: Final = "Total org rewards split must equal 10000 bps"
TOO_MUCH: Final = "Total org rewards split exceeds 10000 bps"
MALFORMED: Final = "Invalid request parameters"


class Share(msgspec.Struct, frozen=True, gc=False):
    """One part of a split as somebody wishes it."""

    text: str
    """Who gets it, as it was written."""
    identifier: Identifier
    bps: int


def shares_of(wanted: Mapping[str, int]) -> tuple[Share, ...]:
    """Return the shares of a split; none of an empty one. Raises BadRequest with the documented message.

    Whether a UUID is a user's has still to be found out: `unresolvable` says it where it is not.
    """
    if len(wanted) > SHARES_MAX or any(isinstance(bps, bool) or bps < 0 for bps in wanted.values()):
        raise BadRequest({FIELD: MALFORMED})
    # The sum first: the documents' examples of wrong ones name no users that there are.
    total = sum(wanted.values())
    if total > TOTAL_BPS:
        raise BadRequest({FIELD: TOO_MUCH})
    if wanted and total < TOTAL_BPS:
        raise BadRequest({FIELD: NOT_ALL})
    shares = []
    for text, bps in wanted.items():
        identifier = parse(text)
        if identifier is None:
            raise unresolvable(text)
        shares.append(Share(text, identifier, bps))
    return tuple(shares)


def unresolvable(text: str) -> BadRequest:
    """Return what is told where a text names no user."""
    return BadRequest({FIELD: f"Unable to resolve playerId: {text[:IDENTIFIER_MAX]}"})


def in_force(shares: tuple[Share, ...], *, creator_id: str, is_owner_proven: bool) -> dict[str, int]:
    """Return the split that holds, by the users' UUIDs.

    All goes to the creator where no split is wished, or as long as the creator has not proven to own the game. Who is named
    twice, in two spellings, gets both shares.
    """
    if not shares or not is_owner_proven:
        return {creator_id: TOTAL_BPS}
    split: dict[str, int] = {}
    for share in shares:
        player_id = share.identifier.player_id
        split[player_id] = split.get(player_id, 0) + share.bps
    return split

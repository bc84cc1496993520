"""A game of the catalogue, which all dialects share. There may be a hundred thousand, so each lies in the store by itself."""

from typing import Final

import msgspec

from playclock.core.grants import FailurePolicy

FAILURE_LIMIT_MS: Final = 3_600_000
"""How long a session may go on without its partner's word, where nothing else is said."""
NUMBER_MAX: Final = 2**31 - 1


class Game(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """A game. Of its servers' keys only the SHA-256 is kept, and each becomes a credential when the game is applied."""

    id: str
    number: int
    """What the agent API calls it by: positive, and never another game's, not even after a deletion."""
    name: str
    brand: str
    image_url: str
    play_url: str
    demo_url: str
    api_key_hashes: tuple[bytes, ...] = ()
    failure_policy: FailurePolicy = FailurePolicy.DENY
    """What becomes of its sessions while the partner that pays for them does not answer."""
    failure_limit_ms: int = FAILURE_LIMIT_MS
    """How long one of its sessions may go on in all without the partner's word."""
    description: str = ""
    cover_image_url: str = ""
    platform: str = ""
    owner_id: str = ""
    """The developer whose game it is; empty for nobody's."""
    creator_id: str = ""
    """The developer who created it, whoever owns it now."""
    is_hidden: bool = False
    """Whether its owner keeps it out of lists."""
    is_admin_hidden: bool = False
    """Whether an operator keeps it from everybody: nothing new opens."""
    token_ids: tuple[str, ...] = ()
    """The tokens that are associated with it, each with no other game."""
    max_score_per_session: int = 0
    """The caps on points; 0 for none."""
    max_sessions_per_day: int = 0
    max_cumulative_points_per_day: int = 0
    created_ms: int = 0
    updated_ms: int = 0
    deleted_ms: int | None = None
    """When it was deleted: its id and number are never given again, sessions that run go on, and nothing new opens."""
    revision: int = 0
    """How many changes it has seen: the version of its record."""

    @property
    def is_visible(self) -> bool:
        """Whether it is shown to everybody."""
        return not self.is_hidden and not self.is_admin_hidden and self.deleted_ms is None


def game_key(game_id: str) -> str:
    """Return the key of a game's record."""
    return f"00:game:{game_id}"

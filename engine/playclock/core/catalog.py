"""A game of the catalogue, which all dialects share. There may be a hundred thousand, so each lies in the store by itself."""

from typing import Final

import msgspec

from playclock.core.grants import FailurePolicy
from playclock.core.rewards import TOTAL_BPS

FAILURE_LIMIT_MS: Final = 3_600_000
"""How long a session may go on without its partner's word, where nothing else is said."""
NUMBER_MAX: Final = 2**31 - 1


class Token(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A token that is associated with games."""

    id: str
    """Its address."""
    symbol: str = ""
    name: str = ""
    image_url: str = ""


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
    tokens: tuple[Token, ...] = ()
    """The tokens that are associated with it, and perhaps with other games, too."""
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
    is_html: bool = False
    """Whether it is an HTML5 game."""
    is_iframable: bool = False
    has_sdk: bool = False
    """Whether it is known to use the platform's SDK."""
    twitter: str = ""
    discord: str = ""
    telegram: str = ""
    jwks_url: str = ""
    rewards_split: tuple[tuple[str, int], ...] = ()
    """Whose its creator rewards are, users' UUIDs with basis points; empty where all are one's."""
    is_ownership_validated: bool = False
    """Whether the owner has proven to control the page at `play_url`."""
    rewards_pool_usd: str = ""
    """What its rewards pool is worth, as a decimal; empty where nobody has said it."""
    rewards_allocated_usd: str = ""
    """What was given out of it so far."""
    daily_rewards_usd: str = ""
    """What it is expected to give out in a day."""

    @property
    def developer_id(self) -> str:
        """Who decides on it: its owner, or its creator where nobody owns it."""
        return self.owner_id or self.creator_id

    @property
    def split_in_force(self) -> dict[str, int]:
        """Who gets which part of its creator rewards, in basis points."""
        if self.rewards_split and self.is_ownership_validated:
            return dict(self.rewards_split)
        return {self.developer_id: TOTAL_BPS} if self.developer_id else {}

    @property
    def is_visible(self) -> bool:
        """Whether it is shown to everybody."""
        return not self.is_hidden and not self.is_admin_hidden and self.deleted_ms is None


def game_key(game_id: str) -> str:
    """Return the key of a game's record."""
    return f"00:game:{game_id}"

"""The bodies of the games calls that answers and batches have: answers are written and documented by these declarations."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

_ID: Final = "550e8400-e29b-41d4-a716-446655440000"
BATCH_MAX: Final = 100


class Token(msgspec.Struct, frozen=True, rename="camel"):
    """A token that is associated with a game."""

    address: Annotated[str, Meta(examples=["TokenMint123..."])]
    symbol: Annotated[str, Meta(examples=["GAME"])]
    name: Annotated[str, Meta(examples=["Game Token"])]
    image_url: Annotated[str, Meta(examples=["https://cdn.opengameprotocol.com/tokens/game.png"])]


class Game(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A game. What nobody has said of it is null."""

    id: Annotated[str, Meta(examples=[_ID])]
    name: Annotated[str, Meta(examples=["Awesome Game"])]
    description: Annotated[str, Meta(examples=["A fun play-to-earn game"])]
    game_url: Annotated[str, Meta(examples=["https://example.com/game"])]
    image_url: Annotated[str, Meta(examples=["https://cdn.opengameprotocol.com/games/image.png"])]
    cover_image: Annotated[str | None, Meta(examples=["https://cdn.opengameprotocol.com/games/cover.png"])]
    is_html_game: bool
    has_sdk: bool
    iframable: bool
    platform: Annotated[str, Meta(examples=["WEB"])]
    twitter: str | None
    discord: str | None
    telegram: str | None
    creator_id: str | None
    owner_id: str | None
    ownership_validated: bool
    total_rewards_pool_value_usd: Annotated[str, Meta(examples=["15000.50"])] = msgspec.field(name="totalRewardsPoolValueUsd")
    total_rewards_allocated_usd: Annotated[str, Meta(examples=["5000.25"])] = msgspec.field(name="totalRewardsAllocatedUsd")
    estimated_daily_rewards_usd: Annotated[str, Meta(examples=["12.5"])] = msgspec.field(name="estimatedDailyRewardsUsd")
    created_at: Annotated[str, Meta(examples=["2025-11-28T12:00:00.000Z"])]
    updated_at: Annotated[str, Meta(examples=["2025-11-28T12:00:00.000Z"])]
    tokens: Annotated[list[Token] | msgspec.UnsetType, Meta(description="Only where they are asked for.")] = msgspec.UNSET


class OwnGame(Game, frozen=True, rename="camel", kw_only=True):
    """A game as its developer sees it."""

    hidden: bool
    max_score_per_session: int | None
    max_sessions_per_day: int | None
    max_cumulative_points_per_day: int | None
    jwks_url: str | None
    org_rewards_split: Annotated[dict[str, int], Meta(description="Basis points by the users' UUIDs, as they hold now.")]


class GamePage(msgspec.Struct, frozen=True, rename="camel"):
    """A page of games."""

    games: list[Game]
    offset: Annotated[int, Meta(examples=[0])]
    has_more: Annotated[bool, Meta(examples=[True])]
    total: Annotated[int, Meta(description="How many games there are on all pages.", examples=[158])]
    next_cursor: Annotated[str | None, Meta(description="Asks for the next page, at a cost that no offset adds to.")]


class GameSummary(msgspec.Struct, frozen=True, rename="camel"):
    """What is told of a game among many."""

    id: str
    image_url: str
    name: str


class TokenGames(msgspec.Struct, frozen=True):
    """Which games are associated with a token."""

    games: list[GameSummary]
    total: int


class TokenIds(msgspec.Struct, frozen=True, rename="camel"):
    """Tokens whose games are asked for."""

    token_ids: Annotated[
        list[Annotated[str, Meta(pattern=r"^[\x21-\x7e]{1,128}$(?!\n)")]],
        Meta(max_length=BATCH_MAX, extra={"expected": f"at most {BATCH_MAX} strings of 1 to 128 visible ASCII characters"}),
    ]


class GameIds(msgspec.Struct, frozen=True, rename="camel"):
    """Games that are asked for."""

    game_ids: Annotated[
        list[Annotated[str, Meta(max_length=128)]],
        Meta(max_length=BATCH_MAX, extra={"expected": f"at most {BATCH_MAX} strings of at most 128 characters"}),
    ]


class Visibility(msgspec.Struct, frozen=True):
    """Whether a game is in public listings."""

    id: str
    name: str
    hidden: bool


class Ownership(msgspec.Struct, frozen=True, rename="camel"):
    """Whose game it is."""

    id: str
    owner_id: str
    ownership_validated: bool


class VisibilityToggled(msgspec.Struct, frozen=True):
    """A game is hidden or shown now."""

    success: bool
    message: Annotated[str, Meta(examples=["Game visibility toggled successfully"])]
    game: Visibility


class OwnershipClaimed(msgspec.Struct, frozen=True):
    """A game is the caller's now."""

    success: bool
    message: Annotated[str, Meta(examples=["Game ownership claimed successfully"])]
    game: Ownership


class Challenge(msgspec.Struct, frozen=True, rename="camel"):
    """What proves, on the game's page, whose it is."""

    challenge: str
    meta_tag: Annotated[str, Meta(examples=['<meta name="x-ogp-key" content="ogp-claim-..." />'])]
    expires_at: Annotated[str, Meta(examples=["2025-11-28T12:00:00.000Z"])]

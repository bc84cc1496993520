"""What a developer says of a game, in the engine's words."""

from typing import Final

from msgspec import UNSET, UnsetType
from playclock.v1 import developer_game_service_pb2 as pb

from playclock_http.playfun.registration_schemas import GameUpdate

_SHARE_MAX: Final = 2**31 - 1
"""The most that the engine's messages hold; as far from right as whatever is above it."""


def fields_of(said: GameUpdate) -> pb.GameFields:
    """Return the fields that something is said of, but for the pictures."""
    html_game = said.is_html_game if said.is_html5_game is None else said.is_html5_game
    split = said.org_rewards_split
    return pb.GameFields(
        name=said.name,
        description=said.description,
        play_url=said.game_url,
        platform=said.platform,
        html_game=html_game,
        iframable=said.iframable,
        cover_image_url="" if said.remove_cover_image else None,
        twitter=said.twitter,
        discord=said.discord,
        telegram=said.telegram,
        max_score_per_session=_cap(said.max_score_per_session),
        max_sessions_per_day=_cap(said.max_sessions_per_day),
        max_cumulative_points_per_day=_cap(said.max_cumulative_points_per_day),
        hidden=said.hidden,
        org_rewards_split=None
        if split is None
        else pb.RewardsSplit(shares={who: min(bps, _SHARE_MAX) for who, bps in split.items()}),
        jwks_url=said.jwks_url,
    )


def _cap(said: int | UnsetType | None) -> int | None:
    """Return a cap; None where nothing is said of it, and 0, for no limit, where that it is null."""
    return None if said is UNSET else said or 0

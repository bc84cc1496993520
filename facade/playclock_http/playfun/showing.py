"""Games as the engine tells them to games as this dialect shows them."""

from datetime import UTC
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from msgspec import UNSET
from playclock.v1 import catalog_service_pb2

from playclock_http.playfun import game_schemas as schemas
from playclock_http.timestamp import iso_ms


def public_game(game: catalog_service_pb2.Game, *, with_tokens: bool) -> schemas.Game:
    """Return a game as everybody sees it."""
    return schemas.Game(**_common(game, with_tokens=with_tokens))


def own_game(game: catalog_service_pb2.Game, *, with_tokens: bool) -> schemas.OwnGame:
    """Return a game as its developer sees it."""
    return schemas.OwnGame(
        **_common(game, with_tokens=with_tokens),
        hidden=game.hidden,
        max_score_per_session=game.max_score_per_session or None,
        max_sessions_per_day=game.max_sessions_per_day or None,
        max_cumulative_points_per_day=game.max_cumulative_points_per_day or None,
        jwks_url=game.jwks_url or None,
        org_rewards_split=dict(sorted(game.org_rewards_split.items())),
    )


def version_of(game: catalog_service_pb2.Game) -> tuple[bytes, bytes]:
    """Return the header ETag of a game: its revision."""
    return b"etag", f'"{game.revision}"'.encode()


def iso_time(stamp: Timestamp) -> str:
    """Return a time as JSON has it."""
    return iso_ms(stamp.ToDatetime(UTC))


def _common(game: catalog_service_pb2.Game, *, with_tokens: bool) -> dict[str, Any]:
    tokens = [schemas.Token(token.id, token.symbol, token.name, token.image_url) for token in game.tokens]
    return {
        "id": game.id,
        "name": game.name,
        "description": game.description,
        "game_url": game.play_url,
        "image_url": game.image_url,
        "cover_image": game.cover_image_url or None,
        "is_html_game": game.html_game,
        "has_sdk": game.has_sdk,
        "iframable": game.iframable,
        "platform": game.platform,
        "twitter": game.twitter or None,
        "discord": game.discord or None,
        "telegram": game.telegram or None,
        "creator_id": game.creator_id or None,
        "owner_id": game.owner_id or None,
        "ownership_validated": game.ownership_validated,
        "total_rewards_pool_value_usd": game.total_rewards_pool_value_usd or "0",
        "total_rewards_allocated_usd": game.total_rewards_allocated_usd or "0",
        "estimated_daily_rewards_usd": game.estimated_daily_rewards_usd or "0",
        "created_at": iso_time(game.create_time),
        "updated_at": iso_time(game.update_time),
        "tokens": tokens if with_tokens else UNSET,
    }

"""Ids: UUIDs in lower case, and of players' sessions digests."""

from typing import Annotated, Final

from msgspec import Meta

UUID: Final = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$(?!\n)"
"""Their pattern. Python's `$` also matches before a final line feed: the look-ahead keeps it from that."""
SESSION_ID: Final = r"^[0-9a-f]{32}$(?!\n)"
"""The pattern of a player's session's id."""

GameId = Annotated[
    str,
    Meta(
        description="Id of the game.",
        examples=["550e8400-e29b-41d4-a716-446655440000"],
        pattern=UUID,
        extra={"expected": "a UUID in lower case"},
    ),
]

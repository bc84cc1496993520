"""Who may act for a game."""

from typing import Any, Final

import pytest
from playclock.core.catalog import Game
from playclock.core.ownership import may_act

PLAIN: Final[dict[str, Any]] = {
    "id": "g",
    "number": 1,
    "name": "",
    "brand": "",
    "image_url": "",
    "play_url": "",
    "demo_url": "",
}


@pytest.mark.parametrize(
    ("creator_id", "owner_id", "is_validated", "allowed"),
    [
        ("", "", False, []),
        ("ann", "", False, ["ann"]),
        ("ann", "ann", True, ["ann"]),
        ("ann", "ben", True, ["ben"]),
        ("ann", "ben", False, ["ben"]),
        ("", "ben", True, ["ben"]),
    ],
)
def test_the_owner_may_and_the_creator_of_nobody_s_game(
    creator_id: str, owner_id: str, is_validated: bool, allowed: list[str]
) -> None:
    game = Game(**PLAIN, creator_id=creator_id, owner_id=owner_id, is_ownership_validated=is_validated)
    assert [each for each in ("", "ann", "ben", "eve") if may_act(game, each)] == allowed

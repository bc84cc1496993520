"""The estate of these tests: two developers, and a game of each."""

from typing import Any, Final

from playclock.core.catalog import Game
from playclock.v1.provisioning_service_pb2 import Developer, Provisioning

from tests.playwave.server import Server

from .callers import DEVELOPER, RIVAL, RIVAL_SECRET, SECRET

GAME: Final = "ab000000-2222-4333-8444-555555555555"
CAPPED: Final = "ab000001-2222-4333-8444-555555555555"
THEIRS: Final = "ab000002-2222-4333-8444-555555555555"
ESTATE: Final = Provisioning(
    developers=[Developer(id=DEVELOPER, secret=SECRET), Developer(id=RIVAL, secret=RIVAL_SECRET)],
)
_NONE: Final[dict[str, Any]] = {"brand": "", "image_url": "", "play_url": "", "demo_url": ""}


async def add_games(server: Server) -> None:
    """Put three games there: the developer's own, one with a cap of 100 points a session, and the rival's."""
    await server.engine.estate.apply(
        [
            Game(id=GAME, number=1_001, name="Game", owner_id=DEVELOPER, **_NONE),
            Game(id=CAPPED, number=1_002, name="Capped", creator_id=DEVELOPER, max_score_per_session=100, **_NONE),
            Game(id=THEIRS, number=1_003, name="Theirs", owner_id=RIVAL, creator_id=RIVAL, **_NONE),
        ]
    )
    for engine in server.engines:
        await engine.estate.refresh()

"""What developers say of their games: messages to records."""

from collections.abc import Callable, Mapping
from typing import Final

from playclock.core.catalog import Game
from playclock.errors import BadRequest
from playclock.rpc.catalog_fields import changed, problems_in
from playclock.v1 import catalog_service_pb2
from playclock.v1 import developer_game_service_pb2 as pb

PLATFORMS: Final = frozenset(
    {
        # The games API's document, and the quickstart's.
        *("WEB", "DESKTOP", "MOBILE", "CONSOLE", "HTML", "EXTERNAL_URL"),
        # The published server SDK's.
        *("IOS", "ANDROID", "STEAM", "ITCH", "EPIC"),
    }
)
REQUIRED: Final = ("name", "description", "play_url", "platform", "image_url")
_NO_IMAGE: Final = "No image provided"
"""To the letter of https://docs.play.fun/build-on-play.fun/api-endpoints/games.md"""


def new_game(fields: pb.GameFields, developer_id: str) -> Game:
    """Return the game that a developer describes, without an id yet. Raises BadRequest with the name of each field."""
    missing = {name: "is required" for name in REQUIRED if not getattr(fields, name)}
    if "image_url" in missing:
        missing["image_url"] = _NO_IMAGE
    plain = Game(id="", number=0, name="", brand="", image_url="", play_url="", demo_url="", creator_id=developer_id)
    return _changed(plain, fields, missing)


def change_of(fields: pb.GameFields) -> Callable[[Game], Game]:
    """Return what changes a game as a developer says. Raises BadRequest with the name of each field."""
    missing = {name: "is required" for name in REQUIRED if fields.HasField(name) and not getattr(fields, name)}
    _checked(fields, missing)
    return lambda game: _changed(game, fields, {})


def split_of(fields: pb.GameFields) -> Mapping[str, int] | None:
    """Return the split that a developer wishes for; None where nothing is said of one."""
    return dict(fields.org_rewards_split.shares) if fields.HasField("org_rewards_split") else None


def _changed(game: Game, fields: pb.GameFields, missing: Mapping[str, str]) -> Game:
    message, names = _checked(fields, missing)
    return changed(game, message, names)


def _checked(fields: pb.GameFields, missing: Mapping[str, str]) -> tuple[catalog_service_pb2.Game, list[str]]:
    """Return a message with what is there, and the names of that. Raises BadRequest."""
    names = [field.name for field, _ in fields.ListFields() if field.name != "org_rewards_split"]
    message = catalog_service_pb2.Game(**{name: getattr(fields, name) for name in names})
    message.platform = message.platform.upper()
    problems = dict(problems_in(message, names)) | dict(missing)
    if "platform" in names and "platform" not in problems and message.platform not in PLATFORMS:
        problems["platform"] = f"expected one of {', '.join(sorted(PLATFORMS))}"
    if problems:
        raise BadRequest(problems)
    return message, names

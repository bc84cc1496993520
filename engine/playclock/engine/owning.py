"""Whose game it is: what a developer may do with which game."""

from playclock.core.catalog import Game
from playclock.core.ids import is_uuid
from playclock.engine.callers import Caller, Role
from playclock.engine.context import Context
from playclock.errors import BadRequest, GameNotFound, PermissionDenied


def own_game(context: Context, caller: Caller, game_id: str, *, opens: bool = False) -> Game:
    """Return a game that the caller may act for: a developer for those he owns or created, others for all.

    `opens` where something new begins in the game, for which it must not be hidden by an operator. Games are public, so one
    of somebody else is told from one that is not there. Raises BadRequest, GameNotFound, PermissionDenied.
    """
    game = known_game(context, game_id, opens=opens)
    if caller.role is Role.DEVELOPER and caller.id not in (game.owner_id, game.creator_id):
        raise PermissionDenied("the game is another developer's", role=caller.role.value)
    return game


def known_game(context: Context, game_id: str, *, opens: bool = False) -> Game:
    """Return a game, whoever asks. Raises BadRequest, GameNotFound."""
    if not is_uuid(game_id):
        raise BadRequest({"game_id": "expected a UUID in its canonical lower-case form"})
    catalog = context.catalog
    game = catalog.open_to_players(game_id) if opens else catalog.games.get(game_id)
    if game is None:
        raise GameNotFound("no such game", game_id=game_id)
    return game

"""What developers do with their games."""

from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from playclock.core.catalog import Game
from playclock.core.catalog_index import Catalog
from playclock.core.fields import request_id_problem
from playclock.core.ids import answer_key
from playclock.engine import requests
from playclock.engine.audit import listed
from playclock.engine.callers import Caller
from playclock.engine.catalog import CatalogKeeper, Decision
from playclock.engine.context import Context
from playclock.engine.games import Games, audit_of, check_revision, check_size, known_game, own_game
from playclock.engine.ownership import Ownership
from playclock.engine.players import Players
from playclock.errors import BadRequest


class DeveloperGames:
    """Registers and changes games for those whose they are."""

    def __init__(self, context: Context, keeper: CatalogKeeper, games: Games, players: Players, ownership: Ownership) -> None:
        self.ownership = ownership
        self._context = context
        self._keeper = keeper
        self._games = games
        self._players = players

    async def register(
        self, caller: Caller, wanted: Game, *, split: Mapping[str, int] | None = None, request_id: str = ""
    ) -> Game:
        """Create a game of its creator's, once for each request id. A split has to be right, and does not count yet.

        Raises BadRequest, RequestIdReused, StoreAway, TooMuchContention.
        """
        await self._split(split or {})
        return await self._games.create(caller, wanted, request_id=request_id, action="RegisterGame")

    async def update(
        self,
        caller: Caller,
        game_id: str,
        change: Callable[[Game], Game],
        *,
        split: Mapping[str, int] | None = None,
        revision: int = 0,
        fields: Sequence[str] = (),
        request_id: str = "",
        contents: str = "",
    ) -> Game:
        """Change a game, at the named revision or at any, once for each request id; with a `split`, that too.

        `fields` tells the audit trail what was changed, `contents` from others what the request says. Raises BadRequest,
        GameNotFound, GameChanged, PermissionDenied, RequestIdReused, StoreAway, TooMuchContention.
        """
        shares = None if split is None else await self._split(split)

        def changed(game: Game) -> Game:
            check_revision(game, revision)
            after = change(game)
            if after.play_url != game.play_url:
                after = replace(after, is_ownership_validated=False, rewards_split=())
            if shares is not None:
                after = replace(after, rewards_split=shares if after.is_ownership_validated else ())
            return after

        said = (contents, str(revision))
        return await self._change(
            caller, game_id, changed, "UpdateRegisteredGame", listed("changed", fields), request_id=request_id, contents=said
        )

    async def toggle_visibility(self, caller: Caller, game_id: str, *, request_id: str = "") -> Game:
        """Hide a game that is shown and show one that is hidden, once for each request id.

        Raises BadRequest, GameNotFound, PermissionDenied, RequestIdReused, StoreAway, TooMuchContention.
        """

        def toggled(game: Game) -> Game:
            return replace(game, is_hidden=not game.is_hidden)

        return await self._change(caller, game_id, toggled, "ToggleVisibility", "", request_id=request_id)

    async def _change(
        self,
        caller: Caller,
        game_id: str,
        change: Callable[[Game], Game],
        action: str,
        detail: str,
        *,
        request_id: str,
        contents: Sequence[str] = (),
    ) -> Game:
        def decide(_: Catalog) -> Decision:
            game = own_game(self._context, caller, game_id, opens=True)
            changed = change(game)
            if changed == game:
                return Decision()
            check_size(changed)
            return Decision([changed], [audit_of(self._context, caller, action, game, detail)])

        problem = request_id_problem(request_id)
        if problem:
            raise BadRequest({"request_id": problem})
        once = ""
        if request_id:
            # Before the request id is claimed: whoever may not change the game uses nothing up.
            await self._keeper.refresh()
            own_game(self._context, caller, game_id, opens=True)
            await requests.claim(self._context, caller, request_id, (action, game_id, *contents))
            once = answer_key(0, requests.name_of(caller), request_id)
        await self._keeper.change(decide, once=once)
        return known_game(self._context, game_id)

    async def _split(self, split: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
        """Return a split by the users' UUIDs; nothing for the default. Raises BadRequest, StoreAway."""
        if not split:
            return ()
        return tuple(sorted((await self._players.split(split, creator_id="", is_owner_proven=True)).items()))

"""What operators and internal services do with games, and with who offers them."""

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from playclock.core.catalog import Game
from playclock.core.catalog_changes import problems
from playclock.core.catalog_index import Catalog
from playclock.core.codec import encode
from playclock.core.estate import Agent, Estate
from playclock.core.fields import request_id_problem
from playclock.core.gamelist import Page, Place, Query
from playclock.core.ids import is_uuid, make_uuid
from playclock.core.outbox import Audit
from playclock.core.ownership import may_act
from playclock.core.selection import Numbered
from playclock.engine import requests
from playclock.engine.audit import listed
from playclock.engine.callers import Caller, Role
from playclock.engine.catalog import CatalogKeeper, Decision
from playclock.engine.context import Context
from playclock.engine.estate import Edit, EstateKeeper
from playclock.errors import AgentNotFound, BadRequest, GameChanged, GameNotFound, PermissionDenied

GAME_BYTES_MAX: Final = 40_000
"""How long a game's record may be: a page has a hundred of them, and a message four million bytes."""


class Games:
    """Changes games one at a time. Each change is one commit, and in force everywhere within a second."""

    def __init__(self, context: Context, keeper: CatalogKeeper, estate: EstateKeeper) -> None:
        self._context = context
        self._keeper = keeper
        self._estate = estate
        self._offers: dict[int, tuple[Agent, Numbered]] = {}

    async def create(self, caller: Caller, wanted: Game, *, request_id: str = "", action: str = "CreateGame") -> Game:
        """Create a game with a new id, once for each request id; a number of its own where it has none.

        `action` is what the audit trail calls it.

        Raises BadRequest, RequestIdReused, StoreAway, TooMuchContention.
        """
        game = replace(wanted, id=await self._new_id(caller, wanted, request_id, action))

        def decide(catalog: Catalog) -> Decision:
            if game.id in catalog:
                return Decision()
            _check(catalog, game)
            return Decision([game], [audit_of(self._context, caller, action, game, game.name)])

        await self._keeper.change(decide)
        return self._known(game.id)

    async def update(
        self, caller: Caller, game_id: str, change: Callable[[Game], Game], *, revision: int = 0, fields: Sequence[str] = ()
    ) -> Game:
        """Change a game, at the named revision or at any; `fields` tells the audit trail what was changed.

        Raises BadRequest, GameNotFound, GameChanged, StoreAway, TooMuchContention.
        """

        def decide(catalog: Catalog) -> Decision:
            game = catalog.games.get(game_id)
            if game is None:
                raise GameNotFound("no such game", game_id=game_id)
            check_revision(game, revision)
            changed = change(game)
            if changed == game:
                return Decision()
            _check(catalog, changed)
            return Decision([changed], [audit_of(self._context, caller, "UpdateGame", game, listed("changed", fields))])

        await self._keeper.change(decide)
        return self._known(game_id)

    async def delete(self, caller: Caller, game_id: str, *, revision: int = 0) -> Game:
        """Delete a game for good, at the named revision or at any. A repeat changes nothing.

        Raises GameNotFound, GameChanged, StoreAway, TooMuchContention.
        """

        def decide(catalog: Catalog) -> Decision:
            game = catalog.known(game_id)
            if game is None:
                raise GameNotFound("no such game", game_id=game_id)
            if game.deleted_ms is not None:
                return Decision()
            check_revision(game, revision)
            deleted = replace(game, deleted_ms=self._context.clock.now_ms())
            return Decision([deleted], [audit_of(self._context, caller, "DeleteGame", game, game.name)])

        await self._keeper.change(decide)
        return self._known(game_id)

    async def offer(self, caller: Caller, agent_id: int, *, add: Iterable[int], remove: Iterable[int]) -> int:
        """Let an agent offer some games more and some no more, and return how many it offers.

        Raises BadRequest, AgentNotFound, StoreAway, TooMuchContention.
        """
        add, remove = set(add), set(remove)
        await self._keeper.refresh()
        unknown = sorted(number for number in add if self._context.catalog.by_number(number) is None)
        if unknown:
            raise BadRequest({"add_numbers": f"there is no game {unknown[0]}"})

        def decide(estate: Estate) -> Edit:
            agent = _agent(estate, agent_id)
            changed = replace(agent, games=tuple(sorted((set(agent.games) | add) - remove)))
            if set(changed.games) == set(agent.games):
                return Edit()
            parts = (
                listed("added", [str(number) for number in sorted(add - set(agent.games))]),
                listed("removed", [str(number) for number in sorted(remove & set(agent.games))]),
            )
            now_ms = self._context.clock.now_ms()
            told = Audit(
                now_ms,
                requests.name_of(caller),
                "UpdateAgentGames",
                f"agent/{agent_id}",
                "; ".join(filter(None, parts)),
                self._context.new_uuid(0),
            )
            return Edit([changed], told=[told])

        await self._estate.edit(decide)
        offered = Query(numbered=self.offered_by(agent_id), with_hidden=True)
        return (await self.page(offered, limit=0)).total

    async def page(self, query: Query, *, offset: int = 0, limit: int, after: Place | None = None) -> Page:
        """Return at most `limit` of the games that are asked for, `offset` of them after the place, or after the beginning.

        Others have their turns while games are looked for.
        """
        for _ in self._context.catalog.prepare(query):
            await asyncio.sleep(0)
        return self._context.catalog.page(query, offset=offset, limit=limit, after=after)

    def offered_by(self, agent_id: int) -> Numbered:
        """Return the numbers of the games that an agent offers. Raises AgentNotFound."""
        agent = _agent(self._context.estate, agent_id)
        known = self._offers.get(agent_id)
        if known is None or known[0] is not agent:
            self._offers[agent_id] = known = (agent, Numbered(frozenset(agent.games)))
        return known[1]

    async def _new_id(self, caller: Caller, wanted: Game, request_id: str, action: str) -> str:
        """Return the id of the game that a request creates: the same for each repeat."""
        problem = request_id_problem(request_id)
        if problem:
            raise BadRequest({"request_id": problem})
        if not request_id:
            random = secrets.token_bytes(16)
        else:
            contents = (action, msgspec.json.encode(wanted).decode())
            await requests.claim(self._context, caller, request_id, contents)
            parts = (requests.name_of(caller), request_id, *contents)
            random = hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode("utf-8", "surrogatepass")).digest()
        return make_uuid(random[15], random)

    def _known(self, game_id: str) -> Game:
        known = self._context.catalog.known(game_id)
        assert known is not None, "what was there is never forgotten"
        return known


def known_game(context: Context, game_id: str, *, opens: bool = False) -> Game:
    """Return a game, whoever asks; with `opens` only one that no operator hides. Raises BadRequest, GameNotFound."""
    if not is_uuid(game_id):
        raise BadRequest({"game_id": "expected a UUID in its canonical lower-case form"})
    catalog = context.catalog
    game = catalog.open_to_players(game_id) if opens else catalog.games.get(game_id)
    if game is None:
        raise GameNotFound("no such game", game_id=game_id)
    return game


def acts_for(caller: Caller, game: Game) -> bool:
    """Whether the caller may act for a game: a developer for his own, others for all."""
    return caller.role is not Role.DEVELOPER or may_act(game, caller.id)


def own_game(context: Context, caller: Caller, game_id: str, *, opens: bool = False) -> Game:
    """Return a game that the caller may act for; `opens` where something new begins in it.

    Games are public, so one of somebody else is told from one that is not there; one that an operator hides is not there for
    others. Raises BadRequest, GameNotFound, PermissionDenied.
    """
    game = known_game(context, game_id, opens=opens)
    if not acts_for(caller, game):
        known_game(context, game_id, opens=True)
        raise PermissionDenied("the game is another developer's", role=caller.role.value)
    return game


def game_named(context: Context, caller: Caller, name: str) -> str:
    """Return the id of the game that is named by it, or by the id of the developer who calls: the one that he may act for.

    Raises BadRequest where there are several, GameNotFound where there is none.
    """
    catalog = context.catalog
    if caller.role is not Role.DEVELOPER or name != caller.id or name in catalog.games:
        return name
    own = [game_id for game_id in catalog.developed_by(name) if may_act(catalog.games[game_id], name)]
    if not own:
        raise GameNotFound("the developer has no game", game_id=name)
    if len(own) > 1:
        raise BadRequest({"game_id": f"the API key stands for {len(own)} games: name one by its id"})
    return own[0]


def audit_of(context: Context, caller: Caller, action: str, game: Game, detail: str) -> Audit:
    """Return what the audit trail says of a change of a game."""
    return Audit(context.clock.now_ms(), requests.name_of(caller), action, f"game/{game.id}", detail, context.new_uuid(0))


def _check(catalog: Catalog, game: Game) -> None:
    for sentence in problems(catalog, [game]).values():
        raise BadRequest({"game.number": sentence})
    check_size(game)


def check_size(game: Game) -> None:
    """Raise BadRequest for a game whose texts are so long, all together, that a hundred such fit into no message."""
    if len(encode(game)) > GAME_BYTES_MAX:
        raise BadRequest({"game": f"expected at most {GAME_BYTES_MAX} bytes in all"})


def check_revision(game: Game, revision: int) -> None:
    """Raise GameChanged where a game is not at the revision any more, unless that is 0."""
    if revision not in (0, game.revision):
        raise GameChanged("the game was changed meanwhile", revision=game.revision)


def _agent(estate: Estate, agent_id: int) -> Agent:
    agent = estate.resources.get(f"00:agent:{agent_id}")
    if not isinstance(agent, Agent):
        raise AgentNotFound("no such agent", agent_id=agent_id)
    return agent

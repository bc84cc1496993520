"""The agents' side: links to games and to demos, and which games an agent offers.

A link needs two commits: one for the agent's session id, which could have been used with other contents for another player
and so in another partition, and one for all else. Demos and lists come from memory alone.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec

from playclock.core import links as core
from playclock.core import ott as otts
from playclock.core.catalog import Game
from playclock.core.credentials import Credential
from playclock.core.demo import Demo, is_valid, make_token, read_token
from playclock.core.estate import Agent
from playclock.core.ids import answer_key, launch_key, ott_key, partition_in
from playclock.core.launch import Launch, retain_until_ms
from playclock.core.link_url import with_query
from playclock.core.links import Issued, LinkRules, Order
from playclock.core.player import Player
from playclock.core.records import Answer
from playclock.engine import requests
from playclock.engine.audit import audit
from playclock.engine.callers import Caller, Role
from playclock.engine.context import Context
from playclock.engine.currencies import ISO_4217
from playclock.engine.records import ANSWERS, LAUNCHES, OTTS
from playclock.engine.work import Work
from playclock.errors import (
    AgentNotFound,
    BadRequest,
    GameNotAvailable,
    GameNotFound,
    GameProviderNotFound,
    PermissionDenied,
    RequestIdReused,
)

_ISSUED: Final = msgspec.msgpack.Decoder(Issued)


class Link(msgspec.Struct, frozen=True, gc=False):
    """A link, and until when its token is good."""

    url: str
    expires_ms: int


class Offer(msgspec.Struct, frozen=True):
    """The games that an agent offers, by number."""

    games: Sequence[Game]
    etag: str
    """Another one whenever what agents are shown of these games is another."""
    agent: Agent
    """As it was when the offer was made."""
    revision: int
    """The catalogue's, when it was made."""


class Links:
    """What agents can ask for, and what game servers can ask of a demo."""

    def __init__(self, context: Context, rules: LinkRules) -> None:
        self._context = context
        self.rules: Final = rules
        self.currencies: Final = ISO_4217.union(rules.currencies)
        """The codes that a player's currency may be."""
        self._offers: dict[int, Offer] = {}
        self._numbers: dict[int, tuple[Agent, frozenset[int]]] = {}

    async def create(
        self,
        caller: Caller,
        agent_id: int,
        *,
        game_number: int,
        player: Player,
        agent_session_id: str,
        request_id: str = "",
    ) -> Link:
        """Make a link to the launch that the agent's session is; the launch too, if it is not there yet.

        The link is the last one again as long as its OTT can be redeemed, and whatever became of that where the same request id
        comes again. Raises BadRequest, AgentNotFound, GameNotFound, GameNotAvailable, PermissionDenied, RequestIdReused,
        StoreAway, TooMuchContention.
        """
        agent, game = self._offered(caller, agent_id, game_number)
        if not game.play_url:
            raise GameNotAvailable("the game cannot be played by a link", agent_id=agent_id, game_number=game_number)
        keys = self._keys(agent)
        order = Order(agent_id=agent_id, game_id=game.id, player=player, agent_session_id=agent_session_id)
        await self._claim(order)
        issued, ott = await self._issue(caller, order, keys, request_id)
        return Link(_url(game.play_url, ott, game, player), issued.expires_ms)

    def demo(self, caller: Caller, agent_id: int, *, game_number: int, player: Player) -> Link:
        """Make a link to a game's demo.

        Raises BadRequest, AgentNotFound, GameNotFound, GameNotAvailable, GameProviderNotFound, PermissionDenied.
        """
        agent, game = self._offered(caller, agent_id, game_number)
        if not game.demo_url:
            raise GameProviderNotFound("the game has no demo", game_number=game_number)
        newest = self._keys(agent)[0]
        expires_ms = self._context.clock.now_ms() + self._context.timers.demo_ttl_ms
        token = make_token(newest.secret, Demo(agent_id=agent_id, game_id=game.id, player=player, expires_ms=expires_ms))
        return Link(_url(game.demo_url, token, game, player), expires_ms)

    def verify_demo(self, caller: Caller, token: str) -> tuple[Demo, Game] | None:
        """Return the demo that a token is good for, and its game; None for any other token."""
        now_ms = self._context.clock.now_ms()
        claimed = read_token(token)
        if claimed is None:
            return None
        demo = claimed.said
        keys = self._context.estate.signing_as(Agent, str(demo.agent_id), now_ms) or ()
        game = self._context.catalog.open_to_players(demo.game_id)
        is_theirs = caller.game_id is None or caller.game_id == demo.game_id
        if not is_valid(claimed, keys, now_ms=now_ms) or game is None or not is_theirs:
            return None
        return demo, game

    def offer(self, caller: Caller, agent_id: int) -> Offer:
        """Return the games that an agent offers. Raises AgentNotFound, PermissionDenied."""
        agent = self._agent(caller, agent_id)
        catalog, known = self._context.catalog, self._offers.get(agent_id)
        if known is not None and known.agent is agent and known.revision == catalog.revision:
            return known
        found = map(catalog.by_number, sorted(self._numbers_of(agent)))
        games = [game for game in found if game is not None and game.is_visible]
        shown = [(game.number, game.name, game.brand, game.image_url, bool(game.demo_url)) for game in games]
        etag = hashlib.sha256(msgspec.msgpack.encode(shown)).hexdigest()[:32]
        self._offers[agent_id] = offer = Offer(games, etag, agent, catalog.revision)
        return offer

    def _agent(self, caller: Caller, agent_id: int) -> Agent:
        """Return the agent in whose name the caller may ask: an agent in its own alone."""
        if caller.role is Role.AGENT and caller.id != str(agent_id):
            raise PermissionDenied("an agent may ask in its own name alone", role=caller.role.value)
        agent = self._context.estate.agents.get(agent_id)
        if agent is None:
            raise AgentNotFound("no such agent", agent_id=agent_id)
        return agent

    def _offered(self, caller: Caller, agent_id: int, game_number: int) -> tuple[Agent, Game]:
        agent = self._agent(caller, agent_id)
        game = self._context.catalog.by_number(game_number)
        if game is None or game.is_admin_hidden:
            raise GameNotFound("no such game", game_number=game_number)
        if game_number not in self._numbers_of(agent):
            raise GameNotAvailable("the agent does not offer the game", agent_id=agent_id, game_number=game_number)
        return agent, game

    def _numbers_of(self, agent: Agent) -> frozenset[int]:
        """Return the numbers of the agent's games, of which there may be ten thousand."""
        known = self._numbers.get(agent.id)
        if known is None or known[0] is not agent:
            self._numbers[agent.id] = known = (agent, frozenset(agent.games))
        return known[1]

    def _keys(self, agent: Agent) -> Sequence[Credential]:
        """Return the agent's keys that are alive, newest first."""
        keys = self._context.estate.signing_as(Agent, str(agent.id), self._context.clock.now_ms())
        if not keys:
            raise BadRequest({"agent_id": "the agent has no API token"})
        return keys

    async def _claim(self, order: Order) -> None:
        """Claim the agent's session id for what is ordered: other contents could lead to another partition."""
        timers, agent = self._context.timers, Caller(Role.AGENT, str(order.agent_id))
        contents = (order.game_id, *msgspec.structs.astuple(order.player))
        # Whatever is made now is remembered for less than the claim.
        renew_ms = timers.link_ttl_ms + timers.tombstone_retention_ms
        retain_ms = renew_ms + timers.tombstone_retention_ms
        request_id = f"session/{order.agent_session_id}"
        try:
            await requests.claim(self._context, agent, request_id, contents, retain_ms=retain_ms, renew_ms=renew_ms)
        except RequestIdReused:
            raise _reused() from None

    async def _issue(self, caller: Caller, order: Order, keys: Sequence[Credential], request_id: str) -> tuple[Issued, str]:
        """Return the link that answers the order, and its OTT."""
        context, launch_id = self._context, order.launch_id
        partition, now_ms = partition_in(launch_id), context.clock.now_ms()
        # A request id stands for a signature, and so for the contents: there is no claim of it. Should it come with another
        # session's all the same, the answer tells.
        answers_at = answer_key(partition, requests.name_of(caller), request_id) if request_id else None
        remembered = context.estate.held_by(f"agent/{order.agent_id}") or ()

        async def decision(work: Work) -> tuple[Issued, str]:
            await work.prefetch(launch_key(launch_id), *([answers_at] if answers_at else []), fresh=True)
            if answers_at is not None and (first := await work.read(ANSWERS, answers_at)) is not None:
                answered = _ISSUED.decode(first.data)
                if answered.launch_id != launch_id:
                    raise RequestIdReused("the signature was used before with other contents")
                ott = core.ott_of(answered, remembered)
                if ott is not None:
                    return answered, ott
            issued, ott = await self._last(work, order, keys) or await self._next(work, caller, order, keys[0])
            if answers_at is not None:
                until_ms = now_ms + context.timers.tombstone_retention_ms
                work.write(answers_at, Answer(msgspec.msgpack.encode(issued)), retain_until_ms=until_ms)
            return issued, ott

        return await context.turns.decide(partition, now_ms, decision)

    async def _launch(self, work: Work, order: Order) -> Launch | None:
        """Return the launch that is ordered, if it is still remembered. Raises BadRequest where it was another order."""
        launch = await work.read(LAUNCHES, launch_key(order.launch_id))
        until_ms = None if launch is None else retain_until_ms(launch, self._context.timers)
        if launch is None or until_ms is None or work.now_ms >= until_ms:
            return None
        if not core.is_same(launch, order):
            raise _reused()
        return launch

    async def _last(self, work: Work, order: Order, keys: Sequence[Credential]) -> tuple[Issued, str] | None:
        """Return the last link of the launch, and its OTT, if that can still be redeemed."""
        launch = await self._launch(work, order)
        issued = None if launch is None else core.last_link(launch)
        ott = None if issued is None else core.ott_of(issued, keys)
        if issued is None or ott is None:
            return None
        # Afresh: another process may have redeemed it, and to repeat a link is no commit that would meet a conflict.
        await work.prefetch(ott_key(ott), fresh=True)
        token = await work.read(OTTS, ott_key(ott))
        if token is None:
            return None
        refusal = otts.refusal(
            token, game_id=None, provider_user_id=order.player.player_id, now_ms=work.now_ms, epoch=await work.epoch()
        )
        return (issued, ott) if refusal is None else None

    async def _next(self, work: Work, caller: Caller, order: Order, newest: Credential) -> tuple[Issued, str]:
        """Make the launch's next link; the launch too, where there is none."""
        timers = self._context.timers
        begun = await self._launch(work, order) or core.begin(order, now_ms=work.now_ms)
        launch = core.with_next_link(begun, newest.id, expires_ms=work.now_ms + timers.link_ttl_ms)
        issued = core.last_link(launch)
        ott = core.ott_of(issued, [newest])
        assert ott is not None, "derived from the key at hand"
        record = otts.issue(
            launch.id, order.game_id, order.player.player_id, expires_ms=issued.expires_ms, epoch=await work.epoch()
        )
        until_ms = retain_until_ms(launch, timers)
        work.write(launch_key(launch.id), launch, retain_until_ms=until_ms)
        work.write(ott_key(ott), record, retain_until_ms=until_ms)
        audit(self._context, work, caller, "CreateGameLink", f"agent/{order.agent_id}", detail=f"game/{order.game_id}")
        return issued, ott


def _url(game_url: str, token: str, game: Game, player: Player) -> str:
    return with_query(game_url, {"token": token, "gameId": str(game.number), "playerId": player.player_id})


def _reused() -> BadRequest:
    return BadRequest({"agent_session_id": "was used before with other contents"})

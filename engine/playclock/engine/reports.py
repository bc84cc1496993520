"""Points as players' clients report them, step by step, and as they are saved then: within the game's caps, once each."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from playclock.core import chain as core
from playclock.core.chain import Chain, Report
from playclock.core.ids import game_in, is_player_token, leaders_key, player_session_id_of, player_session_key, points_key
from playclock.core.points import POINTS_MAX, Caps, Over, PlayerPoints, PlayerSession, add, day_of, is_alive, over_in_session
from playclock.core.risk import RISKY_PCT, risk_of
from playclock.engine.context import Context
from playclock.engine.points import Points, caps_of, exceeded
from playclock.engine.records import PLAYER_SESSIONS
from playclock.engine.work import Work
from playclock.errors import BadRequest, InvalidPlayerToken, PointsExceeded

T = TypeVar("T")


class Step(msgspec.Struct, frozen=True):
    """Where a client is."""

    chain: Chain
    next_key: str
    """The key of its next report."""
    is_repeat: bool = False


class Reports:
    """Takes what players' clients report."""

    def __init__(self, context: Context, points: Points) -> None:
        self._context = context
        self._points = points

    async def state(self, token: str) -> Step:
        """Return where a client is. Raises InvalidPlayerToken, StoreAway."""
        game_id = self._game(token)
        key = player_session_key(game_id, player_session_id_of(token))
        ((_, found),) = await self._context.records.load([key], fresh=True)
        session = self._alive(None if found is None else PLAYER_SESSIONS.checked(found), self._context.clock.now_ms())
        return Step(session.chain, core.step_key(token, session.chain))

    async def flush(self, token: str, report: Report) -> Step:
        """Take a report; a repeat of the last one changes nothing and hears the same.

        What a cap of the game would refuse later is refused now. Raises InvalidPlayerToken, BadRequest, OutOfStep,
        PointsExceeded, RateLimited, StoreAway, TooMuchContention.
        """
        game_id = self._game(token)
        if not 0 <= report.points <= POINTS_MAX:
            raise BadRequest({"points": f"expected 0 to {POINTS_MAX}"})

        async def decision(work: Work) -> Step:
            session, points = await self._read(work, game_id, token)
            if core.is_repeat(session.chain, report):
                return Step(session.chain, core.step_key(token, session.chain), is_repeat=True)
            key = core.step_key(token, session.chain)
            proof = core.proof_of(key, session.player, game_id, report)
            chain = core.reported(session.chain, report, proof=proof, now_ms=work.now_ms)
            self._added(points, chain, session, work.now_ms)
            self._write(work, session, chain)
            return Step(chain, core.step_key(token, chain))

        return await self._decide(game_id, decision)

    async def commit(self, token: str, sequence: int, prev_hash: str) -> Chain:
        """Save all that was reported up to a report, which has to be the last one; a repeat changes nothing.

        Raises InvalidPlayerToken, OutOfStep, PointsExceeded, RateLimited, StoreAway, TooMuchContention.
        """
        game_id = self._game(token)

        async def decision(work: Work) -> tuple[Chain, bool]:
            session, points = await self._read(work, game_id, token)
            if not core.check_commit(session.chain, sequence, prev_hash, work.now_ms):
                return session.chain, False
            after = self._added(points, session.chain, session, work.now_ms)
            player_id = session.player_id
            ranked = await self._points.gain(work, game_id, {player_id: points}, {player_id: after})
            risk = risk_of(session, after, caps=self._caps(game_id), leaders=ranked.leaders, now_ms=work.now_ms)
            chain = core.saved(session.chain, risk_pct=risk.score_pct, now_ms=work.now_ms)
            self._write(work, session, chain)
            return chain, True

        chain, is_new = await self._decide(game_id, decision)
        self._context.counts.points_saved += int(is_new)
        return chain

    def _game(self, token: str) -> str:
        """Return the game of a token that may be one. Raises InvalidPlayerToken."""
        if is_player_token(token) and self._context.catalog.open_to_players(game_id := game_in(token)) is not None:
            return game_id
        raise _invalid()

    def _caps(self, game_id: str) -> Caps:
        game = self._context.catalog.open_to_players(game_id)
        if game is None:
            raise _invalid()
        return caps_of(game)

    async def _read(self, work: Work, game_id: str, token: str) -> tuple[PlayerSession, PlayerPoints]:
        """Return the session and its player's points; the day's leaders are read, too."""
        key = player_session_key(game_id, player_session_id_of(token))
        await work.prefetch(key, leaders_key(game_id, day_of(work.now_ms)), fresh=True)
        known = await work.read(PLAYER_SESSIONS, key)
        session = self._alive(known, work.now_ms)
        await work.prefetch(points_key(game_id, session.player_id), fresh=True)
        return session, await self._points.read(work, game_id, session.player_id)

    def _alive(self, session: PlayerSession | None, now_ms: int) -> PlayerSession:
        if session is None or not is_alive(session, now_ms):
            raise _invalid()
        return session

    def _added(self, points: PlayerPoints, chain: Chain, session: PlayerSession, now_ms: int) -> PlayerPoints:
        """Return the points with what the chain has not saved yet. Raises PointsExceeded."""
        caps = self._caps(session.game_id)
        # Points count for the session that began last; where that is another one, or is over, these are still of one session.
        added = over_in_session(chain.total, caps) or add(points, chain.unsaved, caps=caps, now_ms=now_ms)
        if isinstance(added, Over):
            raise exceeded(added, player=session.player)
        return added

    def _write(self, work: Work, session: PlayerSession, chain: Chain) -> None:
        key = player_session_key(session.game_id, session.id)
        work.write(key, replace(session, chain=chain), due_ms=session.expires_ms, retain_until_ms=session.expires_ms)

    async def _decide(self, game_id: str, decision: Callable[[Work], Awaitable[T]]) -> T:
        try:
            return await self._context.turns.decide(int(game_id[:2], 16), self._context.clock.now_ms(), decision)
        except PointsExceeded as error:
            self._context.counts.exceed(error.metadata["cap"])
            raise


def is_risky(chain: Chain) -> bool:
    """Whether somebody should look at the session whose points were saved."""
    return chain.risk_pct > RISKY_PCT


def _invalid() -> InvalidPlayerToken:
    return InvalidPlayerToken("the player's session token is unknown or over")

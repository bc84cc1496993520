"""Shows which of a game's sessions somebody should look at."""

from playclock.core.ids import leaders_key, points_key
from playclock.core.points import PlayerPoints, PlayerSession, day_of, remembered
from playclock.core.risk import Risk, risk_of
from playclock.engine.callers import Caller
from playclock.engine.context import Context
from playclock.engine.games import own_game
from playclock.engine.player_sessions import PlayerSessions
from playclock.engine.points import caps_of
from playclock.engine.records import LEADERS, POINTS


class RiskySessions:
    """Judges the sessions that go on."""

    def __init__(self, context: Context, player_sessions: PlayerSessions) -> None:
        self._context = context
        self._player_sessions = player_sessions

    async def page(
        self, caller: Caller, game_id: str, *, page_size: int, page_token: str
    ) -> tuple[list[tuple[PlayerSession, Risk]], str]:
        """Return those of some living sessions of a game that are risky, and the token of the next page, empty after the last.

        A page may be short, or empty, and yet not the last. Raises BadRequest, GameNotFound, PermissionDenied, StoreAway.
        """
        sessions, token = await self._player_sessions.page(caller, game_id, page_size=page_size, page_token=page_token)
        if not sessions:
            return [], token
        context, now_ms = self._context, self._context.clock.now_ms()
        caps = caps_of(own_game(context, caller, game_id))
        keys = [points_key(game_id, session.player_id) for session in sessions]
        *found, (_, led) = await context.records.load([*keys, leaders_key(game_id, day_of(now_ms))], fresh=True)
        leaders = () if led is None else LEADERS.checked(led).leaders
        judged = [
            (session, risk_of(session, self._points(points, now_ms), caps=caps, leaders=leaders, now_ms=now_ms))
            for session, (_, points) in zip(sessions, found, strict=True)
        ]
        return [(session, risk) for session, risk in judged if risk.is_high], token

    def _points(self, found: object, now_ms: int) -> PlayerPoints:
        known = None if found is None else POINTS.checked(found)
        return remembered(known, now_ms=now_ms, retention_ms=self._context.timers.points_retention_ms)

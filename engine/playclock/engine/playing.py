"""What players do by their session tokens."""

from playclock.core.points import PlayerSession, Streak
from playclock.engine.player_sessions import PlayerSessions
from playclock.engine.points import Points, Standing
from playclock.errors import InvalidPlayerToken


class Playing:
    """Serves whoever has a player's session token: that, and nothing else, says who it is."""

    def __init__(self, player_sessions: PlayerSessions, points: Points) -> None:
        self._player_sessions = player_sessions
        self._points = points

    async def points(self, token: str) -> Standing:
        """Return what the player has in the game. Raises InvalidPlayerToken, StoreAway."""
        session = await self._session(token)
        return await self._points.standing(session.game_id, session.player_id)

    async def streak(self, token: str) -> Streak:
        """Return the player's streak in the game. Raises InvalidPlayerToken, StoreAway."""
        session = await self._session(token)
        return await self._points.streak_of(session.game_id, session.player_id)

    async def _session(self, token: str) -> PlayerSession:
        session = await self._player_sessions.living(token)
        if session is None:
            raise InvalidPlayerToken("the player's session token is unknown or over")
        return session

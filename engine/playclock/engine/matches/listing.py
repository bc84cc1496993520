"""Lists matches. Those that are over stay in the index of what is due for a while, so it holds all that are listed."""

from typing import Final

from playclock.core import match_moves as moves
from playclock.core.codec import encode
from playclock.core.ids import is_uuid
from playclock.core.match import Match, MatchState, seat_of
from playclock.engine.callers import Caller
from playclock.engine.context import Context
from playclock.engine.listing import filed
from playclock.engine.matches.keeper import Keeper
from playclock.engine.records import MATCHES
from playclock.errors import BadRequest

AT_ONCE: Final = 8
"""How many matches are read at once: one of 128 players with 100 scores each has some 300,000 bytes."""


class MatchListing:
    """Lists matches page by page."""

    def __init__(self, context: Context, keeper: Keeper) -> None:
        self._context: Final = context
        self._keeper: Final = keeper

    async def page(
        self,
        caller: Caller,
        *,
        page_size: int,
        page_token: str,
        game_id: str = "",
        client_id: str = "",
        user_id: str = "",
        state: MatchState | None = None,
    ) -> tuple[list[Match], str]:
        """Return some matches that the caller may see, and the token of the next page, which is empty after the last.

        An empty filter lets everything through. A page may be short, or empty, and yet not the last. Raises BadRequest,
        StoreAway.
        """
        if user_id and not is_uuid(user_id):
            raise BadRequest({"user_id": "expected a lower-case UUID"})
        keeper, now_ms = self._keeper, self._context.clock.now_ms()

        def is_wanted(match: Match) -> bool:
            terms = match.terms
            is_meant = game_id in ("", terms.game_id) and client_id in ("", terms.client_id) and state in (None, match.state)
            return is_meant and (not user_id or seat_of(match, user_id) is not None) and keeper.sees(caller, match)

        async def look(keys: list[str]) -> list[Match]:
            loaded = [
                MATCHES.checked(value) for _, value in await self._context.records.load(keys, fresh=True) if value is not None
            ]
            matches = [moves.advance(match, keeper.rules, now_ms=now_ms) for match in loaded]
            return [match for match in matches if keeper.is_listed(match, now_ms) and is_wanted(match)]

        return await filed(
            self._context, "match", look, page_size=page_size, page_token=page_token, at_once=AT_ONCE, size_of=_size_of
        )


def _size_of(match: Match) -> int:
    return len(encode(match))

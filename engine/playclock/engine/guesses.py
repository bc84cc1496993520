"""Who guesses OTTs is slowed down; whoever has a real one gets in all the same."""

from typing import Final

from playclock.core.ids import ott_key
from playclock.core.ott import Refusal
from playclock.engine import requests
from playclock.engine.callers import Caller
from playclock.engine.context import Context
from playclock.engine.limits import Limit
from playclock.errors import RateLimited
from playclock.stores.base import ABSENT

COUNTED: Final = frozenset({Refusal.EXPIRED, Refusal.GAME_MISMATCH, Refusal.USER_MISMATCH})
"""What is said of OTTs that are unknown, or somebody else's. A correct caller hears it now and then."""


class Guesses:
    """Counts the OTTs that are refused, by the game that redeems and by the address from which it does."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._by_key = context.limits.refused_otts_per_key
        self._by_home = context.limits.refused_otts_per_address

    def count(self, caller: Caller, home: str, refusal: Refusal) -> None:
        """Count an OTT that was refused."""
        if refusal in COUNTED:
            for limit, subject in self._limits(caller, home):
                limit.count(subject)

    async def check(self, caller: Caller, home: str, ott: str) -> None:
        """Raise RateLimited where too many were refused, and this OTT is not even known.

        One reading decides, so that guesses write nothing and hold nobody up. Raises StoreAway.
        """
        for limit, subject in self._limits(caller, home):
            refusal = limit.refusal(subject)
            if refusal is not None:
                await self._look(ott, limit, refusal)
                return

    async def _look(self, ott: str, limit: Limit, refusal: RateLimited) -> None:
        ((version, _),) = await self._context.records.load([ott_key(ott)], fresh=True)
        if version == ABSENT:
            raise limit.told(refusal)

    def _limits(self, caller: Caller, home: str) -> list[tuple[Limit, str]]:
        of_key = (self._by_key, requests.name_of(caller) if caller.game_id else "")
        return [(limit, subject) for limit, subject in (of_key, (self._by_home, home)) if limit is not None and subject]

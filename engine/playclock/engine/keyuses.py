"""When keys were last used: noted in memory by every call, written to the store in the background, to the hour."""

from typing import Final

from playclock.core.codec import encode
from playclock.core.records import KeyUses as Uses
from playclock.engine.context import Context
from playclock.engine.records import KEY_USES
from playclock.stores.base import UNMOVED, Commit, Put

USES_KEY: Final = "00:keyuses:estate"
COARSE_MS: Final = 3_600_000
"""How old what the store knows of a key's use may be before it is written anew."""


class KeyUses:
    """Keeps the store's word on when keys were last used about an hour behind, at most, for all processes together."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._stored: dict[str, int] = {}

    async def read(self) -> dict[str, int]:
        """Return when each key was last used, by its id: what the store knows, and what this process does. Raises StoreAway."""
        await self._load()
        return _latest(self._stored, self._context.uses)

    async def write(self) -> None:
        """Write what the store does not know yet, in one commit. Where others do the same, the next time will do.

        Raises StoreAway.
        """
        if not self._is_due():
            return
        version = await self._load()
        if not self._is_due():
            return
        known = self._context.estate.credentials
        used_ms = {key: at_ms for key, at_ms in _latest(self._stored, self._context.uses).items() if key in known}
        put = Put(key=USES_KEY, expect=version, data=encode(Uses(used_ms)), due_ms=UNMOVED)
        (conflict,) = await self._context.records.commit([Commit(partition=0, puts=(put,))])
        if conflict is None:
            self._stored = used_ms

    def _is_due(self) -> bool:
        known = self._context.estate.credentials
        return any(
            at_ms - self._stored.get(key, -COARSE_MS) >= COARSE_MS for key, at_ms in self._context.uses.items() if key in known
        )

    async def _load(self) -> int:
        ((version, found),) = await self._context.records.load([USES_KEY], fresh=True)
        self._stored = {} if found is None else KEY_USES.checked(found).used_ms
        return version


def _latest(first: dict[str, int], second: dict[str, int]) -> dict[str, int]:
    return {key: max(first.get(key, 0), second.get(key, 0)) for key in first.keys() | second.keys()}

"""Claims of games: the page is read first, and what it proves is committed only if the game is still as it was then."""

import secrets
from collections.abc import Set as AbstractSet
from typing import Protocol

from playclock.core import ownership as core
from playclock.core.catalog import Game
from playclock.core.catalog_index import Catalog
from playclock.core.codec import encode
from playclock.core.ids import ownership_claim_key
from playclock.core.ownership import CLAIM_MS, OwnershipClaim
from playclock.engine.callers import Caller
from playclock.engine.catalog import CatalogKeeper, Decision
from playclock.engine.context import Context
from playclock.engine.games import audit_of, known_game
from playclock.engine.records import OWNERSHIP_CLAIMS
from playclock.errors import OwnershipNotProven
from playclock.stores.base import Commit, Put


class PageUnread(Exception):
    """There is no HTML page that could be read."""


class ReadKeys(Protocol):
    """Reads a game's page."""

    async def __call__(self, url: str) -> AbstractSet[str]:
        """Return what the tags named x-ogp-key in its head hold. Raises PageUnread."""


class Ownership:
    """Lets developers prove that games are theirs."""

    def __init__(self, context: Context, keeper: CatalogKeeper, read_keys: ReadKeys | None) -> None:
        """Take what reads games' pages; without it nobody can prove anything."""
        self._context = context
        self._keeper = keeper
        self._read_keys = read_keys

    async def begin(self, game_id: str, developer_id: str) -> OwnershipClaim:
        """Return what the developer may put on the game's page. Raises BadRequest, GameNotFound, StoreAway."""
        known_game(self._context, game_id, opens=True)
        while True:
            version, claim = await self._claim(game_id, developer_id)
            now_ms = self._context.clock.now_ms()
            if claim is not None and core.challenge_in(claim, now_ms):
                return claim
            claim = OwnershipClaim(core.make_challenge(secrets.token_bytes(32)), now_ms + CLAIM_MS)
            put = _put(game_id, developer_id, version, claim)
            (conflict,) = await self._context.records.commit([Commit(partition=0, puts=(put,))])
            if conflict is None:
                return claim

    async def claim(self, caller: Caller, game_id: str, developer_id: str) -> Game:
        """Make a developer the owner of a game whose page names him. A challenge that was there is used up.

        Raises BadRequest, GameNotFound, GameChanged, OwnershipNotProven, StoreAway, TooMuchContention.
        """
        await self._keeper.refresh()
        seen = known_game(self._context, game_id, opens=True)
        keys = await self._keys(seen.play_url)
        version, claim = await self._claim(game_id, developer_id)
        challenge = core.challenge_in(claim, self._context.clock.now_ms())
        core.check_named(seen, developer_id, challenge, keys)
        used = [] if claim is None else [_put(game_id, developer_id, version, OwnershipClaim(claim.challenge, 0))]

        def decide(_: Catalog) -> Decision:
            game = known_game(self._context, game_id, opens=True)
            owned = core.owned(game, seen, developer_id)
            if owned == game:
                return Decision()
            told = audit_of(self._context, caller, "ClaimOwnership", game, f"developer/{developer_id}")
            return Decision([owned], [told], used)

        await self._keeper.change(decide)
        return known_game(self._context, game_id)

    async def _keys(self, url: str) -> AbstractSet[str]:
        # Not why: it would tell a stranger what there is behind the engine.
        unread = OwnershipNotProven("the game's page could not be read", cause="NO_PAGE")
        if self._read_keys is None:
            raise unread
        try:
            return await self._read_keys(url)
        except PageUnread:
            raise unread from None

    async def _claim(self, game_id: str, developer_id: str) -> tuple[int, OwnershipClaim | None]:
        key = ownership_claim_key(game_id, developer_id)
        ((version, found),) = await self._context.records.load([key], fresh=True)
        return version, None if found is None else OWNERSHIP_CLAIMS.checked(found)


def _put(game_id: str, developer_id: str, version: int, claim: OwnershipClaim) -> Put:
    key = ownership_claim_key(game_id, developer_id)
    return Put(key=key, expect=version, data=encode(claim), retain_until_ms=claim.expires_ms)

"""Players: whom somebody has named becomes known, by one UUID for each."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final

from playclock.core import rewards
from playclock.core.codec import encode
from playclock.core.identifiers import REMEMBERED_MS, Identifier, KnownPlayer, is_worth_noting
from playclock.core.ids import player_key
from playclock.engine.context import Context
from playclock.engine.records import PLAYERS
from playclock.stores.base import Commit, Put

NOTED_MAX: Final = 100_000
"""Of how many players it is remembered here that the store knows them."""


class Players:
    """Knows players."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._noted: OrderedDict[str, KnownPlayer] = OrderedDict()

    async def take_in(self, identifiers: Iterable[Identifier]) -> None:
        """Let players be known from now on. Raises StoreAway."""
        now_ms = self._context.clock.now_ms()
        named = {each.player_id: each for each in identifiers}
        missing = [each for each in named.values() if is_worth_noting(self._noted.get(each.player_id), now_ms)]
        if not missing:
            return
        found = await self._context.records.load([player_key(each.player_id) for each in missing], fresh=True)
        noted: dict[str, KnownPlayer] = {}
        commits = []
        for each, (version, known) in zip(missing, found, strict=True):
            player = None if known is None else PLAYERS.checked(known)
            if player is None or is_worth_noting(player, now_ms):
                # A UUID tells nothing of who it is: who was known by something else stays known by that.
                player = KnownPlayer(player.canonical if player is not None and each.is_player_id else each.canonical, now_ms)
                commits.append(_commit(each.player_id, version, player))
            noted[each.player_id] = player
        if commits:
            # A conflict is no trouble: somebody else has just noted the same.
            await self._context.records.commit(commits)
        self._note(noted)

    async def is_known(self, player_id: str) -> bool:
        """Whether a UUID is a player's, or a developer's. Raises StoreAway."""
        if self._context.estate.held_by(f"developer/{player_id}") is not None:
            return True
        ((_, found),) = await self._context.records.load([player_key(player_id)], fresh=True)
        return found is not None and self._context.clock.now_ms() - PLAYERS.checked(found).seen_ms < REMEMBERED_MS

    async def split(self, wanted: Mapping[str, int], *, creator_id: str, is_owner_proven: bool) -> dict[str, int]:
        """Return how a game's rewards are split, by UUIDs, and know who gets some. UUIDs have to be known before.

        Raises BadRequest with the documented message, StoreAway.
        """
        shares = rewards.shares_of(wanted)
        for share in shares:
            if share.identifier.is_player_id and not await self.is_known(share.identifier.player_id):
                raise rewards.unresolvable(share.text)
        await self.take_in(share.identifier for share in shares if not share.identifier.is_player_id)
        return rewards.in_force(shares, creator_id=creator_id, is_owner_proven=is_owner_proven)

    def _note(self, players: Mapping[str, KnownPlayer]) -> None:
        self._noted.update(players)
        while len(self._noted) > NOTED_MAX:
            self._noted.popitem(last=False)


def _commit(player_id: str, version: int, player: KnownPlayer) -> Commit:
    key, until_ms = player_key(player_id), player.seen_ms + REMEMBERED_MS
    return Commit(
        partition=int(key[:2], 16), puts=(Put(key=key, expect=version, data=encode(player), retain_until_ms=until_ms),)
    )

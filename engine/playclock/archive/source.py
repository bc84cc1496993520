"""The outbox as the archive reads it: one epoch at a time, and only that of the store from which it was filled."""

from collections.abc import Iterable, Mapping
from typing import Final

from playclock.archive.cursors import Cursor, digest
from playclock.archive.errors import ArchiveError
from playclock.errors import StoreAway
from playclock.stores.base import PARTITIONS, Store, StoredEvent, StoreUnavailable

LOOKS_MAX: Final = 3
"""How often it looks again where the store begins another epoch while it looks."""
WHAT_TO_DO: Final = (
    "A memory:// store begins anew with every start and needs an archive that does so too: sqlite://. Where the store was"
    " restored from a backup, restore the archive as it was then or earlier, or begin a new one. Every other store needs an"
    " archive of its own"
)


class Source:
    """A store's outbox. All methods raise StoreAway."""

    def __init__(self, store: Store) -> None:
        """Read from the store."""
        self._store: Final = store

    async def look(self) -> tuple[dict[int, str], dict[int, int]]:
        """Return each partition's epoch, and the last sequence that it has in that epoch."""
        named = await self.epochs(range(PARTITIONS))
        for _ in range(LOOKS_MAX):
            heads = await self._heads()
            before, named = named, await self.epochs(range(PARTITIONS))
            if named == before:
                return named, heads
        raise StoreAway("the store begins one epoch after another")

    async def epochs(self, partitions: Iterable[int]) -> dict[int, str]:
        """Return each partition's epoch."""
        try:
            return {partition: await self._store.epoch(partition) for partition in partitions}
        except StoreUnavailable as error:
            raise StoreAway("the store cannot be reached") from error

    async def recognise(self, known: Mapping[int, Cursor], heads: Mapping[int, int]) -> None:
        """Make sure that what was archived last lies in the store, where it has not been dropped since."""
        check_not_ahead(known, heads)
        for partition, cursor in known.items():
            if not cursor.digest:
                continue
            events = await self.events({partition: cursor.sequence - 1}, 1)
            if events and events[0].sequence == cursor.sequence and digest(events[0].data) != cursor.digest:
                raise ArchiveError(
                    f"the archive was filled from another store, or the store was set back and went another way since"
                    f" (partition {partition}: event {cursor.sequence} is not the one that was archived). {WHAT_TO_DO}"
                )

    async def _heads(self) -> dict[int, int]:
        try:
            return await self._store.heads()
        except StoreUnavailable as error:
            raise StoreAway("the store cannot be reached") from error

    async def events(self, after: Mapping[int, int], limit: int) -> list[StoredEvent]:
        """Return at most `limit` events of the named partitions beyond the sequence named for each."""
        try:
            return await self._store.events(after, limit)
        except StoreUnavailable as error:
            raise StoreAway("the store cannot be reached") from error


def check_not_ahead(known: Mapping[int, Cursor], heads: Mapping[int, int]) -> None:
    """Refuse a store that has had fewer events than were archived: its next ones would be taken for old ones."""
    ahead = [partition for partition, cursor in known.items() if cursor.sequence > heads.get(partition, 0)]
    if ahead:
        raise ArchiveError(
            f"the archive is ahead of the store (partition {ahead[0]}: {known[ahead[0]].sequence} events archived,"
            f" {heads.get(ahead[0], 0)} ever there). {WHAT_TO_DO}"
        )

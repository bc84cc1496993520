"""The projector: carries the outbox over to the archive, each event exactly once.

How far it has come lies in the same transaction as what it has written, so neither a crash nor a second projector can make
an event count twice, and none is left out without a word.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from playclock.archive.batch import Batch, Cursor, Overtaken, digest, load_cursors
from playclock.archive.database import Database
from playclock.archive.errors import ArchiveError
from playclock.errors import StoreAway, TryAgain
from playclock.stores.base import PARTITIONS, Store, StoredEvent, StoreUnavailable

BATCH: Final = 1_000
"""How many events share a transaction."""
GATHER_SEC: Final = 0.1
"""How long the first event waits for others, so that a busy engine does not have the archive synced for every single one."""
IDLE_SEC: Final = 0.2
"""How long an event of another process may wait. Those of this one wake the projector."""
BACKOFF_SEC: Final = 0.2
BACKOFF_MAX_SEC: Final = 5.0
STUCK_SEC: Final = 30.0
"""How long it waits where somebody has to mend something."""

WHAT_TO_DO: Final = (
    "A memory:// store begins anew with every start and needs an archive that does so too: sqlite://. Where the store was"
    " restored from a backup, restore the archive as it was then or earlier, or begin a new one. Every other store needs an"
    " archive of its own"
)

_log = logging.getLogger(__name__)


class Projector:
    """Carries events from a store to an archive. Any number may do so at once: one wins, the others look again."""

    def __init__(self, store: Store, database: Database) -> None:
        self._store: Final = store
        self._database: Final = database
        self._cursors: dict[int, int] | None = None
        self._checked = False
        self._first = 0
        self._news = asyncio.Event()
        self.lost = 0
        """How many events were dropped from the outbox before they could be archived."""
        self.contradictions = 0
        """How many transfers and ends were told a second time with other contents."""

    @property
    def positions(self) -> Mapping[int, int]:
        """How far each partition has been archived, at least. Empty as long as that is not known."""
        return dict(self._cursors or {})

    def wake(self) -> None:
        """Tell the projector that there may be something new."""
        self._news.set()

    async def check(self) -> None:
        """Make sure that the archive was filled from this store and no other. Raises ArchiveError, ArchiveAway, StoreAway."""
        known = await self._database.run(load_cursors)
        _check_not_ahead({partition: cursor.sequence for partition, cursor in known.items()}, await self._heads())
        for partition, cursor in known.items():
            if cursor.digest:
                await self._check_event(partition, cursor)
        self._checked = True

    async def project(self, limit: int = BATCH) -> int:
        """Archive at most `limit` events, and return how many. Raises ArchiveAway, StoreAway, ArchiveError, UnknownFormat."""
        if not self._checked:
            await self.check()
        known = self._cursors
        if known is None:
            known = {partition: cursor.sequence for partition, cursor in (await self._database.run(load_cursors)).items()}
        heads = await self._heads()
        _check_not_ahead(known, heads)
        self._cursors = known
        # Each time from another partition on, so that a busy one cannot starve the rest.
        self._first = (self._first + 1) % PARTITIONS
        order = (*range(self._first, PARTITIONS), *range(self._first))
        after = {partition: known[partition] for partition in order if heads.get(partition, 0) > known[partition]}
        if not after:
            return 0
        events = await self._events(after, limit)
        # If all that there is has been read, what is missing up to the heads that were there before is gone.
        reached, gaps = _reached(after, events, heads if len(events) < limit else {})
        moves = {partition: (after[partition], new) for partition, new in reached.items() if new > after[partition]}
        batch = Batch(moves, events)
        try:
            await self._database.run(batch.write)
        except Overtaken:
            self._cursors = None
            return 0
        except BaseException:
            # Whether it was committed is not known; the archive knows.
            self._cursors = None
            raise
        self._cursors = {**known, **reached}
        self._tell(batch, gaps)
        return len(events)

    async def run(self) -> None:
        """Archive what there is and what comes, until cancelled. What is away is waited for."""
        backoff_sec = 0.0
        while True:
            self._news.clear()
            try:
                archived = await self.project()
            except TryAgain as error:
                backoff_sec = longer(backoff_sec)
                _log.warning("archiving has to wait", extra={"fields": {"reason": error.reason, "cause": cause_of(error)}})
                await asyncio.sleep(backoff_sec)
                continue
            except ArchiveError as error:
                _log.error("archiving is not possible", extra={"fields": {"cause": str(error)}})
                await asyncio.sleep(STUCK_SEC)
                continue
            except Exception:  # noqa: BLE001 - see below
                # The outermost boundary of a background job: nothing is lost as long as it comes back.
                _log.exception("archiving failed")
                await asyncio.sleep(STUCK_SEC)
                continue
            if backoff_sec:
                _log.info("archiving goes on")
                backoff_sec = 0.0
            if archived < BATCH:
                await self._wait_for_news()
                await asyncio.sleep(GATHER_SEC)

    async def finish(self, within_sec: float) -> None:
        """Archive what there is, as far as that can be done at once. What is left over is archived after the next start."""
        try:
            async with asyncio.timeout(within_sec):
                while await self.project():
                    pass
        except (TimeoutError, TryAgain, ArchiveError) as error:
            cause = cause_of(error) if isinstance(error, TryAgain) else str(error) or "it took too long"
            _log.warning("stopped before everything was archived", extra={"fields": {"cause": cause}})
        except Exception:  # noqa: BLE001 - what is left over lies in the store; the server has to stop
            _log.exception("archiving failed")

    async def _wait_for_news(self) -> None:
        try:
            async with asyncio.timeout(IDLE_SEC):
                await self._news.wait()
        except TimeoutError:
            return

    async def _check_event(self, partition: int, cursor: Cursor) -> None:
        events = await self._events({partition: cursor.sequence - 1}, 1)
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

    async def _events(self, after: Mapping[int, int], limit: int) -> list[StoredEvent]:
        try:
            return await self._store.events(after, limit)
        except StoreUnavailable as error:
            raise StoreAway("the store cannot be reached") from error

    def _tell(self, batch: Batch, gaps: Sequence[tuple[int, int, int]]) -> None:
        for partition, first, last in gaps:
            self.lost += last - first + 1
            _log.error(
                "events were dropped before they were archived",
                extra={"fields": {"partition": partition, "first": first, "last": last}},
            )
        for contradiction in batch.contradictions:
            self.contradictions += 1
            _log.error(
                "told again with other contents; the archive keeps the first",
                extra={"fields": msgspec.structs.asdict(contradiction)},
            )


def longer(backoff_sec: float) -> float:
    """Return how long to wait after having waited so long."""
    return min(2 * backoff_sec or BACKOFF_SEC, BACKOFF_MAX_SEC)


def _check_not_ahead(known: Mapping[int, int], heads: Mapping[int, int]) -> None:
    """Refuse a store that has had fewer events than were archived: its next ones would be taken for old ones."""
    ahead = [partition for partition, sequence in known.items() if sequence > heads.get(partition, 0)]
    if ahead:
        raise ArchiveError(
            f"the archive is ahead of the store (partition {ahead[0]}: {known[ahead[0]]} events archived,"
            f" {heads.get(ahead[0], 0)} ever there). {WHAT_TO_DO}"
        )


def _reached(
    after: Mapping[int, int], events: Sequence[StoredEvent], heads: Mapping[int, int]
) -> tuple[dict[int, int], list[tuple[int, int, int]]]:
    """Return how far the events, and the heads, reach, and what was passed over: partition, first and last sequence."""
    reached, gaps = dict(after), []
    for stored in events:
        if stored.sequence != reached[stored.partition] + 1:
            gaps.append((stored.partition, reached[stored.partition] + 1, stored.sequence - 1))
        reached[stored.partition] = stored.sequence
    for partition, sequence in reached.items():
        if sequence < heads.get(partition, 0):
            gaps.append((partition, sequence + 1, heads[partition]))
            reached[partition] = heads[partition]
    return reached, gaps


def cause_of(error: TryAgain) -> str:
    """Return what the driver said, on one line. It says no values and no passwords."""
    cause = error.__cause__
    return " ".join(str(getattr(cause, "orig", None) or cause or error).split())

"""The projector: carries the outbox over to the archive, each event exactly once.

How far it has come lies in the same transaction as what it has written, so neither a crash nor a second projector can make
an event count twice, and none is left out without a word.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection

from playclock.archive.batch import Batch
from playclock.archive.cursors import Cursor, Move, Overtaken, Trail, digest, load_cursors, move
from playclock.archive.database import Database
from playclock.archive.errors import ArchiveError
from playclock.archive.source import Source, check_not_ahead
from playclock.errors import StoreAway, TryAgain
from playclock.stores.base import PARTITIONS, Store, StoredEvent

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

_log = logging.getLogger(__name__)


class Projector:
    """Carries events from a store to an archive. Any number may do so at once: one wins, the others look again."""

    def __init__(self, store: Store, database: Database, *, now: Callable[[], float] | None = None) -> None:
        """Carry over from the store to the database. `now` tells seconds, by which it knows what is safe from a failover."""
        self._source: Final = Source(store)
        self._database: Final = database
        self._now: Final = now or _loop_time
        self._trail = Trail(self._now)
        self._cursors: dict[int, Cursor] | None = None
        self._again: dict[int, int] = {}
        """How far partitions had been archived that are being read again."""
        self._checked = False
        self._first = 0
        self._news = asyncio.Event()
        self._known: Mapping[int, Cursor] = {}
        """The cursors as they were last known, for counting."""
        self.behind: int | None = None
        """How many events were not archived yet when that was last looked at; None as long as nobody could."""
        self.archived = 0
        """How many events were archived."""
        self.failures = 0
        """How often archiving had to wait, or was not possible."""
        self.lost = 0
        """How many events were dropped from the outbox before they could be archived."""
        self.contradictions = 0
        """How many transfers and ends were told a second time with other contents."""

    @property
    def positions(self) -> Mapping[int, int]:
        """How far each partition has been archived, at least. Empty as long as that is not known."""
        return {partition: cursor.sequence for partition, cursor in (self._cursors or {}).items()}

    def wake(self) -> None:
        """Tell the projector that there may be something new."""
        self._news.set()

    async def check(self) -> None:
        """Make sure that the archive was filled from this store and no other. Raises ArchiveError, ArchiveAway, StoreAway."""
        known = await self._database.run(load_cursors)
        epochs, heads = await self._source.look()
        await self._source.recognise({at: _now_at(cursor, epochs[at]) for at, cursor in known.items()}, heads)
        self._checked = True

    async def project(self, limit: int = BATCH) -> int:
        """Archive at most `limit` events, and return how many. Raises ArchiveAway, StoreAway, ArchiveError, UnknownFormat."""
        if not self._checked:
            await self.check()
        try:
            return await self._project(limit)
        except Overtaken:
            return 0

    async def run(self) -> None:
        """Archive what there is and what comes, until cancelled. What is away is waited for."""
        backoff_sec = 0.0
        while True:
            self._news.clear()
            try:
                archived = await self.project()
            except TryAgain as error:
                self.failures += 1
                backoff_sec = longer(backoff_sec)
                _log.warning("archiving has to wait", extra={"fields": {"reason": error.reason, "cause": cause_of(error)}})
                await asyncio.sleep(backoff_sec)
                continue
            except ArchiveError as error:
                self.failures += 1
                _log.error("archiving is not possible", extra={"fields": {"cause": str(error)}})
                await asyncio.sleep(STUCK_SEC)
                continue
            except Exception:  # noqa: BLE001 - see below
                # The outermost boundary of a background job: nothing is lost as long as it comes back.
                self.failures += 1
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

    async def _project(self, limit: int) -> int:
        known = self._cursors
        if known is None:
            if self.behind is not None:
                # It may be the archive that is away: what waits for it meanwhile is to be seen.
                self.behind = _behind((await self._source.look())[1], self._known)
            known = await self._database.run(load_cursors)
        epochs, heads = await self._source.look()
        back = {at: Move(cursor, cursor.back(epochs[at])) for at, cursor in known.items() if not cursor.is_of(epochs[at])}
        if back:
            known = await self._go_back(known, back, heads)
        check_not_ahead(known, heads)
        self._cursors = self._known = known
        self.behind = _behind(heads, known)
        # Each time from another partition on, so that a busy one cannot starve the rest.
        self._first = (self._first + 1) % PARTITIONS
        order = (*range(self._first, PARTITIONS), *range(self._first))
        after = {
            partition: known[partition].sequence for partition in order if heads.get(partition, 0) > known[partition].sequence
        }
        if not after:
            return 0
        events = await self._source.events(after, limit)
        if await self._source.epochs(after) != {partition: epochs[partition] for partition in after}:
            raise StoreAway("the store began another epoch while it was read")
        # If all that there is has been read, what is missing up to the heads that were there before is gone.
        reached, gaps = _reached(after, events, heads if len(events) < limit else {})
        batch = Batch(self._moves(known, epochs, reached, events), events)
        await self._write(batch.write)
        self._cursors = self._known = {**known, **{partition: new for partition, (_, new) in batch.moves.items()}}
        self.behind = _behind(heads, self._known)
        self.archived += len(events)
        self._tell(batch, gaps)
        return len(events)

    async def _go_back(
        self, known: Mapping[int, Cursor], back: Mapping[int, Move], heads: Mapping[int, int]
    ) -> dict[int, Cursor]:
        """Set back the cursors of partitions that began another epoch, and return all."""
        await self._source.recognise({partition: new for partition, (_, new) in back.items()}, heads)
        await self._write(lambda connection: move(connection, back))
        events = sum(old.sequence - new.sequence for old, new in back.values())
        for partition, (old, _) in back.items():
            self._trail.forget(partition)
            self._again[partition] = max(old.sequence, self._again.get(partition, 0))
        fields = {"partitions": len(back), "events": events}
        _log.warning("the store began another epoch: what was archived last is read again", extra={"fields": fields})
        return {**known, **{partition: new for partition, (_, new) in back.items()}}

    def _moves(
        self,
        known: Mapping[int, Cursor],
        epochs: Mapping[int, str],
        reached: Mapping[int, int],
        events: Sequence[StoredEvent],
    ) -> dict[int, Move]:
        """Return where the cursors go that move."""
        last = {(stored.partition, stored.sequence): stored.data for stored in events}
        moves = {}
        for partition, sequence in reached.items():
            old = known[partition]
            if sequence == old.sequence:
                continue
            data = last.get((partition, sequence))
            safe, safe_digest = self._trail.safe(partition, old)
            new = Cursor(sequence, "" if data is None else digest(data), epochs[partition], safe, safe_digest)
            moves[partition] = Move(old, new)
        return moves

    async def _write(self, work: Callable[[Connection], None]) -> None:
        """Write in one transaction. Raises ArchiveAway, and Overtaken where somebody else was faster."""
        try:
            await self._database.run(work)
        except BaseException:
            # Whether it was committed is not known; the archive knows.
            self._cursors, self._trail = None, Trail(self._now)
            raise

    def _tell(self, batch: Batch, gaps: Sequence[tuple[int, int, int]]) -> None:
        for partition, first, last in gaps:
            if last <= self._again.get(partition, 0):
                continue  # they were archived before, and dropped since
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


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def _behind(heads: Mapping[int, int], known: Mapping[int, Cursor]) -> int:
    return sum(max(0, head - known[partition].sequence) for partition, head in heads.items())


def longer(backoff_sec: float) -> float:
    """Return how long to wait after having waited so long."""
    return min(2 * backoff_sec or BACKOFF_SEC, BACKOFF_MAX_SEC)


def _now_at(cursor: Cursor, epoch: str) -> Cursor:
    """Return where the archive goes on in the epoch."""
    return cursor if cursor.is_of(epoch) else cursor.back(epoch)


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

"""The projector: carries the outbox over to the archive, each event exactly once.

How far it has come lies in the same transaction as what it has written, so neither a crash nor a second projector can make
an event count twice, and none is left out without a word.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

import msgspec
from sqlalchemy import Connection, bindparam, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from playclock.archive.archive import Archive
from playclock.archive.database import ArchiveError
from playclock.archive.schema import audit, chains, cursors, entries, settlements
from playclock.core.codec import UnknownFormat
from playclock.core.ledger import Transfer
from playclock.core.outbox import Audit, decode
from playclock.core.records import Happening, SessionEvent
from playclock.core.session import Session
from playclock.core.settlement import FIRST_HASH, Settlement, settlement_of
from playclock.errors import ArchiveAway, StoreAway
from playclock.stores.base import PARTITIONS, Store, StoredEvent, StoreUnavailable

IDLE_SEC: Final = 0.2
"""How long an event of another process may wait. Those of this one wake the projector."""
BACKOFF_SEC: Final = 0.2
BACKOFF_MAX_SEC: Final = 5.0

_MOVE: Final = (
    update(cursors)
    .where(cursors.c.partition == bindparam("at"), cursors.c.sequence == bindparam("old"))
    .values(sequence=bindparam("new"))
)

_log = logging.getLogger(__name__)


class Overtaken(Exception):
    """Another projector has archived these events already."""


class Projector:
    """Carries events from a store to an archive. Any number may do so at once: one wins, the others look again."""

    def __init__(self, store: Store, archive: Archive) -> None:
        self._store: Final = store
        self._database: Final = archive.database
        self._cursors: dict[int, int] | None = None
        self._first = 0
        self._news = asyncio.Event()
        self.lost = 0
        """How many events were dropped from the outbox before they could be archived."""

    @property
    def positions(self) -> Mapping[int, int]:
        """How far each partition has been archived, at least. Empty as long as that is not known."""
        return dict(self._cursors or {})

    def wake(self) -> None:
        """Tell the projector that there may be something new."""
        self._news.set()

    async def project(self, limit: int = 1_000) -> int:
        """Archive at most `limit` events, and return how many. Raises ArchiveAway, StoreAway, ArchiveError, UnknownFormat."""
        known = self._cursors
        if known is None:
            known = await self._database.run(_load)
        heads = await self._heads()
        _check_same_store(known, heads)
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
        batch = _Batch(moves, events)
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
        for partition, first, last in gaps:
            self._tell_lost(partition, first, last)
        return len(events)

    async def run(self, stop: asyncio.Event) -> None:
        """Archive what there is and what comes, until told to stop. What is away is waited for."""
        backoff_sec = BACKOFF_SEC
        stopped = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                self._news.clear()
                try:
                    while await self.project() and not stop.is_set():
                        backoff_sec = BACKOFF_SEC
                    backoff_sec = BACKOFF_SEC
                except (ArchiveAway, StoreAway) as error:
                    _log.warning(
                        "archiving has to wait", extra={"fields": {"reason": error.reason, "cause": str(error.__cause__)}}
                    )
                    await _first_of(stopped, timeout_sec=backoff_sec)
                    backoff_sec = min(2 * backoff_sec, BACKOFF_MAX_SEC)
                except Exception:  # noqa: BLE001 - see below
                    # The outermost boundary of a background job: nothing is lost as long as it comes back.
                    _log.exception("archiving failed")
                    await _first_of(stopped, timeout_sec=BACKOFF_MAX_SEC)
                else:
                    news = asyncio.create_task(self._news.wait())
                    await _first_of(stopped, news, timeout_sec=IDLE_SEC)
                    news.cancel()
                    with suppress(asyncio.CancelledError):
                        await news
        finally:
            stopped.cancel()

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

    def _tell_lost(self, partition: int, first: int, last: int) -> None:
        self.lost += last - first + 1
        _log.error(
            "events were dropped before they were archived",
            extra={"fields": {"partition": partition, "first": first, "last": last}},
        )


class _Batch:
    """Events, and what they come to as rows, for one transaction."""

    def __init__(self, moves: Mapping[int, tuple[int, int]], events: Sequence[StoredEvent]) -> None:
        self._moves: Final = moves
        self._ended: Final[dict[str, Session]] = {}
        self._entries: Final[list[dict[str, object]]] = []
        self._audit: Final[list[dict[str, object]]] = []
        for stored in events:
            try:
                self._take(stored)
            except UnknownFormat as error:
                error.add_note(f"partition {stored.partition}, sequence {stored.sequence}")
                raise

    def write(self, connection: Connection) -> None:
        """Write everything, unless another projector was there first: then raise Overtaken."""
        if connection.dialect.name == "postgresql":
            # One writer at a time, as on SQLite: so that numbers become visible in their order, and no reader who
            # goes from page to page ever passes one that was given, and not yet committed.
            connection.execute(text("LOCK TABLE cursors IN SHARE ROW EXCLUSIVE MODE"))
        places = [{"at": partition, "old": old, "new": new} for partition, (old, new) in sorted(self._moves.items())]
        if connection.execute(_MOVE, places).rowcount != len(places):
            raise Overtaken
        if self._ended:
            _write_settlements(connection, self._ended)
        once = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        if self._entries:
            connection.execute(once(entries).on_conflict_do_nothing(), self._entries)
        if self._audit:
            connection.execute(once(audit).on_conflict_do_nothing(), self._audit)

    def _take(self, stored: StoredEvent) -> None:
        event = decode(stored.data)
        match event:
            case SessionEvent():
                if event.happening is Happening.ENDED:
                    self._ended.setdefault(event.session.id, event.session)
            case Transfer():
                self._entries.extend(
                    {
                        "transfer_id": event.id,
                        "leg": number,
                        "account_id": event.account_id,
                        "ledger_account": leg.ledger_account,
                        "amount_micros": leg.amount_micros,
                        "kind": event.kind.name,
                        "booked_ms": event.at_ms,
                        "game_session_id": event.session_id or "",
                        "reverses": event.reverses,
                    }
                    for number, leg in enumerate(event.legs)
                )
            case Audit():
                place = {"partition": stored.partition, "sequence": stored.sequence}
                self._audit.append({**place, **msgspec.structs.asdict(event)})


def _write_settlements(connection: Connection, ended: Mapping[str, Session]) -> None:
    query = select(settlements.c.game_session_id).where(settlements.c.game_session_id.in_(list(ended)))
    there = set(connection.execute(query).scalars())
    games = sorted({session.game_id for session in ended.values()})
    locked = select(chains).where(chains.c.game_id.in_(games)).order_by(chains.c.game_id).with_for_update()
    before = {game_id: (last, length) for game_id, last, length in connection.execute(locked)}
    after = dict(before)
    rows: list[Settlement] = []
    for session in ended.values():
        if session.id not in there:
            last, length = after.get(session.game_id, (FIRST_HASH, 0))
            rows.append(settlement_of(session, last))
            after[session.game_id] = (rows[-1].hash, length + 1)
    if not rows:
        return
    connection.execute(insert(settlements), [msgspec.structs.asdict(row) for row in rows])
    new = [{"game_id": game, "hash": last, "length": length} for game, (last, length) in after.items() if game not in before]
    if new:
        connection.execute(insert(chains), new)
    moved = [{"at": game, "to": last, "by": length} for game, (last, length) in after.items() if game in before]
    if moved:
        move = update(chains).where(chains.c.game_id == bindparam("at")).values(hash=bindparam("to"), length=bindparam("by"))
        connection.execute(move, moved)


def _load(connection: Connection) -> dict[int, int]:
    """Return the cursors. Those that are not there yet are filed, so that a cursor only ever has to be moved."""
    found = {row.partition: row.sequence for row in connection.execute(select(cursors))}
    missing = [{"partition": partition, "sequence": 0} for partition in range(PARTITIONS) if partition not in found]
    if missing:
        once = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        connection.execute(once(cursors).on_conflict_do_nothing(), missing)
        found = {row.partition: row.sequence for row in connection.execute(select(cursors))}
    return found


def _check_same_store(known: Mapping[int, int], heads: Mapping[int, int]) -> None:
    """Refuse a store that has had fewer events than were archived: its next ones would be taken for old ones."""
    ahead = [partition for partition, sequence in known.items() if sequence > heads.get(partition, 0)]
    if ahead:
        raise ArchiveError(
            f"the archive is ahead of the store (partition {ahead[0]}: {known[ahead[0]]} events archived,"
            f" {heads.get(ahead[0], 0)} ever there): it is another store's, or the store was set back"
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


async def _first_of(*tasks: asyncio.Task[bool], timeout_sec: float) -> None:
    await asyncio.wait(tasks, timeout=timeout_sec, return_when=asyncio.FIRST_COMPLETED)

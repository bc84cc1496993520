"""Outboxes that nobody should ever see: told twice, set back, another store's, unreadable. And what is away comes back."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from playclock.archive import projector as projector_module
from playclock.archive.archive import Archive
from playclock.archive.errors import ArchiveError
from playclock.archive.projector import Projector
from playclock.archive.schema import entries
from playclock.clock import ManualClock
from playclock.core.codec import UnknownFormat, encode
from playclock.core.ledger import Leg, Transfer, TransferKind
from playclock.core.outbox import OutboxEvent
from playclock.core.records import Happening, SessionEvent
from playclock.engine.history import Filter
from playclock.stores.base import ABSENT, Commit, Event, Put, Store
from playclock.stores.memory import MemoryStore
from sqlalchemy import select

from tests.archive_pairs import on_each_pair

if TYPE_CHECKING:
    from tests.archive.conftest import ArchiveOpener
    from tests.conftest import FaultInjectingStore, World

NUMBERS = itertools.count()
TRANSFER = Transfer(
    id="topup/cafe-1/1",
    kind=TransferKind.TOP_UP,
    at_ms=1,
    account_id="cafe-1",
    currency="GCOIN",
    legs=(Leg("funding/GCOIN", -5), Leg("wallet/cafe-1", 5)),
)


async def tell_data(store: Store, *data: bytes, partition: int = 7) -> None:
    """Put events into a partition's outbox."""
    put = Put(key=f"{partition:02x}:nothing:{next(NUMBERS)}", expect=ABSENT, data=b"")
    told = tuple(Event(data=each, retain_until_ms=1 << 60) for each in data)
    assert await store.commit([Commit(partition=partition, puts=(put,), events=told)]) == [None]


async def tell(store: Store, *events: OutboxEvent, partition: int = 7) -> None:
    await tell_data(store, *map(encode, events), partition=partition)


def top_up(number: int) -> Transfer:
    return replace(TRANSFER, id=f"topup/cafe-1/{number}")


async def legs(archive: Archive) -> list[tuple[str, str, int]]:
    query = select(entries.c.transfer_id, entries.c.ledger_account, entries.c.amount_micros).order_by(entries.c.number)
    return [tuple(row) for row in await archive.database.run(lambda connection: connection.execute(query).all())]


class TestToldTwice:
    @pytest.mark.parametrize("together", [True, False])
    @pytest.mark.parametrize(
        "other",
        [
            replace(TRANSFER, legs=(Leg("funding/GCOIN", -6), Leg("wallet/cafe-1", 6))),
            replace(TRANSFER, legs=(Leg("funding/GCOIN", -6), Leg("wallet/cafe-1", 5), Leg("held/cafe-1", 1))),
            replace(TRANSFER, legs=()),
            replace(TRANSFER, account_id="cafe-2"),
            replace(TRANSFER, at_ms=2),
        ],
    )
    async def test_a_transfer_with_other_contents_is_an_error_and_the_first_stands_alone(
        self, archive: Archive, caplog: pytest.LogCaptureFixture, other: Transfer, together: bool
    ) -> None:
        store = MemoryStore()
        projector = Projector(store, archive.database)
        await tell(store, TRANSFER)
        if not together:
            await projector.project()
        await tell(store, other, partition=9)
        await tell(store, top_up(2))
        while await projector.project():
            pass
        assert projector.contradictions == 1
        (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
        fields: dict[str, Any] = record.__dict__["fields"]
        assert (fields["kind"], fields["id"]) == ("transfer", TRANSFER.id)
        found = await legs(archive)
        kept = [(name, amount) for id_, name, amount in found if id_ == TRANSFER.id]
        # Which of two in one batch comes first depends on where the projector begins; whichever it is, it is whole.
        whole = [[(leg.ledger_account, leg.amount_micros) for leg in each.legs] for each in (TRANSFER, other)]
        assert kept in whole[: 1 + together]
        assert sum(amount for _, _, amount in found) == 0
        assert {id_ for id_, _, _ in found} >= {"topup/cafe-1/2"}

    @pytest.mark.parametrize("together", [True, False])
    async def test_the_same_again_changes_nothing(
        self, archive: Archive, caplog: pytest.LogCaptureFixture, together: bool
    ) -> None:
        store = MemoryStore()
        projector = Projector(store, archive.database)
        await tell(store, TRANSFER)
        if not together:
            await projector.project()
        await tell(store, TRANSFER)
        while await projector.project():
            pass
        assert await legs(archive) == [(TRANSFER.id, leg.ledger_account, leg.amount_micros) for leg in TRANSFER.legs]
        assert projector.contradictions == 0
        assert [record for record in caplog.records if record.levelno == logging.ERROR] == []

    @on_each_pair
    async def test_an_end_with_other_figures_is_an_error_and_the_first_settlement_stands(
        self, world: "World", clock: ManualClock, archive: Archive, caplog: pytest.LogCaptureFixture
    ) -> None:
        store, projector = world.engine.store, Projector(world.engine.store, archive.database)
        session_id = await world.open()
        clock.advance(30)
        session = await world.end(session_id)
        await projector.project()
        before = [each async for each in archive.export(Filter())]
        for again in (session, replace(session, ended_ms=clock.now_ms() + 1_000)):
            await tell(store, SessionEvent(Happening.ENDED, clock.now_ms(), again), partition=int(session_id[3:5], 16))
            await projector.project()
        assert [each async for each in archive.export(Filter())] == before
        assert projector.contradictions == 1
        assert [record.levelno for record in caplog.records if record.levelno >= logging.ERROR] == [logging.ERROR]


class TestAnotherStore:
    async def filled(self, archive: Archive, *events: OutboxEvent) -> Store:
        store = MemoryStore()
        await tell(store, *events)
        await Projector(store, archive.database).project()
        return store

    async def test_a_store_that_went_another_way_since_is_refused_though_it_is_ahead(self, archive: Archive) -> None:
        await self.filled(archive, top_up(1), top_up(2))
        other = MemoryStore()
        await tell(other, top_up(1), top_up(3), top_up(4))
        projector = Projector(other, archive.database)
        with pytest.raises(ArchiveError, match="event 2 is not the one that was archived"):
            await projector.project()
        assert projector.positions == {}
        assert len(await legs(archive)) == 4

    async def test_the_same_store_after_a_restart_is_not(self, archive: Archive) -> None:
        store = await self.filled(archive, top_up(1), top_up(2))
        await tell(store, top_up(3))
        again = Projector(store, archive.database)
        await again.check()
        assert await again.project() == 1

    async def test_nor_is_it_when_what_was_archived_has_been_dropped(self, archive: Archive) -> None:
        store = await self.filled(archive, top_up(1))
        await store.collect(1 << 61, 100)
        await tell(store, top_up(2))
        again = Projector(store, archive.database)
        assert await again.project() == 1
        assert again.lost == 0

    async def test_a_store_that_was_set_back_is_refused_at_once(self, archive: Archive) -> None:
        await self.filled(archive, top_up(1), top_up(2))
        older = MemoryStore()
        await tell(older, top_up(1))
        with pytest.raises(ArchiveError, match="restored from a backup") as refused:
            await Projector(older, archive.database).check()
        assert "ahead of the store (partition 7: 2 events archived, 1 ever there)" in str(refused.value)

    async def test_an_older_archive_catches_up_and_tells_what_is_gone(
        self, archive: Archive, open_archive: "ArchiveOpener", tmp_path: Path
    ) -> None:
        store = await self.filled(archive, top_up(1))
        older = await open_archive(f"sqlite:///{tmp_path / 'older.db'}")
        await tell(store, top_up(2))
        projector = Projector(store, older.database)
        assert await projector.project() == 2
        assert len(await legs(older)) == 4


class TestRunning:
    @pytest.fixture(autouse=True)
    def _in_a_hurry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("BACKOFF_SEC", "BACKOFF_MAX_SEC", "STUCK_SEC", "GATHER_SEC", "IDLE_SEC"):
            monkeypatch.setattr(projector_module, name, 0.001)

    @pytest.fixture
    async def run(self) -> AsyncIterator[Callable[[Projector], "asyncio.Task[None]"]]:
        tasks: list[asyncio.Task[None]] = []

        def run(projector: Projector) -> "asyncio.Task[None]":
            tasks.append(asyncio.create_task(projector.run()))
            return tasks[-1]

        yield run
        for task in tasks:
            assert not task.done()
            task.cancel()

    @staticmethod
    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - it tells nobody when it is done
                await asyncio.sleep(0.005)

    @staticmethod
    def told(caplog: pytest.LogCaptureFixture, message: str) -> int:
        return sum(record.getMessage() == message for record in caplog.records)

    @on_each_pair
    async def test_a_store_that_is_away_is_waited_for(
        self,
        faulty_store: "FaultInjectingStore",
        archive: Archive,
        caplog: pytest.LogCaptureFixture,
        run: Callable[[Projector], "asyncio.Task[None]"],
    ) -> None:
        await tell(faulty_store, top_up(1))
        projector = Projector(faulty_store, archive.database)
        faulty_store.is_away = True
        with caplog.at_level(logging.INFO):
            run(projector)
            await self.until(lambda: self.told(caplog, "archiving has to wait") > 3)
            faulty_store.is_away = False
            await self.until(lambda: projector.positions.get(7) == 1)
            faulty_store.is_away = True
            before = self.told(caplog, "archiving has to wait")
            await self.until(lambda: self.told(caplog, "archiving has to wait") > before)
            faulty_store.is_away = False
            await tell(faulty_store, top_up(2))
            projector.wake()
            await self.until(lambda: projector.positions.get(7) == 2)
        assert self.told(caplog, "archiving goes on") == 2
        assert len(await legs(archive)) == 4

    async def test_an_event_that_cannot_be_read_is_told_and_nothing_is_passed_over(
        self, archive: Archive, caplog: pytest.LogCaptureFixture, run: Callable[[Projector], "asyncio.Task[None]"]
    ) -> None:
        store = MemoryStore()
        await tell(store, top_up(1))
        await tell_data(store, b"\xffof the future")
        projector = Projector(store, archive.database)
        with pytest.raises(UnknownFormat) as unknown:
            await projector.project()
        assert unknown.value.__notes__ == ["partition 7, sequence 2"]
        run(projector)
        await self.until(lambda: self.told(caplog, "archiving failed") > 1)
        assert await legs(archive) == []
        assert projector.positions.get(7, 0) == 0

    async def test_another_stores_archive_is_told_in_a_sentence_again_and_again(
        self, archive: Archive, caplog: pytest.LogCaptureFixture, run: Callable[[Projector], "asyncio.Task[None]"]
    ) -> None:
        store = MemoryStore()
        await tell(store, top_up(1))
        await Projector(store, archive.database).project()
        run(Projector(MemoryStore(), archive.database))
        await self.until(lambda: self.told(caplog, "archiving is not possible") > 1)
        record = next(record for record in caplog.records if record.getMessage() == "archiving is not possible")
        assert "ahead of the store" in record.__dict__["fields"]["cause"]
        assert record.exc_info is None

    @on_each_pair
    async def test_what_is_away_at_the_end_is_not_waited_for(
        self, faulty_store: "FaultInjectingStore", archive: Archive, caplog: pytest.LogCaptureFixture
    ) -> None:
        await tell(faulty_store, top_up(1))
        projector = Projector(faulty_store, archive.database)
        faulty_store.is_away = True
        await projector.finish(60)
        faulty_store.is_away = False
        faulty_store.turns = lambda: 1 << 30
        await projector.finish(0.01)
        faulty_store.turns = int
        assert self.told(caplog, "stopped before everything was archived") == 2
        await projector.finish(60)
        assert projector.positions[7] == 1

    async def test_waits_grow_up_to_a_bound(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.undo()
        waits = list(itertools.accumulate(range(8), lambda wait, _: projector_module.longer(wait), initial=0.0))[1:]
        assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]

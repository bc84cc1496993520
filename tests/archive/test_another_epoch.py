"""A failover takes back what was archived, and its writers put it back in another order: the archive has each event once."""

import itertools
import logging
from collections.abc import Mapping

import pytest
from playclock.archive.archive import Archive
from playclock.archive.cursors import SAFE_SEC
from playclock.archive.errors import ArchiveError
from playclock.archive.projector import Projector
from playclock.archive.schema import audit, cursors, entries
from playclock.core.codec import encode
from playclock.core.ledger import Leg, Transfer, TransferKind
from playclock.core.outbox import Audit, OutboxEvent
from playclock.errors import StoreAway
from playclock.stores.base import ABSENT, Commit, Event, Put, StoredEvent
from playclock.stores.memory import MemoryStore
from sqlalchemy import func, select

from tests.conftest import FaultInjectingStore

PARTITION = 7
NUMBERS = itertools.count()


class Seconds:
    """Time as the projector sees it."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Servers(FaultInjectingStore):
    """A store on a server after whose fall another one takes over, with what that one has got."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())
        self.named = "first"
        self.falls_while_read = False

    async def epoch(self, partition: int) -> str:  # noqa: ARG002
        return self.named

    async def events(self, after: Mapping[int, int], limit: int) -> list[StoredEvent]:
        found = await super().events(after, limit)
        if self.falls_while_read:
            self.named = "fallen"
        return found

    async def tell(self, *events: OutboxEvent) -> None:
        """Put events into the outbox."""
        for event in events:
            put = Put(key=f"{PARTITION:02x}:nothing:{next(NUMBERS)}", expect=ABSENT, data=b"")
            told = Event(data=encode(event), retain_until_ms=1 << 60)
            assert await self.store.commit([Commit(partition=PARTITION, puts=(put,), events=(told,))]) == [None]

    async def fail_over(self, *has: OutboxEvent) -> None:
        """Let another server take over, which has so much."""
        self.named, self.store = f"epoch {next(NUMBERS)}", MemoryStore()
        await self.tell(*has)


@pytest.fixture
def store() -> Servers:
    return Servers()


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def projector(store: Servers, archive: Archive, seconds: Seconds) -> Projector:
    return Projector(store, archive.database, now=seconds)


def top_up(number: int) -> Transfer:
    return Transfer(
        id=f"topup/{number}",
        kind=TransferKind.TOP_UP,
        at_ms=number,
        account_id="cafe-1",
        currency="GCOIN",
        legs=(Leg("funding/GCOIN", -number), Leg("wallet/cafe-1", number)),
    )


def done(number: int) -> Audit:
    return Audit(number, "operator", "TopUpAccount", "cafe-1", f"topup/{number}")


async def drain(projector: Projector) -> None:
    while await projector.project(2):
        pass


async def archived(archive: Archive) -> list[str]:
    """Return what is archived: transfers and, in capitals, what operators did; each as often as it is there."""
    booked = select(entries.c.transfer_id).where(entries.c.leg == 0)
    found = await archive.database.run(lambda connection: connection.execute(booked).all())
    did = await archive.database.run(lambda connection: connection.execute(select(audit.c.detail)).all())
    total = await archive.database.run(
        lambda connection: connection.execute(select(func.coalesce(func.sum(entries.c.amount_micros), 0))).scalar()
    )
    assert total == 0
    return sorted([row[0] for row in found] + [row[0].upper() for row in did])


def names(*numbers: int) -> list[str]:
    return sorted([f"topup/{number}" for number in numbers] + [f"TOPUP/{number}" for number in numbers])


def both(*numbers: int) -> list[OutboxEvent]:
    return [event for number in numbers for event in (top_up(number), done(number))]


async def test_what_comes_back_in_another_order_is_archived_once_and_nothing_is_left_out(
    store: Servers, projector: Projector, archive: Archive, seconds: Seconds, caplog: pytest.LogCaptureFixture
) -> None:
    await store.tell(*both(1, 2))
    await drain(projector)
    seconds.now += SAFE_SEC
    await store.tell(*both(3))
    await drain(projector)
    await store.tell(*both(4))
    await drain(projector)
    # 3 and 4 were lost. Somebody is faster with 5, where 3 lay; the archive is ahead of what there is.
    await store.fail_over(*both(1, 2))
    await store.tell(*both(5))
    await drain(projector)
    assert await archived(archive) == names(1, 2, 3, 4, 5)
    await store.tell(*both(4, 3, 6))
    await drain(projector)
    assert await archived(archive) == names(1, 2, 3, 4, 5, 6)
    assert (projector.contradictions, projector.lost) == (0, 0)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_another_process_goes_back_as_well(
    store: Servers, projector: Projector, archive: Archive, seconds: Seconds
) -> None:
    await store.tell(*both(1))
    await drain(projector)
    seconds.now += SAFE_SEC
    await store.tell(*both(2))
    await drain(projector)
    await store.fail_over(*both(1, 3, 2))
    await drain(Projector(store, archive.database))
    await drain(projector)
    assert await archived(archive) == names(1, 2, 3)


async def test_only_what_was_archived_lately_is_read_again(
    store: Servers, projector: Projector, archive: Archive, seconds: Seconds
) -> None:
    for number in range(1, 5):
        await store.tell(*both(number))
        await drain(projector)
        seconds.now += SAFE_SEC
    await store.fail_over(*both(1, 2, 3, 4))
    assert await projector.project() == 4
    place = select(cursors.c.sequence, cursors.c.epoch).where(cursors.c.partition == PARTITION)
    row = await archive.database.run(lambda connection: connection.execute(place).one())
    assert tuple(row) == (8, store.named)


async def test_a_server_that_lacks_more_than_a_failover_loses_is_refused(
    store: Servers, projector: Projector, archive: Archive, seconds: Seconds
) -> None:
    for number in range(1, 5):
        await store.tell(*both(number))
        await drain(projector)
        seconds.now += SAFE_SEC
    await store.fail_over(*both(1))
    for each in (projector, Projector(store, archive.database)):
        with pytest.raises(ArchiveError, match=r"ahead of the store \(partition 7: 4 events archived, 2 ever there\)"):
            await each.project()


async def test_nor_is_one_believed_that_went_another_way_long_ago(
    store: Servers, projector: Projector, archive: Archive, seconds: Seconds
) -> None:
    for number in range(1, 5):
        await store.tell(*both(number))
        await drain(projector)
        seconds.now += SAFE_SEC
    await store.fail_over(*both(1, 6, 7, 8, 9))
    for each in (projector, Projector(store, archive.database)):
        with pytest.raises(ArchiveError, match="event 4 is not the one that was archived"):
            await each.project()
    assert await archived(archive) == names(1, 2, 3, 4)


async def test_what_is_read_of_a_server_that_falls_is_not_believed(
    store: Servers, projector: Projector, archive: Archive
) -> None:
    await projector.check()
    await store.tell(*both(1))
    store.falls_while_read = True
    with pytest.raises(StoreAway):
        await projector.project()
    assert await archived(archive) == []
    store.falls_while_read = False
    await drain(projector)
    assert await archived(archive) == names(1)


async def test_what_was_dropped_since_it_was_archived_is_not_missed(
    store: Servers, projector: Projector, seconds: Seconds, archive: Archive
) -> None:
    await store.tell(*both(1))
    await drain(projector)
    seconds.now += SAFE_SEC
    await store.tell(*both(2))
    await drain(projector)
    await store.collect(1 << 61, 100)
    store.named = "second"
    await store.tell(*both(3))
    await drain(projector)
    assert projector.lost == 0
    assert await archived(archive) == names(1, 2, 3)


async def test_a_store_without_epochs_is_no_server_that_took_over(
    store: Servers, projector: Projector, archive: Archive
) -> None:
    await store.tell(*both(1))
    await drain(projector)
    with pytest.raises(ArchiveError, match="ahead of the store"):
        await Projector(MemoryStore(), archive.database).project()

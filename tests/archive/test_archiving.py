"""From the outbox to the archive: everything, once, with the right figures, whatever happens on the way."""

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from playclock.archive.archive import Archive
from playclock.archive.errors import ArchiveError
from playclock.archive.projector import Projector
from playclock.archive.schema import audit, cursors, entries
from playclock.clock import ManualClock
from playclock.core.settlement import Settlement, chain_problems, settlement_of
from playclock.engine.history import Filter
from playclock.errors import ArchiveAway, StoreAway
from playclock.stores.memory import MemoryStore
from sqlalchemy import Select, event, func, select

from tests.archive_pairs import on_each_pair

if TYPE_CHECKING:
    from tests.archive.conftest import ArchiveOpener
    from tests.conftest import FaultInjectingStore, World


async def everything(archive: Archive) -> list[Settlement]:
    return [settlement async for settlement in archive.export(Filter())]


async def rows(archive: Archive, query: Select[Any]) -> list[Any]:
    return await archive.database.run(lambda connection: list(connection.execute(query).all()))


async def drain(projector: Projector, limit: int = 1_000) -> int:
    archived = 0
    while more := await projector.project(limit):
        archived += more
    return archived


async def play(world: "World", clock: ManualClock, sessions: int = 12) -> list[str]:
    """Play sessions of two games to their ends, most of them paid for."""
    played = []
    for number in range(sessions):
        game_id = world.OTHER_GAME_ID if number % 3 == 0 else world.GAME_ID
        at = world.FREE if number % 4 == 0 else world.PAYING
        played.append(await world.open(f"pc-{number}", at=at, game_id=game_id))
        clock.advance(45)
        await world.beat(played[-1], caller=world.OPERATOR)
        clock.advance(10 + number)
        await world.end(played[-1], caller=world.OPERATOR)
    return played


@on_each_pair
class TestWhatIsArchived:
    async def test_every_ended_session_has_one_settlement_with_its_figures(
        self, world: "World", clock: ManualClock, archive: Archive
    ) -> None:
        played = await play(world, clock)
        await world.open("pc-live")
        await drain(Projector(world.engine.store, archive.database))
        found = await everything(archive)
        assert Counter(each.game_session_id for each in found) == Counter(played)
        for each in found:
            assert each == settlement_of(await world.stored(each.game_session_id), each.previous_hash)
        paid = next(each for each in found if each.game_session_id == played[1])
        assert (paid.play_duration_sec, paid.billed_sec, paid.amount_micros) == (56, 56, 1_000_000)
        assert (paid.account_id, paid.currency, paid.end_reason) == (world.ACCOUNT, "GCOIN", "CLIENT_END")

    async def test_the_entries_sum_to_zero_and_to_what_the_account_has(
        self, world: "World", clock: ManualClock, archive: Archive
    ) -> None:
        await play(world, clock)
        await world.open("pc-live")
        await world.engine.accounts.top_up(world.OPERATOR, world.ACCOUNT, 7_000_000, request_id="once")
        await drain(Projector(world.engine.store, archive.database))
        sums = select(func.sum(entries.c.amount_micros)).group_by(entries.c.transfer_id)
        assert {int(total) for (total,) in await rows(archive, sums)} == {0}
        by_account = select(entries.c.ledger_account, func.sum(entries.c.amount_micros)).group_by(entries.c.ledger_account)
        totals = {name: int(total) for name, total in await rows(archive, by_account)}
        account = await world.account()
        assert totals[f"held/{world.ACCOUNT}"] == account.held_micros > 0
        assert totals[f"wallet/{world.ACCOUNT}"] == account.balance_micros - account.held_micros
        ((action,),) = await rows(archive, select(audit.c.action).where(audit.c.action == "TopUpAccount"))
        assert action == "TopUpAccount"

    async def test_a_chain_holds_and_whatever_is_done_to_it_shows(
        self, world: "World", clock: ManualClock, archive: Archive
    ) -> None:
        await play(world, clock)
        await drain(Projector(world.engine.store, archive.database), limit=5)
        found = await everything(archive)
        assert chain_problems(found, whole=True) == []
        for place in range(len(found) - 2):
            changed = replace(found[place], amount_micros=found[place].amount_micros + 1)
            assert chain_problems([*found[:place], changed, *found[place + 1 :]])
            assert chain_problems([*found[: place + 1], found[place], *found[place + 1 :]])
        inner = next(n for n, each in enumerate(found) if any(later.game_id == each.game_id for later in found[n + 1 :]))
        assert chain_problems(found[:inner] + found[inner + 1 :], whole=True)
        assert chain_problems(found[::-1])


@on_each_pair
class TestExactlyOnce:
    async def test_to_project_again_changes_nothing(self, world: "World", clock: ManualClock, archive: Archive) -> None:
        await play(world, clock)
        assert await drain(Projector(world.engine.store, archive.database)) == sum((await world.engine.store.heads()).values())
        before = await everything(archive)
        assert await drain(Projector(world.engine.store, archive.database)) == 0
        assert await everything(archive) == before

    async def test_projectors_that_race_archive_everything_once(
        self, world: "World", clock: ManualClock, open_archive: "ArchiveOpener"
    ) -> None:
        played = await play(world, clock, 30)
        projectors = [Projector(world.engine.store, (await open_archive()).database) for _ in range(3)]
        heads = await world.engine.store.heads()
        archive = await open_archive()
        while dict(await rows(archive, select(cursors.c.partition, cursors.c.sequence).where(cursors.c.sequence > 0))) != heads:
            await asyncio.gather(*(projector.project(7) for projector in projectors))
        found = await everything(archive)
        assert Counter(each.game_session_id for each in found) == Counter(played)
        assert chain_problems(found, whole=True) == []

    async def test_a_failure_after_any_statement_leaves_nothing_behind(
        self, world: "World", clock: ManualClock, archive: Archive
    ) -> None:
        played = await play(world, clock)
        projector = Projector(world.engine.store, archive.database)
        engine = archive.database._engine
        left = 0

        def fail(*_: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise ZeroDivisionError

        event.listen(engine, "after_cursor_execute", fail)
        for statements in range(1, 60):
            left = statements
            try:
                await projector.project(20)
            except ZeroDivisionError:
                continue
        left = 1 << 30
        await drain(projector)
        found = await everything(archive)
        assert Counter(each.game_session_id for each in found) == Counter(played)
        assert chain_problems(found, whole=True) == []
        legs = await rows(archive, select(func.count()).select_from(entries).group_by(entries.c.transfer_id, entries.c.leg))
        assert {number for (number,) in legs} == {1}
        assert projector.lost == 0


@on_each_pair
class TestWhatIsMissing:
    async def test_events_that_were_dropped_too_early_are_counted_and_told(
        self, world: "World", clock: ManualClock, archive: Archive, caplog: pytest.LogCaptureFixture
    ) -> None:
        await play(world, clock, 2)
        store = world.engine.store
        dropped = sum((await store.heads()).values())
        await store.collect(1 << 60, 10_000)
        with caplog.at_level(logging.ERROR):
            played = await play(world, clock, 3)
            projector = Projector(store, archive.database)
            await drain(projector)
        assert projector.lost == dropped
        assert "events were dropped" in caplog.text
        assert Counter(each.game_session_id for each in await everything(archive)) == Counter(played)
        assert {at: n for at, n in projector.positions.items() if n} == await store.heads()

    async def test_nothing_is_dropped_that_was_not_archived(self, world: "World", clock: ManualClock, archive: Archive) -> None:
        played = await play(world, clock)
        store, projector = world.engine.store, Projector(world.engine.store, archive.database)
        await store.collect(1 << 60, 10_000, keep_after=projector.positions)
        await projector.project(9)
        await store.collect(1 << 60, 10_000, keep_after=projector.positions)
        await drain(projector)
        assert projector.lost == 0
        assert len(await everything(archive)) == len(played)

    async def test_another_store_is_refused_and_may_drop_nothing(
        self, world: "World", clock: ManualClock, archive: Archive
    ) -> None:
        await play(world, clock, 2)
        await drain(Projector(world.engine.store, archive.database))
        other = Projector(MemoryStore(), archive.database)
        with pytest.raises(ArchiveError, match="ahead of the store"):
            await other.project()
        assert other.positions == {}


@on_each_pair
class TestRunning:
    async def test_it_archives_what_comes_until_it_is_stopped(
        self, world: "World", clock: ManualClock, archive: Archive
    ) -> None:
        projector = Projector(world.engine.store, archive.database)
        running = asyncio.create_task(projector.run())
        played = await play(world, clock, 3)
        projector.wake()
        async with asyncio.timeout(10):
            while len(await everything(archive)) < len(played):  # noqa: ASYNC110 - it tells nobody when it is done
                await asyncio.sleep(0.005)
        running.cancel()

    async def test_what_waits_for_an_archive_that_is_away_is_counted(
        self, world: "World", clock: ManualClock, archive: Archive
    ) -> None:
        projector = Projector(world.engine.store, archive.database)
        assert projector.behind is None
        await drain(projector)
        assert projector.behind == 0
        await archive.database.close()
        for _ in range(2):
            before = projector.behind or 0
            await play(world, clock, 1)
            with pytest.raises(ArchiveAway):
                await projector.project()
            assert (projector.behind or 0) > before
        assert projector.lost == projector.contradictions == 0

    async def test_an_archive_or_a_store_that_is_away_says_so(
        self, world: "World", faulty_store: "FaultInjectingStore", archive: Archive
    ) -> None:
        projector = Projector(faulty_store, archive.database)
        faulty_store.is_away = True
        with pytest.raises(StoreAway):
            await projector.project()
        faulty_store.is_away = False
        await archive.database.close()
        with pytest.raises(ArchiveAway):
            await projector.project()
        assert world.engine.store is faulty_store.store

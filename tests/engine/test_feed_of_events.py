"""The feed: what happens to sessions, told once and in order, to whoever watches from wherever."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest
from playclock.clock import ManualClock
from playclock.core.records import Happening, SessionEvent
from playclock.core.session import EndReason
from playclock.engine import feed
from playclock.engine.feed import Told
from playclock.errors import BadRequest, CursorExpired

if TYPE_CHECKING:
    from tests.conftest import Restart, World

OPENED, EXHAUSTED, ENDED = Happening.OPENED, Happening.EXHAUSTED, Happening.ENDED


class Watcher:
    """Watches, and keeps the cursor of the last thing it was told."""

    def __init__(self, told: AsyncIterator[Told[SessionEvent]]) -> None:
        self._told = told
        self.cursor = ""

    async def next(self) -> SessionEvent:
        """Return the next event, and fail rather than wait for ever."""
        async with asyncio.timeout(10):
            while True:
                told = await anext(self._told)
                self.cursor = told.cursor
                if told.event is not None:
                    return told.event

    async def take(self, count: int) -> list[tuple[str, Happening]]:
        events = [await self.next() for _ in range(count)]
        return [(event.session.id, event.happening) for event in events]

    async def first_cursor(self) -> str:
        told = await anext(self._told)
        assert told.event is None
        self.cursor = told.cursor
        return told.cursor


@asynccontextmanager
async def watching(
    world: "World", cursor: str = "", *, game_id: str | None = None, session_id: str | None = None
) -> AsyncIterator[Watcher]:
    told = world.engine.feed.watch(cursor=cursor, game_id=game_id, session_id=session_id)
    watcher = Watcher(told)
    await watcher.first_cursor()
    yield watcher
    await told.aclose()


class TestWhatIsTold:
    async def test_a_session_is_told_of_from_its_opening_to_its_end(self, world: "World", clock: ManualClock) -> None:
        async with watching(world) as watcher:
            session = await world.open(server="server-1")
            opened = await watcher.next()
            assert (opened.happening, opened.at_ms, opened.session) == (OPENED, clock.now_ms(), await world.stored(session))
            clock.advance(30)
            await world.beat(session)
            clock.advance(30)
            await world.end(session, counted_sec=59)
            ended = await watcher.next()
            assert (ended.happening, ended.at_ms, ended.session) == (ENDED, clock.now_ms(), await world.stored(session))

    async def test_what_is_noticed_late_is_told_with_the_time_at_which_it_happened(
        self, world: "World", clock: ManualClock
    ) -> None:
        async with watching(world) as watcher:
            await world.open()
            opened = await watcher.next()
            clock.advance(3_600)
            await world.engine.sweep()
            ended = await watcher.next()
            assert (ended.happening, ended.at_ms) == (ENDED, opened.at_ms + 240_000)
            assert ended.session.end_reason is EndReason.HEARTBEAT_TIMEOUT

    async def test_a_replaced_session_ends_before_the_new_one_opens(self, world: "World") -> None:
        launch = await world.start()
        async with watching(world) as watcher:
            old = await world.join(launch)
            new = await world.join(launch)
            assert await watcher.take(3) == [(old, OPENED), (old, ENDED), (new, OPENED)]

    async def test_nothing_is_told_twice_or_of_what_did_not_happen(self, world: "World") -> None:
        async with watching(world) as watcher:
            await world.redeem(await world.ott(pc="pc-9"), caller=world.OTHER_GAME)
            session = await world.open()
            for _ in range(3):
                await world.beat(session)
                await world.engine.sweep()
            last = await world.open("pc-2")
            assert await watcher.take(2) == [(session, OPENED), (last, OPENED)]

    async def test_events_of_one_partition_keep_their_order_in_a_crowd(self, world: "World") -> None:
        async with watching(world) as watcher:
            sessions = await asyncio.gather(*(world.open(f"pc-{number}", at=world.FREE) for number in range(300)))
            await asyncio.gather(*(world.end(session, caller=world.OPERATOR) for session in sessions))
            told = await watcher.take(600)
        for session in sessions:
            assert [happening for id_, happening in told if id_ == session] == [OPENED, ENDED]
        assert len(set(told)) == 600


class TestFilters:
    async def test_a_watcher_of_a_game_hears_of_that_game(self, world: "World") -> None:
        async with watching(world, game_id=world.OTHER_GAME_ID) as watcher:
            await world.open("pc-1")
            other = await world.open("pc-2", game_id=world.OTHER_GAME_ID)
            assert await watcher.take(1) == [(other, OPENED)]

    async def test_a_watcher_of_a_session_hears_of_that_session(self, world: "World") -> None:
        first, second = await world.open("pc-1"), await world.open("pc-2")
        async with watching(world, session_id=second) as watcher:
            await world.end(first)
            await world.end(second)
            assert await watcher.take(1) == [(second, ENDED)]

    async def test_what_is_left_out_moves_the_cursor_too(self, world: "World") -> None:
        async with watching(world, game_id=world.OTHER_GAME_ID) as watcher:
            skipped = await world.open("pc-1")
            await world.open("pc-2", game_id=world.OTHER_GAME_ID)
            await watcher.next()
        async with watching(world, watcher.cursor) as all_of_it:
            await world.end(skipped)
            assert await all_of_it.take(1) == [(skipped, ENDED)]


class TestCursor:
    async def test_a_watch_without_one_begins_with_what_happens_from_then_on(self, world: "World") -> None:
        await world.open("pc-1")
        async with watching(world) as watcher:
            later = await world.open("pc-2")
            assert await watcher.take(1) == [(later, OPENED)]

    async def test_a_watch_goes_on_after_each_event_it_was_told(self, world: "World") -> None:
        async with watching(world) as watcher:
            cursors = [watcher.cursor]
            launch, free = await world.start(), await world.start(at=world.FREE)
            for number in range(4):
                await world.join((launch, free)[number % 2])
            told = []
            for _ in range(6):
                told += await watcher.take(1)
                cursors.append(watcher.cursor)
        for place, cursor in enumerate(cursors):
            async with watching(world, cursor) as again:
                assert sorted(await again.take(6 - place)) == sorted(told[place:])

    async def test_it_goes_on_after_a_restart_and_misses_nothing(self, world: "World", restart: "Restart") -> None:
        async with watching(world) as watcher:
            first = await world.open("pc-1")
            await watcher.take(1)
        await world.end(first)
        again = await restart()
        async with watching(again, watcher.cursor) as later:
            second = await again.open("pc-2")
            assert await later.take(2) == [(first, ENDED), (second, OPENED)]

    async def test_a_cursor_is_expired_when_events_after_it_are_gone(self, world: "World", clock: ManualClock) -> None:
        async with watching(world) as watcher:
            session = await world.open()
            await watcher.take(1)
        await world.end(session)
        clock.advance(86_400)
        await world.engine.sweep()
        await world.open("pc-2")
        with pytest.raises(CursorExpired):
            async with watching(world, watcher.cursor) as late:
                await late.next()

    async def test_it_is_expired_even_if_nothing_has_happened_since(self, world: "World", clock: ManualClock) -> None:
        async with watching(world) as watcher:
            session = await world.open()
            await watcher.take(1)
        await world.end(session)
        clock.advance(86_400)
        await world.engine.sweep()
        with pytest.raises(CursorExpired):
            async with watching(world, watcher.cursor) as late:
                await late.next()

    async def test_a_cursor_that_is_ahead_of_the_store_is_expired(self, world: "World") -> None:
        async with watching(world) as watcher:
            positions, mark = msgspec.msgpack.decode(base64.urlsafe_b64decode(watcher.cursor + "=="), strict=False)
        ahead = base64.urlsafe_b64encode(msgspec.msgpack.encode(({**positions, 7: 99}, mark))).decode().rstrip("=")
        with pytest.raises(CursorExpired, match="ahead"):
            async with watching(world, ahead) as lost:
                await lost.next()

    async def test_a_cursor_right_behind_what_was_collected_is_good(self, world: "World", clock: ManualClock) -> None:
        async with watching(world) as watcher:
            session = await world.open()
            await world.end(session)
            await watcher.take(2)
        clock.advance(86_400)
        await world.engine.sweep()
        async with watching(world, watcher.cursor) as late:
            new = await world.open("pc-2")
            assert await late.take(1) == [(new, OPENED)]

    @pytest.mark.parametrize("positions", [{256: 0}, {-1: 0}, {0: -1}, {0: 1 << 63}, {"0": 0}, [0], 7])
    @pytest.mark.parametrize("is_marked", [True, False])
    async def test_what_is_no_cursor_is_refused(self, world: "World", positions: object, is_marked: bool) -> None:
        read = (positions, b"12345678") if is_marked else positions
        cursor = base64.urlsafe_b64encode(msgspec.msgpack.encode(read)).decode().rstrip("=")
        with pytest.raises(BadRequest) as refusal:
            await anext(world.engine.feed.watch(cursor=cursor))
        assert list(refusal.value.violations) == ["cursor"]

    @pytest.mark.parametrize("cursor", ["x", "é", "!!!!", "A" * 10_000])
    async def test_nor_is_what_is_no_text_of_ours(self, world: "World", cursor: str) -> None:
        with pytest.raises(BadRequest):
            await anext(world.engine.feed.watch(cursor=cursor))


class TestWaking:
    async def test_a_watcher_is_woken_at_once_by_what_happens_in_its_process(
        self, world: "World", monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(feed, "POLL_SEC", 3_600)
        async with watching(world) as watcher:
            for number in range(3):
                waiting = asyncio.create_task(watcher.next())
                await asyncio.sleep(0)
                session = await world.open(f"pc-{number}")
                assert (await waiting).session.id == session

    async def test_a_watcher_hears_of_what_happens_in_another_process(self, world: "World", elsewhere: "World") -> None:
        async with watching(world) as watcher:
            waiting = asyncio.create_task(watcher.next())
            await asyncio.sleep(0)
            session = await elsewhere.open()
            assert (await waiting).session.id == session

    async def test_a_watcher_that_leaves_is_forgotten(self, world: "World") -> None:
        before = asyncio.all_tasks()
        async with watching(world) as watcher:
            waiting = asyncio.create_task(watcher.next())
            await asyncio.sleep(0)
            assert len(world.engine.feed._news) == 1
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert world.engine.feed._news == set()
        assert asyncio.all_tasks() == before

    async def test_a_slow_watcher_misses_nothing(self, world: "World", monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(feed, "PAGE", 7)
        async with watching(world) as watcher:
            sessions = [await world.open(f"pc-{number}") for number in range(30)]
            sessions += [await world.open(f"pc-{number}", at=world.FREE) for number in range(30)]
            assert sorted(await watcher.take(60)) == sorted((session, OPENED) for session in sessions)

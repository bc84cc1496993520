"""What ended sessions came to, and the ledger: over a socket and in process, with an archive on every kind of database."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from playclock.archive.archiving import ArchiveOfStore
from playclock.archive.urls import open_archive
from playclock.clock import ManualClock
from playclock.core.settlement import FIRST_HASH
from playclock.core.timers import Timers
from playclock.engine import Engine
from playclock.stores.base import Store
from playclock.v1 import (
    Entry,
    ExportSettlementsRequest,
    ListEntriesRequest,
    ListSettlementsRequest,
    Settlement,
    SummarizeSettlementsRequest,
)

if TYPE_CHECKING:
    from tests.conftest import EngineMaker, World
    from tests.rpc.conftest import Rpc

NEW_YEAR_MS: Final = 1_767_225_600_000
"""When the clock of the tests begins: 2026-01-01 00:00 in UTC, 09:00 in Seoul, 19:00 of the year before in New York."""
SEC_MAX: Final = 600

Figures = tuple[str, int, int, int, int, int]


@pytest.fixture(params=["memory", "sqlite"])
def store_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def archive(store: Store, store_kind: str, tmp_path: Path) -> AsyncIterator[ArchiveOfStore]:
    url = "sqlite://" if store_kind == "memory" else f"sqlite:///{tmp_path}/archive.db"
    async with await open_archive(url, store) as archive:
        yield archive


@pytest.fixture
async def engine(make_engine: "EngineMaker", store: Store, archive: ArchiveOfStore) -> Engine:
    return await make_engine(store, archive=archive, timers=Timers(session_max_ms=1000 * SEC_MAX))


@pytest.fixture(params=["over a socket", "in process"])
def there(request: pytest.FixtureRequest, rpc: "Rpc", near: "Rpc") -> "Rpc":
    return rpc if request.param == "over a socket" else near


def figures(settlement: Settlement) -> Figures:
    """Return the reason, and played, billed, grace and unproven seconds, and millionths."""
    return (
        settlement.end_reason,
        settlement.play_duration_sec,
        settlement.billed_sec,
        settlement.grace_sec,
        settlement.unproven_sec,
        settlement.amount_micros,
    )


async def listed(rpc: "Rpc", request: ListSettlementsRequest | None = None) -> list[Settlement]:
    answer = await rpc.settlements.ListSettlements(request or ListSettlementsRequest(), metadata=rpc.OPERATOR)
    return list(answer.settlements)


async def exported(
    rpc: "Rpc", request: ExportSettlementsRequest, *, as_: "Sequence[tuple[str, str | bytes]]"
) -> list[Settlement]:
    return [answer.settlement async for answer in rpc.settlements.ExportSettlements(request, metadata=tuple(as_))]


async def summed(rpc: "Rpc", by: str, time_zone: str) -> list[tuple[str, int, int]]:
    grouping = SummarizeSettlementsRequest.Grouping.Value(f"GROUPING_{by.upper()}")
    request = SummarizeSettlementsRequest(group_by=[grouping], time_zone=time_zone)
    answer = await rpc.settlements.SummarizeSettlements(request, metadata=rpc.OPERATOR)
    field = {"day": "period", "month": "period"}.get(by, f"{by}_id")
    return [(getattr(each, field), each.session_count, each.amount_micros) for each in answer.summaries]


class Player:
    """Moves the time, and keeps launchers and game servers alive as it goes."""

    def __init__(self, world: "World", clock: ManualClock) -> None:
        self._world, self._clock = world, clock

    async def wait(self, seconds: int, *, session_id: str = "", launch_id: str = "") -> None:
        """Let so much time go by, with a heartbeat every 100 s and at the end."""
        while seconds:
            step = min(seconds, 100)
            self._clock.advance(step)
            seconds -= step
            if session_id:
                await self._world.beat(session_id)
            if launch_id:
                await self._world.engine.launches.heartbeat(self._world.OPERATOR, launch_id)


async def client_end(world: "World", player: Player) -> str:
    session_id = await world.open()
    await player.wait(90, session_id=session_id)
    await world.end(session_id, counted_sec=85)
    return session_id


async def heartbeat_timeout(world: "World", player: Player) -> str:
    launch_id = await world.start()
    session_id = await world.join(launch_id)
    await player.wait(100, session_id=session_id, launch_id=launch_id)
    await player.wait(300, launch_id=launch_id)
    return session_id


async def launcher_timeout(world: "World", player: Player) -> str:
    session_id = await world.open()
    await player.wait(120, session_id=session_id)
    await player.wait(200)
    return session_id


async def charge_exhausted(world: "World", player: Player) -> str:
    await world.provision_poor(2_000_000)
    launch_id = await world.start(at=world.POOR)
    session_id = await world.join(launch_id)
    await player.wait(100, session_id=session_id, launch_id=launch_id)
    await player.wait(200, launch_id=launch_id)
    return session_id


async def replaced(world: "World", player: Player) -> str:
    session_id = await world.open()
    await player.wait(30)
    await world.end(await world.open(user="player-2"))
    return session_id


async def terminated(world: "World", player: Player) -> str:
    session_id = await world.open()
    await player.wait(61, session_id=session_id)
    await world.engine.sessions.terminate(world.OPERATOR, session_id)
    return session_id


async def server_restart(world: "World", player: Player) -> str:
    session_id = await world.open(server="server-1")
    await player.wait(50, session_id=session_id)
    await player.wait(20)
    await world.engine.sessions.end_of_server(world.GAME, world.GAME_ID, "server-1")
    return session_id


async def max_duration(world: "World", player: Player) -> str:
    launch_id = await world.start()
    session_id = await world.join(launch_id)
    await player.wait(SEC_MAX - 50, session_id=session_id, launch_id=launch_id)
    await player.wait(100)
    return session_id


CASES: Final = {
    "CLIENT_END": (client_end, (90, 90, 0, 0, 2_000_000)),
    "HEARTBEAT_TIMEOUT": (heartbeat_timeout, (100, 100, 0, 240, 2_000_000)),
    "LAUNCHER_TIMEOUT": (launcher_timeout, (120, 120, 0, 120, 2_000_000)),
    "CHARGE_EXHAUSTED": (charge_exhausted, (240, 120, 120, 0, 2_000_000)),
    "REPLACED": (replaced, (30, 30, 0, 0, 1_000_000)),
    "TERMINATED": (terminated, (61, 61, 0, 0, 2_000_000)),
    "SERVER_RESTART": (server_restart, (50, 50, 0, 20, 1_000_000)),
    "MAX_DURATION": (max_duration, (600, 600, 0, 0, 10_000_000)),
}


@pytest.mark.parametrize("reason", list(CASES))
async def test_a_session_that_ended_in_any_way_has_its_exact_figures(
    world: "World", clock: ManualClock, there: "Rpc", reason: str
) -> None:
    play, expected = CASES[reason]
    session_id = await play(world, Player(world, clock))
    await world.engine.sweep()
    (settlement,) = [each for each in await listed(there) if each.game_session_id == session_id]
    assert figures(settlement) == (reason, *expected)
    assert settlement.HasField("client_play_duration_sec") is (reason == "CLIENT_END")
    assert settlement.client_play_duration_sec == (85 if reason == "CLIENT_END" else 0)
    assert (settlement.currency, settlement.tariff, settlement.game_id) == ("GCOIN", "standard", world.GAME_ID)
    session = await world.stored(session_id)
    assert settlement.started.ToMilliseconds() == session.started_ms
    assert settlement.ended.ToMilliseconds() == session.ended_ms


async def test_a_session_that_nobody_pays_for_has_a_settlement_without_an_amount(
    world: "World", clock: ManualClock, there: "Rpc"
) -> None:
    session_id = await world.open(at=world.FREE)
    clock.advance(90)
    await world.end(session_id)
    await world.engine.sweep()
    (settlement,) = await listed(there)
    assert figures(settlement) == ("CLIENT_END", 90, 0, 0, 0, 0)
    assert (settlement.account_id, settlement.currency, settlement.tariff) == ("", "", "")


@pytest.fixture
async def played(world: "World", clock: ManualClock) -> list[str]:
    """Play seven sessions, five hours apart, each a minute longer than the one before, the third one for another game."""
    sessions = []
    for number in range(7):
        started_ms, launch_id = clock.now_ms(), await world.start()
        sessions.append(await world.join(launch_id, game_id=world.OTHER_GAME_ID if number == 2 else world.GAME_ID))
        for _ in range(number):
            clock.advance(60)
            await world.beat(sessions[-1], caller=world.OPERATOR)
            await world.engine.launches.heartbeat(world.OPERATOR, launch_id)
        clock.advance(30)
        await world.end(sessions[-1], caller=world.OPERATOR)
        clock.advance(5 * 3600 - (clock.now_ms() - started_ms) // 1000)
    await world.engine.sweep()
    return sessions


class TestLists:
    async def test_pages_together_are_the_whole_list_in_the_order_of_the_export(self, there: "Rpc", played: list[str]) -> None:
        request = ListSettlementsRequest(page_size=3)
        found: list[Settlement] = []
        sizes = []
        while True:
            page = await there.settlements.ListSettlements(request, metadata=there.OPERATOR)
            found += page.settlements
            sizes.append(len(page.settlements))
            request.page_token = page.next_page_token
            if not page.next_page_token:
                break
        assert sizes == [3, 3, 1]
        assert {each.game_session_id for each in found} == set(played)
        assert await exported(there, ExportSettlementsRequest(), as_=there.OPERATOR) == found

    async def test_filters_let_through_what_they_name(self, world: "World", there: "Rpc", played: list[str]) -> None:
        def at(sec: int) -> Timestamp:
            return Timestamp(seconds=NEW_YEAR_MS // 1000 + sec)

        for request, expected in (
            (ListSettlementsRequest(game_id=world.OTHER_GAME_ID), played[2:3]),
            (ListSettlementsRequest(account_id=world.ACCOUNT, cafe_id="cafe-1"), played),
            (ListSettlementsRequest(cafe_id="cafe-2"), []),
            (ListSettlementsRequest(ended_from=at(30), ended_until=at(5 * 3600 + 90)), played[:1]),
            (ListSettlementsRequest(ended_from=at(5 * 3600 + 90)), played[1:]),
        ):
            assert {each.game_session_id for each in await listed(there, request)} == set(expected)

    async def test_a_game_server_sees_its_own_games_and_its_chain_is_whole(
        self, world: "World", there: "Rpc", played: list[str]
    ) -> None:
        own = await exported(there, ExportSettlementsRequest(game_id=world.GAME_ID), as_=there.OTHER_GAME)
        assert [each.game_session_id for each in own] == played[2:3]
        others = await exported(there, ExportSettlementsRequest(), as_=there.GAME)
        assert {each.game_session_id for each in others} == {*played[:2], *played[3:]}
        assert [each.previous_hash for each in others] == [FIRST_HASH, *(each.hash for each in others[:-1])]


class TestSums:
    async def test_by_game_cafe_and_account(self, world: "World", there: "Rpc", played: list[str]) -> None:  # noqa: ARG002
        # A session of n minutes and a half costs n + 1.
        assert await summed(there, "cafe", "UTC") == [("cafe-1", 7, 28_000_000)]
        assert await summed(there, "account", "UTC") == [(world.ACCOUNT, 7, 28_000_000)]
        assert sorted(await summed(there, "game", "")) == sorted(
            [(world.GAME_ID, 6, 25_000_000), (world.OTHER_GAME_ID, 1, 3_000_000)]
        )

    async def test_days_and_months_are_those_of_the_time_zone(self, there: "Rpc", played: list[str]) -> None:  # noqa: ARG002
        # They begin at 0, 5, 10, 15, 20, 25 and 30 o'clock in UTC, nine hours later in Seoul, five earlier in New York.
        assert await summed(there, "day", "UTC") == [("2026-01-01", 5, 15_000_000), ("2026-01-02", 2, 13_000_000)]
        assert await summed(there, "day", "Asia/Seoul") == [("2026-01-01", 3, 6_000_000), ("2026-01-02", 4, 22_000_000)]
        assert await summed(there, "month", "America/New_York") == [("2025-12", 1, 1_000_000), ("2026-01", 6, 27_000_000)]

    async def test_no_session_that_ended_is_no_row(self, world: "World", there: "Rpc") -> None:
        await world.open()
        await world.engine.sweep()
        assert await summed(there, "month", "UTC") == []
        assert await listed(there) == []


class TestEntries:
    async def entries(self, rpc: "Rpc", account_id: str, page_size: int = 0) -> list[Entry]:
        request = ListEntriesRequest(account_id=account_id, page_size=page_size)
        found: list[Entry] = []
        while True:
            page = await rpc.accounts.ListEntries(request, metadata=rpc.OPERATOR)
            found += page.entries
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return found

    async def test_a_sessions_legs_sum_to_zero_and_to_what_was_billed(
        self, world: "World", clock: ManualClock, there: "Rpc"
    ) -> None:
        session_id = await world.open()
        clock.advance(90)
        await world.end(session_id)
        await world.engine.accounts.top_up(world.OPERATOR, world.ACCOUNT, 7, request_id="invoice-1")
        await world.engine.sweep()
        found = await self.entries(there, world.ACCOUNT)
        assert await self.entries(there, world.ACCOUNT, page_size=2) == found
        sums: dict[str, int] = {}
        for entry in found:
            sums[entry.ledger_account] = sums.get(entry.ledger_account, 0) + entry.amount_micros
        assert sums == {
            "funding/GCOIN": -world.OPENING_MICROS - 7,
            f"wallet/{world.ACCOUNT}": world.OPENING_MICROS + 7 - 2_000_000,
            f"held/{world.ACCOUNT}": 0,
            f"revenue/{world.GAME_ID}": 2_000_000,
        }
        transfers: dict[str, int] = {}
        for entry in found:
            transfers[entry.transfer_id] = transfers.get(entry.transfer_id, 0) + entry.amount_micros
        assert set(transfers.values()) == {0}
        assert {entry.kind for entry in found} == {"OPENING", "CHARGE", "TOP_UP"}
        charged = [entry for entry in found if entry.game_session_id]
        assert {entry.game_session_id for entry in charged} == {session_id}
        assert charged[-1].book_time.ToMilliseconds() == NEW_YEAR_MS + 90_000

    async def test_an_account_that_nobody_has_made_is_not_found(self, world: "World", there: "Rpc") -> None:  # noqa: ARG002
        request = ListEntriesRequest(account_id="nobody")
        failed = await there.failure(there.accounts.ListEntries(request, metadata=there.OPERATOR))
        assert (failed.code, failed.reason) == (grpc.StatusCode.NOT_FOUND, "ACCOUNT_NOT_FOUND")


class TestBadInput:
    @pytest.mark.parametrize(
        ("request_", "field"),
        [
            (ListSettlementsRequest(page_size=-1), "page_size"),
            (ListSettlementsRequest(page_token="nonsense"), "page_token"),
            (ListSettlementsRequest(game_id="a\0b"), "game_id"),
        ],
    )
    async def test_what_cannot_be_listed_is_told_with_its_field(
        self, there: "Rpc", request_: ListSettlementsRequest, field: str
    ) -> None:
        failed = await there.failure(there.settlements.ListSettlements(request_, metadata=there.OPERATOR))
        assert (failed.code, failed.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "BAD_REQUEST")
        assert failed.violations == (field,)

    @pytest.mark.parametrize(
        ("request_", "field"),
        [
            (SummarizeSettlementsRequest(group_by=[SummarizeSettlementsRequest.GROUPING_UNSPECIFIED]), "group_by"),
            (SummarizeSettlementsRequest(group_by=[77]), "group_by"),  # type: ignore[list-item]
            (
                SummarizeSettlementsRequest(
                    group_by=[SummarizeSettlementsRequest.GROUPING_DAY, SummarizeSettlementsRequest.GROUPING_MONTH]
                ),
                "group_by",
            ),
            (SummarizeSettlementsRequest(time_zone="Europe"), "time_zone"),
            (SummarizeSettlementsRequest(cafe_id="\0"), "cafe_id"),
        ],
    )
    async def test_what_cannot_be_summed_up_is_told_with_its_field(
        self, there: "Rpc", request_: SummarizeSettlementsRequest, field: str
    ) -> None:
        failed = await there.failure(there.settlements.SummarizeSettlements(request_, metadata=there.OPERATOR))
        assert (failed.code, failed.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "BAD_REQUEST")
        assert failed.violations == (field,)

    async def test_a_token_of_another_list_is_none_of_this(self, world: "World", there: "Rpc", played: list[str]) -> None:  # noqa: ARG002
        page = await there.settlements.ListSettlements(ListSettlementsRequest(page_size=1), metadata=there.OPERATOR)
        request = ListEntriesRequest(account_id=world.ACCOUNT, page_token=page.next_page_token)
        failed = await there.failure(there.accounts.ListEntries(request, metadata=there.OPERATOR))
        assert failed.violations == ("page_token",)

    async def test_times_beyond_all_calendars_choose_nothing_or_everything(self, there: "Rpc", played: list[str]) -> None:
        ever = ListSettlementsRequest(ended_from=Timestamp(seconds=-(1 << 62)), ended_until=Timestamp(seconds=1 << 62))
        assert len(await listed(there, ever)) == len(played)
        assert await listed(there, ListSettlementsRequest(ended_from=Timestamp(seconds=1 << 62))) == []


async def test_an_archive_that_is_away_does_not_hold_up_play(
    world: "World", clock: ManualClock, there: "Rpc", archive: ArchiveOfStore
) -> None:
    session_id = await world.open()
    await archive.close()
    clock.advance(60)
    assert (await world.end(session_id)).ended_ms == clock.now_ms()
    for call in (
        there.settlements.ListSettlements(ListSettlementsRequest(), metadata=there.OPERATOR),
        there.settlements.SummarizeSettlements(SummarizeSettlementsRequest(), metadata=there.OPERATOR),
        anext(aiter(there.settlements.ExportSettlements(ExportSettlementsRequest(), metadata=there.OPERATOR))),
        there.accounts.ListEntries(ListEntriesRequest(account_id=world.ACCOUNT), metadata=there.OPERATOR),
    ):
        failed = await there.failure(call)
        assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "ARCHIVE_UNAVAILABLE")
        assert failed.retry_ms == 1_000


def test_the_clock_begins_when_the_tests_say(clock: ManualClock) -> None:
    assert clock.now_ms() == NEW_YEAR_MS == datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000

"""What an engine counts, and how it is shown: exact figures, bounded labels, and every metric in the operator's table."""

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

import grpc.aio
import pytest
from playclock.archive.urls import open_archive
from playclock.cli.workers_view import Collected
from playclock.clock import HostClock, ManualClock, SteeredClock
from playclock.core.catalog import Game
from playclock.engine import Engine
from playclock.engine.heartbeats import HeartbeatCall
from playclock.engine.points import Entry
from playclock.engine.timekeeper import keep_time
from playclock.errors import PointsExceeded, SessionNotFound, StoreAway, TooMuchContention
from playclock.metrics import EngineCollector
from playclock.metrics.registry import registry_of
from playclock.rpc.inprocess import InProcessChannel
from playclock.stores.urls import open_store
from playclock.testing import Playclock
from playclock.v1 import (
    CancelMatchRequest,
    CreateMatchRequest,
    GetSessionRequest,
    JoinMatchRequest,
    MatchClient,
    MatchServiceStub,
    MatchTerms,
    Provisioning,
    SessionServiceStub,
    StartMatchRequest,
    WatchSessionsRequest,
)
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.registry import DuplicateTimeseries

if TYPE_CHECKING:
    from tests.conftest import EngineMaker, FaultInjectingStore, World, WorldMaker
    from tests.redis_fixtures import RedisOfTests

OPERATIONS = (Path(__file__).parent.parent / "docs" / "operations.md").read_text("utf-8")
MINUTE_SEC = 60


class Shown:
    """What an engine shows, by name and labels."""

    def __init__(self, engine: Engine) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(EngineCollector(engine))

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"playclock_{name}", labels)

    def all(self, name: str) -> dict[tuple[str, ...], float]:
        """Return the samples of a metric by the values of their labels, in the order of the labels' names."""
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for metric in self.registry.collect()
            for sample in metric.samples
            if sample.name == f"playclock_{name}"
        }


@pytest.fixture(params=["memory", "redis"])
def store_kind(request: pytest.FixtureRequest) -> str:
    """Return the two kinds that differ most: what is counted above them is the same on all."""
    return str(request.param)


@pytest.fixture
def shown(world: "World") -> Shown:
    return Shown(world.engine)


class TestSessions:
    async def test_opened_and_ended_are_counted_once_with_game_and_reason(
        self, world: "World", shown: Shown, clock: ManualClock
    ) -> None:
        for _ in range(2):
            await world.open("pc-1")
        await world.open("pc-2", at=world.FREE)
        other = await world.open("pc-3", game_id=world.OTHER_GAME_ID)
        await world.end(other, caller=world.OPERATOR)
        clock.advance(4 * MINUTE_SEC)
        for _ in range(2):
            await world.engine.sweep()
        assert shown.all("sessions_opened_total") == {(world.GAME_ID,): 3, (world.OTHER_GAME_ID,): 1}
        assert shown.all("sessions_ended_total") == {
            (world.GAME_ID, "REPLACED"): 1,
            (world.GAME_ID, "HEARTBEAT_TIMEOUT"): 2,
            (world.OTHER_GAME_ID, "CLIENT_END"): 1,
        }

    async def test_who_loses_a_race_counts_nothing_but_the_conflict(self, world: "World", elsewhere: "World") -> None:
        session = await world.open(at=world.FREE)
        here, there = Shown(world.engine), Shown(elsewhere.engine)
        await elsewhere.get(session)
        for _ in range(2):
            await world.beat(session)
            await elsewhere.beat(session)
        assert here("heartbeats_total", result="OK") == there("heartbeats_total", result="OK") == 2
        assert (here("store_conflicts_total"), there("store_conflicts_total")) == (1, 2)
        await elsewhere.end(session)
        assert here.all("sessions_ended_total") == {}
        assert there.all("sessions_ended_total") == {(world.GAME_ID, "CLIENT_END"): 1}

    async def test_heartbeats_are_counted_by_what_they_were_answered(
        self, world: "World", shown: Shown, clock: ManualClock
    ) -> None:
        free, paid = await world.open("pc-1", at=world.FREE), await world.open("pc-2")
        stranger = free.replace(free[-4:], "0000" if free[-4:] != "0000" else "1111")
        await world.beat(free)
        await world.beat(paid)
        with pytest.raises(SessionNotFound):
            await world.beat(stranger)
        calls = [HeartbeatCall(each, world.PLAYER) for each in (free, free, paid, stranger, "x")]
        await world.engine.heartbeats.beat_many(world.GAME, calls)
        await world.open("pc-1", at=world.FREE)
        await world.engine.heartbeats.beat_many(world.GAME, [HeartbeatCall(free, world.PLAYER)])
        clock.advance(1)
        assert shown.all("heartbeats_total") == {
            ("OK",): 5,
            ("SESSION_NOT_FOUND",): 2,
            ("BAD_REQUEST",): 1,
            ("SESSION_REPLACED",): 1,
        }


class TestPoints:
    async def test_are_counted_as_they_are_saved_and_refused(self, world: "World", shown: Shown) -> None:
        engine, game_id = world.engine, "ab000000-2222-4333-8444-555555555555"
        game = Game(id=game_id, number=9, name="G", brand="", image_url="", play_url="", demo_url="", max_score_per_session=5)
        await engine.estate.apply([game])
        await engine.player_sessions.issue(world.OPERATOR, game_id, "x:ann")
        await engine.points.save(world.OPERATOR, game_id, [Entry("x:ann", 5), Entry("x:ben", 5)])
        with pytest.raises(PointsExceeded):
            await engine.points.save(world.OPERATOR, game_id, [Entry("x:ben", 5), Entry("x:ann", 1)])
        assert (shown("points_saved_total"), shown("player_sessions_total")) == (2, 1)
        assert shown.all("points_exceeded_total") == {("max_score_per_session",): 1}


class TestMatches:
    async def test_are_counted_by_state_and_by_why_they_were_aborted(self, world: "World", shown: Shown) -> None:
        await world.provision(
            Provisioning(match_clients=[MatchClient(client_id="m", client_secret="the-secret-of-m", game=world.GAME_ID)])
        )
        matches = MatchServiceStub(InProcessChannel(world.engine, operator=True))
        made = []
        for _ in range(3):
            terms = MatchTerms(client_id="m", join_sec=3_600, play_sec=60, synchronous=True)
            made.append((await matches.CreateMatch(CreateMatchRequest(terms=terms))).match.match_id)
        await matches.CancelMatch(CancelMatchRequest(match_id=made[0]))
        assert shown.all("matches_total") == {("CREATED",): 3, ("CANCELLED",): 1, ("SETTLED",): 1}
        for number in range(2):
            user_id = f"550e8400-e29b-41d4-a716-44665544000{number}"
            await matches.JoinMatch(JoinMatchRequest(match_id=made[1], user_id=user_id))
        await matches.StartMatch(StartMatchRequest(match_id=made[1]))
        clock = world.engine.clock
        assert isinstance(clock, ManualClock)
        clock.advance(3_600)
        await world.engine.sweep()
        assert shown.all("aborted_matches_total") == {("TOO_FEW_PLAYERS",): 1, ("NO_RESULT",): 1}
        assert shown.all("matches_total") == {
            ("CREATED",): 3,
            ("CANCELLED",): 1,
            ("STARTING",): 1,
            ("LIVE",): 1,
            ("ABORTED",): 2,
            ("SETTLED",): 3,
        }


class TestCalls:
    async def test_calls_are_counted_by_code_and_length(self, world: "World", shown: Shown) -> None:
        session = await world.open()
        sessions = SessionServiceStub(InProcessChannel(world.engine, operator=True))
        for _ in range(2):
            await sessions.GetSession(GetSessionRequest(game_session_id=session))
        with pytest.raises(grpc.aio.AioRpcError):
            await sessions.GetSession(GetSessionRequest(game_session_id="gs_00000000-0000-4000-8000-000000000000"))
        ended = {key: number for key, number in shown.all("rpcs_total").items() if key[1] == "GetSession"}
        service = "playclock.v1.SessionService"
        assert ended == {("OK", "GetSession", service): 2, ("NOT_FOUND", "GetSession", service): 1}
        labels = {"service": service, "method": "GetSession"}
        assert shown("rpc_duration_seconds_count", **labels) == 3
        assert shown("rpc_duration_seconds_bucket", **labels, le="+Inf") == 3
        total_sec = shown("rpc_duration_seconds_sum", **labels)
        assert total_sec is not None
        assert 0 < total_sec < 30
        counts = [number for key, number in shown.all("rpc_duration_seconds_bucket").items() if key[1] == "GetSession"]
        assert counts == sorted(counts)

    async def test_whoever_does_not_wait_for_the_answer_is_counted_as_cancelled(
        self, faulty_store: "FaultInjectingStore", make_world: "WorldMaker"
    ) -> None:
        world = await make_world(faulty_store)
        await world.provision()
        session = await world.open(at=world.FREE)
        faulty_store.turns = lambda: 1_000_000
        sessions = SessionServiceStub(InProcessChannel(world.engine, operator=True))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await sessions.GetSession(GetSessionRequest(game_session_id=session), timeout=0.05)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        faulty_store.turns = int
        labels = {"service": "playclock.v1.SessionService", "method": "GetSession"}
        assert Shown(world.engine)("rpcs_total", **labels, code="CANCELLED") == 1

    async def test_a_stream_is_a_watcher_and_has_no_length(self, world: "World", shown: Shown) -> None:
        stream = SessionServiceStub(InProcessChannel(world.engine, operator=True)).WatchSessions(WatchSessionsRequest())
        await stream.read()
        assert shown("watchers") == 1
        await stream.aclose()  # type: ignore[attr-defined]
        async with asyncio.timeout(10):
            while shown("watchers"):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0)
        labels = {"service": "playclock.v1.SessionService", "method": "WatchSessions"}
        assert shown("rpcs_total", **labels, code="CANCELLED") == 1
        assert shown("rpc_duration_seconds_count", **labels) is None


class TestBookkeeping:
    async def test_a_sweeper_that_is_behind_shows_by_how_much(self, world: "World", shown: Shown, clock: ManualClock) -> None:
        assert shown("sweeper_last_tick_age_seconds") is None
        for number in range(3):
            await world.open(f"pc-{number}", at=world.FREE)
        await world.engine.sweep()
        assert (shown("sweeper_due"), shown("sweeper_lag_seconds")) == (0, 0)
        opened_for_sec = 240
        clock.advance(opened_for_sec + 7)
        assert shown("sweeper_last_tick_age_seconds") == opened_for_sec + 7
        swept = await world.engine.sweep()
        assert (shown("sweeper_due"), shown("sweeper_swept_total")) == (swept, swept)
        assert shown("sweeper_lag_seconds") == 7
        assert shown("sweeper_last_tick_age_seconds") == 0
        clock.advance(30 * 24 * 3600)
        await world.engine.sweep()
        dropped = shown("sweeper_dropped_total")
        assert dropped is not None
        assert dropped > 3

    async def test_a_store_that_is_away_and_one_that_is_busy_are_counted(
        self, faulty_store: "FaultInjectingStore", make_world: "WorldMaker"
    ) -> None:
        world = await make_world(faulty_store)
        await world.provision()
        session = await world.open(at=world.FREE)
        shown = Shown(world.engine)
        faulty_store.is_away = True
        for call in (world.beat(session), world.get(session), world.engine.sweep()):
            with pytest.raises(StoreAway):
                await call
        await world.engine.ping()
        faulty_store.is_away = False
        assert (shown("store_unavailable_total"), shown("store_conflicts_total")) == (4, 0)
        faulty_store.conflict_in = set(range(256))
        with pytest.raises(TooMuchContention):
            await world.beat(session)
        assert shown("store_conflicts_total") == 51
        assert shown.all("heartbeats_total") == {("OK",): 0, ("TOO_MUCH_CONTENTION",): 1}

    async def test_a_background_job_that_fails_is_counted_by_its_name(
        self, faulty_store: "FaultInjectingStore", make_engine: "EngineMaker"
    ) -> None:
        engine = await make_engine(faulty_store, background=True)
        shown = Shown(engine)
        jobs = ("closer", "estate", "images", "limits", "matches", "pulse", "rollbacks", "sweeper", "uses")
        assert shown.all("background_failures_total") == {(job,): 0 for job in jobs}
        faulty_store.is_away = True
        async with asyncio.timeout(20):
            while not all(shown("background_failures_total", job=job) for job in ("estate", "pulse")):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.05)
        faulty_store.is_away = False

    async def test_an_archive_shows_what_it_lacks(self, faulty_store: "FaultInjectingStore", make_world: "WorldMaker") -> None:
        async with await open_archive("sqlite://", faulty_store) as archive:
            world = await make_world(faulty_store, archive=archive)
            await world.provision()
            shown = Shown(world.engine)
            assert shown("archive_behind_events") is None
            await world.engine.sweep()
            before = shown("archive_archived_total")
            assert before is not None
            await world.end(await world.open(at=world.FREE))
            faulty_store.turns = lambda: 1
            assert await archive.projector.project(1) == 1
            assert (shown("archive_archived_total"), shown("archive_behind_events")) == (before + 1, 4)
            await world.engine.sweep()
            assert (shown("archive_archived_total"), shown("archive_behind_events")) == (before + 5, 0)
            assert shown("archive_lost_total") == shown("archive_contradictions_total") == shown("archive_failures_total") == 0


async def test_a_steered_clock_shows_its_skew_and_a_manual_one_none(world: "World", make_engine: "EngineMaker") -> None:
    class Host(HostClock):
        def wall_ms(self) -> int:
            return 1_000_000

    clock = SteeredClock(999_000, host=Host())
    engine = await make_engine(world.engine.store, clock=clock, background=False)
    clock.steering.offset_ms, clock.steering.steps, clock.steering.catch_ups = -5_500, 2, 1
    shown = Shown(engine)
    assert (shown("clock_offset_seconds"), shown("clock_steps_total"), shown("clock_catch_ups_total")) == (-5.5, 2, 1)
    skew_sec = shown("clock_wall_skew_seconds")
    assert skew_sec is not None
    assert -30 < skew_sec <= 1
    assert Shown(world.engine)("clock_wall_skew_seconds") is None


def test_an_embedder_s_own_registry_and_thread_show_an_engine() -> None:
    kit = Playclock()
    registry = CollectorRegistry()
    registry.register(EngineCollector(kit.engine.engine))
    with pytest.raises(DuplicateTimeseries):
        registry.register(EngineCollector(kit.engine.engine))
    kit.join("player-1")
    assert b"playclock_sessions_opened_total{" in generate_latest(registry)
    kit.close()


async def test_the_operator_s_table_names_every_metric_and_no_other(tmp_path: Path, redis_of_tests: "RedisOfTests") -> None:
    redis_of_tests.empty()
    shown = set()
    for url in (f"sqlite:///{tmp_path / 'play.db'}", redis_of_tests.url):
        store = await open_store(url)
        async with (
            keep_time(store) as clock,
            await open_archive("sqlite://", store) as archive,
            Engine(store, clock=clock, archive=archive) as engine,
        ):
            await engine.sweep()
            await archive.project()
            text = generate_latest(registry_of(engine)).decode() + generate_latest(Collected({}, {})).decode()
            shown |= set(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
        await store.close()
    section = OPERATIONS.split("\n## Metrics\n")[1].split("\n## ")[0]
    told = set(re.findall(r"^\| `([a-z_]+)(?:\{[a-z, ]+\})?` \| (\w+) \|", section, re.MULTILINE))
    assert shown == told

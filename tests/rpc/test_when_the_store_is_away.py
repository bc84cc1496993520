"""The store stalls, goes away and comes back: callers hear what to do, and nothing is ever half done."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from playclock.clock import ManualClock
from playclock.engine import Engine
from playclock.rpc import health
from playclock.rpc.server import Server
from playclock.stores.sqlite import SqliteStore
from playclock.v1 import (
    BatchHeartbeatRequest,
    EndSessionRequest,
    GetSessionRequest,
    HeartbeatRequest,
    ListSessionsRequest,
    OpenSessionRequest,
    Session,
    StartLaunchRequest,
    WatchSessionsRequest,
)

if TYPE_CHECKING:
    from tests.conftest import EngineMaker, FaultInjectingStore, World, WorldMaker
    from tests.rpc.conftest import Rpc

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
connection.close()
"""


async def status(rpc: "Rpc", service: str = "") -> int:
    answer: health_pb2.HealthCheckResponse = await rpc.health.Check(health_pb2.HealthCheckRequest(service=service))
    return int(answer.status)


class TestInjectedFaults:
    """What a store does of itself and when cannot be told to it, so these faults are injected."""

    @pytest.fixture
    async def engine(self, make_engine: "EngineMaker", faulty_store: "FaultInjectingStore") -> Engine:
        return await make_engine(faulty_store)

    async def test_every_call_that_needs_the_store_asks_to_try_again(
        self, world: "World", rpc: "Rpc", faulty_store: "FaultInjectingStore"
    ) -> None:
        session, ott = await world.open("pc-1"), await world.ott(pc="pc-2")
        faulty_store.is_away = True
        beat = HeartbeatRequest(game_session_id=session, provider_user_id=world.PLAYER)
        calls: list[Awaitable[object]] = [
            rpc.sessions.OpenSession(OpenSessionRequest(ott=ott, provider_user_id="p"), metadata=rpc.GAME),
            rpc.sessions.Heartbeat(beat, metadata=rpc.GAME),
            rpc.sessions.BatchHeartbeat(BatchHeartbeatRequest(heartbeats=[beat]), metadata=rpc.GAME),
            rpc.sessions.EndSession(EndSessionRequest(game_session_id=session), metadata=rpc.GAME),
            rpc.sessions.GetSession(GetSessionRequest(game_session_id=session), metadata=rpc.GAME),
            rpc.sessions.ListSessions(ListSessionsRequest(), metadata=rpc.GAME),
            rpc.launches.StartLaunch(StartLaunchRequest(pc_id="pc-3"), metadata=rpc.OPERATOR),
            rpc.sessions.WatchSessions(WatchSessionsRequest(), metadata=rpc.GAME).read(),
        ]
        for call in calls:
            failed = await rpc.failure(call)
            assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
            assert (failed.sentence, failed.retry_ms) == ("the store cannot be reached", 1_000)

        faulty_store.is_away = False
        assert (await rpc.sessions.Heartbeat(beat, metadata=rpc.GAME)).result
        opened = await rpc.sessions.OpenSession(OpenSessionRequest(ott=ott, provider_user_id="p"), metadata=rpc.GAME)
        assert opened.is_valid

    @pytest.mark.parametrize("moment", ["before", "after"])
    async def test_a_deadline_that_is_over_leaves_nothing_half_done(
        self, world: "World", rpc: "Rpc", faulty_store: "FaultInjectingStore", moment: str
    ) -> None:
        ott = await world.ott()
        request = OpenSessionRequest(ott=ott, provider_user_id=world.PLAYER)
        gate = asyncio.Event()
        setattr(faulty_store, f"stalls_{moment}", gate)
        late = await rpc.failure(rpc.sessions.OpenSession(request, metadata=rpc.GAME, timeout=0.3))
        assert late.code is grpc.StatusCode.DEADLINE_EXCEEDED
        await faulty_store.abandoned.wait()  # the server hears of it a moment after its caller
        setattr(faulty_store, f"stalls_{moment}", None)
        gate.set()
        again = await rpc.sessions.OpenSession(request, metadata=rpc.GAME)
        listed = await rpc.sessions.ListSessions(ListSessionsRequest(), metadata=rpc.GAME)
        # Either nothing was done, and it is done now; or all of it, and the OTT is used.
        assert again.is_valid is (moment == "before")
        assert [session.pc_id for session in listed.sessions] == ["pc-1"]
        assert (await world.account()).held_micros == 4_000_000

    @pytest.mark.parametrize("moment", ["before", "after"])
    async def test_a_retry_with_the_same_request_id_gets_the_session_whatever_became_of_the_first(
        self, world: "World", rpc: "Rpc", faulty_store: "FaultInjectingStore", moment: str
    ) -> None:
        request = OpenSessionRequest(ott=await world.ott(), provider_user_id=world.PLAYER, request_id="r-1")
        gate = asyncio.Event()
        setattr(faulty_store, f"stalls_{moment}", gate)
        await rpc.failure(rpc.sessions.OpenSession(request, metadata=rpc.GAME, timeout=0.3))
        await faulty_store.abandoned.wait()
        setattr(faulty_store, f"stalls_{moment}", None)
        gate.set()
        answers = [await rpc.sessions.OpenSession(request, metadata=rpc.GAME) for _ in range(2)]
        assert answers[0].is_valid
        assert answers[0] == answers[1]
        listed = await rpc.sessions.ListSessions(ListSessionsRequest(), metadata=rpc.GAME)
        assert [session.game_session_id for session in listed.sessions] == [answers[0].game_session_id]

    async def test_a_caller_that_gives_up_does_not_take_those_behind_it_along(
        self, world: "World", rpc: "Rpc", faulty_store: "FaultInjectingStore"
    ) -> None:
        sessions = [await world.open(f"pc-{number}") for number in range(10)]
        gate = faulty_store.stalls_before = asyncio.Event()
        ends = [
            asyncio.ensure_future(rpc.sessions.EndSession(EndSessionRequest(game_session_id=id_), metadata=rpc.GAME))
            for id_ in sessions
        ]
        await faulty_store.stalled.wait()
        ends[0].cancel()
        faulty_store.stalls_before = None
        gate.set()
        ended = await asyncio.gather(*ends[1:])
        assert {answer.session.state for answer in ended} == {Session.STATE_ENDED}

    async def test_health_tells_of_it_for_every_service_and_of_its_return(
        self, rpc: "Rpc", faulty_store: "FaultInjectingStore"
    ) -> None:
        services = [
            "",
            "grpc.health.v1.Health",
            *(f"playclock.v1.{name}Service" for name in ("Auth", "Launch", "Provisioning", "Session")),
        ]
        for away, expected in ((False, SERVING), (True, NOT_SERVING), (False, SERVING)):
            faulty_store.is_away = away
            assert [await status(rpc, service) for service in services] == [expected] * len(services)

    async def test_health_answers_even_when_this_process_has_missed_its_pulse(
        self,
        make_world: "WorldMaker",
        faulty_store: "FaultInjectingStore",
        clock: ManualClock,
    ) -> None:
        world = await make_world(faulty_store, background=True)
        server = await Server.start(world.engine)
        async with grpc.aio.insecure_channel(server.address) as channel:
            faulty_store.is_away = True
            clock.advance(10)
            assert world.engine.is_late()
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
            assert answer.status == NOT_SERVING
        await server.drain(0)

    async def test_a_health_watch_is_told_of_changes_only(
        self, rpc: "Rpc", faulty_store: "FaultInjectingStore", monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(health, "WATCH_SEC", 0.001)
        watch = rpc.health.Watch(health_pb2.HealthCheckRequest(service="playclock.v1.SessionService"))
        told = [(await watch.read()).status]
        for away in (True, False):
            faulty_store.is_away = away
            told.append((await watch.read()).status)
        assert told == [SERVING, NOT_SERVING, SERVING]
        watch.cancel()

    async def test_a_service_that_is_not_served_is_not_found_and_watched_as_unknown(self, rpc: "Rpc") -> None:
        request = health_pb2.HealthCheckRequest(service="playclock.v1.NoService")
        assert (await rpc.failure(rpc.health.Check(request))).code is grpc.StatusCode.NOT_FOUND
        watch = rpc.health.Watch(request)
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        watch.cancel()


class TestLockedFile:
    """An SQLite file that another process locks for longer than a write waits."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "locked.db"

    @pytest.fixture
    async def store(self, path: Path) -> AsyncIterator[SqliteStore]:
        store = await SqliteStore.open(path, busy_timeout_ms=20)
        yield store
        await store.close()

    async def test_writes_wait_for_better_times_and_reads_go_on(self, world: "World", rpc: "Rpc", path: Path) -> None:
        session, ott = await world.open("pc-1"), await world.ott(pc="pc-2")
        open_ = OpenSessionRequest(ott=ott, provider_user_id="p")
        end = EndSessionRequest(game_session_id=session)
        with locked_by_another_process(path):
            for call in (
                rpc.sessions.OpenSession(open_, metadata=rpc.GAME),
                rpc.sessions.EndSession(end, metadata=rpc.GAME),
            ):
                failed = await rpc.failure(call)
                assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
                assert failed.retry_ms == 1_000
                assert "locked" not in failed.sentence
            assert await status(rpc) == NOT_SERVING
            shown = await rpc.sessions.GetSession(GetSessionRequest(game_session_id=session), metadata=rpc.GAME)
            assert shown.session.state == Session.STATE_ACTIVE
        assert await status(rpc) == SERVING
        assert (await rpc.sessions.OpenSession(open_, metadata=rpc.GAME)).is_valid
        assert (await rpc.sessions.EndSession(end, metadata=rpc.GAME)).session.state == Session.STATE_ENDED


@contextmanager
def locked_by_another_process(path: Path) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", LOCK, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        try:
            yield
        finally:
            process.communicate("go\n", timeout=60)
    assert process.returncode == 0

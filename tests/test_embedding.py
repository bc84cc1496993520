"""The engine in other people's programs: with an event loop, without one, and in their test-suites."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import grpc
import playclock as package
import pytest
from playclock.archive.errors import ArchiveError
from playclock.stores.base import StoreError
from playclock.testing import BALANCE_MICROS, CAFE_IP, ESTATE, GAME_ID, GAME_KEY, Playclock
from playclock.v1 import (
    AccountServiceStub,
    ApplyProvisioningRequest,
    EndSessionRequest,
    HeartbeatRequest,
    HeartbeatResponse,
    IssueOttRequest,
    LaunchServiceStub,
    ListSessionsRequest,
    ListSettlementsRequest,
    OpenSessionRequest,
    OpenSessionResponse,
    ProvisioningServiceStub,
    Session,
    SessionEvent,
    SessionServiceStub,
    StartLaunchRequest,
    TopUpAccountRequest,
    WatchSessionsRequest,
)


class TestTheFixture:
    def test_a_session_is_billed_by_the_clock_that_the_test_moves(self, playclock: Playclock) -> None:
        session_id = playclock.join("player-1")
        playclock.clock.advance(90)
        ended = playclock.sessions.EndSession(EndSessionRequest(game_session_id=session_id))
        assert ended.play_duration_sec == 90
        assert ended.session.amount_micros == 2_000_000

    def test_each_test_has_an_engine_of_its_own(self, playclock: Playclock) -> None:
        assert _players(playclock) == []
        playclock.join()
        assert _players(playclock) == ["player-1"]

    def test_another_player_on_the_same_pc_replaces_the_first(self, playclock: Playclock) -> None:
        first = playclock.join("player-1", pc_id="pc-7")
        playclock.join("player-2", pc_id="pc-7")
        beat = playclock.sessions.Heartbeat(HeartbeatRequest(game_session_id=first, provider_user_id="player-1"))
        assert beat.result == HeartbeatResponse.RESULT_SESSION_REPLACED

    def test_a_watcher_reads_what_has_happened(self, playclock: Playclock) -> None:
        watch = playclock.sessions.WatchSessions(WatchSessionsRequest())
        next(watch)  # from now on
        session_id = playclock.join()
        playclock.clock.advance(240)
        assert playclock.sweep() > 0
        events = [next(watch).event for _ in range(2)]
        assert [event.kind for event in events] == [SessionEvent.KIND_OPENED, SessionEvent.KIND_ENDED]
        assert {event.session.game_session_id for event in events} == {session_id}
        watch.close()  # type: ignore[attr-defined]

    def test_calls_without_the_game_key_are_an_operators(self, playclock: Playclock) -> None:
        session_id = playclock.join()
        operator = SessionServiceStub(playclock.channel)
        assert operator.EndSession(EndSessionRequest(game_session_id=session_id)).session.state == Session.STATE_ENDED

    def test_the_estate_is_what_the_constants_say(self, playclock: Playclock) -> None:
        estate = playclock.engine.engine.context.estate
        assert list(playclock.engine.engine.context.catalog.games) == [GAME_ID]
        cafe = estate.cafe_at(CAFE_IP)
        assert cafe is not None
        assert estate.plans[cafe.account_id or ""].opening_balance_micros == BALANCE_MICROS

    def test_a_suite_that_does_not_ask_for_it_does_not_load_grpc(self, tmp_path: Path) -> None:
        (tmp_path / "test_other.py").write_text("import sys\n\ndef test_it():\n    assert 'grpc' not in sys.modules\n")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert "1 passed" in done.stdout, done.stdout


class TestSettlements:
    def test_a_sweep_archives_what_has_happened(self) -> None:
        kit = Playclock(archive="sqlite://")
        session_id = kit.join("player-1")
        kit.clock.advance(90)
        kit.sessions.EndSession(EndSessionRequest(game_session_id=session_id))
        assert _settled(kit) == []
        kit.sweep()
        assert _settled(kit) == [(session_id, "CLIENT_END", 90, 2_000_000)]
        kit.join("player-2")
        kit.clock.advance(240)
        kit.sweep()
        assert [reason for _, reason, _, _ in _settled(kit)] == ["CLIENT_END", "HEARTBEAT_TIMEOUT"]
        kit.close()

    def test_without_an_archive_there_are_none_and_a_sweep_still_sweeps(self, playclock: Playclock) -> None:
        playclock.join()
        playclock.clock.advance(240)
        assert playclock.sweep() > 0
        with pytest.raises(grpc.RpcError) as refused:
            playclock.settlements.ListSettlements(ListSettlementsRequest())
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED

    def test_an_archive_that_cannot_be_opened_is_an_error_of_the_caller_and_leaves_no_thread(self, tmp_path: Path) -> None:
        before = set(threading.enumerate())
        with (
            pytest.raises(ArchiveError, match="does not exist"),
            package.BlockingEngine(archive=f"sqlite:///{tmp_path}/missing/play.db"),
        ):
            pytest.fail("it must not start")
        assert set(threading.enumerate()) == before

    def test_a_store_in_memory_that_begins_anew_is_no_store_of_an_archive_in_a_file(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/archive.db"
        with package.BlockingEngine(archive=url) as engine:
            _open(engine)
            engine.sweep()
        with pytest.raises(ArchiveError, match="ahead of the store"), package.BlockingEngine(archive=url):
            pytest.fail("it must not start")

    def test_embedding_needs_no_sqlalchemy(self) -> None:
        program = (
            "import sys; sys.modules['sqlalchemy'] = None\n"
            "from playclock.testing import Playclock\n"
            "kit = Playclock(); kit.join(); kit.sweep(); kit.close()\n"
            "try: Playclock(archive='sqlite://')\n"
            "except Exception as error: print(error)\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
        assert done.stdout == "an archive needs packages that are not installed: pip install 'playclock[archive]'\n", (
            done.stderr
        )

    async def test_with_the_systems_clock_it_is_archived_in_the_background_and_the_rest_at_the_end(self) -> None:
        store = await package.open_store("memory://")
        async with await package.open_archive("sqlite://", store) as archive:
            async with package.Engine(store, archive=archive) as engine:
                channel = package.InProcessChannel(engine, operator=True)
                await ProvisioningServiceStub(channel).ApplyProvisioning(ApplyProvisioningRequest(provisioning=ESTATE))
                async with asyncio.timeout(20):
                    while {at: n for at, n in archive.positions().items() if n} != await store.heads():  # noqa: ASYNC110 - it tells nobody when it is done
                        await asyncio.sleep(0.005)
                request = TopUpAccountRequest(account_id="cafe-1", amount_micros=1, request_id="once")
                await AccountServiceStub(channel).TopUpAccount(request)
            assert {at: n for at, n in archive.positions().items() if n} == await store.heads()
        await store.close()


class TestWithoutAnEventLoop:
    def test_many_threads_may_call_at_once_and_one_wins_the_token(self) -> None:
        kit = Playclock()
        ott = kit.issue_ott()
        answers: list[OpenSessionResponse] = []

        def redeem(number: int) -> None:
            answers.append(kit.sessions.OpenSession(OpenSessionRequest(ott=ott, provider_user_id=f"player-{number}")))

        threads = [threading.Thread(target=redeem, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        kit.close()
        assert sorted(answer.is_valid for answer in answers) == [False] * 19 + [True]

    def test_errors_are_grpc_errors_with_a_code(self) -> None:
        with package.BlockingEngine() as engine:
            sessions = SessionServiceStub(engine.channel())
            with pytest.raises(grpc.RpcError) as refused:
                sessions.Heartbeat(HeartbeatRequest(game_session_id="gs_x", provider_user_id="u"))
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED

    def test_a_store_that_cannot_be_opened_is_an_error_of_the_caller(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError), package.BlockingEngine(f"sqlite:///{tmp_path}/missing/play.db"):
            pytest.fail("it must not start")

    def test_sessions_outlive_the_engine_in_a_file(self, tmp_path: Path) -> None:
        url, clock = f"sqlite:///{tmp_path}/play.db", package.ManualClock()
        with package.BlockingEngine(url, clock=clock) as engine:
            session_id = _open(engine)
        clock.advance(60)
        with package.BlockingEngine(url, clock=clock) as engine:
            sessions = SessionServiceStub(engine.channel(metadata=(("x-api-key", GAME_KEY),)))
            beat = sessions.Heartbeat(HeartbeatRequest(game_session_id=session_id, provider_user_id="player-1"))
        assert beat.play_duration_sec == 60

    def test_the_thread_is_gone_afterwards(self) -> None:
        before = set(threading.enumerate())
        with package.BlockingEngine() as engine:
            assert engine.sweep() == 0
        assert set(threading.enumerate()) == before


class TestWithAnEventLoop:
    async def test_stubs_work_without_a_socket(self) -> None:
        clock = package.ManualClock()
        async with package.Engine(clock=clock) as engine:
            channel = package.InProcessChannel(engine, operator=True)
            await ProvisioningServiceStub(channel).ApplyProvisioning(ApplyProvisioningRequest(provisioning=ESTATE))
            launches, sessions = LaunchServiceStub(channel), SessionServiceStub(channel)
            launch = await launches.StartLaunch(StartLaunchRequest(pc_id="pc-1", external_ip=CAFE_IP))
            issued = await launches.IssueOtt(IssueOttRequest(session_token=launch.session_token, game_id=GAME_ID))
            opened = await sessions.OpenSession(OpenSessionRequest(ott=issued.ott, provider_user_id="u"))
            clock.advance(7)
            ended = await sessions.EndSession(EndSessionRequest(game_session_id=opened.game_session_id))
        assert ended.play_duration_sec == 7

    async def test_with_a_clock_that_a_test_moves_nothing_runs_in_the_background(self) -> None:
        before = asyncio.all_tasks()
        async with package.Engine(clock=package.ManualClock()):
            assert asyncio.all_tasks() == before

    async def test_with_the_systems_clock_the_background_ends_with_the_engine(self) -> None:
        before = asyncio.all_tasks()
        async with package.Engine():
            assert len(asyncio.all_tasks()) > len(before)
        assert asyncio.all_tasks() == before


class TestThePackage:
    def test_every_public_name_can_be_had(self) -> None:
        assert [name for name in package.__all__ if not hasattr(package, name)] == []

    def test_other_names_cannot(self) -> None:
        with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
            _ = package.nonsense


def _open(engine: "package.BlockingEngine") -> str:
    channel = engine.channel(operator=True)
    ProvisioningServiceStub(channel).ApplyProvisioning(ApplyProvisioningRequest(provisioning=ESTATE))
    launches, sessions = LaunchServiceStub(channel), SessionServiceStub(channel)
    launch = launches.StartLaunch(StartLaunchRequest(pc_id="pc-1", external_ip=CAFE_IP))
    ott = launches.IssueOtt(IssueOttRequest(session_token=launch.session_token, game_id=GAME_ID)).ott
    return sessions.OpenSession(OpenSessionRequest(ott=ott, provider_user_id="player-1")).game_session_id


def _players(playclock: Playclock) -> list[str]:
    return [session.provider_user_id for session in playclock.sessions.ListSessions(ListSessionsRequest()).sessions]


def _settled(kit: Playclock) -> list[tuple[str, str, int, int]]:
    listed = kit.settlements.ListSettlements(ListSettlementsRequest()).settlements
    return [(each.game_session_id, each.end_reason, each.billed_sec, each.amount_micros) for each in listed]

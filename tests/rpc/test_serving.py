"""The server itself: what it serves, what it refuses, how it logs, and how it stops."""

import asyncio
import json
import logging
import re
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from playclock.clock import ManualClock
from playclock.engine import Engine
from playclock.log import JsonFormatter
from playclock.rpc.server import MESSAGE_BYTES_MAX, METADATA_BYTES_MAX, OPTIONS, AddressInUse, Server
from playclock.v1 import (
    ApplyProvisioningRequest,
    BatchHeartbeatRequest,
    EndSessionRequest,
    ErrorReason,
    GetProvisioningRequest,
    GetSessionRequest,
    HeartbeatRequest,
    HeartbeatResponse,
    HeartbeatResult,
    IssueOttRequest,
    OpenSessionRequest,
    OpenSessionResponse,
    PriceWindow,
    ProvisionedAccount,
    ProvisionedCafe,
    Provisioning,
    SessionServiceStub,
    StartLaunchRequest,
    Tariff,
    WatchSessionsRequest,
)

if TYPE_CHECKING:
    from tests.conftest import FaultInjectingStore, World, WorldMaker
    from tests.rpc.conftest import Rpc

PENDING = "grpc.server.max_pending_requests"
UNREQUESTED = "grpc.server_max_unrequested_time_in_server"
UNKNOWN = "gs_ab3f0e8a-6c1b-4a53-9f0e-0d1f2a3b4c5d"


class TestBatches:
    async def test_each_heartbeat_has_its_own_result_in_its_place(self, world: "World", rpc: "Rpc", clock: ManualClock) -> None:
        live, ended = await world.open("pc-1"), await world.open("pc-2")
        await world.end(ended)
        clock.advance(30)
        ids = [live, UNKNOWN, ended, "junk", live]
        beats = [HeartbeatRequest(game_session_id=id_, provider_user_id=world.PLAYER) for id_ in ids]
        answer = await rpc.sessions.BatchHeartbeat(BatchHeartbeatRequest(heartbeats=beats), metadata=rpc.GAME)
        ok = HeartbeatResponse(result=HeartbeatResponse.RESULT_OK, next_heartbeat_in=120, play_duration_sec=30)
        assert [result.response if result.HasField("response") else None for result in answer.results] == [
            ok,
            None,
            None,
            None,
            ok,
        ]
        assert [_error(result) for result in answer.results] == [
            None,
            (grpc.StatusCode.NOT_FOUND, "SESSION_NOT_FOUND"),
            (grpc.StatusCode.FAILED_PRECONDITION, "SESSION_ENDED"),
            (grpc.StatusCode.INVALID_ARGUMENT, "BAD_REQUEST"),
            None,
        ]

    async def test_each_fails_as_it_would_alone(self, world: "World", rpc: "Rpc") -> None:
        ended = await world.open()
        await world.end(ended)
        for id_ in (UNKNOWN, ended, "junk"):
            beat = HeartbeatRequest(game_session_id=id_, provider_user_id=world.PLAYER)
            alone = await rpc.failure(rpc.sessions.Heartbeat(beat, metadata=rpc.GAME))
            answer = await rpc.sessions.BatchHeartbeat(BatchHeartbeatRequest(heartbeats=[beat]), metadata=rpc.GAME)
            (result,) = answer.results
            assert (*(_error(result) or ()), result.error.message) == (alone.code, alone.reason, alone.sentence)

    async def test_a_thousand_are_taken(self, world: "World", rpc: "Rpc") -> None:
        sessions = [await world.open(f"pc-{number}", at=world.FREE) for number in range(100)]
        beats = [HeartbeatRequest(game_session_id=id_, provider_user_id=world.PLAYER) for id_ in sessions] * 10
        answer = await rpc.sessions.BatchHeartbeat(BatchHeartbeatRequest(heartbeats=beats), metadata=rpc.GAME)
        assert Counter(result.response.result for result in answer.results) == {HeartbeatResponse.RESULT_OK: 1_000}


def _error(result: HeartbeatResult) -> tuple[grpc.StatusCode, str] | None:
    if not result.HasField("error"):
        return None
    code = next(code for code in grpc.StatusCode if code.value[0] == result.error.code)
    return code, ErrorReason.Name(result.error.reason).removeprefix("ERROR_REASON_")


class TestRaces:
    async def test_a_thousand_verifies_over_the_wire_have_one_winner(self, world: "World", rpc: "Rpc") -> None:
        request = OpenSessionRequest(ott=await world.ott(), provider_user_id=world.PLAYER)
        answers = await asyncio.gather(*(rpc.sessions.OpenSession(request, metadata=rpc.GAME) for _ in range(1_000)))
        assert Counter(answer.is_valid for answer in answers) == {True: 1, False: 999}
        refused = {answer.reason for answer in answers if not answer.is_valid}
        assert refused == {OpenSessionResponse.REASON_OTT_ALREADY_USED}

    async def test_a_hundred_ends_over_the_wire_have_one_winner_and_one_bill(
        self, world: "World", rpc: "Rpc", clock: ManualClock
    ) -> None:
        request = EndSessionRequest(game_session_id=await world.open())
        clock.advance(61)
        calls = [rpc.sessions.EndSession(request, metadata=rpc.GAME) for _ in range(100)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        [won] = [answer for answer in answers if not isinstance(answer, BaseException)]
        assert (won.play_duration_sec, won.session.amount_micros) == (61, 2_000_000)
        failures = [rpc.unpacked(answer) for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
        assert {(failed.code, failed.reason) for failed in failures} == {(grpc.StatusCode.FAILED_PRECONDITION, "ALREADY_ENDED")}
        assert [failed.metadata for failed in failures] == [
            {
                "end_reason": "CLIENT_END",
                "play_duration_sec": "61",
                "billed_sec": "61",
                "grace_sec": "0",
                "amount_micros": "2000000",
            }
        ] * 99


class TestMessages:
    async def test_times_of_a_session_are_told(self, world: "World", rpc: "Rpc", clock: ManualClock) -> None:
        session, opened_ms = await world.open(), clock.now_ms()
        clock.advance(ms=1_500)
        request = GetSessionRequest(game_session_id=session)
        shown = (await rpc.sessions.GetSession(request, metadata=rpc.GAME)).session
        assert shown.create_time.ToMilliseconds() == shown.last_heartbeat_time.ToMilliseconds() == opened_ms
        assert shown.expire_time.ToMilliseconds() == shown.paid_until_time.ToMilliseconds() == opened_ms + 240_000
        assert not shown.HasField("end_time")
        assert (shown.account_id, shown.is_pc_cafe, shown.play_duration_sec) == (world.ACCOUNT, True, 1)

    async def test_what_is_paid_for_ever_has_no_end(self, world: "World", rpc: "Rpc") -> None:
        await world.provision(
            Provisioning(
                tariffs=[Tariff(id="free", currency="GCOIN", unit_sec=60, price_micros=0)],
                accounts=[ProvisionedAccount(id="empty", currency="GCOIN")],
                cafes=[ProvisionedCafe(id="cafe-9", name="Nine", networks=["198.51.9.0/24"], account="empty", tariff="free")],
            )
        )
        request = GetSessionRequest(game_session_id=await world.open(at="198.51.9.1"))
        shown = (await rpc.sessions.GetSession(request, metadata=rpc.GAME)).session
        assert not shown.HasField("paid_until_time")

    async def test_a_price_is_shown_as_it_was_described(self, world: "World", rpc: "Rpc") -> None:
        tariff = Tariff(
            id="night-owl",
            currency="GCOIN",
            unit_sec=60,
            price_micros=1_000_000,
            rounding=Tariff.ROUNDING_EXACT,
            minimum_micros=5,
            free_sec=300,
            cap_micros=400,
            reserve_sec=1_800,
            time_zone="Asia/Seoul",
            windows=[
                PriceWindow(from_time="22:00", until_time="06:05", price_micros=600_000, weekdays=[5, 6]),
                PriceWindow(from_time="00:00", until_time="24:00", price_micros=0),
            ],
            bill_on_silence=Tariff.BILL_ON_SILENCE_LEASE_END,
        )
        await world.provision(Provisioning(tariffs=[tariff]))
        shown = await rpc.provisioning.GetProvisioning(GetProvisioningRequest(), metadata=rpc.OPERATOR)
        assert tariff in shown.provisioning.tariffs


class TestLog:
    async def test_a_callers_request_id_is_on_its_line(
        self, world: "World", rpc: "Rpc", caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, logger="playclock.rpc")
        metadata = (*rpc.GAME, ("x-request-id", "req_abc-123"))
        await rpc.failure(rpc.sessions.GetSession(GetSessionRequest(game_session_id=UNKNOWN), metadata=metadata))
        await rpc.sessions.GetSession(GetSessionRequest(game_session_id=await world.open()), metadata=metadata)
        lines = [line for line in map(_line, caplog.records) if line.get("request_id") == "req_abc-123"]
        assert [(line["outcome"], line["level"]) for line in lines] == [("SESSION_NOT_FOUND", "info"), ("OK", "debug")]
        assert {line["method"] for line in lines} == {"/playclock.v1.SessionService/GetSession"}
        assert all(isinstance(line["duration_us"], int) for line in lines)

    @pytest.mark.usefixtures("world")
    @pytest.mark.parametrize("given", ["", "x" * 65, "two words", 'quote"', "semi;colon"])
    async def test_a_request_id_that_could_disturb_the_log_is_replaced(
        self, rpc: "Rpc", caplog: pytest.LogCaptureFixture, given: str
    ) -> None:
        caplog.set_level(logging.DEBUG, logger="playclock.rpc")
        metadata = (*rpc.GAME, ("x-request-id", given))
        await rpc.failure(rpc.sessions.GetSession(GetSessionRequest(game_session_id=UNKNOWN), metadata=metadata))
        (line,) = map(_line, caplog.records)
        assert re.fullmatch("req_[0-9a-f]{32}", str(line["request_id"]))

    async def test_no_secret_is_ever_in_it(self, world: "World", rpc: "Rpc", caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        apply = ApplyProvisioningRequest(provisioning=world.estate())
        await rpc.provisioning.ApplyProvisioning(apply, metadata=rpc.OPERATOR)
        start = StartLaunchRequest(pc_id="pc-1", internal_ip="192.168.0.1", external_ip=world.PAYING)
        signed = rpc.signed(signed_nonce="a-nonce-to-look-for")
        launch = await rpc.launches.StartLaunch(start, metadata=signed)
        await rpc.failure(rpc.launches.StartLaunch(start, metadata=signed))
        issue = IssueOttRequest(session_token=launch.session_token, game_id=world.GAME_ID)
        ott = (await rpc.launches.IssueOtt(issue, metadata=rpc.OPERATOR)).ott
        request = OpenSessionRequest(ott=ott, provider_user_id="a-player-to-look-for")
        for metadata in (rpc.OTHER_GAME, rpc.GAME, rpc.GAME, (("x-api-key", "a-wrong-key-to-look-for"),)):
            call = rpc.sessions.OpenSession(request, metadata=metadata)
            await asyncio.gather(call, return_exceptions=True)
        await rpc.failure(rpc.sessions.EndSession(EndSessionRequest(game_session_id=ott), metadata=rpc.GAME))
        text = "\n".join(JsonFormatter().format(record) for record in caplog.records)
        assert text.count("playclock.v1.SessionService/OpenSession") == 4
        secrets = [
            *(world.KEY, world.OTHER_KEY, world.SECRET, world.OPERATOR_TOKEN, ott, launch.session_token),
            *("a-nonce-to-look-for", "a-player-to-look-for", "a-wrong-key-to-look-for"),
        ]
        assert [secret for secret in secrets if secret in text] == []

    async def test_a_fault_of_ours_is_neutral_to_the_caller_and_whole_in_the_log(
        self, world: "World", rpc: "Rpc", caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def mistake(*_: object, **__: object) -> None:
            raise LookupError("the inside of the engine")

        monkeypatch.setattr(world.engine.sessions, "get", mistake)
        metadata = (*rpc.GAME, ("x-request-id", "req_7"))
        failed = await rpc.failure(rpc.sessions.GetSession(GetSessionRequest(game_session_id=UNKNOWN), metadata=metadata))
        assert (failed.code, failed.sentence) == (grpc.StatusCode.INTERNAL, "internal error")
        assert (failed.reason, failed.metadata) == ("INTERNAL", {"request_id": "req_7"})
        (line,) = [line for line in map(_line, caplog.records) if line["level"] == "error"]
        assert line["request_id"] == "req_7"
        assert "LookupError: the inside of the engine" in str(line["exception"])


def _line(record: logging.LogRecord) -> dict[str, object]:
    line: dict[str, object] = json.loads(JsonFormatter().format(record))
    return line


class TestStreams:
    async def test_a_watcher_that_goes_leaves_nothing_behind(self, world: "World", rpc: "Rpc") -> None:
        before = len(asyncio.all_tasks())
        watches: list[Any] = [rpc.sessions.WatchSessions(WatchSessionsRequest(), metadata=rpc.GAME) for _ in range(20)]
        for watch in watches:
            await watch.read()
        assert len(world.engine.feed._news) == 20
        for watch in watches:
            watch.cancel()
        # The server hears of it over the wire: let it, however many turns of the loop that takes.
        async with asyncio.timeout(10):
            while world.engine.feed._news or len(asyncio.all_tasks()) > before:  # noqa: ASYNC110 - nobody sets an event
                await asyncio.sleep(0)
        await world.open()
        assert world.engine.feed._news == set()

    async def test_a_watcher_hears_of_its_own_game_whatever_it_asks_for(self, world: "World", rpc: "Rpc") -> None:
        watch: Any = rpc.sessions.WatchSessions(WatchSessionsRequest(game_id=world.OTHER_GAME_ID), metadata=rpc.GAME)
        await watch.read()
        await world.open("pc-1", game_id=world.OTHER_GAME_ID)
        mine = await world.open("pc-2")
        assert (await watch.read()).event.session.game_session_id == mine
        watch.cancel()


class TestServer:
    async def test_reflection_lists_the_services(self, rpc: "Rpc") -> None:
        untyped: Any = rpc.channel
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(untyped)
        request: Any = reflection_pb2.ServerReflectionRequest(list_services="")
        answers = [answer async for answer in stub.ServerReflectionInfo(iter([request]))]
        assert sorted(service.name for service in answers[0].list_services_response.service) == [
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
            "playclock.v1.AccountService",
            "playclock.v1.AuditService",
            "playclock.v1.AuthService",
            "playclock.v1.CatalogService",
            "playclock.v1.DeliveryService",
            "playclock.v1.DeveloperGameService",
            "playclock.v1.GameLinkService",
            "playclock.v1.ImageService",
            "playclock.v1.KeyService",
            "playclock.v1.LaunchService",
            "playclock.v1.LimitService",
            "playclock.v1.MatchService",
            "playclock.v1.OpenIdService",
            "playclock.v1.PointsService",
            "playclock.v1.ProvisioningService",
            "playclock.v1.SessionService",
            "playclock.v1.SettlementService",
            "playclock.v1.WalletService",
        ]

    @pytest.mark.usefixtures("world")
    async def test_a_message_that_is_too_big_is_refused(self, rpc: "Rpc") -> None:
        request = OpenSessionRequest(provider_user_id="x" * MESSAGE_BYTES_MAX)
        failed = await rpc.failure(rpc.sessions.OpenSession(request, metadata=rpc.GAME))
        assert failed.code is grpc.StatusCode.RESOURCE_EXHAUSTED

    @pytest.mark.usefixtures("world")
    async def test_metadata_that_is_too_big_is_refused(self, rpc: "Rpc") -> None:
        metadata = (*rpc.GAME, ("x-padding", "x" * 2 * METADATA_BYTES_MAX))
        failed = await rpc.failure(rpc.sessions.OpenSession(OpenSessionRequest(), metadata=metadata))
        assert failed.code is grpc.StatusCode.RESOURCE_EXHAUSTED

    async def test_who_connects_and_says_nothing_sensible_is_sent_away(self, engine: Engine) -> None:
        assert dict(OPTIONS)["grpc.server_handshake_timeout_ms"] == 10_000
        server = await Server.start(engine, options=(("grpc.server_handshake_timeout_ms", 300),))
        host, _, port = server.address.rpartition(":")
        connections = [await asyncio.open_connection(host, int(port)) for _ in range(3)]
        for (_, writer), sent in zip(connections, (b"", b"PRI * HTTP/2.0", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), strict=True):
            writer.write(sent)
        async with asyncio.timeout(10):
            for reader, writer in connections:
                await reader.read()
                writer.close()
        await server.drain(0)

    async def test_a_port_that_is_taken_is_an_error(self, server: Server, engine: Engine) -> None:
        with pytest.raises(AddressInUse, match=server.address):
            await Server.start(engine, server.address)

    async def test_calls_under_way_finish_while_it_drains_and_new_ones_are_sent_away(
        self, world: "World", make_world: "WorldMaker", faulty_store: "FaultInjectingStore"
    ) -> None:
        session = await world.open()
        engine = (await make_world(faulty_store)).engine
        server = await Server.start(engine)
        async with grpc.aio.insecure_channel(server.address) as channel:
            sessions, metadata = SessionServiceStub(channel), (("x-api-key", world.KEY),)
            gate = faulty_store.stalls_before = asyncio.Event()
            under_way = asyncio.ensure_future(
                sessions.EndSession(EndSessionRequest(game_session_id=session), metadata=metadata)
            )
            await faulty_store.stalled.wait()
            draining = asyncio.create_task(server.drain(60))
            await asyncio.sleep(0)
            assert engine.draining
            faulty_store.stalls_before = None
            gate.set()
            assert (await under_way).session.game_session_id == session
            await draining
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await sessions.GetSession(GetSessionRequest(game_session_id=session), metadata=metadata)
            assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE

    async def test_health_tells_that_it_drains(self, server: Server, rpc: "Rpc") -> None:
        server.announce_drain()
        for service in ("", "playclock.v1.SessionService"):
            answer = await rpc.health.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING


CALLER = """
import sys, grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
own = (("grpc.use_local_subchannel_pool", 1),)
channels = [grpc.insecure_channel(sys.argv[1], options=own) for _ in range(4)]
for channel in channels:
    grpc.channel_ready_future(channel).result(timeout=30)
print("ready", flush=True)
sys.stdin.readline()
calls = [HealthStub(channel).Check.future(HealthCheckRequest()) for _ in range(int(sys.argv[2])) for channel in channels]
print(*sorted({call.code().name for call in calls}))
"""


@pytest.mark.parametrize(
    ("options", "calls", "told"),
    [
        ((), 5, "OK\n"),
        (((UNREQUESTED, 1),), 5, "CANCELLED OK\n"),
        ((), 900, "OK\n"),
        (((PENDING, 1_000), (f"{PENDING}_hard_limit", 3_000)), 900, "CANCELLED OK\n"),
    ],
    ids=["few", "few for at most a second", "many", "many with gRPC's own limits"],
)
async def test_who_calls_a_process_that_stands_still_is_answered_when_it_goes_on(
    options: tuple[tuple[str, int], ...], calls: int, told: str
) -> None:
    async with Engine() as engine:
        server = await Server.start(engine, options=options)
        pipe = asyncio.subprocess.PIPE
        caller = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CALLER, server.address, str(calls), stdin=pipe, stdout=pipe
        )
        assert caller.stdout is not None
        assert await caller.stdout.readline() == b"ready\n"
        assert caller.stdin is not None
        caller.stdin.write(b"go\n")
        await caller.stdin.drain()
        time.sleep(2.5)  # noqa: ASYNC251 - it is the standstill: gRPC takes calls in meanwhile, and nobody takes them up
        answer, _ = await caller.communicate()
        await server.drain(0)
    assert answer.decode() == told
    # As long as any caller waits: what gRPC would do after a second, it shall not do after half a minute either.
    assert dict(OPTIONS)[UNREQUESTED] >= 3_600

"""The channel in process answers exactly as the socket does."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from google.protobuf.message import Message
from playclock.engine import Engine
from playclock.rpc.inprocess import InProcessChannel
from playclock.v1 import (
    ApplyProvisioningRequest,
    BatchHeartbeatRequest,
    EndLaunchRequest,
    EndSessionRequest,
    EndSessionsOfServerRequest,
    GetProvisioningRequest,
    GetSessionRequest,
    HeartbeatLaunchRequest,
    HeartbeatRequest,
    IssueOttRequest,
    ListSessionsRequest,
    OpenSessionRequest,
    ProvisionedGame,
    Provisioning,
    SessionServiceStub,
    StartLaunchRequest,
    TerminateSessionRequest,
    VerifyCallerRequest,
    WatchSessionsRequest,
)

if TYPE_CHECKING:
    from tests.conftest import FaultInjectingStore, World
    from tests.rpc.conftest import Rpc

UUID = "ab3f0e8a-6c1b-4a53-9f0e-0d1f2a3b4c5d"
SESSION = "gs_" + UUID

Call = Callable[["Rpc", dict[str, str]], Awaitable[Message]]

CALLS: dict[str, Call] = {
    "no credentials": lambda rpc, _: rpc.sessions.GetSession(GetSessionRequest(game_session_id=SESSION)),
    "a wrong key": lambda rpc, _: rpc.sessions.ListSessions(ListSessionsRequest(), metadata=(("x-api-key", "wrong"),)),
    "a role that may not": lambda rpc, _: rpc.launches.EndLaunch(EndLaunchRequest(), metadata=rpc.GAME),
    "bad fields": lambda rpc, _: rpc.sessions.OpenSession(OpenSessionRequest(), metadata=rpc.GAME),
    "an unknown session": lambda rpc, _: rpc.sessions.EndSession(EndSessionRequest(game_session_id=SESSION), metadata=rpc.GAME),
    "an unknown launch": lambda rpc, _: rpc.launches.HeartbeatLaunch(
        HeartbeatLaunchRequest(session_token="ls_" + UUID), metadata=rpc.OPERATOR
    ),
    "an unknown game": lambda rpc, ids: rpc.launches.IssueOtt(
        IssueOttRequest(session_token=ids["launch"], game_id=UUID), metadata=rpc.OPERATOR
    ),
    "no cafe": lambda rpc, _: rpc.launches.StartLaunch(
        StartLaunchRequest(pc_id="pc", external_ip="192.0.2.1"), metadata=rpc.OPERATOR
    ),
    "another game's session": lambda rpc, ids: rpc.sessions.GetSession(
        GetSessionRequest(game_session_id=ids["live"]), metadata=rpc.OTHER_GAME
    ),
    "a live session": lambda rpc, ids: rpc.sessions.GetSession(
        GetSessionRequest(game_session_id=ids["live"]), metadata=rpc.GAME
    ),
    "a heartbeat": lambda rpc, ids: rpc.sessions.Heartbeat(
        HeartbeatRequest(game_session_id=ids["live"], provider_user_id="player-1"), metadata=rpc.GAME
    ),
    "a heartbeat after the end": lambda rpc, ids: rpc.sessions.Heartbeat(
        HeartbeatRequest(game_session_id=ids["ended"], provider_user_id="player-1"), metadata=rpc.GAME
    ),
    "an end after the end": lambda rpc, ids: rpc.sessions.EndSession(
        EndSessionRequest(game_session_id=ids["ended"], play_duration_sec=5), metadata=rpc.GAME
    ),
    "a termination after the end": lambda rpc, ids: rpc.sessions.TerminateSession(
        TerminateSessionRequest(game_session_id=ids["ended"]), metadata=rpc.OPERATOR
    ),
    "a used OTT": lambda rpc, ids: rpc.sessions.OpenSession(
        OpenSessionRequest(ott=ids["used"], provider_user_id="player-1"), metadata=rpc.GAME
    ),
    "a request id with other contents": lambda rpc, ids: rpc.sessions.OpenSession(
        OpenSessionRequest(ott=ids["used"], provider_user_id="somebody-else", request_id="r-1"), metadata=rpc.GAME
    ),
    "a request id again": lambda rpc, ids: rpc.sessions.OpenSession(
        OpenSessionRequest(ott=ids["used"], provider_user_id="player-1", request_id="r-1"), metadata=rpc.GAME
    ),
    "a batch": lambda rpc, ids: rpc.sessions.BatchHeartbeat(
        BatchHeartbeatRequest(
            heartbeats=[
                HeartbeatRequest(game_session_id=id_, provider_user_id="player-1")
                for id_ in (ids["live"], ids["ended"], SESSION, "junk")
            ]
        ),
        metadata=rpc.GAME,
    ),
    "the list": lambda rpc, _: rpc.sessions.ListSessions(ListSessionsRequest(), metadata=rpc.GAME),
    "nobody's server": lambda rpc, _: rpc.sessions.EndSessionsOfServer(
        EndSessionsOfServerRequest(server_id="none"), metadata=rpc.GAME
    ),
    "who calls": lambda rpc, _: rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=rpc.signed()),
    "a wrong signature": lambda rpc, _: rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=rpc.signed(nonce="other")),
    "an old signature": lambda rpc, _: rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=rpc.signed(signed_at="1")),
    "the estate": lambda rpc, _: rpc.provisioning.GetProvisioning(GetProvisioningRequest(), metadata=rpc.OPERATOR),
    "an estate that does not fit": lambda rpc, _: rpc.provisioning.ApplyProvisioning(
        ApplyProvisioningRequest(
            provisioning=Provisioning(games=[ProvisionedGame(id=UUID, name="G", number=123, api_keys=["k"])])
        ),
        metadata=rpc.OPERATOR,
    ),
}


@pytest.fixture
async def ids(world: "World") -> dict[str, str]:
    """Return the names of what the calls are about."""
    launch = await world.start("pc-1")
    used = await world.ott(launch)
    live = await world.redeem(used, request_id="r-1")
    ended = await world.open("pc-2")
    await world.end(ended, counted_sec=7)
    return {"launch": launch, "used": used, "live": getattr(live, "session_id", ""), "ended": ended}


@pytest.mark.parametrize("name", list(CALLS))
async def test_the_same_answer(rpc: "Rpc", near: "Rpc", ids: dict[str, str], name: str) -> None:
    over_a_socket, in_process = [await _answer(there, CALLS[name](there, ids)) for there in (rpc, near)]
    assert over_a_socket == in_process
    assert type(over_a_socket) is type(in_process)


async def _answer(rpc: "Rpc", call: Awaitable[Message]) -> object:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        return rpc.unpacked(error)


async def test_the_table_has_answers_of_many_kinds(near: "Rpc", ids: dict[str, str]) -> None:
    answers = [await _answer(near, call(near, ids)) for call in CALLS.values()]
    codes = {answer.code for answer in answers if isinstance(answer, tuple) and hasattr(answer, "code")}
    code = grpc.StatusCode
    assert codes == {
        code.UNAUTHENTICATED,
        code.PERMISSION_DENIED,
        code.INVALID_ARGUMENT,
        code.NOT_FOUND,
        code.FAILED_PRECONDITION,
        code.ALREADY_EXISTS,
    }
    assert sum(isinstance(answer, Message) for answer in answers) >= 9


class TestStreams:
    async def test_a_watch_tells_the_same(self, world: "World", rpc: "Rpc", near: "Rpc") -> None:
        far_watch: Any = rpc.sessions.WatchSessions(WatchSessionsRequest(), metadata=rpc.GAME)
        near_watch: Any = near.sessions.WatchSessions(WatchSessionsRequest(), metadata=near.GAME)
        assert await far_watch.read() == await near_watch.read()
        session = await world.open()
        await world.end(session)
        for _ in range(2):
            told = await far_watch.read()
            assert told == await near_watch.read()
            assert told.event.session.game_session_id == session
        far_watch.cancel()
        await near_watch.aclose()

    async def test_a_watch_without_credentials_fails_the_same(self, rpc: "Rpc", near: "Rpc") -> None:
        failures = [await there.failure(there.sessions.WatchSessions(WatchSessionsRequest()).read()) for there in (rpc, near)]
        assert failures[0] == failures[1]
        assert failures[0].code is grpc.StatusCode.UNAUTHENTICATED

    async def test_a_method_that_is_not_served_is_unimplemented(self, rpc: "Rpc", near: "Rpc") -> None:
        for there in (rpc, near):
            call: Any = there.channel.unary_unary(
                "/playclock.v1.SessionService/Nothing",
                request_serializer=VerifyCallerRequest.SerializeToString,
                response_deserializer=VerifyCallerRequest.FromString,
            )
            assert (await there.failure(call(VerifyCallerRequest()))).code is grpc.StatusCode.UNIMPLEMENTED


class TestInProcessOnly:
    async def test_a_call_ends_with_its_time_out(
        self,
        world: "World",
        faulty_store: "FaultInjectingStore",
        make_engine: Any,  # noqa: ANN401 - a function
    ) -> None:
        ott = await world.ott()
        engine: Engine = await make_engine(faulty_store)
        faulty_store.stalls_before = asyncio.Event()
        sessions = SessionServiceStub(InProcessChannel(engine, operator=True))
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await sessions.OpenSession(OpenSessionRequest(ott=ott, provider_user_id="p"), timeout=0.05)
        assert (late.value.code(), late.value.details()) == (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")

    async def test_a_stream_ends_with_its_time_out(self, world: "World", near: "Rpc") -> None:
        watch = near.sessions.WatchSessions(WatchSessionsRequest(), metadata=near.GAME, timeout=0.05)
        assert await anext(aiter(watch))
        late = await near.failure(anext(aiter(watch)))
        assert late.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert world.engine.feed._news == set()

    async def test_a_stream_that_is_closed_watches_no_more(self, world: "World", near: "Rpc") -> None:
        watch = near.sessions.WatchSessions(WatchSessionsRequest(), metadata=near.GAME)
        assert await anext(aiter(watch))
        assert world.engine.feed.watchers == 1
        await watch.aclose()  # type: ignore[attr-defined]  # the stubs know gRPC's own streams alone
        assert world.engine.feed.watchers == 0

    async def test_operators_need_no_credentials_where_the_channel_says_so(self, world: "World", engine: Engine) -> None:
        session = await world.open()
        request = GetSessionRequest(game_session_id=session)
        sessions = SessionServiceStub(InProcessChannel(engine, operator=True))
        assert (await sessions.GetSession(request)).session.game_session_id == session
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await sessions.GetSession(request, metadata=(("x-api-key", world.OTHER_KEY),))
        assert refusal.value.code() is grpc.StatusCode.NOT_FOUND

    async def test_credentials_of_the_channel_go_with_every_call_and_a_calls_own_count_before_them(
        self, world: "World", engine: Engine
    ) -> None:
        request = GetSessionRequest(game_session_id=await world.open())
        sessions = SessionServiceStub(InProcessChannel(engine, metadata=[("x-api-key", world.KEY)]))
        assert (await sessions.GetSession(request)).session.game_id == world.GAME_ID
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await sessions.GetSession(request, metadata=(("x-api-key", world.OTHER_KEY),))
        assert refusal.value.code() is grpc.StatusCode.NOT_FOUND

    async def test_streams_both_ways_are_refused(self, engine: Engine) -> None:
        with pytest.raises(NotImplementedError):
            InProcessChannel(engine).stream_stream("/playclock.v1.SessionService/Nothing")

    async def test_it_is_a_channel_that_is_always_ready(self, engine: Engine) -> None:
        async with InProcessChannel(engine) as channel:
            await channel.channel_ready()
            assert channel.get_state() is grpc.ChannelConnectivity.READY
            await channel.wait_for_state_change(grpc.ChannelConnectivity.IDLE)
            await channel.close()

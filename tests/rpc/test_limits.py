"""Limits on the wire: who guesses is slowed down, whoever is good goes on, and nothing refuses a heartbeat or an end."""

import uuid
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from playclock.clock import ManualClock
from playclock.core.answers import Refused
from playclock.core.limits import LimitRules, Quota
from playclock.core.ott import Refusal
from playclock.engine import Engine
from playclock.errors import RateLimited
from playclock.rpc.inprocess import InProcessChannel
from playclock.stores.base import Commit, Conflict, Record, Store
from playclock.stores.memory import MemoryStore
from playclock.v1 import (
    ADDRESS_LIMIT_PLAYFUN,
    BatchHeartbeatRequest,
    EndSessionRequest,
    EndSessionsOfServerRequest,
    GetSessionRequest,
    HeartbeatRequest,
    LimitServiceStub,
    ListSessionsRequest,
    OpenSessionRequest,
    OpenSessionResponse,
    StartLaunchRequest,
    TakeLimitRequest,
    TakeLimitResponse,
    VerifyCallerRequest,
)

if TYPE_CHECKING:
    from tests.conftest import EngineMaker, World
    from tests.rpc.conftest import Failed, Metadata, Rpc

WRONG = (("x-api-key", "a-guess"),)
NOBODYS = "gs_00000000-0000-4000-8000-000000000000"

pytestmark = pytest.mark.usefixtures("world")


async def guess(rpc: "Rpc", times: int, metadata: "Metadata" = WRONG) -> list[str]:
    """Guess a key so often, and return what was said."""
    return [(await rpc.failure(rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=metadata))).reason for _ in range(times)]


async def is_refused(rpc: "Rpc", metadata: "Metadata") -> "Failed":
    return await rpc.failure(rpc.sessions.ListSessions(ListSessionsRequest(), metadata=metadata))


class TestWrongCredentials:
    """Guessing from one address."""

    async def test_guesses_are_refused_when_there_are_too_many(self, rpc: "Rpc", engine: Engine, clock: ManualClock) -> None:
        assert await guess(rpc, 60) == ["INVALID_API_KEY"] * 60
        clock.advance(12.3)
        failed = await rpc.failure(rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=WRONG))
        assert (failed.code, failed.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
        assert failed.metadata == {"limit": "wrong_credentials_per_address", "quota": "60", "window_sec": "60"}
        assert failed.retry_ms == 47_700
        assert engine.counts.rate_limited == {"wrong_credentials_per_address": 1}
        clock.advance(ms=47_699)
        assert await guess(rpc, 1) == ["RATE_LIMITED"]
        clock.advance(ms=1)
        assert await guess(rpc, 61) == [*["INVALID_API_KEY"] * 60, "RATE_LIMITED"]

    @pytest.mark.parametrize("kind", ["key", "token", "signature"])
    async def test_every_kind_of_credential_counts(self, rpc: "Rpc", kind: str) -> None:
        metadata = {
            "key": WRONG,
            "token": (("authorization", "Bearer a-guess"),),
            "signature": rpc.signed(trusted=False),
        }[kind]
        reasons = await guess(rpc, 61, metadata)
        assert "RATE_LIMITED" not in reasons[:60]
        assert reasons[60] == "RATE_LIMITED"

    async def test_a_guess_that_is_right_sounds_like_one_that_is_wrong(self, rpc: "Rpc") -> None:
        await guess(rpc, 60)
        wrong, right = await is_refused(rpc, WRONG), await is_refused(rpc, rpc.GAME)
        assert right == wrong
        assert right.reason == "RATE_LIMITED"
        start = StartLaunchRequest(pc_id="pc-1", internal_ip="10.0.0.1")
        assert await rpc.failure(rpc.launches.StartLaunch(start, metadata=rpc.GAME)) == wrong, "nor may a wrong call tell"

    async def test_who_was_let_in_there_before_goes_on(self, rpc: "Rpc") -> None:
        await rpc.sessions.ListSessions(ListSessionsRequest(), metadata=rpc.GAME)
        await guess(rpc, 60)
        await rpc.sessions.ListSessions(ListSessionsRequest(), metadata=rpc.GAME)
        assert (await is_refused(rpc, rpc.OTHER_GAME)).reason == "RATE_LIMITED"

    async def test_heartbeats_and_ends_of_what_is_alive_go_on_whoever_calls(self, world: "World", rpc: "Rpc") -> None:
        session, batched, of_server = [await world.open(pc, server=pc) for pc in ("pc-1", "pc-2", "pc-3")]
        await guess(rpc, 60)
        for _ in range(3):
            beat = HeartbeatRequest(game_session_id=session, provider_user_id=world.PLAYER)
            await rpc.sessions.Heartbeat(beat, metadata=rpc.GAME)
        many = BatchHeartbeatRequest(
            heartbeats=[HeartbeatRequest(game_session_id=each, provider_user_id=world.PLAYER) for each in (batched, NOBODYS)]
        )
        answer = await rpc.sessions.BatchHeartbeat(many, metadata=rpc.GAME)
        assert [result.HasField("response") for result in answer.results] == [True, False]
        await rpc.sessions.EndSession(EndSessionRequest(game_session_id=session), metadata=rpc.GAME)
        again = await rpc.failure(rpc.sessions.EndSession(EndSessionRequest(game_session_id=session), metadata=rpc.GAME))
        assert again.reason == "ALREADY_ENDED"
        ended = await rpc.sessions.EndSessionsOfServer(EndSessionsOfServerRequest(server_id="pc-3"), metadata=rpc.GAME)
        assert list(ended.game_session_ids) == [of_server]

    async def test_but_they_tell_nothing_of_a_key_to_who_knows_of_nothing_alive(self, rpc: "Rpc") -> None:
        await guess(rpc, 60)
        for metadata in (rpc.GAME, WRONG):
            beat = HeartbeatRequest(game_session_id=NOBODYS, provider_user_id="p")
            calls: list[Awaitable[object]] = [
                rpc.sessions.Heartbeat(beat, metadata=metadata),
                rpc.sessions.Heartbeat(HeartbeatRequest(), metadata=metadata),
                rpc.sessions.BatchHeartbeat(BatchHeartbeatRequest(heartbeats=[beat]), metadata=metadata),
                rpc.sessions.BatchHeartbeat(BatchHeartbeatRequest(), metadata=metadata),
                rpc.sessions.EndSession(EndSessionRequest(game_session_id=NOBODYS), metadata=metadata),
                rpc.sessions.EndSessionsOfServer(EndSessionsOfServerRequest(server_id="s"), metadata=metadata),
            ]
            assert [(await rpc.failure(call)).reason for call in calls] == ["RATE_LIMITED"] * 6

    async def test_a_launchers_nonce_is_not_used_up_by_a_refusal(self, world: "World", rpc: "Rpc", clock: ManualClock) -> None:
        elsewhere = (("x-caller-address", world.PAYING),)
        await guess(rpc, 60, (*WRONG, *elsewhere, *rpc.OPERATOR))
        signed = (*rpc.signed(), *elsewhere)
        start = StartLaunchRequest(pc_id="pc-1", internal_ip="10.0.0.1", external_ip=world.PAYING)
        assert (await rpc.failure(rpc.launches.StartLaunch(start, metadata=signed))).reason == "RATE_LIMITED"
        clock.advance(60)
        assert (await rpc.launches.StartLaunch(start, metadata=signed)).is_pc_cafe

    async def test_an_address_is_believed_inside_the_trust_boundary_only(self, rpc: "Rpc", near: "Rpc") -> None:
        elsewhere = (("x-caller-address", "203.0.113.9"),)
        assert await guess(near, 61, (*WRONG, *elsewhere)) == [*["INVALID_API_KEY"] * 60, "RATE_LIMITED"]
        assert await guess(near, 1, (*WRONG, ("x-caller-address", "203.0.113.10"))) == ["INVALID_API_KEY"]
        assert await guess(rpc, 1, (*WRONG, *elsewhere)) == ["INVALID_API_KEY"], "a stranger's word does not count"
        for bearer, reason in (("Bearer a-guess", "INVALID_API_KEY"), (rpc.OPERATOR[0][1], "RATE_LIMITED")):
            vouched = ("x-caller-address-authorization", bearer)
            assert await guess(rpc, 1, (*WRONG, *elsewhere, vouched)) == [reason]

    async def test_where_no_address_is_known_nobody_is_refused(self, near: "Rpc") -> None:
        assert set(await guess(near, 100)) == {"INVALID_API_KEY"}


class TestGuessingOtts:
    """A game server that tries OTTs which nobody has issued."""

    async def test_guesses_are_throttled_while_players_get_in(self, world: "World", rpc: "Rpc", engine: Engine) -> None:
        session = await world.open("pc-0")
        beat = HeartbeatRequest(game_session_id=session, provider_user_id=world.PLAYER)
        told = {"OTT_EXPIRED": 0, "RATE_LIMITED": 0}
        for number in range(10_000):
            try:
                assert await world.redeem(str(uuid.uuid4())) == Refused(Refusal.EXPIRED)
            except RateLimited:
                told["RATE_LIMITED"] += 1
            else:
                told["OTT_EXPIRED"] += 1
            if number % 1_000 == 999:
                assert (await self._open(rpc, await world.ott(pc=f"pc-{number}"))).is_valid
                await rpc.sessions.Heartbeat(beat, metadata=rpc.GAME)
        assert told == {"OTT_EXPIRED": 600, "RATE_LIMITED": 9_400}
        assert (await rpc.failure(self._open(rpc, str(uuid.uuid4())))).reason == "RATE_LIMITED"
        assert engine.counts.rate_limited == {"refused_otts_per_key": 9_401}
        await rpc.sessions.EndSession(EndSessionRequest(game_session_id=session), metadata=rpc.GAME)

    async def test_other_games_at_other_addresses_are_not_concerned(self, near: "Rpc") -> None:
        here, there = (("x-caller-address", "192.0.2.1"),), (("x-caller-address", "192.0.2.2"),)
        for _ in range(600):
            await self._open(near, str(uuid.uuid4()), (*near.GAME, *here))
        for metadata, limit in (
            ((*near.GAME, *there), "refused_otts_per_key"),
            ((*near.OTHER_GAME, *here), "refused_otts_per_address"),
        ):
            call = self._open(near, str(uuid.uuid4()), metadata)
            assert ((await near.failure(call)).metadata or {})["limit"] == limit
        assert not (await self._open(near, str(uuid.uuid4()), (*near.OTHER_GAME, *there))).is_valid

    async def test_who_is_refused_writes_nothing(self, world: "World", make_engine: "EngineMaker") -> None:
        engine = world.engine
        for _ in range(600):
            await world.redeem(str(uuid.uuid4()))
        successor = await make_engine(engine.store)
        ott = str(uuid.uuid4())
        with pytest.raises(RateLimited):
            await world.redeem(ott, request_id="once")
        answer = await successor.sessions.open(world.GAME, ott=str(uuid.uuid4()), provider_user_id="p", request_id="once")
        assert isinstance(answer, Refused), "the request id is still free"

    async def _open(self, rpc: "Rpc", ott: str, metadata: "Metadata | None" = None) -> OpenSessionResponse:
        request = OpenSessionRequest(ott=ott, provider_user_id="player-1")
        answer: OpenSessionResponse = await rpc.sessions.OpenSession(request, metadata=metadata or rpc.GAME)
        return answer


class TestCalls:
    """The limit on calls of a key."""

    @pytest.fixture
    async def engine(self, make_engine: "EngineMaker", store: Store) -> Engine:
        return await make_engine(store, limits=LimitRules(calls_per_key=Quota(3, 60)))

    async def test_a_key_has_its_calls_and_no_more_but_keeps_its_sessions(
        self, world: "World", rpc: "Rpc", clock: ManualClock
    ) -> None:
        session = await world.open()
        for _ in range(3):
            await rpc.sessions.GetSession(GetSessionRequest(game_session_id=session), metadata=rpc.GAME)
        failed = await is_refused(rpc, rpc.GAME)
        assert (failed.reason, (failed.metadata or {})["limit"]) == ("RATE_LIMITED", "calls_per_key")
        for metadata in (rpc.OTHER_GAME, rpc.OPERATOR):
            await rpc.sessions.ListSessions(ListSessionsRequest(), metadata=metadata)
        for _ in range(10):
            beat = HeartbeatRequest(game_session_id=session, provider_user_id=world.PLAYER)
            await rpc.sessions.Heartbeat(beat, metadata=rpc.GAME)
        await rpc.sessions.EndSession(EndSessionRequest(game_session_id=session), metadata=rpc.GAME)
        assert failed.retry_ms is not None
        clock.advance(ms=failed.retry_ms)
        await rpc.sessions.ListSessions(ListSessionsRequest(), metadata=rpc.GAME)

    async def test_operators_have_no_limit(self, rpc: "Rpc") -> None:
        for _ in range(10):
            await rpc.sessions.ListSessions(ListSessionsRequest(), metadata=rpc.OPERATOR)


class TestTakeLimit:
    """What a facade asks for its dialect."""

    async def test_it_counts_and_tells_what_is_left(self, rpc: "Rpc", clock: ManualClock) -> None:
        assert await self._take(rpc) == TakeLimitResponse(
            name="playfun_per_address", quota=60, window_sec=60, remaining=59, reset_after_sec=60
        )
        clock.advance(0.5)
        for _ in range(58):
            await self._take(rpc)
        last = await self._take(rpc)
        assert (last.remaining, last.reset_after_sec) == (0, 60)
        failed = await rpc.failure(self._take(rpc))
        assert (failed.reason, failed.retry_ms) == ("RATE_LIMITED", 59_500)
        assert (await self._take(rpc, "2001:db8::1")).remaining == 59
        assert (await self._take(rpc, "2001:db8::2")).remaining == 58

    async def test_what_is_no_limit_or_no_address_is_refused(self, rpc: "Rpc") -> None:
        failed = await rpc.failure(LimitServiceStub(rpc.channel).TakeLimit(TakeLimitRequest(), metadata=rpc.OPERATOR))
        assert failed.violations == ("limit", "address")

    async def test_a_limit_that_is_turned_off_tells_nothing(self, make_engine: "EngineMaker", store: Store) -> None:
        engine = await make_engine(store, limits=LimitRules(playfun_per_address=None))
        request = TakeLimitRequest(limit=ADDRESS_LIMIT_PLAYFUN, address="192.0.2.1")
        assert await LimitServiceStub(InProcessChannel(engine)).TakeLimit(request) == TakeLimitResponse()

    async def _take(self, rpc: "Rpc", address: str = "192.0.2.1") -> TakeLimitResponse:
        request = TakeLimitRequest(limit=ADDRESS_LIMIT_PLAYFUN, address=address)
        left: TakeLimitResponse = await LimitServiceStub(rpc.channel).TakeLimit(request, metadata=rpc.OPERATOR)
        return left


class CountedStore(MemoryStore):
    """Counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        self.asked += 1
        return await super().get(keys)

    async def commit(self, commits: Sequence[Commit]) -> list[Conflict | None]:
        self.asked += 1
        return await super().commit(commits)


class TestCost:
    """What limits ask of the store: nothing, while nobody comes near them."""

    @pytest.fixture
    async def engine(self, make_engine: "EngineMaker") -> Engine:
        engine = await make_engine(CountedStore())
        engine.limits.is_shared = True
        return engine

    async def test_a_heartbeat_asks_the_store_once_and_a_refused_key_never(
        self, world: "World", rpc: "Rpc", engine: Engine
    ) -> None:
        store = engine.store
        assert isinstance(store, CountedStore)
        session = await world.open(at=world.FREE)
        beat = HeartbeatRequest(game_session_id=session, provider_user_id=world.PLAYER)
        await rpc.sessions.Heartbeat(beat, metadata=rpc.GAME)
        store.asked = 0
        for _ in range(10):
            await rpc.sessions.Heartbeat(beat, metadata=rpc.GAME)
        assert store.asked == 10
        await guess(rpc, 5)
        await engine.limits.share()
        assert store.asked == 10
        await guess(rpc, 95)
        assert store.asked == 10, "guesses wait for nothing"
        await engine.limits.share()
        assert store.asked == 12, "one reading and one commit for all of them"
        await rpc.sessions.Heartbeat(beat, metadata=rpc.GAME)
        assert store.asked == 13

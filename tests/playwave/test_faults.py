"""What callers hear when something behind the facade fails: the store, the engine, the channel to it."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from playclock.core.ids import kind_of
from playclock.stores.base import Commit, Conflict, Record, Store, StoreUnavailable

from .callers import GameServer, LauncherPc
from .conftest import ServerMaker
from .envelope import anonymous, data_of, error_of, refusal_of
from .estate import COIN, RIVAL_KEY
from .server import Server

AWAY = (503, "SERVICE_UNAVAILABLE")
BROKEN = (500, "INTERNAL_ERROR")


class FaultInjectingStore:
    """A store that fails when it is told to: before it does anything, or after it has written a session."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.before: Exception | None = None
        self.after: Exception | None = None

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        self._fail(self.before)
        return await self._store.get(keys)

    async def commit(self, commits: Sequence[Commit]) -> list[Conflict | None]:
        self._fail(self.before)
        committed = await self._store.commit(commits)
        if any(kind_of(put.key) == "session" for commit in commits for put in commit.puts):
            self._fail(self.after)
        return committed

    async def ping(self) -> None:
        self._fail(self.before)
        await self._store.ping()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the rest is the store's
        return getattr(self._store, name)

    @staticmethod
    def _fail(error: Exception | None) -> None:
        if error is not None:
            raise error


class FaultInjectingChannel:
    """A channel whose calls fail when it is told to."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self.error: Exception | None = None

    def unary_unary(self, *args: Any, **kwargs: Any) -> Callable[..., Awaitable[object]]:  # noqa: ANN401 - gRPC's
        call = self._channel.unary_unary(*args, **kwargs)

        async def fail_or_call(*request: Any, **options: Any) -> object:  # noqa: ANN401 - gRPC's
            if self.error is not None:
                raise self.error
            return await call(*request, **options)

        return fail_or_call

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the rest is the channel's
        return getattr(self._channel, name)


@pytest.fixture
async def stores() -> list[FaultInjectingStore]:
    return []


@pytest.fixture
def faulty_server(make_server: ServerMaker, stores: list[FaultInjectingStore]) -> Callable[[], Any]:
    """Make a server with faulty stores."""

    def wrap(store: Store) -> FaultInjectingStore:
        stores.append(FaultInjectingStore(store))
        return stores[-1]

    return lambda: make_server(wrap_store=wrap)


async def test_while_the_store_is_away_every_call_that_needs_it_is_503_and_may_be_repeated(
    faulty_server: Callable[[], Any], stores: list[FaultInjectingStore]
) -> None:
    server: Server = await faulty_server()
    game, pc = server.game(), server.pc()
    session, ott = await server.join(pc), await pc.ott()
    stores[0].before = StoreUnavailable("redis-7.internal:6379 does not answer")
    for answer in (
        await game.verify(ott),
        await game.heartbeat(session),
        await game.end(session),
        *(await pc.start(), await pc.order(), await pc.heartbeat(), await pc.end()),
    ):
        assert refusal_of(answer) == AWAY
        assert answer.headers["retry-after"] == "1"
        assert "redis" not in answer.text
    stores[0].before = None
    assert data_of(await game.heartbeat(session))["result"] == "OK"
    assert data_of(await game.verify(ott))["is_valid"] is True


async def test_an_outage_of_the_store_kills_no_session_that_comes_back_within_its_lease(
    faulty_server: Callable[[], Any], stores: list[FaultInjectingStore]
) -> None:
    server: Server = await faulty_server()
    game, pc = server.game(), server.pc()
    session = await server.join(pc)
    stores[0].before = StoreUnavailable("away")
    server.clock.advance(120)
    assert refusal_of(await game.heartbeat(session)) == AWAY
    stores[0].before = None
    server.clock.advance(119)
    assert data_of(await game.heartbeat(session))["play_duration_sec"] == 239


async def test_health_tells_that_the_store_is_away(faulty_server: Callable[[], Any], stores: list[FaultInjectingStore]) -> None:
    server: Server = await faulty_server()
    assert (await server.client().get("/readyz")).json() == {"status": "SERVING"}
    stores[0].before = StoreUnavailable("away")
    assert (await server.client().get("/readyz")).status_code == 503
    assert (await server.client().get("/healthz")).json() == {"status": "UP"}


async def test_where_only_the_stores_answer_got_lost_the_idempotency_key_finds_the_session(
    faulty_server: Callable[[], Any], stores: list[FaultInjectingStore]
) -> None:
    server: Server = await faulty_server()
    game, with_key, without = server.game(), await server.pc().ott(), await server.pc().ott()
    stores[0].after = StoreUnavailable("lost")
    assert refusal_of(await game.verify(with_key, Idempotency_Key="join-1")) == AWAY
    assert refusal_of(await game.verify(without)) == AWAY
    stores[0].after = None
    found = data_of(await game.verify(with_key, Idempotency_Key="join-1"))
    assert found["is_valid"] is True
    assert data_of(await game.verify(without)) == {"is_valid": False, "reason": "OTT_ALREADY_USED"}
    assert data_of(await game.heartbeat(found["game_session_id"]))["result"] == "OK"
    assert (await server.account()).held_micros == 8 * COIN


async def test_a_fault_of_ours_is_a_500_that_tells_nothing_and_is_in_the_log_under_its_request_id(
    faulty_server: Callable[[], Any], stores: list[FaultInjectingStore], caplog: pytest.LogCaptureFixture
) -> None:
    server: Server = await faulty_server()
    session = await server.join()
    stores[0].before = RuntimeError("a secret detail")
    with caplog.at_level(logging.ERROR):
        answer = await server.game().heartbeat(session)
    assert refusal_of(answer) == BROKEN
    assert "secret" not in answer.text
    logged = [record for record in caplog.records if record.exc_info is not None]
    assert [record.__dict__["fields"]["request_id"] for record in logged] == [answer.json()["request_id"]]
    assert "a secret detail" in str(logged[0].exc_info)


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        (grpc.StatusCode.UNAVAILABLE, AWAY),
        (grpc.StatusCode.CANCELLED, AWAY),
        (grpc.StatusCode.DEADLINE_EXCEEDED, (504, "DEADLINE_EXCEEDED")),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, (429, "RATE_LIMITED")),
        (grpc.StatusCode.INTERNAL, BROKEN),
        (grpc.StatusCode.UNKNOWN, BROKEN),
        (grpc.StatusCode.DATA_LOSS, BROKEN),
        (None, BROKEN),
    ],
)
async def test_a_failing_channel_is_told_in_the_envelope(
    make_server: ServerMaker, code: grpc.StatusCode | None, answer: tuple[int, str]
) -> None:
    channels: list[FaultInjectingChannel] = []

    def wrap(channel: grpc.aio.Channel) -> grpc.aio.Channel:
        channels.append(FaultInjectingChannel(channel))
        return cast("grpc.aio.Channel", channels[-1])

    server = await make_server(wrap_channel=wrap)
    session = await server.join()
    empty = grpc.aio.Metadata()
    error = RuntimeError("secret") if code is None else grpc.aio.AioRpcError(code, empty, empty, details="secret host")
    for channel in channels:
        channel.error = error
    told = await server.game().heartbeat(session)
    assert refusal_of(told) == answer
    assert "secret" not in told.text
    for channel in channels:
        channel.error = None
    assert data_of(await server.game().heartbeat(session))["result"] == "OK"


async def test_the_request_id_of_an_answer_is_the_one_in_the_engines_log(
    server: Server, game: GameServer, pc: LauncherPc, caplog: pytest.LogCaptureFixture
) -> None:
    ott = await pc.ott()
    with caplog.at_level(logging.DEBUG, logger="playclock.rpc"):
        answers = [
            await game.verify(ott),
            await game.verify(ott, X_Request_Id="req_from_the_caller"),
            await game.heartbeat("gs_550e8400-e29b-41d4-a716-446655440000"),
            await server.game(RIVAL_KEY).end("gs_550e8400-e29b-41d4-a716-446655440000"),
            await game.verify("no-uuid"),
            await pc.heartbeat(),
        ]
    logged = [record.__dict__["fields"] for record in caplog.records if record.name == "playclock.rpc"]
    assert [fields["request_id"] for fields in logged] == [answer.json()["request_id"] for answer in answers]
    assert [(fields["method"].rpartition("/")[2], fields["outcome"]) for fields in logged] == [
        ("OpenSession", "OK"),
        ("OpenSession", "OK"),
        ("Heartbeat", "SESSION_NOT_FOUND"),
        ("EndSession", "SESSION_NOT_FOUND"),
        ("VerifyCaller", "OK"),
        ("HeartbeatLaunch", "OK"),
    ]
    assert answers[1].json()["request_id"] == "req_from_the_caller"
    for secret in (ott, "dev-game-key", pc.token, pc.secret):
        assert secret not in caplog.text + str(logged)
    assert error_of(answers[2])["message"]
    assert anonymous(answers[2])[0] == 404

"""Watches over real streams: what happens to sessions is told as it happens, and a cursor goes on from wherever one stopped."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest
from playclock.clock import ManualClock
from playclock.core.ids import partition_in
from playclock.engine import Engine
from playclock.rpc.server import Server
from playclock.v1 import (
    EndSessionRequest,
    HeartbeatLaunchRequest,
    SessionEvent,
    SessionServiceStub,
    TopUpAccountRequest,
    WatchSessionsRequest,
    WatchSessionsResponse,
)
from playclock.v1 import session_pb2 as pb

if TYPE_CHECKING:
    from tests.conftest import World
    from tests.rpc.conftest import Rpc

OPENED, EXHAUSTED, ENDED = SessionEvent.KIND_OPENED, SessionEvent.KIND_EXHAUSTED, SessionEvent.KIND_ENDED
RESUMED, LOW_CREDIT = SessionEvent.KIND_RESUMED, SessionEvent.KIND_LOW_CREDIT
COIN = 1_000_000


@pytest.fixture(params=["memory", "sqlite"])
def store_kind(request: pytest.FixtureRequest) -> str:
    """Return both kinds of store: a cursor is made of what they number."""
    return str(request.param)


class Watch:
    """A stream, and all that it told."""

    def __init__(self, stream: Any) -> None:  # noqa: ANN401 - gRPC's own
        self._stream = stream
        self.told: list[WatchSessionsResponse] = []

    async def next(self) -> WatchSessionsResponse:
        """Return the next response, and fail rather than wait for ever."""
        async with asyncio.timeout(10):
            response = await self._stream.read()
        assert isinstance(response, WatchSessionsResponse)
        self.told.append(response)
        return response

    async def take(self, count: int) -> list[tuple[str, int, int, int]]:
        """Return the next events: of which session, what, at which second, and why where it ended."""
        events = [(await self.next()).event for _ in range(count)]
        return [(e.session.game_session_id, e.kind, e.event_time.seconds, e.session.end_reason) for e in events]


@asynccontextmanager
async def watching(address: str, metadata: Any, cursor: str = "") -> AsyncIterator[Watch]:  # noqa: ANN401 - gRPC's own
    """Watch over a connection of its own."""
    async with grpc.aio.insecure_channel(address) as channel:
        watch = Watch(SessionServiceStub(channel).WatchSessions(WatchSessionsRequest(cursor=cursor), metadata=metadata))
        first = await watch.next()
        assert not first.HasField("event")
        yield watch


@asynccontextmanager
async def serving(engine: Engine) -> AsyncIterator[str]:
    """Serve an engine, and yield its address."""
    server = await Server.start(engine, "127.0.0.1:0")
    try:
        yield server.address
    finally:
        await server.drain(0)


async def play(world: "World", rpc: "Rpc", clock: ManualClock, watch: Watch) -> None:
    """Let happen whatever can happen to a session, and check that each of it is told before the next happens."""
    none, began = pb.END_REASON_UNSPECIFIED, clock.now_ms() // 1000
    await world.provision_poor(3 * COIN)
    launch = await world.start(at=world.POOR)
    first = await world.join(launch)
    assert await watch.take(2) == [(first, OPENED, began, none), (first, LOW_CREDIT, began, none)]

    clock.advance(200)
    keep = HeartbeatLaunchRequest(session_token=launch)
    await rpc.launches.HeartbeatLaunch(keep, metadata=rpc.OPERATOR)
    await world.engine.sweep()
    assert await watch.take(1) == [(first, EXHAUSTED, began + 180, none)]

    clock.advance(20)
    credit = TopUpAccountRequest(account_id=world.POOR_ACCOUNT, amount_micros=10 * COIN, request_id="r")
    await rpc.accounts.TopUpAccount(credit, metadata=rpc.OPERATOR)
    assert await watch.take(1) == [(first, RESUMED, began + 220, none)]

    second = await world.join(launch)
    assert await watch.take(2) == [
        (first, ENDED, began + 220, pb.END_REASON_REPLACED),
        (second, OPENED, began + 220, none),
    ]

    # Nobody pays here, and it lies in another partition.
    silent = await world.open(at=world.FREE)
    assert await watch.take(1) == [(silent, OPENED, began + 220, none)]

    clock.advance(30)
    await rpc.sessions.EndSession(EndSessionRequest(game_session_id=second), metadata=rpc.GAME)
    assert await watch.take(1) == [(second, ENDED, began + 250, pb.END_REASON_CLIENT_END)]

    clock.advance(300)
    await world.engine.sweep()
    assert await watch.take(1) == [(silent, ENDED, began + 460, pb.END_REASON_HEARTBEAT_TIMEOUT)]


def events_of(responses: list[WatchSessionsResponse]) -> dict[int, list[SessionEvent]]:
    """Return the events by partition: there they keep their order."""
    found: dict[int, list[SessionEvent]] = {}
    for response in responses:
        if response.HasField("event"):
            found.setdefault(partition_in(response.event.session.game_session_id), []).append(response.event)
    return found


async def test_each_happening_is_told_before_the_next_and_from_every_cursor_on_exactly_the_rest(
    world: "World", elsewhere: "World", server: Server, rpc: "Rpc", clock: ManualClock
) -> None:
    async with watching(server.address, rpc.GAME) as watch:
        await play(world, rpc, clock, watch)
    assert sorted(map(len, events_of(watch.told).values())) == [2, 7]

    async with serving(elsewhere.engine) as other_address:
        for place, response in enumerate(list(watch.told)):
            # A cursor names no process: every second one goes on elsewhere.
            address = (server.address, other_address)[place % 2]
            async with watching(address, rpc.GAME, response.cursor) as again:
                rest = watch.told[place + 1 :]
                for _ in rest:
                    await again.next()
                assert events_of(again.told) == events_of(rest)
                # Nothing more than the rest: what is told next is what happens next.
                after = await world.open(f"pc-{place}", at=world.FREE)
                watch.told.append(await again.next())
                assert watch.told[-1].event.session.game_session_id == after

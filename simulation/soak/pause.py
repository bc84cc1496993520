"""Redis stands still under a service: who calls hears in time what to do, and all is well within a tick when it goes on."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import grpc
import grpc.aio
from google.rpc.error_details_pb2 import RetryInfo
from grpc_status import rpc_status
from playclock.v1 import (
    AccountServiceStub,
    BatchHeartbeatRequest,
    GetSessionRequest,
    LaunchServiceStub,
    ListSessionsRequest,
    Session,
    SessionServiceStub,
    StartLaunchRequest,
    TopUpAccountRequest,
)

from bench.estate import GAME_KEY, OPERATOR_TOKEN, PCS, Player, open_sessions
from simulation.soak.answers import Answers
from simulation.soak.audit import conservation, pairs, seats, stories
from simulation.soak.books import books_in_redis
from simulation.soak.served import Served

LATE_SEC: Final = 1.5
"""Within what time everybody has to hear something."""
TICK_SEC: Final = 1.0
"""How often the sweeper looks, and so how soon all is well again."""
EACH_SEC: Final = 0.1
"""How often one call of each kind is made."""
SETTLED_SEC: Final = 10.0
GAME: Final = (("x-api-key", GAME_KEY),)
OPERATOR: Final = (("authorization", f"Bearer {OPERATOR_TOKEN}"),)

Calls = dict[str, Callable[[], Awaitable[object]]]


@dataclass
class Standstill:
    """What came of it."""

    calls: int = 0
    away: int = 0
    """Calls that were told that the store is away."""
    late_sec: float = 0
    """The longest call."""
    back_sec: float = 0
    """How long after the standstill the last of the heartbeats was accepted."""
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """One line of a report."""
        found = f"{len(self.violations)} violations" if self.violations else "no violation"
        waited = f"the longest took {self.late_sec:.2f} s; heartbeats again after {self.back_sec:.2f} s"
        return f"{self.calls:,} calls, {self.away:,} told UNAVAILABLE, {waited}: {found}"

    async def call(self, name: str, call: Callable[[], Awaitable[object]]) -> bool:
        """Make a call, note how it went, and return whether it was done."""
        began, is_done = time.monotonic(), True
        try:
            await call()
        except grpc.aio.AioRpcError as error:
            is_done = False
            self.away += 1
            if error.code() is not grpc.StatusCode.UNAVAILABLE or not _says_when(error):
                self.violations.append(f"{name} was told {error.code().name}, {error.details()}")
        took_sec = time.monotonic() - began
        self.calls += 1
        self.late_sec = max(self.late_sec, took_sec)
        if took_sec > LATE_SEC:
            self.violations.append(f"{name} took {took_sec:.2f} s")
        return is_done


async def pause(service: Served, pause_sec: float, tell: Callable[[str], None] = lambda _: None) -> Standstill:
    """Let a hundred play, let Redis stand still for so long while all kinds of calls go on, and look what is left."""
    free, metered = await open_sessions(service.channels[0], unbilled=PCS, metered=PCS)
    players, calls, came = [*free, *metered], _calls(service, free[0], metered[0]), Standstill()
    tell("all play; now Redis stands still")
    service.redis.pause()
    over, tasks = time.monotonic() + pause_sec, []
    while time.monotonic() < over:
        tasks += [asyncio.create_task(came.call(name, call)) for name, call in calls.items()]
        await asyncio.sleep(EACH_SEC)
    service.redis.resume()
    resumed = time.monotonic()
    await asyncio.gather(*(_until_accepted(came, service, player, resumed) for player in players[::10]))
    came.back_sec = time.monotonic() - resumed
    if came.back_sec > TICK_SEC:
        came.violations.append(f"heartbeats were accepted {came.back_sec:.2f} s later only")
    await asyncio.gather(*tasks)
    if came.away < came.calls / 2:
        came.violations.append(f"of {came.calls} calls {came.away} were told that the store is away: did it stand still?")
    sessions = SessionServiceStub(service.channels[0])
    for player in players:
        request = GetSessionRequest(game_session_id=player.session_id)
        found = (await sessions.GetSession(request, metadata=GAME)).session
        if found.state != Session.STATE_ACTIVE:
            came.violations.append(f"{player.session_id} did not live through it: {found}")
    books = books_in_redis(service.redis)
    came.violations += [line for check in (pairs, seats, stories, conservation) for line in check(Answers(), books)]
    return came


async def _until_accepted(came: Standstill, service: Served, player: Player, resumed: float) -> None:
    """Repeat a heartbeat, as its game server would, until it is accepted."""
    stub = SessionServiceStub(service.channels[0])
    while not await came.call("a heartbeat afterwards", lambda: stub.Heartbeat(player.heartbeat(), metadata=GAME)):
        if time.monotonic() > resumed + SETTLED_SEC:
            return
        await asyncio.sleep(EACH_SEC / 2)


def _says_when(error: grpc.aio.AioRpcError) -> bool:
    """Whether an error says when to try again."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    return status is not None and any(detail.Is(RetryInfo.DESCRIPTOR) for detail in status.details)


def _calls(service: Served, free: Player, metered: Player) -> Calls:
    """Return one call of each kind, each on a connection of its own as far as they go."""
    sessions = [SessionServiceStub(channel) for channel in service.channels]
    launches, accounts = LaunchServiceStub(service.channels[-1]), AccountServiceStub(service.channels[-2])
    batch = BatchHeartbeatRequest(heartbeats=[free.heartbeat(), metered.heartbeat()])
    get = GetSessionRequest(game_session_id=free.session_id)
    start = StartLaunchRequest(pc_id="pc-of-its-own", external_ip="10.0.0.99")
    top_up = TopUpAccountRequest(account_id="cafe-1", amount_micros=1_000, request_id="once")
    return {
        "a heartbeat": lambda: sessions[0].Heartbeat(free.heartbeat(), metadata=GAME),
        "a billed heartbeat": lambda: sessions[1].Heartbeat(metered.heartbeat(), metadata=GAME),
        "a batch": lambda: sessions[2].BatchHeartbeat(batch, metadata=GAME),
        "a look": lambda: sessions[3].GetSession(get, metadata=GAME),
        "a list": lambda: sessions[4].ListSessions(ListSessionsRequest(), metadata=GAME),
        "a launch": lambda: launches.StartLaunch(start, metadata=OPERATOR),
        "a top-up": lambda: accounts.TopUpAccount(top_up, metadata=OPERATOR),
    }

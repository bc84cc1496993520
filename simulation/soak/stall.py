"""The service stands still while thousands play, and goes on: nobody is ended or billed for that, and all are served at once.

Half of the players are heard again, the others never: those run out a lease later, spread over a minute, and not in one moment.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Final, Protocol

import grpc
import grpc.aio
from playclock.v1 import (
    EndReason,
    GetSessionRequest,
    HeartbeatResponse,
    Session,
    SessionServiceStub,
)

from bench.estate import GAME_KEY, Player, open_sessions
from simulation.soak.served import Served

GAME: Final = (("x-api-key", GAME_KEY),)
LEASE_SEC: Final = 240
SPREAD_SEC: Final = 60
"""Over how long the leases end that an outage has made good: a quarter of a lease."""
COMING_BACK_SEC: Final = 5.0
"""Within which time all players are heard again, as their game servers' retries have it."""
BILLED_SEC_OFF: Final = 4
"""How far a bill may be off what is seen from outside: by whole seconds, and by the pulse's last beat before it stopped."""
TOGETHER: Final = 200
"""How many sessions are read at once."""


class Passage(Protocol):
    """How time goes by for a service, and for those who play."""

    @property
    def channels(self) -> Sequence[grpc.aio.Channel]:
        """Ways to the service, one for each game server."""

    async def live(self, seconds: float) -> None:
        """Let time go by in which the service lives."""

    async def stand_still(self, seconds: float, calls: Callable[[], Awaitable[None]]) -> None:
        """Let time go by in which it does not, while it is called in vain."""

    async def hesitate(self, dice: random.Random) -> None:
        """Let one player wait until he calls."""


class RealTime:
    """Time as it is: the process is stopped."""

    def __init__(self, service: Served) -> None:
        self.channels = service.channels
        self._service = service

    async def live(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def stand_still(self, seconds: float, calls: Callable[[], Awaitable[None]]) -> None:
        self._service.stop()
        try:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                await asyncio.gather(calls(), asyncio.sleep(min(2.0, seconds)))
        finally:
            self._service.resume()

    async def hesitate(self, dice: random.Random) -> None:
        await asyncio.sleep(dice.uniform(0, COMING_BACK_SEC))


@dataclass
class Recovery:
    """What came of it."""

    sessions: int
    unanswered: int = 0
    """Heartbeats that were given up while the service stood still."""
    back_ms: float = 0
    """p99 of the heartbeats with which players came back."""
    expiring_ms: float = 0
    """p99 of heartbeats while the silent ran out."""
    expired_per_sec: int = 0
    """How many ran out in the worst second."""
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """One line of a report."""
        found = f"{len(self.violations)} violations" if self.violations else "no violation"
        back = f"p99 {self.back_ms:.0f} ms when all came back, {self.expiring_ms:.0f} ms while others ran out"
        vain = f"{self.unanswered:,} heartbeats in vain meanwhile"
        return f"{self.sessions:,} sessions, {vain}; {back}; {self.expired_per_sec} ran out in the worst second: {found}"


class Crowd:
    """The players, and what they see."""

    def __init__(self, passage: Passage, players: Sequence[Player], recovery: Recovery, seed: int) -> None:
        self.faithful, self.silent = players[::2], players[1::2]
        self._passage = passage
        self._recovery = recovery
        self._stubs = cycle([SessionServiceStub(channel) for channel in passage.channels])
        self._dice = random.Random(seed)

    async def beat(self, players: Sequence[Player]) -> float:
        """Send a heartbeat for each, and return the p99 of how long they took, in milliseconds. Refusals are noted."""
        took = sorted(await asyncio.gather(*(self._beat(player) for player in players)))
        return took[len(took) * 99 // 100] * 1_000

    async def beat_in_vain(self) -> None:
        """Send some heartbeats to a service that stands still, and give them up."""
        for player in self._dice.sample(self.faithful, 10):
            try:
                await next(self._stubs).Heartbeat(player.heartbeat(), metadata=GAME, timeout=0.2)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                    raise
                self._recovery.unanswered += 1

    async def look(self) -> dict[str, Session]:
        """Return all sessions as the service has them."""
        turns = asyncio.Semaphore(TOGETHER)

        async def get(player: Player) -> Session:
            async with turns:
                request = GetSessionRequest(game_session_id=player.session_id)
                return (await next(self._stubs).GetSession(request, metadata=GAME)).session

        found = await asyncio.gather(*(get(player) for player in (*self.faithful, *self.silent)))
        return {session.game_session_id: session for session in found}

    async def _beat(self, player: Player) -> float:
        await self._passage.hesitate(self._dice)
        began = time.perf_counter()
        try:
            told = await next(self._stubs).Heartbeat(player.heartbeat(), metadata=GAME)
        except grpc.aio.AioRpcError as error:
            self._recovery.violations.append(f"{player.session_id} was told {error.code().name}, {error.details()}")
        else:
            if told.result != HeartbeatResponse.RESULT_OK:
                self._recovery.violations.append(f"{player.session_id} was told {told}")
        return time.perf_counter() - began


async def stall(
    passage: Passage, *, sessions: int, away_sec: float, seed: int, late_ms: float, tell: Callable[[str], None] = lambda _: None
) -> Recovery:
    """Let so many play, four of five for nothing, stand still for so long, and see them come back or run out."""
    free = sessions * 4 // 5
    unbilled, metered = await open_sessions(passage.channels[0], unbilled=free, metered=sessions - free)
    players = [*unbilled, *metered]
    recovery = Recovery(len(players))
    crowd = Crowd(passage, players, recovery, seed)
    await passage.live(30)
    for half in (crowd.faithful, crowd.silent):
        await crowd.beat(half)
    tell("all play; now nothing moves")
    await passage.stand_still(away_sec, crowd.beat_in_vain)
    recovery.back_ms = await crowd.beat(crowd.faithful)
    _check_alive(recovery, "after the standstill", await crowd.look(), players)
    tell(f"all are back, p99 {recovery.back_ms:.0f} ms; a lease goes by")
    for _ in range(2):
        await passage.live(LEASE_SEC / 2 - 25)
        await crowd.beat(crowd.faithful)
    _check_alive(recovery, "just before the lease is over", await crowd.look(), players)
    await passage.live(SPREAD_SEC / 2 + 15)
    recovery.expiring_ms = await crowd.beat(crowd.faithful)
    await passage.live(SPREAD_SEC / 2 + 40)
    found = await crowd.look()
    _check_alive(recovery, "at the end", found, crowd.faithful)
    _check_expired(recovery, [found[player.session_id] for player in crowd.silent])
    _check_billed(recovery, found.values(), away_sec)
    for p99_ms in (recovery.back_ms, recovery.expiring_ms):
        if p99_ms > late_ms:
            recovery.violations.append(f"p99 of heartbeats was {p99_ms:.0f} ms, not {late_ms:.0f}")
    return recovery


def _check_alive(recovery: Recovery, when: str, found: dict[str, Session], players: Sequence[Player]) -> None:
    states = Counter(found[player.session_id].state for player in players)
    if set(states) != {Session.STATE_ACTIVE}:
        recovery.violations.append(f"{when} not all were active: {dict(states)}")


def _check_billed(recovery: Recovery, found: Iterable[Session], away_sec: float) -> None:
    """See that all time is billed of which heartbeats told, and nothing of the standstill."""
    for session in found:
        told_sec = session.last_heartbeat_time.seconds - session.create_time.seconds
        # Those who came back were heard of after it.
        played_sec = told_sec - away_sec if told_sec > away_sec else told_sec
        if session.account_id and abs(session.billed_sec - played_sec) > BILLED_SEC_OFF:
            recovery.violations.append(f"{session.game_session_id} was billed for {session.billed_sec} s of {played_sec:.0f}")


def _check_expired(recovery: Recovery, silent: Sequence[Session]) -> None:
    """See that they ended by their silence, and one after the other."""
    reasons = Counter(session.end_reason for session in silent)
    if set(reasons) != {EndReason.END_REASON_HEARTBEAT_TIMEOUT}:
        recovery.violations.append(f"the silent did not all end by their silence: {dict(reasons)}")
    recovery.expired_per_sec = max(Counter(session.end_time.seconds for session in silent).values())
    fair = 3 * len(silent) // SPREAD_SEC + 10
    if recovery.expired_per_sec > fair:
        recovery.violations.append(f"{recovery.expired_per_sec} ran out in one second, more than {fair}")

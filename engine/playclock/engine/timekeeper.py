"""Keeps the clocks of all processes on one store together, by the clock of the server that the store lies on."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Final, Self

from msgspec.structs import replace

from playclock.clock import Clock, HostClock, SteeredClock, SystemClock
from playclock.core.codec import encode
from playclock.core.records import Pulse
from playclock.core.steering import STEP_MS, CatchUp, SetApart, Slew, beginning, course
from playclock.engine.pulse import PULSE_KEY
from playclock.engine.records import PULSES
from playclock.stores.base import ABSENT, UNMOVED, Commit, Put, Store, StoreUnavailable, TellsTime

ANCHOR_SEC: Final = 2.0
"""How often the server's clock is looked at."""
SAMPLES: Final = 3
"""How often it is asked each time: the quickest answer is the truest."""
TRIP_MS_MAX: Final = 200
"""An answer that took longer tells too little."""

_log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def keep_time(store: Store) -> AsyncIterator[Clock]:
    """Yield the clock for an engine on the store: the server's where the store lies on one, else this host's own.

    Raises StoreUnavailable if the server does not tell its time.
    """
    if not isinstance(store, TellsTime):
        yield SystemClock()
        return
    timekeeper = await Timekeeper.start(store, store)
    steering = asyncio.create_task(timekeeper.run(), name="playclock clock")
    try:
        yield timekeeper.clock
    finally:
        steering.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await steering


class Timekeeper:
    """Steers one process's clock."""

    def __init__(self, server: TellsTime, store: Store, clock: SteeredClock) -> None:
        self.clock: Final = clock
        self._server = server
        self._store = store
        self._doubt_ms: int | None = None
        """The difference that the last look saw and that was no drift."""

    @classmethod
    async def start(cls, server: TellsTime, store: Store, host: HostClock | None = None) -> Self:
        """Start a clock at the server's time, or where those are who run already. Raises StoreUnavailable."""
        host = host or HostClock()
        elapsed_ns, server_ms, _ = await _look(server, host)
        version, pulse = await _read(store)
        beat_ms = None if version == ABSENT else pulse.beat_ms
        offset_ms = beginning(server_ms=server_ms, offset_ms=pulse.offset_ms, beat_ms=beat_ms)
        clock = SteeredClock(max(server_ms + offset_ms, pulse.beat_ms), host=host, since_ns=elapsed_ns)
        timekeeper = cls(server, store, clock)
        clock.steering.offset_ms = offset_ms
        if offset_ms != pulse.offset_ms:
            await timekeeper._set_apart(version, pulse, server_ms, offset_ms)
        elif offset_ms:
            _log.warning("our time is not the store server's", extra={"fields": {"offset_ms": offset_ms}})
        timekeeper._compare(host.wall_ms())
        return timekeeper

    async def run(self) -> None:
        """Look at the server's clock again and again, until cancelled. While it is away, time goes on by the host's."""
        while True:
            await asyncio.sleep(ANCHOR_SEC)
            try:
                await self.anchor()
            except StoreUnavailable:
                continue
            except Exception:  # noqa: BLE001 - see below
                # The outermost boundary of a background job: whatever it met, the next look has to come.
                _log.exception("the clock could not be anchored")

    async def anchor(self) -> None:
        """Look at the server's clock once, and steer by it. Raises StoreUnavailable."""
        clock = self.clock
        elapsed_ns, server_ms, trip_ms = await _look(self._server, clock.host)
        version, pulse = await _read(self._store)
        if trip_ms > TRIP_MS_MAX:
            return
        now_ms = clock.at_ns(elapsed_ns) // 1_000_000
        steering = clock.steering
        steering.offset_ms, steering.error_ms = pulse.offset_ms, server_ms + pulse.offset_ms - now_ms
        todo = course(now_ms=now_ms, server_ms=server_ms, offset_ms=pulse.offset_ms, beat_ms=pulse.beat_ms)
        if not isinstance(todo, Slew) and not self._is_seen_twice(steering.error_ms):
            return
        match todo:
            case Slew(error_ms):
                self._doubt_ms = None
                # What may be the trip's own doing is left alone.
                clock.slew(0 if abs(error_ms) <= trip_ms // 2 else error_ms)
            case CatchUp(error_ms):
                self._doubt_ms = None
                steering.catch_ups += 1
                clock.jump(error_ms)
                _log.warning("this process fell behind the others; its time moves ahead", extra={"fields": {"by_ms": error_ms}})
            case SetApart(offset_ms):
                await self._set_apart(version, pulse, server_ms, offset_ms)
        self._compare(clock.host.wall_ms())

    def _is_seen_twice(self, error_ms: int) -> bool:
        before_ms, self._doubt_ms = self._doubt_ms, error_ms
        return before_ms is not None and abs(error_ms - before_ms) <= STEP_MS

    async def _set_apart(self, version: int, pulse: Pulse, server_ms: int, offset_ms: int) -> None:
        """Let everybody know the offset. If somebody else is faster, the next look sees what they wrote."""
        put = Put(key=PULSE_KEY, expect=version, data=encode(replace(pulse, offset_ms=offset_ms)), due_ms=UNMOVED)
        (conflict,) = await self._store.commit([Commit(partition=0, puts=(put,))])
        if conflict is not None:
            return
        self._doubt_ms = None
        self.clock.steering.steps += 1
        self.clock.steering.offset_ms = offset_ms
        set_by_ms = pulse.offset_ms - offset_ms
        fields = {"set_by_ms": set_by_ms, "server_ms": server_ms, "offset_ms": offset_ms}
        _log.error("the store server's clock was set; our time goes on as before", extra={"fields": fields})

    def _compare(self, wall_ms: int) -> None:
        steering = self.clock.steering
        before_ms, steering.wall_skew_ms = steering.wall_skew_ms, wall_ms - self.clock.now_ms()
        if abs(steering.wall_skew_ms) > STEP_MS and abs(steering.wall_skew_ms - before_ms) > STEP_MS:
            fields = {"skew_ms": steering.wall_skew_ms}
            _log.warning("this host's clock is not the store server's; check NTP on both", extra={"fields": fields})


async def _look(server: TellsTime, host: HostClock) -> tuple[int, int, int]:
    """Return the middle of the quickest of some round trips in the host's time, the server's time, and the trip's length."""
    best: tuple[int, int, int] | None = None
    for _ in range(SAMPLES):
        sent_ns = host.elapsed_ns()
        server_ms = await server.server_time_ms()
        trip_ns = host.elapsed_ns() - sent_ns
        if best is None or trip_ns < best[2]:
            best = (sent_ns + trip_ns // 2, server_ms, trip_ns)
    assert best is not None
    return best[0], best[1], best[2] // 1_000_000


async def _read(store: Store) -> tuple[int, Pulse]:
    (record,) = await store.get([PULSE_KEY])
    return (ABSENT, Pulse(0)) if record is None else (record.version, PULSES.decode(record.data))

"""The pulse: a sign of life in the store, by which an outage of our own is noticed when it is over.

While any of our processes beats, the service is up. Who comes back and finds the last beat old notes an outage, and from
then on every lease that ran in it is made good (see `playclock.core.outage`).
"""

import asyncio
from typing import Final

from msgspec.structs import replace

from playclock.core.codec import encode
from playclock.core.outage import Outage
from playclock.core.records import Pulse
from playclock.engine.context import Context
from playclock.engine.records import PULSES
from playclock.stores.base import UNMOVED, Commit, Put

PULSE_KEY: Final = "00:pulse:engine"
BEAT_MS: Final = 1_000
"""How often a process says that it lives."""
OUTAGE_MS_MIN: Final = 3_000
"""A silence of all processes that is longer was an outage."""
OUTAGES_MAX: Final = 16
"""How many outages are remembered: each concerns only leases that ran when it began."""


class PulseKeeper:
    """Beats, and keeps `Context.outages` in step with the store."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._beat_ms: int | None = None
        self._beating: asyncio.Task[None] | None = None

    def is_late(self, now_ms: int) -> bool:
        """Whether this process has not beaten for so long that it may have been stopped."""
        return self._beat_ms is not None and now_ms - self._beat_ms > OUTAGE_MS_MIN

    async def catch_up(self) -> None:
        """Beat if this process is late. All who ask at once wait for the same beat. Raises StoreAway."""
        while self.is_late(self._context.clock.now_ms()):
            if self._beating is None:
                self._beating = asyncio.create_task(self.beat(), name="playclock catching up")
                self._beating.add_done_callback(self._done)
            # Whoever waits may be cancelled; the others wait on.
            await asyncio.shield(self._beating)

    def close(self) -> None:
        """End what is under way."""
        if self._beating is not None:
            self._beating.cancel()

    def _done(self, beating: "asyncio.Task[None]") -> None:
        self._beating = None
        if not beating.cancelled():
            beating.exception()  # whoever waited has heard it; there may be nobody left

    async def beat(self) -> None:
        """Say that this process lives, and note the outage that ends with it, if there was one. Raises StoreAway."""
        context, now_ms = self._context, self._context.clock.now_ms()
        ((version, found),) = await context.records.load([PULSE_KEY], fresh=True)
        pulse = Pulse(now_ms) if found is None else PULSES.checked(found)
        outages = pulse.outages
        if now_ms - pulse.beat_ms > OUTAGE_MS_MIN:
            outages = (*outages, Outage(pulse.beat_ms, now_ms))[-OUTAGES_MAX:]
        oldest_ms = now_ms - context.timers.tombstone_retention_ms
        outages = tuple(outage for outage in outages if outage.end_ms > oldest_ms)
        beaten = replace(pulse, beat_ms=max(now_ms, pulse.beat_ms), outages=outages)
        put = Put(key=PULSE_KEY, expect=version, data=encode(beaten), due_ms=UNMOVED)
        (conflict,) = await context.records.commit([Commit(partition=0, puts=(put,))])
        if conflict is not None:
            # Another process beat in the same moment, and noted whatever there was to note.
            current = context.records.cached(PULSE_KEY)
            outages = outages if current is None else PULSES.checked(current[1]).outages
        context.outages = outages
        self._beat_ms = now_ms

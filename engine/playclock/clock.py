"""The only reader of the time. Everything else is handed `now_ms`."""

import time
from typing import Protocol

from playclock.core.steering import slewed_ns


class Clock(Protocol):
    """Tells the time in milliseconds since the Unix epoch. Never steps back."""

    def now_ms(self) -> int:
        """Return the time. Read once per operation and passed down."""


class SystemClock:
    """Wall time at the start, monotonic time from then on.

    A step of the host's clock (NTP, a daylight-saving mistake, an operator's `date`) therefore never reaches a bill.
    """

    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def now_ms(self) -> int:
        """Return the time."""
        return (self._offset_ns + time.monotonic_ns()) // 1_000_000


class HostClock:
    """What a host knows of time: how much has passed, and what its wall clock shows."""

    def elapsed_ns(self) -> int:
        """Return a time that counts evenly from some moment on, also while the host sleeps, where it can tell."""
        if hasattr(time, "CLOCK_BOOTTIME"):
            return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        return time.monotonic_ns()

    def wall_ms(self) -> int:
        """Return what the wall clock shows, in milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000


class Steering:
    """What has become of a clock that is steered."""

    def __init__(self) -> None:
        self.steps = 0
        """How often the server's clock was seen to have been set."""
        self.catch_ups = 0
        """How often this process was behind the others and moved ahead."""
        self.wall_skew_ms = 0
        """What this host's wall clock is ahead of our time."""
        self.offset_ms = 0
        """What our time is ahead of the server's clock, because that was set while we ran."""
        self.error_ms = 0
        """What our time was behind the server's, offset and all, when it was last looked at."""


class SteeredClock:
    """Runs by the host's even time, and is steered by somebody who knows better. `playclock.engine.timekeeper` does."""

    def __init__(self, now_ms: int, *, host: HostClock | None = None, since_ns: int | None = None) -> None:
        """Start at a time; at the one that it was when the host's elapsed time was `since_ns`, where that is given."""
        self.host = host or HostClock()
        self._since_ns = self.host.elapsed_ns() if since_ns is None else since_ns
        self._base_ns = now_ms * 1_000_000
        self._error_ns = 0
        self.steering = Steering()

    def now_ms(self) -> int:
        """Return the time."""
        return self.at_ns(self.host.elapsed_ns()) // 1_000_000

    def at_ns(self, elapsed_ns: int) -> int:
        """Return the time at a moment of the host's elapsed time, in nanoseconds since the Unix epoch."""
        return self._base_ns + slewed_ns(elapsed_ns - self._since_ns, self._error_ns)

    def slew(self, error_ms: int) -> None:
        """Make an error good from now on, little by little: above 0 the clock runs faster, below 0 slower, never back."""
        elapsed_ns = self.host.elapsed_ns()
        self._base_ns, self._since_ns, self._error_ns = self.at_ns(elapsed_ns), elapsed_ns, error_ms * 1_000_000

    def jump(self, ahead_ms: int) -> None:
        """Move ahead at once. Raises ValueError for a step back."""
        if ahead_ms < 0:
            raise ValueError("a clock never steps back")
        self.slew(0)
        self._base_ns += ahead_ms * 1_000_000


class ManualClock:
    """A clock that only the test moves. Starts at 2026-01-01T00:00:00Z unless told otherwise."""

    def __init__(self, now_ms: int = 1_767_225_600_000) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Return the time."""
        return self._now_ms

    def advance(self, seconds: float = 0, *, ms: int = 0) -> int:
        """Move the time forward and return it. Raises ValueError for a step back."""
        step_ms = round(seconds * 1000) + ms
        if step_ms < 0:
            raise ValueError("a clock never steps back")
        self._now_ms += step_ms
        return self._now_ms

"""The only reader of the time. Everything else is handed `now_ms`."""

import time
from typing import Protocol


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

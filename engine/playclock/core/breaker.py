"""The circuit breaker: who has failed again and again is left alone for a while, and then asked once.

A caller that waits for a server that does not answer waits in vain, and its calls keep the server down. After Nygard, "Release
It!"; the times double from one failed trial to the next.
"""

from typing import Final

import msgspec
from msgspec.structs import replace

FAILURES_MAX: Final = 5
"""How many failures in a row open the circuit."""
OPEN_MS: Final = 1_000
OPEN_MAX_MS: Final = 30_000


class Breaker(msgspec.Struct, frozen=True, gc=False):
    """How often a server has failed in a row, and until when it is left alone. A call that is answered begins a new one."""

    failures: int = 0
    open_until_ms: int = 0


def is_open(breaker: Breaker) -> bool:
    """Whether the server is thought to be away."""
    return breaker.failures >= FAILURES_MAX


def admit(breaker: Breaker, now_ms: int) -> Breaker | None:
    """Return the breaker after a call was let through; None where it is not. Of those that come while it is open, one is."""
    if not is_open(breaker):
        return breaker
    if now_ms < breaker.open_until_ms:
        return None
    return replace(breaker, open_until_ms=now_ms + _pause_ms(breaker))


def fail(breaker: Breaker, now_ms: int) -> Breaker:
    """Return the breaker after a call that failed."""
    failed = replace(breaker, failures=breaker.failures + 1)
    return replace(failed, open_until_ms=now_ms + _pause_ms(failed)) if is_open(failed) else failed


def _pause_ms(breaker: Breaker) -> int:
    return min(OPEN_MAX_MS, OPEN_MS << min(breaker.failures - FAILURES_MAX, 10))

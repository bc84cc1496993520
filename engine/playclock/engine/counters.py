"""What is counted for one limit: in this process at once, and with all others that share the store a moment later."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import msgspec
from limits.storage import Storage

from playclock.core.ids import limit_key
from playclock.core.limits import Quota, added, is_open
from playclock.core.records import Window

KEPT_MAX: Final = 50_000
"""How many callers are remembered for each limit. Beyond that the one whose window began first is forgotten."""


class Tally(msgspec.Struct):
    """What one caller has used of a limit."""

    window: Window
    """All that is known here, of other processes too."""
    untold: int = 0
    """How much of it the others have not heard of."""


class Counters(Storage):
    """A storage of `limits` on the engine's clock, bounded, whose counts can be shared.

    The library's own storages read the host's wall clock, grow without a bound in memory, and in Redis wait for an answer with
    each call.
    """

    STORAGE_SCHEME = None
    base_exceptions = ()

    def __init__(self, quota: Quota, now_ms: Callable[[], int], *, kept_max: int = KEPT_MAX) -> None:
        super().__init__()
        self.quota: Final = quota
        self.full_until_ms = 0
        """Until when somebody may have nothing left; 0 while nobody has."""
        self.untold: Final[dict[str, Tally]] = {}
        """Of whom the others have to hear, by the store's key."""
        self._now_ms = now_ms
        self._kept_max = kept_max
        self._tallies: OrderedDict[str, Tally] = OrderedDict()

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count, and return how much that makes in the window, which lasts `expiry` seconds from its first count."""
        now_ms = self._now_ms()
        tally = self._tallies.get(key)
        if tally is None or not is_open(tally.window, now_ms):
            tally = self._begin(key, Window(0, now_ms + expiry * 1000))
        tally.window = added(tally.window, amount, now_ms=now_ms, until_ms=tally.window.until_ms)
        tally.untold += amount
        if tally.untold >= self.quota.share:
            self.untold[limit_key(key)] = tally
        self.note(tally.window)
        return tally.window.count

    def get(self, key: str) -> int:
        """Return how much has been counted in the window."""
        tally = self._tallies.get(key)
        return tally.window.count if tally is not None and is_open(tally.window, self._now_ms()) else 0

    def get_expiry(self, key: str) -> float:
        """Return when the window is over, in seconds since the Unix epoch: now, where there is none."""
        now_ms, tally = self._now_ms(), self._tallies.get(key)
        return (now_ms if tally is None else max(now_ms, tally.window.until_ms)) / 1000

    def check(self) -> bool:
        """Return True: memory is always there."""
        return True

    def reset(self) -> int | None:
        """Forget everybody."""
        number = len(self._tallies)
        self._tallies.clear()
        self.untold.clear()
        return number

    def clear(self, key: str) -> None:
        """Forget one caller."""
        self._tallies.pop(key, None)
        self.untold.pop(limit_key(key), None)

    def note(self, window: Window) -> None:
        """Take note of a window in which nothing may be left."""
        if window.count >= self.quota.calls:
            self.full_until_ms = max(self.full_until_ms, window.until_ms)

    def _begin(self, key: str, window: Window) -> Tally:
        self._tallies.pop(key, None)
        tally = self._tallies[key] = Tally(window)
        if len(self._tallies) > self._kept_max:
            self._tallies.popitem(last=False)
        return tally

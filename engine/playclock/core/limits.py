"""Limits on how often somebody may do something: what they are, and how what was counted in a window adds up.

A window begins with the first thing that is counted in it, and is over at a fixed time, however much is counted. So whoever has
nothing left knows when to come back.
"""

from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network

import msgspec

from playclock.core.estate import parse_address
from playclock.core.records import Window

CALLS_MAX = 1_000_000_000
WINDOW_SEC_MAX = 86_400
"""The largest number, and the longest window, that a limit may have. What is beyond is a slip of units."""
_HOME_PREFIX = 64
"""What a provider gives out to one customer at least, who may call from any address in it."""


class Quota(msgspec.Struct, frozen=True):
    """How often something may happen in a window of so many seconds."""

    calls: int
    window_sec: int

    @property
    def share(self) -> int:
        """How many may be counted in one process before the others have to hear of it: a tenth.

        So each further process exceeds the quota by that at most, and strangers who try a few times cost the store nothing.
        """
        return max(1, self.calls // 10)


class LimitRules(msgspec.Struct, frozen=True, kw_only=True):
    """The limits by name. None is no limit."""

    wrong_credentials_per_address: Quota | None = Quota(60, 60)
    """Calls with a key, signature or token that is wrong."""
    refused_otts_per_address: Quota | None = Quota(600, 60)
    """One-time tokens that are unknown, over, or somebody else's."""
    refused_otts_per_key: Quota | None = Quota(600, 60)
    """The same, by the game that redeems."""
    calls_per_key: Quota | None = Quota(60_000, 60)
    """Calls of a game, launcher, agent or developer, but for heartbeats and ends."""
    point_saves_per_developer: Quota | None = Quota(3, 1)
    """Batches of points that a developer saves: play.fun documents this number."""
    claims_per_developer: Quota | None = Quota(10, 60)
    """Claims of a developer, each of which has us read a page at an address of his choice."""
    playfun_per_address: Quota | None = Quota(60, 60)
    """Calls of the play.fun dialect that nobody signs: its documents name this number."""
    playfun_players_per_address: Quota | None = Quota(6_000, 60)
    """Calls of the play.fun dialect with players' session tokens: a hundred players at one address, a call a second each."""


def added(window: Window | None, number: int, *, now_ms: int, until_ms: int) -> Window:
    """Return the window with so many more counted; where there is none, or it is over, a new one until `until_ms`."""
    if window is None or not is_open(window, now_ms):
        return Window(number, until_ms)
    return Window(window.count + number, window.until_ms)


def is_open(window: Window, now_ms: int) -> bool:
    """Whether the window is not over yet."""
    return now_ms < window.until_ms


@lru_cache(maxsize=4096)
def home_of(address: str) -> str:
    """Return what counts as one caller: an IPv4 address, or the /64 around an IPv6 one. Empty for what is no address."""
    parsed = parse_address(address)
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((int(parsed), _HOME_PREFIX), strict=False))
    return "" if parsed is None else str(parsed)

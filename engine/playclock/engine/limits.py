"""Limits: who has how much left. Counted in this process without waiting, and shared with others by way of the store.

A limit never waits for the store, so a store that is away holds nobody up: each process then counts for itself.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec
from limits import RateLimitItemPerSecond
from limits.strategies import FixedWindowRateLimiter

from playclock.core.codec import encode
from playclock.core.limits import LimitRules, Quota, added, is_open
from playclock.core.records import Window
from playclock.engine.counters import Counters
from playclock.engine.counts import Counts
from playclock.engine.records import Records
from playclock.errors import RateLimited
from playclock.stores.base import Commit, Put

SHARE_SEC: Final = 0.25
"""How often what others have to hear is told."""
TOLD_MAX: Final = 1_000
"""How many callers' counts are told at a time."""
ATTEMPTS_MAX: Final = 3
KNOWN_MAX: Final = 50_000
"""How many pairs of caller and address are remembered."""


class Left(msgspec.Struct, frozen=True):
    """What a caller has left of a limit."""

    name: str
    quota: Quota
    remaining: int
    reset_ms: int
    """In how many milliseconds all of it is there again."""


class Limit:
    """One limit, by the rules of `limits`: fixed windows."""

    def __init__(self, name: str, quota: Quota, now_ms: Callable[[], int], counts: Counts) -> None:
        self.counters: Final = Counters(quota, now_ms)
        self._name = name
        self._quota = quota
        self._now_ms = now_ms
        self._counts = counts
        self._item = RateLimitItemPerSecond(quota.calls, quota.window_sec, namespace=name)
        self._limiter = FixedWindowRateLimiter(self.counters)

    @property
    def has_full(self) -> bool:
        """Whether somebody may have nothing left. Costs nothing while nobody has."""
        counters = self.counters
        if counters.full_until_ms and self._now_ms() >= counters.full_until_ms:
            counters.full_until_ms = 0
        return counters.full_until_ms != 0

    def left(self, subject: str) -> Left:
        """Return what somebody has left, counting nothing."""
        reset_at_sec, remaining = self._limiter.get_window_stats(self._item, subject)
        return Left(self._name, self._quota, remaining, round(reset_at_sec * 1000) - self._now_ms())

    def refusal(self, subject: str) -> RateLimited | None:
        """Return what somebody is told who has nothing left, counting nothing; None for everybody else."""
        if not subject or self._limiter.test(self._item, subject):
            return None
        quota = self._quota
        return RateLimited(
            limit=self._name, quota=quota.calls, window_sec=quota.window_sec, retry_after_ms=self.left(subject).reset_ms
        )

    def count(self, subject: str) -> None:
        """Count one, whatever is left. Who has nothing left is not counted: it would only cost."""
        if subject and self._limiter.test(self._item, subject):
            self._limiter.hit(self._item, subject)

    def take(self, subject: str) -> None:
        """Count one. Raises RateLimited where nothing is left."""
        refusal = self.refusal(subject)
        if refusal is not None:
            raise self.told(refusal)
        if subject:
            self._limiter.hit(self._item, subject)

    def told(self, refusal: RateLimited) -> RateLimited:
        """Count that somebody is refused, and return the refusal."""
        refused = self._counts.rate_limited
        refused[self._name] = refused.get(self._name, 0) + 1
        return refusal


class Limits:
    """All limits of an engine, and who is known where. A limit that the rules leave out is None."""

    def __init__(self, rules: LimitRules, records: Records, now_ms: Callable[[], int], counts: Counts, *, shared: bool) -> None:
        self._records = records
        self._now_ms = now_ms
        self.is_shared = shared
        """Whether other processes hear what is counted here."""
        self._all: dict[str, Limit] = {
            name: Limit(name, quota, now_ms, counts)
            for name in rules.__struct_fields__
            if (quota := getattr(rules, name)) is not None
        }
        self.wrong_credentials: Final = self._all.get("wrong_credentials_per_address")
        self.refused_otts_per_address: Final = self._all.get("refused_otts_per_address")
        self.refused_otts_per_key: Final = self._all.get("refused_otts_per_key")
        self.calls: Final = self._all.get("calls_per_key")
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def __iter__(self) -> Iterator[Limit]:
        """Return every limit that there is."""
        return iter(self._all.values())

    def named(self, name: str) -> Limit | None:
        """Return a limit by its name."""
        return self._all.get(name)

    def remember(self, address: str, caller: str) -> None:
        """Remember that a caller has shown good credentials from an address."""
        if address and self.wrong_credentials is not None:
            known, pair = self._known, (address, caller)
            known[pair] = None
            known.move_to_end(pair)
            if len(known) > KNOWN_MAX:
                known.popitem(last=False)

    def knows(self, address: str, caller: str) -> bool:
        """Whether a caller is remembered at an address."""
        return (address, caller) in self._known

    async def share(self) -> None:
        """Tell the other processes what was counted here, and hear from them. Raises StoreAway: it is told the next time."""
        if not self.is_shared:
            return
        for limit in self._all.values():
            keys = list(limit.counters.untold)
            for first in range(0, len(keys), TOLD_MAX):
                await self._share(limit.counters, keys[first : first + TOLD_MAX])

    async def _share(self, counters: Counters, keys: Sequence[str]) -> None:
        """Tell of some callers. Each keeps what was counted meanwhile, or could not be told, for the next time."""
        now_ms, untold = self._now_ms(), counters.untold
        waiting = {}
        for key in keys:
            tally = untold.pop(key)
            if is_open(tally.window, now_ms):
                waiting[key] = (tally, tally.untold)
        try:
            for _ in range(ATTEMPTS_MAX):
                if not waiting:
                    return
                stored = await self._records.load(list(waiting))
                commits = [
                    _commit(key, version, window, Window(number, tally.window.until_ms), now_ms=now_ms)
                    for (key, (tally, number)), (version, window) in zip(waiting.items(), stored, strict=True)
                ]
                conflicts = await self._records.commit([commit for commit, _ in commits])
                for (commit, window), conflict in zip(commits, conflicts, strict=True):
                    if conflict is None:
                        (put,) = commit.puts
                        self._records.remember(put.key, put.expect + 1, window)
                        tally, number = waiting.pop(put.key)
                        tally.untold -= number
                        tally.window = Window(window.count + tally.untold, window.until_ms)
                        counters.note(tally.window)
        finally:
            for key, (tally, _) in waiting.items():
                untold.setdefault(key, tally)


def _commit(key: str, version: int, stored: Window | None, untold: Window, *, now_ms: int) -> tuple[Commit, Window]:
    window = added(stored, untold.count, now_ms=now_ms, until_ms=untold.until_ms)
    put = Put(key=key, expect=version, data=encode(window), retain_until_ms=window.until_ms)
    return Commit(partition=int(key[:2], 16), puts=(put,)), window

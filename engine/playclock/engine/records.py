"""Load, decide, commit, and again on a conflict.

Everything that the engine reads and writes goes through here. Records are cached with their version: what is decided on an
old copy meets a conflict at the commit, which hands back the current records, and is decided again. So a cached record may
only be trusted without a commit where it can no longer change.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from playclock.core.charge import Account
from playclock.core.codec import Codec, encode
from playclock.core.ids import kind_of
from playclock.core.launch import Launch, Seat
from playclock.core.ott import Ott
from playclock.core.records import Answer, Claim, Nonce, Pulse, ServerSessions, SessionEvent
from playclock.core.session import Session
from playclock.errors import StoreAway, TooMuchContention
from playclock.stores.base import ABSENT, PARTITIONS, Commit, Conflict, Event, Put, Record, Store, StoreUnavailable, Unmoved

ATTEMPTS_MAX: Final = 50
"""How often a decision is made anew before the caller is told that others are in the way."""
CACHE_MAX: Final = 65_536
"""How many records are remembered with their version."""

SESSIONS: Final = Codec(Session)
LAUNCHES: Final = Codec(Launch)
SEATS: Final = Codec(Seat)
OTTS: Final = Codec(Ott)
ACCOUNTS: Final = Codec(Account)
ANSWERS: Final = Codec(Answer)
CLAIMS: Final = Codec(Claim)
NONCES: Final = Codec(Nonce)
SERVERS: Final = Codec(ServerSessions)
PULSES: Final = Codec(Pulse)

_CODECS: Final[Mapping[str, Codec[Any]]] = {
    "session": SESSIONS,
    "launch": LAUNCHES,
    "seat": SEATS,
    "ott": OTTS,
    "account": ACCOUNTS,
    "answer": ANSWERS,
    "claim": CLAIMS,
    "nonce": NONCES,
    "server": SERVERS,
    "pulse": PULSES,
}

T = TypeVar("T")
Versioned = tuple[int, Any]
"""A record with its version; (ABSENT, None) where there is none."""


class Work:
    """One decision in the making: what was read at which version, and what is to be written."""

    def __init__(self, records: "Records", partition: int, now_ms: int, *, fresh: bool) -> None:
        self.partition = partition
        self.now_ms = now_ms
        self._fresh = fresh
        self._records = records
        self._read: dict[str, Versioned] = {}
        self._puts: dict[str, Put] = {}
        self._staged: dict[str, Any] = {}
        self._events: list[Event] = []

    async def prefetch(self, *keys: str, fresh: bool = False) -> None:
        """Read several records in one round trip; `fresh` where an old copy would not be noticed at the commit."""
        missing = [key for key in keys if key not in self._read]
        if missing:
            found = await self._records.load(missing, fresh=fresh or self._fresh)
            self._read.update(zip(missing, found, strict=True))

    async def read(self, codec: Codec[T], key: str) -> T | None:
        """Return the record as this decision has it: as it will write it, or as it was read."""
        if key in self._staged:
            return codec.checked(self._staged[key])
        await self.prefetch(key)
        value = self._read[key][1]
        return None if value is None else codec.checked(value)

    def write(
        self, key: str, record: msgspec.Struct, *, due_ms: int | Unmoved | None = None, retain_until_ms: int | None = None
    ) -> None:
        """Write a record at the version at which it was read; one that was not read must not exist."""
        version = self._read.get(key, (ABSENT, None))[0]
        self._staged[key] = record
        self._puts[key] = Put(key=key, expect=version, data=encode(record), due_ms=due_ms, retain_until_ms=retain_until_ms)

    def tell(self, event: SessionEvent, *, retain_until_ms: int) -> None:
        """Put an event into the outbox with the commit."""
        self._events.append(Event(data=encode(event), retain_until_ms=retain_until_ms))

    def discard(self) -> None:
        """Forget what was to be written and told."""
        self._puts.clear()
        self._staged.clear()
        self._events.clear()

    def commit(self) -> Commit | None:
        """Return what has to be committed, or None where nothing has."""
        if not self._puts:
            return None
        return Commit(partition=self.partition, puts=tuple(self._puts.values()), events=tuple(self._events))

    @property
    def staged(self) -> Mapping[str, tuple[int, Any]]:
        """What was written, at the versions that the commit gives it."""
        return {key: (put.expect + 1, self._staged[key]) for key, put in self._puts.items()}


class Records:
    """The engine's view of a store: decoded records, their versions, and the loop around a decision."""

    def __init__(self, store: Store, *, cache_max: int = CACHE_MAX) -> None:
        self.store = store
        self.on_events: Callable[[], object] = bool
        """Called after a commit that told something."""
        self._cache: OrderedDict[str, Versioned] = OrderedDict()
        self._cache_max = cache_max
        self._turns = [asyncio.Lock() for _ in range(PARTITIONS)]

    def cached(self, key: str) -> Versioned | None:
        """Return what is remembered of a record."""
        return self._cache.get(key)

    def remember(self, key: str, version: int, value: Any) -> None:  # noqa: ANN401 - a record of any kind
        """Remember a record that was read or committed."""
        cache = self._cache
        cache[key] = (version, value)
        if len(cache) > self._cache_max:
            cache.popitem(last=False)

    def forget(self, key: str) -> None:
        """Forget a record that is not there any more."""
        self._cache.pop(key, None)

    async def load(self, keys: Sequence[str], *, fresh: bool = False) -> list[Versioned]:
        """Return each record with its version, from memory where it is there and `fresh` is not asked for."""
        found = {} if fresh else {key: self._cache[key] for key in keys if key in self._cache}
        missing = [key for key in keys if key not in found]
        if missing:
            try:
                for key, record in zip(missing, await self.store.get(missing), strict=True):
                    found[key] = self._take_in(key, record)
            except StoreUnavailable as error:
                raise _away() from error
        return [found[key] for key in keys]

    async def commit(self, commits: Sequence[Commit]) -> list[Conflict | None]:
        """Commit, and take in what conflicts hand back. The caller remembers what it committed."""
        try:
            conflicts = await self.store.commit(commits)
        except StoreUnavailable as error:
            raise _away() from error
        for conflict in conflicts:
            if conflict is not None:
                for key, record in conflict.current.items():
                    self._take_in(key, record)
        return conflicts

    async def decide(self, partition: int, now_ms: int, decision: Callable[[Work], Awaitable[T]]) -> T:
        """Make a decision and commit it; make it anew as long as others were faster.

        Decisions of one partition take turns within the process: they share accounts and seats, and would only conflict.
        Other processes are met by the versions. Raises StoreAway, TooMuchContention and what the decision raises.
        """
        async with self._turns[partition]:
            for attempt in range(ATTEMPTS_MAX):
                # After a conflict nothing remembered is trusted: what else was read may be as old as what conflicted.
                work = Work(self, partition, now_ms, fresh=attempt > 0)
                answer = await decision(work)
                commit = work.commit()
                if commit is None:
                    return answer
                if (await self.commit([commit]))[0] is None:
                    for key, (version, value) in work.staged.items():
                        self.remember(key, version, value)
                    if commit.events:
                        self.on_events()
                    return answer
        raise TooMuchContention("others kept changing the same records")

    def _take_in(self, key: str, record: Record | None) -> Versioned:
        if record is None:
            self.forget(key)
            return (ABSENT, None)
        value = _CODECS[kind_of(key)].decode(record.data)
        self.remember(key, record.version, value)
        return (record.version, value)


def _away() -> StoreAway:
    return StoreAway("the store cannot be reached")

"""A commit in the making: a draft, and each decision's work on it."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from playclock.core.codec import Codec, encode
from playclock.core.outbox import OutboxEvent
from playclock.engine.records import Records, Versioned
from playclock.stores.base import ABSENT, UNMOVED, Commit, Event, Put, Unmoved

T = TypeVar("T")


class Draft:
    """What the decisions of one turn have read so far, and what they will write together."""

    def __init__(self, records: Records, partition: int, *, fresh: bool) -> None:
        self.partition = partition
        self.read: dict[str, Versioned] = {}
        self.written: dict[str, Any] = {}
        self._records = records
        self._fresh = fresh
        self._fresh_keys: set[str] = set()
        self._epoch: str | None = None
        self._puts: dict[str, Put] = {}
        self._events: list[Event] = []
        self.told: list[OutboxEvent] = []

    async def load(self, keys: list[str], *, fresh: bool) -> None:
        """Read what is not there yet, and with `fresh` also what is there as an old copy and nobody has written since."""
        fresh = fresh or self._fresh
        known = self._fresh_keys if fresh else self.read.keys()
        missing = [key for key in keys if key not in known and key not in self.written]
        if missing:
            self.read.update(zip(missing, await self._records.load(missing, fresh=fresh), strict=True))
            if fresh:
                self._fresh_keys.update(missing)

    async def epoch(self) -> str:
        """Return the store's epoch, and let the commit hold in no other one."""
        if self._epoch is None:
            self._epoch = await self._records.epoch(self.partition)
        return self._epoch

    async def is_outdated(self) -> bool:
        """Whether others have written what was read. Raises StoreAway."""
        read = list(self.read.items())
        current = await self._records.load([key for key, _ in read], fresh=True)
        return any(version != now for (_, (version, _)), (now, _) in zip(read, current, strict=True))

    def take(self, puts: Mapping[str, Put], written: Mapping[str, Any], events: list[Event], told: list[OutboxEvent]) -> None:
        """Add a decision's work. A record that was written before stays one put, from the version that was read."""
        for key, put in puts.items():
            self._puts[key] = put if key not in self._puts else _merge(self._puts[key], put)
        self.written.update(written)
        self._events.extend(events)
        self.told.extend(told)

    def commit(self) -> Commit | None:
        """Return what has to be committed, or None where nothing has."""
        if not self._puts:
            return None
        puts, events = tuple(self._puts.values()), tuple(self._events)
        return Commit(partition=self.partition, puts=puts, events=events, epoch=self._epoch)

    def remember(self) -> None:
        """Remember what was written, at the versions that the commit gave it; what is over and only kept is forgotten."""
        for key, put in self._puts.items():
            if put.retain_until_ms is None:
                self._records.remember(key, put.expect + 1, self.written[key])
            else:
                self._records.forget(key)


class Work:
    """One decision: it sees the draft as decisions before it left it, and leaves its own only if it comes to an end."""

    def __init__(self, draft: Draft, now_ms: int) -> None:
        self.partition = draft.partition
        self.now_ms = now_ms
        self._draft = draft
        self._puts: dict[str, Put] = {}
        self._written: dict[str, Any] = {}
        self._events: list[Event] = []
        self._told: list[OutboxEvent] = []

    async def prefetch(self, *keys: str, fresh: bool = False) -> None:
        """Read several records in one round trip; `fresh` where an old copy would not be noticed at the commit."""
        await self._draft.load([key for key in keys if key not in self._written], fresh=fresh)

    async def epoch(self) -> str:
        """Return the store's epoch. What is decided then is only committed in it."""
        return await self._draft.epoch()

    async def read(self, codec: Codec[T], key: str) -> T | None:
        """Return the record as this decision has it: as it will be written, or as it was read."""
        for written in (self._written, self._draft.written):
            if key in written:
                return codec.checked(written[key])
        await self._draft.load([key], fresh=False)
        value = self._draft.read[key][1]
        return None if value is None else codec.checked(value)

    def write(
        self, key: str, record: msgspec.Struct, *, due_ms: int | Unmoved | None = None, retain_until_ms: int | None = None
    ) -> None:
        """Write a record at the version at which it was read; one that was not read must not exist."""
        version = self._draft.read.get(key, (ABSENT, None))[0]
        put = Put(key=key, expect=version, data=encode(record), due_ms=due_ms, retain_until_ms=retain_until_ms)
        self._puts[key] = put if key not in self._puts else _merge(self._puts[key], put)
        self._written[key] = record

    def tell(self, event: OutboxEvent, *, retain_until_ms: int) -> None:
        """Put an event into the outbox with the commit."""
        self._events.append(Event(data=encode(event), retain_until_ms=retain_until_ms))
        self._told.append(event)

    def discard(self) -> None:
        """Forget what was to be written and told."""
        self._puts.clear()
        self._written.clear()
        self._events.clear()
        self._told.clear()

    def finish(self) -> None:
        """Leave the work to the draft."""
        self._draft.take(self._puts, self._written, self._events, self._told)


def _merge(first: Put, second: Put) -> Put:
    """Return the second put as it follows the first: from the same version, and filed where the first filed it."""
    due_ms = first.due_ms if second.due_ms is UNMOVED else second.due_ms
    return msgspec.structs.replace(second, expect=first.expect, due_ms=due_ms)

"""A store in the memory of one process, for tests and embedding. Nothing outlives it."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import islice, takewhile
from typing import Final

import msgspec

from playclock.stores.base import (
    ABSENT,
    ONE_EPOCH,
    PARTITIONS,
    UNMOVED,
    Commit,
    Conflict,
    Due,
    Event,
    Put,
    Record,
    StoredEvent,
    StoreUnavailable,
    Unmoved,
)
from playclock.stores.keys import PREFIXES, check_keys


class MemoryStore:
    """Keeps everything in dicts and lists, a set of them for each partition.

    Partitions keep each list and dict small: at a million records none has more than some thousands of entries, so that
    neither growing a dict nor inserting into the middle of a list is ever felt.
    """

    def __init__(self) -> None:
        self._shelves: Final = [_Shelf() for _ in range(PARTITIONS)]
        self._shelf_of: Final = {PREFIXES[partition]: shelf for partition, shelf in enumerate(self._shelves)}
        self._closed = False

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        """Return what lies under each key."""
        self._check_open()
        return [None if (shelf := self._shelf_of.get(key[:2])) is None else shelf.get(key) for key in keys]

    async def commit(self, commits: Sequence[Commit]) -> list[Conflict | None]:
        """Carry out each commit wholly or not at all."""
        self._check_open()
        check_keys(commits)
        # No await from here to the last write: that, on one event loop, is what makes every commit atomic.
        return [self._shelves[commit.partition].apply(commit) for commit in commits]

    async def epoch(self, partition: int) -> str:  # noqa: ARG002 - all partitions live as long as the process
        """Return the only epoch that there is."""
        self._check_open()
        return ONE_EPOCH

    async def due(self, partition: int, before_ms: int, limit: int, *, after: Due | None = None) -> list[Due]:
        """Return entries of the partition's due index."""
        self._check_open()
        beyond = None if after is None else (after.due_ms, after.key)
        entries = self._shelves[partition].due.until(before_ms, limit, beyond)
        return [Due(due_ms, key) for due_ms, key in entries]

    async def due_partitions(self, before_ms: int) -> list[int]:
        """Return the partitions that have something due."""
        self._check_open()
        return [partition for partition, shelf in enumerate(self._shelves) if shelf.due.reaches(before_ms)]

    async def events(self, after: Mapping[int, int], limit: int) -> list[StoredEvent]:
        """Return events of the named partitions."""
        self._check_open()
        beyond = (
            StoredEvent(partition, sequence, event.data)
            for partition, last in after.items()
            for sequence, event in self._shelves[partition].events_after(last, limit)
        )
        return list(islice(beyond, limit))

    async def heads(self) -> dict[int, int]:
        """Return the last sequence of each partition that ever had an event."""
        self._check_open()
        return {partition: shelf.head for partition, shelf in enumerate(self._shelves) if shelf.head}

    async def collect(self, before_ms: int, limit: int, *, keep_after: Mapping[int, int] | None = None) -> int:
        """Drop what nobody asks for any more."""
        self._check_open()
        dropped = 0
        for partition, shelf in enumerate(self._shelves):
            dropped += shelf.drop_records(before_ms, limit - dropped)
            until = shelf.head if keep_after is None else keep_after.get(partition, 0)
            dropped += shelf.drop_events(before_ms, min(limit - dropped, until - shelf.first_sequence + 1))
        return dropped

    async def ping(self) -> None:
        """Return while the store is open."""
        self._check_open()

    async def close(self) -> None:
        """Answer nothing from now on."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store has been closed")


class _Slot(msgspec.Struct, gc=False):
    """A record as it is kept. It is changed in place: cheaper than a new object, and the dict stays as it is."""

    version: int
    data: bytes
    due_ms: int | None = None
    retain_until_ms: int | None = None


class _Timeline:
    """Keys in order of (time, key), as two parallel sequences: 16 bytes an entry, where a tuple would take 72.

    Exact, so there is no garbage to bound. To insert moves the entries behind it, 8 bytes each: about a microsecond at some
    thousands of entries, and still below a millisecond should a million of them lie in one partition.
    """

    __slots__ = ("_keys", "_times")

    def __init__(self) -> None:
        self._times = array("q")
        self._keys: list[str] = []

    def _place(self, time_ms: int, key: str) -> int:
        first = bisect_left(self._times, time_ms)
        return bisect_left(self._keys, key, first, bisect_right(self._times, time_ms, first))

    def add(self, time_ms: int, key: str) -> None:
        place = self._place(time_ms, key)
        self._times.insert(place, time_ms)
        self._keys.insert(place, key)

    def remove(self, time_ms: int, key: str) -> str:
        """Take an entry out, and return its key: the object that was filed, not its equal that came with the write."""
        place = self._place(time_ms, key)
        del self._times[place]
        return self._keys.pop(place)

    def reaches(self, before_ms: int) -> bool:
        return bool(self._times) and self._times[0] <= before_ms

    def until(self, before_ms: int, limit: int, after: tuple[int, str] | None = None) -> list[tuple[int, str]]:
        start = 0
        if after is not None:
            start = self._place(*after)
            if start < len(self._keys) and (self._times[start], self._keys[start]) == after:
                start += 1
        stop = min(bisect_right(self._times, before_ms), start + max(limit, 0))
        return list(zip(self._times[start:stop], self._keys[start:stop], strict=True))


class _Shelf:
    """What lies in one partition."""

    __slots__ = ("_events", "_first_sequence", "_retention", "_slots", "due")

    def __init__(self) -> None:
        self._slots: dict[str, _Slot] = {}
        self._retention = _Timeline()
        self._events: list[Event] = []
        self._first_sequence = 1
        self.due = _Timeline()

    def get(self, key: str) -> Record | None:
        slot = self._slots.get(key)
        return None if slot is None else Record(slot.version, slot.data)

    def apply(self, commit: Commit) -> Conflict | None:
        puts = commit.puts
        if commit.epoch:  # there is none but ONE_EPOCH
            return Conflict({put.key: self.get(put.key) for put in puts})
        slots = []
        for put in puts:
            slot = self._slots.get(put.key)
            if put.expect != (ABSENT if slot is None else slot.version):
                return Conflict({put.key: self.get(put.key) for put in puts})
            slots.append(slot)
        for put, slot in zip(puts, slots, strict=True):
            if slot is None:
                slot = self._slots[put.key] = _Slot(1, put.data)  # noqa: PLW2901
            else:
                slot.version += 1
                slot.data = put.data
            due_ms = put.due_ms
            if (due_ms is not UNMOVED and due_ms != slot.due_ms) or put.retain_until_ms != slot.retain_until_ms:
                self._refile(slot, put)
        self._events.extend(commit.events)
        return None

    def _refile(self, slot: _Slot, put: Put) -> None:
        # Indexes hold the key that the dict holds: every write brings an equal string of its own, 96 bytes each.
        key = put.key
        due_ms = slot.due_ms if isinstance(put.due_ms, Unmoved) else put.due_ms
        if slot.due_ms is not None:
            key = self.due.remove(slot.due_ms, key)
        if slot.retain_until_ms is not None:
            key = self._retention.remove(slot.retain_until_ms, key)
        if due_ms is not None:
            self.due.add(due_ms, key)
        if put.retain_until_ms is not None:
            self._retention.add(put.retain_until_ms, key)
        slot.due_ms, slot.retain_until_ms = due_ms, put.retain_until_ms

    def drop_records(self, before_ms: int, limit: int) -> int:
        if not self._retention.reaches(before_ms):
            return 0
        dropped = self._retention.until(before_ms, limit)
        for retain_until_ms, key in dropped:
            slot = self._slots.pop(key)
            self._retention.remove(retain_until_ms, key)
            if slot.due_ms is not None:
                self.due.remove(slot.due_ms, key)
        return len(dropped)

    @property
    def first_sequence(self) -> int:
        return self._first_sequence

    @property
    def head(self) -> int:
        return self._first_sequence - 1 + len(self._events)

    def events_after(self, last: int, limit: int) -> list[tuple[int, Event]]:
        start = max(last + 1, self._first_sequence)
        offset = start - self._first_sequence
        return list(enumerate(self._events[offset : offset + max(limit, 0)], start))

    def drop_events(self, before_ms: int, limit: int) -> int:
        if not self._events or self._events[0].retain_until_ms > before_ms:
            return 0
        # Only from the front, so that an event which must stay never has a gap behind it.
        oldest = islice(self._events, max(limit, 0))
        dropped = sum(1 for _ in takewhile(lambda event: event.retain_until_ms <= before_ms, oldest))
        del self._events[:dropped]
        self._first_sequence += dropped
        return dropped

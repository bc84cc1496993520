"""What was acknowledged a moment ago, so that it can be said again where a failover or a restart may have lost it.

A commit that is said again carries the versions that it carried first. So one that was not lost conflicts and changes nothing,
and one that was lost takes effect whole, events and all. Versions alone would not do: others may have written anew what was
lost, up to the very version that a commit expects. So records are marked with the epoch in which they were written, and
nothing is said again on top of one that was written in this epoch. What does not fit is told in the log and counted.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import Final

import msgspec

from playclock.stores.base import Commit

KEEP_SEC: Final = 60.0
BYTES_MAX: Final = 64 * 1024 * 1024
"""How much is kept. With more than that in a minute the oldest is dropped, and told once."""
TOGETHER_MAX: Final = 256
RETRY_SEC: Final = 2.0
"""How long a commit is tried again that follows one of another process, which has to say that one again first."""
PAUSE_SEC: Final = 0.05

_PUT_BYTES: Final = 250
"""What a put takes in memory besides its data, about."""

_log = logging.getLogger(__name__)


class There(msgspec.Struct, frozen=True, gc=False):
    """What lies under a key of a commit that conflicts when it is said again."""

    version: int
    kept: int
    """The version that it had before anything new was written in this epoch: what was not lost, or has been put back."""


Send = Callable[[Sequence[Commit]], Awaitable[Sequence[Sequence[There] | None]]]
"""Says commits again, and returns for each None, or what lies there for each of its puts."""


class Fate(Enum):
    """What became of an acknowledged commit that conflicts when it is said again."""

    KEPT = "kept"
    """It was not lost."""
    EARLY = "early"
    """It was lost, and so was one that it follows."""
    UNFIT = "unfit"
    """It was lost, or what it follows was, and something else was written in that place."""


def fate_of(commit: Commit, found: Sequence[There]) -> Fate:
    """Say what became of a commit that conflicts."""
    if all(there.kept > put.expect for put, there in zip(commit.puts, found, strict=True)):
        return Fate.KEPT
    # One that took effect in part was dropped in part since, for its time was over; what is new stays.
    is_beyond = any(
        there.kept > put.expect or there.version > there.kept for put, there in zip(commit.puts, found, strict=True)
    )
    return Fate.UNFIT if is_beyond else Fate.EARLY


class _Entry(msgspec.Struct, frozen=True, gc=False):
    commit: Commit
    acknowledged_at: float
    size: int


class Journal:
    """The commits of this process that were acknowledged in the last minute, in their order, for each partition."""

    def __init__(self, *, bytes_max: int = BYTES_MAX, retry_sec: float = RETRY_SEC) -> None:
        self.put_back = 0
        """How many commits were lost and have taken effect again."""
        self.given_up = 0
        """How many commits were lost and could not take effect again."""
        self.dropped = 0
        """How many commits were forgotten early, because there were too many."""
        self._entries: dict[int, deque[_Entry]] = {}
        self._bytes = 0
        self._bytes_max = bytes_max
        self._retry_sec = retry_sec

    @property
    def partitions(self) -> list[int]:
        """The partitions of which something is kept."""
        return [partition for partition, entries in self._entries.items() if entries]

    def has(self, partition: int) -> bool:
        """Whether something of the partition is kept."""
        return bool(self._entries.get(partition))

    def add(self, commit: Commit, now: float) -> None:
        """Keep a commit that was acknowledged now. One without puts is not kept: nothing would tell whether it was lost."""
        if not commit.puts:
            return
        size = len(commit.puts) * _PUT_BYTES  # loops, for this is done for every heartbeat
        for put in commit.puts:
            size += len(put.data)
        for event in commit.events:
            size += len(event.data)
        entries = self._entries.get(commit.partition)
        if entries is None:
            entries = self._entries[commit.partition] = deque()
        entries.append(_Entry(commit, now, size))
        self._bytes += size
        self._forget(entries, now - KEEP_SEC)
        if self._bytes > self._bytes_max:
            self._make_room()

    def _forget(self, entries: deque[_Entry], before: float) -> None:
        while entries and entries[0].acknowledged_at < before:
            self._bytes -= entries.popleft().size

    def _make_room(self) -> None:
        """Drop the oldest, some at a time: to find them takes a look at every partition."""
        if not self.dropped:
            fields = {"bytes_max": self._bytes_max, "seconds": KEEP_SEC}
            _log.warning("so much is written that what a failover loses may not all be put back", extra={"fields": fields})
        while self._bytes > self._bytes_max - self._bytes_max // 16:
            oldest = min((entries for entries in self._entries.values() if entries), key=lambda each: each[0].acknowledged_at)
            self._bytes -= oldest.popleft().size
            self.dropped += 1

    async def restore(self, partition: int, since: float, send: Send) -> None:
        """Say again what was acknowledged since then, and return when all that was lost is back or was told.

        This process may commit nothing else to the partition meanwhile. Raises what `send` raises; then begin anew.
        """
        entries = self._entries.get(partition)
        if entries is None:
            return
        self._forget(entries, since)
        round_ = _Round(list(entries))
        give_up_at = asyncio.get_running_loop().time() + self._retry_sec
        try:
            while round_.waiting:
                is_last = asyncio.get_running_loop().time() >= give_up_at
                await round_.say_again(send, is_last=is_last)
                if round_.waiting:
                    await asyncio.sleep(PAUSE_SEC)
        finally:
            self._settle(partition, entries, round_)

    def _settle(self, partition: int, entries: deque[_Entry], round_: "_Round") -> None:
        """Keep what was put back for another minute, behind what it follows, and forget what was given up."""
        gone = {id(entry) for entry in (*round_.put_back, *round_.given_up)}
        if not gone:
            return
        now = asyncio.get_running_loop().time()
        kept = [entry for entry in entries if id(entry) not in gone]
        entries.clear()
        entries.extend((*kept, *(_Entry(entry.commit, now, entry.size) for entry in round_.put_back)))
        self._bytes -= sum(entry.size for entry in round_.given_up)
        self.put_back += len(round_.put_back)
        self.given_up += len(round_.given_up)
        fields = {"partition": partition, "put_back": len(round_.put_back), "given_up": len(round_.given_up)}
        _log.warning("what was acknowledged and lost has been put back", extra={"fields": fields})


class _Round:
    """What is said again, and what became of it."""

    def __init__(self, entries: list[_Entry]) -> None:
        self.waiting = entries
        self.put_back: list[_Entry] = []
        self.given_up: list[_Entry] = []

    async def say_again(self, send: Send, *, is_last: bool) -> None:
        """Say what waits again, in its order; what came too early goes on waiting, unless this is the last time."""
        saying, self.waiting = self.waiting, []
        for first in range(0, len(saying), TOGETHER_MAX):
            page = saying[first : first + TOGETHER_MAX]
            for entry, found in zip(page, await send([entry.commit for entry in page]), strict=True):
                if found is None:
                    self.put_back.append(entry)
                    continue
                fate = fate_of(entry.commit, found)
                if fate is Fate.EARLY and not is_last:
                    self.waiting.append(entry)
                elif fate is not Fate.KEPT:
                    self.given_up.append(entry)
                    _tell(entry.commit, found)


def _tell(commit: Commit, found: Sequence[There]) -> None:
    """Say what was lost: keys and versions, for what the records hold is no business of a log's readers."""
    records = [
        {"key": put.key, "written": put.expect + 1, "kept": there.kept, "there": there.version}
        for put, there in zip(commit.puts, found, strict=True)
    ]
    fields = {"partition": commit.partition, "records": records, "events": len(commit.events)}
    _log.error("something acknowledged was lost and cannot be put back", extra={"fields": fields})

"""What was acknowledged a moment ago, so that it can be said again where a failover or a restart may have lost it."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from playclock.stores.base import Commit
from playclock.stores.redis_repeats import Entry, Round, Send

KEEP_SEC: Final = 60.0
BYTES_MAX: Final = 64 * 1024 * 1024
"""How much is kept. With more than that in a minute the oldest is dropped, and told once."""
RETRY_SEC: Final = 2.0
"""How long a commit is tried again that follows one of another process, which has to say that one again first."""
PAUSE_SEC: Final = 0.05

_PUT_BYTES: Final = 250
"""What a put takes in memory besides its data, about."""

_log = logging.getLogger(__name__)


class _Answered(msgspec.Struct, frozen=True, gc=False):
    """Commits that one answer acknowledged."""

    commits: Sequence[Commit]
    acknowledged_at: float
    mark: bytes
    size: int


class Journal:
    """The commits of this process that were acknowledged in the last minute, in their order.

    They are kept as they came, which costs a heartbeat next to nothing, and sorted by partition where some may be lost.
    """

    def __init__(self, *, bytes_max: int = BYTES_MAX, retry_sec: float = RETRY_SEC) -> None:
        self.put_back = 0
        """How many commits were lost and have taken effect again."""
        self.given_up = 0
        """How many commits were lost and could not take effect again."""
        self.dropped = 0
        """How many commits were forgotten early, because there were too many."""
        self._answered: deque[_Answered] = deque()
        self._sorted: dict[int, deque[Entry]] = {}
        """What was sorted, by partition; it came before all that is not."""
        self._sorted_until = 0.0
        """When the last of it was acknowledged."""
        self._bytes = 0
        self._bytes_max = bytes_max
        self._retry_sec = retry_sec

    @property
    def partitions(self) -> list[int]:
        """The partitions of which something is kept."""
        self._sort()
        return [partition for partition, entries in self._sorted.items() if entries]

    def has(self, partition: int) -> bool:
        """Whether something of the partition is kept."""
        self._sort()
        return bool(self._sorted.get(partition))

    def add(self, commits: Sequence[Commit], now: float, mark: bytes) -> None:
        """Keep commits that were acknowledged now, in the epoch of the mark.

        One without puts is not said again: nothing would tell whether it was lost.
        """
        if not commits:
            return
        size = sum(map(_size_of, commits))
        answered, before = self._answered, now - KEEP_SEC
        answered.append(_Answered(commits, now, mark, size))
        self._bytes += size
        while answered[0].acknowledged_at < before:
            self._bytes -= answered.popleft().size
        if self._sorted and self._sorted_until < before:
            self._bytes -= sum(entry.size for entries in self._sorted.values() for entry in entries)
            self._sorted.clear()
        if self._bytes > self._bytes_max:
            self._make_room()

    def _sort(self) -> None:
        """Sort by partition what came since this was done last."""
        for answered in self._answered:
            self._sorted_until = answered.acknowledged_at
            self._bytes -= answered.size
            for commit in answered.commits:
                if commit.puts:
                    entry = Entry(commit, answered.acknowledged_at, answered.mark, _size_of(commit))
                    self._sorted.setdefault(commit.partition, deque()).append(entry)
                    self._bytes += entry.size
        self._answered.clear()

    def _forget(self, entries: deque[Entry], before: float) -> None:
        while entries and entries[0].acknowledged_at < before:
            self._bytes -= entries.popleft().size

    def _make_room(self) -> None:
        """Drop the oldest, some at a time: to find them may take a look at every partition."""
        if not self.dropped:
            fields = {"bytes_max": self._bytes_max, "seconds": KEEP_SEC}
            _log.warning("so much is written that what a failover loses may not all be put back", extra={"fields": fields})
        while self._bytes > self._bytes_max - self._bytes_max // 16:
            sorted_ = [entries for entries in self._sorted.values() if entries]
            if sorted_:
                self._bytes -= min(sorted_, key=lambda each: each[0].acknowledged_at).popleft().size
                self.dropped += 1
            else:
                answered = self._answered.popleft()
                self._bytes -= answered.size
                self.dropped += len(answered.commits)

    async def restore(self, partition: int, since: float, mark: bytes, send: Send) -> None:
        """Say again what was acknowledged since then, and return when all that was lost is back or was told.

        What was acknowledged in the epoch of the mark, in which it would be said again, is there. This process may commit
        nothing else to the partition meanwhile. Raises what `send` raises; then begin anew.
        """
        self._sort()
        entries = self._sorted.get(partition)
        if entries is None:
            return
        self._forget(entries, since)
        round_ = Round([entry for entry in entries if entry.mark != mark])
        give_up_at = asyncio.get_running_loop().time() + self._retry_sec
        try:
            while round_.waiting:
                is_last = asyncio.get_running_loop().time() >= give_up_at
                await round_.say_again(send, is_last=is_last)
                if round_.waiting:
                    await asyncio.sleep(PAUSE_SEC)
        finally:
            self._settle(partition, mark, round_)

    def _settle(self, partition: int, mark: bytes, round_: Round) -> None:
        """Keep what was put back for another minute, behind what it follows, and forget what was given up."""
        gone = {id(entry) for entry in (*round_.put_back, *round_.given_up)}
        if not gone:
            return
        self._sort()
        now = asyncio.get_running_loop().time()
        there = self._sorted.get(partition, deque())
        kept = [entry for entry in there if id(entry) not in gone]
        back = [Entry(entry.commit, now, mark, entry.size) for entry in round_.put_back]
        self._sorted[partition] = deque((*kept, *back))
        self._sorted_until = now
        self._bytes += sum(entry.size for entry in self._sorted[partition]) - sum(entry.size for entry in there)
        self.put_back += len(round_.put_back)
        self.given_up += len(round_.given_up)
        fields = {"partition": partition, "put_back": len(round_.put_back), "given_up": len(round_.given_up)}
        _log.warning("what was acknowledged and lost has been put back", extra={"fields": fields})


def _size_of(commit: Commit) -> int:
    """Return what a commit takes in memory, about."""
    size = len(commit.puts) * _PUT_BYTES  # loops, for this is done for every heartbeat
    for put in commit.puts:
        size += len(put.data)
    for event in commit.events:
        size += len(event.data)
    return size

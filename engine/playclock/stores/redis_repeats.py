"""Saying again what was acknowledged and may be lost, and what became of it.

A commit that is said again carries the versions that it carried first. So one that was not lost conflicts and changes nothing,
and one that was lost takes effect whole, events and all. Versions alone would not do: others may have written anew what was
lost, up to the very version that a commit expects. So records are marked with the epoch in which they were written, and
nothing is said again on top of one that was written in this epoch. What does not fit is told in the log and counted.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import Final

import msgspec

from playclock.stores.base import Commit

TOGETHER_MAX: Final = 256

_log = logging.getLogger(__name__)


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A commit that was acknowledged."""

    commit: Commit
    acknowledged_at: float
    mark: bytes
    """The epoch in which it was."""
    size: int


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


class Round:
    """What is said again, and what became of it."""

    def __init__(self, entries: list[Entry]) -> None:
        self.waiting = entries
        self.put_back: list[Entry] = []
        self.given_up: list[Entry] = []

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

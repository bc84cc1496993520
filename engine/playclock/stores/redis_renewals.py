"""Heartbeats of many callers as one script: what comes while one is under way leaves together when its answer is there.

A caller who is alone waits for nobody. The more there are, the fewer commands, writes and wake-ups each of them costs, here and
in Redis.
"""

import asyncio
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Final

import hiredis
import msgspec

from playclock.stores.base import Commit, Conflict, StoreUnavailable
from playclock.stores.redis_commits import RENEWED_MAX, Batch
from playclock.stores.redis_journal import Journal
from playclock.stores.redis_link import Link
from playclock.stores.redis_wire import UNSENT_BYTES_MAX, Reply


class Unsent(Enum):
    """Stands for "this has not been sent"."""

    UNSENT = "unsent"


UNSENT: Final = Unsent.UNSENT
"""The connection went before a renewal was sent on it."""

Outcome = Conflict | None
"""What there is instead; None for a commit that took effect."""
Answer = Outcome | hiredis.ReplyError | Unsent
"""An outcome, or why there is none: what Redis said, having done nothing or not; or nothing was asked."""


class _Caller(msgspec.Struct, gc=False):
    commit: Commit
    answer: "asyncio.Future[Answer]"


class Renewals:
    """Gathers commits that only renew a record, for one connection."""

    def __init__(self, link: Link, journal: Journal, *, are_slots_apart: bool) -> None:
        self._link = link
        self._journal = journal
        self._are_slots_apart = are_slots_apart
        self._loop = asyncio.get_running_loop()
        self._gathered: list[_Caller] = []
        self._gathered_bytes = 0
        self._since_tick = 0
        """When the first of those who are gathered came."""
        self._is_busy = False
        """Whether an answer is still to come, or the next turn of the loop will send."""

    def add(self, commit: Commit) -> "asyncio.Future[Answer]":
        """Return what will hold the commit's outcome. It raises StoreUnavailable."""
        answer: asyncio.Future[Answer] = self._loop.create_future()
        if self._gathered_bytes > UNSENT_BYTES_MAX:
            answer.set_exception(StoreUnavailable("Redis does not take in what it is sent"))
            return answer
        if not self._gathered:
            self._since_tick = self._link.tick
            if not self._is_busy:
                self._is_busy = True
                self._loop.call_soon(self._send)
        self._gathered.append(_Caller(commit, answer))
        self._gathered_bytes += len(commit.puts[0].data)
        return answer

    def _send(self) -> None:
        """Send what is gathered."""
        callers, self._gathered, self._gathered_bytes = self._gathered, [], 0
        link = self._link
        self._is_busy = link.is_open and bool(callers)
        if not self._is_busy:
            _answer(callers, UNSENT)
            return
        groups = _grouped(callers) if self._are_slots_apart else [callers]
        pages = [group[first : first + RENEWED_MAX] for group in groups for first in range(0, len(group), RENEWED_MAX)]
        batches = [Batch([caller.commit for caller in page], [], is_renewal=True) for page in pages]

        def heard(replies: list[Reply]) -> None:
            for page, batch, reply in zip(pages, batches, replies, strict=True):
                self._take(page, batch, reply)
            self._send()

        def lost(error: StoreUnavailable) -> None:
            # Who is gathered behind them has waited as long as they have.
            gathered, self._gathered, self._gathered_bytes = self._gathered, [], 0
            self._is_busy = False
            for caller in (*callers, *gathered):
                if not caller.answer.done():
                    caller.answer.set_exception(StoreUnavailable(*error.args))

        link.tell([batch.command(link.mark) for batch in batches], heard, lost, since_tick=self._since_tick)

    def _take(self, page: Sequence[_Caller], batch: Batch, reply: Reply) -> None:
        """Take in what Redis says of some, and keep those that took effect, also if their caller does not wait any more."""
        if isinstance(reply, hiredis.ReplyError):
            _answer(page, reply)
            return
        self._journal.add(batch.acknowledged(reply), self._loop.time(), self._link.mark)
        if reply:
            for number, conflict in batch.refused(reply):
                _answer((page[number],), conflict)
        _answer(page, None)


def _answer(callers: Iterable[_Caller], answer: Answer) -> None:
    """Tell those who have not been told yet, and have not given up."""
    for caller in callers:
        if not caller.answer.done():
            caller.answer.set_result(answer)


def _grouped(callers: Sequence[_Caller]) -> list[list[_Caller]]:
    """Return the callers by partition."""
    groups: dict[int, list[_Caller]] = {}
    for caller in callers:
        groups.setdefault(caller.commit.partition, []).append(caller)
    return list(groups.values())

"""The one thread that writes to an SQLite file: all commits that wait go into one transaction."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any, Final, TypeVar

import msgspec

from playclock.stores.base import Commit, Conflict, StoreError, StoreUnavailable
from playclock.stores.sqlite_file import roll_back, translated
from playclock.stores.sqlite_group import apply

MOST_COMMITS: Final = 1024
"""So many commits close a group: a larger one is hardly faster, and the first in it would wait for the last."""

PATIENCE_SECONDS: Final = 0.01
PAUSE_SECONDS: Final = 0.005

# What the driver raises for a value that no file can hold, such as an integer beyond 64 bits.
_UNWRITABLE: Final = (TypeError, ValueError, OverflowError)

T = TypeVar("T")


class _Commits(msgspec.Struct, frozen=True):
    commits: Sequence[Commit]
    future: asyncio.Future[Any]


class _Work(msgspec.Struct, frozen=True):
    work: Callable[[sqlite3.Connection], object]
    future: asyncio.Future[Any]


_Job = _Commits | _Work
_Outcome = tuple[asyncio.Future[Any], object]


class Writer:
    """Does what it is given on a thread of its own, and answers on the event loop that made it."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.transactions = 0
        """How many transactions were committed."""
        self._connection: Final = connection
        self._path: Final = path
        self._loop: Final = asyncio.get_running_loop()
        self._queue: Final[SimpleQueue[_Job | None]] = SimpleQueue()
        self._stopped = False
        self._awaited = 0
        self._timer: asyncio.TimerHandle | None = None
        self._group_ended: Final = Event()
        self._finished: Final[asyncio.Future[None]] = self._loop.create_future()
        # A daemon, so that a program which forgets to close still ends. It loses nothing that was answered.
        self._thread: Final = Thread(target=self._run, name="playclock-sqlite", daemon=True)
        self._thread.start()

    def commit(self, commits: Sequence[Commit]) -> asyncio.Future[list[Conflict | None]]:
        """Put the commits into one of the next groups. To cancel the future does not call them back."""
        future: asyncio.Future[list[Conflict | None]] = self._loop.create_future()
        self._give(_Commits(tuple(commits), future))
        return future

    def call(self, work: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Do the work in a transaction of its own."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._give(_Work(work, future))
        return future

    def stop(self) -> None:
        """Take nothing more. What was given is finished. Call it once."""
        with suppress(StoreUnavailable):  # a writer that has stopped need not be told
            self._give(None)

    async def stopped(self) -> None:
        """Return when all is finished and the connection is closed."""
        await asyncio.shield(self._finished)
        self._thread.join()

    def _give(self, job: _Job | None) -> None:
        self._queue.put(job)
        # Asked after the put: whatever was put before the thread stopped is answered by its last act.
        if self._stopped:
            raise StoreUnavailable("the store's writer has stopped")
        self._awaited += 1
        if self._timer is None:
            self._timer = self._loop.call_later(PATIENCE_SECONDS, self._give_way, self.transactions)

    def _give_way(self, transactions: int) -> None:
        """Stand still for a moment, if the writer has got nowhere since the last look.

        The interpreter's lock is not fair. A loop that is never idle, but looks for I/O every few hundred microseconds, takes
        it back each time before the writer has woken up: a group then took 25 seconds instead of 35 milliseconds. To stand
        still slows a loop down whose writer is behind, as it should, and by a third at most.
        """
        self._timer = None
        if self._awaited > 0:
            if self.transactions == transactions:
                self._group_ended.clear()
                self._group_ended.wait(PAUSE_SECONDS)
            self._timer = self._loop.call_later(PATIENCE_SECONDS, self._give_way, self.transactions)

    def _run(self) -> None:
        jobs: list[_Job] = []
        more = True
        try:
            while more:
                jobs, more = self._gather()
                self._answer(self._carry_out(jobs))
                jobs = []
        finally:
            self._stopped = True
            self._connection.close()
            # Something is left over only if a mistake of ours ended the thread: nobody may then wait for ever.
            lost = [(job.future, StoreUnavailable("the store's writer has stopped")) for job in [*jobs, *self._left()]]
            self._answer([*lost, (self._finished, None)])

    def _gather(self) -> tuple[list[_Job], bool]:
        """Wait for a job; return it with those that wait behind it, and whether there can be more."""
        jobs: list[_Job] = []
        size = 0
        job = self._queue.get()
        while job is not None:
            jobs.append(job)
            size += len(job.commits) if isinstance(job, _Commits) else 1
            if size >= MOST_COMMITS:
                return jobs, True
            try:
                job = self._queue.get_nowait()
            except Empty:
                return jobs, True
        return jobs, False

    def _left(self) -> Iterator[_Job]:
        while not self._queue.empty():
            job = self._queue.get()
            if job is not None:
                yield job

    def _carry_out(self, jobs: Sequence[_Job]) -> list[_Outcome]:
        together = [job for job in jobs if isinstance(job, _Commits)]
        outcomes = self._commit(together) if together else []
        for job in jobs:
            if isinstance(job, _Work):
                try:
                    outcomes.append((job.future, self._transact(job.work)))
                except (StoreError, *_UNWRITABLE) as error:
                    outcomes.append((job.future, error))
        return outcomes

    def _commit(self, jobs: Sequence[_Commits]) -> list[_Outcome]:
        commits = [commit for job in jobs for commit in job.commits]
        try:
            answers = iter(self._transact(lambda connection: apply(connection, commits)))
        except StoreError as error:
            # One each: a traceback grows with every await that an exception is raised from.
            return [(job.future, type(error)(*error.args)) for job in jobs]
        except _UNWRITABLE as error:
            # Let only the caller hear of it whose it is.
            if len(jobs) == 1:
                return [(jobs[0].future, error)]
            return [outcome for job in jobs for outcome in self._commit([job])]
        return [(job.future, list(islice(answers, len(job.commits)))) for job in jobs]

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            # IMMEDIATE: versions are read under the lock they are written under, whatever other processes do.
            self._connection.execute("BEGIN IMMEDIATE")
            result = work(self._connection)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise translated(error, self._path) from error
        finally:
            roll_back(self._connection)
        self.transactions += 1
        return result

    def _answer(self, outcomes: Sequence[_Outcome]) -> None:
        # One wake-up of the loop for all of them. A loop that has closed meanwhile has nobody left who waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._settle, outcomes)
        self._group_ended.set()

    def _settle(self, outcomes: Sequence[_Outcome]) -> None:
        self._awaited -= len(outcomes)
        for future, outcome in outcomes:
            if future.done():  # its caller was cancelled
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

"""Load, decide, commit, and again on a conflict.

Decisions of one partition share accounts and seats, so within a process they take turns: whoever finds the partition free
decides at once; those that come meanwhile wait, and then decide one after another on one draft and commit together. Other
processes are met by the versions.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from typing import Any, Final, TypeVar

import msgspec

from playclock.core.outbox import OutboxEvent
from playclock.engine.records import Records
from playclock.engine.work import Draft, Work
from playclock.errors import EngineError, TooMuchContention
from playclock.stores.base import PARTITIONS

ATTEMPTS_MAX: Final = 50
"""How often a turn is taken anew before its callers are told that others are in the way."""
TOGETHER_MAX: Final = 64
"""How many decisions share a commit."""

T = TypeVar("T")
Decision = Callable[[Work], Awaitable[Any]]


class _Job(msgspec.Struct, frozen=True, eq=False):
    now_ms: int
    decision: Decision
    answer: "asyncio.Future[Any] | None" = None
    """Where a caller waits; None for the one who decides at once."""


class _Raised(msgspec.Struct, frozen=True):
    """What a decision raised instead of answering."""

    error: Exception


class _Turn:
    def __init__(self) -> None:
        self.taken = False
        self.waiting: list[_Job] = []


class Turns:
    """Makes decisions and commits them."""

    def __init__(self, records: Records, told: Callable[[Sequence[OutboxEvent]], object] | None = None) -> None:
        """Make decisions on the records; `told` hears what each commit has told, once it is committed. It must not fail."""
        self.listeners: list[Callable[[], object]] = []
        """Called after each commit that told something. They must not fail."""
        self._records = records
        self._told = told
        self._turns = [_Turn() for _ in range(PARTITIONS)]
        self._tasks: set[asyncio.Task[None]] = set()

    async def decide(self, partition: int, now_ms: int, decision: Callable[[Work], Awaitable[T]]) -> T:
        """Make a decision and commit it; make it anew as long as others were faster.

        The decision may run many times, and must tell nobody anything. What it raises is raised, and it alone has then
        written nothing. A caller that is cancelled does not call its decision back. Raises StoreAway, TooMuchContention.
        """
        turn = self._turns[partition]
        if turn.taken:
            job = _Job(now_ms, decision, asyncio.get_running_loop().create_future())
            turn.waiting.append(job)
            assert job.answer is not None
            answer: T = await job.answer
            return answer
        turn.taken = True
        try:
            (outcome,) = await self._take(partition, [_Job(now_ms, decision)])
        finally:
            self._pass_on(turn, partition)
        if isinstance(outcome, _Raised):
            raise outcome.error
        decided: T = outcome
        return decided

    def _pass_on(self, turn: _Turn, partition: int) -> None:
        """Let those that wait take their turn, on a task of their own: no caller of theirs may cancel it."""
        if not turn.waiting:
            turn.taken = False
            return
        task = asyncio.create_task(self._take_all(turn, partition), name=f"playclock turn {partition:02x}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take_all(self, turn: _Turn, partition: int) -> None:
        try:
            while turn.waiting:
                jobs = [job for job in turn.waiting[:TOGETHER_MAX] if job.answer is not None and not job.answer.done()]
                del turn.waiting[:TOGETHER_MAX]
                await self._answer(partition, jobs)
        finally:
            turn.taken = False

    async def _answer(self, partition: int, jobs: Sequence[_Job]) -> None:
        try:
            outcomes = await self._take(partition, jobs)
        except Exception as error:  # noqa: BLE001 - raised to every caller: nobody may wait for ever
            outcomes = [_Raised(copy(error)) for _ in jobs]
        for job, outcome in zip(jobs, outcomes, strict=True):
            if job.answer is None or job.answer.done():
                continue
            if isinstance(outcome, _Raised):
                job.answer.set_exception(outcome.error)
            else:
                job.answer.set_result(outcome)

    async def _take(self, partition: int, jobs: Sequence[_Job]) -> list[Any]:
        """Make the decisions one after another, commit them together, and return what each answered or raised."""
        for attempt in range(ATTEMPTS_MAX):
            # After a conflict nothing remembered is trusted: what else was read may be as old as what conflicted.
            draft = Draft(self._records, partition, fresh=attempt > 0)
            outcomes = [await _decide(draft, job) for job in jobs]
            if any(map(_is_fault, outcomes)) and await draft.is_outdated():
                continue  # an old session beside a new account fits no rule: that is no fault of ours
            commit = draft.commit()
            if commit is None:
                return outcomes
            (conflict,) = await self._records.commit([commit])
            if conflict is None:
                draft.remember()
                if commit.events:
                    if self._told is not None:
                        self._told(draft.told)
                    for listener in self.listeners:
                        listener()
                return outcomes
        raise TooMuchContention("others kept changing the same records")


def _is_fault(outcome: object) -> bool:
    return isinstance(outcome, _Raised) and not isinstance(outcome.error, EngineError)


async def _decide(draft: Draft, job: _Job) -> Any:  # noqa: ANN401 - whatever the decision answers
    work = Work(draft, job.now_ms)
    try:
        answer = await job.decision(work)
    except Exception as error:  # noqa: BLE001 - raised to its own caller; the decisions beside it go on
        return _Raised(error)
    work.finish()
    return answer

"""Heartbeats, one or a thousand at a time: the hot path.

A heartbeat of a session that is remembered, alive and unbilled is one commit and nothing else. All heartbeats of a call are
committed together; each stands for itself.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from playclock.core import moves
from playclock.core import session as core
from playclock.core.answers import Beat, Result
from playclock.core.codec import encode
from playclock.core.grants import Word
from playclock.core.guards import is_kept, no_such_session, why_no_heartbeat
from playclock.core.ids import account_key, is_session_id, partition_in, session_key
from playclock.core.session import Session, State
from playclock.engine.callers import Caller, Role
from playclock.engine.context import Context
from playclock.engine.partners import Partners
from playclock.engine.records import Versioned
from playclock.engine.turns import ATTEMPTS_MAX
from playclock.engine.work import Work
from playclock.errors import BadRequest, EngineError, TooMuchContention
from playclock.stores.base import ABSENT, UNMOVED, Commit, Put

Answer = Beat | EngineError
_UNKNOWN: Final[Versioned] = (ABSENT, None)


class HeartbeatCall(msgspec.Struct, frozen=True, gc=False):
    """Whose heartbeat it is, as the game server has it."""

    session_id: str
    provider_user_id: str


class Heartbeats:
    """Takes heartbeats."""

    def __init__(self, context: Context, partners: Partners) -> None:
        self._context = context
        self._heartbeats = context.counts.heartbeats
        self._partners = partners
        self._interval_sec = -(-context.timers.heartbeat_interval_ms // 1000)

    async def beat(self, caller: Caller, session_id: str, provider_user_id: str) -> Beat:
        """Keep a session alive and bill the time since the last heartbeat.

        Raises BadRequest, SessionNotFound, SessionEnded, SessionEnding, StoreAway, TooMuchContention.
        """
        records, now_ms = self._context.records, self._context.clock.now_ms()
        call = HeartbeatCall(session_id, provider_user_id)
        version, session = records.cached(session_key(session_id)) or _UNKNOWN
        if session is None or not _is_theirs(session, caller, call):
            version, session = (await self._load(caller, (call,)))[session_id]
            if session is None or not _is_theirs(session, caller, call):
                raise self._refuse(call)
        if self._is_plain(session, now_ms):
            after, commit = self._renew(session, version, now_ms)
            (conflict,) = await records.commit((commit,))
            if conflict is None:
                self._heartbeats["OK"] += 1
                return self._accept(after, commit, now_ms)
        (answer,) = await self.beat_many(caller, (call,))
        if isinstance(answer, EngineError):
            raise answer
        return answer

    async def beat_many(self, caller: Caller, calls: Sequence[HeartbeatCall]) -> list[Answer]:
        """Take many heartbeats and answer each as `beat` would. Raises StoreAway."""
        now_ms = self._context.clock.now_ms()
        answers: list[Answer | None] = [None] * len(calls)
        waiting = list(range(len(calls)))
        for _ in range(ATTEMPTS_MAX):
            waiting = await self._attempt(caller, calls, waiting, answers, now_ms)
            if not waiting:
                break
        busy = TooMuchContention("others kept changing the same records")
        if waiting:
            self._context.counts.beat(busy.reason, len(waiting))
        return [busy if answer is None else answer for answer in answers]

    async def _attempt(
        self, caller: Caller, calls: Sequence[HeartbeatCall], waiting: list[int], answers: list[Answer | None], now_ms: int
    ) -> list[int]:
        """Try the heartbeats that wait for an answer; return those that met a conflict."""
        sessions = await self._load(caller, [calls[index] for index in waiting])
        renewals: list[tuple[int, Session, Commit]] = []
        turns: dict[int, list[int]] = {}
        for index in waiting:
            call = calls[index]
            version, session = sessions[call.session_id]
            if session is None or not _is_theirs(session, caller, call):
                answers[index] = self._refuse(call)
            elif self._is_plain(session, now_ms):
                after, commit = self._renew(session, version, now_ms)
                renewals.append((index, after, commit))
                # A second heartbeat of one session follows the first: commits of one call are applied in order.
                sessions[call.session_id] = (version + 1, after)
            else:
                turns.setdefault(partition_in(call.session_id), []).append(index)
        again: list[int] = []
        if renewals:
            conflicts = await self._context.records.commit([commit for _, _, commit in renewals])
            for (index, after, commit), conflict in zip(renewals, conflicts, strict=True):
                if conflict is None:
                    answers[index] = self._accept(after, commit, now_ms)
                else:
                    again.append(index)
            self._heartbeats["OK"] += len(renewals) - len(again)
        for those, theirs in zip(turns.values(), await self._take_turns(turns, calls, sessions, now_ms), strict=True):
            for index, answer in zip(those, theirs, strict=True):
                answers[index] = answer
                self._context.counts.beat(answer.result.name if isinstance(answer, Beat) else answer.reason)
        return again

    def _refuse(self, call: HeartbeatCall) -> EngineError:
        """Count a heartbeat of no session of the caller's, and return what it is told."""
        error = _refusal_of(call)
        self._context.counts.beat(error.reason)
        return error

    async def _load(self, caller: Caller, calls: Iterable[HeartbeatCall]) -> dict[str, Versioned]:
        """Return each session with its version, from memory where it is there.

        Others' sessions are read from the store all the same, as unknown ones are: else the time would tell which there are.
        """
        records, found, missing = self._context.records, dict[str, Versioned](), dict[str, None]()
        for call in calls:
            session_id = call.session_id
            if session_id not in found:
                found[session_id] = records.cached(session_key(session_id)) or _UNKNOWN
            session = found[session_id][1]
            if is_session_id(session_id) and (session is None or not _is_theirs(session, caller, call)):
                missing[session_id] = None
        if missing:
            loaded = await records.load([session_key(session_id) for session_id in missing], fresh=True)
            found.update(zip(missing, loaded, strict=True))
        return found

    def _is_plain(self, session: Session, now_ms: int) -> bool:
        """Whether the heartbeat changes nothing but the session's own record."""
        return (
            now_ms < session.deadline_ms
            and session.charge is None
            and session.grant is None
            and session.state is State.ACTIVE
            and not self._context.outages
        )

    def _renew(self, session: Session, version: int, now_ms: int) -> tuple[Session, Commit]:
        """Return the session after a plain heartbeat, and the commit that makes it so."""
        after = moves.heartbeat(session, free_micros=0, now_ms=now_ms, timers=self._context.timers)
        due_ms = UNMOVED if after.due_ms == session.due_ms else after.due_ms
        put = Put(key=session_key(session.id), expect=version, data=encode(after), due_ms=due_ms)
        return after, Commit(partition=partition_in(session.id), puts=(put,))

    def _accept(self, after: Session, commit: Commit, now_ms: int) -> Beat:
        """Remember a plain heartbeat that is committed, and return its answer."""
        (put,) = commit.puts
        self._context.records.remember(put.key, put.expect + 1, after)
        return Beat(Result.OK, self._interval_sec, (now_ms - after.started_ms) // 1000)

    async def _take_turns(
        self, turns: Mapping[int, list[int]], calls: Sequence[HeartbeatCall], sessions: Mapping[str, Versioned], now_ms: int
    ) -> Sequence[Sequence[Answer]]:
        """Take the heartbeats that are more than their session's own record, each partition's together."""
        ids = {partition: [calls[index].session_id for index in those] for partition, those in turns.items()}
        words: Mapping[str, Word] = {}
        if self._context.estate.providers:
            # Before any decision: a partner takes its time, and others of the partition need not wait for it.
            unpaid = {each: sessions[each][1] for those in ids.values() for each in those}
            words = await self._partners.renew(unpaid.values(), now_ms)
        taken = [self._take_turn(partition, those, words, now_ms) for partition, those in ids.items()]
        return [await taken[0]] if len(taken) == 1 else await asyncio.gather(*taken)

    async def _take_turn(
        self, partition: int, session_ids: Sequence[str], words: Mapping[str, Word], now_ms: int
    ) -> Sequence[Answer]:
        """Take the heartbeats of one partition that also move accounts or end sessions, in one commit."""

        async def decision(work: Work) -> list[Answer]:
            return [await self._beat(work, session_id, words.get(session_id)) for session_id in session_ids]

        try:
            return await self._context.turns.decide(partition, now_ms, decision)
        except TooMuchContention as error:
            return [error] * len(session_ids)  # the heartbeats of other partitions have been taken, and are answered

    async def _beat(self, work: Work, session_id: str, word: Word | None) -> Answer:
        context, timers = self._context, self._context.timers
        session = await context.read_session(work, session_id)
        if session is None or not is_kept(
            core.gone_ms(session), now_ms=work.now_ms, retention_ms=timers.tombstone_retention_ms
        ):
            return no_such_session()
        error = why_no_heartbeat(session, work.now_ms)
        if error is not None:
            return error
        if not core.is_live(session):
            return Beat(Result.SESSION_REPLACED, 0, core.play_duration_sec(session, work.now_ms))
        free_micros = 0
        if session.charge is not None:
            key = account_key(session.charge.account_id)
            # Where credit was short, a top-up that another process booked must be seen now: nothing may be written to the
            # account, so an old copy would not be noticed at the commit, and the session would end in spite of the money.
            short = session.paid_until_ms is not None and session.paid_until_ms < session.lease_until_ms
            await work.prefetch(key, fresh=short)
            account = await context.read_account(work, session.charge.account_id)
            free_micros = 0 if account is None else account.free_micros
        beaten = moves.heartbeat(session, free_micros=free_micros, now_ms=work.now_ms, timers=timers, word=word)
        # After an outage a lease costs no more than what was held, however long it is: the credit may be used up right now.
        steps = [beaten, *moves.advance(beaten, now_ms=work.now_ms, timers=timers)]
        after = await context.save_session(work, session, steps)
        wait_sec = core.next_heartbeat_sec(after, work.now_ms, timers)
        play_sec = core.play_duration_sec(after, work.now_ms)
        if after.state is State.EXHAUSTED:
            grace_sec = -(-(core.grace_until_ms(after, timers) - work.now_ms) // 1000)
            return Beat(Result.CHARGE_EXHAUSTED, wait_sec, play_sec, grace_sec)
        return Beat(Result.OK, wait_sec, play_sec)


def _is_theirs(session: Session, caller: Caller, call: HeartbeatCall) -> bool:
    # The id too: another spelling of it leads to the same record.
    return (
        session.id == call.session_id
        and session.provider_user_id == call.provider_user_id
        and (caller.role is not Role.GAME or session.game_id == caller.id)
    )


def _refusal_of(call: HeartbeatCall) -> EngineError:
    violations = {}
    if not is_session_id(call.session_id):
        violations["game_session_id"] = "expected gs_ and a lower-case UUID"
    if not call.provider_user_id:
        violations["provider_user_id"] = "is required"
    return BadRequest(violations) if violations else no_such_session()

"""The game server's side of a session, but for heartbeats: it is opened, it ends once, and it can be looked at."""

from typing import Final

import msgspec

from playclock.core import moves
from playclock.core import session as core
from playclock.core.answers import Opened, Refused
from playclock.core.guards import is_kept, no_such_session, why_no_end
from playclock.core.ids import (
    is_session_id,
    partition_in,
    server_key,
    session_key,
)
from playclock.core.session import Event, Session
from playclock.engine.audit import audit
from playclock.engine.callers import Caller
from playclock.engine.context import Context
from playclock.engine.opening import Opening
from playclock.engine.partners import Partners
from playclock.engine.records import SESSIONS
from playclock.engine.work import Work
from playclock.errors import BadRequest, EngineError
from playclock.stores.base import PARTITIONS

_OPEN_ANSWER: Final = msgspec.msgpack.Decoder(Opened | Refused)


class Sessions:
    """What a game server, or an operator, can ask of a session, but for heartbeats."""

    def __init__(self, context: Context, partners: Partners) -> None:
        self._context = context
        self.open: Final = Opening(context, partners).open
        """Redeems an OTT: see `Opening.open`."""

    async def end(self, caller: Caller, session_id: str, *, client_play_duration_sec: int | None) -> Session:
        """End a live session. Raises BadRequest, SessionNotFound, AlreadyEnded, StoreAway, TooMuchContention."""
        return await self._end(caller, "EndSession", session_id, Event.END, client_play_duration_sec)

    async def terminate(self, caller: Caller, session_id: str) -> Session:
        """End a live session by an operator's decision. Raises as `end` does."""
        return await self._end(caller, "TerminateSession", session_id, Event.TERMINATE, None)

    async def end_of_server(self, caller: Caller, game_id: str, server_id: str) -> list[str]:
        """End all live sessions of a game server that has restarted, and return their ids."""
        context, ended = self._context, []
        keys = [server_key(partition, game_id, server_id) for partition in range(PARTITIONS)]
        for _, listed in await context.records.load(keys, fresh=True):
            for session_id in listed.session_ids if listed else ():

                async def decision(work: Work, session_id: str = session_id) -> bool:
                    session = await context.read_session(work, session_id)
                    if session is None or not core.is_live(session):
                        return False
                    await context.move_session(work, session, Event.RESTART)
                    audit(context, work, caller, "EndSessionsOfServer", session_id, detail=server_id)
                    return True

                if await context.turns.decide(partition_in(session_id), context.clock.now_ms(), decision):
                    ended.append(session_id)
        return ended

    async def get(self, caller: Caller, session_id: str) -> Session:
        """Return a session as it stands now. Raises BadRequest, SessionNotFound, StoreAway."""
        context, now_ms = self._context, self._context.clock.now_ms()
        _check_id(session_id)
        ((_, found),) = await context.records.load([session_key(session_id)], fresh=True)
        if found is None:
            raise no_such_session()
        session = SESSIONS.checked(found)
        steps = moves.advance(session, now_ms=now_ms, timers=context.timers, outages=context.outages)
        session = steps[-1] if steps else session
        if not _is_theirs(caller, session) or not self._is_kept(session, now_ms):
            raise no_such_session()
        return session

    async def _end(self, caller: Caller, action: str, session_id: str, event: Event, client_sec: int | None) -> Session:
        context = self._context
        _check_id(session_id)

        async def decision(work: Work) -> Session | EngineError:
            key = session_key(session_id)
            was_remembered = context.records.cached(key) is not None
            there = await work.read(SESSIONS, key)
            if there is None or not _is_theirs(caller, there):
                # A stranger's call does no bookkeeping, and asks the store as one for an unknown session does: else its time
                # would tell that there is something.
                if was_remembered:
                    await work.prefetch(key, fresh=True)
                return no_such_session()
            session = await context.read_session(work, session_id)
            assert session is not None, "it was there"
            if not self._is_kept(session, work.now_ms):
                return no_such_session()
            error = why_no_end(session, work.now_ms)
            if error is not None:
                return error
            counted = msgspec.structs.replace(session, client_play_duration_sec=client_sec)
            audit(context, work, caller, action, session_id)
            return await context.move_session(work, counted, event)

        answer = await context.turns.decide(partition_in(session_id), context.clock.now_ms(), decision)
        if isinstance(answer, EngineError):
            raise answer
        return answer

    def _is_kept(self, session: Session, now_ms: int) -> bool:
        """Whether the session is still remembered: what is forgotten is as unknown as what never was."""
        return is_kept(core.gone_ms(session), now_ms=now_ms, retention_ms=self._context.timers.tombstone_retention_ms)


def _is_theirs(caller: Caller, session: Session) -> bool:
    return caller.game_id is None or session.game_id == caller.game_id


def _check_id(session_id: str) -> None:
    if not is_session_id(session_id):
        raise BadRequest({"game_session_id": "expected gs_ and a lower-case UUID"})

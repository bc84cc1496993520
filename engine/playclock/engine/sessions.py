"""The game server's side: an OTT becomes a session, heartbeats keep it alive, and it ends once."""

from typing import Final

import msgspec

from playclock.core import launch as launches
from playclock.core import moves
from playclock.core import ott as otts
from playclock.core import session as core
from playclock.core.answers import Opened, Refused
from playclock.core.charge import Charge
from playclock.core.guards import is_kept, no_such_session, why_no_end
from playclock.core.ids import (
    SESSION_PREFIX,
    account_key,
    answer_key,
    is_session_id,
    is_uuid,
    launch_key,
    ott_key,
    partition_in,
    seat_key,
    server_key,
    session_key,
)
from playclock.core.launch import Launch, Seat
from playclock.core.ott import Ott, Refusal
from playclock.core.records import Answer
from playclock.core.session import Event, Session
from playclock.engine import requests
from playclock.engine.callers import OPERATOR, Caller
from playclock.engine.context import Context
from playclock.engine.records import ACCOUNTS, ANSWERS, LAUNCHES, OTTS, SEATS, SESSIONS
from playclock.engine.work import Work
from playclock.errors import BadRequest, EngineError, TooMuchContention
from playclock.stores.base import PARTITIONS, UNMOVED

_OPEN_ANSWER: Final = msgspec.msgpack.Decoder(Opened | Refused)


class Sessions:
    """What a game server, or an operator, can ask of a session, but for heartbeats."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def open(
        self, caller: Caller, *, ott: str, provider_user_id: str, request_id: str = "", server_id: str = ""
    ) -> Opened | Refused:
        """Redeem an OTT into a session. A refusal is an answer, and leaves the OTT as it was but for the count.

        Raises BadRequest, RequestIdReused, StoreAway, TooMuchContention.
        """
        if not is_uuid(ott):
            raise BadRequest({"ott": "expected a lower-case UUID"})
        now_ms = self._context.clock.now_ms()
        if request_id:
            await requests.claim(self._context, caller, request_id, (ott, provider_user_id, server_id))
        partition = partition_in(ott)
        answers_at = answer_key(partition, requests.name_of(caller), request_id) if request_id else None

        async def decision(work: Work) -> Opened | Refused:
            if answers_at is not None:
                first = await work.read(ANSWERS, answers_at)
                if first is not None:
                    answer: Opened | Refused = _OPEN_ANSWER.decode(first.data)
                    return answer
            answer = await self._open(work, caller, ott, provider_user_id, server_id)
            if answers_at is not None:
                retain_until_ms = now_ms + self._context.timers.tombstone_retention_ms
                work.write(answers_at, Answer(msgspec.msgpack.encode(answer)), retain_until_ms=retain_until_ms)
            return answer

        return await self._context.turns.decide(partition, now_ms, decision)

    async def end(self, caller: Caller, session_id: str, *, client_play_duration_sec: int | None) -> Session:
        """End a live session. Raises BadRequest, SessionNotFound, AlreadyEnded, StoreAway, TooMuchContention."""
        return await self._end(caller, session_id, Event.END, client_play_duration_sec)

    async def terminate(self, session_id: str) -> Session:
        """End a live session by an operator's decision. Raises as `end` does."""
        return await self._end(OPERATOR, session_id, Event.TERMINATE, None)

    async def end_of_server(self, game_id: str, server_id: str) -> list[str]:
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

    async def _end(self, caller: Caller, session_id: str, event: Event, client_sec: int | None) -> Session:
        context = self._context
        _check_id(session_id)

        async def decision(work: Work) -> Session | EngineError:
            session = await context.read_session(work, session_id)
            if session is None or not _is_theirs(caller, session):
                work.discard()  # a stranger's call does no bookkeeping, or its time would tell that there is something
                return no_such_session()
            if not self._is_kept(session, work.now_ms):
                return no_such_session()
            error = why_no_end(session, work.now_ms)
            if error is not None:
                return error
            counted = msgspec.structs.replace(session, client_play_duration_sec=client_sec)
            return await context.move_session(work, counted, event)

        answer = await context.turns.decide(partition_in(session_id), context.clock.now_ms(), decision)
        if isinstance(answer, EngineError):
            raise answer
        return answer

    def _is_kept(self, session: Session, now_ms: int) -> bool:
        """Whether the session is still remembered: what is forgotten is as unknown as what never was."""
        return is_kept(session.ended_ms, now_ms=now_ms, retention_ms=self._context.timers.tombstone_retention_ms)

    async def _open(self, work: Work, caller: Caller, ott: str, provider_user_id: str, server_id: str) -> Opened | Refused:
        context, timers = self._context, self._context.timers
        # Afresh: another process may have redeemed it, and "expired" is an answer that no commit would check.
        await work.prefetch(ott_key(ott), fresh=True)
        token = await work.read(OTTS, ott_key(ott))
        if token is None or not is_kept(token.expires_ms, now_ms=work.now_ms, retention_ms=timers.tombstone_retention_ms):
            return Refused(Refusal.EXPIRED)
        refusal = otts.refusal(token, game_id=caller.game_id, provider_user_id=provider_user_id, now_ms=work.now_ms)
        if refusal in (Refusal.EXPIRED, Refusal.ALREADY_USED):
            return Refused(refusal)
        if refusal is not None:
            return self._refuse(work, ott, token, refusal)
        await work.prefetch(launch_key(token.launch_id), fresh=True)
        launch = await work.read(LAUNCHES, launch_key(token.launch_id))
        if launch is None:
            return Refused(Refusal.EXPIRED)
        launch = launches.advance(launch, now_ms=work.now_ms, timers=timers, outages=context.outages)
        if not launches.is_live(launch):
            return Refused(Refusal.EXPIRED)
        session = await self._replace(work, launch, token, provider_user_id, server_id)
        if session is None:
            work.discard()
            return self._refuse(work, ott, token, Refusal.NOT_CHARGEABLE)
        work.write(
            ott_key(ott), otts.redeem(token, session.id), retain_until_ms=token.expires_ms + timers.tombstone_retention_ms
        )
        wait_sec = core.next_heartbeat_sec(session, work.now_ms, timers)
        return Opened(session.id, is_pc_cafe=True, next_heartbeat_sec=wait_sec)

    def _refuse(self, work: Work, ott: str, token: Ott, refusal: Refusal) -> Refused:
        retain_until_ms = token.expires_ms + self._context.timers.tombstone_retention_ms
        work.write(ott_key(ott), otts.count_refusal(token), retain_until_ms=retain_until_ms)
        return Refused(refusal)

    async def _replace(self, work: Work, launch: Launch, token: Ott, provider_user_id: str, server_id: str) -> Session | None:
        """End what runs on the launch's PC and open a session there; None where the account cannot pay for it."""
        context = self._context
        key = seat_key(work.partition, launch.cafe_id, launch.pc_id)
        await work.prefetch(key, *([account_key(launch.account_id)] if launch.account_id else []), fresh=True)
        seat = await work.read(SEATS, key)
        if seat is not None and seat.session_id is not None:
            await work.prefetch(session_key(seat.session_id), fresh=True)
            old = await context.read_session(work, seat.session_id)
            if old is not None and core.is_live(old):
                await context.move_session(work, old, Event.REPLACE)
        charge, free_micros = await self._charge(work, launch)
        session = moves.open_session(
            id=SESSION_PREFIX + context.new_uuid(work.partition),
            game_id=token.game_id,
            provider_user_id=provider_user_id,
            launch_id=launch.id,
            cafe_id=launch.cafe_id,
            pc_id=launch.pc_id,
            server_id=server_id,
            launcher_until_ms=launch.lease_until_ms,
            charge=charge,
            free_micros=free_micros,
            now_ms=work.now_ms,
            timers=context.timers,
        )
        if session is None:
            return None
        await context.create_session(work, session)
        work.write(key, Seat(launch.id, session.id))
        # Written as it was: a launcher that renews or ends its launch meanwhile must conflict, or the session would not hear.
        work.write(launch_key(launch.id), launch, due_ms=UNMOVED)
        return session

    async def _charge(self, work: Work, launch: Launch) -> tuple[Charge | None, int]:
        """Return who pays which price for a session of the launch, holding nothing yet, and what can be set aside."""
        if launch.account_id is None or launch.tariff_id is None:
            return None, 0
        account = await work.read(ACCOUNTS, account_key(launch.account_id))
        free_micros = 0 if account is None else account.free_micros
        tariff = self._context.estate.tariffs.get(launch.tariff_id)
        if tariff is None:
            raise TooMuchContention("the tariff is so new that this process has not read it yet")
        return Charge(launch.account_id, tariff, billed_micros=0, held_micros=0), free_micros


def _is_theirs(caller: Caller, session: Session) -> bool:
    return caller.game_id is None or session.game_id == caller.game_id


def _check_id(session_id: str) -> None:
    if not is_session_id(session_id):
        raise BadRequest({"game_session_id": "expected gs_ and a lower-case UUID"})

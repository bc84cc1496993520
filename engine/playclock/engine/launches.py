"""The launcher's side: a launch starts, stays alive, asks for OTTs and ends."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from playclock.core import launch as core
from playclock.core import moves
from playclock.core import ott as otts
from playclock.core import session as sessions
from playclock.core.answers import Result
from playclock.core.estate import Cafe
from playclock.core.guards import is_kept, no_such_launch, why_no_launch
from playclock.core.ids import LAUNCH_PREFIX, is_launch_id, launch_key, ott_key, partition_in, seat_key
from playclock.core.launch import Launch, Seat
from playclock.core.session import EndReason, Event
from playclock.engine.audit import audit
from playclock.engine.callers import Caller, Role
from playclock.engine.context import Context
from playclock.engine.partners import Partners
from playclock.engine.records import LAUNCHES, SEATS
from playclock.engine.work import Work
from playclock.errors import BadRequest, EngineError, GameNotFound, NotPcCafe
from playclock.stores.base import UNMOVED

T = TypeVar("T")


class Started(msgspec.Struct, frozen=True, gc=False):
    """A launch that has just started, and where."""

    launch: Launch
    cafe: Cafe


class Launches:
    """What a launcher can ask for. Every call that it makes is a sign of life."""

    def __init__(self, context: Context, partners: Partners) -> None:
        self._context = context
        self._partners = partners

    async def start(self, caller: Caller, *, pc_id: str, internal_ip: str, external_ip: str, hardware: bytes) -> Started:
        """Start a launch on a PC of the cafe to which the address belongs, in place of one that is alive there.

        A game session that is alive on the PC goes on under the new launch: a launcher that crashed and came back does not
        cost the player the game. Raises NotPcCafe, AuthorityAway.
        """
        context = self._context
        cafe = context.estate.cafe_at(external_ip) or await self._partners.cafe_at(external_ip)
        now_ms = context.clock.now_ms()
        if cafe is None:
            raise NotPcCafe("the address belongs to no PC cafe")
        launch = Launch(
            id=LAUNCH_PREFIX + context.new_uuid(cafe.partition),
            launcher_id=caller.id if caller.role is Role.LAUNCHER else "",
            cafe_id=cafe.id,
            account_id=cafe.account_id,
            tariff_id=cafe.tariff_id,
            pc_id=pc_id,
            internal_ip=internal_ip,
            external_ip=external_ip,
            hardware=hardware,
            started_ms=now_ms,
            lease_until_ms=now_ms + context.timers.launcher_ttl_ms,
            outage_seen_ms=now_ms,
            provider_id=cafe.provider_id,
        )

        async def decision(work: Work) -> None:
            key = seat_key(work.partition, cafe.id, pc_id)
            seat = await work.read(SEATS, key)
            if seat is not None:
                old = await self._read(work, seat.launch_id)
                if old is not None and core.is_live(old):
                    self._write_ended(work, core.end(old, EndReason.REPLACED, at_ms=now_ms))
            session_id = None if seat is None else await self._hear(work, seat, launch)
            work.write(key, Seat(launch.id, session_id))
            work.write(launch_key(launch.id), launch, due_ms=launch.lease_until_ms)
            audit(context, work, caller, "StartLaunch", _place(launch))

        await context.turns.decide(cafe.partition, now_ms, decision)
        return Started(launch, cafe)

    async def heartbeat(self, caller: Caller, launch_id: str) -> Result:
        """Keep a launch alive, and with it the game session on its PC. Raises LaunchNotFound, LaunchEnded."""

        async def decision(work: Work) -> Result | EngineError:
            launch = await self._read_own(work, caller, launch_id)
            if launch.end_reason is EndReason.REPLACED:
                return Result.SESSION_REPLACED
            error = why_no_launch(launch)
            if error is not None:
                return error
            await self._renew(work, launch)
            return Result.OK

        answer = await self._decide(launch_id, decision)
        if isinstance(answer, EngineError):
            raise answer
        return answer

    async def end(self, caller: Caller, launch_id: str) -> str | None:
        """End a launch and the game session on its PC; return that session's id. Raises LaunchNotFound, LaunchEnded."""
        context = self._context

        async def decision(work: Work) -> EngineError | str | None:
            launch = await self._read_own(work, caller, launch_id)
            error = why_no_launch(launch)
            if error is not None:
                return error
            ended = core.end(launch, EndReason.CLIENT_END, at_ms=work.now_ms)
            self._write_ended(work, ended)
            audit(context, work, caller, "EndLaunch", _place(launch))
            seat = await self._seat(work, ended)
            if seat is None or seat.session_id is None:
                return None
            session = await context.read_session(work, seat.session_id)
            if session is None or not sessions.is_live(session):
                return None
            await context.move_session(work, session, Event.END)
            return session.id

        answer = await self._decide(launch_id, decision)
        if isinstance(answer, EngineError):
            raise answer
        return answer

    async def issue_ott(self, caller: Caller, launch_id: str, *, game_id: str, provider_user_id: str | None) -> str:
        """Issue an OTT for a game, bound to a player if one is named. Raises LaunchNotFound, LaunchEnded, GameNotFound."""
        context = self._context
        _check_id(launch_id)
        ott = context.new_uuid(partition_in(launch_id))

        async def decision(work: Work) -> EngineError | None:
            launch = await self._read_own(work, caller, launch_id)
            error = why_no_launch(launch)
            if error is not None:
                return error
            if context.catalog.open_to_players(game_id) is None:
                return GameNotFound("no such game", game_id=game_id)
            await self._renew(work, launch)
            record = otts.issue(
                launch.id,
                game_id,
                provider_user_id,
                expires_ms=work.now_ms + context.timers.ott_ttl_ms,
                epoch=await work.epoch(),
            )
            retain_until_ms = record.expires_ms + context.timers.tombstone_retention_ms
            work.write(ott_key(ott), record, retain_until_ms=retain_until_ms)
            audit(context, work, caller, "IssueOtt", _place(launch), detail=f"game/{game_id}")
            return None

        error = await self._decide(launch_id, decision)
        if error is not None:
            raise error
        return ott

    async def sweep(self, work: Work, key: str) -> None:
        """Do the bookkeeping of a launch whose time has come: end it, or file it anew."""
        launch = await work.read(LAUNCHES, key)
        if launch is None or not core.is_live(launch):
            return
        advanced = self._advance(work, launch)
        if core.is_live(advanced):
            work.write(key, advanced, due_ms=advanced.lease_until_ms)
        else:
            await self._seat(work, advanced)
            self._write_ended(work, advanced)

    async def _decide(self, launch_id: str, decision: Callable[[Work], Awaitable[T]]) -> T:
        _check_id(launch_id)
        return await self._context.turns.decide(partition_in(launch_id), self._context.clock.now_ms(), decision)

    async def _read(self, work: Work, launch_id: str) -> Launch | None:
        """Return the launch as time has it now, if it is still remembered."""
        key = launch_key(launch_id)
        launch = await work.read(LAUNCHES, key)
        if launch is not None and core.is_live(launch) and not core.is_live(self._advance(work, launch)):
            # Another process may have heard the launcher since, and a refusal is no commit that would meet a conflict.
            await work.prefetch(key, fresh=True)
            launch = await work.read(LAUNCHES, key)
        if launch is None:
            return None
        retention_ms = self._context.timers.tombstone_retention_ms
        if not is_kept(launch.ended_ms, now_ms=work.now_ms, retention_ms=retention_ms):
            return None
        return self._advance(work, launch)

    async def _read_own(self, work: Work, caller: Caller, launch_id: str) -> Launch:
        """Return a launch that the caller may use.

        Raises LaunchNotFound for another launcher's, or an agent's, as for an unknown one.
        """
        launch = await self._read(work, launch_id)
        is_others = caller.role is Role.LAUNCHER and launch is not None and launch.launcher_id != caller.id
        if launch is None or launch.agent is not None or is_others:
            raise no_such_launch()
        return launch

    def _advance(self, work: Work, launch: Launch) -> Launch:
        context = self._context
        return core.advance(launch, now_ms=work.now_ms, timers=context.timers, outages=context.outages)

    async def _seat(self, work: Work, launch: Launch) -> Seat | None:
        """Return the launch's seat, if it still sits on it.

        Read afresh: another process may have opened a session there, and an old copy would not be noticed at the commit.
        """
        key = core.seat_key_of(launch, work.partition)
        await work.prefetch(key, fresh=True)
        seat = await work.read(SEATS, key)
        if seat is None or seat.launch_id != launch.id:
            return None
        if not core.is_live(launch):
            work.write(key, seat, retain_until_ms=work.now_ms + self._context.timers.tombstone_retention_ms)
        return seat

    async def _renew(self, work: Work, launch: Launch) -> None:
        """Take the call as a sign of life, and let the session on the PC hear of it."""
        renewed = core.renew(launch, now_ms=work.now_ms, timers=self._context.timers)
        seat = await self._seat(work, launch)
        if seat is not None:
            await self._hear(work, seat, renewed)
        work.write(launch_key(launch.id), renewed, due_ms=UNMOVED)

    async def _hear(self, work: Work, seat: Seat, launch: Launch) -> str | None:
        """Let the live session on a seat hear that its launcher lives; return its id, or None where none is alive."""
        if seat.session_id is None:
            return None
        session = await self._context.read_session(work, seat.session_id)
        if session is None or not sessions.is_live(session):
            return None
        heard = moves.hear_launcher(
            session, launch_id=launch.id, launcher_until_ms=launch.lease_until_ms, timers=self._context.timers
        )
        await self._context.save_session(work, session, [heard])
        return session.id

    def _write_ended(self, work: Work, launch: Launch) -> None:
        retain_until_ms = work.now_ms + self._context.timers.tombstone_retention_ms
        work.write(launch_key(launch.id), launch, retain_until_ms=retain_until_ms)


def _place(launch: Launch) -> str:
    """Return where a launch is. Its id is a launcher's token, which nobody needs to read in an audit trail."""
    return f"{launch.cafe_id}/{launch.pc_id}"


def _check_id(launch_id: str) -> None:
    if not is_launch_id(launch_id):
        raise BadRequest({"session_token": "expected ls_ and a lower-case UUID"})

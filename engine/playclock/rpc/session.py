"""SessionService: messages to the engine and back."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

from playclock.core import session as core
from playclock.core.answers import Beat, Opened, Result
from playclock.core.fields import SECONDS_MAX, SERVER_ID_MAX, USER_ID_MAX, request_id_problem, text_problem
from playclock.core.ids import is_uuid
from playclock.core.ott import Refusal
from playclock.core.player import read_attributes
from playclock.engine import Engine
from playclock.engine.heartbeats import HeartbeatCall
from playclock.errors import EngineError
from playclock.rpc.call import Call
from playclock.rpc.fields import check
from playclock.rpc.messages import event_message, session_message
from playclock.rpc.status import CODES
from playclock.v1.error_reason_pb2 import ErrorReason
from playclock.v1.session_service_pb2 import (
    BatchHeartbeatRequest,
    BatchHeartbeatResponse,
    EndSessionRequest,
    EndSessionResponse,
    EndSessionsOfServerRequest,
    EndSessionsOfServerResponse,
    GetSessionRequest,
    GetSessionResponse,
    HeartbeatError,
    HeartbeatRequest,
    HeartbeatResponse,
    HeartbeatResult,
    ListSessionsRequest,
    ListSessionsResponse,
    OpenSessionRequest,
    OpenSessionResponse,
    TerminateSessionRequest,
    TerminateSessionResponse,
    WatchSessionsRequest,
    WatchSessionsResponse,
)

BATCH_MAX: Final = 1_000

_REFUSALS: Final = {
    Refusal.EXPIRED: OpenSessionResponse.REASON_OTT_EXPIRED,
    Refusal.ALREADY_USED: OpenSessionResponse.REASON_OTT_ALREADY_USED,
    Refusal.GAME_MISMATCH: OpenSessionResponse.REASON_GAME_MISMATCH,
    Refusal.NOT_CHARGEABLE: OpenSessionResponse.REASON_NOT_CHARGEABLE,
    Refusal.USER_MISMATCH: OpenSessionResponse.REASON_USER_MISMATCH,
}
_RESULTS: Final = {
    Result.OK: HeartbeatResponse.RESULT_OK,
    Result.CHARGE_EXHAUSTED: HeartbeatResponse.RESULT_CHARGE_EXHAUSTED,
    Result.SESSION_REPLACED: HeartbeatResponse.RESULT_SESSION_REPLACED,
}


class SessionServicer:
    """Translates for game servers and operators."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def OpenSession(self, request: OpenSessionRequest, call: Call) -> OpenSessionResponse:
        """Redeem an OTT."""
        check(
            ott=None if is_uuid(request.ott) else "expected a lower-case UUID",
            provider_user_id=text_problem(request.provider_user_id, USER_ID_MAX),
            request_id=request_id_problem(request.request_id),
            server_id=text_problem(request.server_id, SERVER_ID_MAX, required=False),
        )
        answer = await self._engine.sessions.open(
            call.caller,
            ott=request.ott,
            provider_user_id=request.provider_user_id,
            request_id=request.request_id,
            server_id=request.server_id,
            home=call.home,
        )
        if isinstance(answer, Opened):
            return OpenSessionResponse(
                is_valid=True,
                game_session_id=answer.session_id,
                is_pc_cafe=answer.is_pc_cafe,
                next_heartbeat_in=answer.next_heartbeat_sec,
                attributes=read_attributes(answer.attributes),
            )
        return OpenSessionResponse(is_valid=False, reason=_REFUSALS[answer.refusal])

    async def Heartbeat(self, request: HeartbeatRequest, call: Call) -> HeartbeatResponse:
        """Keep a session alive."""
        return _beat(await self._engine.heartbeats.beat(call.caller, request.game_session_id, request.provider_user_id))

    async def BatchHeartbeat(self, request: BatchHeartbeatRequest, call: Call) -> BatchHeartbeatResponse:
        """Keep many sessions alive."""
        beats = request.heartbeats
        check(heartbeats=f"at most {BATCH_MAX} at a time" if len(beats) > BATCH_MAX else None)
        calls = [HeartbeatCall(beat.game_session_id, beat.provider_user_id) for beat in beats]
        answers = await self._engine.heartbeats.beat_many(call.caller, calls)
        return BatchHeartbeatResponse(results=[_result(answer) for answer in answers])

    async def EndSession(self, request: EndSessionRequest, call: Call) -> EndSessionResponse:
        """End a session."""
        counted_sec = request.play_duration_sec if request.HasField("play_duration_sec") else None
        check(play_duration_sec=_seconds_problem(counted_sec))
        session = await self._engine.sessions.end(call.caller, request.game_session_id, client_play_duration_sec=counted_sec)
        now_ms = self._engine.clock.now_ms()
        return EndSessionResponse(
            play_duration_sec=core.play_duration_sec(session, now_ms),
            client_play_duration_sec=counted_sec,
            session=session_message(session, now_ms),
        )

    async def EndSessionsOfServer(self, request: EndSessionsOfServerRequest, call: Call) -> EndSessionsOfServerResponse:
        """End the sessions of a game server that has restarted."""
        game_id = call.caller.game_id or request.game_id
        check(
            server_id=text_problem(request.server_id, SERVER_ID_MAX),
            game_id=None if game_id else "is required of operators and services",
        )
        ended = await self._engine.sessions.end_of_server(call.caller, game_id, request.server_id)
        return EndSessionsOfServerResponse(game_session_ids=ended)

    async def GetSession(self, request: GetSessionRequest, call: Call) -> GetSessionResponse:
        """Show a session."""
        session = await self._engine.sessions.get(call.caller, request.game_session_id)
        return GetSessionResponse(session=session_message(session, self._engine.clock.now_ms()))

    async def ListSessions(self, request: ListSessionsRequest, call: Call) -> ListSessionsResponse:
        """List live sessions."""
        sessions, next_page_token = await self._engine.listing.page(
            call.caller,
            page_size=request.page_size,
            page_token=request.page_token,
            game_id=request.game_id or None,
            cafe_id=request.cafe_id or None,
        )
        now_ms = self._engine.clock.now_ms()
        messages = [session_message(session, now_ms) for session in sessions]
        return ListSessionsResponse(sessions=messages, next_page_token=next_page_token)

    async def TerminateSession(self, request: TerminateSessionRequest, call: Call) -> TerminateSessionResponse:
        """End a session by an operator's decision."""
        session = await self._engine.sessions.terminate(call.caller, request.game_session_id)
        return TerminateSessionResponse(session=session_message(session, self._engine.clock.now_ms()))

    async def WatchSessions(self, request: WatchSessionsRequest, call: Call) -> AsyncIterator[WatchSessionsResponse]:
        """Tell what happens to sessions."""
        watch = self._engine.feed.watch(
            cursor=request.cursor,
            game_id=call.caller.game_id or request.game_id or None,
            session_id=request.game_session_id or None,
        )
        async with aclosing(watch) as told:
            async for item in told:
                event = None if item.event is None else event_message(item.event)
                yield WatchSessionsResponse(event=event, cursor=item.cursor)


def _beat(beat: Beat) -> HeartbeatResponse:
    return HeartbeatResponse(
        result=_RESULTS[beat.result],
        next_heartbeat_in=beat.next_heartbeat_sec,
        play_duration_sec=beat.play_duration_sec,
        grace_remaining_sec=beat.grace_remaining_sec,
    )


def _result(answer: Beat | EngineError) -> HeartbeatResult:
    if isinstance(answer, Beat):
        return HeartbeatResult(response=_beat(answer))
    code: int = CODES[type(answer)].value[0]
    reason = ErrorReason.Value(f"ERROR_REASON_{answer.reason}")
    return HeartbeatResult(error=HeartbeatError(code=code, reason=reason, message=answer.message))


def _seconds_problem(seconds: int | None) -> str | None:
    return None if seconds is None or 0 <= seconds <= SECONDS_MAX else "must not be negative"

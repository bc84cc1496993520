"""Sessions and their events as messages."""

from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from playclock.core import session as core
from playclock.core.player import read_attributes
from playclock.core.records import Happening, SessionEvent
from playclock.core.session import EndReason, State
from playclock.core.tariff import FOREVER_MS
from playclock.v1 import session_pb2 as pb

STATES: Final = {
    State.ACTIVE: pb.Session.STATE_ACTIVE,
    State.EXHAUSTED: pb.Session.STATE_EXHAUSTED,
    State.ENDING: pb.Session.STATE_ENDING,
    State.ENDED: pb.Session.STATE_ENDED,
}
END_REASONS: Final = {
    None: pb.END_REASON_UNSPECIFIED,
    EndReason.CLIENT_END: pb.END_REASON_CLIENT_END,
    EndReason.HEARTBEAT_TIMEOUT: pb.END_REASON_HEARTBEAT_TIMEOUT,
    EndReason.LAUNCHER_TIMEOUT: pb.END_REASON_LAUNCHER_TIMEOUT,
    EndReason.CHARGE_EXHAUSTED: pb.END_REASON_CHARGE_EXHAUSTED,
    EndReason.REPLACED: pb.END_REASON_REPLACED,
    EndReason.TERMINATED: pb.END_REASON_TERMINATED,
    EndReason.SERVER_RESTART: pb.END_REASON_SERVER_RESTART,
    EndReason.MAX_DURATION: pb.END_REASON_MAX_DURATION,
}
KINDS: Final = {
    Happening.OPENED: pb.SessionEvent.KIND_OPENED,
    Happening.EXHAUSTED: pb.SessionEvent.KIND_EXHAUSTED,
    Happening.ENDED: pb.SessionEvent.KIND_ENDED,
    Happening.RESUMED: pb.SessionEvent.KIND_RESUMED,
    Happening.LOW_CREDIT: pb.SessionEvent.KIND_LOW_CREDIT,
    Happening.ENDING: pb.SessionEvent.KIND_ENDING,
}


def milliseconds(time: Timestamp) -> int:
    """Return a timestamp as milliseconds since 1970, what is beyond them left out."""
    return time.seconds * 1000 + time.nanos // 1_000_000


def session_message(session: core.Session, now_ms: int) -> pb.Session:
    """Return the session as it stands at `now_ms`."""
    message = pb.Session(
        game_session_id=session.id,
        game_id=session.game_id,
        provider_user_id=session.provider_user_id,
        cafe_id=session.cafe_id,
        pc_id=session.pc_id,
        server_id=session.server_id,
        state=STATES[session.state],
        end_reason=END_REASONS[session.end_reason],
        create_time=timestamp(session.started_ms),
        last_heartbeat_time=timestamp(session.last_heartbeat_ms),
        expire_time=timestamp(session.lease_until_ms),
        play_duration_sec=core.play_duration_sec(session, now_ms),
        is_pc_cafe=session.is_in_cafe,
        account_id=core.payer(session),
        billed_sec=core.billed_sec(session),
        grace_sec=core.grace_sec(session, now_ms),
        amount_micros=core.amount_micros(session),
        attributes=read_attributes(session.attributes),
    )
    if session.ended_ms is not None:
        message.end_time.CopyFrom(timestamp(session.ended_ms))
    if session.client_play_duration_sec is not None:
        message.client_play_duration_sec = session.client_play_duration_sec
    if session.paid_until_ms is not None and session.paid_until_ms < FOREVER_MS:
        message.paid_until_time.CopyFrom(timestamp(session.paid_until_ms))
    return message


def event_message(event: SessionEvent) -> pb.SessionEvent:
    """Return an event, with the session as it stood when it happened."""
    return pb.SessionEvent(
        kind=KINDS[event.happening],
        event_time=timestamp(event.at_ms),
        session=session_message(event.session, event.at_ms),
    )


def timestamp(ms: int) -> Timestamp:
    """Return milliseconds since the Unix epoch as a Timestamp."""
    return Timestamp(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000)

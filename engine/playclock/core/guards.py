"""Is this call acceptable? Flat guards, each with its own reason, in the order in which the caller should hear them."""

from playclock.core import launch as launches
from playclock.core import session as sessions
from playclock.core.launch import Launch
from playclock.core.session import EndReason, Session, State
from playclock.errors import (
    AlreadyEnded,
    EngineError,
    LaunchEnded,
    LaunchNotFound,
    SessionEnded,
    SessionEnding,
    SessionNotFound,
)


def no_such_session() -> SessionNotFound:
    """Return the one answer for a session that is unknown, another game's, another user's, or silent: they look the same."""
    return SessionNotFound("no such session")


def no_such_launch() -> LaunchNotFound:
    """Return the one answer for a launch that is unknown, another launcher's, or silent: they look the same."""
    return LaunchNotFound("no such launch")


def is_kept(ended_ms: int | None, *, now_ms: int, retention_ms: int) -> bool:
    """Whether something that ended then is still remembered, whatever the store has or has not collected yet."""
    return ended_ms is None or now_ms < ended_ms + retention_ms


def fell_silent(session: Session, now_ms: int) -> bool:
    """Whether the session is over because its game server fell silent.

    Where the launcher fell silent first, the game server hears of that as long as its own lease would have lasted. After
    that its silence is as good a reason, and the document's answer to it is "not found".
    """
    if session.end_reason is EndReason.LAUNCHER_TIMEOUT:
        return now_ms >= session.lease_until_ms
    return session.end_reason is EndReason.HEARTBEAT_TIMEOUT


def why_no_heartbeat(session: Session, now_ms: int) -> EngineError | None:
    """Say why an advanced session takes no heartbeat, or None. A replaced one is no error: its caller is told."""
    if sessions.is_live(session) or session.end_reason is EndReason.REPLACED:
        return None
    if session.state is State.ENDING:
        return SessionEnding("the session is ending")
    if fell_silent(session, now_ms):
        return no_such_session()
    return SessionEnded("the session has ended", end_reason=_name(session.end_reason))


def why_no_end(session: Session, now_ms: int) -> EngineError | None:
    """Say why an advanced session cannot be ended, or None. Who comes late gets the figures that count."""
    if sessions.is_live(session):
        return None
    if fell_silent(session, now_ms):
        return no_such_session()
    return AlreadyEnded(
        "the session has ended before",
        end_reason=_name(session.end_reason),
        play_duration_sec=sessions.play_duration_sec(session, now_ms),
        client_play_duration_sec=session.client_play_duration_sec,
        billed_sec=sessions.billed_sec(session),
        grace_sec=sessions.grace_sec(session, now_ms),
        amount_micros=sessions.amount_micros(session),
    )


def why_no_launch(launch: Launch) -> EngineError | None:
    """Say why an advanced launch cannot be used, or None."""
    if launches.is_live(launch):
        return None
    if launch.end_reason is EndReason.LAUNCHER_TIMEOUT:
        return no_such_launch()
    return LaunchEnded("the launch has ended", end_reason=_name(launch.end_reason))


def _name(reason: EndReason | None) -> str | None:
    return None if reason is None else reason.name

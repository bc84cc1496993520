"""When time alone moves a session next, and how."""

from msgspec.structs import replace

from playclock.core.session import NEVER_MS, Event, Session, State, grace_until_ms, is_live
from playclock.core.timers import Timers


def next_step(session: Session, timers: Timers) -> tuple[int, Event]:
    """Return when time moves the session next, and how. Of what falls on one moment, the lower event happens."""
    if not is_live(session):
        return NEVER_MS, Event.CONFIRM
    at_ms, event = session.lease_until_ms, Event.LEASE_OUT
    if session.state is State.EXHAUSTED and (grace_until := grace_until_ms(session, timers)) < at_ms:
        at_ms, event = grace_until, Event.GRACE_OUT
    if session.launcher_until_ms is not None and session.launcher_until_ms < at_ms:
        at_ms, event = session.launcher_until_ms, Event.LAUNCHER_OUT
    if timers.session_max_ms is not None and session.started_ms + timers.session_max_ms < at_ms:
        at_ms, event = session.started_ms + timers.session_max_ms, Event.DURATION_OUT
    if session.state is State.ACTIVE and session.paid_until_ms is not None and session.paid_until_ms < at_ms:
        at_ms, event = session.paid_until_ms, Event.CREDIT_OUT
    return at_ms, event


def with_deadline(session: Session, timers: Timers) -> Session:
    """Return the session with the moment noted at which time moves it next, and filed no later."""
    deadline_ms, _ = next_step(session, timers)
    return replace(session, deadline_ms=deadline_ms, due_ms=min(session.due_ms, deadline_ms))


def not_before(session: Session, at_ms: int) -> int:
    """Return the moment, or the last one that the record knows of where that is later.

    Clocks differ between processes, and nothing happens to a session while we are away: what falls into an outage, such as
    the end of the longest duration, happens when it is over.
    """
    return max(at_ms, session.last_heartbeat_ms, session.outage_seen_ms, session.exhausted_ms or 0, session.resumed_ms)

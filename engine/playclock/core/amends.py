"""What is made good to sessions after an outage of ours: players are neither ended nor billed for it."""

from msgspec.structs import replace

from playclock.core import meter
from playclock.core.deadline import not_before, with_deadline
from playclock.core.outage import Outage, spread_ms
from playclock.core.session import Session, State
from playclock.core.timers import Timers


def make_good(session: Session, outage: Outage, timers: Timers) -> Session:
    """Give a live session a whole lease after an outage of ours, and stop its clocks while we were away.

    A process that does not know of the outage yet may have heard of the session since: its clocks stood until then only.
    """
    stopped_ms = not_before(session, outage.start_ms)
    lost_ms = max(0, outage.end_ms - stopped_ms)
    if lost_ms and session.state is State.ACTIVE:
        session = meter.anchor(session, stopped_ms - session.started_ms - session.unbilled_ms, outage.end_ms)
    whole_lease_ms = timers.session_ttl_ms + spread_ms(session.id, timers.session_ttl_ms // 4)
    lease_until_ms = max(session.lease_until_ms, outage.end_ms + whole_lease_ms)
    shifted = replace(
        session,
        lease_until_ms=lease_until_ms,
        launcher_until_ms=None if session.launcher_until_ms is None else max(session.launcher_until_ms, lease_until_ms),
        paid_until_ms=_paid_after_outage(session, lost_ms, lease_until_ms, timers),
        exhausted_ms=None if session.exhausted_ms is None else session.exhausted_ms + lost_ms,
        unbilled_ms=session.unbilled_ms + lost_ms,
        outage_seen_ms=outage.end_ms,
    )
    return with_deadline(shifted, timers)


def _paid_after_outage(session: Session, lost_ms: int, lease_until_ms: int, timers: Timers) -> int | None:
    """Return until when the credit lasts.

    What is held for a whole lease pays for the new one too, however long that is: it will be billed as one lease. Where the
    price depends on the time of day, what is held may last longer or shorter now that time goes on later.
    """
    paid_ms = meter.paid_ms(session)
    if paid_ms is None or session.paid_until_ms is None:
        return None
    is_anchored = session.charge is not None and session.charge.anchors
    paid_until_ms = meter.paid_until_ms(session) if is_anchored else session.paid_until_ms
    assert paid_until_ms is not None
    paid_until_ms += lost_ms
    pays_for_lease = paid_ms >= session.billed_ms + timers.session_ttl_ms
    return max(paid_until_ms, lease_until_ms) if pays_for_lease else paid_until_ms

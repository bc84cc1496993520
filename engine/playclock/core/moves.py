"""What calls and time do to a session. Each function returns the session as it is then; nothing is changed in place.

Where a session may go is `session.TRANSITIONS`. Here is what a step does to the record on the way, and that time goes first.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from playclock.core import charge as charges
from playclock.core import meter
from playclock.core.amends import make_good
from playclock.core.charge import Charge, moves_money
from playclock.core.deadline import next_step, not_before, with_deadline
from playclock.core.grants import Grant, Word, ask_to_close, close_again_ms, covered_ms
from playclock.core.outage import Outage, falls_into
from playclock.core.session import (
    END_REASONS,
    NEVER_MS,
    UNPROVEN,
    EndReason,
    Event,
    Session,
    State,
    is_live,
    next_state,
)
from playclock.core.timers import Timers


class ImpossibleTransition(Exception):
    """An event that the table does not know for the state: a fault in the caller, who has to check first."""


def open_session(
    *,
    id: str,  # noqa: A002 - the record's own field
    game_id: str,
    provider_user_id: str,
    launch_id: str,
    cafe_id: str,
    pc_id: str,
    server_id: str,
    launcher_until_ms: int | None,
    charge: Charge | None,
    free_micros: int,
    now_ms: int,
    timers: Timers,
    grant: Grant | None = None,
    attributes: bytes = b"",
) -> Session | None:
    """Open a session, or return None where nobody can pay for one heartbeat interval, or the tariff's minimum.

    `charge` names the account and the tariff and holds nothing yet; `free_micros` is what the account can set aside. Where a
    partner pays, `grant` is what it has granted, and there is no charge.
    """
    if grant is not None and covered_ms(grant, 0) < timers.heartbeat_interval_ms:
        return None
    if charge is not None:
        is_above_minimum = free_micros >= charge.tariff.minimum_micros
        charge = meter.reserve(charges.anchor(charge, 0, now_ms), 0, free_micros, timers)
        if not is_above_minimum or charge.paid_ms < timers.heartbeat_interval_ms:
            return None
    session = Session(
        id=id,
        game_id=game_id,
        provider_user_id=provider_user_id,
        launch_id=launch_id,
        cafe_id=cafe_id,
        pc_id=pc_id,
        server_id=server_id,
        state=State.ACTIVE,
        started_ms=now_ms,
        last_heartbeat_ms=now_ms,
        lease_until_ms=now_ms + timers.session_ttl_ms,
        launcher_until_ms=launcher_until_ms,
        paid_until_ms=None,
        deadline_ms=NEVER_MS,
        due_ms=NEVER_MS,
        charge=charge,
        outage_seen_ms=now_ms,
        grant=grant,
        attributes=attributes,
    )
    return with_deadline(replace(session, paid_until_ms=meter.paid_until_ms(session)), timers)


def advance(session: Session, *, now_ms: int, timers: Timers, outages: Sequence[Outage] = ()) -> list[Session]:
    """Return the session after each step that time alone implies until now; an empty list where there is none."""
    steps: list[Session] = []
    for outage in outages:
        if outage.end_ms > session.outage_seen_ms:
            session = _run(session, outage.start_ms, timers, steps)
            if is_live(session) and falls_into(outage, lease_until_ms=session.lease_until_ms, seen_ms=session.outage_seen_ms):
                session = make_good(session, outage, timers)
                steps.append(session)
    _run(session, now_ms, timers, steps)
    return steps


def apply(session: Session, event: Event, *, at_ms: int, timers: Timers) -> Session:
    """Move the session by one event that happened at `at_ms`.

    Raises ImpossibleTransition where the table has no such step; nothing is changed then.
    """
    target = next_state(session, event)
    if target is None:
        raise ImpossibleTransition(f"{event.name} in {session.state.name}")
    at_ms = not_before(session, at_ms)
    if event is Event.CREDIT_OUT:
        return _numbered(session, _exhaust(session, at_ms, timers))
    if event is Event.TOP_UP:
        return _leave_grace(session, at_ms, timers)
    if event is Event.CONFIRM:
        return replace(session, state=target)
    if target is State.ENDING or target is State.ENDED:
        return _numbered(session, _end(session, target, END_REASONS[event], at_ms, timers))
    return session


def heartbeat(session: Session, *, free_micros: int, now_ms: int, timers: Timers, word: Word | None = None) -> Session:
    """Accept a heartbeat: bill the time since the last one, hold ahead to the end of the new lease.

    The session is alive and advanced to now. `free_micros` is what its account can set aside beyond what it holds for it;
    `word` is what the partner said that pays for it, None where it was not asked or did not answer.
    """
    now_ms = not_before(session, now_ms)
    heard = replace(session, last_heartbeat_ms=now_ms, lease_until_ms=now_ms + timers.session_ttl_ms)
    if heard.charge is None and heard.grant is None:
        return with_deadline(heard, timers)
    if heard.state is State.EXHAUSTED:
        return _numbered(session, _renew_in_grace(heard, free_micros, word, now_ms, timers))
    billed = meter.bill(heard, now_ms, timers)
    renewed = meter.renew(billed, free_micros=free_micros, word=word, timers=timers)
    return _numbered(session, with_deadline(renewed, timers))


def resume(session: Session, *, free_micros: int, now_ms: int, timers: Timers) -> Session:
    """Leave the grace period, where the account can pay for an interval again; the same session where it cannot.

    The session is exhausted and advanced to now. Its lease stays: that somebody paid does not prove that somebody plays.
    """
    return _numbered(session, _renew_in_grace(session, free_micros, None, not_before(session, now_ms), timers))


def wanted(session: Session, *, now_ms: int, timers: Timers, reserve_ms: int) -> tuple[int, int] | None:
    """Return the time used until now, and how much to ask the partner for in all; None where enough is granted.

    The session is alive and advanced to now.
    """
    if session.grant is None:
        return None
    if session.state is State.ACTIVE:
        session = meter.bill(session, not_before(session, now_ms), timers)
        if session.grant is not None and session.grant.granted_ms >= session.billed_ms + timers.session_ttl_ms:
            return None
    return session.billed_ms, session.billed_ms + max(timers.session_ttl_ms, reserve_ms)


def confirm(session: Session, *, amount_micros: int, currency: str, timers: Timers) -> Session:
    """End a session for good: the partner has confirmed its end, and told what it cost."""
    assert session.grant is not None
    assert session.ended_ms is not None
    grant = replace(session.grant, amount_micros=amount_micros, currency=currency)
    return apply(replace(session, grant=grant), Event.CONFIRM, at_ms=session.ended_ms, timers=timers)


def ask_to_confirm(session: Session, *, now_ms: int) -> Session:
    """Note that the partner is asked to confirm the end, and file the session for the next time, should it not answer."""
    assert session.grant is not None
    return replace(session, grant=ask_to_close(session.grant), due_ms=now_ms + close_again_ms(session.grant))


def hear_launcher(session: Session, *, launch_id: str, launcher_until_ms: int, timers: Timers) -> Session:
    """Note that the launcher on the session's PC is alive."""
    return with_deadline(replace(session, launch_id=launch_id, launcher_until_ms=launcher_until_ms), timers)


def filed(session: Session) -> Session:
    """File the session in the due index anew, at its deadline."""
    return replace(session, due_ms=session.deadline_ms)


def _run(session: Session, until_ms: int, timers: Timers, steps: list[Session]) -> Session:
    """Let time move the session until `until_ms`, and note each step."""
    while until_ms >= session.deadline_ms:
        at_ms, event = next_step(session, timers)
        # What lies ahead of us after all was noted under other timers: a setting has changed since.
        is_due = at_ms <= until_ms
        session = apply(session, event, at_ms=at_ms, timers=timers) if is_due else with_deadline(session, timers)
        steps.append(session)
    return session


def _numbered(before: Session, after: Session) -> Session:
    """Count a step that moves money. The ledger's transfer of it has that number, however often somebody looked before."""
    if before.charge is None or after.charge is None or not moves_money(before.charge, after.charge):
        return after
    return replace(after, charge=replace(after.charge, sequence=before.charge.sequence + 1))


def _exhaust(session: Session, at_ms: int, timers: Timers) -> Session:
    """Bill all that was paid for: that the credit is used up is what exhausted means."""
    billed = meter.release(meter.bill(session, at_ms, timers))
    return with_deadline(replace(billed, state=State.EXHAUSTED, exhausted_ms=at_ms), timers)


def _renew_in_grace(session: Session, free_micros: int, word: Word | None, now_ms: int, timers: Timers) -> Session:
    """Go on in grace, or be active again where somebody can pay for an interval once more."""
    anchored = meter.anchor(session, session.billed_ms, now_ms)
    held = meter.renew(anchored, free_micros=free_micros, word=word, timers=timers)
    if not meter.can_resume(held, timers):
        return with_deadline(session, timers)
    return apply(held, Event.TOP_UP, at_ms=now_ms, timers=timers)


def _leave_grace(session: Session, at_ms: int, timers: Timers) -> Session:
    assert session.exhausted_ms is not None
    grace_ms = at_ms - session.exhausted_ms
    active = replace(
        meter.anchor(session, session.billed_ms, at_ms),
        state=State.ACTIVE,
        exhausted_ms=None,
        grace_used_ms=session.grace_used_ms + grace_ms,
        unbilled_ms=session.unbilled_ms + grace_ms,
        resumed_ms=at_ms,
    )
    return with_deadline(replace(active, paid_until_ms=meter.paid_until_ms(active)), timers)


def _end(session: Session, state: State, reason: EndReason, at_ms: int, timers: Timers) -> Session:
    """End the session. What cannot be proven to have been played is not billed, unless the tariff says so of silence."""
    if session.state is State.ACTIVE:
        if reason is EndReason.HEARTBEAT_TIMEOUT and session.charge is not None:
            session = meter.bill(session, meter.silence_until_ms(session, session.charge, at_ms, timers), timers)
        elif reason not in UNPROVEN:
            session = meter.bill(session, at_ms, timers)
    # A partner has to confirm the end, so the session is filed for whoever asks it.
    due_ms = at_ms if state is State.ENDING else session.due_ms
    ended = meter.release(session)
    return replace(ended, state=state, end_reason=reason, ended_ms=at_ms, deadline_ms=NEVER_MS, due_ms=due_ms)

"""The session: from a redeemed OTT to its end, which comes exactly once.

Two rules, after h11. Where a session may go next is the table `TRANSITIONS` and nothing else. And time alone moves it:
every caller first advances the record to now, so that what a call hears never depends on who swept before it.

    ACTIVE ──credit out──▶ EXHAUSTED ──grace over──▶ ENDED
      ▲                        │
      └────────topped up───────┘      any ──lease over, end, replaced …──▶ ENDED
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

import msgspec
from msgspec.structs import replace

from playclock.core import charge as charges
from playclock.core.charge import Charge
from playclock.core.outage import Outage, falls_into, spread_ms
from playclock.core.timers import Timers


class State(IntEnum):
    """Where in its life a session is."""

    ACTIVE = 1
    EXHAUSTED = 2
    ENDING = 3
    ENDED = 4


class Event(IntEnum):
    """What can happen to a session. The first five are what time alone brings about."""

    LEASE_OUT = 1
    GRACE_OUT = 2
    LAUNCHER_OUT = 3
    DURATION_OUT = 4
    CREDIT_OUT = 5
    HEARTBEAT = 6
    TOP_UP = 7
    END = 8
    TERMINATE = 9
    REPLACE = 10
    RESTART = 11
    CONFIRM = 12


class EndReason(IntEnum):
    """Why a session, or a launch, ended."""

    CLIENT_END = 1
    HEARTBEAT_TIMEOUT = 2
    LAUNCHER_TIMEOUT = 3
    CHARGE_EXHAUSTED = 4
    REPLACED = 5
    TERMINATED = 6
    SERVER_RESTART = 7
    MAX_DURATION = 8


_ENDS: Final = {
    Event.LEASE_OUT: State.ENDED,
    Event.LAUNCHER_OUT: State.ENDED,
    Event.DURATION_OUT: State.ENDED,
    Event.END: State.ENDED,
    Event.TERMINATE: State.ENDED,
    Event.REPLACE: State.ENDED,
    Event.RESTART: State.ENDED,
}

TRANSITIONS: Final[dict[State, dict[Event, State]]] = {
    State.ACTIVE: {Event.HEARTBEAT: State.ACTIVE, Event.CREDIT_OUT: State.EXHAUSTED, **_ENDS},
    State.EXHAUSTED: {
        Event.HEARTBEAT: State.EXHAUSTED,
        Event.TOP_UP: State.ACTIVE,
        Event.GRACE_OUT: State.ENDED,
        **_ENDS,
    },
    State.ENDING: {Event.CONFIRM: State.ENDED},
    State.ENDED: {},
}
"""Where a session may go next. A pair that is missing cannot happen; a terminal state has an empty row."""

END_REASONS: Final[dict[Event, EndReason]] = {
    Event.LEASE_OUT: EndReason.HEARTBEAT_TIMEOUT,
    Event.GRACE_OUT: EndReason.CHARGE_EXHAUSTED,
    Event.LAUNCHER_OUT: EndReason.LAUNCHER_TIMEOUT,
    Event.DURATION_OUT: EndReason.MAX_DURATION,
    Event.END: EndReason.CLIENT_END,
    Event.TERMINATE: EndReason.TERMINATED,
    Event.REPLACE: EndReason.REPLACED,
    Event.RESTART: EndReason.SERVER_RESTART,
}
"""Why an event that ends a session ends it."""

UNPROVEN: Final = frozenset({EndReason.HEARTBEAT_TIMEOUT, EndReason.LAUNCHER_TIMEOUT, EndReason.SERVER_RESTART})
"""Ends after which nobody can say how long the player stayed: what counts is the last accepted heartbeat."""

NEVER_MS: Final = 1 << 62
"""The deadline of a session that time no longer moves."""


class ImpossibleTransition(Exception):
    """An event that the table does not know for the state: a fault in the caller, who has to check first."""


class Session(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """A player's stay in one game. Times are milliseconds since the Unix epoch."""

    id: str
    game_id: str
    provider_user_id: str
    launch_id: str
    cafe_id: str
    pc_id: str
    server_id: str
    state: State
    started_ms: int
    last_heartbeat_ms: int
    lease_until_ms: int
    """When the session ends unless a heartbeat comes before."""
    launcher_until_ms: int | None
    """When the launcher counts as dead; None where there is none to watch."""
    paid_until_ms: int | None
    """When the credit is used up; None where nobody pays."""
    deadline_ms: int
    """The next moment at which time alone moves the session. Follows from the fields around it."""
    due_ms: int
    """Where the session is filed in the due index: at or before its deadline."""
    charge: Charge | None
    exhausted_ms: int | None = None
    """When the credit was used up, while the session is in its grace period."""
    grace_used_ms: int = 0
    """Grace of earlier times. Grace is a budget per session, so that it cannot be farmed."""
    billed_ms: int = 0
    """Billable time that has been billed. Only moves forward."""
    unbilled_ms: int = 0
    """Time since the start that nobody pays for: grace, and our own outages."""
    outage_seen_ms: int = 0
    """The end of the last outage of ours that was made good to the session."""
    ended_ms: int | None = None
    end_reason: EndReason | None = None
    client_play_duration_sec: int | None = None


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
) -> Session | None:
    """Open a session, or return None where the account cannot pay for one heartbeat interval.

    `charge` names the account and the tariff and holds nothing yet; `free_micros` is what the account can set aside.
    """
    lease_until_ms = now_ms + timers.session_ttl_ms
    if charge is not None:
        charge = charges.reserve(charge, timers.session_ttl_ms, free_micros)
        if charge.paid_ms < timers.heartbeat_interval_ms:
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
        lease_until_ms=lease_until_ms,
        launcher_until_ms=launcher_until_ms,
        paid_until_ms=None if charge is None else now_ms + charge.paid_ms,
        deadline_ms=NEVER_MS,
        due_ms=NEVER_MS,
        charge=charge,
        outage_seen_ms=now_ms,
    )
    return _with_deadline(session, timers)


def advance(session: Session, *, now_ms: int, timers: Timers, outages: Sequence[Outage] = ()) -> list[Session]:
    """Return the session after each step that time alone implies until now; an empty list where there is none."""
    steps: list[Session] = []
    for outage in outages:
        if outage.end_ms > session.outage_seen_ms:
            session = _run(session, outage.start_ms, timers, steps)
            if is_live(session) and falls_into(outage, lease_until_ms=session.lease_until_ms, seen_ms=session.outage_seen_ms):
                session = _make_good(session, outage, timers)
                steps.append(session)
    _run(session, now_ms, timers, steps)
    return steps


def apply(session: Session, event: Event, *, at_ms: int, timers: Timers) -> Session:
    """Move the session by one event that happened at `at_ms`.

    Raises ImpossibleTransition where the table has no such step; nothing is changed then.
    """
    target = TRANSITIONS[session.state].get(event)
    if target is None:
        raise ImpossibleTransition(f"{event.name} in {session.state.name}")
    at_ms = _not_before(session, at_ms)
    if event is Event.CREDIT_OUT:
        return _exhaust(session, at_ms, timers)
    if event is Event.TOP_UP:
        return _leave_grace(session, at_ms, timers)
    if target is State.ENDED:
        return _end(session, END_REASONS.get(event, session.end_reason), at_ms, timers)
    return session


def heartbeat(session: Session, *, free_micros: int, now_ms: int, timers: Timers) -> Session:
    """Accept a heartbeat: bill the time since the last one, hold ahead to the end of the new lease.

    The session is alive and advanced to now. `free_micros` is what its account can set aside beyond what it holds for it.
    """
    now_ms = _not_before(session, now_ms)
    session = replace(session, last_heartbeat_ms=now_ms, lease_until_ms=now_ms + timers.session_ttl_ms)
    if session.charge is None:
        return _with_deadline(session, timers)
    if session.state is State.EXHAUSTED:
        return _renew_in_grace(session, session.charge, free_micros, now_ms, timers)
    session, charge = _bill_until(session, session.charge, now_ms, timers)
    charge = charges.reserve(charge, session.billed_ms + timers.session_ttl_ms, free_micros)
    return _with_deadline(replace(session, charge=charge, paid_until_ms=_paid_until_ms(session, charge)), timers)


def hear_launcher(session: Session, *, launch_id: str, launcher_until_ms: int, timers: Timers) -> Session:
    """Note that the launcher on the session's PC is alive."""
    return _with_deadline(replace(session, launch_id=launch_id, launcher_until_ms=launcher_until_ms), timers)


def filed(session: Session) -> Session:
    """File the session in the due index anew, at its deadline."""
    return replace(session, due_ms=session.deadline_ms)


def is_live(session: Session) -> bool:
    """Whether the session can be kept alive or ended."""
    return session.state is State.ACTIVE or session.state is State.EXHAUSTED


def played_until_ms(session: Session, now_ms: int) -> int:
    """Return until when the player is known to have played."""
    if session.ended_ms is None:
        return max(now_ms, session.started_ms)
    if session.end_reason in UNPROVEN:
        return max(session.last_heartbeat_ms, session.exhausted_ms or 0)
    return session.ended_ms


def play_duration_sec(session: Session, now_ms: int) -> int:
    """Return the whole seconds played by our clock, until now or until the end."""
    return (played_until_ms(session, now_ms) - session.started_ms) // 1000


def billed_sec(session: Session) -> int:
    """Return the whole seconds that were billed."""
    return session.billed_ms // 1000


def grace_sec(session: Session, now_ms: int) -> int:
    """Return the whole seconds of grace that were used."""
    running_ms = 0 if session.exhausted_ms is None else played_until_ms(session, now_ms) - session.exhausted_ms
    return (session.grace_used_ms + max(0, running_ms)) // 1000


def grace_until_ms(session: Session, timers: Timers) -> int:
    """Return when the grace period of an exhausted session is over."""
    assert session.exhausted_ms is not None
    return session.exhausted_ms + max(0, timers.grace_ms - session.grace_used_ms)


def next_heartbeat_sec(session: Session, now_ms: int, timers: Timers) -> int:
    """Return the seconds until the next heartbeat is due, so chosen that it lands on the end of the credit."""
    wait_ms = timers.heartbeat_interval_ms
    if session.state is State.ACTIVE and session.paid_until_ms is not None:
        wait_ms = min(wait_ms, session.paid_until_ms - now_ms)
    return max(1, -(-wait_ms // 1000))


def _run(session: Session, until_ms: int, timers: Timers, steps: list[Session]) -> Session:
    """Let time move the session until `until_ms`, and note each step."""
    while until_ms >= session.deadline_ms:
        at_ms, event = _next(session, timers)
        # What lies ahead of us after all was noted under other timers: a setting has changed since.
        is_due = at_ms <= until_ms
        session = apply(session, event, at_ms=at_ms, timers=timers) if is_due else _with_deadline(session, timers)
        steps.append(session)
    return session


def _next(session: Session, timers: Timers) -> tuple[int, Event]:
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


def _with_deadline(session: Session, timers: Timers) -> Session:
    deadline_ms, _ = _next(session, timers)
    return replace(session, deadline_ms=deadline_ms, due_ms=min(session.due_ms, deadline_ms))


def _not_before(session: Session, at_ms: int) -> int:
    """Return the moment, or the last one that the record knows of where that is later.

    Clocks differ between processes, and nothing happens to a session while we are away: what falls into an outage, such as
    the end of the longest duration, happens when it is over.
    """
    return max(at_ms, session.last_heartbeat_ms, session.outage_seen_ms, session.exhausted_ms or 0)


def _paid_until_ms(session: Session, charge: Charge) -> int:
    return session.started_ms + session.unbilled_ms + charge.paid_ms


def _bill_until(session: Session, charge: Charge, until_ms: int, timers: Timers) -> tuple[Session, Charge]:
    """Bill the time since the last bill, but never more than a lease at once, whatever any clock did."""
    billable_ms = until_ms - session.started_ms - session.unbilled_ms
    beyond_lease_ms = max(0, billable_ms - session.billed_ms - timers.session_ttl_ms)
    billable_ms -= beyond_lease_ms
    assert 0 <= billable_ms - session.billed_ms <= timers.session_ttl_ms, "no single step bills more than a lease"
    billed = replace(session, billed_ms=billable_ms, unbilled_ms=session.unbilled_ms + beyond_lease_ms)
    return billed, charges.bill(charge, billable_ms)


def _exhaust(session: Session, at_ms: int, timers: Timers) -> Session:
    """Bill all that was paid for: that the credit is used up is what exhausted means."""
    assert session.charge is not None
    session, charge = _bill_until(session, session.charge, at_ms, timers)
    exhausted = replace(session, state=State.EXHAUSTED, exhausted_ms=at_ms, charge=charges.release(charge))
    return _with_deadline(exhausted, timers)


def _renew_in_grace(session: Session, charge: Charge, free_micros: int, now_ms: int, timers: Timers) -> Session:
    """Go on in grace, or be active again where the account can pay for an interval once more."""
    held = charges.reserve(charge, session.billed_ms + timers.session_ttl_ms, free_micros)
    if held.paid_ms < session.billed_ms + timers.heartbeat_interval_ms:
        return _with_deadline(session, timers)
    return apply(replace(session, charge=held), Event.TOP_UP, at_ms=now_ms, timers=timers)


def _leave_grace(session: Session, at_ms: int, timers: Timers) -> Session:
    assert session.exhausted_ms is not None
    assert session.charge is not None
    grace_ms = at_ms - session.exhausted_ms
    active = replace(
        session,
        state=State.ACTIVE,
        exhausted_ms=None,
        grace_used_ms=session.grace_used_ms + grace_ms,
        unbilled_ms=session.unbilled_ms + grace_ms,
    )
    return _with_deadline(replace(active, paid_until_ms=_paid_until_ms(active, session.charge)), timers)


def _end(session: Session, reason: EndReason | None, at_ms: int, timers: Timers) -> Session:
    """End the session. What cannot be proven to have been played is not billed."""
    charge = session.charge
    if charge is not None:
        if session.state is State.ACTIVE and reason not in UNPROVEN:
            session, charge = _bill_until(session, charge, at_ms, timers)
        charge = charges.release(charge)
    return replace(session, state=State.ENDED, end_reason=reason, ended_ms=at_ms, charge=charge, deadline_ms=NEVER_MS)


def _make_good(session: Session, outage: Outage, timers: Timers) -> Session:
    """Give a live session a whole lease after an outage of ours, and stop its clocks while we were away.

    A process that does not know of the outage yet may have heard of the session since: its clocks stood until then only.
    """
    lost_ms = max(0, outage.end_ms - _not_before(session, outage.start_ms))
    whole_lease_ms = timers.session_ttl_ms + spread_ms(session.id, timers.session_ttl_ms // 4)
    lease_until_ms = max(session.lease_until_ms, outage.end_ms + whole_lease_ms)
    shifted = replace(
        session,
        lease_until_ms=lease_until_ms,
        launcher_until_ms=None if session.launcher_until_ms is None else max(session.launcher_until_ms, lease_until_ms),
        paid_until_ms=_paid_after_outage(session, lost_ms, lease_until_ms),
        exhausted_ms=None if session.exhausted_ms is None else session.exhausted_ms + lost_ms,
        unbilled_ms=session.unbilled_ms + lost_ms,
        outage_seen_ms=outage.end_ms,
    )
    return _with_deadline(shifted, timers)


def _paid_after_outage(session: Session, lost_ms: int, lease_until_ms: int) -> int | None:
    """Return until when the credit lasts.

    What paid for a whole lease pays for the new one too, however long that is: it will be billed as one lease.
    """
    if session.paid_until_ms is None:
        return None
    paid_until_ms = session.paid_until_ms + lost_ms
    return max(paid_until_ms, lease_until_ms) if session.paid_until_ms >= session.lease_until_ms else paid_until_ms

"""The meter: how much of a session's time is billed and how far it is paid for, by an account of ours or by a partner.

Billable time is counted from the session's start and leaves out what nobody pays for: grace, and our own outages. It only
moves forward, and never by more than a lease at once.
"""

from msgspec.structs import replace

from playclock.core import charge as charges
from playclock.core import grants
from playclock.core.charge import Charge
from playclock.core.grants import Word
from playclock.core.session import Session
from playclock.core.tariff import BillOnSilence
from playclock.core.timers import Timers


def paid_ms(session: Session) -> int | None:
    """Return how much billable time is paid for; None where nobody pays."""
    if session.grant is not None:
        return grants.covered_ms(session.grant, session.billed_ms)
    return None if session.charge is None else session.charge.paid_ms


def paid_until_ms(session: Session) -> int | None:
    """Return the moment until which the session is paid for; None where nobody pays."""
    paid = paid_ms(session)
    return None if paid is None else session.started_ms + session.unbilled_ms + paid


def bill(session: Session, until_ms: int, timers: Timers) -> Session:
    """Bill the time since the last bill, but never more than a lease at once, whatever any clock did."""
    if session.charge is None and session.grant is None:
        return session
    billable_ms = until_ms - session.started_ms - session.unbilled_ms
    beyond_lease_ms = max(0, billable_ms - session.billed_ms - timers.session_ttl_ms)
    billable_ms -= beyond_lease_ms
    assert 0 <= billable_ms - session.billed_ms <= timers.session_ttl_ms, "no single step bills more than a lease"
    charge, grant, free_ms = session.charge, session.grant, 0
    if charge is not None:
        charge = charges.bill(charge, billable_ms)
        charge = charges.anchor(charge, billable_ms, until_ms) if beyond_lease_ms else charge
    if grant is not None:
        grant, free_ms = grants.bill(grant, session.billed_ms, billable_ms)
    return replace(
        session,
        billed_ms=billable_ms - free_ms,
        unbilled_ms=session.unbilled_ms + beyond_lease_ms + free_ms,
        charge=charge,
        grant=grant,
    )


def renew(session: Session, *, free_micros: int, word: Word | None, timers: Timers) -> Session:
    """Hold ahead to the end of a new lease, or as far as there is credit, or as the partner has granted."""
    charge, grant, paid = session.charge, session.grant, None
    if charge is not None:
        charge = reserve(charge, session.billed_ms, free_micros, timers)
        paid = charge.paid_ms
    if grant is not None:
        grant = grants.hear(grant, word, billed_ms=session.billed_ms, lease_ms=timers.session_ttl_ms)
        paid = grants.covered_ms(grant, session.billed_ms)
    until_ms = None if paid is None else session.started_ms + session.unbilled_ms + paid
    return replace(session, charge=charge, grant=grant, paid_until_ms=until_ms)


def reserve(charge: Charge, billed_ms: int, free_micros: int, timers: Timers) -> Charge:
    """Hold ahead to the end of a new lease, or as far as the tariff wants."""
    return charges.reserve(charge, billed_ms + max(timers.session_ttl_ms, charge.tariff.reserve_ms), free_micros)


def release(session: Session) -> Session:
    """Hold nothing any more."""
    return session if session.charge is None else replace(session, charge=charges.release(session.charge))


def anchor(session: Session, billable_ms: int, wall_ms: int) -> Session:
    """Note that the billable time from there on begins at `wall_ms`, where the price depends on the time of day."""
    if session.charge is None:
        return session
    return replace(session, charge=charges.anchor(session.charge, billable_ms, wall_ms))


def can_resume(session: Session, timers: Timers) -> bool:
    """Whether an exhausted session is paid for an interval once more: by credit, or by a partner's own word."""
    paid = paid_ms(session) if session.grant is None else session.grant.granted_ms
    return paid is not None and paid >= session.billed_ms + timers.heartbeat_interval_ms


def silence_until_ms(session: Session, charge: Charge, at_ms: int, timers: Timers) -> int:
    """Return until when a session is billed that ends at `at_ms` because its game server fell silent.

    The session's own clock counts: it stood still while we were away. What is billed already lies before.
    """
    match charge.tariff.bill_on_silence:
        case BillOnSilence.LEASE_END:
            more_ms = timers.session_ttl_ms
        case BillOnSilence.ONE_INTERVAL:
            # Where the credit was used up since the last heartbeat, all until then is billed, and the pause was no play.
            more_ms = timers.heartbeat_interval_ms - max(0, session.resumed_ms - session.last_heartbeat_ms)
        case BillOnSilence.LAST_HEARTBEAT:
            more_ms = 0
    return min(at_ms, session.started_ms + session.unbilled_ms + session.billed_ms + max(0, more_ms))

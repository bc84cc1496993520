"""The session: from a redeemed OTT to its end, which comes exactly once.

Two rules, after h11. Where a session may go next is the table `TRANSITIONS` and nothing else. And time alone moves it:
every caller first advances the record to now, so that what a call hears never depends on who swept before it.

    ACTIVE ──credit out──▶ EXHAUSTED ──grace over──▶ ENDED
      ▲                        │
      └────────topped up───────┘      any ──lease over, end, replaced …──▶ ENDED

Where a partner's charge authority pays, what leads to ENDED leads to ENDING first, until the partner has confirmed the end.
"""

from enum import IntEnum
from typing import Final

import msgspec

from playclock.core.charge import Charge
from playclock.core.grants import Grant
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
    resumed_ms: int = 0
    """When the session last left a grace period: all until then is billed, or was grace."""
    grant: Grant | None = None
    """What a partner's charge authority has granted, where that pays; there is no charge then."""
    attributes: bytes = b""
    """What whoever launched the game told of the player: `playclock.core.player.read_attributes`. Empty where nobody did."""

    @property
    def is_in_cafe(self) -> bool:
        """Whether the player sits in a PC cafe."""
        return bool(self.cafe_id)


def next_state(session: Session, event: Event) -> State | None:
    """Return where an event leads; None where it cannot happen."""
    target = TRANSITIONS[session.state].get(event)
    is_unconfirmed = session.grant is not None and event is not Event.CONFIRM
    return State.ENDING if target is State.ENDED and is_unconfirmed else target


def is_live(session: Session) -> bool:
    """Whether the session can be kept alive or ended."""
    return session.state is State.ACTIVE or session.state is State.EXHAUSTED


def played_until_ms(session: Session, now_ms: int) -> int:
    """Return until when the player is known to have played."""
    if session.ended_ms is None:
        return max(now_ms, session.started_ms)
    if session.end_reason in UNPROVEN:
        return max(session.last_heartbeat_ms, session.exhausted_ms or 0, session.resumed_ms)
    return session.ended_ms


def play_duration_sec(session: Session, now_ms: int) -> int:
    """Return the whole seconds played by our clock, until now or until the end."""
    return (played_until_ms(session, now_ms) - session.started_ms) // 1000


def gone_ms(session: Session) -> int | None:
    """Return since when there is nothing more to do for the session; None where there is."""
    return session.ended_ms if session.state is State.ENDED else None


def amount_micros(session: Session) -> int:
    """Return what the session has cost so far; where a partner pays, what it confirmed at the end."""
    if session.charge is not None:
        return session.charge.billed_micros
    return 0 if session.grant is None else session.grant.amount_micros


def currency(session: Session) -> str:
    """Return the currency of `amount_micros`; empty where nobody pays, or a partner has not told it."""
    if session.charge is not None:
        return session.charge.tariff.currency
    return "" if session.grant is None else session.grant.currency


def payer(session: Session) -> str:
    """Return the account that pays, or "provider/ID" where a partner does; empty where nobody does."""
    if session.charge is not None:
        return session.charge.account_id
    return "" if session.grant is None else f"provider/{session.grant.provider_id}"


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

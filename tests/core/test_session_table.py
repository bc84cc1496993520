"""Where a session may go: every state and event, against a table that is written out again."""

from typing import TYPE_CHECKING, Final

import pytest
from msgspec.structs import replace
from playclock.core import moves
from playclock.core import session as core
from playclock.core.codec import encode
from playclock.core.grants import FailurePolicy, Grant
from playclock.core.moves import ImpossibleTransition
from playclock.core.session import EndReason, Event, Session, State
from playclock.core.timers import Timers

if TYPE_CHECKING:
    from tests.core.conftest import Tab

TABLE: Final = """
              ACTIVE      EXHAUSTED   ENDING      ENDED
LEASE_OUT     ENDED       ENDED       impossible  impossible
GRACE_OUT     impossible  ENDED       impossible  impossible
LAUNCHER_OUT  ENDED       ENDED       impossible  impossible
DURATION_OUT  ENDED       ENDED       impossible  impossible
CREDIT_OUT    EXHAUSTED   impossible  impossible  impossible
HEARTBEAT     ACTIVE      EXHAUSTED   impossible  impossible
TOP_UP        impossible  ACTIVE      impossible  impossible
END           ENDED       ENDED       impossible  impossible
TERMINATE     ENDED       ENDED       impossible  impossible
REPLACE       ENDED       ENDED       impossible  impossible
RESTART       ENDED       ENDED       impossible  impossible
CONFIRM       impossible  impossible  ENDED       impossible
"""
HEADER, *ROWS = [line.split() for line in TABLE.strip().splitlines()]
PAIRS: Final = [(state, row[0], target) for row in ROWS for state, target in zip(HEADER, row[1:], strict=True)]

REASONS: Final = {
    Event.LEASE_OUT: EndReason.HEARTBEAT_TIMEOUT,
    Event.GRACE_OUT: EndReason.CHARGE_EXHAUSTED,
    Event.LAUNCHER_OUT: EndReason.LAUNCHER_TIMEOUT,
    Event.DURATION_OUT: EndReason.MAX_DURATION,
    Event.END: EndReason.CLIENT_END,
    Event.TERMINATE: EndReason.TERMINATED,
    Event.REPLACE: EndReason.REPLACED,
    Event.RESTART: EndReason.SERVER_RESTART,
}

CREDIT_MS: Final = 150_000
NOW_MS: Final = 160_000


def granted(session: Session) -> Session:
    """Return the session as one that a partner pays for, which has granted as much."""
    grant = Grant(
        provider_id="partner",
        charge_id="ch_1",
        cafe_id="cafe",
        policy=FailurePolicy.DENY,
        limit_ms=0,
        granted_ms=session.billed_ms or CREDIT_MS,
    )
    return replace(session, charge=None, grant=grant)


def session_in(state: State, tab: "type[Tab]") -> Session:
    played = tab(CREDIT_MS // 1000)
    match state:
        case State.EXHAUSTED:
            played.advance(CREDIT_MS)
        case State.ENDING:
            # Only where a partner pays: it has to confirm the end.
            return moves.apply(granted(played.session), Event.END, at_ms=tab.OPENED_MS + NOW_MS, timers=Timers())
        case State.ENDED:
            played.apply(Event.END, NOW_MS)
    return played.session


def apply(session: Session, event: Event, tab: "type[Tab]") -> Session:
    now_ms = CREDIT_MS if event is Event.CREDIT_OUT or session.state is State.ACTIVE else NOW_MS
    return moves.apply(session, event, at_ms=tab.OPENED_MS + now_ms, timers=Timers())


def test_the_table_has_every_pair() -> None:
    assert [state.name for state in State] == HEADER
    assert [event.name for event in Event] == [row[0] for row in ROWS]


@pytest.mark.parametrize(("state", "event", "target"), PAIRS)
def test_every_pair_leads_where_the_table_says(state: str, event: str, target: str, tab: "type[Tab]") -> None:
    session = session_in(State[state], tab)
    assert session.state is State[state]
    if target == "impossible":
        before = encode(session)
        with pytest.raises(ImpossibleTransition, match=f"^{event} in {state}$"):
            apply(session, Event[event], tab)
        assert encode(session) == before
    else:
        assert apply(session, Event[event], tab).state is State[target]


@pytest.mark.parametrize(("state", "event"), [pair[:2] for pair in PAIRS if pair[2] == "ENDED" and pair[0] != "ENDING"])
def test_every_end_says_why_and_when(state: str, event: str, tab: "type[Tab]") -> None:
    session = session_in(State[state], tab)
    ended = apply(session, Event[event], tab)
    assert ended.end_reason is REASONS[Event[event]]
    assert ended.ended_ms == tab.OPENED_MS + (CREDIT_MS if state == "ACTIVE" else NOW_MS)
    assert ended.deadline_ms == core.NEVER_MS
    assert ended.charge is not None
    assert ended.charge.held_micros == 0


@pytest.mark.parametrize(("state", "event", "target"), PAIRS)
def test_where_a_partner_pays_every_end_waits_for_its_word(state: str, event: str, target: str, tab: "type[Tab]") -> None:
    if target == "impossible" or state == "ENDING":
        return
    session = granted(session_in(State[state], tab))
    after = apply(session, Event[event], tab)
    if target == "ENDED":
        assert after.state is State.ENDING
        assert after.end_reason is REASONS[Event[event]]
        assert after.ended_ms == tab.OPENED_MS + (CREDIT_MS if state == "ACTIVE" else NOW_MS)
        assert after.due_ms <= after.ended_ms, "filed for whoever asks the partner"
        assert after.deadline_ms == core.NEVER_MS
    else:
        assert after.state is State[target]


def test_a_confirmed_end_keeps_its_reason_and_its_time(tab: "type[Tab]") -> None:
    ending = session_in(State.ENDING, tab)
    ended = moves.confirm(ending, amount_micros=70, currency="EUR", timers=Timers())
    assert (ended.state, ended.end_reason, ended.ended_ms) == (State.ENDED, EndReason.CLIENT_END, tab.OPENED_MS + NOW_MS)
    assert (core.amount_micros(ended), core.currency(ended), core.payer(ended)) == (70, "EUR", "provider/partner")


def test_every_reason_has_its_event() -> None:
    assert set(REASONS.values()) == set(EndReason)


@pytest.mark.parametrize("state", [State.ACTIVE, State.EXHAUSTED])
def test_a_heartbeat_alone_moves_no_state_and_no_field(state: State, tab: "type[Tab]") -> None:
    session = session_in(state, tab)
    assert apply(session, Event.HEARTBEAT, tab) == session


@pytest.mark.parametrize(("state", "live"), list(zip(State, [True, True, False, False], strict=True)))
def test_what_is_active_or_in_grace_is_alive(state: State, live: bool, tab: "type[Tab]") -> None:
    assert core.is_live(session_in(state, tab)) is live

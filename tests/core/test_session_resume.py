"""A top-up lets a session in grace go on at once. That somebody paid does not prove that somebody plays."""

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playclock.core import moves
from playclock.core import session as core
from playclock.core.outage import Outage
from playclock.core.session import EndReason, Event, Session, State

if TYPE_CHECKING:
    from tests.core.conftest import Tab

CREDIT_MS, RESUMED_MS, LEASE_MS = 150_000, 160_000, 240_000


def topped_up(played: "Tab", micros: int, now_ms: int) -> Session:
    """Let credit arrive at a session that is in grace."""
    played.advance(now_ms)
    assert played.session.state is State.EXHAUSTED
    played.top_up(micros)
    free_micros, at_ms = played.account.free_micros, played.at(now_ms)
    resumed = moves.resume(played.session, free_micros=free_micros, now_ms=at_ms, timers=played.timers)
    if resumed.state is State.ACTIVE:
        played.take(resumed)
    return resumed


def test_it_is_active_again_from_that_moment(tab: "type[Tab]") -> None:
    played = tab(150)
    session = topped_up(played, 1_000, RESUMED_MS)
    assert (session.state, session.exhausted_ms) == (State.ACTIVE, None)
    assert session.resumed_ms == played.at(RESUMED_MS)
    assert session.grace_used_ms == session.unbilled_ms == RESUMED_MS - CREDIT_MS
    assert session.paid_until_ms == played.at(RESUMED_MS + LEASE_MS)
    assert session.charge is not None
    assert (session.charge.billed_micros, session.charge.held_micros, session.charge.sequence) == (150, 240, 3)


def test_its_lease_stays_what_the_last_heartbeat_made_it(tab: "type[Tab]") -> None:
    played = tab(150)
    session = topped_up(played, 1_000, RESUMED_MS)
    assert session.last_heartbeat_ms == played.at(0)
    assert session.lease_until_ms == session.deadline_ms == played.at(LEASE_MS)


def test_less_than_an_interval_of_credit_changes_nothing(tab: "type[Tab]") -> None:
    played = tab(150)
    played.advance(RESUMED_MS)
    assert topped_up(played, 119, RESUMED_MS) == played.session
    assert played.account.free_micros == 119


def test_the_time_from_then_on_is_billed_again(tab: "type[Tab]") -> None:
    played = tab(150)
    topped_up(played, 1_000, RESUMED_MS)
    assert played.beat(200_000).billed_ms == CREDIT_MS + 40_000
    played.apply(Event.END, 210_000)
    assert played.session.billed_ms == CREDIT_MS + 50_000
    assert played.account.free_micros == 950
    assert core.grace_sec(played.session, played.at(210_000)) == 10


@pytest.mark.parametrize("event", [None, Event.RESTART])
def test_silence_afterwards_is_not_billed_and_played_is_what_was_billed_or_grace(tab: "type[Tab]", event: Event | None) -> None:
    played = tab(150)
    topped_up(played, 1_000, RESUMED_MS)
    if event is not None:
        played.apply(event, 200_000)
    played.advance(10**9)
    assert played.session.end_reason in (EndReason.HEARTBEAT_TIMEOUT, EndReason.SERVER_RESTART)
    now_ms = played.at(10**9)
    assert (core.billed_sec(played.session), core.grace_sec(played.session, now_ms)) == (150, 10)
    assert core.play_duration_sec(played.session, now_ms) == 160
    assert played.account.free_micros == 1_000


def test_the_next_heartbeat_counts_before_the_resumption(tab: "type[Tab]") -> None:
    played = tab(150)
    topped_up(played, 1_000, RESUMED_MS)
    played.beat(200_000)
    played.advance(10**9)
    assert core.play_duration_sec(played.session, played.at(10**9)) == 200


@pytest.mark.parametrize("behind_ms", [1, 5_000, 10_000, 100_000])
def test_a_heartbeat_with_an_older_time_turns_nothing_back(tab: "type[Tab]", behind_ms: int) -> None:
    """By a clock that is behind, or decided anew because the top-up was faster."""
    played = tab(150)
    topped_up(played, 1_000, RESUMED_MS)
    session = played.beat(RESUMED_MS - behind_ms)
    assert session.billed_ms == CREDIT_MS
    assert session.last_heartbeat_ms == played.at(RESUMED_MS)


@pytest.mark.parametrize("event", [Event.END, Event.TERMINATE, Event.REPLACE, Event.RESTART])
def test_an_end_with_an_older_time_is_at_the_resumption(tab: "type[Tab]", event: Event) -> None:
    played = tab(150)
    topped_up(played, 1_000, RESUMED_MS)
    ended = played.apply(event, RESUMED_MS - 5_000)
    assert ended.ended_ms == played.at(RESUMED_MS)
    assert ended.billed_ms == CREDIT_MS


def test_a_resumption_with_an_older_time_uses_no_grace(tab: "type[Tab]") -> None:
    played = tab(150)
    played.advance(CREDIT_MS)
    played.top_up(1_000)
    resumed = moves.resume(played.session, free_micros=1_000, now_ms=played.at(CREDIT_MS - 5_000), timers=played.timers)
    assert (resumed.resumed_ms, resumed.grace_used_ms) == (played.at(CREDIT_MS), 0)


@pytest.mark.parametrize(("micros", "state"), [(150, State.EXHAUSTED), (1_000, State.ACTIVE)])
def test_what_it_holds_is_what_an_outage_leaves_it(tab: "type[Tab]", micros: int, state: State) -> None:
    played = tab(150)
    topped_up(played, micros, RESUMED_MS)
    played.outages = [Outage(played.at(170_000), played.at(1_000_000))]
    session = played.beat(1_239_000)
    assert session.state is state
    assert session.billed_ms == CREDIT_MS + (150_000 if micros == 150 else LEASE_MS)


@settings(deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 119_000), st.integers(0, 400)), max_size=12))
def test_however_often_it_is_topped_up_a_session_has_one_grace(tab: "type[Tab]", moments: list[tuple[int, int]]) -> None:
    played = tab(120)
    now_ms = 0
    for gap_ms, micros in moments:
        now_ms += gap_ms
        played.advance(now_ms)
        if played.session.state is State.EXHAUSTED:
            topped_up(played, micros, now_ms)
        elif core.is_live(played.session):
            played.beat(now_ms)
    played.advance(now_ms + 10**9)
    now_ms = played.at(now_ms + 10**9)
    assert core.grace_sec(played.session, now_ms) <= 120
    played_ms = core.played_until_ms(played.session, now_ms) - played.at(0)
    assert played.session.billed_ms <= played_ms <= played.session.billed_ms + 120_000

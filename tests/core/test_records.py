"""What there is to tell of the steps that a session took."""

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from playclock.core.records import Happening, Pulse, SessionEvent, events_of, is_low
from playclock.core.session import Event, State

if TYPE_CHECKING:
    from tests.core.conftest import Tab

NOW_MS = 7_000_000_000_000
"""When somebody looked: told only of what has no moment of its own."""


def test_the_end_of_the_credit_and_the_end_are_told_at_their_moments_and_in_order(tab: "type[Tab]") -> None:
    played = tab(150)
    before = played.session
    played.beat(100_000)
    exhausted, ended = played.advance(10**9)
    assert events_of(before, [exhausted, ended], NOW_MS) == [
        SessionEvent(Happening.EXHAUSTED, played.at(150_000), exhausted),
        SessionEvent(Happening.ENDED, played.at(270_000), ended),
    ]


@pytest.mark.parametrize("event", [Event.END, Event.TERMINATE, Event.REPLACE, Event.RESTART])
def test_every_end_is_told_once(tab: "type[Tab]", event: Event) -> None:
    played = tab(150)
    before = played.session
    ended = played.apply(event, 20_000)
    assert events_of(before, [ended], NOW_MS) == [SessionEvent(Happening.ENDED, played.at(20_000), ended)]
    assert events_of(ended, [replace(ended, client_play_duration_sec=20)], NOW_MS) == []


def test_an_end_in_grace_is_told(tab: "type[Tab]") -> None:
    played = tab(150)
    (exhausted,) = played.advance(150_000)
    ended = played.apply(Event.END, 160_000)
    assert events_of(exhausted, [ended], NOW_MS) == [SessionEvent(Happening.ENDED, played.at(160_000), ended)]


def test_a_confirmed_end_is_told(tab: "type[Tab]") -> None:
    before = replace(tab().session, state=State.ENDING)
    ended = replace(before, state=State.ENDED, ended_ms=5)
    assert events_of(before, [ended], NOW_MS) == [SessionEvent(Happening.ENDED, 5, ended)]


def test_heartbeats_are_not_told(tab: "type[Tab]") -> None:
    played = tab(150)
    before = played.session
    assert events_of(before, [played.beat(1_000)], NOW_MS) == []
    played.advance(150_000)
    exhausted = played.session
    assert events_of(exhausted, [played.beat(160_000)], NOW_MS) == []
    assert events_of(before, [], NOW_MS) == []


def test_credit_that_is_used_up_a_second_time_is_told_again(tab: "type[Tab]") -> None:
    played = tab(150)
    played.advance(150_000)
    exhausted = played.session
    played.top_up(120)
    active = played.beat(160_000)
    assert active.state is State.ACTIVE
    (again,) = played.advance(280_000)
    assert events_of(exhausted, [active, again], NOW_MS) == [
        SessionEvent(Happening.RESUMED, NOW_MS, active),
        SessionEvent(Happening.LOW_CREDIT, NOW_MS, active),
        SessionEvent(Happening.EXHAUSTED, played.at(280_000), again),
    ]


def test_a_lease_that_could_not_be_paid_in_full_is_told_once(tab: "type[Tab]") -> None:
    played = tab(300)
    before = played.session
    assert not is_low(before)
    low = played.beat(100_000)
    assert low.paid_until_ms == played.at(300_000) < low.lease_until_ms
    assert events_of(before, [low], NOW_MS) == [SessionEvent(Happening.LOW_CREDIT, NOW_MS, low)]
    assert events_of(low, [played.beat(200_000)], NOW_MS) == []


def test_a_session_that_nobody_pays_for_is_never_low(tab: "type[Tab]") -> None:
    assert not is_low(tab().session)


def test_a_pulse_remembers_no_outage_until_there_is_one() -> None:
    assert Pulse(5) == Pulse(5, outages=())

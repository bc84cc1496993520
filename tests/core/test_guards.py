"""Which call is acceptable, and which reason the caller hears first."""

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from playclock.core import launch as launches
from playclock.core.guards import (
    fell_silent,
    is_kept,
    no_such_launch,
    no_such_session,
    why_no_end,
    why_no_heartbeat,
    why_no_launch,
)
from playclock.core.launch import Launch
from playclock.core.session import NEVER_MS, EndReason, Event, Session, State
from playclock.errors import (
    AlreadyEnded,
    EngineError,
    LaunchEnded,
    LaunchNotFound,
    SessionEnded,
    SessionEnding,
    SessionNotFound,
)

if TYPE_CHECKING:
    from tests.core.conftest import Tab

ENDED_MS, LEASE_MS = 150_000, 240_000
ENDED_BY_SOMEBODY = {
    Event.END: EndReason.CLIENT_END,
    Event.TERMINATE: EndReason.TERMINATED,
    Event.RESTART: EndReason.SERVER_RESTART,
    Event.REPLACE: EndReason.REPLACED,
}


def told(error: EngineError | None) -> tuple[type[EngineError], str, dict[str, str]] | None:
    return None if error is None else (type(error), error.message, error.metadata)


def ending(played: "Tab") -> Session:
    return replace(played.session, state=State.ENDING, end_reason=EndReason.CLIENT_END, deadline_ms=NEVER_MS)


class TestFellSilent:
    def test_a_living_session_has_not(self, tab: "type[Tab]") -> None:
        played = tab()
        assert not fell_silent(played.session, played.at(0))

    def test_one_without_a_heartbeat_has(self, tab: "type[Tab]") -> None:
        played = tab()
        played.advance(LEASE_MS)
        assert fell_silent(played.session, played.at(LEASE_MS))

    @pytest.mark.parametrize("event", ENDED_BY_SOMEBODY)
    def test_one_that_somebody_ended_never_has(self, tab: "type[Tab]", event: Event) -> None:
        played = tab()
        played.apply(event, ENDED_MS)
        assert not fell_silent(played.session, played.at(10**12))

    def test_one_that_was_exhausted_has_not_whatever_its_lease(self, tab: "type[Tab]") -> None:
        played = tab(120)
        played.beat(100_000)
        played.advance(LEASE_MS)
        assert played.session.end_reason is EndReason.CHARGE_EXHAUSTED
        assert not fell_silent(played.session, played.at(10**12))

    def test_where_the_launcher_fell_silent_first_only_when_its_own_lease_is_over_too(self, tab: "type[Tab]") -> None:
        played = tab(launcher_until_ms=ENDED_MS)
        played.advance(ENDED_MS)
        assert played.session.end_reason is EndReason.LAUNCHER_TIMEOUT
        assert not fell_silent(played.session, played.at(ENDED_MS))
        assert not fell_silent(played.session, played.at(LEASE_MS - 1))
        assert fell_silent(played.session, played.at(LEASE_MS))


class TestHeartbeats:
    def test_a_living_session_takes_them(self, tab: "type[Tab]") -> None:
        assert why_no_heartbeat(tab().session, tab.OPENED_MS) is None

    def test_a_session_in_grace_takes_them(self, tab: "type[Tab]") -> None:
        played = tab(150)
        played.advance(150_000)
        assert played.session.state is State.EXHAUSTED
        assert why_no_heartbeat(played.session, played.at(150_000)) is None

    def test_a_replaced_session_is_no_error(self, tab: "type[Tab]") -> None:
        played = tab()
        played.apply(Event.REPLACE, ENDED_MS)
        assert why_no_heartbeat(played.session, played.at(10**12)) is None

    def test_an_ending_one_says_so(self, tab: "type[Tab]") -> None:
        played = tab()
        error = why_no_heartbeat(ending(played), played.at(0))
        assert told(error) == (SessionEnding, "the session is ending", {})

    @pytest.mark.parametrize("event", [Event.END, Event.TERMINATE, Event.RESTART])
    def test_an_ended_one_says_why(self, tab: "type[Tab]", event: Event) -> None:
        played = tab()
        played.apply(event, ENDED_MS)
        error = why_no_heartbeat(played.session, played.at(ENDED_MS))
        assert told(error) == (SessionEnded, "the session has ended", {"end_reason": ENDED_BY_SOMEBODY[event].name})

    def test_an_exhausted_one_says_so_after_its_grace(self, tab: "type[Tab]") -> None:
        played = tab(120)
        played.beat(100_000)
        played.advance(LEASE_MS)
        error = why_no_heartbeat(played.session, played.at(LEASE_MS))
        assert told(error) == (SessionEnded, "the session has ended", {"end_reason": "CHARGE_EXHAUSTED"})

    def test_a_silent_one_looks_like_an_unknown_one(self, tab: "type[Tab]") -> None:
        played = tab()
        played.advance(LEASE_MS)
        assert told(why_no_heartbeat(played.session, played.at(LEASE_MS))) == told(no_such_session())

    def test_one_with_a_silent_launcher_has_ended_and_looks_unknown_once_it_is_silent_too(self, tab: "type[Tab]") -> None:
        played = tab(launcher_until_ms=ENDED_MS)
        played.advance(ENDED_MS)
        early = why_no_heartbeat(played.session, played.at(LEASE_MS - 1))
        assert told(early) == (SessionEnded, "the session has ended", {"end_reason": "LAUNCHER_TIMEOUT"})
        assert told(why_no_heartbeat(played.session, played.at(LEASE_MS))) == told(no_such_session())


class TestEnds:
    def test_a_living_session_can_be_ended(self, tab: "type[Tab]") -> None:
        played = tab(150)
        assert why_no_end(played.session, played.at(0)) is None
        played.advance(150_000)
        assert played.session.state is State.EXHAUSTED
        assert why_no_end(played.session, played.at(150_000)) is None

    @pytest.mark.parametrize("event", ENDED_BY_SOMEBODY)
    def test_who_comes_late_hears_the_figures_that_count(self, tab: "type[Tab]", event: Event) -> None:
        played = tab(130)
        played.beat(140_000)
        played.session = replace(played.session, client_play_duration_sec=149)
        played.apply(event, ENDED_MS)
        play_sec, grace_sec = (140, 10) if event is Event.RESTART else (150, 20)
        assert told(why_no_end(played.session, played.at(10**12))) == (
            AlreadyEnded,
            "the session has ended before",
            {
                "end_reason": ENDED_BY_SOMEBODY[event].name,
                "play_duration_sec": str(play_sec),
                "client_play_duration_sec": "149",
                "billed_sec": "130",
                "grace_sec": str(grace_sec),
                "amount_micros": "130",
            },
        )

    def test_figures_that_are_not_known_are_left_out(self, tab: "type[Tab]") -> None:
        played = tab()
        played.apply(Event.END, ENDED_MS)
        error = why_no_end(played.session, played.at(ENDED_MS))
        assert error is not None
        assert error.metadata == {
            "end_reason": "CLIENT_END",
            "play_duration_sec": "150",
            "billed_sec": "0",
            "grace_sec": "0",
            "amount_micros": "0",
        }

    def test_an_ending_one_has_ended_before(self, tab: "type[Tab]") -> None:
        played = tab()
        assert isinstance(why_no_end(ending(played), played.at(0)), AlreadyEnded)

    def test_a_silent_one_looks_like_an_unknown_one(self, tab: "type[Tab]") -> None:
        played = tab()
        played.advance(LEASE_MS)
        assert told(why_no_end(played.session, played.at(LEASE_MS))) == told(no_such_session())

    def test_one_with_a_silent_launcher_has_ended_and_looks_unknown_once_it_is_silent_too(self, tab: "type[Tab]") -> None:
        played = tab(launcher_until_ms=ENDED_MS)
        played.advance(ENDED_MS)
        assert isinstance(why_no_end(played.session, played.at(LEASE_MS - 1)), AlreadyEnded)
        assert told(why_no_end(played.session, played.at(LEASE_MS))) == told(no_such_session())


def launch_of() -> Launch:
    return Launch(
        id="ls_00c5d1e2-0000-4000-8000-000000000000",
        launcher_id="launcher",
        cafe_id="cafe",
        account_id=None,
        tariff_id=None,
        pc_id="pc",
        internal_ip="",
        external_ip="",
        hardware=b"",
        started_ms=0,
        lease_until_ms=LEASE_MS,
        outage_seen_ms=0,
    )


class TestLaunches:
    def test_a_living_one_can_be_used(self) -> None:
        assert why_no_launch(launch_of()) is None

    def test_a_silent_one_looks_like_an_unknown_one(self) -> None:
        ended = launches.end(launch_of(), EndReason.LAUNCHER_TIMEOUT, at_ms=LEASE_MS)
        assert told(why_no_launch(ended)) == told(no_such_launch())

    @pytest.mark.parametrize("reason", [EndReason.CLIENT_END, EndReason.REPLACED, EndReason.TERMINATED])
    def test_an_ended_one_says_why(self, reason: EndReason) -> None:
        ended = launches.end(launch_of(), reason, at_ms=5)
        assert told(why_no_launch(ended)) == (LaunchEnded, "the launch has ended", {"end_reason": reason.name})

    def test_one_that_ended_for_no_known_reason_names_none(self) -> None:
        assert told(why_no_launch(replace(launch_of(), ended_ms=5))) == (LaunchEnded, "the launch has ended", {})


class TestIsKept:
    @pytest.mark.parametrize(
        ("ended_ms", "now_ms", "kept"),
        [(None, 10**15, True), (1_000, 0, True), (1_000, 1_499, True), (1_000, 1_500, False), (1_000, 10**15, False)],
    )
    def test_what_ended_is_remembered_for_the_retention_to_the_millisecond(
        self, ended_ms: int | None, now_ms: int, kept: bool
    ) -> None:
        assert is_kept(ended_ms, now_ms=now_ms, retention_ms=500) is kept


def test_what_is_not_there_is_told_without_a_word_about_it() -> None:
    assert told(no_such_session()) == (SessionNotFound, "no such session", {})
    assert told(no_such_launch()) == (LaunchNotFound, "no such launch", {})


@settings(deadline=None, derandomize=True)
@given(st.sampled_from(list(EndReason)), st.integers(0, 10**6))
def test_a_session_that_has_ended_takes_neither_heartbeat_nor_end(tab: "type[Tab]", reason: EndReason, now_ms: int) -> None:
    played = tab()
    ended = replace(played.session, state=State.ENDED, ended_ms=played.at(0), end_reason=reason)
    heard = why_no_heartbeat(ended, played.at(now_ms))
    assert (heard is None) is (reason is EndReason.REPLACED)
    assert why_no_end(ended, played.at(now_ms)) is not None

"""The launch: it lives by signs of life and ends once. What an outage of ours does to it stands in test_outage."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from playclock.core import launch as launches
from playclock.core.launch import Launch, Seat
from playclock.core.session import EndReason
from playclock.core.timers import Timers

STARTED_MS = 1_000_000
TTL_MS = 240_000


def started() -> Launch:
    return Launch(
        id="ls_00c5d1e2-0000-4000-8000-000000000000",
        launcher_id="launcher",
        cafe_id="cafe",
        account_id="account",
        tariff_id="standard",
        pc_id="pc",
        internal_ip="192.168.0.7",
        external_ip="203.0.113.9",
        hardware=b"{}",
        started_ms=STARTED_MS,
        lease_until_ms=STARTED_MS + TTL_MS,
        outage_seen_ms=STARTED_MS,
    )


def advance(launch: Launch, now_ms: int) -> Launch:
    return launches.advance(launch, now_ms=now_ms, timers=Timers())


def test_a_launch_lives_until_its_lease_is_over_to_the_millisecond() -> None:
    launch = started()
    assert launches.is_live(launch)
    assert advance(launch, STARTED_MS) is launch
    assert advance(launch, STARTED_MS + TTL_MS - 1) is launch
    ended = advance(launch, STARTED_MS + TTL_MS)
    assert ended == replace(launch, ended_ms=STARTED_MS + TTL_MS, end_reason=EndReason.LAUNCHER_TIMEOUT)
    assert not launches.is_live(ended)


def test_it_fell_silent_when_its_lease_was_over_whenever_one_looks() -> None:
    assert advance(started(), 10**15) == advance(started(), STARTED_MS + TTL_MS)


def test_a_sign_of_life_gives_a_whole_lease() -> None:
    renewed = launches.renew(started(), now_ms=STARTED_MS + 100_000, timers=Timers())
    assert renewed == replace(started(), lease_until_ms=STARTED_MS + 100_000 + TTL_MS)
    shorter = launches.renew(started(), now_ms=STARTED_MS + 100_000, timers=Timers(launcher_ttl_ms=200_000))
    assert shorter.lease_until_ms == STARTED_MS + 300_000


@pytest.mark.parametrize("behind_ms", [0, 1, 5_000, 10**9])
def test_a_clock_that_is_behind_shortens_no_lease(behind_ms: int) -> None:
    launch = started()
    assert launches.renew(launch, now_ms=STARTED_MS - behind_ms, timers=Timers()) == launch
    assert advance(launch, STARTED_MS - behind_ms) is launch


@pytest.mark.parametrize("reason", [EndReason.CLIENT_END, EndReason.REPLACED, EndReason.TERMINATED])
def test_an_end_is_final(reason: EndReason) -> None:
    ended = launches.end(started(), reason, at_ms=STARTED_MS + 5)
    assert ended == replace(started(), ended_ms=STARTED_MS + 5, end_reason=reason)
    assert not launches.is_live(ended)
    assert advance(ended, 10**15) is ended


@settings(deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 1_000_000), min_size=1).map(sorted))
def test_the_way_to_a_moment_does_not_matter(instants: list[int]) -> None:
    launch = started()
    for instant in instants:
        launch = advance(launch, STARTED_MS + instant)
    assert launch == advance(started(), STARTED_MS + instants[-1])


def test_a_seat_has_a_launch_and_perhaps_a_session() -> None:
    assert Seat("ls_1") == Seat("ls_1", session_id=None)

"""Times in which we were away ourselves: no player and no launcher is ended for them, and nobody pays for them."""

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from playclock.core import launch as launches
from playclock.core import session as core
from playclock.core.launch import Launch
from playclock.core.outage import Outage, falls_into, spread_ms
from playclock.core.session import EndReason, Event, State
from playclock.core.timers import Timers

if TYPE_CHECKING:
    from tests.core.conftest import Tab

REPEATABLE = settings(deadline=None, derandomize=True)

LEASE_MS = 240_000
LONGEST_SPREAD_MS = LEASE_MS // 4
A_DAY_MS = 86_400_000
IDS = st.from_regex(r"(gs|ls)_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", fullmatch=True)


def away(played: "Tab", start_ms: int, end_ms: int) -> Outage:
    outage = Outage(played.at(start_ms), played.at(end_ms))
    played.outages = [*played.outages, outage]
    return outage


class TestFallsInto:
    @pytest.mark.parametrize(
        ("lease_until_ms", "seen_ms", "falls"),
        [
            (101, 0, True),
            (101, 199, True),
            (101, 200, False),
            (100, 0, False),
            (99, 0, False),
            (250, 0, True),
        ],
    )
    def test_a_lease_that_ran_when_it_began_and_has_not_been_made_good(
        self, lease_until_ms: int, seen_ms: int, falls: bool
    ) -> None:
        assert falls_into(Outage(100, 200), lease_until_ms=lease_until_ms, seen_ms=seen_ms) is falls


class TestSpread:
    @REPEATABLE
    @given(IDS, st.integers(0, 10**7))
    def test_is_always_the_same_and_below_its_span(self, record_id: str, span_ms: int) -> None:
        delay_ms = spread_ms(record_id, span_ms)
        assert delay_ms == spread_ms(record_id, span_ms)
        assert 0 <= delay_ms < max(1, span_ms)

    def test_covers_the_span_evenly_within_one_partition(self) -> None:
        delays = [spread_ms(f"gs_7f{number:04x}00-0000-4000-8000-000000000000", 1_000) for number in range(0x10000)]
        assert min(delays) == 0
        assert max(delays) == 999
        counts = [delays.count(delay_ms) for delay_ms in range(0, 1_000, 50)]
        assert max(counts) - min(counts) <= 1

    def test_does_not_depend_on_the_partition(self) -> None:
        one, other = (f"gs_{partition}abcdef-0000-4000-8000-000000000000" for partition in ("00", "ff"))
        assert spread_ms(one, 60_000) == spread_ms(other, 60_000)


class TestSessions:
    @pytest.mark.parametrize("length_ms", [3_001, LEASE_MS, A_DAY_MS])
    def test_get_a_whole_lease_when_we_are_back(self, tab: "type[Tab]", length_ms: int) -> None:
        played = tab(launcher_until_ms=150_000)
        outage = away(played, 100_000, 100_000 + length_ms)
        (step,) = played.advance(100_000 + length_ms)
        assert step.state is State.ACTIVE
        assert 0 <= step.lease_until_ms - outage.end_ms - LEASE_MS < LONGEST_SPREAD_MS
        assert step.launcher_until_ms == step.lease_until_ms == step.deadline_ms
        assert step.outage_seen_ms == outage.end_ms
        assert step.due_ms == played.at(150_000)

    def test_keep_a_launcher_that_lives_longer_than_the_new_lease(self, tab: "type[Tab]") -> None:
        played = tab(launcher_until_ms=A_DAY_MS)
        away(played, 100_000, 200_000)
        played.advance(200_000)
        assert played.session.launcher_until_ms == played.at(A_DAY_MS)

    def test_without_a_launcher_stay_without(self, tab: "type[Tab]") -> None:
        played = tab()
        away(played, 100_000, 200_000)
        played.advance(200_000)
        assert played.session.launcher_until_ms is None
        assert played.session.paid_until_ms is None

    def test_run_out_at_different_moments_afterwards(self, tab: "type[Tab]") -> None:
        leases = set()
        for number in range(100):
            played = tab()
            played.session = replace(played.session, id=f"gs_00{number * 655:04x}00-0000-4000-8000-000000000000")
            away(played, 100_000, A_DAY_MS)
            played.advance(A_DAY_MS)
            leases.add(played.session.lease_until_ms)
        assert len(leases) == 100

    @pytest.mark.parametrize(("digits", "longer_ms"), [("0000", 0), ("8000", 30_000), ("ffff", 59_999)])
    def test_wait_up_to_a_quarter_of_a_lease_longer(self, tab: "type[Tab]", digits: str, longer_ms: int) -> None:
        played = tab()
        played.session = replace(played.session, id=f"gs_00{digits}00-0000-4000-8000-000000000000")
        away(played, 100_000, A_DAY_MS)
        played.advance(A_DAY_MS)
        assert played.session.lease_until_ms == played.at(A_DAY_MS + LEASE_MS + longer_ms)

    def test_end_when_the_new_lease_is_over(self, tab: "type[Tab]") -> None:
        played = tab(1_000)
        played.beat(60_000)
        away(played, 100_000, A_DAY_MS)
        played.advance(A_DAY_MS)
        lease_until_ms = played.session.lease_until_ms - played.at(0)
        assert played.advance(lease_until_ms - 1) == []
        played.advance(A_DAY_MS * 2)
        assert played.session.end_reason is EndReason.HEARTBEAT_TIMEOUT
        assert played.session.ended_ms == played.at(lease_until_ms)
        assert played.session.billed_ms == 60_000

    def test_that_had_run_out_before_stay_out(self, tab: "type[Tab]") -> None:
        played = tab()
        away(played, LEASE_MS, A_DAY_MS)
        (ended,) = played.advance(A_DAY_MS)
        assert ended.end_reason is EndReason.HEARTBEAT_TIMEOUT
        assert ended.ended_ms == played.at(LEASE_MS)

    def test_that_would_have_run_out_a_millisecond_later_live(self, tab: "type[Tab]") -> None:
        played = tab()
        away(played, LEASE_MS - 1, A_DAY_MS)
        (step,) = played.advance(A_DAY_MS)
        assert core.is_live(step)

    def test_are_made_good_once(self, tab: "type[Tab]") -> None:
        played = tab(1_000)
        away(played, 100_000, 200_000)
        assert len(played.advance(200_000)) == 1
        assert played.advance(200_000) == []
        played.beat(210_000)
        assert played.session.lease_until_ms == played.at(450_000)
        assert played.advance(449_999) == []

    def test_opened_afterwards_have_nothing_to_be_made_good(self, tab: "type[Tab]") -> None:
        played = tab(1_000)
        away(played, -500_000, 0)
        away(played, -900_000, -600_000)
        assert played.advance(LEASE_MS - 1) == []

    def test_are_not_billed_for_it(self, tab: "type[Tab]") -> None:
        played = tab(1_000)
        played.beat(60_000)
        away(played, 100_000, 700_000)
        session = played.beat(730_000)
        assert session.unbilled_ms == 600_000
        assert session.billed_ms == 130_000
        assert session.paid_until_ms == played.at(730_000 + LEASE_MS)
        played.apply(Event.END, 760_000)
        assert played.session.billed_ms == 160_000
        assert played.account.free_micros == 840
        assert core.play_duration_sec(played.session, played.at(760_000)) == 760

    def test_are_billed_for_a_lease_at_most_when_they_are_heard_of_again(self, tab: "type[Tab]") -> None:
        played = tab(1_000)
        away(played, LEASE_MS - 1, A_DAY_MS)
        session = played.beat(A_DAY_MS + LEASE_MS)
        assert session.billed_ms == LEASE_MS
        assert session.unbilled_ms == A_DAY_MS
        assert session.charge is not None
        assert session.charge.billed_micros == 240

    def test_that_hold_less_than_a_lease_get_no_more_credit_than_they_hold(self, tab: "type[Tab]") -> None:
        played = tab(150)
        # The lease ends before the credit: it is what is held that counts.
        played.session = replace(played.session, lease_until_ms=played.at(100_000), deadline_ms=played.at(100_000))
        away(played, 50_000, A_DAY_MS)
        played.advance(A_DAY_MS)
        assert played.session.paid_until_ms == played.at(A_DAY_MS + 100_000)
        played.beat(A_DAY_MS + 110_000)
        assert played.session.state is State.EXHAUSTED
        assert played.session.billed_ms == 150_000

    def test_use_no_credit_up_meanwhile(self, tab: "type[Tab]") -> None:
        played = tab(150)
        away(played, 100_000, 700_000)
        played.advance(749_999)
        assert played.session.state is State.ACTIVE
        (exhausted,) = played.advance(750_000)
        assert exhausted.exhausted_ms == played.at(750_000)
        assert exhausted.billed_ms == 150_000

    def test_use_no_grace_up_meanwhile(self, tab: "type[Tab]") -> None:
        played = tab(150)
        away(played, 160_000, 700_000)
        played.advance(700_000)
        assert played.session.state is State.EXHAUSTED
        assert core.grace_until_ms(played.session, played.timers) == played.at(810_000)
        assert played.advance(809_999) == []
        played.advance(810_000)
        assert played.session.end_reason is EndReason.CHARGE_EXHAUSTED
        assert core.grace_sec(played.session, played.at(810_000)) == 120
        assert played.session.billed_ms == 150_000

    def test_are_topped_up_in_a_grace_that_it_prolonged(self, tab: "type[Tab]") -> None:
        played = tab(150)
        away(played, 160_000, 700_000)
        played.top_up(1_000)
        session = played.beat(705_000)
        assert session.state is State.ACTIVE
        assert session.grace_used_ms == 15_000
        assert session.unbilled_ms == 555_000
        played.apply(Event.END, 706_000)
        assert played.session.billed_ms == 151_000

    def test_take_the_steps_that_came_before_it_first(self, tab: "type[Tab]") -> None:
        played = tab(150)
        away(played, 155_000, 700_000)
        exhausted, shifted = played.advance(700_000)
        assert exhausted.exhausted_ms == played.at(150_000)
        assert shifted.exhausted_ms == played.at(695_000)

    def test_outlive_several(self, tab: "type[Tab]") -> None:
        played = tab(1_000)
        away(played, 100_000, 500_000)
        away(played, 600_000, 900_000)
        assert len(played.advance(900_000)) == 2
        assert played.session.unbilled_ms == 700_000
        played.apply(Event.END, 950_000)
        assert played.session.billed_ms == 240_000 < 950_000 - 700_000

    def test_whose_longest_duration_is_over_meanwhile_end_when_we_are_back(self, tab: "type[Tab]") -> None:
        played = tab(1_000, timers=Timers(session_max_ms=300_000))
        played.beat(200_000)
        away(played, 250_000, 800_000)
        shifted, ended = played.advance(900_000)
        assert core.is_live(shifted)
        assert ended.end_reason is EndReason.MAX_DURATION
        assert ended.ended_ms == played.at(800_000)
        assert ended.billed_ms == 250_000

    @pytest.mark.parametrize("behind_ms", [1, 2_000, 100_000])
    def test_can_be_called_by_a_clock_that_is_behind(self, tab: "type[Tab]", behind_ms: int) -> None:
        played = tab(1_000)
        played.beat(99_999)
        away(played, 100_000, 200_000)
        session = played.beat(200_000 - behind_ms)
        assert session.billed_ms == 100_000
        assert session.last_heartbeat_ms == played.at(200_000)
        assert session.lease_until_ms == played.at(200_000 + LEASE_MS)


class TestLateNews:
    """A process may go on for a moment without having heard that the others noted an outage."""

    @pytest.mark.parametrize(("heard_ms", "unbilled_ms"), [(150_000, 50_000), (200_000, 0), (230_000, 0)])
    def test_the_clocks_stood_only_until_the_session_was_heard_of(
        self, tab: "type[Tab]", heard_ms: int, unbilled_ms: int
    ) -> None:
        played = tab(1_000)
        played.beat(50_000)
        before = played.beat(heard_ms)
        outage = away(played, 100_000, 200_000)
        (step,) = played.advance(heard_ms)
        assert step.unbilled_ms == unbilled_ms
        assert step.billed_ms == before.billed_ms == heard_ms
        assert step.lease_until_ms >= max(before.lease_until_ms, outage.end_ms + LEASE_MS)
        played.apply(Event.END, 240_000)
        assert played.session.billed_ms == 240_000 - unbilled_ms

    def test_grace_that_began_meanwhile_stood_from_then_on(self, tab: "type[Tab]") -> None:
        played = tab(150)
        played.advance(160_000)
        away(played, 100_000, 200_000)
        played.advance(200_000)
        assert played.session.exhausted_ms == played.at(200_000)
        played.top_up(1_000)
        session = played.beat(230_000)
        assert (session.state, session.grace_used_ms, session.billed_ms) == (State.ACTIVE, 30_000, 150_000)


def launch_of(lease_until_ms: int = 240_000, outage_seen_ms: int = 0) -> Launch:
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
        lease_until_ms=lease_until_ms,
        outage_seen_ms=outage_seen_ms,
    )


class TestLaunches:
    def test_get_a_whole_lease_when_we_are_back(self) -> None:
        outage = Outage(100_000, A_DAY_MS)
        launch = launches.advance(launch_of(), now_ms=A_DAY_MS, timers=Timers(), outages=[outage])
        assert launches.is_live(launch)
        assert 0 <= launch.lease_until_ms - A_DAY_MS - LEASE_MS < LONGEST_SPREAD_MS
        assert launch.outage_seen_ms == A_DAY_MS
        assert launches.advance(launch, now_ms=A_DAY_MS + 1, timers=Timers(), outages=[outage]) is launch

    def test_that_had_run_out_before_stay_out(self) -> None:
        launch = launches.advance(launch_of(), now_ms=A_DAY_MS, timers=Timers(), outages=[Outage(LEASE_MS, A_DAY_MS)])
        assert launch.end_reason is EndReason.LAUNCHER_TIMEOUT
        assert launch.ended_ms == LEASE_MS

    def test_that_have_ended_stay_as_they_are(self) -> None:
        ended = launches.end(launch_of(), EndReason.CLIENT_END, at_ms=50_000)
        assert launches.advance(ended, now_ms=A_DAY_MS, timers=Timers(), outages=[Outage(100_000, A_DAY_MS)]) is ended

    def test_started_afterwards_have_nothing_to_be_made_good(self) -> None:
        launch = launch_of(LEASE_MS + 200_000, outage_seen_ms=200_000)
        assert launches.advance(launch, now_ms=300_000, timers=Timers(), outages=[Outage(100_000, 200_000)]) is launch

    def test_run_out_at_different_moments_up_to_a_quarter_of_a_lease_afterwards(self) -> None:
        leases = []
        for digits in ("0000", "8000", "ffff"):
            launch = replace(launch_of(), id=f"ls_00{digits}00-0000-4000-8000-000000000000")
            advanced = launches.advance(launch, now_ms=200_000, timers=Timers(), outages=[Outage(100_000, 200_000)])
            leases.append(advanced.lease_until_ms - 200_000 - LEASE_MS)
        assert leases == [0, 30_000, 59_999]

    def test_renewed_by_a_process_that_had_not_heard_of_it_keep_their_lease(self) -> None:
        renewed = launches.renew(launch_of(), now_ms=A_DAY_MS, timers=Timers())
        launch = launches.advance(renewed, now_ms=A_DAY_MS, timers=Timers(), outages=[Outage(100_000, 200_000)])
        assert launch.lease_until_ms == renewed.lease_until_ms

    def test_outlive_several(self) -> None:
        outages = [Outage(100_000, 500_000), Outage(600_000, 900_000)]
        launch = launches.advance(launch_of(), now_ms=900_000, timers=Timers(), outages=outages)
        assert launches.is_live(launch)
        assert launch.lease_until_ms >= 900_000 + LEASE_MS

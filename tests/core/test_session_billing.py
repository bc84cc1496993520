"""What a session costs: billed by time, never by the number of heartbeats, and never beyond what was paid ahead."""

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from playclock.core import moves
from playclock.core import session as core
from playclock.core.charge import Charge
from playclock.core.session import EndReason, Event, State
from playclock.core.tariff import Rounding, Tariff, cost_micros
from playclock.core.timers import Timers

if TYPE_CHECKING:
    from tests.core.conftest import Tab

REPEATABLE = settings(deadline=None, derandomize=True)

LEASE_MS, INTERVAL_MS, GRACE_MS = 240_000, 120_000, 120_000
RICH = 10**15
QUICK = Timers(heartbeat_interval_ms=2_000)
SECONDS = Tariff("seconds", "GCOIN", unit_ms=1_000, price_micros=1, rounding=Rounding.STARTED_UNIT)
MINUTES = Tariff("minutes", "GCOIN", unit_ms=60_000, price_micros=7, rounding=Rounding.STARTED_UNIT)
TARIFFS = st.builds(
    Tariff,
    id=st.just("any"),
    currency=st.just("GCOIN"),
    unit_ms=st.sampled_from([1, 7, 1_000, 60_000, 3_600_000]) | st.integers(1, 10**7),
    price_micros=st.integers(0, 1_000_000),
    rounding=st.sampled_from(list(Rounding)),
)
GAPS = st.lists(st.integers(0, LEASE_MS - 1) | st.sampled_from([0, 1, INTERVAL_MS, LEASE_MS - 1]), max_size=10)


def charge_of(played: "Tab") -> Charge:
    return money_of(played.session.charge)


def money_of(charge: Charge | None) -> Charge:
    """Return what was billed and is held; through how many steps is another matter."""
    assert charge is not None
    return msgspec.structs.replace(charge, sequence=1)


class TestHeartbeats:
    def test_bill_the_time_since_the_last_one_and_hold_a_lease_ahead(self, tab: "type[Tab]") -> None:
        played = tab(1_000)
        session = played.beat(100_000)
        assert session.last_heartbeat_ms == played.at(100_000)
        assert session.lease_until_ms == session.deadline_ms == session.paid_until_ms == played.at(340_000)
        assert session.billed_ms == 100_000
        assert money_of(session.charge) == Charge("cafe-1", SECONDS, billed_micros=100, held_micros=240)
        assert (played.account.balance_micros, played.account.held_micros) == (900, 240)

    def test_cost_nothing_without_a_charge(self, tab: "type[Tab]") -> None:
        played = tab()
        session = played.beat(100_000)
        assert session.charge is None
        assert session.paid_until_ms is None
        assert session.billed_ms == 0
        assert session.lease_until_ms == played.at(340_000)

    def test_within_a_started_unit_bill_nothing_more(self, tab: "type[Tab]") -> None:
        played = tab(1_000, tariff=MINUTES)
        assert [charge_of(played).billed_micros for at_ms in (1, 30_000, 60_000, 60_001) if played.beat(at_ms)] == [7, 7, 7, 14]

    def test_a_late_one_inside_the_lease_bills_the_whole_gap(self, tab: "type[Tab]") -> None:
        played = tab(1_000)
        played.beat(LEASE_MS - 1)
        assert charge_of(played).billed_micros == 240

    def test_one_at_the_end_of_the_lease_comes_too_late_and_bills_nothing(self, tab: "type[Tab]") -> None:
        played = tab(1_000)
        played.beat(LEASE_MS)
        assert played.session.end_reason is EndReason.HEARTBEAT_TIMEOUT
        assert charge_of(played).billed_micros == 0

    @REPEATABLE
    @given(TARIFFS, GAPS, st.integers(0, LEASE_MS - 1))
    def test_the_bill_is_the_price_of_the_time_however_many_there_were(
        self, tab: "type[Tab]", tariff: Tariff, gaps_ms: list[int], last_gap_ms: int
    ) -> None:
        played = tab(RICH, tariff=tariff)
        now_ms = 0
        for gap_ms in gaps_ms:
            now_ms += gap_ms
            played.beat(now_ms)
        now_ms += last_gap_ms
        played.apply(Event.END, now_ms)
        assert played.session.end_reason is EndReason.CLIENT_END
        assert played.session.billed_ms == now_ms
        assert charge_of(played).billed_micros == cost_micros(tariff, now_ms)
        assert (played.account.balance_micros, played.account.held_micros) == (RICH - cost_micros(tariff, now_ms), 0)

    @REPEATABLE
    @given(TARIFFS, st.integers(0, 1_500_000), st.lists(st.integers(0, 1_500_000), max_size=10))
    def test_more_of_them_change_no_bill(self, tab: "type[Tab]", tariff: Tariff, until_ms: int, more_ms: list[int]) -> None:
        few, many = tab(RICH, tariff=tariff), tab(RICH, tariff=tariff)
        needed_ms = range(LEASE_MS - 1, until_ms, LEASE_MS - 1)
        for now_ms in needed_ms:
            few.beat(now_ms)
        for now_ms in sorted([*needed_ms, *(now_ms for now_ms in more_ms if now_ms <= until_ms)]):
            many.beat(now_ms)
        few.apply(Event.END, until_ms)
        many.apply(Event.END, until_ms)
        assert charge_of(many) == charge_of(few)
        assert many.account == few.account

    @REPEATABLE
    @given(TARIFFS, st.integers(0, 5_000_000), GAPS)
    def test_none_bills_more_than_a_lease_or_than_there_is(
        self, tab: "type[Tab]", tariff: Tariff, micros: int, gaps_ms: list[int]
    ) -> None:
        balance_micros = cost_micros(tariff, INTERVAL_MS) + micros
        played = tab(balance_micros, tariff=tariff)
        now_ms = 0
        for gap_ms in gaps_ms:
            now_ms += gap_ms
            before = played.session
            steps = [*played.advance(now_ms), played.beat(now_ms)]
            for step in steps:
                assert 0 <= step.billed_ms - before.billed_ms <= LEASE_MS
                before = step
            assert charge_of(played).billed_micros == cost_micros(tariff, played.session.billed_ms) <= balance_micros
            assert played.account.balance_micros == balance_micros - charge_of(played).billed_micros
            assert played.account.held_micros == charge_of(played).held_micros

    def test_a_clock_that_is_behind_bills_nothing_and_turns_nothing_back(self, tab: "type[Tab]") -> None:
        played = tab(1_000)
        before = played.beat(100_000)
        after = moves.heartbeat(before, free_micros=played.account.free_micros, now_ms=played.at(40_000), timers=played.timers)
        assert after == before

    @pytest.mark.parametrize("event", [Event.END, Event.TERMINATE, Event.REPLACE, Event.RESTART])
    def test_an_end_by_a_clock_that_is_behind_is_at_the_last_heartbeat(self, tab: "type[Tab]", event: Event) -> None:
        played = tab(1_000)
        played.beat(100_000)
        ended = played.apply(event, 40_000)
        assert ended.ended_ms == played.at(100_000)
        assert ended.billed_ms == 100_000
        assert core.play_duration_sec(ended, played.at(0)) == 100


class TestEnds:
    @pytest.mark.parametrize("event", [Event.END, Event.TERMINATE, Event.REPLACE])
    def test_a_known_end_bills_until_then(self, tab: "type[Tab]", event: Event) -> None:
        played = tab(1_000)
        played.beat(60_000)
        played.apply(event, 90_001)
        assert played.session.billed_ms == 90_001
        assert charge_of(played) == Charge("cafe-1", SECONDS, billed_micros=91, held_micros=0)
        assert played.account.free_micros == 909

    def test_the_longest_duration_bills_until_it_is_over(self, tab: "type[Tab]") -> None:
        played = tab(1_000, timers=Timers(session_max_ms=90_000))
        played.beat(60_000)
        played.advance(500_000)
        assert played.session.end_reason is EndReason.MAX_DURATION
        assert charge_of(played) == Charge("cafe-1", SECONDS, billed_micros=90, held_micros=0)

    def test_silence_bills_until_the_last_heartbeat(self, tab: "type[Tab]") -> None:
        played = tab(1_000)
        played.beat(60_000)
        played.advance(500_000)
        assert played.session.end_reason is EndReason.HEARTBEAT_TIMEOUT
        assert played.session.ended_ms == played.at(300_000)
        assert charge_of(played) == Charge("cafe-1", SECONDS, billed_micros=60, held_micros=0)
        assert played.account.free_micros == 940

    def test_a_silent_launcher_bills_until_the_game_s_last_heartbeat(self, tab: "type[Tab]") -> None:
        played = tab(1_000, launcher_until_ms=100_000)
        played.beat(60_000)
        played.advance(500_000)
        assert played.session.end_reason is EndReason.LAUNCHER_TIMEOUT
        assert charge_of(played) == Charge("cafe-1", SECONDS, billed_micros=60, held_micros=0)

    def test_a_restarted_server_bills_until_its_last_heartbeat(self, tab: "type[Tab]") -> None:
        played = tab(1_000)
        played.beat(60_000)
        played.apply(Event.RESTART, 90_000)
        assert charge_of(played) == Charge("cafe-1", SECONDS, billed_micros=60, held_micros=0)
        assert core.play_duration_sec(played.session, played.at(90_000)) == 60

    def test_an_end_at_once_costs_nothing(self, tab: "type[Tab]") -> None:
        played = tab(1_000)
        played.apply(Event.END, 0)
        assert charge_of(played).billed_micros == 0
        assert played.account.free_micros == 1_000


class TestExhaustion:
    def test_comes_at_the_moment_to_which_the_credit_lasts(self, tab: "type[Tab]") -> None:
        played = tab(5, timers=QUICK)
        assert played.session.paid_until_ms == played.at(5_000)
        assert played.advance(4_999) == []
        (exhausted,) = played.advance(5_000)
        assert exhausted.state is State.EXHAUSTED
        assert exhausted.exhausted_ms == played.at(5_000)
        assert charge_of(played) == Charge("cafe-1", SECONDS, billed_micros=5, held_micros=0)
        assert played.account.balance_micros == 0
        assert core.grace_until_ms(exhausted, played.timers) == played.at(125_000)
        assert played.advance(124_999) == []
        (ended,) = played.advance(125_000)
        assert ended.end_reason is EndReason.CHARGE_EXHAUSTED
        assert ended.ended_ms == played.at(125_000)
        assert charge_of(played).billed_micros == 5
        assert (core.billed_sec(ended), core.grace_sec(ended, played.at(125_000))) == (5, 120)

    def test_comes_at_that_moment_whenever_heartbeats_came(self, tab: "type[Tab]") -> None:
        played = tab(130)
        for at_ms in (40_000, 40_001, 129_999):
            assert played.beat(at_ms).paid_until_ms == played.at(130_000)
        assert played.beat(130_000).exhausted_ms == played.at(130_000)

    def test_heartbeats_go_on_and_do_not_put_off_the_end(self, tab: "type[Tab]") -> None:
        played = tab(150)
        for at_ms in (150_000, 200_000, 269_999):
            session = played.beat(at_ms)
            assert session.state is State.EXHAUSTED
            assert session.deadline_ms == played.at(270_000)
            assert session.last_heartbeat_ms == played.at(at_ms)
        played.beat(270_000)
        assert played.session.end_reason is EndReason.CHARGE_EXHAUSTED

    @pytest.mark.parametrize("event", [Event.END, Event.TERMINATE, Event.REPLACE, Event.RESTART])
    def test_grace_is_not_billed(self, tab: "type[Tab]", event: Event) -> None:
        played = tab(150)
        played.beat(200_000)
        played.top_up(1_000)
        played.apply(event, 230_000)
        assert played.session.ended_ms == played.at(230_000)
        assert charge_of(played).billed_micros == 150
        assert played.account.free_micros == 1_000

    def test_a_free_tariff_is_never_exhausted(self, tab: "type[Tab]") -> None:
        played = tab(0, tariff=replace(SECONDS, price_micros=0))
        for hour in range(1_000):
            played.beat(hour * 200_000)
        assert played.session.state is State.ACTIVE
        assert charge_of(played).billed_micros == 0


class TestTopUp:
    def test_an_interval_of_credit_ends_the_grace_at_the_next_heartbeat(self, tab: "type[Tab]") -> None:
        played = tab(150)
        played.beat(160_000)
        played.top_up(120)
        session = played.beat(180_000)
        assert session.state is State.ACTIVE
        assert session.exhausted_ms is None
        assert session.grace_used_ms == session.unbilled_ms == 30_000
        assert session.billed_ms == 150_000
        assert money_of(session.charge) == Charge("cafe-1", SECONDS, billed_micros=150, held_micros=120)
        assert session.paid_until_ms == session.deadline_ms == played.at(300_000)

    def test_the_millisecond_after_it_is_billed_again(self, tab: "type[Tab]") -> None:
        played = tab(150)
        played.beat(160_000)
        played.top_up(1_000)
        played.beat(180_000)
        played.apply(Event.END, 180_001)
        assert played.session.billed_ms == 150_001
        assert charge_of(played).billed_micros == 151

    def test_less_than_an_interval_of_credit_is_left_alone(self, tab: "type[Tab]") -> None:
        played = tab(150)
        played.top_up(119)
        session = played.beat(160_000)
        assert session.state is State.EXHAUSTED
        assert charge_of(played).held_micros == 0
        assert played.account.free_micros == 119

    def test_credit_that_comes_before_the_end_of_the_old_changes_nothing(self, tab: "type[Tab]") -> None:
        played = tab(150)
        played.top_up(1_000)
        session = played.beat(149_999)
        assert session.state is State.ACTIVE
        assert session.paid_until_ms == played.at(390_000)
        assert session.grace_used_ms == 0

    def test_grace_is_a_budget_that_top_ups_do_not_refill(self, tab: "type[Tab]") -> None:
        played = tab(120)
        played.beat(200_000)
        played.top_up(120)
        assert played.beat(220_000).grace_used_ms == 100_000
        played.beat(340_000)
        assert played.session.state is State.EXHAUSTED
        assert core.grace_until_ms(played.session, played.timers) == played.at(360_000)
        played.beat(359_999)
        played.top_up(120)
        played.advance(360_000)
        assert played.session.end_reason is EndReason.CHARGE_EXHAUSTED
        assert core.grace_sec(played.session, played.at(360_000)) == 120

    def test_who_has_used_all_grace_ends_with_the_credit(self, tab: "type[Tab]") -> None:
        played = tab(120, timers=Timers(grace_ms=100_000))
        played.beat(219_999)
        played.top_up(120)
        played.beat(219_999)
        assert played.session.state is State.ACTIVE
        played.session = replace(played.session, grace_used_ms=100_001)
        exhausted, ended = played.advance(339_999)
        assert exhausted.exhausted_ms == ended.ended_ms == played.at(339_999)

    @REPEATABLE
    @given(st.lists(st.tuples(st.integers(0, 239_999), st.integers(0, 400)), max_size=20), st.integers(0, 200_000))
    def test_however_it_is_topped_up_a_session_has_one_grace(
        self, tab: "type[Tab]", moves: list[tuple[int, int]], grace_ms: int
    ) -> None:
        played = tab(120, timers=Timers(grace_ms=grace_ms))
        now_ms = 0
        for gap_ms, micros in moves:
            now_ms += gap_ms
            played.top_up(micros)
            played.beat(now_ms)
        played.advance(now_ms + 10**9)
        ended_ms = played.session.ended_ms
        assert ended_ms is not None
        assert core.grace_sec(played.session, ended_ms) * 1000 <= grace_ms
        played_ms = core.played_until_ms(played.session, ended_ms) - played.at(0)
        assert played_ms - played.session.billed_ms <= grace_ms


class TestNextHeartbeat:
    def test_is_after_an_interval_while_there_is_credit_for_it(self, tab: "type[Tab]") -> None:
        for played in (tab(), tab(1_000), tab(120)):
            assert core.next_heartbeat_sec(played.session, played.at(0), played.timers) == 120

    @pytest.mark.parametrize(
        ("credit", "now_ms", "wait_sec"),
        [(150, 30_000, 120), (150, 30_001, 120), (150, 31_000, 119), (150, 149_001, 1), (150, 149_999, 1)],
    )
    def test_lands_on_the_end_of_the_credit_or_less_than_a_second_after(
        self, tab: "type[Tab]", credit: int, now_ms: int, wait_sec: int
    ) -> None:
        played = tab(credit)
        session = played.beat(now_ms)
        assert core.next_heartbeat_sec(session, played.at(now_ms), played.timers) == wait_sec

    @REPEATABLE
    @given(st.integers(120, 240), st.integers(0, 239_999))
    def test_obeyed_it_is_never_too_early_to_tell(self, tab: "type[Tab]", credit_sec: int, now_ms: int) -> None:
        played = tab(credit_sec)
        session = played.beat(now_ms)
        if session.state is State.ACTIVE:
            next_ms = now_ms + core.next_heartbeat_sec(session, played.at(now_ms), played.timers) * 1000
            after = played.beat(next_ms)
            left_ms = credit_sec * 1000 - now_ms
            assert (after.state is State.EXHAUSTED) is (left_ms <= INTERVAL_MS)
            if after.exhausted_ms is not None:
                assert 0 <= played.at(next_ms) - after.exhausted_ms < 1000

    def test_goes_on_in_grace(self, tab: "type[Tab]") -> None:
        played = tab(150)
        session = played.beat(160_000)
        assert core.next_heartbeat_sec(session, played.at(160_000), played.timers) >= 1

    def test_is_a_second_away_at_least(self, tab: "type[Tab]") -> None:
        played = tab(150)
        assert core.next_heartbeat_sec(played.session, played.at(150_000), played.timers) == 1
        assert core.next_heartbeat_sec(played.session, played.at(10**9), played.timers) == 1

    def test_is_rounded_up_where_the_interval_is_no_whole_seconds(self, tab: "type[Tab]") -> None:
        played = tab(timers=Timers(heartbeat_interval_ms=1_500))
        assert core.next_heartbeat_sec(played.session, played.at(0), played.timers) == 2

"""What a session is billed, and holds ahead, by every rule of its tariff."""

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from playclock.core.charge import Charge
from playclock.core.outage import Outage
from playclock.core.session import EndReason, Event, State
from playclock.core.tariff import (
    Anchors,
    Tariff,
    affordable_ms,
    cost_micros,
)
from playclock.core.timers import Timers

if TYPE_CHECKING:
    from tests.core.conftest import Tab

from tests.tariffs import REPEATABLE, SEC, STARTED, plays, window

A_SECOND = Tariff("seconds", "GCOIN", unit_ms=SEC, price_micros=1, rounding=STARTED)
"""Sessions below begin at midnight (UTC) of 2026-01-01, a Thursday."""
LATER_DEARER = replace(A_SECOND, windows=(window("00:02", "01:00", 3),))
LEASE_MS, INTERVAL_MS = 240 * SEC, 120 * SEC


def moment(ms: int) -> int:
    """Return a moment of the sessions below."""
    return 1_767_225_600_000 + ms


def charge_of(played: "Tab") -> Charge:
    assert played.session.charge is not None
    return played.session.charge


class TestSessions:
    def test_open_with_an_anchor_only_where_the_time_of_day_counts(self, tab: "type[Tab]") -> None:
        assert charge_of(tab(1_000, tariff=A_SECOND)).anchors == ()
        played = tab(1_000, tariff=LATER_DEARER)
        assert charge_of(played).anchors == ((0, played.at(0)),)

    def test_heartbeats_bill_and_hold_by_the_time_of_day(self, tab: "type[Tab]") -> None:
        played = tab(10_000, tariff=LATER_DEARER)
        assert charge_of(played).held_micros == 120 + 120 * 3
        played.beat(100_000)
        assert (charge_of(played).billed_micros, charge_of(played).held_micros) == (100, 20 + 220 * 3)
        played.beat(200_000)
        assert (charge_of(played).billed_micros, charge_of(played).held_micros) == (120 + 80 * 3, 240 * 3)
        played.apply(Event.END, 230_000)
        assert (charge_of(played).billed_micros, charge_of(played).held_micros) == (120 + 110 * 3, 0)
        assert played.account.balance_micros == 10_000 - 120 - 110 * 3

    @pytest.mark.parametrize("heartbeats", [[], [60_000], [119_999, 120_000, 120_001, 140_000]])
    def test_credit_ends_at_the_moment_that_the_prices_say(self, tab: "type[Tab]", heartbeats: list[int]) -> None:
        played = tab(200, tariff=LATER_DEARER)
        for now_ms in heartbeats:
            played.beat(now_ms)
        assert played.session.paid_until_ms == played.at(146_000)  # 120 + 26 * 3, and 2 are left
        assert played.advance(145_999) == []
        (exhausted,) = played.advance(146_000)
        assert exhausted.state is State.EXHAUSTED
        assert charge_of(played).billed_micros == 198
        assert played.account.free_micros == 2

    def test_what_is_played_after_grace_costs_what_is_in_force_then(self, tab: "type[Tab]") -> None:
        soon_cheaper = replace(A_SECOND, price_micros=3, windows=(window("00:03", "01:00", 1),))
        played = tab(450, tariff=soon_cheaper)
        played.advance(150_000)
        assert played.session.state is State.EXHAUSTED
        played.top_up(1_000)
        played.beat(170_000)  # ten seconds at 3 until 00:03, and 230 at 1
        assert charge_of(played).anchors == ((0, played.at(0)), (150_000, played.at(170_000)))
        assert charge_of(played).held_micros == 10 * 3 + 230
        played.apply(Event.END, 200_000)
        assert charge_of(played).billed_micros == 450 + 10 * 3 + 20

    def test_an_interval_of_credit_after_grace_is_one_at_the_price_of_then(self, tab: "type[Tab]") -> None:
        played = tab(120, tariff=LATER_DEARER)
        played.beat(130_000)
        played.top_up(359)
        assert played.beat(140_000).state is State.EXHAUSTED
        played.top_up(1)
        session = played.beat(150_000)
        assert session.state is State.ACTIVE
        assert session.paid_until_ms == played.at(270_000)

    def test_an_outage_is_not_billed_at_any_price(self, tab: "type[Tab]") -> None:
        outages = [Outage(moment(60_000), moment(660_000))]
        played = tab(100_000, tariff=LATER_DEARER, outages=outages)
        played.beat(50_000)
        played.advance(660_000)
        assert charge_of(played).anchors == ((0, played.at(0)), (60_000, played.at(660_000)))
        played.beat(670_000)
        assert charge_of(played).billed_micros == 60 + 10 * 3
        assert played.session.unbilled_ms == 600_000

    def test_credit_that_was_held_at_another_price_than_after_the_outage_ends_when_it_is_used_up(
        self, tab: "type[Tab]"
    ) -> None:
        played = tab(
            240,
            tariff=replace(A_SECOND, windows=(window("00:05", "01:00", 3),)),
            outages=[Outage(moment(60_000), moment(660_000))],
        )
        assert charge_of(played).held_micros == 240
        played.advance(660_000)
        assert played.session.paid_until_ms == played.at(660_000 + 60_000)  # 180 are left, at 3 a second
        played.advance(720_000)
        assert played.session.state is State.EXHAUSTED
        assert charge_of(played).billed_micros == 240

    def test_time_beyond_a_lease_is_not_billed_at_any_price(self, tab: "type[Tab]") -> None:
        played = tab(10**9, tariff=LATER_DEARER, outages=[Outage(moment(239_000), moment(240_000))])
        played.advance(240_000)
        now_ms = played.session.lease_until_ms - played.at(0) - 1
        assert now_ms > 241_000
        session = played.beat(now_ms)
        assert session.billed_ms == LEASE_MS
        assert charge_of(played).anchors == ((0, played.at(0)), (239_000, played.at(240_000)), (LEASE_MS, played.at(now_ms)))
        assert charge_of(played).billed_micros == 120 + 120 * 3

    @pytest.mark.parametrize(("reserve_ms", "ahead_ms"), [(0, LEASE_MS), (100_000, LEASE_MS), (900_000, 900_000)])
    def test_pay_ahead_as_far_as_the_tariff_wants(self, tab: "type[Tab]", reserve_ms: int, ahead_ms: int) -> None:
        played = tab(10_000, tariff=replace(A_SECOND, reserve_ms=reserve_ms))
        assert played.session.paid_until_ms == played.at(ahead_ms)
        assert played.beat(100_000).paid_until_ms == played.at(100_000 + ahead_ms)
        assert played.session.lease_until_ms == played.at(100_000 + LEASE_MS)
        assert charge_of(played).held_micros == ahead_ms // SEC

    def test_with_less_credit_than_the_reserve_hold_what_there_is(self, tab: "type[Tab]") -> None:
        played = tab(500, tariff=replace(A_SECOND, reserve_ms=900_000))
        assert played.session.paid_until_ms == played.at(500_000)
        assert played.account.free_micros == 0

    @pytest.mark.parametrize(("credit", "opens"), [(500, True), (499, False)])
    @pytest.mark.parametrize("free_ms", [0, 900_000])
    def test_need_the_minimum_to_open(self, tab: "type[Tab]", credit: int, opens: bool, free_ms: int) -> None:
        tariff = replace(A_SECOND, minimum_micros=500, free_ms=free_ms)
        if opens:
            assert tab(credit, tariff=tariff).session.state is State.ACTIVE
        else:
            with pytest.raises(AssertionError, match="does not pay for an interval"):
                tab(credit, tariff=tariff)

    def test_free_time_costs_nothing_and_the_minimum_comes_with_the_first_millisecond_after_it(self, tab: "type[Tab]") -> None:
        played = tab(1_000, tariff=replace(A_SECOND, minimum_micros=500, free_ms=100_000))
        played.beat(100_000)
        assert charge_of(played).billed_micros == 0
        played.beat(100_001)
        assert charge_of(played).billed_micros == 500
        played.beat(300_000)
        assert charge_of(played).billed_micros == 500

    @pytest.mark.parametrize("event", [Event.END, Event.TERMINATE, Event.RESTART])
    @pytest.mark.parametrize("beats", [0, 1, 4])
    def test_the_minimum_is_held_in_free_time_and_let_go_by_who_leaves_within_it(
        self, tab: "type[Tab]", event: Event, beats: int
    ) -> None:
        played = tab(700, tariff=replace(A_SECOND, minimum_micros=500, free_ms=1_000_000))
        for number in range(beats):
            played.beat(number * 200_000)
        assert (charge_of(played).held_micros, played.account.free_micros) == (500, 200)
        played.apply(event, beats * 200_000 + 100_000)
        assert (charge_of(played).billed_micros, played.account.held_micros, played.account.free_micros) == (0, 0, 700)

    def test_a_minimum_below_what_the_lease_costs_holds_no_more(self, tab: "type[Tab]") -> None:
        played = tab(10_000, tariff=replace(A_SECOND, minimum_micros=100))
        assert charge_of(played).held_micros == LEASE_MS // SEC

    def test_who_cannot_hold_the_minimum_has_the_free_time_left(self, tab: "type[Tab]") -> None:
        played = tab(500, tariff=replace(A_SECOND, minimum_micros=500, free_ms=300_000))
        # As an older version left it, which did not hold the minimum, and with another session's bill in between.
        played.session = replace(played.session, charge=replace(charge_of(played), held_micros=0))
        played.account = replace(played.account, balance_micros=499, held_micros=0)
        played.beat(200_000)
        assert played.session.paid_until_ms == played.at(300_000)
        played.advance(300_000)
        assert played.session.state is State.EXHAUSTED
        assert (charge_of(played).billed_micros, played.account.free_micros) == (0, 499)

    def test_a_capped_session_holds_no_more_once_the_cap_is_billed(self, tab: "type[Tab]") -> None:
        played = tab(300, tariff=replace(A_SECOND, cap_micros=300))
        for now_ms in range(100_000, 2_000_000, 100_000):
            played.beat(now_ms)
        assert played.session.state is State.ACTIVE
        assert (charge_of(played).billed_micros, charge_of(played).held_micros) == (300, 0)
        played.apply(Event.END, 2_000_000)
        assert played.session.end_reason is EndReason.CLIENT_END
        assert played.account.balance_micros == 0

    @REPEATABLE
    @given(
        plays(step_ms=SEC, longest=3_000),
        st.lists(st.integers(0, LEASE_MS - 1) | st.sampled_from([0, 1, INTERVAL_MS, LEASE_MS - 1]), max_size=20),
        st.integers(0, LEASE_MS - 1),
    )
    def test_cost_the_price_of_their_time_however_many_heartbeats_there_were(
        self, tab: "type[Tab]", play: tuple[Tariff, Anchors, int], gaps_ms: list[int], last_gap_ms: int
    ) -> None:
        tariff = play[0]
        played, now_ms = tab(10**15, tariff=tariff), 0
        for gap_ms in gaps_ms:
            now_ms += gap_ms
            played.beat(now_ms)
        now_ms += last_gap_ms
        played.apply(Event.END, now_ms)
        price = cost_micros(tariff, now_ms, ((0, played.at(0)),))
        assert charge_of(played).billed_micros == price
        assert (played.account.balance_micros, played.account.held_micros) == (10**15 - price, 0)

    @REPEATABLE
    @given(plays(step_ms=SEC, longest=3_000), st.integers(0, 10**5), st.lists(st.integers(0, LEASE_MS - 1), max_size=12))
    def test_never_cost_more_than_there_is_and_end_at_the_last_millisecond_that_is_paid(
        self, tab: "type[Tab]", play: tuple[Tariff, Anchors, int], micros: int, gaps_ms: list[int]
    ) -> None:
        tariff, anchors = play[0], ((0, tab.OPENED_MS),)
        credit = max(tariff.minimum_micros, cost_micros(tariff, INTERVAL_MS, anchors)) + micros
        played, now_ms = tab(credit, tariff=tariff, timers=Timers(grace_ms=10**9)), 0
        for gap_ms in gaps_ms:
            now_ms += gap_ms
            played.beat(now_ms)
        if played.session.exhausted_ms is not None:
            assert played.session.exhausted_ms - played.at(0) == affordable_ms(tariff, credit, anchors)
        else:
            assert cost_micros(tariff, now_ms, anchors) <= credit
            assert played.session.billed_ms == now_ms
        assert charge_of(played).billed_micros == cost_micros(tariff, played.session.billed_ms, anchors) <= credit

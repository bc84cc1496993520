"""What play time costs by every rule of a tariff: bounds, free time, and what a credit pays for."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from playclock.core.charge import Charge, bill, reserve
from playclock.core.tariff import (
    DAY_MS,
    FOREVER_MS,
    WINDOWS_MS,
    Anchors,
    PriceWindow,
    Rounding,
    Tariff,
    affordable_ms,
    anchored,
    cost_micros,
    from_time_problem,
    minimum_problem,
    minute_of,
    price_at,
    time_of,
    time_zone_problem,
    until_time_problem,
)

from tests.tariffs import BEGINS, EXACT, HOUR, MIN, PER_MINUTE, PLAYS, REPEATABLE, SEC, STARTED, ZONES, at, plays, window


class Walk:
    """The same prices, found by walking along the time step by step and reading the calendar's clock at each."""

    def __init__(self, tariff: Tariff, anchors: Anchors, step_ms: int) -> None:
        self.tariff, self.anchors, self.step_ms = tariff, anchors, step_ms
        self.zone = ZoneInfo(tariff.time_zone or "UTC")

    def price(self, billable_ms: int) -> int:
        begins = [anchor for anchor in self.anchors if anchor[0] <= billable_ms]
        wall_ms = begins[-1][1] + billable_ms - begins[-1][0]
        local = datetime.fromtimestamp(wall_ms // 1000, self.zone)
        now, yesterday = local.strftime("%H:%M"), local.date() - timedelta(days=1)
        for each in self.tariff.windows:
            begin, end = time_of(each.from_minute), time_of(each.until_minute)
            days = each.weekdays or (1, 2, 3, 4, 5, 6, 7)
            tonight = begin < end and begin <= now < end and local.isoweekday() in days
            evening = end < begin <= now and local.isoweekday() in days
            morning = now < end < begin and yesterday.isoweekday() in days
            if tonight or evening or morning:
                return each.price_micros
        return self.tariff.price_micros

    def cost(self, billable_ms: int) -> int:
        tariff, weighted, unit_left_ms = self.tariff, 0, 0
        for now_ms in range(tariff.free_ms, billable_ms, self.step_ms):
            if tariff.rounding is EXACT:
                weighted += self.price(now_ms) * self.step_ms
            elif unit_left_ms == 0:
                weighted += self.price(now_ms) * tariff.unit_ms
                unit_left_ms = tariff.unit_ms
            unit_left_ms -= self.step_ms
        micros = weighted // tariff.unit_ms
        if billable_ms > tariff.free_ms:
            micros = max(micros, tariff.minimum_micros)
        return min(micros, tariff.cap_micros or micros)


class TestAgainstAWalk:
    @REPEATABLE
    @given(plays(step_ms=MIN, longest=2_000))
    def test_minute_by_minute_over_days(self, play: tuple[Tariff, Anchors, int]) -> None:
        tariff, anchors, until_ms = play
        assert cost_micros(tariff, until_ms, anchors) == Walk(tariff, anchors, MIN).cost(until_ms)

    @REPEATABLE
    @given(plays(step_ms=SEC, longest=3_000))
    def test_second_by_second(self, play: tuple[Tariff, Anchors, int]) -> None:
        tariff, anchors, until_ms = play
        assert cost_micros(tariff, until_ms, anchors) == Walk(tariff, anchors, SEC).cost(until_ms)

    @pytest.mark.parametrize("zone", ZONES)
    @pytest.mark.parametrize("date", ["2026-03-28", "2026-10-24", "2026-10-31", "2026-04-04", "2026-10-03", "2026-03-07"])
    def test_the_price_of_every_minute_around_a_change_of_clocks(self, zone: str, date: str) -> None:
        windows = (window("02:15", "02:45", 1, 7), window("22:00", "02:30", 2, 6), window("00:30", "01:00", 3))
        tariff = replace(PER_MINUTE, time_zone=zone, windows=windows)
        walk = Walk(tariff, ((0, at(date)),), MIN)
        prices = {ms: price_at(tariff, at(date) + ms) for ms in range(0, 2 * DAY_MS, MIN)}
        assert prices == {ms: walk.price(ms) for ms in prices}


class TestCost:
    @REPEATABLE
    @given(PLAYS, st.lists(st.integers(0, 10**8), max_size=12))
    def test_never_falls(self, play: tuple[Tariff, Anchors, int], times_ms: list[int]) -> None:
        tariff, anchors, until_ms = play
        times_ms = sorted([*times_ms, until_ms, until_ms + 1, tariff.free_ms, *(billable_ms for billable_ms, _ in anchors)])
        costs = [cost_micros(tariff, time_ms, anchors) for time_ms in times_ms]
        assert costs == sorted(costs)

    @REPEATABLE
    @given(PLAYS, st.lists(st.integers(0, 10**8), max_size=8))
    def test_is_the_same_however_often_it_is_billed_and_whenever_a_pause_becomes_known(
        self, play: tuple[Tariff, Anchors, int], between_ms: list[int]
    ) -> None:
        tariff, anchors, until_ms = play
        whole = Charge("cafe-1", tariff, billed_micros=0, held_micros=0, anchors=anchors)
        often = replace(whole, anchors=anchors[:1])
        stops_ms = {ms % (until_ms + 1) for ms in between_ms} | {ms for ms, _ in anchors[1:] if ms <= until_ms} | {until_ms}
        for billable_ms in sorted(stops_ms):
            often = bill(reserve(often, billable_ms, 10**30), billable_ms)
            pause = dict(anchors).get(billable_ms)
            if pause is not None:
                often = replace(often, anchors=anchored(often.anchors, billable_ms, pause))
        whole = bill(reserve(whole, until_ms, 10**30), until_ms)
        assert often.billed_micros == whole.billed_micros

    @REPEATABLE
    @given(st.integers(0, 10**8), st.sampled_from(list(Rounding)), st.sampled_from(ZONES), BEGINS)
    def test_windows_of_the_same_price_change_nothing(
        self, billable_ms: int, rounding: Rounding, zone: str, begin_ms: int
    ) -> None:
        plain = replace(PER_MINUTE, rounding=rounding)
        same = replace(plain, time_zone=zone, windows=(window("22:00", "06:00", 100, 1, 5), window("10:07", "24:00", 100)))
        assert cost_micros(same, billable_ms, ((0, begin_ms),)) == cost_micros(plain, billable_ms)

    def test_by_the_time_of_day_needs_the_time_of_day(self) -> None:
        with pytest.raises(AssertionError, match="needs to know the time of day"):
            cost_micros(replace(PER_MINUTE, windows=(window("00:00", "24:00", 1),)), 1)

    def test_far_from_the_last_anchor_no_window_counts(self) -> None:
        tariff, anchors = replace(PER_MINUTE, windows=(window("00:00", "24:00", 1),)), ((0, at("2026-01-01")),)
        a_year = cost_micros(tariff, WINDOWS_MS, anchors)
        assert a_year == WINDOWS_MS // MIN
        assert cost_micros(tariff, WINDOWS_MS + MIN, anchors) == a_year + 100
        assert cost_micros(tariff, FOREVER_MS, anchors) == a_year + -(-(FOREVER_MS - WINDOWS_MS) // MIN) * 100

    def test_is_rounded_down_once_and_not_for_each_window(self) -> None:
        tariff = Tariff("t", "GCOIN", 3, 1, EXACT, windows=(window("00:01", "00:02", 2),))
        anchors = ((0, at("2026-01-01T00:00:59") + 999),)
        assert [cost_micros(tariff, ms, anchors) for ms in range(4)] == [0, 0, 1, 1]  # 1, 1 + 2 and 1 + 2 + 2 thirds


class TestBounds:
    @pytest.mark.parametrize("windows", [(), (window("00:00", "24:00", 100),)], ids=["without windows", "with windows"])
    @pytest.mark.parametrize(
        ("rounding", "free_min", "minimum", "cap", "costs"),
        [
            # The price of 0 ms, 1 ms, 1 min, 1 min 1 ms, 5 min, 5 min 1 ms, 5 min 30 s, 7 min, 1 h.
            (STARTED, 0, 0, 0, [0, 100, 100, 200, 500, 600, 600, 700, 6_000]),
            (EXACT, 0, 0, 0, [0, 0, 100, 100, 500, 500, 550, 700, 6_000]),
            (STARTED, 5, 0, 0, [0, 0, 0, 0, 0, 100, 100, 200, 5_500]),
            (EXACT, 5, 0, 0, [0, 0, 0, 0, 0, 0, 50, 200, 5_500]),
            (STARTED, 0, 550, 0, [0, 550, 550, 550, 550, 600, 600, 700, 6_000]),
            (EXACT, 0, 520, 0, [0, 520, 520, 520, 520, 520, 550, 700, 6_000]),
            (STARTED, 0, 0, 550, [0, 100, 100, 200, 500, 550, 550, 550, 550]),
            (EXACT, 0, 0, 520, [0, 0, 100, 100, 500, 500, 520, 520, 520]),
            (STARTED, 5, 150, 0, [0, 0, 0, 0, 0, 150, 150, 200, 5_500]),
            (EXACT, 5, 150, 0, [0, 0, 0, 0, 0, 150, 150, 200, 5_500]),
            (STARTED, 5, 0, 150, [0, 0, 0, 0, 0, 100, 100, 150, 150]),
            (STARTED, 0, 250, 550, [0, 250, 250, 250, 500, 550, 550, 550, 550]),
            (EXACT, 5, 60, 150, [0, 0, 0, 0, 0, 60, 60, 150, 150]),
            (STARTED, 5, 150, 150, [0, 0, 0, 0, 0, 150, 150, 150, 150]),
            (EXACT, 60, 150, 0, [0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ],
    )
    def test_of_the_price_and_free_time(
        self,
        *,
        rounding: Rounding,
        free_min: int,
        minimum: int,
        cap: int,
        costs: list[int],
        windows: tuple[PriceWindow, ...],
    ) -> None:
        tariff = replace(
            PER_MINUTE, rounding=rounding, free_ms=free_min * MIN, minimum_micros=minimum, cap_micros=cap, windows=windows
        )
        times_ms = [0, 1, MIN, MIN + 1, 5 * MIN, 5 * MIN + 1, 5 * MIN + 30 * SEC, 7 * MIN, HOUR]
        assert [cost_micros(tariff, ms, ((0, at("2026-01-01")),)) for ms in times_ms] == costs

    def test_a_tariff_without_a_price_may_have_a_minimum(self) -> None:
        entry = replace(PER_MINUTE, price_micros=0, minimum_micros=500, free_ms=MIN)
        assert [cost_micros(entry, ms) for ms in (0, MIN, MIN + 1, HOUR)] == [0, 0, 500, 500]
        assert (affordable_ms(entry, 499), affordable_ms(entry, 500)) == (MIN, FOREVER_MS)


class TestAffordable:
    @REPEATABLE
    @given(PLAYS, st.booleans(), st.integers(0, 10**6) | st.integers(0, 10**12))
    def test_is_paid_by_the_credit_and_a_millisecond_more_is_not(
        self, play: tuple[Tariff, Anchors, int], has_windows: bool, micros: int
    ) -> None:
        tariff, anchors, _ = play
        tariff = tariff if has_windows else replace(tariff, windows=())
        longest_ms = affordable_ms(tariff, micros, anchors)
        assert cost_micros(tariff, longest_ms, anchors) <= micros
        assert longest_ms >= FOREVER_MS or micros < cost_micros(tariff, longest_ms + 1, anchors)

    @REPEATABLE
    @given(PLAYS)
    def test_what_a_time_costs_affords_that_time(self, play: tuple[Tariff, Anchors, int]) -> None:
        tariff, anchors, until_ms = play
        assert affordable_ms(tariff, cost_micros(tariff, until_ms, anchors), anchors) >= until_ms

    @pytest.mark.parametrize(
        ("rounding", "micros", "affordable"),
        [
            (STARTED, 99, 0),
            (STARTED, 100, MIN),
            (STARTED, 200, 2 * MIN),
            (STARTED, 299, 2 * MIN),
            (STARTED, 500, 3 * MIN),
            (EXACT, 100, MIN + 599),
            (EXACT, 200, 2 * MIN + 199),
            (EXACT, 201, 2 * MIN + 399),
            (EXACT, 500, 3 * MIN + 199),
        ],
    )
    def test_ends_within_the_window_in_which_the_credit_ends(self, rounding: Rounding, micros: int, affordable: int) -> None:
        tariff = replace(PER_MINUTE, rounding=rounding, windows=(window("12:02", "13:00", 300),))
        assert affordable_ms(tariff, micros, ((0, at("2026-01-01T12:00")),)) == affordable

    def test_lasts_through_a_window_that_costs_nothing(self) -> None:
        tariff = replace(PER_MINUTE, windows=(window("12:02", "13:00", 0),))
        assert affordable_ms(tariff, 200, ((0, at("2026-01-01T12:00")),)) == HOUR
        assert affordable_ms(tariff, 199, ((0, at("2026-01-01T12:00")),)) == MIN

    def test_is_for_ever_where_nothing_costs_or_the_cap_is_paid(self) -> None:
        anchors = ((0, at("2026-01-01")),)
        nothing = replace(PER_MINUTE, price_micros=0, windows=(window("12:02", "13:00", 0),))
        assert affordable_ms(nothing, 0, anchors) == FOREVER_MS
        capped = replace(PER_MINUTE, cap_micros=700, windows=(window("12:02", "13:00", 1),))
        assert affordable_ms(capped, 700, anchors) == affordable_ms(replace(capped, windows=()), 700) == FOREVER_MS
        assert affordable_ms(capped, 699, anchors) == affordable_ms(replace(capped, windows=()), 699) == 6 * MIN

    def test_a_unit_that_lasts_for_a_lifetime_is_not_walked_through(self) -> None:
        tariff = Tariff("t", "GCOIN", (2**31 - 1) * SEC, 100, STARTED, windows=(window("12:00", "13:00", 1),))
        anchors = ((0, at("2026-01-01T12:30")),)
        assert cost_micros(tariff, 1, anchors) == cost_micros(tariff, tariff.unit_ms, anchors) == 1
        assert affordable_ms(tariff, 100, anchors) == tariff.unit_ms


class TestAnchored:
    def test_adds_what_comes_later_and_replaces_what_no_longer_holds(self) -> None:
        first: Anchors = ((0, 100),)
        assert anchored((), 0, 100) == first
        assert anchored(first, 50, 200) == ((0, 100), (50, 200))
        assert anchored(((0, 100), (50, 200), (70, 300)), 50, 400) == ((0, 100), (50, 400))


class TestFields:
    @pytest.mark.parametrize(("text", "minute"), [("00:00", 0), ("06:05", 365), ("23:59", 1_439), ("24:00", 1_440)])
    def test_a_time_of_day_is_a_minute(self, text: str, minute: int) -> None:
        assert minute_of(text) == minute
        assert time_of(minute) == text

    @pytest.mark.parametrize(
        "text", ["", "6:00", "06:60", "24:01", "25:00", "06:00:00", "06:00\n", " 06:00", "\u0660\u0666:00"]
    )
    def test_anything_else_is_none(self, text: str) -> None:
        assert minute_of(text) is None
        assert from_time_problem(text) is not None
        assert until_time_problem(text) is not None

    def test_a_window_may_end_but_not_begin_at_the_end_of_the_day(self) -> None:
        assert from_time_problem("24:00") is not None
        assert until_time_problem("24:00") is from_time_problem("00:00") is None

    @pytest.mark.parametrize("name", ["", *ZONES, "UTC"])
    def test_time_zones_are_those_of_the_database(self, name: str) -> None:
        assert time_zone_problem(name) is None

    @pytest.mark.parametrize(
        "name", ["Mars/Base", "Europe", "../UTC", "/etc/passwd", "\0", "localtime", "europe/berlin", "\ud800"]
    )
    def test_there_are_no_others(self, name: str) -> None:
        assert time_zone_problem(name) is not None

    @pytest.mark.parametrize(("minimum", "cap", "fits"), [(5, 0, True), (5, 5, True), (5, 4, False), (0, 0, True)])
    def test_a_minimum_is_no_more_than_the_cap(self, minimum: int, cap: int, fits: bool) -> None:
        assert (minimum_problem(minimum, cap) is None) is fits

"""What play time costs by every rule of a tariff: bounds, free time, and the clock on the wall with its changes."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from playclock.core.charge import Charge, bill, reserve
from playclock.core.outage import Outage
from playclock.core.session import EndReason, Event, State
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
from playclock.core.timers import Timers

if TYPE_CHECKING:
    from tests.core.conftest import Tab

REPEATABLE = settings(deadline=None, derandomize=True)

SEC, MIN, HOUR = 1_000, 60_000, 3_600_000
STARTED, EXACT = Rounding.STARTED_UNIT, Rounding.EXACT
ZONES: Final = ["", "Europe/Berlin", "Asia/Seoul", "Australia/Lord_Howe", "America/Havana", "Asia/Kathmandu"]
PER_MINUTE = Tariff("minutes", "GCOIN", unit_ms=MIN, price_micros=100, rounding=STARTED)


def at(text: str, zone: str = "", *, fold: int = 0) -> int:
    """Return the moment at which a zone's clocks show that."""
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone or "UTC"), fold=fold)
    return (local - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def window(begin: str, end: str, price_micros: int, *weekdays: int) -> PriceWindow:
    begins, ends = minute_of(begin), minute_of(end)
    assert begins is not None
    assert ends is not None
    return PriceWindow(begins, ends, price_micros, weekdays)


def minutes_of(tariff: Tariff, begin_ms: int, minutes: int) -> int:
    """Return what so many minutes cost, played in one piece."""
    return cost_micros(tariff, minutes * MIN, ((0, begin_ms),))


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


MINUTES = st.integers(0, 24 * 60 - 1) | st.sampled_from([0, 119, 120, 150, 180, 1_439])
WINDOWS = st.builds(
    PriceWindow,
    from_minute=MINUTES,
    until_minute=MINUTES | st.just(24 * 60),
    price_micros=st.sampled_from([0, 1, 7, 50, 100, 1_000_003]),
    weekdays=st.just(()) | st.lists(st.integers(1, 7), max_size=3).map(tuple),
).filter(lambda each: each.from_minute != each.until_minute)
BEGINS = st.sampled_from(
    [
        at("2026-03-28T20:00"),
        at("2026-03-29T00:00"),
        at("2026-03-29T00:59:30"),
        at("2026-10-24T21:30"),
        at("2026-10-25T00:10"),
        at("2026-10-25T01:00"),
        at("2026-07-01T13:00"),
        at("2026-10-03T15:00"),  # Lord Howe's clocks go half an hour ahead
        at("2026-11-01T04:30"),  # Havana's go back at one in the morning
        at("2026-03-08T04:30"),  # and ahead at midnight
    ]
)


@st.composite
def plays(draw: st.DrawFn, *, step_ms: int, longest: int) -> tuple[Tariff, Anchors, int]:
    """Draw a tariff, when a session's time was played, and how much of it there is, all in whole steps."""
    steps = st.integers(0, longest)
    minimum_micros = draw(st.sampled_from([0, 0, 1, 500, 10**7]))
    tariff = Tariff(
        "any",
        "GCOIN",
        unit_ms=step_ms * draw(st.sampled_from([1, 2, 5, 7, 60]) | st.integers(1, 2 * longest)),
        price_micros=draw(st.sampled_from([0, 1, 3, 100])),
        rounding=draw(st.sampled_from(list(Rounding))),
        minimum_micros=minimum_micros,
        free_ms=step_ms * draw(st.just(0) | steps),
        cap_micros=draw(st.sampled_from([0, 0, 0, max(1, minimum_micros), minimum_micros + 5_000])),
        time_zone=draw(st.sampled_from(ZONES)),
        windows=tuple(draw(st.lists(WINDOWS, min_size=1, max_size=4))),
    )
    anchors: Anchors = ((0, draw(BEGINS)),)
    for billable in draw(st.lists(st.integers(1, longest), max_size=4, unique=True).map(sorted)):
        last_ms, last_wall_ms = anchors[-1]
        pause_ms = step_ms * draw(st.integers(1, longest))
        anchors = (*anchors, (billable * step_ms, last_wall_ms + billable * step_ms - last_ms + pause_ms))
    return tariff, anchors, step_ms * draw(steps)


PLAYS = plays(step_ms=MIN, longest=2_000) | plays(step_ms=SEC, longest=3_000)


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


class TestWindows:
    def test_a_started_unit_costs_the_price_at_its_begin(self) -> None:
        tariff = replace(PER_MINUTE, unit_ms=10 * MIN, windows=(window("12:00", "13:00", 700),))
        assert minutes_of(tariff, at("2026-01-01T11:55"), 10) == 100
        assert minutes_of(tariff, at("2026-01-01T11:55"), 11) == 800
        assert minutes_of(tariff, at("2026-01-01T12:50"), 10) == 700
        assert minutes_of(tariff, at("2026-01-01T12:50") - 1, 10) == 700
        assert minutes_of(tariff, at("2026-01-01T12:50"), 11) == 800

    def test_a_unit_may_reach_over_a_whole_window(self) -> None:
        tariff = replace(PER_MINUTE, unit_ms=HOUR, windows=(window("12:10", "12:20", 700),))
        assert minutes_of(tariff, at("2026-01-01T12:00"), 61) == 200

    def test_units_count_from_the_end_of_the_free_time(self) -> None:
        tariff = replace(PER_MINUTE, unit_ms=10 * MIN, free_ms=5 * MIN, windows=(window("12:00", "13:00", 700),))
        assert minutes_of(tariff, at("2026-01-01T11:55"), 6) == 700

    def test_of_two_the_first_counts(self) -> None:
        narrow, wide = window("12:00", "12:10", 1), window("11:00", "13:00", 50)
        assert (
            minutes_of(replace(PER_MINUTE, windows=(narrow, wide)), at("2026-01-01T10:50"), 140)
            == 1_000 + 110 * 50 + 10 + 1_000
        )
        assert minutes_of(replace(PER_MINUTE, windows=(wide, narrow)), at("2026-01-01T10:50"), 140) == 1_000 + 120 * 50 + 1_000

    @pytest.mark.parametrize(
        ("moment", "price"),
        [
            ("2026-01-02T21:59:59", 100),  # a Friday
            ("2026-01-02T22:00", 60),
            ("2026-01-03T00:00", 60),
            ("2026-01-03T05:59:59", 60),
            ("2026-01-03T06:00", 100),
            ("2026-01-02T05:59", 100),  # began on Thursday
            ("2026-01-03T22:00", 100),
        ],
    )
    @pytest.mark.parametrize("zone", ["", "Asia/Seoul", "America/Havana"])
    def test_past_midnight_belongs_to_the_day_on_which_it_began(self, moment: str, price: int, zone: str) -> None:
        tariff = replace(PER_MINUTE, time_zone=zone, windows=(window("22:00", "06:00", 60, 5),))
        assert price_at(tariff, at(moment, zone)) == price

    @pytest.mark.parametrize("day", range(1, 8))
    def test_weekdays_are_those_of_the_time_zone(self, day: int) -> None:
        tariff = replace(PER_MINUTE, time_zone="Asia/Seoul", windows=(window("00:00", "24:00", 1, day),))
        monday_ms = at("2026-01-05", "Asia/Seoul")
        assert [price_at(tariff, monday_ms + index * DAY_MS) for index in range(7)].index(1) == day - 1
        assert price_at(tariff, monday_ms + (day - 1) * DAY_MS - 1) == 100
        assert price_at(tariff, monday_ms + day * DAY_MS - 1) == 1
        assert price_at(tariff, monday_ms + day * DAY_MS) == 100

    def test_until_midnight_is_the_same_as_until_the_end_of_the_day(self) -> None:
        early, late = (replace(PER_MINUTE, windows=(window("22:00", end, 60, 5),)) for end in ("00:00", "24:00"))
        begin_ms = at("2026-01-02T21:00")
        assert minutes_of(early, begin_ms, 240) == minutes_of(late, begin_ms, 240) == 60 * 100 + 120 * 60 + 60 * 100

    @pytest.mark.parametrize(
        ("zone", "evening", "hours"),
        [
            ("Europe/Berlin", "2026-03-27", 8),
            ("Europe/Berlin", "2026-03-28", 7),
            ("Europe/Berlin", "2026-10-24", 9),
            ("Europe/Berlin", "2026-10-25", 8),
            ("Asia/Seoul", "2026-03-28", 8),
            ("Asia/Seoul", "2026-10-24", 8),
        ],
    )
    @pytest.mark.parametrize("rounding", list(Rounding))
    def test_a_night_lasts_as_long_as_the_clocks_say(self, zone: str, evening: str, hours: int, rounding: Rounding) -> None:
        tariff = replace(PER_MINUTE, rounding=rounding, time_zone=zone, windows=(window("22:00", "06:00", 60),))
        begin_ms = at(f"{evening}T21:00", zone)
        assert minutes_of(tariff, begin_ms, 12 * 60) == hours * 60 * 60 + (12 - hours) * 60 * 100

    def test_an_hour_that_comes_twice_counts_twice_and_one_that_never_comes_not_at_all(self) -> None:
        tariff = replace(PER_MINUTE, time_zone="Europe/Berlin", windows=(window("02:00", "03:00", 1),))
        assert minutes_of(tariff, at("2026-10-25", "Europe/Berlin"), 25 * 60) == 120 * 1 + 23 * 60 * 100
        assert minutes_of(tariff, at("2026-03-29", "Europe/Berlin"), 23 * 60) == 23 * 60 * 100
        half = replace(tariff, windows=(window("01:30", "02:30", 1),))
        assert minutes_of(half, at("2026-10-25", "Europe/Berlin"), 25 * 60) == 90 * 1 + (25 * 60 - 90) * 100
        assert minutes_of(half, at("2026-03-29", "Europe/Berlin"), 23 * 60) == 30 * 1 + (23 * 60 - 30) * 100

    def test_what_is_played_after_a_pause_costs_what_is_in_force_then(self) -> None:
        tariff = replace(PER_MINUTE, windows=(window("12:00", "13:00", 700),))
        anchors = ((0, at("2026-01-01T11:50")), (5 * MIN, at("2026-01-01T12:05")))
        assert cost_micros(tariff, 5 * MIN, anchors) == 500
        assert cost_micros(tariff, 6 * MIN, anchors) == 1_200


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

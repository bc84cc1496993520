"""Prices by the clock on the wall, with its changes."""

import pytest
from msgspec.structs import replace
from playclock.core.tariff import (
    DAY_MS,
    Rounding,
    cost_micros,
    price_at,
)

from tests.tariffs import HOUR, MIN, PER_MINUTE, at, minutes_of, window


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

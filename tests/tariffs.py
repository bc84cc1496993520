"""Tariffs that tests draw, and moments as clocks on walls show them."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from hypothesis import settings
from hypothesis import strategies as st
from playclock.core.tariff import (
    Anchors,
    PriceWindow,
    Rounding,
    Tariff,
    cost_micros,
    minute_of,
)

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

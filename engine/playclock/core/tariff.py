"""What play time costs. Integers only: milliseconds and millionths of a currency.

A price is a function of a session's billable time, from its start. Where the price depends on the time of day, the function
needs to know when that time was played, which is not all in one piece: nobody pays for grace and for our own outages. The
session's anchors say so: `(billable_ms, wall_ms)`, rising. From that billable time on, the clock on the wall shows
`wall_ms + (billable - billable_ms)`, until the next anchor. One that is added later changes the price of no time before it.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

import msgspec

FOREVER_MS = 1 << 53
"""Longer than any session lasts: what a free tariff affords."""

WINDOWS_MAX: Final = 100
"""How many windows a tariff may have."""
WINDOWS_MS: Final = 366 * 86_400_000
"""How far from an anchor windows are looked for. What lies beyond costs `price_micros`, so that every sum is finite."""

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000

_END_MS: Final = 1 << 80
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00", re.ASCII)

Anchors = tuple[tuple[int, int], ...]


class Rounding(IntEnum):
    """What a unit that has begun costs."""

    STARTED_UNIT = 1
    EXACT = 2


class BillOnSilence(IntEnum):
    """Until when a session is billed whose game server fell silent."""

    LAST_HEARTBEAT = 1
    ONE_INTERVAL = 2
    LEASE_END = 3


_STARTED_UNIT: Final = Rounding.STARTED_UNIT  # looked up for every heartbeat, which an enumeration is slow at


class PriceWindow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Another price while the clock on the wall shows `from_minute` or later, and less than `until_minute`.

    Minutes count from midnight. An `until_minute` that is not after `from_minute` is the next day's.
    """

    from_minute: int
    until_minute: int
    price_micros: int
    weekdays: tuple[int, ...] = ()
    """On which it begins, 1 for Monday to 7 for Sunday; all where none is named."""


class Tariff(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A price of play time. A session keeps the one that it began with."""

    id: str
    currency: str
    unit_ms: int
    price_micros: int
    rounding: Rounding
    minimum_micros: int = 0
    """The least that a session costs once its billable time exceeds `free_ms`."""
    free_ms: int = 0
    """How much of the time, from the start, costs nothing."""
    cap_micros: int = 0
    """The most that a session costs; 0 for no limit."""
    reserve_ms: int = 0
    """How far ahead is paid, where a lease is not enough."""
    time_zone: str = ""
    """What the windows' clock shows, as the IANA database names it; UTC where empty."""
    windows: tuple[PriceWindow, ...] = ()
    """Of two that overlap the first counts; outside of all, `price_micros`."""
    bill_on_silence: BillOnSilence = BillOnSilence.LAST_HEARTBEAT


def cost_micros(tariff: Tariff, billable_ms: int, anchors: Anchors = ()) -> int:
    """Return the price of so much time since the session's start. Never falls as time grows.

    With windows, a started unit costs the price at the moment at which it begins, and exact time the sum of each moment's
    price, rounded down once. Units count from the end of the free time on.
    """
    paid_ms = billable_ms - tariff.free_ms
    if paid_ms <= 0:
        return 0
    if tariff.windows:
        micros = _windowed_micros(tariff, billable_ms, anchors)
    elif tariff.rounding is _STARTED_UNIT:
        micros = -(-paid_ms // tariff.unit_ms) * tariff.price_micros
    else:
        micros = paid_ms * tariff.price_micros // tariff.unit_ms
    if micros < tariff.minimum_micros or tariff.cap_micros:
        return _bounded(tariff, micros)
    return micros


def affordable_ms(tariff: Tariff, micros: int, anchors: Anchors = ()) -> int:
    """Return the longest billable time that costs no more than `micros`, or FOREVER_MS where all does."""
    if tariff.cap_micros and tariff.cap_micros <= micros:
        return FOREVER_MS
    if micros < tariff.minimum_micros:
        return tariff.free_ms
    if tariff.windows:
        return _windowed_affordable_ms(tariff, micros, anchors)
    if tariff.price_micros == 0:
        return FOREVER_MS
    if tariff.rounding is _STARTED_UNIT:
        return tariff.free_ms + micros // tariff.price_micros * tariff.unit_ms
    return tariff.free_ms + ((micros + 1) * tariff.unit_ms - 1) // tariff.price_micros


def anchored(anchors: Anchors, billable_ms: int, wall_ms: int) -> Anchors:
    """Let the billable time from `billable_ms` on begin at `wall_ms`. What was noted of it before no longer holds."""
    return (*(anchor for anchor in anchors if anchor[0] < billable_ms), (billable_ms, wall_ms))


def price_at(tariff: Tariff, wall_ms: int) -> int:
    """Return the price of a unit at a moment."""
    return _price_at(tariff, ((0, wall_ms),), 0)[0]


def minute_of(text: str) -> int | None:
    """Return the minutes from midnight to HH:MM, 24:00 being the end of the day; None for what is no time of day."""
    match = _TIME_OF_DAY.fullmatch(text)
    if match is None:
        return None
    return 24 * 60 if match[1] is None else int(match[1]) * 60 + int(match[2])


def time_of(minute: int) -> str:
    """Return minutes from midnight as HH:MM."""
    return f"{minute // 60:02}:{minute % 60:02}"


def time_zone_problem(name: str) -> str | None:
    """Check a time zone's name, which may be absent."""
    return None if not name or name in _zones() else f"there is no time zone {name!r} in the IANA database"


def from_time_problem(text: str) -> str | None:
    """Check from when a window holds."""
    return None if minute_of(text) not in {None, 24 * 60} else 'expected a time of day from "00:00" to "23:59"'


def until_time_problem(text: str) -> str | None:
    """Check until when a window holds."""
    return None if minute_of(text) is not None else 'expected a time of day from "00:00" to "24:00"'


def minimum_problem(minimum_micros: int, cap_micros: int) -> str | None:
    """Check a minimum against the cap beside it."""
    return "is more than cap_micros" if 0 < cap_micros < minimum_micros else None


def _bounded(tariff: Tariff, micros: int) -> int:
    micros = max(micros, tariff.minimum_micros)
    return min(micros, tariff.cap_micros) if tariff.cap_micros else micros


def _windowed_micros(tariff: Tariff, billable_ms: int, anchors: Anchors) -> int:
    is_exact, unit_ms = tariff.rounding is Rounding.EXACT, tariff.unit_ms
    sum_micros, at_ms = 0, tariff.free_ms
    while at_ms < billable_ms:
        price_micros, until_ms = _price_at(tariff, anchors, at_ms)
        step_ms = min(until_ms, billable_ms) - at_ms
        if is_exact:
            sum_micros += step_ms * price_micros
            at_ms += step_ms
        else:
            # A unit begins at `at_ms` each time. The last one of a stretch may reach into the next, or over several.
            units = -(-step_ms // unit_ms)
            sum_micros += units * price_micros
            at_ms += units * unit_ms
    return sum_micros // unit_ms if is_exact else sum_micros


def _windowed_affordable_ms(tariff: Tariff, micros: int, anchors: Anchors) -> int:
    is_exact, unit_ms = tariff.rounding is Rounding.EXACT, tariff.unit_ms
    left, at_ms = ((micros + 1) * unit_ms - 1 if is_exact else micros), tariff.free_ms
    while at_ms < FOREVER_MS:
        price_micros, until_ms = _price_at(tariff, anchors, at_ms)
        step_ms = 1 if is_exact else unit_ms
        steps = -(-(until_ms - at_ms) // step_ms)
        if steps * price_micros > left:
            return at_ms + left // price_micros * step_ms
        left -= steps * price_micros
        at_ms += steps * step_ms
    return FOREVER_MS


def _price_at(tariff: Tariff, anchors: Anchors, billable_ms: int) -> tuple[int, int]:
    """Return the price at which billable time begins there, and until which billable time it is sure to hold."""
    assert anchors, "a price by the time of day needs to know the time of day"
    assert anchors[0][0] == 0, "the first anchor is the session's start"
    index = bisect_right(anchors, (billable_ms, _END_MS))
    anchor_ms, anchor_wall_ms = anchors[index - 1]
    end_ms = anchors[index][0] if index < len(anchors) else _END_MS
    if billable_ms - anchor_ms >= WINDOWS_MS:
        return tariff.price_micros, end_ms
    shift_ms = anchor_wall_ms - anchor_ms
    wall_ms = billable_ms + shift_ms
    day = wall_ms // DAY_MS
    begins_ms, prices = _prices_of(tariff.time_zone, tariff.windows, tariff.price_micros, day)
    place = bisect_right(begins_ms, wall_ms)
    until_wall_ms = begins_ms[place] if place < len(begins_ms) else (day + 1) * DAY_MS
    return prices[place - 1], min(until_wall_ms - shift_ms, anchor_ms + WINDOWS_MS, end_ms)


@lru_cache(maxsize=4_096)
def _prices_of(
    time_zone: str, windows: tuple[PriceWindow, ...], price_micros: int, day: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return when the prices of a day in UTC begin, and what they are."""
    begins_ms: list[int] = []
    prices: list[int] = []
    marks = sorted({0, *(mark % (24 * 60) for window in windows for mark in (window.from_minute, window.until_minute))})
    for begin_ms, end_ms, offset_ms in _offsets_of(time_zone, day):
        for local_ms in _cuts(begin_ms + offset_ms, end_ms + offset_ms, marks):
            price = _price_on_the_clock(windows, price_micros, local_ms)
            if not prices or price != prices[-1]:
                begins_ms.append(local_ms - offset_ms)
                prices.append(price)
    return tuple(begins_ms), tuple(prices)


def _cuts(begin_ms: int, end_ms: int, marks: list[int]) -> Iterator[int]:
    """Yield a stretch's begin, and each moment within it at which the clock shows one of the minutes."""
    yield begin_ms
    for day in range(begin_ms // DAY_MS, end_ms // DAY_MS + 1):
        for minute in marks:
            if begin_ms < day * DAY_MS + minute * MINUTE_MS < end_ms:
                yield day * DAY_MS + minute * MINUTE_MS


def _price_on_the_clock(windows: tuple[PriceWindow, ...], price_micros: int, local_ms: int) -> int:
    """Return the price while clock and calendar on the wall show that, whether for the first or for the second time."""
    day, of_day_ms = divmod(local_ms, DAY_MS)
    minute = of_day_ms // MINUTE_MS
    today, yesterday = (day + 3) % 7 + 1, (day + 2) % 7 + 1  # the epoch was a Thursday
    for window in windows:
        is_past_midnight = window.until_minute <= window.from_minute
        if window.from_minute <= minute and (is_past_midnight or minute < window.until_minute):
            began = today
        elif is_past_midnight and minute < window.until_minute:
            began = yesterday
        else:
            continue
        if not window.weekdays or began in window.weekdays:
            return window.price_micros
    return price_micros


@lru_cache(maxsize=4_096)
def _offsets_of(time_zone: str, day: int) -> tuple[tuple[int, int, int], ...]:
    """Return the stretches of a day in UTC, and how far ahead of UTC the zone's clocks are in each."""
    begin_ms, end_ms = day * DAY_MS, (day + 1) * DAY_MS
    if not time_zone:
        return ((begin_ms, end_ms, 0),)
    zone = ZoneInfo(time_zone)
    found: list[tuple[int, int, int]] = []
    offset_ms = _offset_ms(zone, begin_ms)
    for hour_ms in range(begin_ms, end_ms, HOUR_MS):
        last_ms = hour_ms + HOUR_MS
        if _offset_ms(zone, last_ms) != offset_ms:  # clocks are changed at most once an hour
            changed_ms = _change_ms(zone, hour_ms, last_ms)
            if begin_ms < changed_ms < end_ms:
                found.append((begin_ms, changed_ms, offset_ms))
                begin_ms, offset_ms = changed_ms, _offset_ms(zone, changed_ms)
    return (*found, (begin_ms, end_ms, offset_ms))


def _change_ms(zone: ZoneInfo, before_ms: int, after_ms: int) -> int:
    """Return the first moment from which the zone's clocks differ from what they were before."""
    offset_ms = _offset_ms(zone, before_ms)
    while after_ms - before_ms > 1:
        middle_ms = (before_ms + after_ms) // 2
        if _offset_ms(zone, middle_ms) == offset_ms:
            before_ms = middle_ms
        else:
            after_ms = middle_ms
    return after_ms


def _offset_ms(zone: ZoneInfo, wall_ms: int) -> int:
    offset = (_EPOCH + timedelta(milliseconds=wall_ms)).astimezone(zone).utcoffset()
    assert offset is not None, "a zone of the IANA database always has an offset"
    return offset // timedelta(milliseconds=1)


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    """Return the zones that mean the same on every machine."""
    return frozenset(available_timezones() - {"localtime"})

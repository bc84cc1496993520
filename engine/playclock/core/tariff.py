"""What play time costs. Integers only: milliseconds and millionths of a currency."""

from enum import IntEnum

import msgspec

FOREVER_MS = 1 << 53
"""Longer than any session lasts: what a free tariff affords."""


class Rounding(IntEnum):
    """What a unit that has begun costs."""

    STARTED_UNIT = 1
    EXACT = 2


class Tariff(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A price of play time. A session keeps the one that it began with."""

    id: str
    currency: str
    unit_ms: int
    price_micros: int
    rounding: Rounding


def cost_micros(tariff: Tariff, billable_ms: int) -> int:
    """Return the price of so much time since the session's start. Never falls as time grows."""
    if tariff.rounding is Rounding.STARTED_UNIT:
        return -(-billable_ms // tariff.unit_ms) * tariff.price_micros
    return billable_ms * tariff.price_micros // tariff.unit_ms


def affordable_ms(tariff: Tariff, micros: int) -> int:
    """Return the longest billable time that costs no more than `micros`."""
    if tariff.price_micros == 0:
        return FOREVER_MS
    if tariff.rounding is Rounding.STARTED_UNIT:
        return micros // tariff.price_micros * tariff.unit_ms
    return ((micros + 1) * tariff.unit_ms - 1) // tariff.price_micros

"""Amounts as decimals, for partners who have no micro-units: written exactly, and read without a binary float on the way."""

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

DIGITS_MAX: Final = 15
"""How many significant digits an amount may have that others read: as many as survive a reader with binary floats."""
AMOUNT_MAX_MICROS: Final = 10**18
"""A million million units. What an agent says to have beyond that is no balance."""

_MICROS: Final = 1_000_000
_NUMBER: Final = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,4})?", re.ASCII)
_EXACT: Final = Context(prec=100, rounding=ROUND_HALF_EVEN)


def decimal_of(micros: int) -> str:
    """Return micro-units as the shortest decimal number that says the same: 10500000 is "10.5"."""
    units, rest = divmod(abs(micros), _MICROS)
    text = f"{units}.{rest:06}".rstrip("0").rstrip(".")
    return f"-{text}" if micros < 0 else text


def micros_of(text: str) -> int | None:
    """Return a decimal number in micro-units, to the nearest one; None for what is no number or beyond all bounds."""
    if not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    if number.adjusted() > DIGITS_MAX:
        return None
    micros = int(_EXACT.to_integral_value(_EXACT.multiply(number, Decimal(_MICROS))))
    return micros if abs(micros) <= AMOUNT_MAX_MICROS else None


def amount_problem(micros: int) -> str | None:
    """Check an amount that is to be told to others: not negative, and exact for every reader."""
    if not 0 <= micros <= AMOUNT_MAX_MICROS:
        return f"expected 0 to {AMOUNT_MAX_MICROS}"
    if len(str(micros).rstrip("0")) > DIGITS_MAX:
        return f"expected {DIGITS_MAX} significant digits at most"
    return None

"""Amounts as decimals: exact on the way out, to the nearest micro-unit on the way in."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playclock.core.decimals import AMOUNT_MAX_MICROS, amount_problem, decimal_of, micros_of


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0"),
        (1, "0.000001"),
        (10_500_000, "10.5"),
        (1_000_000, "1"),
        (100_000_000, "100"),
        (123_456_789, "123.456789"),
        (-10, "-0.00001"),
        (10**18, "1000000000000"),
    ],
)
def test_micros_are_written_as_the_shortest_decimal(micros: int, text: str) -> None:
    assert decimal_of(micros) == text
    assert micros_of(text) == micros


@given(st.integers(min_value=-AMOUNT_MAX_MICROS, max_value=AMOUNT_MAX_MICROS))
def test_what_is_written_reads_as_what_it_was(micros: int) -> None:
    text = decimal_of(micros)
    assert micros_of(text) == micros
    assert Decimal(text) * 1_000_000 == micros


@given(st.integers(min_value=0, max_value=10**15 - 1), st.integers(min_value=0, max_value=3))
def test_an_amount_that_may_be_told_survives_a_binary_float(digits: int, zeros: int) -> None:
    micros = digits * 10**zeros
    assert amount_problem(micros) is None
    assert micros_of(repr(float(decimal_of(micros)))) == micros


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1000.50", 1_000_500_000),
        ("1e3", 1_000_000_000),
        ("1.0E+2", 100_000_000),
        ("1e-9999", 0),
        ("999.9999999999999", 1_000_000_000),
        ("1000.4999999999998", 1_000_500_000),
        ("0.0000005", 0),
        ("0.0000015", 2),
        ("-0", 0),
    ],
)
def test_the_digits_of_others_are_read_to_the_nearest_micro(text: str, micros: int) -> None:
    assert micros_of(text) == micros


@pytest.mark.parametrize(
    "text",
    ["", "x", "1,5", "NaN", "Infinity", "1e9999", "1e16", "9" * 40, "٣", " 1", "1_000", "0x10", "1e", ".5", "1000000000001"],
)
def test_what_is_no_amount_is_none(text: str) -> None:
    assert micros_of(text) is None


@pytest.mark.parametrize("micros", [-1, AMOUNT_MAX_MICROS + 1, 10**15 + 1, 1 << 62])
def test_an_amount_that_others_might_read_otherwise_is_refused(micros: int) -> None:
    assert amount_problem(micros) is not None
